//! A store of its own for each test, on either backend.

use std::ops::Deref;
use std::sync::Arc;

use switchboard::clock::Clock;
use switchboard::store::{OpenOptions, Store, open};

use super::database::{Backend, Database};

/// Few, since many tests share one server: enough for two verbs at once and an upkeep beside them.
const OPTIONS: OpenOptions = OpenOptions { migrate: true, connections: 3 };

/// A store that is removed when the test ends.
pub struct TestStore {
    store: Arc<dyn Store>,
    /// Where it is.
    pub url: String,
    backend: Backend,
    clock: Clock,
    _database: Database,
}

impl TestStore {
    /// A fresh store with every migration applied.
    pub async fn open(backend: Backend, clock: &Clock) -> Self {
        let database = Database::fresh(backend).await;
        let store = open(&database.url, &OPTIONS, clock.clone()).await.unwrap();
        Self { store, url: database.url.clone(), backend, clock: clock.clone(), _database: database }
    }

    /// The store as another instance sees it. A SQLite file belongs to one process: there it is the same store, used twice
    /// at a time.
    pub async fn second_instance(&self) -> Arc<dyn Store> {
        match self.backend {
            Backend::Sqlite => Arc::clone(&self.store),
            Backend::Postgres => open(&self.url, &OPTIONS, self.clock.clone()).await.unwrap(),
        }
    }
}

impl Deref for TestStore {
    type Target = Arc<dyn Store>;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}
