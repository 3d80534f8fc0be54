//! The one connection that writes, and commits that are shared.
//!
//! A commit waits for the disk, however little it holds. So a verb that has said all its statements does not commit by itself
//! while others wait for the connection: each of them has its turn in the same transaction first, behind a savepoint of its own,
//! and one commit makes everything durable. Only then does any of them answer. A turn that fails undoes its own statements; a
//! commit that fails is told to everybody who took part in it.

#[cfg(test)]
mod tests;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Sqlite, SqlitePool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::BUSY_TIMEOUT;
use crate::store::{Result, StoreError};

/// Hands out turns of the one connection that writes, in the order they are asked for.
#[derive(Debug)]
pub(super) struct Writer {
    pool: SqlitePool,
    shared: Shared,
}

/// The transaction that is open, if one is: whoever holds the lock has the turn.
type Shared = Arc<Mutex<Option<Open>>>;

/// What became of a commit; nothing yet while it is open.
type Fate = Option<Result<()>>;

impl Writer {
    /// On a pool of one connection.
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool, shared: Shared::default() }
    }

    /// Waits for a turn: from here on nobody else writes.
    pub(super) async fn turn(&self) -> Result<Turn> {
        let held = timeout(BUSY_TIMEOUT, Arc::clone(&self.shared).lock_owned()).await;
        let mut held = held.map_err(|_| StoreError::Unavailable("others write all the time".to_owned()))?;
        if held.is_none() {
            *held = Some(Open::begin(&self.pool).await?);
            return Ok(Turn { held, over: false });
        }
        let mut turn = Turn { held, over: false };
        if let Err(error) = turn.open().set_savepoint().await {
            // There is no transaction any more: SQLite ends one by itself when the disk is full.
            turn.held.take();
            return Err(error);
        }
        Ok(turn)
    }

    /// How its connection is made.
    pub(super) fn connect_options(&self) -> Arc<SqliteConnectOptions> {
        self.pool.connect_options()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction, and who took part in it.
#[derive(Debug)]
struct Open {
    transaction: Transaction<'static, Sqlite>,
    /// Dropped without a word when the transaction is given up.
    fate: watch::Sender<Fate>,
    /// Whether somebody waits for the commit.
    awaited: bool,
    /// Whether the last turn stands behind a savepoint; the first does not need one.
    savepoint: bool,
    /// Whether what the last turn did has to go.
    undo: bool,
}

impl Open {
    async fn begin(pool: &SqlitePool) -> Result<Self> {
        let transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        let fate = watch::Sender::new(None);
        Ok(Self { transaction, fate, awaited: false, savepoint: false, undo: false })
    }

    /// Separates the next turn from those before it.
    async fn set_savepoint(&mut self) -> Result<()> {
        let statement = match (self.savepoint, self.undo) {
            (false, _) => "SAVEPOINT turn",
            (true, false) => "RELEASE turn; SAVEPOINT turn",
            // It stays, for the next one.
            (true, true) => "ROLLBACK TO turn",
        };
        (self.savepoint, self.undo) = (true, false);
        // store::turn
        sqlx::raw_sql(statement).execute(&mut *self.transaction).await?;
        Ok(())
    }

    async fn commit(mut self) -> Result<()> {
        if self.undo {
            // store::turn (undo)
            sqlx::raw_sql("ROLLBACK TO turn").execute(&mut *self.transaction).await?;
        }
        let committed = self.transaction.commit().await.map_err(StoreError::from);
        self.fate.send_replace(Some(committed.clone()));
        committed
    }
}

/// The right to write, until it is dropped. Without [`Turn::commit`] nothing of it remains.
///
/// What is read in a turn may be what others have not committed yet. Whoever promises something because of it commits too, even
/// with nothing to write.
#[derive(Debug)]
pub(super) struct Turn {
    held: OwnedMutexGuard<Option<Open>>,
    over: bool,
}

impl Turn {
    fn open(&mut self) -> &mut Open {
        self.held.as_mut().expect("a turn has a transaction")
    }

    /// Lets those who wait have their turns, and waits with them until everything is on disk.
    pub(super) async fn commit(mut self) -> Result<()> {
        let open = self.open();
        let mut fate = open.fate.subscribe();
        let first = !std::mem::replace(&mut open.awaited, true);
        self.over = true;
        if first {
            // A task of its own: it goes on when we are dropped, since others wait for it as well.
            let shared = Arc::clone(OwnedMutexGuard::mutex(&self.held));
            tokio::spawn(conclude(shared));
        }
        drop(self);
        let told = fate.wait_for(Option::is_some).await;
        let given_up = || StoreError::Unavailable("the transaction was given up".to_owned());
        told.ok().and_then(|fate| fate.clone()).ok_or_else(given_up)?
    }
}

/// Commits behind everybody who waits at this moment: the lock is fair.
async fn conclude(shared: Shared) {
    // Held until it is done: the next turn begins another transaction.
    let mut held = shared.lock().await;
    if let Some(open) = held.take()
        && let Err(error) = open.commit().await
    {
        tracing::debug!(%error, "a commit failed");
    }
}

impl Deref for Turn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.held.as_ref().expect("a turn has a transaction").transaction
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.open().transaction
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        match &mut *self.held {
            Some(open) if open.savepoint => open.undo = true,
            // Nobody else took part: the driver rolls it back.
            held => *held = None,
        }
    }
}
