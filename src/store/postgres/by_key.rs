//! Rows that are looked up by many keys at a time.
//!
//! The planner lets whichever side of a join it takes for the smaller one lead, and what it knows of a table is of another time:
//! of a queue that was empty, say. Led by the table, each group that was settled read ten thousand waiting jobs. Nor does it mind
//! reading all of a table that it takes for one row. So:
//!
//! - what is read for each key stands in [`for_each`], which only the keys can lead;
//! - what is changed for each key names the list once more (`j.id = n.id AND j.id = ANY($1)`): whoever leads, no other row is
//!   read;
//! - where the keys come from the statement itself, they are made a list: `= ANY(ARRAY(SELECT ..))`.

/// The rows of a table that satisfy a condition, for each row on its left; if asked, locked in the order of the left. To be joined
/// by `CROSS JOIN`, or by `LEFT JOIN .. ON true`. `OFFSET 0` keeps it from becoming a join like any other.
macro_rules! for_each {
    ($table:literal, $condition:literal) => {
        for_each!($table, $condition, "")
    };
    ($table:literal, $condition:literal, $lock:literal) => {
        concat!("LATERAL (SELECT * FROM ", $table, " WHERE ", $condition, " OFFSET 0", $lock, ")")
    };
}
pub(super) use for_each;
