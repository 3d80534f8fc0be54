//! An event's own time, which is Unix seconds as a text, and by topic or generation a number, milliseconds or ISO 8601.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Seconds stay below this until the year 5138; milliseconds are above it since 1973.
const FIRST_MILLISECOND: i64 = 100_000_000_000;
/// Nothing was sent over WhatsApp before 2009: an earlier time is a mistake of the sender's, and counts as absent.
const EARLIEST_SECOND: i64 = 1_230_768_000;
/// The end of the year 9999 in milliseconds: the last one that ISO 8601 can print.
const LATEST_MILLISECOND: i64 = 253_402_207_200_000;

/// Reads any of the documented forms, in whole milliseconds.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let millis = match text.parse::<i64>() {
        Ok(number) if number.abs() < FIRST_MILLISECOND => number.checked_mul(1000)?,
        Ok(number) => number,
        Err(_) => fraction(text).or_else(|| iso(text))?,
    };
    let plausible = (EARLIEST_SECOND * 1000..=LATEST_MILLISECOND).contains(&millis);
    plausible.then(|| Timestamp::from_millisecond(millis).ok()).flatten()
}

/// A number that is not whole, or printed as one: `1767225600.25`, `1.7672256e9`.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "all bounds are below 2^53")]
fn fraction(text: &str) -> Option<i64> {
    let number = text.parse::<f64>().ok()?;
    let millis = if number.abs() < FIRST_MILLISECOND as f64 { number * 1000.0 } else { number };
    (millis.abs() <= LATEST_MILLISECOND as f64).then(|| millis.round() as i64)
}

/// A time that names no offset is in UTC, as all of Connectly's are.
fn iso(text: &str) -> Option<i64> {
    let without_offset = || Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(without_offset).map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn every_documented_form_is_read() {
        let forms = [
            "1767225600",
            "1767225600000",
            "1767225600.0",
            "1.7672256e9",
            "1.7672256e12",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            "2026-01-01T00:00:00+0000",
            "2026-01-01T00:00:00.000195879Z",
            "2026-01-01T00:00:00",
        ];
        for form in forms {
            assert_eq!(parse(form).unwrap().to_string(), "2026-01-01T00:00:00Z", "{form}");
        }
        assert_eq!(parse("1767225600.25").unwrap().as_millisecond(), 1_767_225_600_250);
        assert_eq!(parse("1767225600.123").unwrap().as_millisecond(), 1_767_225_600_123);
    }

    #[test]
    fn nonsense_is_absent() {
        for nonsense in ["", "0", "-5", "soon", "1e999", "NaN", "99999999999999999999", "9223372036854775807"]
        {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
