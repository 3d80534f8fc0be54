//! What holds for every sequence of parties, however it is cut into groups.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ulid::Ulid;

use super::*;

/// What the store knows after the groups so far.
#[derive(Default)]
struct Stored {
    identities: BTreeMap<Identity, CustomerId>,
    customers: BTreeMap<CustomerId, CustomerRecord>,
    absorbed: BTreeMap<CustomerId, CustomerId>,
    made: u128,
}

impl Stored {
    /// Resolves one group and writes its changes as both databases do; gives whom each party was found to be.
    fn group(&mut self, parties: &[Party]) -> Vec<CustomerId> {
        let known =
            self.identities.iter().map(|(identity, customer)| (identity.clone(), *customer)).collect();
        let mut directory = Directory::new(known, self.customers.values().cloned().collect());
        let made = &mut self.made;
        let mut new_id = || {
            *made += 1;
            CustomerId::new(Ulid(*made))
        };
        let found: Vec<_> = parties.iter().map(|party| directory.resolve("a", party, &mut new_id)).collect();
        let found = found.into_iter().map(|customer| directory.survivor(customer)).collect();
        self.write(directory.changes());
        found
    }

    fn write(&mut self, changes: Changes) {
        for customer in changes.created {
            assert!(self.customers.insert(customer.id, customer).is_none(), "created twice");
        }
        for customer in changes.changed {
            assert!(self.customers.insert(customer.id, customer).is_some(), "changed, and never created");
        }
        for (identity, customer) in changes.added {
            assert!(self.identities.insert(identity, customer).is_none(), "added twice");
        }
        for (identity, from, to) in changes.moved {
            assert_eq!(self.identities.insert(identity, to), Some(from), "moved from somebody else");
        }
        for Merge { survivor, absorbed } in changes.merges {
            assert!(self.customers.remove(&absorbed).is_some(), "absorbed twice");
            self.identities
                .values_mut()
                .filter(|owner| **owner == absorbed)
                .for_each(|owner| *owner = survivor);
            self.absorbed.insert(absorbed, survivor);
        }
    }

    fn survivor(&self, mut customer: CustomerId) -> CustomerId {
        while let Some(survivor) = self.absorbed.get(&customer) {
            customer = *survivor;
        }
        customer
    }
}

/// Somebody with one of few numbers, one of few user ids, or both.
fn party() -> impl Strategy<Value = Party> {
    let few = || 0_u8..4;
    let shown = prop_oneof![
        few().prop_map(|phone| (Some(phone), None)),
        few().prop_map(|user_id| (None, Some(user_id))),
        (few(), few()).prop_map(|(phone, user_id)| (Some(phone), Some(user_id))),
    ];
    (shown, prop::option::of(few())).prop_map(|((phone, user_id), name)| Party {
        phone: phone.map(|n| format!("+1555010000{n}")),
        user_id: user_id.map(|n| format!("US.{n}")),
        name: name.map(|n| format!("Name {n}")),
    })
}

/// Parties in groups.
fn groups() -> impl Strategy<Value = Vec<Vec<Party>>> {
    prop::collection::vec(prop::collection::vec(party(), 1..6), 1..6)
}

/// Which of the parties are one person: the first of each, by position.
fn partition(found: &[CustomerId]) -> Vec<Option<usize>> {
    found.iter().map(|customer| found.iter().position(|other| other == customer)).collect()
}

/// Whom each party turned out to be in the end.
fn resolved(groups: &[Vec<Party>]) -> (Stored, Vec<CustomerId>) {
    let mut stored = Stored::default();
    let found: Vec<_> = groups.iter().flat_map(|group| stored.group(group)).collect();
    let found = found.into_iter().map(|customer| stored.survivor(customer)).collect();
    (stored, found)
}

proptest! {
    #[test]
    fn a_customer_is_found_by_what_is_known_of_them(groups in groups()) {
        let (stored, found) = resolved(&groups);
        prop_assert!(stored.identities.values().all(|owner| stored.customers.contains_key(owner)));
        prop_assert!(found.iter().all(|customer| stored.customers.contains_key(customer)));
        for CustomerRecord { id, phone, user_id, .. } in stored.customers.values().cloned() {
            for identity in identities("a", &Party { phone, user_id, name: None }) {
                prop_assert!(stored.identities.get(&identity) == Some(&id), "{}", identity.value);
            }
        }
    }

    #[test]
    fn a_user_id_is_one_person_and_no_other(groups in groups()) {
        let (_, found) = resolved(&groups);
        let mut people: BTreeMap<&str, BTreeSet<CustomerId>> = BTreeMap::new();
        for (party, customer) in groups.iter().flatten().zip(&found) {
            if let Some(user_id) = &party.user_id {
                people.entry(user_id).or_default().insert(*customer);
            }
        }
        prop_assert!(people.values().all(|customers| customers.len() == 1));
        let all: BTreeSet<_> = people.values().flatten().collect();
        prop_assert_eq!(all.len(), people.len(), "two user ids are two people");
    }

    #[test]
    fn the_cut_into_groups_changes_nothing(groups in groups()) {
        let (stored, found) = resolved(&groups);
        let (whole, found_whole) = resolved(&[groups.concat()]);
        prop_assert_eq!(partition(&found), partition(&found_whole));
        let known = |stored: &Stored| -> BTreeSet<_> {
            let record = |c: &CustomerRecord| (c.phone.clone(), c.user_id.clone(), c.name.clone());
            stored.customers.values().map(record).collect()
        };
        prop_assert_eq!(known(&stored), known(&whole));
    }
}
