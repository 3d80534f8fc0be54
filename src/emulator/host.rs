//! The guard against a page in a browser that reaches the emulator by a name of its own: only known hosts are served.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::desk::Desk;

/// Serves the request when its Host is loopback or one of the settings' hosts; else answers 421.
pub(super) async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| is_served(host, &desk.settings.hosts)) {
        next.run(request).await
    } else {
        let help = "the Host header is neither loopback nor one of the emulator's hosts\n";
        (StatusCode::MISDIRECTED_REQUEST, help).into_response()
    }
}

/// Whether the Host header names this machine, by itself or by one of `hosts`. Ports do not matter.
fn is_served(header: &str, hosts: &[String]) -> bool {
    let Ok(authority) = header.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback())
        || hosts.iter().any(|served| served.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_listed_hosts_are_served() {
        let hosts = ["emulator".to_owned()];
        for host in
            ["localhost", "LOCALHOST:8082", "127.0.0.1:8082", "127.9.9.9", "[::1]:8082", "Emulator:80"]
        {
            assert!(is_served(host, &hosts), "{host}");
        }
    }

    #[test]
    fn other_hosts_are_not() {
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example"] {
            assert!(!is_served(host, &[]), "{host}");
        }
    }
}
