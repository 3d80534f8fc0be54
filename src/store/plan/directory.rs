//! The customers a group is about: who of those it shows is known, who is new, and who turns out to be one.
//!
//! Two customers turn out to be one when an event carries an identity of each, and only one of them has a user id. With a
//! second user id they are two people: numbers are recycled, and nobody inherits a stranger's history, so the phone moves
//! to the customer of the user id it came with.

#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::people::{Changes, CustomerRecord, Identity, IdentityKind, Merge, identities};
use crate::connectly::event::party::Party;
use crate::model::id::CustomerId;

/// The customers a group is about: what the store knows, and what the group adds.
#[derive(Default)]
pub struct Directory {
    stored: HashMap<Identity, CustomerId>,
    identities: BTreeMap<Identity, CustomerId>,
    customers: BTreeMap<CustomerId, CustomerRecord>,
    created: BTreeSet<CustomerId>,
    changed: BTreeSet<CustomerId>,
    absorbed: HashMap<CustomerId, CustomerId>,
    merges: Vec<Merge>,
}

impl Directory {
    /// Starts from what the store knows of the identities a group shows.
    pub fn new(known: Vec<(Identity, CustomerId)>, customers: Vec<CustomerRecord>) -> Self {
        let stored: HashMap<_, _> = known.into_iter().collect();
        let identities = stored.iter().map(|(identity, customer)| (identity.clone(), *customer)).collect();
        let customers = customers.into_iter().map(|customer| (customer.id, customer)).collect();
        Self { stored, identities, customers, ..Self::default() }
    }

    /// The customer a party is, made with `new_id` when nobody knows them. Ask [`Self::survivor`] once all are resolved.
    pub fn resolve(
        &mut self,
        account: &str,
        party: &Party,
        new_id: impl FnOnce() -> CustomerId,
    ) -> CustomerId {
        let shown = identities(account, party);
        let owner = |kind| {
            let identity = shown.iter().find(|identity| identity.kind == kind)?;
            self.identities.get(identity).copied()
        };
        let customer = match (owner(IdentityKind::UserId), owner(IdentityKind::Phone)) {
            (Some(known), Some(owner)) if known != owner && !self.has_user_id(owner) => {
                self.merge(known, owner)
            }
            // The phone's owner has another user id: the number was recycled.
            (None, Some(owner)) if party.user_id.is_some() && self.has_user_id(owner) => {
                self.create(account, new_id())
            }
            (Some(known), _) | (None, Some(known)) => known,
            (None, None) => self.create(account, new_id()),
        };
        for identity in &shown {
            self.assign(identity, customer);
        }
        self.learn(customer, party);
        customer
    }

    /// Who a resolved customer is after all merges.
    pub fn survivor(&self, mut customer: CustomerId) -> CustomerId {
        while let Some(survivor) = self.absorbed.get(&customer) {
            customer = *survivor;
        }
        customer
    }

    /// A customer as known by now.
    pub fn customer(&self, id: CustomerId) -> Option<&CustomerRecord> {
        self.customers.get(&id)
    }

