//! A database of its own for each test, on either store.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use switchboard::clock::Clock;
use switchboard::store::{OpenOptions, open};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use ulid::Ulid;

/// The two databases that keep the store's guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In a folder of the test's own.
    Sqlite,
    /// In a database of the test's own, on the server that `scripts/test` starts.
    Postgres,
}

/// Databases of tests begin so, and go on with a ULID, which tells their age.
const PREFIX: &str = "switchboard_test_";
/// What is older was left behind by a run that was killed.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

/// A database that nobody else uses; it is removed with this value.
pub struct Database {
    /// Where it is.
    pub url: String,
    _home: Home,
}

enum Home {
    Folder(#[expect(dead_code, reason = "it is removed when it is dropped")] TempDir),
    Server(#[expect(dead_code, reason = "it is removed when it is dropped")] Box<OnServer>),
}

impl Database {
    /// One that is ready to be opened: on PostgreSQL it is migrated already, a SQLite file is made when it is opened.
    pub async fn fresh(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("switchboard.db").display());
                Self { url, _home: Home::Folder(folder) }
            }
            Backend::Postgres => {
                let template = TEMPLATE.get_or_init(template).await;
                Self::on_server(OnServer::create(&format!("TEMPLATE {template}")).await)
            }
        }
    }

    /// One on PostgreSQL that has never been migrated.
    pub async fn empty() -> Self {
        Self::on_server(OnServer::create("").await)
    }

    fn on_server(database: OnServer) -> Self {
        Self { url: database.url(), _home: Home::Server(Box::new(database)) }
    }
}

/// A PostgreSQL database that is dropped with this value.
struct OnServer {
    server: PgConnectOptions,
    name: String,
}

/// The database that the others are copies of: migrating once per process saves most of the time.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

impl OnServer {
    async fn create(how: &str) -> Self {
        let database = Self { server: server(), name: name() };
        run(&database.server, &format!("CREATE DATABASE {} {how}", database.name)).await;
        database
    }

    fn url(&self) -> String {
        let server = self.server.clone().database(&self.name);
        server.to_url_lossy().to_string()
    }
}

impl Drop for OnServer {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // The test's own runtime is blocked by this, so the statement needs another one.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(drop_database(&server, &name))
        });
        // Best effort: what stays behind is dropped by a later run.
        let _ = dropping.join();
    }
}

/// A migrated database; it stays behind, since nothing is dropped at the end of a process.
async fn template() -> String {
    drop_abandoned().await;
    let database = OnServer::create("").await;
    let options = OpenOptions { migrate: true, connections: 2 };
    let store = open(&database.url(), &options, Clock::system()).await.unwrap();
    store.close().await;
    let name = database.name.clone();
    std::mem::forget(database);
    name
}

async fn drop_abandoned() {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)")
            .bind(PREFIX)
            .fetch_all(&mut connection)
            .await
            .unwrap();
    for name in names.iter().filter(|name| is_abandoned(name)) {
        // Another run may be doing the same.
        let _ = drop_database(&server, name).await;
    }
}

fn is_abandoned(name: &str) -> bool {
    let made = name.strip_prefix(PREFIX).and_then(|ulid| Ulid::from_string(&ulid.to_uppercase()).ok());
    let now = Clock::system().ulid().datetime();
    made.is_some_and(|made| {
        let age = now.duration_since(made.datetime()).unwrap_or_default();
        age > ABANDONED_AFTER
    })
}

async fn drop_database(server: &PgConnectOptions, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = server.connect().await?;
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

fn name() -> String {
    let mut name = PREFIX.to_owned();
    write!(name, "{}", Clock::system().ulid()).expect("writing to a String cannot fail");
    name.to_lowercase()
}

#[expect(clippy::disallowed_methods, reason = "the tests' server is named by the script that starts it")]
fn server() -> PgConnectOptions {
    std::env::var("SWITCHBOARD_TEST_POSTGRES_URL")
        .expect("half of the tests need a PostgreSQL, which `scripts/test` starts: run that instead of `cargo test`")
        .parse()
        .unwrap()
}

async fn run(server: &PgConnectOptions, statement: &str) {
    let mut connection: PgConnection = server.connect().await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
