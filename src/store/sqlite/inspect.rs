//! A look at a SQLite file beside whoever has it open.

use std::str::FromStr as _;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};

use super::{BUSY_TIMEOUT, check_schema, in_memory};
use crate::store::inspect::Finding;
use crate::store::{Result, StoreError};

/// `PRAGMA synchronous` as a number: 2 is `FULL`.
const FULL: i64 = 2;

pub(in crate::store) async fn inspect(url: &str) -> Result<Vec<Finding>> {
    if in_memory(url) {
        let told = Err("it is in memory: nothing outlives the process".to_owned());
        return Ok(vec![Finding::database(told)]);
    }
    let connect = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::Url)?;
    if !connect.get_filename().is_file() {
        let told = Err("the file is not there yet: run `switchboard migrate`".to_owned());
        return Ok(vec![Finding::database(told)]);
    }
    let connect = connect
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        // As the store's writer has it.
        .synchronous(SqliteSynchronous::Full)
        .pragma("query_only", "on");
    let mut connection = SqliteConnection::connect_with(&connect).await?;
    // store::inspect
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await?;
    let schema = check_schema(&mut connection).await;
    connection.close().await?;
    let durable = Finding::durability(&[
        ("journal_mode", journal.clone(), journal == "wal"),
        ("synchronous", synchronous.to_string(), synchronous >= FULL),
    ]);
    Ok(vec![Finding::database(Ok(format!("SQLite {version}"))), Finding::schema(schema), durable])
}
