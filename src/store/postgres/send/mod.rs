//! Sends: claiming, the fence before a request leaves, and settling its answer.

mod answer;
mod claim;
mod dispatch;
mod rate;

use sqlx::PgConnection;

pub(super) use self::answer::{resolve, settle_answer, settle_send};
pub(super) use self::claim::claim_sends;
pub(super) use self::dispatch::dispatch;
use super::{PostgresStore, queue, settle};
use crate::store::Result;
use crate::store::plan::settle::{Finished, Postponed};

async fn write_fate(
    store: &PostgresStore,
    connection: &mut PgConnection,
    finished: Option<&Finished>,
    postponed: Option<&Postponed>,
    now: i64,
) -> Result<()> {
    if let Some(finished) = finished {
        queue::finish(connection, std::slice::from_ref(finished), now, vec![store.clock.ulid()]).await?;
    }
    if let Some(postponed) = postponed {
        settle::postpone(connection, std::slice::from_ref(postponed), now, store.clock.offset_ms()).await?;
    }
    Ok(())
}
