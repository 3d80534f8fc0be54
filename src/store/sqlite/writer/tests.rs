//! Turns and the commits they share, on a table of one column.

use std::path::Path;
use std::pin::pin;

use futures_util::poll;
use tempfile::TempDir;

use super::*;
use crate::store::sqlite::pool;

struct Desk {
    writer: Writer,
    reader: SqlitePool,
    // Removed at the end, after the pools.
    folder: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connect =
            SqliteConnectOptions::new().filename(folder.path().join("turns.db")).create_if_missing(true);
        let writer = Writer::open(connect.clone()).await.unwrap();
        sqlx::raw_sql("CREATE TABLE written (name TEXT)").execute(writer.pool()).await.unwrap();
        Self { writer, reader: pool(1).connect_lazy_with(connect), folder }
    }

    /// What has been committed.
    async fn committed(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM written ORDER BY rowid").fetch_all(&self.reader).await.unwrap()
    }

    async fn written(&self, name: &str) -> Turn {
        let mut turn = self.writer.turn().await.unwrap();
        write(&mut turn, name).await;
        turn
    }

    async fn write_and_commit(&self, name: &str) -> Result<()> {
        self.written(name).await.commit().await
    }

    fn commits(&self) -> usize {
        commits(&self.folder.path().join("turns.db-wal"))
    }
}

async fn write(turn: &mut Turn, name: &str) {
    sqlx::query("INSERT INTO written VALUES ($1)").bind(name).execute(&mut **turn).await.unwrap();
}

/// Commits in a write-ahead log: the frames that tell the size of the database (<https://www.sqlite.org/fileformat2.html>, 4.1).
fn commits(log: &Path) -> usize {
    let log = std::fs::read(log).unwrap();
    let page = usize::try_from(u32::from_be_bytes(log[8..12].try_into().unwrap())).unwrap();
    log[32..].chunks_exact(24 + page).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn those_who_wait_share_one_commit() {
    let desk = Desk::new().await;
    let before = desk.commits();
    let first = desk.written("first").await;
    let (second, third) = (desk.write_and_commit("second"), desk.write_and_commit("third"));
    let (mut second, mut third) = (pin!(second), pin!(third));
    assert!(poll!(&mut second).is_pending());
    assert!(poll!(&mut third).is_pending());
    let (first, second, third) = tokio::join!(first.commit(), second, third);
    assert_eq!([first, second, third].map(|told| told.is_ok()), [true; 3]);
    assert_eq!(desk.committed().await, ["first", "second", "third"]);
    assert_eq!(desk.commits() - before, 1);
}

#[tokio::test]
async fn p1_nobody_is_told_before_it_is_committed() {
    let desk = Desk::new().await;
    let first = desk.written("first").await;
    let mut second = pin!(desk.writer.turn());
    assert!(poll!(&mut second).is_pending());
    let mut first = pin!(first.commit());
    assert!(poll!(&mut first).is_pending());
    let second = second.await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(poll!(&mut first).is_pending(), "another has its turn");
    assert!(desk.committed().await.is_empty());
    second.commit().await.unwrap();
    first.await.unwrap();
    assert_eq!(desk.committed().await, ["first"]);
}

#[tokio::test]
async fn a_turn_that_is_dropped_undoes_its_own_statements_only() {
    let desk = Desk::new().await;
    let turns = async |names: [&str; 4], dropped: &str| {
        let turn = async |name: &str| {
            let turn = desk.written(name).await;
            if name == dropped { drop(turn) } else { turn.commit().await.unwrap() }
        };
        let [first, second, third, fourth] = names.map(turn);
        tokio::join!(first, second, third, fourth);
    };
    turns(["a1", "a2", "a3", "a4"], "a1").await;
    turns(["b1", "b2", "b3", "b4"], "b2").await;
    turns(["c1", "c2", "c3", "c4"], "c4").await;
    assert_eq!(desk.committed().await, ["a2", "a3", "a4", "b1", "b3", "b4", "c1", "c2", "c3"]);
}

#[tokio::test]
async fn who_stops_waiting_for_a_commit_does_not_stop_it() {
    let desk = Desk::new().await;
    let first = desk.written("first").await;
    let mut second = pin!(desk.write_and_commit("second"));
    assert!(poll!(&mut second).is_pending());
    {
        let mut first = pin!(first.commit());
        assert!(poll!(&mut first).is_pending());
    }
    second.await.unwrap();
    assert_eq!(desk.committed().await, ["first", "second"]);
}

#[tokio::test]
async fn everybody_is_told_of_a_transaction_that_failed() {
    let desk = Desk::new().await;
    let first = desk.written("first").await;
    let failing = async {
        let mut turn = desk.written("second").await;
        // What SQLite does by itself when a disk fails in the middle.
        sqlx::raw_sql("ROLLBACK").execute(&mut *turn).await.unwrap();
    };
    let mut failing = pin!(failing);
    assert!(poll!(&mut failing).is_pending());
    let (told, ()) = tokio::join!(first.commit(), failing);
    assert!(matches!(told, Err(StoreError::Unavailable(_) | StoreError::Internal(_))), "{told:?}");
    assert!(desk.committed().await.is_empty());
    desk.write_and_commit("third").await.unwrap();
    assert_eq!(desk.committed().await, ["third"]);
}

#[tokio::test]
async fn who_comes_after_a_failed_turn_has_another_transaction() {
    let desk = Desk::new().await;
    let first = desk.written("first").await;
    let failing = async {
        let mut turn = desk.written("second").await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *turn).await.unwrap();
    };
    let (mut failing, mut third) = (pin!(failing), pin!(desk.write_and_commit("third")));
    assert!(poll!(&mut failing).is_pending());
    assert!(poll!(&mut third).is_pending());
    let (told, (), third) = tokio::join!(first.commit(), failing, third);
    assert!(told.is_err());
    third.unwrap();
    assert_eq!(desk.committed().await, ["third"]);
}

