//! What holds of a ledger after any sequence of deliveries, however it is cut into groups.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use ulid::Ulid;

use super::*;

/// A delivery: its account, what it is about, and its version of the body.
type Sent = (u8, u8, u8);

/// The ledger after the groups so far, and what it said of every delivery.
#[derive(Default)]
struct Stored {
    ledger: BTreeMap<(String, DedupeKey), LedgerRow>,
    counts: BTreeMap<EventId, i64>,
    verdicts: Vec<Verdict>,
}

impl Stored {
    /// Judges one group as both databases do: insert what is missing, read it all, ask again for variants.
    fn group(&mut self, group: &[Arrival]) {
        let mut verdicts = BTreeMap::new();
        let mut round = Some(Round::first(group));
        for _ in 0..2 {
            let Some(asked) = round.take() else { break };
            let Judged { verdicts: settled, repeats, again } =
                asked.judge(group, &self.insert(asked.rows(group)));
            for (position, verdict) in settled {
                assert!(verdicts.insert(position, verdict).is_none(), "judged twice");
            }
            for (event, repeats) in repeats {
                *self.counts.entry(event).or_default() += repeats;
            }
            round = again;
        }
        assert!(round.is_none(), "two rounds settle everything");
        assert_eq!(verdicts.len(), group.len(), "every delivery is judged");
        self.verdicts.extend(verdicts.into_values());
    }

    fn insert(&mut self, rows: Vec<LedgerRow>) -> Vec<LedgerRow> {
        let written = rows.into_iter().map(|row| {
            let key = (row.account.clone(), row.key.clone());
            let older = self.ledger.get(&key).map(|known| LedgerRow { inserted: false, ..known.clone() });
            older.unwrap_or_else(|| self.ledger.entry(key).or_insert(row).clone())
        });
        written.collect()
    }
}

fn arrival(id: usize, (account, about, version): Sent) -> Arrival {
    let body = format!(
        r#"{{"timestamp":"{version}","statusUpdate":{{"id":"0000000000000000000000000{about}","status":"sent"}}}}"#
    );
    let id = EventId::new(Ulid(id as u128));
    Arrival::read(id, format!("account-{account}"), Timestamp::UNIX_EPOCH, Bytes::from(body))
}

/// Every delivery in order with its arrival, by group.
fn arrivals(groups: &[Vec<Sent>]) -> Vec<Vec<Arrival>> {
    let mut number = 0;
    let mut next = |sent: &Sent| {
        number += 1;
        arrival(number, *sent)
    };
    groups.iter().map(|group| group.iter().map(&mut next).collect()).collect()
}

fn judged(groups: &[Vec<Arrival>]) -> Stored {
    let mut stored = Stored::default();
    for group in groups {
        stored.group(group);
    }
    stored
}

fn groups() -> impl Strategy<Value = Vec<Vec<Sent>>> {
    prop::collection::vec(prop::collection::vec((0_u8..2, 0_u8..3, 0_u8..3), 1..8), 1..6)
}

proptest! {
    #[test]
    fn each_key_is_fresh_once_and_each_other_body_kept_once(groups in groups()) {
        let arrivals = arrivals(&groups);
        let stored = judged(&arrivals);
        let mut seen = BTreeMap::new();
        let mut known = BTreeSet::new();
        let sent = groups.iter().flatten().zip(arrivals.iter().flatten());
        for ((&sent, arrival), verdict) in sent.zip(&stored.verdicts) {
            let (account, about, _) = sent;
            let expected = match seen.get(&sent) {
                Some(event) => Verdict::Repeat(*event),
                None if known.insert((account, about)) => Verdict::Fresh,
                None => Verdict::Variant,
            };
            prop_assert_eq!(*verdict, expected);
            seen.entry(sent).or_insert(arrival.id);
        }
        let repeats = stored.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Repeat(_)));
        prop_assert_eq!(stored.counts.values().sum::<i64>(), repeats.map(|_| 1).sum::<i64>());
    }

    #[test]
    fn the_cut_into_groups_changes_nothing(groups in groups()) {
        let arrivals = arrivals(&groups);
        let (cut, whole) = (judged(&arrivals), judged(&[arrivals.concat()]));
        prop_assert_eq!(cut.verdicts, whole.verdicts);
        prop_assert_eq!(cut.counts, whole.counts);
    }

    #[test]
    fn a_group_committed_twice_adds_nothing(groups in groups()) {
        let arrivals = arrivals(&groups);
        let mut stored = judged(&arrivals);
        let Stored { ledger, counts, verdicts: first } = std::mem::take(&mut stored);
        stored.ledger.clone_from(&ledger);
        for group in &arrivals {
            stored.group(group);
        }
        prop_assert_eq!(stored.ledger.len(), ledger.len());
        let requests = arrivals.iter().flatten();
        for ((again, before), request) in stored.verdicts.iter().zip(first).zip(requests) {
            let event = if let Verdict::Repeat(event) = before { event } else { request.id };
            prop_assert_eq!(*again, Verdict::Repeat(event));
        }
        stored.counts.retain(|_, repeats| *repeats > 0);
        prop_assert_eq!(stored.counts, counts, "a request counts no repeat of itself");
    }
}