    /// What to write, each list but the merges sorted by its key.
    pub fn changes(self) -> Changes {
        let take = |ids: &BTreeSet<CustomerId>| {
            ids.iter().filter_map(|id| self.customers.get(id).cloned()).collect()
        };
        let changed: BTreeSet<_> = self.changed.difference(&self.created).copied().collect();
        let (mut added, mut moved) = (Vec::new(), Vec::new());
        for (identity, customer) in &self.identities {
            match self.stored.get(identity) {
                None => added.push((identity.clone(), *customer)),
                // A merge takes the identities along.
                Some(stored) if self.survivor(*stored) == *customer => {}
                Some(stored) => moved.push((identity.clone(), *stored, *customer)),
            }
        }
        Changes { created: take(&self.created), changed: take(&changed), added, moved, merges: self.merges }
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

    /// Makes two customers one: the stored one, or the older one, survives.
    fn merge(&mut self, one: CustomerId, other: CustomerId) -> CustomerId {
        let rank = |customer: &CustomerId| (self.created.contains(customer), *customer);
        let (survivor, absorbed) = if rank(&one) < rank(&other) { (one, other) } else { (other, one) };
        if !self.created.remove(&absorbed) {
            self.merges.push(Merge { survivor, absorbed });
        }
        self.changed.remove(&absorbed);
        self.changed.insert(survivor);
        self.absorbed.insert(absorbed, survivor);
        self.identities.values_mut().filter(|owner| **owner == absorbed).for_each(|owner| *owner = survivor);
        let from = self.customers.remove(&absorbed);
        if let (Some(record), Some(from)) = (self.customers.get_mut(&survivor), from) {
            record.phone = record.phone.take().or(from.phone);
            record.user_id = record.user_id.take().or(from.user_id);
            record.name = record.name.take().or(from.name);
        }
        survivor
    }

    fn assign(&mut self, identity: &Identity, customer: CustomerId) {
        let previous = self.identities.insert(identity.clone(), customer);
        if let Some(owner) = previous.filter(|owner| *owner != customer) {
            self.forget(owner, identity);
        }
    }

    fn forget(&mut self, owner: CustomerId, identity: &Identity) {
        let Some(record) = self.customers.get_mut(&owner) else {
            return;
        };
        match identity.kind {
            IdentityKind::Phone => record.phone = None,
            IdentityKind::UserId => record.user_id = None,
            IdentityKind::FormerId => {}
        }
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

    fn stored(phone: Option<&str>, user_id: Option<&str>, customer: CustomerId) -> Directory {
        let mut directory = Directory::default();
        store(&mut directory, phone, user_id, customer);
        directory
    }

    fn store(directory: &mut Directory, phone: Option<&str>, user_id: Option<&str>, id: CustomerId) {
        let party = party(phone, user_id);
        for identity in identities("a", &party) {
            directory.stored.insert(identity.clone(), id);
            directory.identities.insert(identity, id);
        }
        let Party { phone, user_id, name } = party;
        let record = CustomerRecord { id, account: "a".into(), phone, user_id, name, opted_out_at: None };
        directory.customers.insert(id, record);
    }

    #[test]
    fn two_known_customers_are_one_when_an_event_shows_both() {
        for (by_phone, by_user_id) in [(1, 2), (2, 1)] {
            let mut directory = stored(Some("+15550100001"), None, id(by_phone));
            store(&mut directory, None, Some("US.1"), id(by_user_id));
            let both = party(Some("+15550100001"), Some("US.1"));
            assert_eq!(directory.resolve("a", &both, || id(3)), id(1), "the older one survives");
            let changes = directory.changes();
            assert_eq!(changes.merges, [Merge { survivor: id(1), absorbed: id(2) }]);
            assert_eq!((changes.created.len(), changes.added.len(), changes.moved.len()), (0, 0, 0));
            let [survivor] = changes.changed.as_slice() else { panic!("one customer changed") };
            assert_eq!(survivor.phone.as_deref(), Some("+15550100001"));
            assert_eq!(survivor.user_id.as_deref(), Some("US.1"));
        }
    }

    #[test]
    fn who_a_group_itself_made_is_never_written_as_two() {
        let mut directory = stored(None, Some("US.1"), id(9));
        let first = directory.resolve("a", &party(Some("+15550100001"), None), || id(1));
        let both = directory.resolve("a", &party(Some("+15550100001"), Some("US.1")), || id(2));
        assert_eq!(
            (first, both, directory.survivor(first)),
            (id(1), id(9), id(9)),
            "the stored one survives"
        );
        let changes = directory.changes();
        assert_eq!((changes.created.len(), changes.merges.len()), (0, 0));
        assert_eq!(changes.added.len(), 1);
        assert_eq!(changes.added[0].1, id(9));
    }

    #[test]
    fn a_number_that_leaves_a_merged_customer_is_moved_from_where_it_is_stored() {
        let mut directory = stored(Some("+15550100001"), None, id(2));
        store(&mut directory, None, Some("US.1"), id(1));
        directory.resolve("a", &party(Some("+15550100001"), Some("US.1")), || id(3));
        let stranger = directory.resolve("a", &party(Some("+15550100001"), Some("US.2")), || id(4));
        assert_eq!(stranger, id(4));
        let changes = directory.changes();
        let moved: Vec<_> = changes.moved.iter().map(|(_, from, to)| (*from, *to)).collect();
        assert_eq!((changes.merges.len(), moved), (1, vec![(id(2), id(4))]));
    }
}
