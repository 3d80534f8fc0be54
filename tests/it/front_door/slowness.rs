//! Clients that send as slowly as they can, and clients that only hold the line.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::certificates::{Files, issue};
use crate::support::raw::{PATIENCE, drip, exchange, rest};
use crate::support::webhooks::sign;
use crate::support::{Backend, Desk};

const HALF_A_HEAD: &[u8] = b"POST /webhooks/connectly HTTP/1.1\r\nhost: localhost\r\nx-slow: ";
const HALF_A_BODY: &[u8] =
    b"POST /webhooks/connectly HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n{";

async fn desk(config: &str) -> Desk {
    Desk::with(Backend::Sqlite, switchboard::App::new(), &format!("[public]\n{config}\n")).await
}

async fn connect(desk: &Desk) -> TcpStream {
    TcpStream::connect(desk.running.public_address()).await.unwrap()
}

async fn cut(desk: &Desk, reason: &str) -> u64 {
    let metrics = desk.admin(reqwest::Method::GET, "/metrics", &serde_json::Value::Null).await;
    let line = format!("switchboard_cut_connections_total{{listener=\"public\",reason=\"{reason}\"}} ");
    let metrics = metrics.text().await.unwrap();
    metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
}

/// The client never stops: each byte comes long before any limit on silence.
#[tokio::test]
async fn slow_headers_and_slow_bodies_are_cut_off() {
    let desk = desk("read_timeout = \"300ms\"").await;
    for (begin, status) in [(HALF_A_HEAD, ""), (HALF_A_BODY, "HTTP/1.1 408 ")] {
        let mut stream = connect(&desk).await;
        stream.write_all(begin).await.unwrap();
        let (mut reads, mut writes) = stream.into_split();
        let dripping = tokio::spawn(async move { drip(&mut writes, Duration::from_millis(20)).await });
        let answer = rest(&mut reads).await;
        assert!(answer.starts_with(status), "{answer}");
        assert_eq!(answer.is_empty(), status.is_empty(), "{answer}");
        tokio::time::timeout(PATIENCE, dripping).await.expect("it is hung up on").unwrap();
    }
    assert_eq!(cut(&desk, "slow").await, 1);
    desk.stop().await;
}

/// The time for a head begins with its first byte, on a connection that has served others as well.
#[tokio::test]
async fn a_connection_may_rest_between_two_requests() {
    let desk = desk("read_timeout = \"100ms\"").await;
    let mut stream = connect(&desk).await;
    for connection in ["keep-alive", "close"] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let request = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    assert_eq!(rest(&mut stream).await.matches("HTTP/1.1 200 OK").count(), 2);
    desk.stop().await;
}

/// Who holds the line longest makes room, whether it says nothing or says it slowly; who asks and listens is served.
#[tokio::test]
async fn the_connection_that_was_used_longest_ago_makes_room() {
    let desk = desk("connections = 16\nread_timeout = \"5m\"").await;
    let mut held = Vec::new();
    for (index, begin) in [b"".as_slice(), HALF_A_HEAD, HALF_A_BODY].iter().cycle().take(40).enumerate() {
        let mut stream = connect(&desk).await;
        stream.write_all(begin).await.unwrap();
        held.push(stream);
        if index % 10 == 9 {
            let body = format!("{{\"n\":{index}}}").into_bytes();
            let post = desk.http.post(desk.webhook_url()).header("x-connectly-hmac-sha256", sign(&body));
            assert_eq!(post.body(body).send().await.unwrap().status(), 200);
        }
    }
    for stream in &mut held[..20] {
        assert_eq!(rest(stream).await, "", "it was sent away");
    }
    assert!(cut(&desk, "room").await >= 24);
    assert_eq!(desk.list("events").await.len(), 4);
    drop(held);
    desk.stop().await;
}

/// A client that chose HTTP/2 and then speaks slowly is no better off.
#[tokio::test]
async fn slow_clients_are_cut_off_over_tls_too() {
    let issued = issue();
    let files = Files::of(&issued);
    let config = format!("{}read_timeout = \"300ms\"\n", files.config());
    let desk = Desk::with(Backend::Sqlite, switchboard::App::new(), &config).await;
    let url = format!("https://{}/webhooks/connectly", desk.running.public_address());
    for client in [issued.client(), issued.client().http1_only()] {
        let never = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        let never = futures_util::StreamExt::chain(never, futures_util::stream::pending());
        let post = client.build().unwrap().post(&url).body(reqwest::Body::wrap_stream(never));
        assert_eq!(post.send().await.unwrap().status(), 408);
    }
    desk.stop().await;
}

#[tokio::test]
async fn oversized_bodies_are_413_without_being_read() {
    let desk = desk("body_limit = \"1KiB\"\nread_timeout = \"5m\"").await;
    let address = desk.running.public_address();
    let head = "POST /webhooks/connectly HTTP/1.1\r\nhost: localhost\r\n";
    // None of these bodies ends, so that whoever read all of it would wait for minutes.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    for body in [
        "content-length: 1025\r\n\r\n".to_owned(),
        "content-length: 1099511627776\r\n\r\nx".to_owned(),
        format!("transfer-encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n"),
        "transfer-encoding: chunked\r\n\r\nffffffff\r\n".to_owned() + &"x".repeat(1025),
    ] {
        let answer = exchange(address, format!("{head}{body}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{body}\n{answer}");
        assert!(answer.contains("/problems/body-too-large"), "{answer}");
    }
    desk.stop().await;
}
