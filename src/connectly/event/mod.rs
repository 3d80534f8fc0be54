//! What a webhook delivery says.
//!
//! [`decode`] cannot fail: the worst case is [`Kind::Unknown`], which is stored like everything else. It knows only what
//! was signed, so the same bytes always decode alike; the time of receipt and our ids are added by those who store it.
//!
//! To add a shape: a fixture under `tests/fixtures/webhooks/`, the reader in `inbound`, [`status`] or [`report`], for a
//! new topic a variant of `Topic`, and for a new kind of event an arm in `classify`.

pub mod content;
mod inbound;
pub mod json;
pub mod party;
#[cfg(test)]
mod properties;
pub mod report;
pub mod status;
mod timestamp;
mod topic;
mod tree;

use std::fmt;

use jiff::Timestamp;
use ulid::Ulid;

use self::content::Content;
use self::json::Object;
use self::party::{Business, Party};
use self::report::Report;
use self::status::StatusUpdate;
use self::topic::Topic;
use super::ids::ProviderMessageId;
use super::mark;
use super::text::bounded;

/// One delivery, read as far as it is unambiguous.
#[derive(Clone, PartialEq)]
pub struct Decoded {
    /// What happened.
    pub kind: Kind,
    /// The event's own time. Reports print ISO 8601, everything else Unix seconds as a text.
    pub occurred_at: Option<Timestamp>,
    /// Our side of the conversation.
    pub business: Option<Business>,
    /// The customer's side.
    pub customer: Option<Party>,
    /// Connectly's id of the message this event is about: for a status the one sent, for an inbound its own.
    pub provider_message_id: Option<ProviderMessageId>,
    /// Connectly's id of the message this one answers.
    pub in_reply_to: Option<ProviderMessageId>,
    /// The echoed callback data as JSON text, our mark taken out; `Some("null")` when it was null.
    pub callback_data: Option<String>,
    /// The message of ours that the mark names.
    pub mark: Option<Ulid>,
    /// The campaign's name, from any of the three places it is documented in.
    pub campaign: Option<String>,
}

/// What happened, and what only that kind of event has.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A customer wrote, tapped a button or picked from a list.
    Received(Content),
    /// The business wrote, seen by a registration with `echo`.
    Echo(Content),
    /// What became of a message.
    Status(StatusUpdate),
    /// A report is ready.
    Report(Report),
    /// A signed body that is none of these.
    Unknown,
}

/// Reads a body. The same bytes always give the same result, and no bytes panic.
pub fn decode(body: &[u8]) -> Decoded {
    let Some(envelope) = std::str::from_utf8(body).ok().and_then(Object::parse) else {
        return Decoded::unknown();
    };
    let (callback_data, mark) = match envelope.raw("callbackData").or_else(|| envelope.raw("callback_data")) {
        Some(raw) => {
            let (rest, mark) = mark::strip(raw);
            (rest.map(std::borrow::Cow::into_owned), mark)
        }
        None => (None, None),
    };
    let (kind, provider_message_id) = classify(&envelope);
    let (business, customer) = party::sides(&envelope, &kind);
    Decoded {
        occurred_at: envelope.text(&["timestamp"]).and_then(|text| timestamp::parse(&text)),
        in_reply_to: reply_reference(&envelope),
        campaign: campaign(&envelope),
        kind,
        business,
        customer,
        provider_message_id,
        callback_data,
        mark,
    }
}

/// Callback data and the two sides are nobody's business in a log.
impl fmt::Debug for Decoded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoded")
            .field("kind", &self.kind)
            .field("provider_message_id", &self.provider_message_id)
            .finish_non_exhaustive()
    }
}

impl Decoded {
    fn unknown() -> Self {
        Self {
            kind: Kind::Unknown,
            occurred_at: None,
            business: None,
            customer: None,
            provider_message_id: None,
            in_reply_to: None,
            callback_data: None,
            mark: None,
            campaign: None,
        }
    }
}

/// Tells the kinds apart by what is there, since inbound messages usually lack a topic. A topic only rules kinds out.
fn classify(envelope: &Object<'_>) -> (Kind, Option<ProviderMessageId>) {
    let topic = Topic::of(envelope);
    if topic == Topic::New {
        return (Kind::Unknown, None);
    }
    if topic == Topic::Report || topic == Topic::Unstated && envelope.object(&["report"]).is_some() {
        return (report::read(envelope).map_or(Kind::Unknown, Kind::Report), None);
    }
    if let Some(update) = envelope.object(&["statusUpdate", "status_update"]) {
        let id = update.filled(&["id"]).and_then(|id| ProviderMessageId::parse(&id));
        return (status::read(&update).map_or(Kind::Unknown, Kind::Status), id);
    }
    let Some(inbound) = inbound::read(envelope).filter(|_| topic != Topic::DeliveryStatus) else {
        return (Kind::Unknown, None);
    };
    let kind = if inbound.is_echo { Kind::Echo(inbound.content) } else { Kind::Received(inbound.content) };
    (kind, inbound.id)
}

fn reply_reference(envelope: &Object<'_>) -> Option<ProviderMessageId> {
    let names: &[&str] = &["replyToId", "reply_to_id"];
    let in_message = || envelope.object(&["message"])?.object(&["context"])?.filled(names);
    let id = envelope.object(&["context"]).and_then(|context| context.filled(names)).or_else(in_message)?;
    ProviderMessageId::parse(&id)
}

/// The first generation has `metadata.campaign_name` at the top on success and inside `statusUpdate` on failure, the
/// second `statusUpdate.metadata.campaignName` beside a null at the top.
fn campaign(envelope: &Object<'_>) -> Option<String> {
    let names: &[&str] = &["campaignName", "campaign_name"];
    let named =
        |object: &Object<'_>| object.object(&["metadata"]).and_then(|metadata| metadata.filled(names));
    let update = envelope.object(&["statusUpdate", "status_update"]);
    let found = named(envelope).or_else(|| named(&update?)).or_else(|| envelope.filled(names))?;
    Some(bounded(&found))
}
