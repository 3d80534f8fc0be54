//! What goes when a customer is erased, and what retention takes away row by row, as both databases do it.
//!
//! To make a new table part of it: one line in [`ERASED`], and one in [`BY_ROW`] where it grows with traffic.

use crate::model::id::JobId;
use crate::model::retention::{Erased, Keep, Purged};
use crate::store::rows::millis;

/// The most rows of a kind that one transaction of a purge, or one step of an erasure, takes: few enough that nobody waits for
/// it.
pub const BATCH: i64 = 500;

/// What rows of a table belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// An event.
    Event,
    /// A message.
    Message,
    /// A conversation.
    Conversation,
    /// The customer.
    Customer,
}

/// One table that holds something of a customer.
#[derive(Debug)]
pub struct Holding {
    /// Its name.
    pub table: &'static str,
    /// The column that says whose a row is.
    pub column: &'static str,
    /// What stands in it.
    pub of: Of,
    /// Where its rows are counted.
    pub count: fn(&mut Erased, u64),
}

/// Everything that holds something of a customer, in the order in which it goes. The index of callback data and the rows of
/// `customers` themselves go apart.
///
/// `dedupe` stays: it holds nothing but ids and digests, and a delivery that is repeated must not bring back what was
/// erased. So does `repeats`, which holds the ids of events and numbers.
pub const ERASED: [Holding; 14] = [
    Holding {
        table: "bodies",
        column: "event_id",
        of: Of::Event,
        count: |erased, rows| erased.bodies += rows,
    },
    // Before what became of them: a job that is being settled meanwhile leaves it here.
    Holding { table: "jobs", column: "event_id", of: Of::Event, count: |erased, rows| erased.jobs += rows },
    Holding {
        table: "jobs",
        column: "message_id",
        of: Of::Message,
        count: |erased, rows| erased.jobs += rows,
    },
    Holding {
        table: "outcomes",
        column: "event_id",
        of: Of::Event,
        count: |erased, rows| erased.jobs += rows,
    },
    Holding {
        table: "outcomes",
        column: "message_id",
        of: Of::Message,
        count: |erased, rows| erased.jobs += rows,
    },
    Holding { table: "idempotency", column: "message_id", of: Of::Message, count: |_, _| {} },
    Holding { table: "sends", column: "message_id", of: Of::Message, count: |_, _| {} },
    Holding {
        table: "messages",
        column: "id",
        of: Of::Message,
        count: |erased, rows| erased.messages += rows,
    },
    Holding { table: "events", column: "id", of: Of::Event, count: |erased, rows| erased.events += rows },
    Holding {
        table: "handler_state",
        column: "conversation_id",
        of: Of::Conversation,
        count: |erased, rows| erased.states += rows,
    },
    Holding { table: "rule_uses", column: "conversation_id", of: Of::Conversation, count: |_, _| {} },
    Holding {
        table: "conversations",
        column: "id",
        of: Of::Conversation,
        count: |erased, rows| erased.conversations += rows,
    },
    Holding {
        table: "identities",
        column: "customer_id",
        of: Of::Customer,
        count: |erased, rows| erased.identities += rows,
    },
    Holding { table: "customers", column: "id", of: Of::Customer, count: |_, _| {} },
];

/// What of a customer goes in steps, since it grows with traffic: as long as no job is about it, nothing happens to it any
/// more.
#[derive(Debug)]
pub struct Finished {
    /// The table that the steps go through.
    pub table: &'static str,
    /// The column of `jobs` that says that one is about a row.
    pub job: &'static str,
    /// What else goes with a row.
    pub of: Of,
}

/// Everything that goes in steps.
pub const FINISHED: [Finished; 2] = [
    Finished { table: "events", job: "event_id", of: Of::Event },
    Finished { table: "messages", job: "message_id", of: Of::Message },
];

/// Before what a row has to lie, to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// This time, in milliseconds.
    Time(i64),
    /// The first id that a time can have.
    Id(JobId),
}

