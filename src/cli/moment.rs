//! A point in time as people type it.

use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// An RFC 3339 time, or a time span counted back from now: `30m`, `2h`, `1d`, `1w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A fixed time.
    At(Timestamp),
    /// So long before now.
    Ago(SignedDuration),
}

impl Moment {
    /// The time that is meant, seen from now.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Why a text is no [`Moment`].
#[derive(Debug, thiserror::Error)]
#[error("expected a time like 2026-01-01T00:00:00Z, or how long ago like 30m, 2h, 1d")]
pub struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let span: Span = text.parse().map_err(|_| NoMoment)?;
        // Months have no fixed length, so they are refused here.
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| NoMoment)?;
        Ok(Self::Ago(duration.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_fixed_or_counted_back_from_now() {
        let now: Timestamp = "2026-01-08T12:00:00Z".parse().unwrap();
        let resolve = |text: &str| text.parse::<Moment>().unwrap().resolve(now).to_string();
        assert_eq!(resolve("2026-01-01T01:00:00+01:00"), "2026-01-01T00:00:00Z");
        assert_eq!(resolve("30m"), "2026-01-08T11:30:00Z");
        assert_eq!(resolve("1d 2h"), "2026-01-07T10:00:00Z");
        assert_eq!(resolve("1w"), "2026-01-01T12:00:00Z");
        assert_eq!(resolve("2h ago"), "2026-01-08T10:00:00Z");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "soon", "2", "1mo", "yesterday"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
