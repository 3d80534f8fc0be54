//! Where the queue of each route begins.
//!
//! A job that is gone stands in the queue's index until a vacuum, so whoever looks from its beginning passes all that were done
//! since the last one: after some hundred thousand that takes longer than the work. A claim therefore begins shortly before the
//! newest job that the last one has seen. What is waiting further ahead was given back or let go by its lane: this process tells
//! of it, and what another one lets go is found by the next look at the whole queue.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::FromRow;

use crate::store::rows::duration_ms;

/// How far before that a claim begins: a job may be due for as long before its transaction ends. What takes longer is found by
/// the next look at the whole.
const MARGIN: Duration = Duration::from_secs(1);

/// A job that can run again, or at last.
#[derive(Debug, FromRow)]
pub(super) struct Waiting {
    pub(super) route: String,
    pub(super) due_at: i64,
}

/// Where the queue of each route begins, in Unix milliseconds of when jobs are due.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<String, Head>>);

#[derive(Debug, Clone, Copy)]
struct Head {
    at: i64,
    /// The earliest of those that were told of since the last look began: that look may have missed it.
    told: i64,
    /// Whether the next look is to begin at the beginning. A look at the whole leaves out the routes that have no room.
    owed: bool,
}

impl Default for Head {
    fn default() -> Self {
        Self { at: i64::MIN, told: i64::MAX, owed: true }
    }
}

impl Heads {
    /// A look at these routes begins; answers where. One begins when another has ended.
    pub(super) fn look(&self, routes: &[&str]) -> Vec<i64> {
        let mut heads = self.lock();
        let begin = |route: &&str| {
            let head = heads.entry((*route).to_owned()).or_default();
            head.told = i64::MAX;
            if head.owed { i64::MIN } else { head.at.saturating_sub(duration_ms(MARGIN)) }
        };
        routes.iter().map(begin).collect()
    }

    /// A look has seen all that were due until then.
    pub(super) fn pass(&self, route: &str, until: i64) {
        if let Some(head) = self.lock().get_mut(route) {
            *head = Head { at: until.min(head.told), told: head.told, owed: false };
        }
    }

    /// These can run from now on. It is told once they are committed.
    pub(super) fn back_to(&self, waiting: &[Waiting]) {
        let mut heads = self.lock();
        for Waiting { route, due_at } in waiting {
            // Of a route that was never looked at nothing was passed.
            let Some(head) = heads.get_mut(route) else { continue };
            head.at = head.at.min(*due_at);
            head.told = head.told.min(*due_at);
        }
    }

    /// The next look at each route begins at the beginning.
    pub(super) fn begin_anew(&self) {
        self.lock().values_mut().for_each(|head| head.owed = true);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Head>> {
        // A panic while it was held cannot have left a number half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(due_at: i64) -> [Waiting; 1] {
        [Waiting { route: "desk".to_owned(), due_at }]
    }

    #[test]
    fn a_look_begins_shortly_before_what_the_last_one_has_seen() {
        let heads = Heads::default();
        assert_eq!(heads.look(&["desk", "bot"]), [i64::MIN, i64::MIN], "nothing was seen yet");
        heads.pass("desk", 100_000);
        assert_eq!(heads.look(&["desk", "bot"]), [99_000, i64::MIN]);
    }

    #[test]
    fn what_can_run_again_is_looked_for() {
        let heads = Heads::default();
        heads.back_to(&waiting(7_000));
        assert_eq!(heads.look(&["desk"]), [i64::MIN]);
        heads.pass("desk", 100_000);
        heads.back_to(&waiting(7_000));
        heads.back_to(&waiting(50_000));
        assert_eq!(heads.look(&["desk"]), [6_000]);
        heads.pass("desk", 200_000);
        assert_eq!(heads.look(&["desk"]), [199_000], "it was seen");
    }

    #[test]
    fn what_is_told_during_a_look_counts_for_the_next() {
        let heads = Heads::default();
        for _ in ["the first", "a later one"] {
            heads.look(&["desk"]);
            heads.back_to(&waiting(7_000));
            heads.pass("desk", 200_000);
            assert_eq!(heads.look(&["desk"]), [6_000]);
        }
    }

    #[test]
    fn a_route_without_room_is_looked_at_wholly_once_it_has_some() {
        let heads = Heads::default();
        heads.look(&["desk", "bot"]);
        heads.pass("desk", 100_000);
        heads.pass("bot", 100_000);
        heads.begin_anew();
        assert_eq!(heads.look(&["bot"]), [i64::MIN]);
        heads.pass("bot", 200_000);
        assert_eq!(heads.look(&["desk", "bot"]), [i64::MIN, 199_000]);
    }
}
