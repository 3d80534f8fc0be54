//! Which deliveries of a group are new (P3).
//!
//! The ledger holds one row per account and key. A group asks for its keys at most twice: once as they are, and once for
//! bodies that differ from the one the key is known for, under the key and the body's digest.

#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, HashMap};

use crate::model::dedupe::{BodyHash, DedupeKey};
use crate::model::id::EventId;
use crate::store::arrival::Arrival;

/// A row of the ledger.
#[derive(Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The account.
    pub account: String,
    /// The key.
    pub key: DedupeKey,
    /// The digest of the body the key is known for.
    pub body_hash: BodyHash,
    /// The event that holds it.
    pub event: EventId,
    /// Whether this transaction inserted it: an event that comes again under its own id is a repeat all the same.
    pub inserted: bool,
}

impl std::fmt::Debug for LedgerRow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LedgerRow({})", self.event)
    }
}

/// What the ledger says of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody brought it before.
    Fresh,
    /// Its key is known with another body: kept once, without jobs.
    Variant,
    /// It is known already, as this event.
    Repeat(EventId),
}

/// One round of questions to the ledger: positions in the group with the key to ask for.
#[derive(Debug, Clone)]
pub struct Round {
    asked: Vec<(usize, DedupeKey)>,
    of_variants: bool,
}

/// What a round found out.
#[derive(Debug, Default)]
pub struct Judged {
    /// What is settled, by position in the group.
    pub verdicts: Vec<(usize, Verdict)>,
    /// Repeats to count, by the event that they repeat.
    pub repeats: BTreeMap<EventId, i64>,
    /// What has to be asked again, if anything.
    pub again: Option<Round>,
}

impl Round {
    /// The first round: every delivery under its own key.
    pub fn first(group: &[Arrival]) -> Self {
        let asked =
            group.iter().enumerate().map(|(position, arrival)| (position, arrival.key.clone())).collect();
        Self { asked, of_variants: false }
    }

    /// The rows to insert where they are missing, as if all were: one per account and key, sorted, so that two transactions take them in
    /// the same order.
    pub fn rows(&self, group: &[Arrival]) -> Vec<LedgerRow> {
        let mut rows = BTreeMap::new();
        for (position, key) in &self.asked {
            let arrival = &group[*position];
            rows.entry((key, &arrival.account)).or_insert_with(|| LedgerRow {
                account: arrival.account.clone(),
                key: key.clone(),
                body_hash: arrival.body_hash,
                event: arrival.id,
                inserted: true,
            });
        }
        rows.into_values().collect()
    }

    /// Tells from the ledger's rows, ours or older, which deliveries are new.
    pub fn judge(&self, group: &[Arrival], ledger: &[LedgerRow]) -> Judged {
        let known: HashMap<_, _> = ledger.iter().map(|row| ((&row.account, &row.key), row)).collect();
        let mut judged = Judged::default();
        let mut again = Vec::new();
        for (position, key) in &self.asked {
            let arrival = &group[*position];
            let Some(row) = known.get(&(&arrival.account, key)) else {
                continue;
            };
            if row.body_hash != arrival.body_hash {
                again.push((*position, key.variant(&arrival.body_hash)));
            } else if row.inserted && row.event == arrival.id {
                let verdict = if self.of_variants { Verdict::Variant } else { Verdict::Fresh };
                judged.verdicts.push((*position, verdict));
            } else {
                judged.verdicts.push((*position, Verdict::Repeat(row.event)));
                // The very same request, kept by an earlier try whose answer was lost, is nobody's repeat.
                if row.event != arrival.id {
                    *judged.repeats.entry(row.event).or_default() += 1;
                }
            }
        }
        judged.again = (!again.is_empty()).then_some(Self { asked: again, of_variants: true });
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jiff::Timestamp;
    use ulid::Ulid;

    fn arrival(id: u128, body: &str) -> Arrival {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Arrival::read(EventId::new(Ulid(id)), "default".into(), Timestamp::UNIX_EPOCH, body)
    }

    const SENT: &str = r#"{"statusUpdate":{"id":"01K00000000000000000000001","status":"sent"}}"#;
    const SENT_LATER: &str =
        r#"{"timestamp":"1767225600","statusUpdate":{"id":"01K00000000000000000000001","status":"sent"}}"#;

    #[test]
    fn repeats_within_a_group_are_one_event() {
        let group = [arrival(1, SENT), arrival(2, SENT), arrival(3, SENT)];
        let round = Round::first(&group);
        let rows = round.rows(&group);
        assert_eq!(rows.len(), 1);
        let judged = round.judge(&group, &rows);
        let first = group[0].id;
        let expected = [(0, Verdict::Fresh), (1, Verdict::Repeat(first)), (2, Verdict::Repeat(first))];
        assert_eq!(judged.verdicts, expected);
        assert_eq!(judged.repeats, [(first, 2)].into());
        assert!(judged.again.is_none());
    }

    #[test]
    fn another_body_under_a_known_key_is_kept_once_beside_it() {
        let group = [arrival(1, SENT), arrival(2, SENT_LATER), arrival(3, SENT_LATER)];
        let round = Round::first(&group);
        let judged = round.judge(&group, &round.rows(&group));
        assert_eq!(judged.verdicts, [(0, Verdict::Fresh)]);
        let again = judged.again.unwrap();
        let judged = again.judge(&group, &again.rows(&group));
        assert_eq!(judged.verdicts, [(1, Verdict::Variant), (2, Verdict::Repeat(group[1].id))]);
    }

    #[test]
    fn the_same_request_committed_twice_is_one_event_without_repeats() {
        let group = [arrival(1, SENT)];
        let round = Round::first(&group);
        let known: Vec<_> =
            round.rows(&group).into_iter().map(|row| LedgerRow { inserted: false, ..row }).collect();
        let judged = round.judge(&group, &known);
        assert_eq!(judged.verdicts, [(0, Verdict::Repeat(group[0].id))]);
        assert!(judged.repeats.is_empty());
    }

    #[test]
    fn rows_are_sorted_and_told_apart_by_account() {
        let mut other = arrival(2, SENT);
        other.account = "other".into();
        let group = [arrival(3, r#"{"timestamp":"1967225600"}"#), other, arrival(1, SENT)];
        let rows = Round::first(&group).rows(&group);
        assert_eq!(rows.len(), 3);
        assert!(
            rows.windows(2).all(|pair| (&pair[0].key, &pair[0].account) < (&pair[1].key, &pair[1].account))
        );
    }
}
