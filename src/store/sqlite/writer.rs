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

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqlitePool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::BUSY_TIMEOUT;
use crate::store::{Result, StoreError};

/// Pages in the write-ahead log before the writer itself moves them into the database: 64 MiB. Only when it writes more than that
/// between two rounds of `checkpoint.rs`, which begin the log anew, or when somebody reads for that long.
const AUTOCHECKPOINT_PAGES: &str = "16384";
/// What the write-ahead log is cut to after a burst, in bytes.
const LARGEST_IDLE_LOG: &str = "67108864";
/// The page cache in KiB (negative by SQLite's convention): the upper pages of every index.
const CACHE: &str = "-6144";

/// Hands out turns of the one connection that writes, in the order they are asked for.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pool: SqlitePool,
    shared: Shared,
}

/// The transaction that is open, if one is: whoever holds the lock has the turn.
type Shared = Arc<Mutex<Option<Open>>>;
type Held = OwnedMutexGuard<Option<Open>>;

/// What became of a commit; nothing yet while it is open.
type Fate = Option<Result<()>>;

impl Writer {
    /// Makes the connection now, so that a database that cannot be opened says so.
    pub(super) async fn open(connect: SqliteConnectOptions) -> Result<Self> {
        let connect = connect
            .journal_mode(SqliteJournalMode::Wal)
            // A 200 promises that the event is on disk (P1): each commit waits for it.
            .synchronous(SqliteSynchronous::Full)
            // What is deleted is overwritten: erased is erased, also in free pages.
            .pragma("secure_delete", "on")
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", AUTOCHECKPOINT_PAGES)
            .pragma("journal_size_limit", LARGEST_IDLE_LOG);
        let pool = super::pool(1)
            .min_connections(1)
            .before_acquire(|connection, _| Box::pin(async move { Ok(is_clean(connection)) }))
            .connect_with(connect)
            .await?;
        Ok(Self { pool, shared: Shared::default() })
    }

    /// The connection itself, for what comes before the first turn.
    pub(super) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for a turn: from here on nobody else writes.
    pub(super) async fn turn(&self) -> Result<Turn> {
        let mut turn = Turn { held: self.hold().await?, over: false };
        // One that fails is gone: SQLite ends a transaction by itself when the disk is full. Its own are told, and we begin anew.
        if turn.held.is_some()
            && let Err(error) = turn.open().set_savepoint().await
        {
            tracing::warn!(%error, "a transaction was given up");
            turn.held.take();
        }
        if turn.held.is_none() {
            *turn.held = Some(Open::begin(&self.pool).await?);
        }
        Ok(turn)
    }

    /// Waits for a turn in a transaction of its own. Others may have theirs behind it.
    pub(super) async fn turn_alone(&self) -> Result<Turn> {
        let mut held = self.stillness().await?;
        *held = Some(Open::begin(&self.pool).await?);
        Ok(Turn { held, over: false })
    }

    /// Waits until what was written is committed. Nobody writes until this is dropped.
    pub(super) async fn pause(&self) -> Result<impl Send + use<>> {
        self.stillness().await
    }

    async fn stillness(&self) -> Result<Held> {
        // In a task: those before us wait for it, also when we do not any more.
        let concluded = tokio::spawn(conclude(self.hold().await?)).await;
        concluded.map_err(|error| StoreError::Internal(error.to_string()))
    }

    async fn hold(&self) -> Result<Held> {
        let held = timeout(BUSY_TIMEOUT, Arc::clone(&self.shared).lock_owned()).await;
        held.map_err(|_| StoreError::Unavailable("others write all the time".to_owned()))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A full disk makes SQLite end a transaction by itself, and the driver's count of them is off from then on: such a
/// connection is replaced.
fn is_clean(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
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

    /// Separates the next turn from those before it. One statement, which runs to its end also when nobody waits for it.
    async fn set_savepoint(&mut self) -> Result<()> {
        // Undone, it stays for the next one. The others lie within each other until the commit.
        let statement = if self.undo { "ROLLBACK TO turn" } else { "SAVEPOINT turn" };
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
    held: Held,
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
            // Behind everybody who waits at this moment: the lock is fair.
            tokio::spawn(async move { conclude(shared.lock_owned().await).await });
        }
        drop(self);
        let told = fate.wait_for(Option::is_some).await;
        let given_up = || StoreError::Unavailable("the transaction was given up".to_owned());
        told.ok().and_then(|fate| fate.clone()).ok_or_else(given_up)?
    }
}

/// Commits what is open. It is held until then: the next turn begins another transaction.
async fn conclude(mut held: Held) -> Held {
    if let Some(open) = held.take()
        && let Err(error) = open.commit().await
    {
        tracing::debug!(%error, "a commit failed");
    }
    held
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
