//! Messages to queue: their places in their conversations' lanes, and the jobs that send them.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::group::NewJob;
use crate::connectly::order::Order;
use crate::model::id::{ConversationId, JobId, MessageId};
use crate::model::job::{JobKind, Lane, place_of_send};
use crate::model::message::Origin;

/// A message to insert, with the job that sends it.
#[derive(Clone)]
pub struct NewMessage {
    /// Its id.
    pub id: MessageId,
    /// The account.
    pub account: String,
    /// The conversation it leaves in.
    pub conversation: ConversationId,
    /// Where it comes from.
    pub origin: Origin,
    /// The job whose outcome it is, and its place there.
    pub caused_by: Option<(JobId, i64)>,
    /// Connectly's `message` object, or `{"template": {...}}`.
    pub content: Value,
    /// The template to send once the window is closed.
    pub fallback: Option<Value>,
    /// What is echoed, as JSON text.
    pub callback_data: Option<String>,
    /// The campaign it is counted under.
    pub campaign: Option<String>,
    /// What it waits for at Connectly.
    pub order: Option<Order>,
    /// Whether it is the confirmation of an opt-out.
    pub confirms_opt_out: bool,
}

impl std::fmt::Debug for NewMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "NewMessage({})", self.id)
    }
}

/// How many sequence numbers each conversation needs for the messages.
pub fn wanted(messages: &[NewMessage]) -> Vec<(ConversationId, i64)> {
    let mut wanted: BTreeMap<ConversationId, i64> = BTreeMap::new();
    for message in messages {
        *wanted.entry(message.conversation).or_default() += 1;
    }
    wanted.into_iter().collect()
}

/// The jobs that send the messages, with the numbers that were reserved: `last` is each conversation's last one.
pub fn send_jobs(
    messages: &[NewMessage],
    last: &[(ConversationId, i64)],
    new_id: impl Fn() -> JobId,
) -> Vec<NewJob> {
    let reserved: HashMap<_, _> = wanted(messages).into_iter().collect();
    let first = |(id, last): &(ConversationId, i64)| (*id, last - reserved.get(id).copied().unwrap_or(0));
    let mut next: HashMap<ConversationId, i64> = last.iter().map(first).collect();
    let jobs = messages.iter().map(|message| {
        let number = next.entry(message.conversation).or_default();
        *number += 1;
        let place = place_of_send(message.origin, *number);
        send_job(new_id(), &message.account, message.id, message.conversation, place)
    });
    jobs.collect()
}

/// The job that sends a message.
pub fn send_job(
    id: JobId,
    account: &str,
    message: MessageId,
    conversation: ConversationId,
    place: i64,
) -> NewJob {
    NewJob {
        id,
        kind: JobKind::Send,
        account: account.to_owned(),
        route: String::new(),
        event: None,
        message: Some(message),
        conversation: Some(conversation),
        lane: Some(Lane::of_sends(conversation)),
        sequence: place,
        run: 0,
        parked: None,
        offered: None,
    }
}
