//! Databases that nobody used before.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::beforehand;

/// Which store is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Where databases are made.
pub(crate) struct Stores {
    /// The URL of any database of the server.
    postgres: Option<String>,
    sqlite: bool,
}

/// A fresh database.
pub(crate) struct Database {
    pub(crate) url: String,
    place: Place,
}

enum Place {
    Folder(TempDir),
    Server { url: String, name: String },
}

/// Numbers the databases of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

impl Stores {
    #[allow(clippy::disallowed_methods, reason = "how `scripts/bench` says where its server is")]
    pub(crate) fn from_environment() -> Self {
        let postgres = std::env::var("SWITCHBOARD_BENCH_POSTGRES_URL").ok();
        if postgres.is_none() {
            println!("PostgreSQL is not measured, since SWITCHBOARD_BENCH_POSTGRES_URL is not set\n");
        }
        // A long section need not be measured on both.
        let sqlite = std::env::var_os("SWITCHBOARD_BENCH_WITHOUT_SQLITE").is_none();
        Self { postgres, sqlite }
    }

    /// Those that there are.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let postgres = self.has(Kind::Postgres).then_some(Kind::Postgres);
        self.sqlite.then_some(Kind::Sqlite).into_iter().chain(postgres)
    }

    pub(crate) const fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Sqlite => self.sqlite,
            Kind::Postgres => self.postgres.is_some(),
        }
    }

    /// A new database that knows all customers.
    pub(crate) async fn acquainted(&self, kind: Kind) -> Database {
        let database = self.fresh(kind).await;
        beforehand::acquaint(&database.url).await;
        database
    }

    /// A new database, empty.
    pub(crate) async fn fresh(&self, kind: Kind) -> Database {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("bench.db").display());
                Database { url, place: Place::Folder(folder) }
            }
            Kind::Postgres => {
                let url = self.postgres.clone().unwrap();
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let name = format!("switchboard_bench_{}_{number}", std::process::id());
                tell(&url, format!("CREATE DATABASE {name}")).await;
                let (server, _) = url.rsplit_once('/').unwrap();
                Database { url: format!("{server}/{name}"), place: Place::Server { url, name } }
            }
        }
    }
}

impl Database {
    /// Takes it away, so that it is nobody else's burden.
    pub(crate) async fn remove(self) {
        match self.place {
            Place::Folder(folder) => folder.close().unwrap(),
            Place::Server { url, name } => tell(&url, format!("DROP DATABASE {name} WITH (FORCE)")).await,
        }
    }
}

async fn tell(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
