//! Requests that two readers could understand in two ways: what a proxy before us takes for one request must not be two
//! here. Each shape has a second request hidden behind it, which must not be answered.

use crate::support::raw::exchange;
use crate::support::{Backend, Desk};

const START: &str = "POST /webhooks/connectly HTTP/1.1\r\nhost: localhost\r\n";
const HIDDEN: &str = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Headers after [`START`] or a whole request, up to where the hidden one begins, and how it is answered. 401 is the answer
/// to an unsigned delivery: the request was understood in one way, and the connection ends with it.
const SHAPES: &[(&str, &str, u16)] = &[
    (
        "both lengths, the fixed one first",
        "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        401,
    ),
    ("both lengths, chunked first", "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n", 401),
    ("two different lengths", "content-length: 0\r\ncontent-length: 5\r\n\r\n", 400),
    ("two lengths in one header", "content-length: 0, 0\r\n\r\n", 400),
    ("a signed length", "content-length: +0\r\n\r\n", 400),
    ("a negative length", "content-length: -1\r\n\r\n", 400),
    ("a hexadecimal length", "content-length: 0x0\r\n\r\n", 400),
    ("an endless length", "content-length: 99999999999999999999\r\n\r\n", 400),
    ("a length of nothing", "content-length: \r\n\r\n", 400),
    ("an unknown coding", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked, but not last", "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    (
        "chunked, then another coding",
        "transfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("a control character in the coding", "transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    ("a space before the colon", "transfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("a folded header", "x-folded: a\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("a header without a name", ": a\r\n\r\n", 400),
    ("a header without a colon", "nothing\r\n\r\n", 400),
    ("a carriage return inside a header", "x-cr: a\rtransfer-encoding: chunked\r\n\r\n", 400),
    ("a zero byte inside a header", "x-zero: a\0b\r\n\r\n", 400),
    ("a chunk size with a line feed only", "transfer-encoding: chunked\r\n\r\n0\n\r\n", 400),
    ("a chunk size with a prefix", "transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n", 400),
    ("a negative chunk size", "transfer-encoding: chunked\r\n\r\n-1\r\n\r\n", 400),
    ("an endless chunk size", "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    ("a chunk that is longer than it says", "transfer-encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n", 400),
    ("a line feed in a chunk's extension", "transfer-encoding: chunked\r\n\r\n0;a\nb\r\n\r\n", 400),
];

#[tokio::test]
async fn no_shape_hides_a_second_request() {
    let desk = Desk::start(Backend::Sqlite, "").await;
    for (name, headers, status) in SHAPES {
        let answer =
            exchange(desk.running.public_address(), format!("{START}{headers}{HIDDEN}").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
        assert!(!answer.contains("\"live\""), "{name}: {answer}");
    }
    assert!(desk.list("events").await.is_empty());
    desk.stop().await;
}

#[tokio::test]
async fn old_and_odd_request_lines_are_refused() {
    let desk = Desk::start(Backend::Sqlite, "").await;
    for request in [
        "GET /livez\r\n\r\n",
        "GET /livez HTTP/0.9\r\n\r\n",
        "GET /livez HTTP/3.0\r\n\r\n",
        "GET  /livez HTTP/1.1\r\n\r\n",
        "GET /li\0vez HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1 \r\nhost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /webhooks/connectly HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = exchange(desk.running.public_address(), request.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
            "{request:?}: {answer}"
        );
    }
    desk.stop().await;
}

/// Whatever becomes of a request, its body is never taken for the next one.
#[tokio::test]
async fn a_body_that_nobody_reads_is_not_the_next_request() {
    let desk = Desk::start(Backend::Sqlite, "").await;
    for (start, status) in [
        ("POST /nothing", 404),
        ("POST /livez", 405),
        ("POST /webhooks/connectly", 401),
        ("PUT /webhooks/connectly", 405),
    ] {
        let length = HIDDEN.len();
        let request = format!(
            "{start} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{HIDDEN}"
        );
        let answer = exchange(desk.running.public_address(), request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{start}: {answer}");
    }
    desk.stop().await;
}

/// RFC 9112 lets a reader take it for the end of a line; then it is one everywhere.
#[tokio::test]
async fn a_line_feed_alone_ends_a_line() {
    let desk = Desk::start(Backend::Sqlite, "").await;
    let length = HIDDEN.len();
    for request in [
        format!(
            "POST /webhooks/connectly HTTP/1.1\nhost: localhost\nconnection: close\ncontent-length: {length}\n\n{HIDDEN}"
        ),
        format!("{START}connection: close\r\nx-line: a\ncontent-length: {length}\r\n\r\n{HIDDEN}"),
    ] {
        let answer = exchange(desk.running.public_address(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
    }
    desk.stop().await;
}

/// More headers, or longer ones, than anybody needs.
#[tokio::test]
async fn a_head_without_measure_is_refused() {
    let desk = Desk::start(Backend::Sqlite, "").await;
    let many = "x-many: a\r\n".repeat(200);
    let long = format!("x-long: {}\r\n", "a".repeat(100 << 10));
    for headers in [many, long] {
        let answer =
            exchange(desk.running.public_address(), format!("{START}{headers}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    desk.stop().await;
}
