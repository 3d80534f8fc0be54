//! Handlers that misbehave: nobody else is held up, and a person is told.

use rstest::rstest;
use switchboard::emulator::Inbound;
use switchboard::{App, Context, Event, Handler, HandlerResult, Reply};

use crate::support::{Backend, Desk};

const ROUTE: &str = r#"
[[routes]]
name = "moody"
on = ["message.received"]
handler = "moody"
timeout = "1s"
retry = { attempts = 1, max_age = "1m" }
"#;

/// Does what it is told.
struct Moody;

impl Handler for Moody {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        match event.content().and_then(|content| content.text.as_deref()).unwrap_or_default() {
            "panic" => panic!("as asked"),
            "hang" => std::future::pending().await,
            "10 MB" => Ok(Reply::text("x".repeat(10_000_000)).into()),
            text => Ok(Reply::text(text).into()),
        }
    }
}

#[rstest]
#[case::panics("panic", "the handler panicked")]
#[case::hangs("hang", "the handler ran longer than 1s")]
#[case::answers_far_too_much("10 MB", "4096")]
#[tokio::test]
async fn a_handler_that_misbehaves_harms_nobody_else(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] mood: &str,
    #[case] reason: &str,
) {
    let desk = Desk::with(backend, App::new().handler("moody", Moody), ROUTE).await;
    desk.says(Inbound::text(mood).by("+15550100010")).await;
    for number in 0..5 {
        desk.says(Inbound::text("hi").by(format!("+1555010002{number}"))).await;
    }
    desk.settled().await;
    assert_eq!(desk.sent_texts(), ["hi"; 5]);
    let parked = desk.list("jobs?state=parked").await;
    assert_eq!(parked.len(), 1);
    let told = parked[0]["last_error"].as_str().unwrap();
    assert!(told.contains(reason) && told.len() < 600, "{told}");
    // The conversation goes on: what is parked does not hold its lane.
    desk.says(Inbound::text("and now?").by("+15550100010")).await;
    desk.settled().await;
    assert_eq!(desk.sent_texts().last().unwrap(), "and now?");
    desk.stop().await;
}
