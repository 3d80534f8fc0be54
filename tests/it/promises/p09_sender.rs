//! P9: a reply leaves from the number the customer wrote to, unless it names another.

use rstest::rstest;
use switchboard::emulator::Inbound;
use switchboard::{App, Context, Event, Handler, HandlerResult, Outcome, Reply};

use crate::support::desk::ECHO;
use crate::support::{Backend, Desk};

const NUMBERS: [&str; 3] = ["+15550100002", "+15550100003", "+15550100004"];

fn to(number: &str) -> Inbound {
    Inbound { to: Some(number.to_owned()), ..Inbound::text(number) }
}

#[rstest]
#[tokio::test]
async fn p9_a_reply_leaves_from_the_number_the_customer_wrote_to(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    for number in NUMBERS {
        desk.says(to(number)).await;
    }
    desk.settled().await;
    let mut sent: Vec<_> = desk
        .sent()
        .iter()
        .map(|message| (message.from.clone(), message.body["message"]["text"].clone()))
        .collect();
    sent.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = NUMBERS.map(|number| (number.to_owned(), format!("You said: {number}").into()));
    assert_eq!(sent, expected);
    desk.stop().await;
}

/// Answers from another number.
struct Elsewhere;

impl Handler for Elsewhere {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let text = event.content().and_then(|content| content.text.as_deref());
        let asks = text == Some("switch");
        Ok(if asks { Reply::text("from here").from_number(NUMBERS[1]).into() } else { Outcome::ignored() })
    }
}

#[rstest]
#[tokio::test]
async fn p9_a_reply_that_names_another_number_leaves_from_there_in_its_window(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let route = "[[routes]]\nname = \"else\"\non = [\"message.received\"]\nhandler = \"elsewhere\"\n";
    let desk = Desk::with(backend, App::new().handler("elsewhere", Elsewhere), route).await;
    let ask = || Inbound { to: Some(NUMBERS[0].to_owned()), ..Inbound::text("switch") };
    // The customer has never written to the other number: its window is closed.
    desk.says(ask()).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["expired"]);
    desk.says(to(NUMBERS[1])).await;
    desk.says(ask()).await;
    desk.settled().await;
    assert_eq!(desk.sent().iter().map(|message| message.from.as_str()).collect::<Vec<_>>(), [NUMBERS[1]]);
    desk.stop().await;
}
