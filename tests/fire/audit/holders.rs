//! Who ran what, by the journal: an event is run again only when whoever ran it was killed or stood still, and what is
//! committed is the work of the last one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Evidence;
use crate::journal::{Line, What};
use crate::report::Report;

/// One run of the handler.
struct Run {
    process: u32,
    /// Its place in the journal, and its time.
    began: usize,
    began_at: i64,
    ended: Option<usize>,
}

/// What was done to a process.
struct Blow {
    what: What,
    process: u32,
    place: usize,
    at: i64,
}

struct Story {
    runs: BTreeMap<String, Vec<Run>>,
    blows: Vec<Blow>,
}

/// How soon after it goes on a process has noticed that it stood still.
const WAKING_MS: i64 = 500;

pub fn check(evidence: &Evidence<'_>, lines: &[Line], take_over: Duration, report: &mut Report) {
    let story = Story::tell(lines);
    let (mut again, mut beside, mut stale) = (0, 0, 0);
    for (event, runs) in &story.runs {
        again += u32::from(runs.len() > 1);
        stale += pairs(runs).filter(|(earlier, later)| story.was_over(earlier, later)).count();
        for (earlier, later) in pairs(runs).filter(|(earlier, later)| story.is_open(earlier, later.began)) {
            beside += 1;
            report.holds(story.excused(earlier, later), || {
                format!("event {event} was run by {} and {} at a time", earlier.process, later.process)
            });
        }
    }
    let committed = check_committed(evidence, &story, report);
    let slowest = story.take_overs().max().unwrap_or_default();
    report.count("events run more than once", again);
    report.count("  taken over from one that stood still", beside);
    report.count("  begun by one that woke, after another's end", stale);
    report.count("replies whose author was the last to run", committed);
    report.count("slowest take-over, ms", slowest);
    report.holds(u128::from(slowest.unsigned_abs()) <= take_over.as_millis(), || {
        format!("a job waited {slowest} ms for another instance")
    });
}

/// What is committed for an event is what its last run said.
fn check_committed(evidence: &Evidence<'_>, story: &Story, report: &mut Report) -> usize {
    let authors: HashMap<&str, u32> = evidence.messages.iter().filter_map(|m| author(&m.text)).collect();
    let mut committed = 0;
    for delivery in &evidence.ledger.deliveries {
        let (event, text) = (&delivery.events[0], delivery.text());
        let runs = story.runs.get(event).map_or(&[][..], Vec::as_slice);
        let author = authors.get(text.as_str()).copied();
        // Who wakes with a claim from before may still begin; it is stopped when it looks after its leases.
        let mut after =
            runs.iter().rev().skip_while(|run| Some(run.process) != author && story.has_just_woken(run));
        let same = author.is_some() && after.next().map(|run| run.process) == author;
        committed += usize::from(same);
        report.holds(same, || {
            format!("event {event} ({text}) was committed by {author:?}, not by its last run")
        });
    }
    committed
}

/// What a reply answers, and which process says so.
fn author(reply: &str) -> Option<(&str, u32)> {
    let (text, process) = reply.strip_prefix("You said: ")?.split_once(" by ")?;
    Some((text, process.parse().ok()?))
}

fn pairs(runs: &[Run]) -> impl Iterator<Item = (&Run, &Run)> {
    runs.iter()
        .enumerate()
        .flat_map(|(place, later)| runs[..place].iter().map(move |earlier| (earlier, later)))
}

impl Story {
    fn tell(lines: &[Line]) -> Self {
        let mut story = Self { runs: BTreeMap::new(), blows: Vec::new() };
        for (place, line) in lines.iter().enumerate() {
            let (process, at) = (line.process, line.at);
            let runs = story.runs.entry(line.event.clone()).or_default();
            match line.what {
                What::Start => runs.push(Run { process, began: place, began_at: at, ended: None }),
                What::End => {
                    let open = |run: &&mut Run| run.process == process && run.ended.is_none();
                    runs.iter_mut().find(open).unwrap().ended = Some(place);
                }
                what @ (What::Kill | What::Stop | What::Continue) => {
                    story.blows.push(Blow { what, process, place, at });
                }
            }
        }
        story.runs.remove("-");
        story
    }

    /// Whether a run was still going on then, as far as anybody could know.
    fn is_open(&self, run: &Run, place: usize) -> bool {
        let ended = run.ended.is_some_and(|ended| ended < place);
        !ended && !self.struck(What::Kill, run.process, run.began, place)
    }

    /// Whether two runs at a time were nobody's fault: the earlier one stood still, or one of them had only just woken.
    fn excused(&self, earlier: &Run, later: &Run) -> bool {
        self.struck(What::Stop, earlier.process, earlier.began, later.began)
            || self.has_just_woken(earlier)
            || self.has_just_woken(later)
    }

    fn has_just_woken(&self, run: &Run) -> bool {
        self.blows.iter().any(|blow| {
            let since = run.began_at - blow.at;
            blow.what == What::Continue && blow.process == run.process && (0..WAKING_MS).contains(&since)
        })
    }

    /// Whether who woke began what somebody else had already come to the end of.
    fn was_over(&self, earlier: &Run, later: &Run) -> bool {
        earlier.ended.is_some_and(|ended| ended < later.began)
            && self.has_just_woken(later)
            && earlier.process != later.process
    }

    fn struck(&self, what: What, process: u32, from: usize, to: usize) -> bool {
        let hit =
            |blow: &Blow| blow.what == what && blow.process == process && (from..to).contains(&blow.place);
        self.blows.iter().any(hit)
    }

    /// How long what was under way when a process was killed or stopped waited for another one, in milliseconds.
    fn take_overs(&self) -> impl Iterator<Item = i64> {
        let blows = self.blows.iter().filter(|blow| matches!(blow.what, What::Kill | What::Stop));
        blows.flat_map(|blow| self.runs.values().filter_map(|runs| self.taken_over(runs, blow)))
    }

    fn taken_over(&self, runs: &[Run], blow: &Blow) -> Option<i64> {
        let under_way = |run: &&Run| {
            run.process == blow.process && run.began < blow.place && self.is_open(run, blow.place)
        };
        runs.iter().find(under_way)?;
        let next = runs.iter().find(|run| run.began > blow.place && run.process != blow.process)?;
        Some(next.began_at - blow.at)
    }
}
