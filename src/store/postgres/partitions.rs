//! Monthly partitions, made ahead.
//!
//! A partition is made standalone and then attached, which does not stop inserts. `dedupe` is keyed by times that its
//! senders name, so two outer partitions catch what lies before the first month and after the last; making a month moves
//! the border of the upper one.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use sqlx::{AssertSqlSafe, PgConnection};

use super::PostgresStore;
use crate::store::Result;

/// The advisory lock under which partitions are made: "SWBDPART" in ASCII.
const LOCK: i64 = 0x5357_4244_5041_5254;
/// Months before the current one: a clock that is slow at the turn of the month still finds its partition.
const MONTHS_BEHIND: i32 = 1;
/// Months after the current one.
const MONTHS_AHEAD: i32 = 2;
/// Tables whose key is a ULID as uuid.
pub(super) const BY_ID: [&str; 4] = ["events", "bodies", "outcomes", "callback_keys"];

/// Makes what is missing from last month to the month after next. One instance at a time; the others find it done.
pub(super) async fn upkeep(store: &PostgresStore) -> Result<()> {
    let months = months_around(store.clock.now());
    let mut tx = store.pool.begin().await?;
    // store::upkeep
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    let existing = partitions(&mut tx).await?;
    for month in &months {
        for table in BY_ID {
            let name = month.name(table);
            if !existing.contains(&name) {
                let (from, to) = (month.uuid_bound(), month.next().uuid_bound());
                attach(&mut tx, table, &name, &format!("'{from}'"), &format!("'{to}'")).await?;
            }
        }
    }
    dedupe(&mut tx, &months, &existing).await?;
    tx.commit().await?;
    Ok(())
}

/// A calendar month in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(Date);

impl Month {
    pub(super) fn of(at: Timestamp) -> Self {
        Self(at.to_zoned(TimeZone::UTC).date().first_of_month())
    }

    fn plus(self, months: i32) -> Self {
        Self(self.0.saturating_add(months.months()))
    }

    fn next(self) -> Self {
        self.plus(1)
    }

    fn name(self, table: &str) -> String {
        format!("{table}_{:04}_{:02}", self.0.year(), self.0.month())
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        let mut parts = name.rsplitn(3, '_');
        let month = parts.next()?.parse().ok()?;
        let year = parts.next()?.parse().ok()?;
        Date::new(year, month, 1).ok().map(Self)
    }

    fn start_ms(self) -> u64 {
        let start = self.0.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond());
        u64::try_from(start).unwrap_or(0)
    }

    /// The smallest ULID of the month as uuid.
    fn uuid_bound(self) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(self.start_ms()) << 80)
    }

    /// The smallest dedupe key of the month: its 48 bits of time.
    fn key_bound(self) -> String {
        format!("'\\x{:012x}'", self.start_ms())
    }
}

fn months_around(now: Timestamp) -> Vec<Month> {
    let current = Month::of(now);
    (-MONTHS_BEHIND..=MONTHS_AHEAD).map(|offset| current.plus(offset)).collect()
}

async fn partitions(connection: &mut PgConnection) -> Result<Vec<String>> {
    // store::partitions
    let names = sqlx::query_scalar(
        "SELECT child.relname::text FROM pg_inherits
         JOIN pg_class child ON child.oid = inhrelid
         JOIN pg_class parent ON parent.oid = inhparent
         WHERE parent.relname IN ('events', 'bodies', 'dedupe', 'outcomes', 'callback_keys') AND parent.relkind = 'p'
           AND parent.relnamespace = current_schema()::regnamespace",
    );
    Ok(names.fetch_all(connection).await?)
}

/// Months between the last one there is and the last one wanted are made without a gap, since they bound each other.
async fn dedupe(connection: &mut PgConnection, wanted: &[Month], existing: &[String]) -> Result<()> {
    let of_dedupe = existing.iter().filter(|name| name.starts_with("dedupe_"));
    let known = of_dedupe.filter_map(|name| Month::of_name(name)).max();
    let (Some(first), Some(last)) = (wanted.first().copied(), wanted.last().copied()) else {
        return Ok(());
    };
    let Some(newest) = known else {
        attach(connection, "dedupe", "dedupe_before", "MINVALUE", &first.key_bound()).await?;
        for month in wanted {
            attach_month(connection, *month).await?;
        }
        return attach(connection, "dedupe", "dedupe_after", &last.next().key_bound(), "MAXVALUE").await;
    };
    if newest >= last {
        return Ok(());
    }
    run(connection, "ALTER TABLE dedupe DETACH PARTITION dedupe_after".to_owned()).await?;
    let mut month = newest;
    while month < last {
        month = month.next();
        attach_month(connection, month).await?;
    }
    let border = last.next().key_bound();
    run(
        connection,
        format!(
            "WITH moved AS (DELETE FROM dedupe_after WHERE key < {border} RETURNING *) INSERT INTO dedupe SELECT * FROM moved"
        ),
    )
    .await?;
    run(
        connection,
        format!("ALTER TABLE dedupe ATTACH PARTITION dedupe_after FOR VALUES FROM ({border}) TO (MAXVALUE)"),
    )
    .await
}

async fn attach_month(connection: &mut PgConnection, month: Month) -> Result<()> {
    let (from, to) = (month.key_bound(), month.next().key_bound());
    attach(connection, "dedupe", &month.name("dedupe"), &from, &to).await
}

async fn attach(connection: &mut PgConnection, table: &str, name: &str, from: &str, to: &str) -> Result<()> {
    run(connection, format!("CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")).await?;
    run(connection, format!("ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})"))
        .await
}

/// Runs a statement made of our own constants and dates: names and bounds cannot be parameters.
async fn run(connection: &mut PgConnection, statement: String) -> Result<()> {
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_reach_over_the_turn_of_the_year() {
        let months = months_around("2026-12-31T23:59:59Z".parse().unwrap());
        let names: Vec<_> = months.iter().map(|month| month.name("events")).collect();
        assert_eq!(names, ["events_2026_11", "events_2026_12", "events_2027_01", "events_2027_02"]);
        assert_eq!(Month::of_name(&names[2]), Some(months[2]));
        assert_eq!(Month::of_name("dedupe_after"), None);
    }

    #[test]
    fn bounds_are_the_smallest_keys_of_a_month() {
        let month = Month::of("2026-01-15T00:00:00Z".parse().unwrap());
        assert_eq!(month.key_bound(), "'\\x019b76daa800'");
        assert_eq!(month.uuid_bound().to_string(), "019b76da-a800-0000-0000-000000000000");
    }
}
