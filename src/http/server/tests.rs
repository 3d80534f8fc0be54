//! A listener from outside, without TLS.

use std::sync::Arc;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn terms(drain: Duration) -> Terms {
    Terms {
        name: "public",
        connections: 2,
        head_timeout: Some(Duration::from_secs(5)),
        tls: None,
        metrics: Arc::new(Metrics::new()),
        drain,
    }
}

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    begun: Arc<Notify>,
    finish: Arc<Notify>,
    task: JoinHandle<io::Result<()>>,
}

/// A server with one path, which says when it has begun and finishes when told.
async fn running(terms: Terms) -> Running {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (Arc::clone(&begun), Arc::clone(&finish));
    let slow = move || async move {
        gates.0.notify_one();
        gates.1.notified().await;
        "done"
    };
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.address(), CancellationToken::new());
    let router = Router::new().route("/", get(slow));
    let task = tokio::spawn(listener.serve(router, terms, shutdown.clone()));
    Running { address, shutdown, begun, finish, task }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// How many connections the system keeps at most for any listener.
fn kept_by_the_system() -> u32 {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
    most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(128)
}

#[tokio::test]
async fn many_may_connect_at_once() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    // Nobody takes them yet. One that finds no room would be connected after a second at the earliest, and here never.
    let connecting = async {
        let mut waiting = Vec::new();
        for _ in 0..kept_by_the_system().min(500) {
            waiting.push(TcpStream::connect(listener.address()).await.unwrap());
        }
        waiting.len()
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), connecting).await.is_ok());
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_before_the_end() {
    let server = running(terms(Duration::from_mins(1))).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    server.begun.notified().await;
    server.shutdown.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.finish.notify_one();
    assert!(rest(stream).await.ends_with("done"));
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_cut() {
    let server = running(terms(Duration::ZERO)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    server.begun.notified().await;
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
    assert_eq!(rest(stream).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_nothing_is_closed() {
    for head_timeout in [None, Some(Duration::from_secs(5))] {
        let server = running(Terms { head_timeout, ..terms(Duration::ZERO) }).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let first = Listener::bind("127.0.0.1:0").await.unwrap();
    let refused = Listener::bind(first.address()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
}
