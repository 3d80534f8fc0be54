//! The production store: PostgreSQL, one or many instances on it.
//!
//! Locks are always taken in one order: dedupe rows, customers, conversations, messages, jobs, shared settings, counts of
//! repeats, each sorted by key.
//! Leases and due times are compared with the database's clock, so instances need not agree on the time.

mod by_key;
mod callback;
mod commit;
mod conversations;
mod deliveries;
mod erase;
mod events;
mod heads;
mod inspect;
mod jobs;
mod journal;
mod lease;
mod merge;
mod messages;
mod months;
mod outbox;
mod partitions;
mod pauses;
mod people;
mod queue;
mod refusals;
mod replay;
mod retention;
mod send;
mod settle;
mod states;
mod stats;
mod submit;
mod sweep;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgExecutor, PgPool};

use self::heads::Heads;
pub(super) use self::inspect::inspect;
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

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections for questions, beside those that accept and work.
const READERS: u32 = 4;
/// How what accepts and works is planned. It asks for rows by their keys, of tables whose size the statistics never know: most
/// were empty or small when they were taken, and a plan is kept for as long as its connection lasts. So there is one kind of
/// plan, which looks up key by key, and a row that is read counts for more than anything else; any other plan would one day read
/// a table, an index or all that a join may need from end to end. What the statements add to that, [`by_key`] tells. Nor is a
/// plan better for the values at hand: without the last line, what reads events is planned anew for longer than it runs.
const BY_KEY: [(&str, &str); 9] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("cpu_tuple_cost", "100"),
    ("cpu_index_tuple_cost", "100"),
    // What a row counts for would have it share out the work.
    ("max_parallel_workers_per_gather", "0"),
    ("plan_cache_mode", "force_generic_plan"),
];
/// How long a verb waits for a connection before it says that the store is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses is taken to be alive.
const SURELY_ALIVE: Duration = Duration::from_secs(1);
/// The longest a verb may take. A database host that dies without a word would otherwise hold its caller, and with it all of
/// ingest, for as long as TCP is patient.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often a verb is repeated at once when transactions got in each other's way.
const REPEATS: u32 = 5;

/// A store on PostgreSQL.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    /// For questions: however many are asked, and however long they take, they hold up neither accepting nor working.
    readers: PgPool,
    /// Where claims begin to look.
    heads: Heads,
    clock: Clock,
}

impl PostgresStore {
    /// Connects, applies migrations if asked, and makes the coming months' partitions.
    pub async fn open(url: &str, options: &OpenOptions, clock: Clock) -> Result<Self> {
        let connect = session(url)?;
        // A pool would try for its whole time-out, and then say nothing of the reason.
        PgConnection::connect_with(&connect).await?.close().await?;
        let working = connect.clone().options(BY_KEY);
        let pool = connections(options.connections, working).await?;
        // Whether a value is rare or common decides how a question is best answered, so each is planned for its own values.
        let asking = connect.clone().options([("plan_cache_mode", "force_custom_plan")]);
        let readers = connections(READERS, asking).await?;
        if options.migrate {
            migrate(connect).await?;
        } else {
            check_schema(&pool).await?;
        }
        let store = Self { pool, readers, heads: Heads::default(), clock };
        partitions::upkeep(&store).await?;
        Ok(store)
    }

    /// A new id.
    fn id<Of>(&self) -> Id<Of> {
        Id::new(self.clock.ulid())
    }
}

/// How every session begins.
fn session(url: &str) -> Result<PgConnectOptions> {
    let connect: PgConnectOptions = url.parse().map_err(|_| StoreError::Url)?;
    Ok(connect
        .application_name("switchboard")
        // A 200 promises that the event is on disk, whatever the server's default is (P1).
        .options([("synchronous_commit", "on"), ("jit", "off")])
        // A statement that waits longer than a verb does is nobody's any more. An instance that stands still in the middle of
        // a transaction must not hold its locks against all others for as long.
        .options([("statement_timeout", "15s"), ("idle_in_transaction_session_timeout", "5s")]))
}

