//! Moving the write-ahead log into the database beside the connection that writes: left to that one, every few thousand pages
//! a group would wait until they are moved.
//!
//! Only a log that was moved to its end is begun anew, and while deliveries come in, its end moves on. Nor does SQLite make the
//! database durable before that (`walCheckpoint` in its `wal.c`). So the writer pauses for the last few pages, when nearly all of
//! them have been moved and are on disk.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::writer::Writer;
use crate::clock::Clock;
use crate::store::Result;

/// How long what was written gathers: pages that are written again and again are moved once.
const EVERY: Duration = Duration::from_millis(200);
/// How often what came meanwhile is moved as well, before the writer pauses. A single time is too often overtaken by a commit, and
/// then it is the pause that makes everything durable.
const AGAIN: usize = 2;
/// A log of so many pages is begun anew (4 MiB). A shorter one may grow: the writer need not pause for it.
const LONG: i64 = 1024;
/// The writer pauses for at most one in so many parts of the time: beside a slow disk, rounds are rarer.
const REST: u32 = 20;

/// Moves the log on a connection of its own, while there is something to move.
#[derive(Debug)]
pub(super) struct Checkpoints {
    asked: Arc<Notify>,
    connection: SqlitePool,
    task: AbortHandle,
}

impl Checkpoints {
    pub(super) fn start(connect: SqliteConnectOptions, writer: Writer, clock: Clock) -> Self {
        let asked = Arc::new(Notify::new());
        let connection = super::pool(1).connect_lazy_with(connect);
        let task =
            tokio::spawn(keep_moving(connection.clone(), writer, clock, Arc::clone(&asked))).abort_handle();
        Self { asked, connection, task }
    }

    /// Asks for the log to be moved soon: something is being written.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    pub(super) async fn stop(&self) {
        self.task.abort();
        self.connection.close().await;
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_moving(connection: SqlitePool, writer: Writer, clock: Clock, asked: Arc<Notify>) {
    let mut paused = Duration::ZERO;
    loop {
        asked.notified().await;
        tokio::time::sleep(EVERY.max(paused * REST)).await;
        paused = move_to_its_end(&connection, &writer, &clock).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the write-ahead log was not moved into the database; it grows");
            Duration::ZERO
        });
    }
}

/// Moves most of the log beside the writer, then what came meanwhile, and the rest, which is little by then, while it pauses;
/// answers for how long it did.
async fn move_to_its_end(connection: &SqlitePool, writer: &Writer, clock: &Clock) -> Result<Duration> {
    move_log(connection).await?;
    for _ in 0..AGAIN {
        if move_log(connection).await? < LONG {
            return Ok(Duration::ZERO);
        }
    }
    let _paused = writer.pause().await?;
    let watch = clock.stopwatch();
    move_log(connection).await?;
    Ok(watch.elapsed())
}

/// Moves what nobody reads any more, and waits for nobody; answers how many pages the log has.
async fn move_log(connection: &SqlitePool) -> Result<i64> {
    // store::move_log
    let (_busy, pages, _moved): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await?;
    Ok(pages)
}
