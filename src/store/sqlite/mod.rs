//! The embedded store: SQLite, one process on one file.
//!
//! One connection writes. Every verb that changes something has its turn on it, in a transaction begun with `BEGIN IMMEDIATE`, so
//! what a verb reads is locked from its first statement, and rows need no locks or order of their own. Verbs that wait for each
//! other share a commit (`writer.rs`). Questions are asked on a few connections that cannot write and see the last commit. The
//! time is [`Clock`]'s: there is one process.
//!
//! A group travels as one JSON text: each call costs a visit to sqlx's worker thread, whatever the number of its rows. It is
//! read by `jsonb_each` (SQLite 3.51; it is built in), since `json_each` prints every row again for `->>` to parse. What needs no
//! answer in between goes there as one text of several statements, which share their parameters.
//!
//! `sqlite::memory:` is one connection for everything. It forgets all at its end.

mod callback;
mod checkpoint;
mod commit;
mod conversations;
mod deliveries;
mod erase;
mod events;
mod file;
mod inspect;
mod jobs;
mod journal;
mod lease;
mod merge;
mod messages;
mod outbox;
mod pauses;
mod people;
mod queue;
mod replay;
mod retention;
mod send;
mod settle;
mod states;
mod stats;
mod submit;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{SqliteExecutor, SqlitePool};

use self::checkpoint::Checkpoints;
use self::file::DatabaseFile;
pub(super) use self::inspect::inspect;
use self::writer::{Turn, Writer};
use super::arrival::Arrival;
use super::query::{
    ConversationFilter, ConversationPlace, EventFilter, JobCount, JobFilter, MessageFilter, Page,
    PageRequest, StoredBody,
};
use super::submission::{Submission, Submitted};
use super::work::{
    ClaimDeliveries, ClaimSends, ClaimedSends, Committed, Delivery, Dispatch, GroupTurn, LeasedJob, Offer,
    Resolution, RouteKnowledge, SendAnswered, SendResult, Sending, Settlement, Swept,
};
use super::{OpenOptions, Result, Store, StoreError};
use crate::clock::Clock;
use crate::model::conversation::Conversation;
use crate::model::customer::CustomerProfile;
use crate::model::event::Event;
use crate::model::id::{ConversationId, CustomerId, EventId, Id, JobId, MessageId};
use crate::model::job::{Job, Lease};
use crate::model::message::{Message, TimelineEntry};
use crate::model::pauses::Pauses;
use crate::model::retention::{Erased, Keep, Purged};
use crate::model::sending::SendPolicy;
use crate::model::state::HandlerState;
use crate::model::stats::{Figures, Parts};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a verb waits for the writer, or for another program's lock on the file, before it says that the store is
/// unavailable.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many questions are answered at the same time.
const READERS: u32 = 4;
/// A reader's page cache in KiB.
const READER_CACHE: &str = "-2048";
/// Rows that the driver's thread reads ahead of us: a whole group.
const ROWS_AHEAD: usize = 512;

/// A store on SQLite.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    checkpoints: Option<Checkpoints>,
    file: Option<DatabaseFile>,
    clock: Clock,
}

impl SqliteStore {
    /// Takes the file for this process, makes it if need be, and applies migrations if asked.
    pub async fn open(url: &str, options: &OpenOptions, clock: Clock) -> Result<Self> {
        let connect = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::Url)?;
        let file = if in_memory(url) {
            None
        } else {
            Some(DatabaseFile::hold(connect.get_filename(), options.migrate)?)
        };
        let connect = match &file {
            Some(file) => connect.filename(file.path()),
            None => connect,
        };
        let connect = connect
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_AHEAD)
            .pragma("temp_store", "memory");
        let writer = Writer::open(connect.clone()).await?;
        let (readers, checkpoints) = match &file {
            Some(_) => {
                (readers(connect.clone()), Some(Checkpoints::start(connect, writer.clone(), clock.clone())))
            }
            None => (writer.pool().clone(), None),
        };
        if options.migrate {
            MIGRATIONS.run(writer.pool()).await?;
        } else {
            check_schema(writer.pool()).await?;
        }
        Ok(Self { writer, readers, checkpoints, file, clock })
    }

    /// A new id.
    fn id<Of>(&self) -> Id<Of> {
        Id::new(self.clock.ulid())
    }

    /// Waits for a turn of the one connection that writes. For what takes long there is [`Self::write_alone`].
    async fn write(&self) -> Result<Turn> {
        self.ask_for_checkpoint();
        self.writer.turn().await
    }

    /// Waits for a turn that those before it need not wait for: what they wrote is committed first.
    async fn write_alone(&self) -> Result<Turn> {
        self.ask_for_checkpoint();
        self.writer.turn_alone().await
    }

    fn ask_for_checkpoint(&self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.ask();
        }
    }
}

/// Whether a URL names no file.
fn in_memory(url: &str) -> bool {
    let (name, parameters) = url.split_once('?').unwrap_or((url, ""));
    name.ends_with(":memory:") || parameters.split('&').any(|parameter| parameter == "mode=memory")
}

/// Connections that cannot write, made when they are needed.
fn readers(connect: SqliteConnectOptions) -> SqlitePool {
    let connect = connect.pragma("cache_size", READER_CACHE).pragma("query_only", "on");
    pool(READERS).connect_lazy_with(connect)
}

/// Connections to a file do not age.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(BUSY_TIMEOUT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Whether every migration of this version has been applied.
async fn check_schema(connection: impl SqliteExecutor<'_>) -> Result<()> {
    // store::check_schema
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
        .map_err(|_| {
            StoreError::Schema("no migration has been applied: run `switchboard migrate`".to_owned())
        })?;
    let needed = MIGRATIONS.iter().count();
    if usize::try_from(applied).is_ok_and(|applied| applied >= needed) {
        return Ok(());
    }
    Err(StoreError::Schema(format!(
        "{applied} of {needed} migrations are applied: run `switchboard migrate`"
    )))
}

