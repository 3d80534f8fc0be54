//! Following a message until it got as far as it gets.

use std::time::Duration;

use serde_json::Value;

use crate::cli::admin::{Admin, Document, Query};
use crate::cli::list::{text, tree};
use crate::cli::terminal::Terminal;
use crate::clock::Clock;

/// How long a message is followed, and how often it is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// At most this long: a phone may be switched off for days.
    pub limit: Duration,
    /// Between two looks: what a person does not notice.
    pub pause: Duration,
}

/// As the help says.
pub(super) const PATIENCE: Patience =
    Patience { limit: Duration::from_secs(30), pause: Duration::from_millis(250) };

/// How a message's way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is on the customer's phone. Whether it is read may never be told.
    Arrived,
    /// It will not get there.
    Lost,
    /// It is still under way.
    Open,
}

impl End {
    /// How the way of a message in this state ended. A failed one may have a template that goes out instead: then its state
    /// is the template's.
    pub(super) fn of(state: &str) -> Self {
        match state {
            "delivered" | "read" => Self::Arrived,
            "failed" | "expired" | "suppressed" => Self::Lost,
            _ => Self::Open,
        }
    }
}

/// Looks at a message until its way ended or the time is over, and answers how it was then. A server that is away for a
/// while is waited for.
pub(super) async fn follow(
    id: &str,
    patience: Patience,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<(Document, Value)> {
    let watch = clock.stopwatch();
    loop {
        let over = watch.elapsed() >= patience.limit;
        match admin.get(&["messages", id], &Query::new()).await {
            Ok(message) => {
                let read = tree(message.get());
                let state = text(&read, "/state");
                if over || End::of(&state) != End::Open {
                    terminal.clear_progress()?;
                    return Ok((message, read));
                }
                terminal.progress(&state)?;
            }
            Err(error) if !over && error.is_passing() => {}
            Err(error) => {
                let known = format!("message {id} is queued, and how it goes on is not known");
                return Err(anyhow::Error::new(error).context(known));
            }
        }
        tokio::time::sleep(patience.pause).await;
    }
}
