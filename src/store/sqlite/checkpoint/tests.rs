//! When the log is begun anew, and who waits for that.

use std::fs;
use std::path::PathBuf;
use std::pin::pin;

use tempfile::TempDir;

use super::*;
use crate::store::sqlite::pool;

struct Desk {
    writer: Writer,
    beside: SqlitePool,
    // Removed at the end, after the pools.
    folder: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connect =
            SqliteConnectOptions::new().filename(folder.path().join("log.db")).create_if_missing(true);
        let writer = Writer::open(connect.clone()).await.unwrap();
        sqlx::raw_sql("CREATE TABLE written (pages BLOB)").execute(writer.pool()).await.unwrap();
        Self { writer, beside: pool(1).connect_lazy_with(connect), folder }
    }

    /// Commits rows of about so many pages.
    async fn write(&self, pages: i64) {
        let mut turn = self.writer.turn().await.unwrap();
        sqlx::query("INSERT INTO written VALUES (zeroblob($1 * 4096))")
            .bind(pages)
            .execute(&mut *turn)
            .await
            .unwrap();
        turn.commit().await.unwrap();
    }

    async fn move_to_its_end(&self) {
        move_to_its_end(&self.beside, &self.writer, &Clock::system()).await.unwrap();
    }

    /// How often the log was begun: the checkpoint sequence number (<https://www.sqlite.org/fileformat2.html>, 4.1).
    fn begun(&self) -> u32 {
        let log: PathBuf = self.folder.path().join("log.db-wal");
        u32::from_be_bytes(fs::read(log).unwrap()[12..16].try_into().unwrap())
    }
}

#[tokio::test]
async fn a_long_log_is_begun_anew_after_the_turn_that_is_under_way() {
    let desk = Desk::new().await;
    desk.write(2 * LONG).await;
    let before = desk.begun();
    let turn = desk.writer.turn().await.unwrap();
    let mut moved = pin!(desk.move_to_its_end());
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut moved).await;
    assert!(waited.is_err(), "nobody waits for the writer");
    let ((), committed) = tokio::join!(moved, turn.commit());
    committed.unwrap();
    desk.write(1).await;
    assert_eq!(desk.begun(), before + 1);
}

#[tokio::test]
async fn nobody_pauses_for_a_short_log() {
    let desk = Desk::new().await;
    desk.write(1).await;
    let _turn = desk.writer.turn().await.unwrap();
    desk.move_to_its_end().await;
}

#[tokio::test]
async fn the_log_is_begun_anew_while_others_write_all_the_time() {
    let desk = Desk::new().await;
    let writing = async {
        loop {
            desk.write(16).await;
        }
    };
    let moving = async {
        for _ in 0..10 {
            let before = desk.begun();
            desk.write(LONG).await;
            desk.move_to_its_end().await;
            desk.write(1).await;
            assert!(desk.begun() > before, "it grows");
        }
    };
    tokio::select! {
        () = writing => {}
        () = moving => {}
    }
}
