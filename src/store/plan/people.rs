//! Who a customer is: one person may be seen by phone, by user id, or by both.
//!
//! Numbers are recycled, so nobody inherits a stranger's history: a known phone that comes with another user id moves to
//! the customer of that user id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
}

impl IdentityKind {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::UserId => "user_id",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Phone, Self::UserId].into_iter().find(|kind| kind.as_str() == text)
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

/// The customers a group is about: what the store knows, and what the group adds.
#[derive(Default)]
pub struct Directory {
    identities: HashMap<Identity, CustomerId>,
    customers: BTreeMap<CustomerId, CustomerRecord>,
    added: BTreeMap<Identity, CustomerId>,
    moved: BTreeMap<Identity, (CustomerId, CustomerId)>,
    created: BTreeSet<CustomerId>,
    changed: BTreeSet<CustomerId>,
}

/// What to write.
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
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.created.is_empty() && self.changed.is_empty() && self.added.is_empty() && self.moved.is_empty()
    }
}

/// The identities a party shows.
pub fn identities(account: &str, party: &Party) -> Vec<Identity> {
    let phone = party.phone.iter().map(|value| (IdentityKind::Phone, value));
    let user_id = party.user_id.iter().map(|value| (IdentityKind::UserId, value));
    let all = phone.chain(user_id);
    all.map(|(kind, value)| Identity { account: account.to_owned(), kind, value: value.clone() }).collect()
}

impl Directory {
    /// Starts from what the store knows of the identities a group shows.
    pub fn new(known: Vec<(Identity, CustomerId)>, customers: Vec<CustomerRecord>) -> Self {
        let identities = known.into_iter().collect();
        let customers = customers.into_iter().map(|customer| (customer.id, customer)).collect();
        Self { identities, customers, ..Self::default() }
    }

    /// The customer a party is, made with `new_id` when nobody knows them.
    pub fn resolve(
        &mut self,
        account: &str,
        party: &Party,
        new_id: impl FnOnce() -> CustomerId,
    ) -> CustomerId {
        let shown = identities(account, party);
        let of_kind = |kind| shown.iter().find(|identity| identity.kind == kind);
        let by_phone =
            of_kind(IdentityKind::Phone).and_then(|identity| self.identities.get(identity).copied());
        let by_user_id =
            of_kind(IdentityKind::UserId).and_then(|identity| self.identities.get(identity).copied());
        let customer = match (by_user_id, by_phone) {
            // The phone's owner has another user id: the number was recycled.
            (None, Some(owner)) if party.user_id.is_some() && self.has_user_id(owner) => {
                self.create(account, new_id())
            }
            (Some(known), _) | (None, Some(known)) => known,
            (None, None) => self.create(account, new_id()),
        };
        for identity in shown {
            self.assign(identity, customer);
        }
        self.learn(customer, party);
        customer
    }

    /// A customer as known by now.
    pub fn customer(&self, id: CustomerId) -> Option<&CustomerRecord> {
        self.customers.get(&id)
    }

    /// What to write, each list sorted by its key.
    pub fn changes(self) -> Changes {
        let take = |ids: &BTreeSet<CustomerId>| {
            ids.iter().filter_map(|id| self.customers.get(id).cloned()).collect()
        };
        let changed: BTreeSet<_> = self.changed.difference(&self.created).copied().collect();
        Changes {
            created: take(&self.created),
            changed: take(&changed),
            added: self.added.into_iter().collect(),
            moved: self.moved.into_iter().map(|(identity, (from, to))| (identity, from, to)).collect(),
        }
    }

    fn has_user_id(&self, customer: CustomerId) -> bool {
        self.customers.get(&customer).is_some_and(|customer| customer.user_id.is_some())
    }

    fn create(&mut self, account: &str, id: CustomerId) -> CustomerId {
        let account = account.to_owned();
        let record =
            CustomerRecord { id, account, phone: None, user_id: None, name: None, opted_out_at: None };
        self.customers.insert(id, record);
        self.created.insert(id);
        id
    }

    fn assign(&mut self, identity: Identity, customer: CustomerId) {
        let previous = self.identities.insert(identity.clone(), customer);
        match previous {
            Some(owner) if owner == customer => {}
            Some(owner) if self.added.contains_key(&identity) => {
                self.added.insert(identity.clone(), customer);
                self.forget(owner, &identity);
            }
            Some(owner) => {
                let from = self.moved.get(&identity).map_or(owner, |(from, _)| *from);
                self.moved.insert(identity.clone(), (from, customer));
                self.forget(owner, &identity);
            }
            None => {
                self.added.insert(identity, customer);
            }
        }
    }

    fn forget(&mut self, owner: CustomerId, identity: &Identity) {
        let Some(record) = self.customers.get_mut(&owner) else {
            return;
        };
        let field = match identity.kind {
            IdentityKind::Phone => &mut record.phone,
            IdentityKind::UserId => &mut record.user_id,
        };
        *field = None;
        self.changed.insert(owner);
    }

    fn learn(&mut self, customer: CustomerId, party: &Party) {
        let Some(record) = self.customers.get_mut(&customer) else {
            return;
        };
        let before = record.clone();
        record.phone = party.phone.clone().or_else(|| record.phone.take());
        record.user_id = party.user_id.clone().or_else(|| record.user_id.take());
        record.name = party.name.clone().or_else(|| record.name.take());
        if *record != before {
            self.changed.insert(customer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    fn party(phone: Option<&str>, user_id: Option<&str>) -> Party {
        Party { phone: phone.map(Into::into), user_id: user_id.map(Into::into), name: None }
    }

    fn id(number: u128) -> CustomerId {
        CustomerId::new(Ulid(number))
    }

    #[test]
    fn one_customer_is_known_by_both_learned_in_either_order() {
        let mut directory = Directory::default();
        let first = directory.resolve("a", &party(Some("+15550100001"), None), || id(1));
        let both = directory.resolve("a", &party(Some("+15550100001"), Some("US.1")), || id(2));
        let last = directory.resolve("a", &party(None, Some("US.1")), || id(3));
        assert_eq!((first, both, last), (id(1), id(1), id(1)));
        let changes = directory.changes();
        assert_eq!((changes.created.len(), changes.added.len(), changes.moved.len()), (1, 2, 0));
    }

    #[test]
    fn accounts_do_not_share_customers() {
        let mut directory = Directory::default();
        let phone = party(Some("+15550100001"), None);
        assert_ne!(directory.resolve("a", &phone, || id(1)), directory.resolve("b", &phone, || id(2)));
    }

    #[test]
    fn a_recycled_number_takes_no_history_along() {
        let mut directory = Directory::default();
        directory.resolve("a", &party(Some("+15550100001"), Some("US.1")), || id(1));
        let stranger = directory.resolve("a", &party(Some("+15550100001"), Some("US.2")), || id(2));
        assert_eq!(stranger, id(2));
        assert_eq!(directory.customer(id(1)).unwrap().phone, None);
        assert_eq!(directory.resolve("a", &party(Some("+15550100001"), None), || id(3)), id(2));
    }
}
