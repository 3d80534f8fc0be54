//! What became of many events.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::cli::table::aligned;
use crate::cli::terminal::Terminal;

/// A rate is reached when no more than one event in a hundred is missing from it.
const REACHED: f64 = 0.99;

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Stored, as a new event.
    Accepted,
    /// Known already.
    Duplicate,
    /// Answered with this status.
    Refused(u16),
    /// No answer, or none that could be read.
    Unanswered,
}

/// Counts and latencies.
#[derive(Debug)]
pub(super) struct Tally {
    rate: u64,
    events: u64,
    sent: u64,
    last_sent: Duration,
    accepted: u64,
    duplicates: u64,
    refused: BTreeMap<u16, u64>,
    unanswered: u64,
    latencies: Vec<Duration>,
}

impl Tally {
    /// Nothing yet, of so many events at so many a second.
    pub(super) fn new(rate: u64, events: u64) -> Self {
        Self {
            rate,
            events,
            sent: 0,
            last_sent: Duration::ZERO,
            accepted: 0,
            duplicates: 0,
            refused: BTreeMap::new(),
            unanswered: 0,
            latencies: Vec::new(),
        }
    }

    /// An event was sent, so long after the start.
    pub(super) fn sent(&mut self, at: Duration) {
        self.sent += 1;
        self.last_sent = at;
    }

    /// An event found its end, so long after it should have been sent.
    pub(super) fn note(&mut self, fate: Fate, latency: Duration) {
        match fate {
            Fate::Accepted => self.accepted += 1,
            Fate::Duplicate => self.duplicates += 1,
            Fate::Refused(status) => *self.refused.entry(status).or_default() += 1,
            Fate::Unanswered => self.unanswered += 1,
        }
        self.latencies.push(latency);
    }

    /// How far it is, in a line.
    pub(super) fn progress(&self) -> String {
        let refused: u64 = self.refused.values().sum();
        format!(
            "{} sent, {} accepted, {refused} refused, {} unanswered",
            self.sent, self.accepted, self.unanswered
        )
    }

    /// Prints everything; an error when an event was not accepted.
    pub(super) fn print(mut self, as_json: bool, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        self.latencies.sort_unstable();
        if as_json {
            self.document(terminal)?;
        } else {
            self.lines(terminal)?;
        }
        let reached = self.reached();
        if reached < rounded(self.rate) * REACHED {
            terminal.hint(&format!(
                "the rate was not reached: {reached:.0} of {} events a second were sent, since too many were under way",
                self.rate
            ))?;
        }
        let lost = self.events - self.accepted - self.duplicates;
        anyhow::ensure!(lost == 0, "{lost} of {} events were not accepted", self.events);
        Ok(())
    }

    /// Events sent a second. The last one has its time one interval before the end.
    fn reached(&self) -> f64 {
        let interval = 1.0 / rounded(self.rate);
        (rounded(self.sent) / (self.last_sent.as_secs_f64() + interval)).min(rounded(self.rate))
    }

    fn document(&self, terminal: &mut Terminal<'_>) -> std::io::Result<()> {
        let micros = |share| u64::try_from(self.percentile(share).as_micros()).unwrap_or(u64::MAX);
        let refused: BTreeMap<String, u64> =
            self.refused.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        let document = json!({
            "sent": self.sent,
            "rate": { "asked": self.rate, "reached": (self.reached() * 10.0).round() / 10.0 },
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "refused": refused,
            "unanswered": self.unanswered,
            "latency_us": { "p50": micros(0.5), "p99": micros(0.99), "max": micros(1.0) },
        });
        terminal.json(&document.to_string())
    }

    fn lines(&self, terminal: &mut Terminal<'_>) -> std::io::Result<()> {
        let millis = |share| format!("{:.1} ms", self.percentile(share).as_secs_f64() * 1_000.0);
        let mut lines = vec![
            ("sent".to_owned(), format!("{} ({:.0}/s of {}/s)", self.sent, self.reached(), self.rate)),
            ("accepted".to_owned(), self.accepted.to_string()),
            ("duplicates".to_owned(), self.duplicates.to_string()),
        ];
        lines.extend(
            self.refused.iter().map(|(status, count)| (format!("refused {status}"), count.to_string())),
        );
        lines.push(("unanswered".to_owned(), self.unanswered.to_string()));
        let latencies = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
        lines.extend(latencies.map(|(name, share)| (format!("latency {name}"), millis(share))));
        for (name, value) in lines {
            terminal.line(&aligned(&[name, value], &["latency p50".len(), 0]))?;
        }
        Ok(())
    }

    /// The latency that this share of the events stayed within; they are sorted.
    fn percentile(&self, share: f64) -> Duration {
        let count = rounded(u64::try_from(self.latencies.len()).unwrap_or(u64::MAX));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
        let place = ((count * share).ceil() as usize).saturating_sub(1);
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 events")]
fn rounded(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Captured;

    fn tally(rate: u64, ended: Duration) -> Tally {
        let mut tally = Tally::new(rate, 100);
        for number in 1..=100 {
            tally.sent(ended);
            let fate = match number {
                1 => Fate::Duplicate,
                2 | 3 => Fate::Refused(503),
                4 => Fate::Refused(401),
                5 => Fate::Unanswered,
                _ => Fate::Accepted,
            };
            tally.note(fate, Duration::from_millis(number));
        }
        tally
    }

    #[test]
    fn everything_is_counted_and_what_was_lost_is_an_error() {
        let mut captured = Captured::default();
        let error =
            tally(100, Duration::from_millis(990)).print(false, &mut captured.terminal()).unwrap_err();
        assert_eq!(error.to_string(), "4 of 100 events were not accepted");
        insta::assert_snapshot!(captured.out(), @r"
        sent         100 (100/s of 100/s)
        accepted     95
        duplicates   1
        refused 401  1
        refused 503  2
        unanswered   1
        latency p50  50.0 ms
        latency p99  99.0 ms
        latency max  100.0 ms
        ");
        assert_eq!(captured.err(), "");
    }

    #[test]
    fn a_rate_that_was_not_reached_is_told() {
        let mut captured = Captured::default();
        tally(100, Duration::from_millis(1_990)).print(true, &mut captured.terminal()).unwrap_err();
        let document: serde_json::Value = serde_json::from_str(captured.out()).unwrap();
        assert_eq!(document["rate"], json!({ "asked": 100, "reached": 50.0 }));
        assert_eq!(document["refused"], json!({ "401": 1, "503": 2 }));
        assert_eq!(document["latency_us"]["p99"], 99_000);
        assert!(captured.err().starts_with("the rate was not reached: 50 of 100"), "{}", captured.err());
    }
}
