//! A listener: bound first, so that its address is known and a taken port is an error at the start, then served until told
//! to stop.
//!
//! What a connection goes through before its first request stands in `door`: its place among the others (`slots`), the
//! handshake, and how long its client may take (`pace`).

mod door;
mod open_files;
mod pace;
mod requests;
mod slots;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};
use tokio_util::sync::CancellationToken;

use self::door::{PlainDoor, TlsDoor};
pub use self::open_files::{ADMIN_CONNECTIONS, room_for};
use self::pace::IDLE;
use self::slots::Slots;
use super::tls::Tls;
use crate::telemetry::Metrics;

/// Connections that the system keeps until we take them, as far as it allows (`net.core.somaxconn`). When there are more at once,
/// it drops what their clients sent, and these try again after a second.
const BACKLOG: u32 = 4096;
/// The longest head of a request, in bytes: far above what Connectly and its proxies send. On HTTP/1.1 this is how much is
/// buffered of a connection before its end is given up, to the next power of two, so that many slow ones take little memory.
const HEAD_LIMIT: u32 = 32 << 10;
/// The requests that one HTTP/2 connection may have open at a time.
const HTTP_2_STREAMS: u32 = 100;
/// The bytes that an HTTP/2 client may send of one body, and of all on its connection, before we have read them.
const HTTP_2_WINDOWS: (u32, u32) = (64 << 10, 256 << 10);
/// How often an HTTP/2 client is asked whether it is still there, and how long its answer may take. Shorter than the idle
/// times of the proxies and routers between us.
const HTTP_2_PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// A bound listener that nobody is answered on yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

/// On what terms a listener serves.
#[derive(Debug)]
pub struct Terms {
    /// What the listener is called in metrics.
    pub name: &'static str,
    /// The most connections at a time, one at least; then the one that was used longest ago makes room for the next.
    pub connections: usize,
    /// The time for a TLS handshake, and for each request's head. With it, idle connections are closed whatever they speak.
    /// None where answers are streams that last.
    pub head_timeout: Option<Duration>,
    /// None for plain HTTP/1.1.
    pub tls: Option<Tls>,
    /// Counts connections.
    pub metrics: Arc<Metrics>,
    /// How long requests that have begun may take when the listener stops.
    pub drain: Duration,
}

impl Listener {
    /// Takes the address, or of a name the first that can be taken; port 0 takes any free port.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        for address in lookup_host(address).await? {
            match listen(address) {
                Ok(tcp) => return Ok(Self { address: tcp.local_addr()?, tcp }),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The address that was taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown`; then refuses new connections, lets requests that have begun finish, and after
    /// the drain time cuts those that have not.
    pub async fn serve(self, router: Router, terms: Terms, shutdown: CancellationToken) -> io::Result<()> {
        let handle = Handle::new();
        let stop = async {
            shutdown.cancelled().await;
            handle.graceful_shutdown(Some(terms.drain));
            std::future::pending::<Infallible>().await
        };
        let door = PlainDoor {
            inner: NoDelayAcceptor::new(),
            is_http_2: |_| false,
            slots: Slots::new(terms.name, terms.connections, terms.metrics),
            head: terms.head_timeout,
            shutdown: shutdown.clone(),
        };
        let service = router.into_make_service();
        match terms.tls {
            None => tokio::select! {
                result = plain(self.tcp, handle.clone(), door).serve(service) => result,
                never = stop => match never {},
            },
            Some(tls) => tokio::select! {
                result = encrypted(self.tcp, handle.clone(), door.encrypted(&tls)).serve(service) => result,
                never = stop => match never {},
                never = tls.watch() => match never {},
            },
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart takes over while connections of the last process are still being closed.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// HTTP/1.1 only: without TLS nobody negotiates HTTP/2.
fn plain(tcp: TcpListener, handle: Handle<SocketAddr>, door: PlainDoor) -> Server<SocketAddr, PlainDoor> {
    let idle = door.head.is_none().then_some(IDLE);
    let mut server = Server::from_listener(tcp).handle(handle).acceptor(door).http1_only();
    limit_http_1(&mut server, idle);
    server
}

/// HTTP/2 and HTTP/1.1 over TLS, as each client chooses.
fn encrypted(tcp: TcpListener, handle: Handle<SocketAddr>, door: TlsDoor) -> Server<SocketAddr, TlsDoor> {
    let idle = door.head.is_none().then_some(IDLE);
    let mut server = Server::from_listener(tcp).handle(handle).acceptor(door);
    limit_http_1(&mut server, idle);
    let ((stream, connection), (every, timeout)) = (HTTP_2_WINDOWS, HTTP_2_PING);
    let mut http_2 = server.http_builder().http2();
    http_2.timer(TokioTimer::new()).keep_alive_interval(every).keep_alive_timeout(timeout);
    http_2.max_concurrent_streams(HTTP_2_STREAMS).max_header_list_size(HEAD_LIMIT);
    http_2.initial_stream_window_size(stream).initial_connection_window_size(connection);
    server
}

/// `idle` is for heads and for the time between them, where `pace` sets no limit.
fn limit_http_1<Acceptor>(server: &mut Server<SocketAddr, Acceptor>, idle: Option<Duration>) {
    let mut http_1 = server.http_builder().http1();
    http_1.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD_LIMIT as usize);
}
