//! A look at a database from outside, which changes nothing.

use rstest::rstest;
use switchboard::store::inspect::inspect;

use crate::support::depot::Depot;
use crate::support::{Backend, Database};

/// What was looked at, and whether it is well.
async fn look(url: &str) -> Vec<(&'static str, bool)> {
    inspect(url).await.into_iter().map(|finding| (finding.subject, finding.told.is_ok())).collect()
}

#[rstest]
#[tokio::test]
async fn a_store_in_use_is_found_to_be_well(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let well = [("database", true), ("schema", true), ("durability", true)];
    assert_eq!(look(&depot.store.url).await, well);
    depot.ana_writes().await;
}

#[tokio::test]
async fn what_was_never_migrated_is_told_and_left_so() {
    let database = Database::empty().await;
    for _ in 0..2 {
        assert_eq!(look(&database.url).await, [("database", true), ("schema", false), ("durability", true)]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", folder.path().join("switchboard.db").display());
    for url in [file.as_str(), "sqlite::memory:", "postgres://127.0.0.1:1/nowhere"] {
        assert_eq!(look(url).await, [("database", false)], "{url}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
