//! Moving the write-ahead log into the database beside the connection that writes: left to that one, every few thousand pages
//! a group would wait until they are moved.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::store::Result;

/// How long what was written gathers: pages that are written again and again are moved once.
const EVERY: Duration = Duration::from_millis(500);

/// Moves the log on a connection of its own, while there is something to move.
#[derive(Debug)]
pub(super) struct Checkpoints {
    asked: Arc<Notify>,
    connection: SqlitePool,
    task: AbortHandle,
}

impl Checkpoints {
    pub(super) fn start(connect: SqliteConnectOptions) -> Self {
        let asked = Arc::new(Notify::new());
        let connection = super::pool(1).connect_lazy_with(connect);
        let task = tokio::spawn(keep_moving(connection.clone(), Arc::clone(&asked))).abort_handle();
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

async fn keep_moving(connection: SqlitePool, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        tokio::time::sleep(EVERY).await;
        // Once more for what came meanwhile: only a log that was moved to its end is begun anew.
        for _ in 0..2 {
            if let Err(error) = move_log(&connection).await {
                tracing::warn!(%error, "the write-ahead log was not moved into the database; it grows");
                break;
            }
        }
    }
}

/// Moves what nobody reads any more; waits for nobody.
async fn move_log(connection: &SqlitePool) -> Result<()> {
    // store::move_log
    sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").execute(connection).await?;
    Ok(())
}