#[tokio::test]
async fn who_is_dropped_on_the_way_to_a_turn_takes_nobody_along() {
    for polls in 1..20 {
        let desk = Desk::new().await;
        let first = desk.written("first").await;
        let (mut second, mut third) = (pin!(desk.write_and_commit("second")), Box::pin(desk.writer.turn()));
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        let dropped = async {
            for _ in 0..polls {
                if poll!(&mut third).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(third);
        };
        let (first, second, ()) = tokio::join!(first.commit(), second, dropped);
        assert!(first.is_ok() && second.is_ok(), "{polls}: {first:?}, {second:?}");
        desk.write_and_commit("fourth").await.unwrap();
        assert_eq!(desk.committed().await, ["first", "second", "fourth"]);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_turn_that_is_taken_alone() {
    let desk = Desk::new().await;
    let first = desk.written("first").await;
    let mut alone = pin!(desk.writer.turn_alone());
    assert!(poll!(&mut alone).is_pending());
    let mut first = pin!(first.commit());
    assert!(poll!(&mut first).is_pending());
    let mut alone = alone.await.unwrap();
    first.await.unwrap();
    assert_eq!(desk.committed().await, ["first"]);
    write(&mut alone, "alone").await;
    alone.commit().await.unwrap();
    assert_eq!(desk.committed().await, ["first", "alone"]);
}

#[tokio::test]
async fn nobody_writes_in_a_pause() {
    let desk = Desk::new().await;
    let first = desk.written("first").await;
    let mut pause = pin!(desk.writer.pause());
    assert!(poll!(&mut pause).is_pending());
    let mut first = pin!(first.commit());
    assert!(poll!(&mut first).is_pending());
    let pause = pause.await.unwrap();
    first.await.unwrap();
    assert_eq!(desk.committed().await, ["first"]);
    let mut second = pin!(desk.write_and_commit("second"));
    for _ in 0..100 {
        assert!(poll!(&mut second).is_pending());
        tokio::task::yield_now().await;
    }
    drop(pause);
    second.await.unwrap();
    assert_eq!(desk.committed().await, ["first", "second"]);
}
