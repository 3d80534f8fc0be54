//! How much PostgreSQL reads. It plans a statement once per connection, until it takes statistics again, and a plan that is good
//! while little is stored may read whole tables later: no other test notices. Rows are counted, since a time would tell of the
//! machine.

use rstest::rstest;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use switchboard::model::job::Lease;
use switchboard::store::query::{JobFilter, PageRequest};
use switchboard::store::work::{Answer, ClaimDeliveries, Settled, Settlement};

use crate::support::Backend;
use crate::support::arrivals::{inbound, status};
use crate::support::depot::{Depot, LEASE, ROUTE, attempt, done, of_route, say};

/// So many customers write, are answered, and get the answer. PostgreSQL takes its statistics when so many have been served, and
/// not again.
async fn serve(customers: usize, statistics: usize) -> Depot {
    let depot = Depot::open(Backend::Postgres).await;
    let mut beside = PgConnection::connect(&depot.store.url).await.unwrap();
    leave_alone(&mut beside).await;
    for customer in 0..customers {
        if customer == statistics {
            sqlx::raw_sql("VACUUM ANALYZE").execute(&mut beside).await.unwrap();
        }
        let phone =
            json!({ "id": format!("+1555030{customer:04}"), "channelType": "whatsapp", "name": "Ana" });
        depot.accept(inbound(&depot.clock).with("sender", phone.clone()).on(ROUTE)).await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, say("noted")).await);
        let left = depot.leave().await;
        let id = format!("answer-{customer}");
        depot.answer(&left, Answer::Accepted(id.clone())).await;
        depot.accept(status(&depot.clock, &id, "delivered").with("recipient", phone).on(ROUTE)).await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, done(Vec::new(), Vec::new())).await);
    }
    beside.close().await.unwrap();
    depot
}

/// Keeps the server from taking statistics when it likes.
async fn leave_alone(connection: &mut PgConnection) {
    let statements: Vec<String> = sqlx::query_scalar(
        "SELECT format('ALTER TABLE %s SET (autovacuum_enabled = off)', oid::regclass) FROM pg_class
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.join(";"))).execute(connection).await.unwrap();
}

/// The rows that were read of each table for each customer, by all who have closed their connections.
async fn rows_read(depot: Depot, customers: usize) -> Vec<(String, f64)> {
    depot.store.close().await;
    let rows = all_rows_read(&depot.store.url).await;
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let of_each = |rows: i64| rows as f64 / customers as f64;
    rows.into_iter().map(|(table, rows)| (table, of_each(rows))).collect()
}

/// The rows that were ever read of each table, once everybody has closed their connections.
async fn all_rows_read(url: &str) -> Vec<(String, i64)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    // Partitions are told under their table's name; what a connection counted is there once it has ended.
    let read = sqlx::query_as(
        "SELECT regexp_replace(relname, '_(\\d{4}_\\d{2}|before|after)$', ''), sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint
         FROM pg_stat_user_tables GROUP BY 1 ORDER BY 1",
    );
    while connected(&mut connection).await > 1 {
        tokio::task::yield_now().await;
    }
    read.fetch_all(&mut connection).await.unwrap()
}

