//! What is made of each answer, and of none.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::connectly::error::{Doubt, Unreached};

/// For tests in which time runs out.
const SHORT: Duration = Duration::from_millis(50);

/// What the client makes of this answer; it is an error of the test if more than one request came.
async fn answer_to(response: ResponseTemplate) -> SendAnswer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response).expect(1).mount(&server).await;
    send(&settings(&server.uri())).await
}

/// A word for each outcome, so that the table below reads as one.
fn outcome(answer: &SendAnswer) -> &'static str {
    match answer {
        SendAnswer::Accepted { .. } => "accepted",
        SendAnswer::RateLimited { .. } => "rate limited",
        SendAnswer::NotSent { .. } => "not sent",
        SendAnswer::Unauthorized(_) => "unauthorized",
        SendAnswer::WindowClosed(_) => "window closed",
        SendAnswer::OptedOut(_) => "opted out",
        SendAnswer::Refused(_) => "refused",
        SendAnswer::Unknown { .. } => "unknown",
    }
}

#[tokio::test]
async fn every_answer_is_classified_by_code_then_type_then_status() {
    const WINDOW: &str = r#"{"code":"ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW"}"#;
    const NEVER_WROTE: &str = r#"{"code":"ERROR_CODE_MESSAGE_CUSTOMER_NO_CONVERSATION_INITIATION"}"#;
    const OPTED_OUT: &str = r#"{"code":"ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT"}"#;
    const REFUSED: &str = r#"{"code":"ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID"}"#;
    const UNSPECIFIED: &str = r#"{"code":"ERROR_CODE_UNSPECIFIED","type":"ERROR_TYPE_UNSPECIFIED"}"#;
    const NEW_CODE: &str = r#"{"code":"ERROR_CODE_NEW","type":"ERROR_TYPE_FAILED_PRECONDITION"}"#;
    const DEADLINE: &str = r#"{"type":"ERROR_TYPE_DEADLINE_EXCEEDED"}"#;
    const PRECONDITION: &str = r#"{"type":"ERROR_TYPE_FAILED_PRECONDITION","code":null}"#;
    const INVALID: &str = r#"{"type":"ERROR_TYPE_INVALID_REQUEST"}"#;
    const AUTHENTICATION: &str = r#"{"type":"ERROR_TYPE_AUTHENTICATION"}"#;
    const GATEWAY: &str = r#"{"code":4,"message":"context deadline exceeded","details":[]}"#;
    const PAGE: &str = "<html><body>Bad gateway</body></html>";

    let table = [
        // A success is one only with an id.
        (200, r#"{"id":"01K0"}"#, "accepted"),
        (202, r#"{"id":7,"new":{}}"#, "accepted"),
        (200, r#"{"id":""}"#, "unknown"),
        (200, r#"{"id":null}"#, "unknown"),
        (200, "", "unknown"),
        (204, "", "unknown"),
        // Codes, whatever the status.
        (400, WINDOW, "window closed"),
        (504, WINDOW, "window closed"),
        (400, NEVER_WROTE, "window closed"),
        (400, OPTED_OUT, "opted out"),
        (400, REFUSED, "refused"),
        (500, REFUSED, "refused"),
        (500, UNSPECIFIED, "unknown"),
        (400, UNSPECIFIED, "refused"),
        (429, UNSPECIFIED, "rate limited"),
        (400, NEW_CODE, "refused"),
        (500, NEW_CODE, "unknown"),
        // Types, when the code says nothing.
        (400, DEADLINE, "window closed"),
        (504, DEADLINE, "window closed"),
        (400, PRECONDITION, "window closed"),
        (429, PRECONDITION, "rate limited"),
        (401, PRECONDITION, "unauthorized"),
        (400, INVALID, "refused"),
        (403, AUTHENTICATION, "unauthorized"),
        // Statuses, when the body says nothing.
        (401, "", "unauthorized"),
        (401, PAGE, "unauthorized"),
        (429, "slow down", "rate limited"),
        (400, "", "refused"),
        (403, PAGE, "refused"),
        (404, GATEWAY, "refused"),
        (409, "{}", "refused"),
        (413, "", "refused"),
        (408, "", "unknown"),
        (500, "", "unknown"),
        (502, PAGE, "unknown"),
        (503, "[]", "unknown"),
        (504, "", "unknown"),
        (504, GATEWAY, "unknown"),
        (307, "", "refused"),
        (303, "", "unknown"),
    ];
    for (status, body, expected) in table {
        let answer = answer_to(ResponseTemplate::new(status).set_body_string(body)).await;
        assert_eq!(outcome(&answer), expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait_in_seconds_or_as_a_date() {
    let wait = |retry_after: &'static str| async move {
        let response = ResponseTemplate::new(429)
            .insert_header("date", "Thu, 01 Jan 2026 00:00:00 GMT")
            .insert_header("retry-after", retry_after);
        answer_to(response).await
    };
    let seconds = |seconds| SendAnswer::RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    assert_eq!(wait("7").await, seconds(7));
    assert_eq!(wait("Thu, 01 Jan 2026 00:01:30 GMT").await, seconds(90));
    assert_eq!(wait("Wed, 31 Dec 2025 00:00:00 GMT").await, seconds(0));
    assert_eq!(wait("18446744073709551615").await, seconds(24 * 3600));
    assert_eq!(wait("soon").await, SendAnswer::RateLimited { retry_after: None });
    assert_eq!(answer_to(ResponseTemplate::new(429)).await, SendAnswer::RateLimited { retry_after: None });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&elsewhere).await;
    let moved = ResponseTemplate::new(308).insert_header("location", elsewhere.uri().as_str());
    let SendAnswer::Refused(error) = answer_to(moved).await else { panic!("a redirect is a refusal") };
    assert_eq!(error.message.as_deref(), Some("HTTP status 308: the base URL answers with a redirect"));
}

#[tokio::test]
async fn a_giant_body_is_cut_and_leaves_the_outcome_open() {
    let giant = format!(r#"{{"padding":"{}","id":"01K0"}}"#, "x".repeat(2 * BODY_LIMIT));
    let answer = answer_to(ResponseTemplate::new(200).set_body_string(giant.clone())).await;
    assert_eq!(answer, SendAnswer::Unknown { why: Doubt::NoId(200), error: None });
    let answer = answer_to(ResponseTemplate::new(400).set_body_string(giant)).await;
    assert_eq!(outcome(&answer), "refused");
}

#[tokio::test]
async fn an_answer_later_than_the_timeout_leaves_the_outcome_open() {
    let server = MockServer::start().await;
    let late = ResponseTemplate::new(200).set_delay(TIMEOUT);
    Mock::given(any()).respond_with(late).mount(&server).await;
    let settings = ClientSettings { connect_timeout: SHORT, timeout: SHORT, ..settings(&server.uri()) };
    let answer = send(&settings).await;
    assert_eq!(answer, SendAnswer::Unknown { why: Doubt::TimedOut, error: None });
}

/// Accepts one connection, reads what comes first, writes these bytes and closes. The URL to reach it.
async fn cuts_off_after(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(bytes).await.unwrap();
    });
    url
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_open() {
    let lost = SendAnswer::Unknown { why: Doubt::Lost, error: None };
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"id\":\"01K0\"}";
    assert_eq!(send(&settings(&cuts_off_after(b"").await)).await, lost);
    assert_eq!(send(&settings(&cuts_off_after(b"HTTP/1.1 200").await)).await, lost);
    assert_eq!(send(&settings(&cuts_off_after(half).await)).await, lost);
    assert_eq!(send(&settings(&cuts_off_after(b"nonsense\r\n\r\n").await)).await, lost);
}

#[tokio::test]
async fn a_refusal_whose_body_is_lost_is_still_a_refusal() {
    let url = cuts_off_after(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 50\r\n\r\n{").await;
    assert_eq!(outcome(&send(&settings(&url)).await), "refused");
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(send(&settings(&url)).await, SendAnswer::NotSent { why: Unreached::Refused });
}

#[tokio::test]
async fn running_out_of_time_before_tls_stands_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let settings = ClientSettings { connect_timeout: SHORT, ..settings(&url) };
    assert_eq!(send(&settings).await, SendAnswer::NotSent { why: Unreached::TimedOut });
}
