//! Who a customer is: one person may be seen by phone, by user id, or by both. [`super::directory`] tells them apart.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::connectly::event::party::Party;
use crate::model::id::CustomerId;

/// What a customer can be known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityKind {
    /// A phone number in normal form.
    Phone,
    /// A business-scoped user id.
    UserId,
    /// The id of a customer of ours that turned out to be this one.
    FormerId,
}

impl IdentityKind {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::UserId => "user_id",
            Self::FormerId => "former_id",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Phone, Self::UserId, Self::FormerId].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One identity within an account.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// By what.
    pub kind: IdentityKind,
    /// The phone or user id.
    pub value: String,
}

/// What is stored of a customer.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerRecord {
    /// Our id.
    pub id: CustomerId,
    /// The account.
    pub account: String,
    /// The phone number in force.
    pub phone: Option<String>,
    /// The user id in force.
    pub user_id: Option<String>,
    /// The newest name.
    pub name: Option<String>,
    /// When the customer opted out, if they did.
    pub opted_out_at: Option<Timestamp>,
}

/// Two stored customers that are one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// Who stays.
    pub survivor: CustomerId,
    /// Who becomes the survivor.
    pub absorbed: CustomerId,
}

/// What to write, in this order.
#[derive(Default)]
pub struct Changes {
    /// Customers that are new.
    pub created: Vec<CustomerRecord>,
    /// Customers whose phone, user id or name changed.
    pub changed: Vec<CustomerRecord>,
    /// Identities that are new.
    pub added: Vec<(Identity, CustomerId)>,
    /// Identities that belong to somebody else now: from, to.
    pub moved: Vec<(Identity, CustomerId, CustomerId)>,
    /// Customers that became one, one merge after the other; whatever else the absorbed one had goes to the survivor.
    pub merges: Vec<Merge>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self { created, changed, added, moved, merges } = self;
        created.is_empty() && changed.is_empty() && added.is_empty() && moved.is_empty() && merges.is_empty()
    }

    /// The stored customers this changes, in the order of their ids.
    pub fn touched(&self) -> Vec<CustomerId> {
        let merged = self.merges.iter().flat_map(|merge| [merge.survivor, merge.absorbed]);
        let all: BTreeSet<_> = self.changed.iter().map(|customer| customer.id).chain(merged).collect();
        all.into_iter().collect()
    }
}

/// The identities a party shows.
pub fn identities(account: &str, party: &Party) -> Vec<Identity> {
    let phone = party.phone.iter().map(|value| (IdentityKind::Phone, value));
    let user_id = party.user_id.iter().map(|value| (IdentityKind::UserId, value));
    let all = phone.chain(user_id);
    all.map(|(kind, value)| Identity { account: account.to_owned(), kind, value: value.clone() }).collect()
}

/// The identities that parties show, each once, sorted.
pub fn shown<'a>(parties: impl IntoIterator<Item = (&'a str, &'a Party)>) -> Vec<Identity> {
    let shown = parties.into_iter().flat_map(|(account, party)| identities(account, party));
    shown.collect::<BTreeSet<_>>().into_iter().collect()
}
