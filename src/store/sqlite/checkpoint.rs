//! Moving the write-ahead log into the database beside the connection that writes: left to that one, every few thousand pages
//! a group would wait until they are moved.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long what was written gathers: pages that are written again and again are moved once.
const EVERY: Duration = Duration::from_millis(500);

/// Moves the log on a connection of its own, while there is something to move.
#[derive(Debug)]
pub(super) struct Checkpoints {
    written: Arc<Notify>,
    connection: SqlitePool,
    task: AbortHandle,
}

impl Checkpoints {
    pub(super) fn start(connect: SqliteConnectOptions) -> Self {
        let written = Arc::new(Notify::new());
        let connection = super::pool(1).connect_lazy_with(connect);
        let task = tokio::spawn(keep_moving(connection.clone(), Arc::clone(&written))).abort_handle();
        Self { written, connection, task }
    }

    /// Something is being written.
    pub(super) fn note_written(&self) {
        self.written.notify_one();
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

async fn keep_moving(connection: SqlitePool, written: Arc<Notify>) {
    loop {
        written.notified().await;
        tokio::time::sleep(EVERY).await;
        // Once more for what came meanwhile: only a log that was moved to its end is begun anew.
        for _ in 0..2 {
            if let Err(error) = super::move_log(&connection).await {
                tracing::warn!(%error, "the write-ahead log was not moved into the database; it grows");
                break;
            }
        }
    }
}
