//! How messages fared.

use super::PostgresStore;
use crate::model::stats::{Figures, Parts};
use crate::store::Result;
use crate::store::query::MessageFilter;
use crate::store::question::stats::{self, STEPS};
use crate::store::rows::{FailuresRow, StateCount, lag_of, timestamp};

pub(super) async fn stats(store: &PostgresStore, filter: &MessageFilter, parts: Parts) -> Result<Figures> {
    let mut figures = Figures::default();
    if parts.funnel {
        let mut asked = stats::states(filter);
        let states: Vec<StateCount> = asked.build_query_as().fetch_all(&store.readers).await?;
        figures.states = states.into_iter().map(StateCount::into_pair).collect();
    }
    if parts.failures {
        let mut asked = stats::failures(filter);
        let failures: Vec<FailuresRow> = asked.build_query_as().fetch_all(&store.readers).await?;
        figures.failures = failures.into_iter().map(FailuresRow::into_failures).collect();
    }
    for step in STEPS.iter().filter(|_| parts.lag) {
        let mut asked = stats::lag(step, filter);
        let took: Vec<i64> = asked.build_query_scalar().fetch_all(&store.readers).await?;
        figures.lags.extend(lag_of(&took).map(|lag| (step.name, lag)));
    }
    if parts.queue {
        figures.oldest_due_at = oldest(store).await?.map(timestamp);
    }
    Ok(figures)
}

/// When the job that has been due longest, and waits for nobody, fell due.
async fn oldest(store: &PostgresStore) -> Result<Option<i64>> {
    // store::stats (oldest job)
    let oldest = sqlx::query_scalar(
        "SELECT min(due_at) FROM jobs
         WHERE parked_at IS NULL AND NOT blocked AND dispatched_at IS NULL AND due_at <= (SELECT switchboard_now($1))
           AND (lease_until IS NULL OR lease_until <= (SELECT switchboard_now($1)))",
    )
    .bind(store.clock.offset_ms())
    .fetch_one(&store.readers)
    .await?;
    Ok(oldest)
}
