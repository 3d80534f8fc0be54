//! Our ids: ULIDs, told apart by what they are the id of.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The id of one kind of thing. It sorts by the time it was made and prints as a ULID.
pub struct Id<Of> {
    ulid: Ulid,
    of: PhantomData<fn() -> Of>,
}

/// What an [`EventId`] is the id of.
pub enum EventTag {}
/// What a [`ConversationId`] is the id of.
pub enum ConversationTag {}
/// What a [`CustomerId`] is the id of.
pub enum CustomerTag {}
/// What a [`MessageId`] is the id of.
pub enum MessageTag {}
/// What a [`JobId`] is the id of.
pub enum JobTag {}

/// The id of a stored delivery.
pub type EventId = Id<EventTag>;
/// The id of one customer's conversation with one business number.
pub type ConversationId = Id<ConversationTag>;
/// The id of a customer.
pub type CustomerId = Id<CustomerTag>;
/// The id of a message, always ours.
pub type MessageId = Id<MessageTag>;
/// The id of a unit of work.
pub type JobId = Id<JobTag>;

impl<Of> Id<Of> {
    /// Takes a ULID that was made for this kind of thing.
    pub const fn new(ulid: Ulid) -> Self {
        Self { ulid, of: PhantomData }
    }

    /// The 128 bits.
    pub const fn ulid(self) -> Ulid {
        self.ulid
    }

    /// The smallest id that can be made at a time: ids from this one on were made then or later.
    pub fn first_at(at: Timestamp) -> Self {
        let millis = u128::try_from(at.as_millisecond()).unwrap_or(0);
        Self::new(Ulid(millis << 80))
    }

    /// Reads what [`fmt::Display`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 26).then(|| Ulid::from_string(text).ok().map(Self::new)).flatten()
    }
}

impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Of> Copy for Id<Of> {}

impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.ulid == other.ulid
    }
}

impl<Of> Eq for Id<Of> {}

impl<Of> PartialOrd for Id<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Of> Ord for Id<Of> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ulid.cmp(&other.ulid)
    }
}

impl<Of> Hash for Id<Of> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ulid.hash(state);
    }
}

impl<Of> fmt::Display for Id<Of> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ulid.fmt(formatter)
    }
}

impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ulid.fmt(formatter)
    }
}

impl<Of> Serialize for Id<Of> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<Of> PartialSchema for Id<Of> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
            .description(Some("A ULID. Ids of one kind sort by the time they were made."))
            .examples(["01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z"])
            .into()
    }
}

impl<Of> ToSchema for Id<Of> {}

impl<'de, Of> Deserialize<'de> for Id<Of> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a ULID"))
    }
}
