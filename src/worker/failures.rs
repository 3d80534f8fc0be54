//! Telling a route whose handler does nothing but fail: its endpoint is down, or was set up wrong.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::outcome::{HandlerResult, Retry};

/// After so many failures in a row of a route, it is not one job that has bad luck.
const MANY: u32 = 20;

/// The failures of one route since anything of it succeeded, as far as this process saw them.
#[derive(Debug, Default)]
pub(super) struct Failures(AtomicU32);

impl Failures {
    /// Counts what came of a try. A handler that refuses an event for good is at work.
    pub(super) fn note(&self, route: &str, result: &HandlerResult) {
        let failed = result.as_ref().is_err_and(|error| !matches!(error.retry, Retry::Never));
        let before = if failed {
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1))
        } else {
            Ok(self.0.swap(0, Ordering::Relaxed))
        };
        let before = before.unwrap_or(u32::MAX);
        match (failed, before) {
            (true, before) if before == MANY - 1 => {
                tracing::warn!(
                    route.name = route,
                    "its handler only fails: what it has to try again waits longer"
                );
            }
            (false, MANY..) => tracing::info!(route.name = route, "its handler is at work again"),
            (true | false, _) => {}
        }
    }

    /// Whether nothing of the route has succeeded for a while.
    pub(super) fn are_all_there_is(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{HandlerError, Outcome};

    #[test]
    fn a_route_only_fails_after_many_failures_in_a_row() {
        let failures = Failures::default();
        let fail = |times| (0..times).for_each(|_| failures.note("desk", &Err(HandlerError::retry("away"))));
        for back in [Ok(Outcome::ignored()), Err(HandlerError::fail("no"))] {
            fail(MANY - 1);
            assert!(!failures.are_all_there_is());
            fail(2);
            assert!(failures.are_all_there_is());
            failures.note("desk", &back);
            assert!(!failures.are_all_there_is());
        }
    }
}
