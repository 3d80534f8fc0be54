//! What each account may send now: which ones wait, and what was claimed already without having drawn from the rate.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::connectly::throttle::Rate;
use crate::store::work::SendingAccount;

/// An account whose rate is used up is asked again no sooner, so that a long queue is claimed some messages at a time and
/// not one by one.
const BATCH: Duration = Duration::from_millis(10);

/// The accounts of this instance.
pub(super) struct Pace(Mutex<HashMap<String, Account>>);

struct Account {
    rate: Rate,
    /// When it may be tried again: its rate is used up, or its key was refused.
    waits_until: Option<Timestamp>,
    undrawn: u32,
}

impl Pace {
    pub(super) fn new(rates: impl Iterator<Item = (String, Rate)>) -> Self {
        let account = |(name, rate)| (name, Account { rate, waits_until: None, undrawn: 0 });
        Self(Mutex::new(rates.map(account).collect()))
    }

    /// The accounts that do not wait.
    pub(super) fn ready(&self, now: Timestamp) -> Vec<SendingAccount> {
        let mut accounts = self.lock();
        let ready = accounts.iter_mut().filter_map(|(name, account)| {
            account.waits_until = account.waits_until.filter(|until| *until > now);
            let Account { rate, undrawn, .. } = *account;
            account.waits_until.is_none().then(|| SendingAccount { name: name.clone(), rate, undrawn })
        });
        ready.collect()
    }

    /// Lets an account wait; the longest wait counts.
    pub(super) fn wait(&self, name: &str, now: Timestamp, delay: Duration) {
        let until = now.saturating_add(delay.max(BATCH)).unwrap_or(Timestamp::MAX);
        if let Some(account) = self.lock().get_mut(name) {
            account.waits_until = account.waits_until.max(Some(until));
        }
    }

    /// Notes that a send was claimed.
    pub(super) fn claimed(&self, name: &str) {
        if let Some(account) = self.lock().get_mut(name) {
            account.undrawn += 1;
        }
    }

    /// Notes that a claimed send has drawn from the rate, or will not.
    pub(super) fn drawn(&self, name: &str) {
        if let Some(account) = self.lock().get_mut(name) {
            account.undrawn = account.undrawn.saturating_sub(1);
        }
    }

    /// How many claimed sends have not drawn yet, over all accounts.
    pub(super) fn undrawn(&self) -> u32 {
        self.lock().values().map(|account| account.undrawn).sum()
    }

    /// How long until somebody waits no more.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let accounts = self.lock();
        let next = accounts.values().filter_map(|account| account.waits_until).min()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or_default() + Duration::from_millis(1))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        // Held for a few entries, never over an await; a panic meanwhile cannot have left the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use jiff::ToSpan as _;

    use super::*;

    fn pace() -> Pace {
        let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        Pace::new([("shop".to_owned(), rate)].into_iter())
    }

    #[test]
    fn the_longest_wait_counts_and_ends() {
        let (pace, now) = (pace(), Timestamp::UNIX_EPOCH);
        pace.wait("shop", now, Duration::from_mins(1));
        pace.wait("shop", now, Duration::from_secs(1));
        assert!(pace.ready(now + 59.seconds()).is_empty());
        assert_eq!(pace.next(now + 59.seconds()), Some(Duration::from_millis(1001)));
        assert_eq!(pace.ready(now + 60.seconds()).len(), 1);
        assert_eq!(pace.next(now + 60.seconds()), None);
    }

    #[test]
    fn what_is_claimed_counts_until_it_has_drawn() {
        let (pace, now) = (pace(), Timestamp::UNIX_EPOCH);
        pace.claimed("shop");
        pace.claimed("shop");
        pace.drawn("shop");
        assert_eq!(pace.ready(now)[0].undrawn, 1);
    }
}
