//! Sending: who may leave, once, and how it is known what became of them.

mod answers;
mod claiming;
mod crowd;
mod doubt;
mod fallback;
mod fence;
mod precedence;
mod suppressing;
mod under_way;
mod verdicts;

use std::time::Duration;

use switchboard::connectly::mark;
use switchboard::model::conversation::Window;
use switchboard::model::id::MessageId;
use switchboard::model::outcome::{Reply, StateChange};
use switchboard::store::work::{Answer, Swept};

use crate::support::arrivals::{Post, status};
use crate::support::depot::{Depot, ROUTE, done, done_with_state};

const ID: &str = "01K00000000000000000000001";
const OTHER_ID: &str = "01K00000000000000000000002";
const SECOND: Duration = Duration::from_secs(1);
const UNCONFIRMED: Swept = Swept { unconfirmed: 1, forgotten: 0 };

fn accepted() -> Answer {
    Answer::Accepted(ID.to_owned())
}

fn not_processed(after: Duration, drain: bool) -> Answer {
    Answer::NotProcessed { after, drain }
}

/// A status that echoes the mark of a message.
fn marked(depot: &Depot, message: MessageId, word: &str) -> Post {
    let data = mark::apply(None, message.ulid()).unwrap();
    status(&depot.clock, ID, word)
        .with("callbackData", serde_json::from_str::<serde_json::Value>(&data).unwrap())
}

/// The conversation's window as the next delivery shows it.
async fn window(depot: &Depot) -> Window {
    depot.accept(status(&depot.clock, &depot.clock.ulid().to_string(), "sent").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done_with_state(StateChange::Keep)).await);
    delivery.context.conversation.unwrap().window
}

/// Ana writes and is answered with several texts.
async fn queue_texts(depot: &Depot, texts: &[&str]) {
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    let replies = texts.iter().map(|text| Reply::text(*text)).collect();
    assert!(depot.settle(&delivery, done(replies, Vec::new())).await);
}
