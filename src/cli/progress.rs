//! How far a long command has come, as fast as a person reads.

use std::io;
use std::time::Duration;

use super::terminal::Terminal;
use crate::clock::{Clock, Stopwatch};

/// How often it is shown: a few times a second.
const EVERY: Duration = Duration::from_millis(250);

/// A count that goes on. It is seen by who watches, and by nobody when the command is done at once.
#[derive(Debug)]
pub struct Progress {
    watch: Stopwatch,
    shown: Duration,
    every: Duration,
}

impl Progress {
    /// One that begins now.
    pub fn begin(clock: &Clock) -> Self {
        Self::shown_every(EVERY, clock)
    }

    /// One that is shown as often as this.
    pub(super) fn shown_every(every: Duration, clock: &Clock) -> Self {
        Self { watch: clock.stopwatch(), shown: Duration::ZERO, every }
    }

    /// Shows how far it is, unless it was shown just now.
    pub fn show(&mut self, terminal: &mut Terminal<'_>, text: impl FnOnce() -> String) -> io::Result<()> {
        let now = self.watch.elapsed();
        if now < self.shown + self.every {
            return Ok(());
        }
        self.shown = now;
        terminal.progress(&text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Captured;

    #[test]
    fn it_is_shown_now_and_then_and_not_at_all_when_all_is_done_at_once() {
        for (every, expected) in [(Duration::ZERO, "\r\u{1b}[K1\r\u{1b}[K2"), (Duration::from_hours(1), "")] {
            let mut captured = Captured::default();
            let mut progress = Progress::shown_every(every, &Clock::system());
            let mut terminal = captured.terminal().watched(true);
            for step in 1..=2 {
                progress.show(&mut terminal, || step.to_string()).unwrap();
            }
            assert_eq!(captured.err(), expected);
        }
    }
}