/// A group as the one parameter that `jsonb_each` reads.
fn json<T: Serialize>(rows: &[T]) -> Result<String> {
    serde_json::to_string(rows).map_err(|error| StoreError::Internal(error.to_string()))
}

/// Bytes as `unhex` reads them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit_and_lease(
        &self,
        group: &[Arrival],
        offer: &Offer,
        _turn: &GroupTurn,
    ) -> Result<Committed> {
        commit::commit(self, group, offer).await
    }

    async fn claim_deliveries(&self, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>> {
        lease::lease(self, claim).await
    }

    async fn deliveries(&self, leased: &[LeasedJob]) -> Result<Vec<Delivery>> {
        deliveries::deliveries(self, leased).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>> {
        settle::settle(self, settlements).await
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        lease::renew(self, leases, lease).await
    }

    async fn release(&self, leases: &[Lease]) -> Result<()> {
        lease::release(self, leases).await
    }

    async fn submit(&self, submission: &Submission) -> Result<Submitted> {
        submit::submit(self, submission).await
    }

    async fn claim_sends(&self, claim: &ClaimSends) -> Result<ClaimedSends> {
        send::claim_sends(self, claim).await
    }

    async fn dispatch(&self, sending: &Sending, policy: &SendPolicy) -> Result<Dispatch> {
        send::dispatch(self, sending, policy).await
    }

    async fn settle_send(&self, sending: &Sending, answered: &SendAnswered) -> Result<SendResult> {
        send::settle_send(self, sending, answered).await
    }

    async fn resolve(&self, message: MessageId, resolution: Resolution) -> Result<Message> {
        send::resolve(self, message, resolution).await
    }

    async fn arrivals(&self, ids: &[EventId]) -> Result<Vec<Arrival>> {
        replay::arrivals(self, ids).await
    }

    async fn replay(&self, group: &[Arrival]) -> Result<u64> {
        replay::replay(self, group).await
    }

    async fn pauses(&self) -> Result<Pauses> {
        pauses::pauses(self).await
    }

    async fn pause(&self, pauses: &Pauses) -> Result<()> {
        pauses::pause(self, pauses).await
    }

    async fn opt(&self, customer: CustomerId, by: Option<&str>) -> Result<Option<CustomerProfile>> {
        conversations::opt(self, customer, by).await
    }

    async fn purge(&self, keep: &Keep) -> Result<Purged> {
        retention::purge(self, keep).await
    }

    async fn erase(&self, customer: CustomerId) -> Result<Option<Erased>> {
        erase::erase(self, customer).await
    }

    async fn sweep(&self, known: &RouteKnowledge) -> Result<Swept> {
        sweep::sweep(self, known).await
    }

    async fn upkeep(&self) -> Result<()> {
        // Statistics are not gathered: those of a queue that is mostly empty mislead the planner when it is full, and
        // without any it takes the indexes that the statements are written for.
        // What a question kept from being moved is moved now.
        self.ask_for_checkpoint();
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        drop(self.write().await?);
        Ok(())
    }

    async fn close(&self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.stop().await;
        }
        self.readers.close().await;
        self.writer.close().await;
        if let Some(file) = &self.file {
            file.release();
        }
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>> {
        events::event(self, id).await
    }

    async fn events(&self, filter: &EventFilter, page: PageRequest<EventId>) -> Result<Page<Event>> {
        events::events(self, filter, page).await
    }

    async fn events_after(&self, filter: &EventFilter, after: EventId, limit: u32) -> Result<Vec<Event>> {
        events::events_after(self, filter, after, limit).await
    }

    async fn event_body(&self, id: EventId) -> Result<Option<StoredBody>> {
        events::event_body(self, id).await
    }

    async fn message(&self, id: &str) -> Result<Option<(Message, Vec<TimelineEntry>)>> {
        messages::message(self, id).await
    }

    async fn messages(&self, filter: &MessageFilter, page: PageRequest<MessageId>) -> Result<Page<Message>> {
        messages::messages(self, filter, page).await
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>> {
        conversations::conversation(self, id).await
    }

    async fn conversations(
        &self,
        filter: &ConversationFilter,
        page: PageRequest<ConversationPlace>,
    ) -> Result<Page<Conversation>> {
        conversations::conversations(self, filter, page).await
    }

    async fn customers(&self, name: &str) -> Result<Vec<CustomerProfile>> {
        conversations::customers(self, name).await
    }

    async fn state(&self, id: ConversationId, route: &str) -> Result<Option<HandlerState>> {
        states::state(self, id, route).await
    }

    async fn clear_state(&self, id: ConversationId, route: &str) -> Result<bool> {
        states::clear(self, id, route).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        jobs::job(self, id).await
    }

    async fn jobs(&self, filter: &JobFilter, page: PageRequest<JobId>) -> Result<Page<Job>> {
        jobs::jobs(self, filter, page).await
    }

    async fn retry_job(&self, id: JobId) -> Result<Option<Job>> {
        jobs::retry(self, id).await
    }

    async fn discard_job(&self, id: JobId) -> Result<Option<Job>> {
        jobs::discard(self, id).await
    }

    async fn job_counts(&self) -> Result<Vec<JobCount>> {
        jobs::counts(self).await
    }

    async fn stats(&self, filter: &MessageFilter, parts: Parts) -> Result<Figures> {
        stats::stats(self, filter, parts).await
    }
}
