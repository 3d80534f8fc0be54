//! Whether anything of a text is left, looked for as bytes.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::Backend;
use crate::support::depot::Depot;

/// Where any of these texts is left: tables in PostgreSQL, files in SQLite.
pub async fn traces(depot: &Depot, backend: Backend, texts: &[&str]) -> Vec<String> {
    match backend {
        Backend::Sqlite => in_files(depot, texts),
        Backend::Postgres => in_tables(depot, texts).await,
    }
}

fn in_files(depot: &Depot, texts: &[&str]) -> Vec<String> {
    let path = depot.store.url.trim_start_matches("sqlite://").trim_start_matches("sqlite:");
    let path = path.split('?').next().unwrap();
    let mut found = Vec::new();
    for file in [path.to_owned(), format!("{path}-wal")] {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for text in texts.iter().filter(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
        {
            found.push(format!("{text} in {file}"));
        }
    }
    found
}

async fn in_tables(depot: &Depot, texts: &[&str]) -> Vec<String> {
    let mut connection = PgConnection::connect(&depot.store.url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut found = Vec::new();
    for table in tables {
        for text in texts {
            let asked = format!(
                "SELECT count(*) FROM {table} t WHERE strpos(t::text, '{text}') > 0
                     OR strpos(t::text, encode(convert_to('{text}', 'UTF8'), 'hex')) > 0"
            );
            let rows: i64 =
                sqlx::query_scalar(AssertSqlSafe(asked)).fetch_one(&mut connection).await.unwrap();
            if rows > 0 {
                found.push(format!("{text} in {rows} rows of {table}"));
            }
        }
    }
    connection.close().await.unwrap();
    found
}
