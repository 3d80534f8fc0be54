//! Every promise, checked against what all sides have on record once there is nothing left to do.

mod accepted;
pub mod holders;
mod replies;
mod statuses;

use std::collections::{BTreeMap, HashMap};

use switchboard::emulator::{SentMessage, Webhook};

use crate::ledger::Ledger;
use crate::records::{EventRow, JobRow, MessageRow, OutcomeRow, Records};
use crate::report::Report;
use crate::stage::Stage;

/// What all sides know.
pub struct Evidence<'a> {
    pub ledger: &'a Ledger,
    /// What Connectly was sent, oldest first.
    pub sent: Vec<SentMessage>,
    /// What Connectly delivered.
    pub webhooks: Vec<Webhook>,
    pub events: HashMap<String, EventRow>,
    pub outcomes: Vec<OutcomeRow>,
    pub messages: Vec<MessageRow>,
    pub jobs: Vec<JobRow>,
}

/// Waits for quiet, ends every instance, and looks at everything.
pub async fn audit<'a>(stage: &mut Stage, ledger: &'a Ledger, report: &mut Report) -> Evidence<'a> {
    let quiet = stage.quiet().await;
    report.holds(quiet, || "something was left to do for minutes after the load had ended".to_owned());
    let well = stage.end(report).await;
    report.holds(well, || "an instance did not end well when it was asked to".to_owned());
    let evidence = Evidence::gather(stage, ledger).await;
    accepted::check(&evidence, report);
    replies::check(&evidence, report);
    statuses::check(&evidence, report);
    check_leftovers(&evidence, report);
    check_log(stage, report);
    evidence
}

impl<'a> Evidence<'a> {
    pub async fn gather(stage: &Stage, ledger: &'a Ledger) -> Self {
        let mut records = Records::open(&stage.database_url).await;
        let events = records.events().await;
        Self {
            ledger,
            sent: stage.emulator.messages(),
            webhooks: stage.emulator.webhooks(),
            events: events.into_iter().map(|event| (event.id.clone(), event)).collect(),
            outcomes: records.outcomes().await,
            messages: records.messages().await,
            jobs: records.jobs().await,
        }
    }
}

/// Nothing is unfinished, and nothing needed a person.
fn check_leftovers(evidence: &Evidence<'_>, report: &mut Report) {
    for job in &evidence.jobs {
        let state = if job.is_parked { "parked" } else { "unfinished" };
        report.broken(format!("{state} {} job {}: {}", job.kind, job.id, job.last_error));
    }
}

/// Nothing that the service itself calls an error happened, and nothing panicked.
fn check_log(stage: &Stage, report: &mut Report) {
    let lines = stage.logged();
    // That the store is away is no mistake of the service's.
    let error = |line: &&String| line.contains("\"ERROR\"") && !line.contains("the store is unavailable");
    for line in lines.iter().filter(|line| error(line) || line.contains("panicked")) {
        report.broken(format!("logged: {line}"));
    }
}

/// Groups by a key, in order.
fn grouped<K: Ord, T>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> BTreeMap<K, Vec<T>> {
    let mut groups: BTreeMap<K, Vec<T>> = BTreeMap::new();
    for item in items {
        groups.entry(key(&item)).or_default().push(item);
    }
    groups
}
