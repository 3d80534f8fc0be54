//! How messages fared in a span of time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// Which figures are asked for: counting everything of a busy day takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "any of them may be asked for")]
pub struct Parts {
    /// Messages by their state, and how far they came.
    pub funnel: bool,
    /// How long the steps took.
    pub lag: bool,
    /// Failed messages from four sides.
    pub failures: bool,
    /// What waits.
    pub queue: bool,
}

impl Parts {
    /// The names, in the order of the answer.
    pub const NAMES: [&str; 4] = ["funnel", "lag", "failures", "queue"];
    /// Everything.
    pub const ALL: Self = Self { funnel: true, lag: true, failures: true, queue: true };

    /// Reads names that are separated by commas; nothing when one of them is not known.
    pub fn parse(text: &str) -> Option<Self> {
        let names: Vec<&str> = text.split(',').collect();
        let [funnel, lag, failures, queue] = Self::NAMES.map(|name| names.contains(&name));
        names.iter().all(|name| Self::NAMES.contains(name)).then_some(Self { funnel, lag, failures, queue })
    }
}

/// What a store counts: everything else follows from it. Parts that were not asked for are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Messages by their state.
    pub states: BTreeMap<String, u64>,
    /// Failed messages.
    pub failures: Vec<Failures>,
    /// How long the steps took, each by its name.
    pub lags: BTreeMap<&'static str, Lag>,
    /// When the job that has been due longest, and waits for nobody, fell due.
    pub oldest_due_at: Option<Timestamp>,
}

/// Failed messages that have all of this in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// Why.
    pub code: Option<String>,
    /// Of which campaign.
    pub campaign: Option<String>,
    /// From which number of the business.
    pub business: Option<String>,
    /// Made in which hour since 1970.
    pub hour: i64,
    /// How many.
    pub count: u64,
}

/// How long a step took, in milliseconds: half of the messages at most this long, and 95 of 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Lag {
    /// The median.
    pub p50_ms: i64,
    /// The 95th percentile.
    pub p95_ms: i64,
}

/// How far messages came: each is counted at every step that it has behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Funnel {
    /// All.
    pub messages: u64,
    /// Connectly took them.
    pub accepted: u64,
    /// They left for the customer.
    pub sent: u64,
    /// They arrived.
    pub delivered: u64,
    /// They were read.
    pub read: u64,
}

/// A value, and how many failed messages have it.
pub type Share<T> = (T, u64);

/// Failed messages from four sides, the most frequent value first, hours in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breakdown {
    /// By code.
    pub codes: Vec<Share<Option<String>>>,
    /// By campaign.
    pub campaigns: Vec<Share<Option<String>>>,
    /// By number of the business.
    pub businesses: Vec<Share<Option<String>>>,
    /// By the hour in which they were made.
    pub hours: Vec<Share<Timestamp>>,
}

impl Figures {
    /// How far messages came. A message that failed is only counted as one.
    pub fn funnel(&self) -> Funnel {
        let of = |states: &[&str]| states.iter().filter_map(|state| self.states.get(*state)).sum();
        Funnel {
            messages: self.states.values().sum(),
            accepted: of(&["accepted", "sent", "delivered", "read"]),
            sent: of(&["sent", "delivered", "read"]),
            delivered: of(&["delivered", "read"]),
            read: of(&["read"]),
        }
    }

    /// Failed messages from four sides.
    pub fn breakdown(&self) -> Breakdown {
        let hours = by(&self.failures, |failures| failures.hour).into_iter();
        let start = |hour: i64| Timestamp::from_millisecond(hour.saturating_mul(HOUR_MS)).unwrap_or_default();
        Breakdown {
            codes: ranked(by(&self.failures, |failures| failures.code.clone())),
            campaigns: ranked(by(&self.failures, |failures| failures.campaign.clone())),
            businesses: ranked(by(&self.failures, |failures| failures.business.clone())),
            hours: hours.map(|(hour, count)| (start(hour), count)).collect(),
        }
    }
}

fn by<K: Ord>(failures: &[Failures], key: impl Fn(&Failures) -> K) -> BTreeMap<K, u64> {
    let mut shares = BTreeMap::new();
    for failure in failures {
        *shares.entry(key(failure)).or_default() += failure.count;
    }
    shares
}

fn ranked<K>(shares: BTreeMap<K, u64>) -> Vec<Share<K>> {
    let mut ranked: Vec<_> = shares.into_iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(code: &str, campaign: Option<&str>, hour: i64, count: u64) -> Failures {
        let (code, campaign) = (Some(code.to_owned()), campaign.map(ToOwned::to_owned));
        Failures { code, campaign, business: None, hour, count }
    }

    #[test]
    fn parts_are_read_by_their_names() {
        assert_eq!(Parts::parse("funnel,lag,failures,queue"), Some(Parts::ALL));
        let failures = Parts { funnel: false, lag: false, failures: true, queue: false };
        assert_eq!(Parts::parse("failures"), Some(failures));
        assert_eq!((Parts::parse(""), Parts::parse("failures,all")), (None, None));
    }

    #[test]
    fn a_message_is_counted_at_every_step_behind_it() {
        let states =
            [("queued", 1), ("accepted", 2), ("sent", 3), ("delivered", 4), ("read", 5), ("failed", 6)];
        let states = states.map(|(state, count)| (state.to_owned(), count)).into();
        let funnel = Figures { states, ..Figures::default() }.funnel();
        assert_eq!(funnel, Funnel { messages: 21, accepted: 14, sent: 12, delivered: 9, read: 5 });
    }

    #[test]
    fn failures_are_ranked_and_hours_stay_in_their_order() {
        let failures =
            vec![failures("A", Some("spring"), 2, 1), failures("B", None, 1, 2), failures("B", None, 3, 4)];
        let breakdown = Figures { failures, ..Figures::default() }.breakdown();
        assert_eq!(breakdown.codes, [(Some("B".to_owned()), 6), (Some("A".to_owned()), 1)]);
        assert_eq!(breakdown.campaigns, [(None, 6), (Some("spring".to_owned()), 1)]);
        assert_eq!(breakdown.businesses, [(None, 7)]);
        let hours: Vec<_> = breakdown.hours.iter().map(|(at, count)| (at.to_string(), *count)).collect();
        let expected =
            [("1970-01-01T01:00:00Z", 2), ("1970-01-01T02:00:00Z", 1), ("1970-01-01T03:00:00Z", 4)];
        assert_eq!(hours, expected.map(|(at, count)| (at.to_owned(), count)));
    }
}
