//! Upkeep: what the coming months need, forgotten routes, and schemas that are behind.

use std::time::Duration;

use rstest::rstest;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use switchboard::clock::Clock;
use switchboard::model::job::{JobKind, JobState};
use switchboard::model::pauses::Pauses;
use switchboard::store::work::{ClaimSends, Swept};
use switchboard::store::{OpenOptions, StoreError, open};

use crate::support::arrivals::{ACCOUNT, inbound};
use crate::support::depot::{Depot, ROUTE, say, sender, sends};
use crate::support::{Backend, Database};

const MONTH: Duration = Duration::from_hours(31 * 24);
const HOUR: Duration = Duration::from_hours(1);

/// The partitions of a table, and how many rows lie in the outer one of `dedupe` after the last month.
async fn look(depot: &Depot) -> (Vec<String>, i64) {
    let mut connection = PgConnection::connect(&depot.store.url).await.unwrap();
    let partitions = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhparent
         WHERE c.relkind = 'p' ORDER BY 1",
    );
    let names = partitions.fetch_all(&mut connection).await.unwrap();
    let after = sqlx::query_scalar("SELECT count(*) FROM dedupe_after");
    let after = after.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    (names, after)
}

fn month(depot: &Depot, table: &str, ahead: i64) -> String {
    let date = depot.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let month = date.first_of_month().checked_add(jiff::Span::new().months(ahead)).unwrap();
    format!("{table}_{:04}_{:02}", month.year(), month.month())
}

#[tokio::test]
async fn partitions_are_there_ahead_of_time() {
    let depot = Depot::open(Backend::Postgres).await;
    for _ in 0..2 {
        let (names, _) = look(&depot).await;
        for table in ["events", "bodies", "outcomes", "dedupe"] {
            for ahead in -1..=2 {
                assert!(names.contains(&month(&depot, table, ahead)), "{table} {ahead}: {names:?}");
            }
        }
        depot.pass(MONTH);
        depot.store.upkeep().await.unwrap();
    }
}

#[tokio::test]
async fn a_new_month_takes_over_what_was_ahead_of_it() {
    let depot = Depot::open(Backend::Postgres).await;
    let ahead = depot.clock.now().checked_add(4 * MONTH).unwrap();
    let far_ahead = depot.clock.now().checked_add(400 * MONTH).unwrap();
    let posts = [ahead, far_ahead].map(|at| inbound(&depot.clock).message_id(serde_json::Value::Null).at(at));
    depot.accept_all(posts.clone()).await;
    assert_eq!(look(&depot).await.1, 2);
    depot.pass(3 * MONTH);
    depot.store.upkeep().await.unwrap();
    assert_eq!(look(&depot).await.1, 1);
    for post in posts {
        assert!(depot.accept(post.again(&depot.clock)).await.duplicate);
    }
}

#[rstest]
#[tokio::test]
async fn upkeep_may_run_on_two_instances_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for _ in 0..3 {
        depot.pass(2 * MONTH);
        let post = inbound(&depot.clock).on(ROUTE).into();
        let group = [post];
        let (one, two, commit) =
            tokio::join!(depot.store.upkeep(), other.upkeep(), depot.store.commit(&group));
        one.unwrap();
        two.unwrap();
        commit.unwrap();
    }
    assert_eq!(depot.events().await.len(), 3);
}

#[rstest]
#[tokio::test]
async fn upkeep_twice_changes_nothing(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    depot.store.upkeep().await.unwrap();
    depot.store.upkeep().await.unwrap();
    assert_eq!((depot.events().await.len(), depot.claim().await.len()), (1, 1));
}

#[rstest]
#[tokio::test]
async fn a_route_that_nobody_knows_is_parked_after_an_hour(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).on("gone").on(ROUTE)).await;
    depot.pass(Duration::from_mins(59));
    assert_eq!(depot.sweep_knowing(&[ROUTE]).await, Swept::default());
    depot.pass(Duration::from_mins(2));
    assert_eq!(depot.sweep_knowing(&[ROUTE]).await, Swept { unconfirmed: 0, forgotten: 1 });
    let parked = depot.jobs(Some(JobState::Parked)).await.remove(0);
    assert_eq!(parked.route.as_deref(), Some("gone"));
    assert!(parked.last_error.unwrap().contains("gone"));
    assert_eq!(depot.claim().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_route_that_another_instance_knows_is_not_forgotten(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).on("theirs")).await;
    depot.pass(2 * HOUR);
    assert_eq!(depot.sweep_knowing(&["theirs"]).await, Swept::default());
    depot.pass(HOUR / 2);
    assert_eq!(depot.sweep_knowing(&[ROUTE]).await, Swept::default());
    depot.pass(HOUR);
    assert_eq!(depot.sweep_knowing(&[ROUTE]).await.forgotten, 1);
}

