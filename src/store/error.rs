//! What can go wrong with a store, by meaning.

use thiserror::Error;

/// Why a verb failed. Nothing of it is ever shown to a caller outside: the edge logs it once and answers without it.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The store cannot be reached, or is too busy; the same call may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The data of this call cannot be stored; repeating the call cannot help.
    #[error("the store refused the data: {0}")]
    Data(String),
    /// Two transactions got in each other's way; the same call may succeed at once.
    #[error("the transaction has to be repeated: {0}")]
    Contention(String),
    /// A row's month has no partition yet.
    #[error("there is no partition for this time")]
    MissingPartition,
    /// The thing is not in a state that allows this.
    #[error("{0}")]
    Conflict(&'static str),
    /// A store's URL of an unknown scheme.
    #[error("the store's URL begins neither with postgres:// nor with sqlite:")]
    Url,
    /// Another process holds the SQLite file.
    #[error("the database file {0} is in use by another process")]
    Locked(String),
    /// The schema is not what this version needs.
    #[error("the database schema is not up to date: {0}")]
    Schema(String),
    /// A mistake of ours.
    #[error("unexpected: {0}")]
    Internal(String),
}

/// SQLSTATE classes that say the data is at fault: data exceptions and violated constraints.
const DATA_CLASSES: [&str; 2] = ["22", "23"];
/// A statement or value larger than PostgreSQL can take.
const PROGRAM_LIMIT: &str = "54";
/// Serialization failure, deadlock, a row that another transaction inserted first, and one that it took away (a customer
/// who was merged).
const CONTENTION: [&str; 4] = ["40001", "40P01", "23505", "23503"];
/// A violated check; without a constraint's name it is a row that fits no partition.
const CHECK_VIOLATION: &str = "23514";

/// The one table that says what a driver's error means.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // A database's message can quote values; its code and the constraint's name cannot.
        let sqlx::Error::Database(database) = &error else {
            return of_driver(&error);
        };
        let code = database.code().unwrap_or_default().into_owned();
        let place = database.constraint().or(database.table()).unwrap_or_default();
        let told = format!("{code} {place}").trim().to_owned();
        if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            return of_sqlite(&code, told);
        }
        if CONTENTION.contains(&code.as_str()) {
            return Self::Contention(told);
        }
        if code == CHECK_VIOLATION && database.constraint().is_none() {
            return Self::MissingPartition;
        }
        let class = code.get(..2).unwrap_or_default();
        if DATA_CLASSES.contains(&class) || class == PROGRAM_LIMIT {
            return Self::Data(told);
        }
        match class {
            // Syntax or missing objects: a schema that is behind, or a mistake.
            "42" => Self::Internal(told),
            _ => Self::Unavailable(told),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Schema(error.to_string())
    }
}

fn of_driver(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { index, .. } => {
            StoreError::Internal(format!("column {index} does not decode"))
        }
        sqlx::Error::RowNotFound | sqlx::Error::ColumnNotFound(_) | sqlx::Error::TypeNotFound { .. } => {
            StoreError::Internal(error.to_string())
        }
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) => {
            StoreError::Data("a value does not encode".to_owned())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// SQLite's primary result codes; the extended ones carry them in the low byte.
fn of_sqlite(code: &str, told: String) -> StoreError {
    let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
    match primary {
        // TOOBIG, CONSTRAINT, MISMATCH
        18..=20 => StoreError::Data(told),
        // BUSY, LOCKED
        5 | 6 => StoreError::Contention(told),
        // ERROR, MISUSE, RANGE
        1 | 21 | 25 => StoreError::Internal(told),
        _ => StoreError::Unavailable(told),
    }
}
