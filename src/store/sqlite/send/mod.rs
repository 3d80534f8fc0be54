//! Sends: claiming, the fence before a request leaves, and settling its answer.

mod answer;
mod claim;
mod dispatch;
mod rate;

use sqlx::SqliteConnection;

pub(super) use self::answer::{resolve, settle_answer, settle_send};
pub(super) use self::claim::claim_sends;
pub(super) use self::dispatch::dispatch;
use super::{SqliteStore, queue, settle};
use crate::store::Result;
use crate::store::plan::settle::{Finished, Postponed};

async fn write_fate(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    finished: Option<&Finished>,
    postponed: Option<&Postponed>,
    now: i64,
) -> Result<()> {
    if let Some(finished) = finished {
        let finished = std::slice::from_ref(finished);
        queue::finish(connection, finished, now, vec![store.clock.ulid()]).await?;
    }
    if let Some(postponed) = postponed {
        settle::postpone(connection, std::slice::from_ref(postponed), now).await?;
    }
    Ok(())
}
