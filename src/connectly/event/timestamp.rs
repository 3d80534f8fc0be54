//! An event's own time, which is Unix seconds as a text, and by topic or generation a number, milliseconds or ISO 8601.

use jiff::Timestamp;

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

/// Seconds with a fraction, such as `1767225600.25`.
#[expect(clippy::cast_possible_truncation, reason = "the bound above keeps it far inside i64")]
fn fraction(text: &str) -> Option<i64> {
    let seconds = text.parse::<f64>().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "2^37 is exact in an f64")]
    let bounded = seconds.is_finite() && seconds.abs() < FIRST_MILLISECOND as f64;
    bounded.then_some((seconds * 1000.0) as i64)
}

fn iso(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
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
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
        ];
        for form in forms {
            assert_eq!(parse(form).unwrap().to_string(), "2026-01-01T00:00:00Z", "{form}");
        }
        assert_eq!(parse("1767225600.25").unwrap().as_millisecond(), 1_767_225_600_250);
    }

    #[test]
    fn nonsense_is_absent() {
        for nonsense in ["", "0", "-5", "soon", "1e999", "NaN", "99999999999999999999", "9223372036854775807"]
        {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
