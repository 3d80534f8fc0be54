//! Questions whose text is the same in both databases, built once; a backend only asks them.
//!
//! To add one: a function that builds it here, and a line in both backends that asks it.

pub mod conversations;
pub mod customers;
pub mod events;
pub mod messages;
pub mod narrow;
pub mod states;
pub mod stats;

use sqlx::{Database, Encode, Postgres, Sqlite, Type};

/// What can be a parameter of a query to `Db`.
pub trait Parameter<Db: Database>: for<'q> Encode<'q, Db> + Type<Db> {}

impl<Db: Database, T: for<'q> Encode<'q, Db> + Type<Db>> Parameter<Db> for T {}

/// What a backend needs to be told about a condition.
pub trait Dialect: Database {
    /// Stands before a column whose index must not be used: SQLite keeps no statistics, and would take the index of a value
    /// that every row has.
    const UNINDEXED: &'static str;
}

impl Dialect for Postgres {
    const UNINDEXED: &'static str = "";
}

impl Dialect for Sqlite {
    const UNINDEXED: &'static str = "+";
}
