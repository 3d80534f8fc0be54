//! `[hours]`: when the business is open.

use std::collections::BTreeMap;

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
        let config = root.optional_section("hours", Self::read)?;
        root.warn("hours", "not available in this release; nothing depends on them");
        config
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
    for (days, hours) in table {
        let key = format!("open.{days}");
        if !is_days(&days) {
            section.problem(&key, "unknown day, expected one such as `sat` or some such as `mon-fri`");
        }
        match hours.as_str().filter(|hours| is_span(hours)) {
            Some(span) => drop(open.insert(days, span.to_owned())),
            None => section.problem(&key, "expected opening hours such as \"09:00-18:00\""),
        }
    }
    open
}

/// Whether the IANA database knows the zone. A machine without the database cannot tell, and takes any.
fn is_time_zone(text: &str) -> bool {
    let database = tz::db();
    !text.is_empty() && (database.is_definitively_empty() || database.get(text).is_ok())
}

fn is_days(text: &str) -> bool {
    let place = |day: &str| DAYS.iter().position(|known| *known == day);
    match text.split_once('-') {
        Some((from, to)) => place(from).zip(place(to)).is_some_and(|(from, to)| from < to),
        None => place(text).is_some(),
    }
}

fn is_span(text: &str) -> bool {
    let Some((from, to)) = text.split_once('-') else {
        return false;
    };
    let time = |text: &str| Time::strptime("%H:%M", text).ok().filter(|_| text.len() == 5);
    // Midnight at the end of the day is written as it is spoken.
    time(from).is_some_and(|from| to == "24:00" || time(to).is_some_and(|to| from < to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_spans() {
        for days in ["mon", "mon-fri", "sat-sun"] {
            assert!(is_days(days), "{days}");
        }
        for days in ["", "monday", "fri-mon", "mon-mon", "mon-fri-sun"] {
            assert!(!is_days(days), "{days}");
        }
        for span in ["09:00-18:00", "00:00-24:00"] {
            assert!(is_span(span), "{span}");
        }
        for span in ["", "9-18", "9:00-18:00", "18:00-09:00", "09:00", "09:00-25:00"] {
            assert!(!is_span(span), "{span}");
        }
    }
}
