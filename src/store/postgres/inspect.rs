//! A look at a PostgreSQL, in one session like those of `serve`.

use std::time::Duration;

use sqlx::{Connection as _, FromRow, PgConnection};

use super::{check_schema, session};
use crate::store::inspect::Finding;
use crate::store::{Result, StoreError};

/// How long the look may take: a host that is away answers nothing at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// The oldest version that the statements are written for, as the server numbers it.
const OLDEST: i32 = 140_000;

/// What a server says of itself.
#[derive(FromRow)]
struct Server {
    version: String,
    number: i32,
    read_only: bool,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
}

pub(in crate::store) async fn inspect(url: &str) -> Result<Vec<Finding>> {
    let late = |_| StoreError::Unavailable("it did not answer in time".to_owned());
    tokio::time::timeout(PATIENCE, look(url)).await.map_err(late)?
}

async fn look(url: &str) -> Result<Vec<Finding>> {
    let mut connection = PgConnection::connect_with(&session(url)?).await?;
    // store::inspect
    let server: Server = sqlx::query_as(
        "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
             pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS read_only,
             current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
             current_setting('synchronous_commit') AS synchronous_commit",
    )
    .fetch_one(&mut connection)
    .await?;
    let schema = check_schema(&mut connection).await;
    connection.close().await?;
    Ok(vec![Finding::database(server.told()), Finding::schema(schema), server.durability()])
}

impl Server {
    fn told(&self) -> std::result::Result<String, String> {
        let name = format!("PostgreSQL {}", self.version);
        if self.number < OLDEST {
            return Err(format!("{name} is too old: 14 or newer is needed"));
        }
        if self.read_only {
            return Err(format!("{name} can only be read: is it a standby?"));
        }
        Ok(name)
    }

    fn durability(self) -> Finding {
        let on = |value: &str| value == "on";
        Finding::durability(&[
            ("fsync", self.fsync.clone(), on(&self.fsync)),
            ("full_page_writes", self.full_page_writes.clone(), on(&self.full_page_writes)),
            ("synchronous_commit", self.synchronous_commit.clone(), on(&self.synchronous_commit)),
        ])
    }
}
