//! What the store has on record, read past Switchboard once it has ended.

use std::collections::BTreeMap;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Row as _};
use ulid::Ulid;
use uuid::Uuid;

/// A database of either kind. Every column is asked for as text, and every id comes as a ULID.
pub enum Records {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

pub struct EventRow {
    pub id: String,
    pub kind: String,
    pub provider_id: String,
    pub duplicates: u64,
    pub body: String,
}

pub struct OutcomeRow {
    pub job: String,
    pub kind: String,
    pub event: String,
    pub message: String,
    pub outcome: String,
}

pub struct MessageRow {
    pub id: String,
    pub origin: String,
    pub caused_by: String,
    pub text: String,
    pub state: String,
    pub provider_id: String,
    pub dispatched_at: Option<i64>,
    /// The statuses that are known.
    pub statuses: Vec<&'static str>,
}

pub struct JobRow {
    pub id: String,
    pub kind: String,
    pub is_parked: bool,
    pub last_error: String,
}

impl Records {
    pub async fn open(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            Self::Sqlite(SqliteConnection::connect(url).await.unwrap())
        } else {
            Self::Postgres(PgConnection::connect(url).await.unwrap())
        }
    }

    pub async fn events(&mut self) -> Vec<EventRow> {
        let body = match self {
            Self::Sqlite(_) => "CAST(b.body AS text)",
            Self::Postgres(_) => "convert_from(b.body, 'UTF8')",
        };
        let rows = self
            .rows(&format!(
                "SELECT CAST(e.id AS text), e.type, e.provider_message_id,
                     CAST((SELECT r.times FROM repeats r WHERE r.event_id = e.id) AS text), {body}
                 FROM events e LEFT JOIN bodies b ON b.event_id = e.id"
            ))
            .await;
        let event = |row: Vec<String>| {
            let [id, kind, provider_id, duplicates, body] = row.try_into().unwrap();
            EventRow { id, kind, provider_id, duplicates: duplicates.parse().unwrap_or(0), body }
        };
        rows.into_iter().map(event).collect()
    }

    pub async fn outcomes(&mut self) -> Vec<OutcomeRow> {
        let rows = self
            .rows(
                "SELECT CAST(job_id AS text), kind, CAST(event_id AS text), CAST(message_id AS text), outcome
                 FROM outcomes",
            )
            .await;
        let outcome = |row: Vec<String>| {
            let [job, kind, event, message, outcome] = row.try_into().unwrap();
            OutcomeRow { job, kind, event, message, outcome }
        };
        rows.into_iter().map(outcome).collect()
    }

    pub async fn messages(&mut self) -> Vec<MessageRow> {
        let rows = self
            .rows(
                "SELECT CAST(m.id AS text), m.origin, CAST(m.caused_by AS text), m.content, m.state,
                     s.provider_message_id, CAST(s.dispatched_at AS text), CAST(s.sent_at AS text),
                     CAST(s.delivered_at AS text), CAST(s.read_at AS text), CAST(s.failed_at AS text)
                 FROM messages m JOIN sends s ON s.message_id = m.id",
            )
            .await;
        rows.into_iter().map(message).collect()
    }

    /// What is unfinished or parked.
    pub async fn jobs(&mut self) -> Vec<JobRow> {
        let rows =
            self.rows("SELECT CAST(id AS text), kind, CAST(parked_at AS text), last_error FROM jobs").await;
        let job = |row: Vec<String>| {
            let [id, kind, parked_at, last_error] = row.try_into().unwrap();
            JobRow { id, kind, is_parked: !parked_at.is_empty(), last_error }
        };
        rows.into_iter().map(job).collect()
    }

    /// Null comes as the empty text.
    async fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => {
                let rows: Vec<SqliteRow> = sqlx::query(sql).fetch_all(connection).await.unwrap();
                let cell = |row: &SqliteRow, at| row.get::<Option<String>, usize>(at);
                rows.iter().map(|row| (0..row.len()).map(|at| ulid(cell(row, at))).collect()).collect()
            }
            Self::Postgres(connection) => {
                let rows: Vec<PgRow> = sqlx::query(sql).fetch_all(connection).await.unwrap();
                let cell = |row: &PgRow, at| row.get::<Option<String>, usize>(at);
                rows.iter().map(|row| (0..row.len()).map(|at| ulid(cell(row, at))).collect()).collect()
            }
        }
    }
}

fn message(row: Vec<String>) -> MessageRow {
    let [id, origin, caused_by, content, state, provider_id, dispatched_at, sent, delivered, read, failed] =
        row.try_into().unwrap();
    let content: serde_json::Value = serde_json::from_str(&content).unwrap_or_default();
    let text = content["text"].as_str().unwrap_or_default().to_owned();
    let times =
        BTreeMap::from([("sent", sent), ("delivered", delivered), ("read", read), ("failed", failed)]);
    let known = |(status, at): (&'static str, String)| (!at.is_empty()).then_some(status);
    let statuses = times.into_iter().filter_map(known).collect();
    let dispatched_at = dispatched_at.parse().ok();
    MessageRow { id, origin, caused_by, text, state, provider_id, dispatched_at, statuses }
}

/// PostgreSQL's form of an id as SQLite's; anything else as it is.
fn ulid(cell: Option<String>) -> String {
    let text = cell.unwrap_or_default();
    let as_uuid = (text.len() == 36).then(|| Uuid::try_parse(&text).ok()).flatten();
    as_uuid.map_or(text, |uuid| Ulid(uuid.as_u128()).to_string())
}