async fn connected(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[rstest]
#[tokio::test]
async fn what_is_read_for_an_event_does_not_grow_with_what_is_stored(
    #[values(20, usize::MAX)] statistics: usize,
) {
    let few = rows_read(serve(50, statistics).await, 50).await;
    let many = rows_read(serve(200, statistics).await, 200).await;
    assert!(few.iter().any(|(table, rows)| table == "jobs" && *rows > 1.0), "nothing was counted: {few:?}");
    for ((table, of_few), (same, of_many)) in few.iter().zip(&many) {
        assert_eq!(table, same);
        // What is read once at the start weighs less among many.
        assert!(
            *of_many < of_few * 1.5 + 1.0,
            "{table}: {of_few} rows an event among few, {of_many} among many"
        );
    }
}

/// So many customers write.
async fn write(depot: &Depot, customers: std::ops::Range<usize>) {
    let phone = |customer| json!({ "id": format!("+1555040{customer:04}"), "channelType": "whatsapp" });
    depot
        .accept_all(customers.map(|customer| inbound(&depot.clock).with("sender", phone(customer)).on(ROUTE)))
        .await;
}

/// Claims some jobs, renews them, gives some back, and settles the others together: every other one runs again, the first is
/// answered. The answer leaves.
async fn work(depot: &Depot, jobs: u32) {
    let claim = ClaimDeliveries { limit: jobs, ..of_route(ROUTE, jobs) };
    let claimed = depot.claim_as(&claim).await;
    let leases: Vec<Lease> = claimed.iter().map(|delivery| delivery.lease).collect();
    assert_eq!(depot.store.renew(&leases, LEASE).await.unwrap().len(), leases.len());
    let (back, kept) = leases.split_at(leases.len() / 2);
    depot.store.release(back).await.unwrap();
    let settlements: Vec<Settlement> = kept
        .iter()
        .enumerate()
        .map(|(place, lease)| {
            let (outcome, resolution) = match place {
                0 => ("done", say("noted")),
                _ if place % 2 == 0 => ("done", done(Vec::new(), Vec::new())),
                _ => ("retry", Settled::Retry(LEASE)),
            };
            Settlement { lease: *lease, attempt: attempt(1, depot.clock.now(), outcome, None), resolution }
        })
        .collect();
    assert_eq!(depot.store.settle(&settlements).await.unwrap(), vec![true; settlements.len()]);
    let left = depot.leave().await;
    depot.answer(&left, Answer::Accepted("answer".to_owned())).await;
}

/// So many have written before PostgreSQL takes statistics: it does so by itself no sooner.
const ACQUAINTED: usize = 60;

/// The rows of each table that are read by working on a queue of `length`, when PostgreSQL took its statistics, and planned, while
/// `few` waited.
async fn read_by_working(few: u32, length: usize) -> Vec<(String, i64)> {
    let without = read_on_the_way(few, length, 0).await;
    let with = read_on_the_way(few, length, 40).await;
    with.into_iter().zip(without).map(|((table, with), (_, without))| (table, with - without)).collect()
}

/// All that is read until so many jobs of such a queue have been worked on.
async fn read_on_the_way(few: u32, length: usize, worked_on: u32) -> Vec<(String, i64)> {
    let depot = Depot::open(Backend::Postgres).await;
    let mut beside = PgConnection::connect(&depot.store.url).await.unwrap();
    leave_alone(&mut beside).await;
    write(&depot, 0..ACQUAINTED).await;
    let all_but_few = of_route(ROUTE, u32::try_from(ACQUAINTED).unwrap() - few);
    for delivery in depot.claim_as(&all_but_few).await {
        depot.settle(&delivery, done(Vec::new(), Vec::new())).await;
    }
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut beside).await.unwrap();
    beside.close().await.unwrap();
    write(&depot, ACQUAINTED..ACQUAINTED + 1).await;
    work(&depot, 2).await;
    write(&depot, ACQUAINTED + 1..length).await;
    if worked_on > 0 {
        work(&depot, worked_on).await;
    }
    depot.store.close().await;
    all_rows_read(&depot.store.url).await
}

#[rstest]
#[tokio::test]
async fn what_is_read_for_a_job_does_not_grow_with_the_queue(#[values(1, 3)] when_planned: u32) {
    let short = read_by_working(when_planned, 150).await;
    let long = read_by_working(when_planned, 550).await;
    assert!(jobs(&short) > 40, "nothing was counted: {short:?}");
    for ((table, of_short), (same, of_long)) in short.iter().zip(&long) {
        assert_eq!(table, same);
        assert!(
            *of_long < of_short + 100,
            "{table}: {of_short} rows where the queue is short, {of_long} where it is long"
        );
    }
}

fn jobs(read: &[(String, i64)]) -> i64 {
    read.iter().find_map(|(table, rows)| (table == "jobs").then_some(*rows)).unwrap()
}

#[tokio::test]
async fn a_page_of_a_long_queue_reads_no_more_than_the_page() {
    let depot = Depot::open(Backend::Postgres).await;
    for _ in 0..3 {
        depot.accept_all((0..200).map(|_| inbound(&depot.clock).on(ROUTE))).await;
    }
    depot.store.close().await;
    let before = jobs(&all_rows_read(&depot.store.url).await);
    let asking = depot.store.second_instance().await;
    let page = asking.jobs(&JobFilter::default(), PageRequest { before: None, limit: 5 }).await.unwrap();
    assert_eq!((page.data.len(), page.more), (5, true));
    asking.close().await;
    let of_a_page = jobs(&all_rows_read(&depot.store.url).await) - before;
    assert!((1..=50).contains(&of_a_page), "{of_a_page} of 600 jobs were read for a page of 5");
}

#[tokio::test]
async fn no_event_is_read_by_parallel_workers() {
    let depot = Depot::open(Backend::Postgres).await;
    let mut beside = PgConnection::connect(&depot.store.url).await.unwrap();
    depot.ana_writes().await;
    let reading = async {
        for _ in 0..30 {
            let delivery = depot.claim_one().await;
            depot.store.release(&[delivery.lease]).await.unwrap();
        }
    };
    // Each time they would be there for some milliseconds.
    let workers = async {
        loop {
            let workers: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'parallel worker'",
            )
            .fetch_one(&mut beside)
            .await
            .unwrap();
            if workers > 0 {
                return workers;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        workers = workers => panic!("{workers} parallel workers"),
    }
}
