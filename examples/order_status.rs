//! The order-status bot: buttons, a state between two messages, and handing over to a person.
//!
//! `cargo run --example order_status -- dev`, and beside it `simulate inbound --text hi`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::connectly::message::{Message, ReplyButtonMessage};
use switchboard::{App, Context, Effect, Event, EventKind, Handler, HandlerResult, Outcome, Reply};

/// What the bot waits for.
#[derive(Serialize, Deserialize)]
enum Waiting {
    ForANumber,
}

struct OrderStatus;

impl Handler for OrderStatus {
    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        let EventKind::MessageReceived(message) = &event.kind else { return Ok(Outcome::ignored()) };
        if context.is_muted() {
            return Ok(Outcome::ignored()); // A person has taken over.
        }
        let said = message.payload().or(message.text()).unwrap_or_default();
        let number = said.trim().trim_start_matches('#').parse::<u64>();
        match (said, number, context.read_state()?) {
            ("status", ..) => Outcome::from(Reply::text("Which order? Send me its number."))
                .write_state(&Waiting::ForANumber),
            ("person", ..) => {
                let reply = Reply::text("One moment, somebody will be with you.");
                Ok(Outcome::from(reply).effect(Effect::Mute(Duration::from_hours(2))))
            }
            (_, Ok(number), Some(Waiting::ForANumber)) => {
                Ok(Outcome::from(Reply::text(format!("Order {number} is on its way."))).clear_state())
            }
            _ => {
                let buttons = ReplyButtonMessage::new()
                    .button("status", "Where is my order?")
                    .button("person", "Talk to a person");
                Ok(Reply::from(Message::buttons("What can I do for you?", buttons)).into())
            }
        }
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    App::new().handler("order-status", OrderStatus).main().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard::testing::Chat;

    #[tokio::test]
    async fn it_asks_for_the_number_and_answers() {
        let mut chat = Chat::with(OrderStatus);
        assert_eq!(chat.says("hi").await.choices(), ["status", "person"]);
        chat.presses("status").await;
        assert_eq!(chat.says("12345").await.text(), "Order 12345 is on its way.");
        assert_eq!(chat.state(), None);
    }

    #[tokio::test]
    async fn a_person_takes_over() {
        let mut chat = Chat::with(OrderStatus);
        assert!(chat.presses("person").await.text().contains("somebody"));
        assert!(chat.says("are you there?").await.is_silent());
        chat.pass(Duration::from_hours(2));
        assert_eq!(chat.says("hello again").await.choices(), ["status", "person"]);
    }
}