/// Rows that are taken away by a statement with the bound as `$1`, and the number of rows as `$2`.
#[derive(Debug)]
pub struct Step {
    /// What it takes.
    pub statement: &'static str,
    /// Its bound.
    pub before: fn(&Keep) -> Before,
    /// Where its rows are counted.
    pub count: fn(&mut Purged, u64),
}

/// What goes row by row in the same way on both databases. A job that waits or runs stays, however old it is.
pub const BY_ROW: [Step; 4] = [
    Step {
        statement: "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs WHERE parked_at IS NOT NULL AND id < $1 ORDER BY id LIMIT $2)",
        before: |keep| Before::Id(JobId::first_at(keep.events_since)),
        count: |purged, rows| purged.jobs += rows,
    },
    // A job's first id is an event's, too: both begin with the time.
    Step {
        statement: "DELETE FROM repeats WHERE event_id IN (
             SELECT event_id FROM repeats WHERE event_id < $1 ORDER BY event_id LIMIT $2)",
        before: |keep| Before::Id(JobId::first_at(keep.events_since)),
        count: |_, _| {},
    },
    Step {
        statement: "DELETE FROM idempotency WHERE (account, key) IN (
             SELECT account, key FROM idempotency WHERE created_at < $1 LIMIT $2)",
        before: |keep| Before::Time(millis(keep.requests_since)),
        count: |_, _| {},
    },
    Step {
        statement: "DELETE FROM rule_uses WHERE (route, rule, conversation_id) IN (
             SELECT route, rule, conversation_id FROM rule_uses WHERE used_at < $1 LIMIT $2)",
        before: |keep| Before::Time(millis(keep.events_since)),
        count: |_, _| {},
    },
];

/// Messages that no job is about any more, the oldest first: those with an id before `$1`, at most `$2`.
pub const OLD_MESSAGES: &str = "SELECT m.id, m.callback_data FROM messages m
    WHERE m.id < $1 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.message_id = m.id)
    ORDER BY m.id LIMIT $2";

/// Whether nothing is left of a conversation `c`, with the bound as `$1`.
pub const IS_EMPTY: &str = "c.last_event_at < $1 AND c.created_at < $1
    AND NOT EXISTS (SELECT 1 FROM events e WHERE e.conversation_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.conversation_id = c.id)
    AND NOT EXISTS (SELECT 1 FROM conversations s WHERE s.merged_into = c.id)";

/// Customers without a conversation who did not opt out, at most `$2`, with the bound as `$1`.
pub const IDLE_CUSTOMERS: &str = "SELECT c.id FROM customers c
    WHERE c.opted_out_at IS NULL AND c.created_at < $1
      AND NOT EXISTS (SELECT 1 FROM conversations o WHERE o.customer_id = c.id)
    ORDER BY c.id LIMIT $2";

/// What a customer's number or user id looks like in bytes that nobody understood: with or without its plus.
pub fn trace(name: &str) -> &[u8] {
    name.strip_prefix('+').unwrap_or(name).as_bytes()
}

/// Whether bytes that nobody understood hold one of these names, and not as a part of a longer one: that is somebody else's.
pub fn holds_trace(body: &[u8], names: &[String]) -> bool {
    names.iter().map(|name| trace(name)).filter(|trace| !trace.is_empty()).any(|trace| {
        let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let alone = |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| body.get(before));
            !is_part(before) && !is_part(body.get(at + trace.len()))
        };
        let places = body.windows(trace.len()).enumerate().filter(|(_, part)| *part == trace);
        places.map(|(at, _)| at).any(|at| alone(&at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_alone_and_not_as_a_part_of_another() {
        let names = ["+15550100001".to_owned(), "US.77".to_owned()];
        for body in [r#"{"who":"+15550100001"}"#, "15550100001", "to US.77, and", "155501000019 15550100001"]
        {
            assert!(holds_trace(body.as_bytes(), &names), "{body}");
        }
        for body in ["", "155501000019", "0015550100001", "US.770", "AUS.77", "1555010000"] {
            assert!(!holds_trace(body.as_bytes(), &names), "{body}");
        }
    }
}
