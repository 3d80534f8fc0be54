//! A replay in slices, one after the other: a person sees how far it is, no request takes long, and who stops it knows where.
//!
//! No slice is asked for twice: whether it was replayed is not known when its answer does not come.

use serde::Deserialize;
use serde_json::Value;

use crate::cli::admin::{Admin, Query};
use crate::cli::problem::AdminError;
use crate::cli::progress::Progress;
use crate::cli::terminal::Terminal;
use crate::cli::until::Interrupts;

/// Events in a slice: as many as the API takes.
const SLICE: u64 = 200;

/// A replay under way.
pub(super) struct Slices<'a> {
    admin: &'a Admin,
    /// What the next slice is asked with.
    body: Value,
    /// How many jobs there will be, when they were counted before.
    expected: Option<u64>,
    progress: Progress,
    interrupts: Interrupts,
    stopping: bool,
    done: Done,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Done {
    /// Events that were gone through; those of the last slice are not counted.
    events: u64,
    /// Jobs that were made, or would be.
    pub(super) jobs: u64,
    /// Events that cannot be replayed.
    pub(super) purged: u64,
}

/// What one slice came to.
#[derive(Deserialize)]
struct Answer {
    jobs: u64,
    #[serde(default)]
    purged: u64,
    next: Option<String>,
}

/// Why a slice has no answer.
struct Lost {
    why: String,
    /// Whether it may have been replayed all the same.
    in_doubt: bool,
}

impl From<AdminError> for Lost {
    fn from(error: AdminError) -> Self {
        let in_doubt = match &error {
            AdminError::Unreachable { .. } => false,
            AdminError::Refused(problem) => !problem.status.is_client_error(),
            AdminError::Interrupted { .. } | AdminError::Strange { .. } => true,
        };
        Self { why: error.to_string(), in_doubt }
    }
}

impl<'a> Slices<'a> {
    /// The slices of what a body asks for. Nothing is asked yet.
    pub(super) fn new(admin: &'a Admin, mut body: Value, expected: Option<u64>, progress: Progress) -> Self {
        if body.get("event_id").is_none() {
            body["limit"] = SLICE.into();
        }
        // Whoever is only counted for is asked something next, and may leave there as everywhere.
        let interrupts = if is_dry(&body) { Interrupts::none() } else { Interrupts::listen() };
        Self { admin, body, expected, progress, interrupts, stopping: false, done: Done::default() }
    }

    /// Goes through all that are left. The error of one that ends before says what was done, and how to go on.
    pub(super) async fn run(mut self, terminal: &mut Terminal<'_>) -> anyhow::Result<Done> {
        loop {
            let answer = match self.slice().await {
                Ok(answer) => answer,
                Err(lost) => anyhow::bail!(self.unfinished(&lost)),
            };
            self.done.jobs += answer.jobs;
            self.done.purged += answer.purged;
            let Some(next) = answer.next else { break };
            self.done.events += SLICE;
            self.body["cursor"] = next.into();
            if self.stopping {
                anyhow::bail!(self.unfinished(&Lost { why: "stopped".to_owned(), in_doubt: false }));
            }
            self.progress.show(terminal, || told(&self.done, self.expected))?;
        }
        terminal.clear_progress()?;
        Ok(self.done)
    }

    /// One slice. Who interrupts it waits for its answer; who does so twice does not.
    async fn slice(&mut self) -> Result<Answer, Lost> {
        let asked = async {
            let answer = self.admin.work(&["replays"], &Query::new(), &self.body).await?;
            Ok(self.admin.read(&answer)?)
        };
        tokio::pin!(asked);
        tokio::select! {
            answer = &mut asked => return answer,
            () = self.interrupts.next() => self.stopping = true,
        }
        tokio::select! {
            answer = &mut asked => answer,
            () = self.interrupts.next() => Err(Lost { why: "stopped".to_owned(), in_doubt: true }),
        }
    }

    /// What to know of a replay that ended before its end.
    fn unfinished(&self, lost: &Lost) -> String {
        let Lost { why, in_doubt } = lost;
        if is_dry(&self.body) || (self.body.get("cursor").is_none() && !in_doubt) {
            return why.clone();
        }
        let Done { events, jobs, .. } = self.done;
        let doubt = if *in_doubt { "; whether what came next was replayed is not known" } else { "" };
        let period = self.period();
        let further = self.body["cursor"].as_str().map_or_else(String::new, |cursor| {
            format!(". To go on behind these, repeat the command with{period} --cursor {cursor}")
        });
        format!("{why}. {events} events were gone through and {jobs} jobs made{doubt}{further}")
    }

    /// The period as it was then: it may have been given as so long ago.
    fn period(&self) -> String {
        let given = |name: &str| Some(format!(" --{name} {}", self.body[name].as_str()?));
        [given("since"), given("until")].into_iter().flatten().collect()
    }
}

fn is_dry(body: &Value) -> bool {
    body["dry_run"] == true
}

fn told(done: &Done, expected: Option<u64>) -> String {
    let Done { events, jobs, .. } = done;
    match expected {
        Some(expected) => format!("{jobs} of {expected} jobs"),
        None => format!("{jobs} jobs, {events} events gone through"),
    }
}
