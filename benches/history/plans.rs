//! How PostgreSQL answers the questions: the plans that it logs by itself while each is asked once.

use sqlx::{Connection as _, PgConnection};

use crate::fill::History;
use crate::{questions, start};

/// Logs every statement's plan, with what it read, in every session that begins from now on.
const LOG_PLANS: &str = "DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = auto_explain', current_database());
    EXECUTE format('ALTER DATABASE %I SET auto_explain.log_min_duration = 0', current_database());
    EXECUTE format('ALTER DATABASE %I SET auto_explain.log_analyze = on', current_database());
    EXECUTE format('ALTER DATABASE %I SET auto_explain.log_buffers = on', current_database());
    EXECUTE format('ALTER DATABASE %I SET auto_explain.log_timing = off', current_database());
END $$";

/// The plans stand in the server's log then; this only has them made.
pub async fn print(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(LOG_PLANS).execute(&mut connection).await.unwrap();
    let events: i64 =
        sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut connection).await.unwrap();
    let first: i64 =
        sqlx::query_scalar("SELECT min(received_at) FROM events").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let history = History { events: u64::try_from(events).unwrap(), begin: u64::try_from(first).unwrap() };
    let server = start(url);
    questions::once(server.admin, &questions::all(&history)).await;
    drop(server);
}
