//! P6: events of one conversation reach a route one at a time, in order; other conversations are not held up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use switchboard::emulator::Inbound;
use switchboard::{App, Context, Event, Handler, HandlerError, HandlerResult, Outcome, Reply};

use crate::support::desk::ECHO;
use crate::support::{Backend, Desk};

const OTHER: &str = "+15550100009";

/// Notes what it is called with; fails the first try of every "2".
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn of(&self, customer: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter_map(|note| note.strip_prefix(customer)).map(|note| note.trim().to_owned()).collect()
    }
}

impl Handler for Notes {
    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        let text = event.content().and_then(|content| content.text.clone()).unwrap_or_default();
        let phone = event.customer.as_ref().and_then(|customer| customer.phone.clone()).unwrap_or_default();
        self.0.lock().unwrap().push(format!("{phone} {text}"));
        if text == "2" && context.attempt == 1 && phone != OTHER {
            return Err(HandlerError::retry_after(Duration::from_mins(1), "not yet"));
        }
        Ok(Outcome::from(Reply::text(text)))
    }
}

#[rstest]
#[tokio::test]
async fn p6_events_of_a_conversation_come_in_order_and_hold_up_nobody_else(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let notes = Notes::default();
    let route = "[[routes]]\nname = \"note\"\non = [\"message.received\"]\nhandler = \"notes\"\n";
    let desk = Desk::with(backend, App::new().handler("notes", notes.clone()), route).await;
    for text in ["1", "2", "3", "4"] {
        desk.says(Inbound::text(text).by("+15550100001")).await;
        desk.says(Inbound::text(text).by(OTHER)).await;
    }
    desk.settled().await;
    assert_eq!(notes.of("+15550100001"), ["1", "2"]);
    assert_eq!(notes.of(OTHER), ["1", "2", "3", "4"]);
    desk.advance(Duration::from_secs(61));
    desk.settled().await;
    assert_eq!(notes.of("+15550100001"), ["1", "2", "2", "3", "4"]);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p6_messages_of_a_conversation_leave_in_the_order_queued(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(switchboard::emulator::SendFault::RateLimited { retry_after_seconds: Some(5) }, 1);
    for text in ["1", "2", "3"] {
        desk.says(Inbound::text(text)).await;
    }
    desk.settled().await;
    for _ in 0..3 {
        desk.advance(Duration::from_secs(6));
        desk.settled().await;
    }
    assert_eq!(desk.sent_texts(), ["You said: 1", "You said: 2", "You said: 3"]);
    desk.stop().await;
}
