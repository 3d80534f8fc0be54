//! How messages fared.

use std::collections::BTreeMap;

use super::SqliteStore;
use crate::model::stats::Figures;
use crate::store::Result;
use crate::store::query::MessageFilter;
use crate::store::question::stats::{self, STEPS};
use crate::store::rows::{FailuresRow, StateCount, lag_of, millis, timestamp};

pub(super) async fn stats(store: &SqliteStore, filter: &MessageFilter) -> Result<Figures> {
    let mut asked = stats::states(filter);
    let states: Vec<StateCount> = asked.build_query_as().fetch_all(&store.readers).await?;
    let mut asked = stats::failures(filter);
    let failures: Vec<FailuresRow> = asked.build_query_as().fetch_all(&store.readers).await?;
    let mut lags = BTreeMap::new();
    for step in &STEPS {
        let mut asked = stats::lag(step, filter);
        let took: Vec<i64> = asked.build_query_scalar().fetch_all(&store.readers).await?;
        lags.extend(lag_of(&took).map(|lag| (step.name, lag)));
    }
    // store::stats (oldest job)
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT min(due_at) FROM jobs
         WHERE parked_at IS NULL AND blocked = 0 AND dispatched_at IS NULL AND due_at <= $1
           AND (lease_until IS NULL OR lease_until <= $1)",
    )
    .bind(millis(store.clock.now()))
    .fetch_one(&store.readers)
    .await?;
    Ok(Figures {
        states: states.into_iter().map(StateCount::into_pair).collect(),
        failures: failures.into_iter().map(FailuresRow::into_failures).collect(),
        lags,
        oldest_due_at: oldest.map(timestamp),
    })
}