#[rstest]
#[tokio::test]
async fn sends_of_an_account_that_nobody_has_are_parked_after_an_hour(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    queue_of(&depot, "shop").await;
    let kept = depot.queue_text("hello").await;
    assert_eq!(depot.sweep_as(&[ROUTE], &[ACCOUNT, "shop"]).await, Swept::default());
    depot.pass(Duration::from_mins(59));
    assert_eq!(depot.sweep_as(&[ROUTE], &[ACCOUNT]).await, Swept::default(), "known an hour ago");
    depot.pass(Duration::from_mins(2));
    assert_eq!(depot.sweep_as(&[ROUTE], &[ACCOUNT]).await, Swept { unconfirmed: 0, forgotten: 1 });
    let parked = depot.jobs(Some(JobState::Parked)).await.remove(0);
    let told = "no instance has the account shop: configure it again and retry the job, or discard it";
    assert_eq!((parked.kind, parked.last_error.as_deref()), (JobKind::Send, Some(told)));
    assert_eq!(depot.claim_send().await.message, kept, "those of other accounts leave");
    // Put back, it is sent after all.
    depot.store.retry_job(parked.id).await.unwrap();
    let claim = ClaimSends { accounts: vec![sender("shop")], ..sends(10) };
    assert_eq!(depot.store.claim_sends(&claim).await.unwrap().sends.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_send_whose_process_died_before_it_left_is_forgotten_too(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    depot.claim_send().await;
    depot.pass(2 * HOUR);
    assert_eq!(depot.sweep_as(&[ROUTE], &["shop"]).await.forgotten, 1);
    assert_eq!(depot.jobs(Some(JobState::Parked)).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn what_left_for_an_account_is_never_forgotten(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    depot.leave().await;
    depot.pass(2 * HOUR);
    assert_eq!(depot.sweep_as(&[ROUTE], &["shop"]).await, Swept { unconfirmed: 1, forgotten: 0 });
    assert_eq!(depot.state(message).await, "unconfirmed");
}

#[rstest]
#[tokio::test]
async fn paused_sends_are_not_forgotten(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    queue_of(&depot, "shop").await;
    depot.store.pause(&Pauses { sends: true, ..Pauses::default() }).await.unwrap();
    depot.pass(2 * HOUR);
    assert_eq!(depot.sweep().await, Swept::default());
    depot.store.pause(&Pauses::default()).await.unwrap();
    depot.pass(Duration::from_mins(2));
    assert_eq!(depot.sweep().await.forgotten, 1);
}

/// A message waits to be sent for an account.
async fn queue_of(depot: &Depot, account: &str) {
    depot.accept(inbound(&depot.clock).account(account).on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("hello")).await);
}

#[tokio::test]
async fn a_schema_without_migrations_is_refused() {
    let database = Database::empty().await;
    let options = OpenOptions { migrate: false, connections: 1 };
    let refused = open(&database.url, &options, Clock::system()).await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::Schema(_))), "{refused:?}");
}

#[tokio::test]
async fn a_sqlite_schema_without_migrations_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("switchboard.db").display());
    let options = OpenOptions { migrate: false, connections: 1 };
    let refused = open(&url, &options, Clock::system()).await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::Schema(_))), "{refused:?}");
}

#[tokio::test]
async fn two_instances_may_migrate_at_once() {
    let database = Database::empty().await;
    let options = OpenOptions { migrate: true, connections: 2 };
    let (url, clock) = (database.url, Clock::system());
    let (one, two) = tokio::join!(open(&url, &options, clock.clone()), open(&url, &options, clock.clone()));
    one.unwrap().ping().await.unwrap();
    two.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn an_url_of_another_scheme_is_refused() {
    let options = OpenOptions { migrate: false, connections: 1 };
    let refused = open("mysql://localhost/switchboard", &options, Clock::system()).await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::Url)));
}

/// The last migration before repeats were counted apart.
const COUNTED_IN_THE_LEDGER: i64 = 12;

/// Two events, of which the first came again three times, as they were stored then.
fn events_with_repeats(ids: [&str; 2], keys: [&str; 2]) -> AssertSqlSafe<String> {
    let [(one, one_key), (other, other_key)] = [(ids[0], keys[0]), (ids[1], keys[1])];
    AssertSqlSafe(format!(
        "INSERT INTO events (id, account, type, received_at)
         VALUES ('{one}', 'default', 'unknown', 0), ('{other}', 'default', 'unknown', 0);
         INSERT INTO dedupe (key, account, event_id, body_hash, duplicates)
         VALUES ({one_key}, 'default', '{one}', {one_key}, 3), ({other_key}, 'default', '{other}', {other_key}, 0)"
    ))
}

#[tokio::test]
async fn what_the_ledger_counted_is_still_told_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("old.db")).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let migrations = sqlx::migrate!("migrations/sqlite");
    migrations.run_to(COUNTED_IN_THE_LEDGER, &mut connection).await.unwrap();
    let events =
        events_with_repeats(["01K00000000000000000000001", "01K00000000000000000000002"], ["x'01'", "x'02'"]);
    sqlx::raw_sql(events).execute(&mut connection).await.unwrap();
    migrations.run(&mut connection).await.unwrap();
    let told = sqlx::query_scalar("SELECT duplicates FROM event_view ORDER BY id");
    let told: Vec<i64> = told.fetch_all(&mut connection).await.unwrap();
    assert_eq!(told, [3, 0]);
}

#[tokio::test]
async fn what_the_ledger_counted_is_still_told_on_postgresql() {
    let database = Database::empty().await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let migrations = sqlx::migrate!("migrations/postgres");
    migrations.run_to(COUNTED_IN_THE_LEDGER, &mut connection).await.unwrap();
    let parts = "CREATE TABLE all_events PARTITION OF events DEFAULT; CREATE TABLE all_keys PARTITION OF dedupe DEFAULT";
    sqlx::raw_sql(parts).execute(&mut connection).await.unwrap();
    let ids = ["01980000-0000-0000-0000-000000000001", "01980000-0000-0000-0000-000000000002"];
    let events = events_with_repeats(ids, ["'\\x01'", "'\\x02'"]);
    sqlx::raw_sql(events).execute(&mut connection).await.unwrap();
    migrations.run(&mut connection).await.unwrap();
    let told = sqlx::query_scalar("SELECT duplicates FROM event_view ORDER BY id");
    let told: Vec<i64> = told.fetch_all(&mut connection).await.unwrap();
    assert_eq!(told, [3, 0]);
    connection.close().await.unwrap();
}
