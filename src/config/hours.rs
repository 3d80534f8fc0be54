//! `[hours]`: when the business is open.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::civil::Time;
use jiff::tz;
use serde::Serialize;
use toml::Value;

use super::section::{Section, describe};

/// The days of the week as they are written, in their order.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// When the business is open.
#[derive(Debug, Clone, Serialize)]
pub struct HoursConfig {
    /// A name of the IANA database, such as `America/Sao_Paulo`.
    pub time_zone: String,
    /// Opening hours (`09:00-18:00`) by day or days (`sat`, `mon-fri`).
    pub open: BTreeMap<String, String>,
}

impl HoursConfig {
    /// The section, if there is one.
    pub(super) fn read_optional(root: &mut Section<'_>) -> Option<Self> {
        root.optional_section("hours", Self::read)?
    }

    /// The opening hours of each day from Monday on: from and until, in minutes after midnight.
    pub fn week(&self) -> [Vec<(i16, i16)>; 7] {
        let mut week: [Vec<(i16, i16)>; 7] = Default::default();
        for (days, hours) in &self.open {
            for day in days_of(days).into_iter().flatten() {
                week[day] = spans(hours).unwrap_or_default();
            }
        }
        week
    }

    fn read(section: &mut Section<'_>) -> Option<Self> {
        let expected = "a time zone such as \"America/Sao_Paulo\"";
        section.require("time_zone", expected);
        let time_zone =
            section.parsed("time_zone", expected, |text| is_time_zone(text).then(|| text.to_owned()));
        let open = read_open(section);
        Some(Self { time_zone: time_zone?, open })
    }
}

fn read_open(section: &mut Section<'_>) -> BTreeMap<String, String> {
    section.require("open", "a table such as { mon-fri = \"09:00-18:00\" }");
    let table = match section.in_file("open") {
        Some(Value::Table(table)) => table,
        Some(other) => {
            let found = describe(&other);
            section.problem("open", format!("found {found}, expected a table of days"));
            return BTreeMap::new();
        }
        None => return BTreeMap::new(),
    };
    let mut open = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (days, hours) in table {
        let key = format!("open.{days}");
        match days_of(&days) {
            None => {
                section.problem(&key, "unknown day, expected one such as `sat` or some such as `mon-fri`");
            }
            Some(range) => {
                for day in range.filter(|day| !seen.insert(*day)) {
                    section.problem(&key, format!("{} is in another entry too", DAYS[day]));
                }
            }
        }
        match hours.as_str().filter(|hours| spans(hours).is_some()) {
            Some(span) => drop(open.insert(days, span.to_owned())),
            None => section.problem(
                &key,
                "expected opening hours such as \"09:00-18:00\", or several separated by commas",
            ),
        }
    }
    open
}

/// Whether the IANA database knows the zone. A machine without the database cannot tell, and takes any.
fn is_time_zone(text: &str) -> bool {
    let database = tz::db();
    !text.is_empty() && (database.is_definitively_empty() || database.get(text).is_ok())
}

/// The days that an entry is for, counted from Monday.
fn days_of(text: &str) -> Option<RangeInclusive<usize>> {
    let place = |day: &str| DAYS.iter().position(|known| *known == day);
    match text.split_once('-') {
        Some((from, to)) => {
            place(from).zip(place(to)).filter(|(from, to)| from < to).map(|(from, to)| from..=to)
        }
        None => place(text).map(|day| day..=day),
    }
}

/// Opening hours in minutes after midnight, one after the other.
fn spans(text: &str) -> Option<Vec<(i16, i16)>> {
    let spans: Vec<_> = text.split(',').map(|span| span_of(span.trim())).collect::<Option<_>>()?;
    spans.is_sorted_by(|(_, until), (from, _)| until <= from).then_some(spans)
}

fn span_of(text: &str) -> Option<(i16, i16)> {
    let (from, to) = text.split_once('-')?;
    let minutes = |text: &str| {
        let time = Time::strptime("%H:%M", text).ok().filter(|_| text.len() == 5)?;
        Some(i16::from(time.hour()) * 60 + i16::from(time.minute()))
    };
    // Midnight at the end of the day is written as it is spoken.
    let until = if to == "24:00" { Some(24 * 60) } else { minutes(to) };
    minutes(from).zip(until).filter(|(from, until)| from < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_spans() {
        for days in ["mon", "mon-fri", "sat-sun"] {
            assert!(days_of(days).is_some(), "{days}");
        }
        for days in ["", "monday", "fri-mon", "mon-mon", "mon-fri-sun"] {
            assert!(days_of(days).is_none(), "{days}");
        }
        for span in ["09:00-18:00", "00:00-24:00", "09:00-12:00, 14:00-18:00"] {
            assert!(spans(span).is_some(), "{span}");
        }
        for span in
            ["", "9-18", "9:00-18:00", "18:00-09:00", "09:00", "09:00-25:00", "14:00-18:00,09:00-12:00"]
        {
            assert!(spans(span).is_none(), "{span}");
        }
    }
}
