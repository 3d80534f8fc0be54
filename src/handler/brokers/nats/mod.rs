//! NATS `JetStream`: publish under the job's id as `Nats-Msg-Id`, wait until the stream has acknowledged it.
//!
//! Which stream takes a subject is the operator's to say. It knows an id for as long as its duplicate window lasts, which
//! should therefore not be shorter than the route's `retry.max_age`.
//!
//! Nothing is given to a client that has no connection, for it would keep it and flush it later, whatever was decided about
//! the job meanwhile. What is in flight when a connection breaks may still be flushed by the next one, but ahead of
//! everything that is published then, so that its retry is the repeat that the stream drops.

mod inspect;
mod link;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};

pub(super) use self::inspect::inspect;
pub(super) use self::link::Links;
use self::link::{Connection, Link};
use super::publisher::{Broker, Message};
use crate::model::outcome::HandlerError;

/// The longest subject, in bytes: a server takes 4 KiB for a whole line of its protocol.
const LONGEST_SUBJECT: usize = 1024;
/// The header that says what the message is, and what it says.
const CONTENT_TYPE: &str = "Content-Type";
const JSON: &str = "application/json";

/// Publishes to a NATS server.
pub(super) struct Nats {
    link: Arc<Link>,
    /// How long an attempt may last.
    limit: Duration,
}

impl Nats {
    /// Takes a little less time than the route has, so that what was waited for is told.
    pub(super) fn new(link: Arc<Link>, timeout: Duration) -> Self {
        Self { link, limit: timeout * 9 / 10 }
    }

    async fn acknowledged(&self, context: &jetstream::Context, message: Message) -> Result<(), HandlerError> {
        let publish = PublishMessage::build()
            .payload(message.json.into())
            .header(NATS_MESSAGE_ID, message.id)
            .header(CONTENT_TYPE, JSON);
        let sent = context.send_publish(message.subject, publish).await;
        let answer = match sent {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        answer.map(|_| ()).map_err(|error| self.told(&error))
    }

    /// What an answer of the server means: the one table of them.
    fn told(&self, error: &PublishError) -> HandlerError {
        match error.kind() {
            PublishErrorKind::StreamNotFound => HandlerError::retry("no stream takes the subject"),
            PublishErrorKind::MaxPayloadExceeded => {
                HandlerError::fail("the event is larger than the NATS server takes (max_payload)")
            }
            PublishErrorKind::TimedOut => self.late(),
            PublishErrorKind::BrokenPipe | PublishErrorKind::MaxAckPending => {
                HandlerError::retry(format!("the event was not published: {}", error.kind()))
            }
            PublishErrorKind::WrongLastMessageId
            | PublishErrorKind::WrongLastSequence
            | PublishErrorKind::Other => refusal(error),
        }
    }

    fn late(&self) -> HandlerError {
        let known = self.link.trouble().map(|trouble| format!(": {trouble}")).unwrap_or_default();
        HandlerError::retry(format!(
            "the stream did not acknowledge the event within {:?}{known}",
            self.limit
        ))
    }
}

impl Broker for Nats {
    async fn publish(&self, message: Message) -> Result<(), HandlerError> {
        let mut late = pin!(tokio::time::sleep(self.limit));
        let context = tokio::select! {
            ready = self.link.ready() => ready.map_err(HandlerError::retry)?,
            () = &mut late => {
                let known = self.link.trouble().unwrap_or_else(|| "no answer".to_owned());
                let reason = format!("no connection to {} within {:?}: {known}", self.link.url(), self.limit);
                return Err(HandlerError::retry(reason));
            }
        };
        let connection = Connection::of(&context);
        tokio::select! {
            answer = self.acknowledged(&context, message) => answer,
            () = connection.lost() => {
                Err(HandlerError::retry("the connection was lost before the stream acknowledged the event"))
            }
            () = &mut late => Err(self.late()),
        }
    }
}

/// An answer that the stream gave, in its own words: they are about its settings and never quote a message.
fn refusal(error: &PublishError) -> HandlerError {
    let source =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    let Some(answer) = source else {
        return HandlerError::retry("what answered under the subject is no stream");
    };
    let reason = format!("the stream refuses the event: {answer}");
    match answer.error_code() {
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => {
            HandlerError::fail(reason)
        }
        _ => HandlerError::retry(reason),
    }
}

/// What NATS takes as the subject of a message.
pub(super) fn check_subject(subject: &str) -> Result<(), &'static str> {
    if subject.is_empty() {
        Err("is empty")
    } else if subject.len() > LONGEST_SUBJECT {
        Err("is longer than 1024 bytes")
    } else if subject.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Err("has a space or a control character in it")
    } else if subject.contains(['*', '>']) {
        Err("has a wildcard in it (* or >)")
    } else if subject.split('.').any(str::is_empty) {
        Err("has an empty token (a dot at an end, or two in a row)")
    } else if subject.starts_with('$') {
        Err("begins with $, which NATS keeps for itself")
    } else {
        Ok(())
    }
}
