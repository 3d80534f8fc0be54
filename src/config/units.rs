//! Durations and sizes as people write them: a whole number and one unit.

use std::time::Duration;

/// Milliseconds in each unit of duration, the longest first.
const DURATIONS: &[(&str, u64)] =
    &[("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

/// Bytes in each unit of size, the largest first.
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads `500ms`, `30s`, `10m`, `2h` or `90d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, DURATIONS).map(Duration::from_millis)
}

/// Writes a duration so that [`parse_duration`] reads it back, to the millisecond.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match largest(millis, DURATIONS) {
        Some((count, unit)) => format!("{count}{unit}"),
        None => "0s".to_owned(),
    }
}

/// Reads `512KiB`, `64MiB`, `1GiB`, or a plain number of bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| parse(text, SIZES))
}

/// Writes a size so that [`parse_size`] reads it back.
pub(super) fn show_size(bytes: u64) -> String {
    match largest(bytes, SIZES) {
        Some((count, unit)) => format!("{count}{unit}"),
        None => bytes.to_string(),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    count.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The largest unit that divides a total other than zero without a rest.
fn largest<'a>(total: u64, units: &[(&'a str, u64)]) -> Option<(u64, &'a str)> {
    let (unit, factor) = units.iter().find(|(_, factor)| total != 0 && total.is_multiple_of(*factor))?;
    Some((total / factor, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for text in ["500ms", "30s", "10m", "2h", "90d", "0s", "1500ms", "90s"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(show_duration(duration), text, "{duration:?}");
        }
        assert_eq!(parse_duration("10m"), Some(Duration::from_mins(10)));
        assert_eq!(parse_duration("60s").map(show_duration).as_deref(), Some("1m"));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "10", "m", "10 m", "-1s", "+1s", "1.5h", "1h30m", "10M", "1w", "99999999999999999999s"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_duration("9999999999999999d"), None, "too large to count");
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("512KiB", 512 << 10), ("64MiB", 64 << 20), ("1GiB", 1 << 30), ("1000", 1000)] {
            assert_eq!(parse_size(text), Some(bytes));
            assert_eq!(show_size(bytes), text);
        }
        assert_eq!(show_size(0), "0");
        for text in ["", "1MB", "1 MiB", "MiB", "-1"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
