//! What of callback data is put into the index by which people find it.

use sqlx::FromRow;
use ulid::Ulid;

use crate::model::callback::CallbackKey;
use crate::model::id::{EventId, Id};

/// A key, and the event or message whose callback data has it.
pub type KeyOf = (CallbackKey, Ulid);

/// An event or a message with the callback data it carries.
#[derive(FromRow)]
pub struct Carrier<Id> {
    /// Its id.
    pub id: Id,
    /// The data, as JSON text.
    pub callback_data: Option<String>,
}

/// An event that nobody understood.
#[derive(FromRow)]
pub struct Misunderstood {
    /// Its id and callback data.
    #[sqlx(flatten)]
    pub carrier: Carrier<EventId>,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl<Of> Carrier<Id<Of>> {
    /// What [`keys`] takes.
    pub fn as_pair(&self) -> (Id<Of>, Option<&str>) {
        (self.id, self.callback_data.as_deref())
    }
}

/// The keys of what carries callback data, in the order of the index.
pub fn keys<'a, Of>(carriers: impl IntoIterator<Item = (Id<Of>, Option<&'a str>)>) -> Vec<KeyOf> {
    let with_data = carriers.into_iter().filter_map(|(id, data)| Some((id, data?)));
    let mut keys: Vec<KeyOf> = with_data
        .flat_map(|(id, data)| CallbackKey::all_of(data).into_iter().map(move |key| (key, id.ulid())))
        .collect();
    keys.sort_unstable();
    keys
}
