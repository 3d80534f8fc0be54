//! A database of its own for each test, on either store.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

/// Which store a test runs on. Every behaviour that a store is involved in is tested on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database that nobody else uses.
pub struct Database {
    pub url: String,
    _folder: Option<TempDir>,
}

/// Set by `scripts/test`.
const POSTGRES: &str = "SWITCHBOARD_TEST_POSTGRES_URL";

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Database {
    pub async fn fresh(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let file: PathBuf = folder.path().join("switchboard.db");
                Self { url: format!("sqlite://{}", file.display()), _folder: Some(folder) }
            }
            Backend::Postgres => Self { url: create().await, _folder: None },
        }
    }
}

/// The server that `scripts/test` started. A test that needs it fails without it: it never passes by being skipped.
#[expect(clippy::disallowed_methods, reason = "how the test script says where its server is")]
pub fn postgres_server() -> String {
    std::env::var(POSTGRES).unwrap_or_else(|_| {
        panic!("this test needs PostgreSQL: run `scripts/test`, which starts one, or set {POSTGRES} to a server's URL")
    })
}

async fn create() -> String {
    let server = postgres_server();
    let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