/// Applies what is missing of the schema, however long that takes, and however long another instance takes for it first.
async fn migrate(connect: PgConnectOptions) -> Result<()> {
    let mut connection = PgConnection::connect_with(&connect.options([("statement_timeout", "0")])).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn connections(most: u32, connect: PgConnectOptions) -> Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection that was used a moment ago is not asked whether it still lives: that is a round trip to each verb.
        .test_before_acquire(false)
        .before_acquire(|connection, used| Box::pin(is_alive(connection, used.idle_for)));
    Ok(pool.connect_with(connect).await?)
}

/// Whether a connection can be used, asked when it was not for a while.
async fn is_alive(connection: &mut PgConnection, idle_for: Duration) -> sqlx::Result<bool> {
    Ok(idle_for < SURELY_ALIVE || connection.ping().await.is_ok())
}

/// Whether every migration of this version has been applied.
async fn check_schema(connection: impl PgExecutor<'_>) -> Result<()> {
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

/// Runs a transaction, and runs it again when it got in another one's way or ran past the last partition.
async fn repeat<T, F: Future<Output = Result<T>>>(store: &PostgresStore, verb: impl Fn() -> F) -> Result<T> {
    in_time(async {
        for _ in 0..REPEATS {
            match verb().await {
                Err(StoreError::Contention(_)) => tokio::task::yield_now().await,
                Err(StoreError::MissingPartition) => partitions::upkeep(store).await?,
                settled => return settled,
            }
        }
        verb().await
    })
    .await
}

/// Runs a verb within its deadline. Whether one that ran past it was committed nobody knows; its caller comes again.
async fn in_time<T>(verb: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| StoreError::Unavailable("it did not answer in time".to_owned());
    tokio::time::timeout(DEADLINE, verb).await.map_err(late)?
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit_and_lease(
        &self,
        group: &[Arrival],
        offer: &Offer,
        turn: &GroupTurn,
    ) -> Result<Committed> {
        repeat(self, || commit::commit(self, group, offer, turn)).await
    }

    async fn claim_deliveries(&self, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>> {
        repeat(self, || lease::lease(self, claim)).await
    }

    async fn deliveries(&self, leased: &[LeasedJob]) -> Result<Vec<Delivery>> {
        // Not repeated: after a failure the caller gives the leases back.
        in_time(deliveries::deliveries(self, leased)).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>> {
        repeat(self, || settle::settle(self, settlements)).await
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        repeat(self, || lease::renew(self, leases, lease)).await
    }

    async fn release(&self, leases: &[Lease]) -> Result<()> {
        repeat(self, || lease::release(self, leases)).await
    }

    async fn submit(&self, submission: &Submission) -> Result<Submitted> {
        repeat(self, || submit::submit(self, submission)).await
    }

    async fn claim_sends(&self, claim: &ClaimSends) -> Result<ClaimedSends> {
        repeat(self, || send::claim_sends(self, claim)).await
    }

    async fn dispatch(&self, sending: &Sending, policy: &SendPolicy) -> Result<Dispatch> {
        repeat(self, || send::dispatch(self, sending, policy)).await
    }

    async fn settle_send(&self, sending: &Sending, answered: &SendAnswered) -> Result<SendResult> {
        repeat(self, || send::settle_send(self, sending, answered)).await
    }

    async fn resolve(&self, message: MessageId, resolution: Resolution) -> Result<Message> {
        repeat(self, || send::resolve(self, message, resolution)).await
    }

    async fn arrivals(&self, ids: &[EventId]) -> Result<Vec<Arrival>> {
        in_time(replay::arrivals(self, ids)).await
    }

    async fn replay(&self, group: &[Arrival]) -> Result<u64> {
        repeat(self, || replay::replay(self, group)).await
    }

    async fn pauses(&self) -> Result<Pauses> {
        in_time(pauses::pauses(self)).await
    }

    async fn pause(&self, pauses: &Pauses) -> Result<()> {
        repeat(self, || pauses::pause(self, pauses)).await
    }

    async fn opt(&self, customer: CustomerId, by: Option<&str>) -> Result<Option<CustomerProfile>> {
        repeat(self, || conversations::opt(self, customer, by)).await
    }

    async fn purge(&self, keep: &Keep) -> Result<Purged> {
        // Months take as long as they are read by others.
        let mut purged = months::drop_before(self, keep).await?;
        purged.add(&repeat(self, || retention::by_row(self, keep)).await?);
        Ok(purged)
    }

    async fn erase(&self, customer: CustomerId) -> Result<Option<Erased>> {
        erase::erase(self, customer).await
    }

    async fn sweep(&self, known: &RouteKnowledge) -> Result<Swept> {
        repeat(self, || sweep::sweep(self, known)).await
    }

    async fn upkeep(&self) -> Result<()> {
        in_time(partitions::upkeep(self)).await
    }

    async fn ping(&self) -> Result<()> {
        // store::ping
        let read_only: bool = sqlx::query_scalar(
            "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'",
        )
        .fetch_one(&self.pool)
        .await?;
        if read_only { Err(StoreError::Unavailable("it cannot be written to".to_owned())) } else { Ok(()) }
    }

    async fn close(&self) {
        self.readers.close().await;
        self.pool.close().await;
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>> {
        in_time(events::event(self, id)).await
    }

    async fn events(&self, filter: &EventFilter, page: PageRequest<EventId>) -> Result<Page<Event>> {
        in_time(events::events(self, filter, page)).await
    }

    async fn events_after(&self, filter: &EventFilter, after: EventId, limit: u32) -> Result<Vec<Event>> {
        in_time(events::events_after(self, filter, after, limit)).await
    }

    async fn event_body(&self, id: EventId) -> Result<Option<StoredBody>> {
        in_time(events::event_body(self, id)).await
    }

    async fn message(&self, id: &str) -> Result<Option<(Message, Vec<TimelineEntry>)>> {
        in_time(messages::message(self, id)).await
    }

    async fn messages(&self, filter: &MessageFilter, page: PageRequest<MessageId>) -> Result<Page<Message>> {
        in_time(messages::messages(self, filter, page)).await
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>> {
        in_time(conversations::conversation(self, id)).await
    }

    async fn conversations(
        &self,
        filter: &ConversationFilter,
        page: PageRequest<ConversationPlace>,
    ) -> Result<Page<Conversation>> {
        in_time(conversations::conversations(self, filter, page)).await
    }

    async fn customers(&self, name: &str) -> Result<Vec<CustomerProfile>> {
        in_time(conversations::customers(self, name)).await
    }

    async fn state(&self, id: ConversationId, route: &str) -> Result<Option<HandlerState>> {
        in_time(states::state(self, id, route)).await
    }

    async fn clear_state(&self, id: ConversationId, route: &str) -> Result<bool> {
        repeat(self, || states::clear(self, id, route)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        in_time(jobs::job(self, id)).await
    }

    async fn jobs(&self, filter: &JobFilter, page: PageRequest<JobId>) -> Result<Page<Job>> {
        in_time(jobs::jobs(self, filter, page)).await
    }

    async fn retry_job(&self, id: JobId) -> Result<Option<Job>> {
        repeat(self, || jobs::retry(self, id)).await
    }

    async fn discard_job(&self, id: JobId) -> Result<Option<Job>> {
        repeat(self, || jobs::discard(self, id)).await
    }

    async fn job_counts(&self) -> Result<Vec<JobCount>> {
        in_time(jobs::counts(self)).await
    }

    async fn stats(&self, filter: &MessageFilter, parts: Parts) -> Result<Figures> {
        in_time(stats::stats(self, filter, parts)).await
    }
}
