//! What follows from a group of settled deliveries, decided once the jobs are locked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use ulid::Ulid;

use super::outbox::NewMessage;
use crate::connectly::text::without_nul;
use crate::model::customer::by_route;
use crate::model::event::EventType;
use crate::model::id::{ConversationId, CustomerId, JobId, MessageId};
use crate::model::job::Attempt;
use crate::model::message::Origin;
use crate::model::outcome::{Effect, Once, Outcome, Reply, StateChange};
use crate::model::replies::{confirms_opt_out, guard};
use crate::store::work::{Settled, Settlement};

/// A job as the store holds it while it is settled. From `customer` on it is read for those only that concern their customer.
#[derive(Clone)]
pub struct HeldJob {
    /// Its id.
    pub id: JobId,
    /// The token in force.
    pub token: Option<Ulid>,
    /// The account.
    pub account: String,
    /// The route.
    pub route: String,
    /// The conversation of its event.
    pub conversation: Option<ConversationId>,
    /// Whether it runs in a lane: only then is there a state.
    pub ordered: bool,
    /// Its tries so far.
    pub log: Vec<Attempt>,
    /// The customer of that conversation.
    pub customer: Option<CustomerId>,
    /// Whether they have opted out already: then nothing confirms it once more.
    pub opted_out: bool,
    /// The business number of that conversation.
    pub business: Option<String>,
    /// The type of its event.
    pub event_type: EventType,
    /// Where the message comes from that its event is a status or echo of.
    pub referred: Option<Origin>,
    /// Whether a reply of this conversation has left and its id is not known yet: a status of an unknown message may be its.
    pub doubtful: bool,
}

impl std::fmt::Debug for HeldJob {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HeldJob({})", self.id)
    }
}

/// A job that is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub job: JobId,
    /// `done` or `discarded`, or what became of a send.
    pub outcome: &'static str,
    /// Why, when there is something to say.
    pub detail: Option<String>,
    /// Its tries, as JSON.
    pub log: String,
}

/// A job that is tried again, or parked when there is no delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponed {
    /// Which.
    pub job: JobId,
    /// After what time; `None` parks it.
    pub after: Option<Duration>,
    /// Why.
    pub reason: Option<String>,
    /// Its tries, as JSON.
    pub log: String,
}

/// A change of a handler's state.
#[derive(Clone, PartialEq)]
pub struct NewState {
    /// The route.
    pub route: String,
    /// The conversation.
    pub conversation: ConversationId,
    /// The state, or `None` to remove it.
    pub state: Option<Value>,
}

impl std::fmt::Debug for NewState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "NewState({}, {})", self.route, self.conversation)
    }
}

/// Everything to write for a group of settlements.
#[derive(Debug, Default)]
pub struct SettlePlan {
    /// Whether each settlement was applied, in order.
    pub applied: Vec<bool>,
    /// Jobs that leave the queue.
    pub finished: Vec<Finished>,
    /// Jobs that stay.
    pub postponed: Vec<Postponed>,
    /// Messages to queue, in order.
    pub messages: Vec<NewMessage>,
    /// States to write.
    pub states: Vec<NewState>,
    /// Customers to opt out, and by which route, or in.
    pub opt_outs: BTreeMap<CustomerId, Option<String>>,
    /// Conversations that are handed over to a person, or back to rules.
    pub hand_overs: BTreeMap<ConversationId, HandOver>,
    /// Answers that were given, now.
    pub uses: BTreeSet<Use>,
}

/// Who speaks in a conversation from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HandOver {
    /// Until when rules keep quiet; `None` once it is handed back to them.
    pub muted_until: Option<Timestamp>,
    /// When it was handed back; `None` if it was not.
    pub handed_back_at: Option<Timestamp>,
}

impl HandOver {
    fn mute(&mut self, time: Duration, now: Timestamp) {
        if time.is_zero() {
            *self = Self { muted_until: None, handed_back_at: Some(now) };
        } else {
            self.muted_until = Some(now.saturating_add(time).unwrap_or(Timestamp::MAX));
        }
    }
}

/// An answer that a conversation gets at most once in a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Use {
    /// The route.
    pub route: String,
    /// What the answer is known by there.
    pub name: String,
    /// The conversation.
    pub conversation: ConversationId,
}

/// What the decision stands on, read under the jobs' locks.
#[derive(Debug)]
pub struct Known<'a> {
    /// The jobs.
    pub jobs: &'a HashMap<JobId, HeldJob>,
    /// The conversations of replies that leave from another number.
    pub others: &'a OtherConversations,
    /// When answers were last given.
    pub uses: &'a HashMap<Use, Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// The conversation that a reply with its own `from` belongs to: one row per job and number.
pub type OtherConversations = HashMap<(JobId, String), ConversationId>;

/// Decides, with the jobs locked, what a group of settlements writes. Those whose lease was taken over write nothing.
pub fn plan(settlements: &[Settlement], known: &Known<'_>, new_id: impl Fn() -> MessageId) -> SettlePlan {
    let mut plan = SettlePlan::default();
    let mut settled = HashSet::new();
    for settlement in settlements {
        let job =
            known.jobs.get(&settlement.lease.job).filter(|job| job.token == Some(settlement.lease.token));
        let job = job.filter(|job| settled.insert(job.id));
        plan.applied.push(job.is_some());
        if let Some(job) = job {
            plan.settle(settlement, job, known, &new_id);
        }
    }
    plan
}

impl SettlePlan {
    fn settle(
        &mut self,
        settlement: &Settlement,
        job: &HeldJob,
        known: &Known<'_>,
        new_id: &impl Fn() -> MessageId,
    ) {
        let mut attempt = settlement.attempt.clone();
        attempt.detail = attempt.detail.as_deref().map(without_nul);
        match &settlement.resolution {
            Settled::Done(outcome) => {
                let dropped = self.answer(job, outcome, known, new_id);
                attempt.detail = dropped.clone().or(attempt.detail);
                self.remember(job, &outcome.state);
                self.apply(job, &outcome.effects, known.now);
                self.finished.push(Finished {
                    job: job.id,
                    outcome: "done",
                    detail: dropped,
                    log: log(job, attempt),
                });
            }
            Settled::Retry(after) => self.postpone(job, Some(*after), attempt),
            Settled::Park => self.postpone(job, None, attempt),
        }
    }

    fn postpone(&mut self, job: &HeldJob, after: Option<Duration>, attempt: Attempt) {
        let reason = attempt.detail.clone();
        self.postponed.push(Postponed { job: job.id, after, reason, log: log(job, attempt) });
    }

    /// Queues the replies, unless they were given not long ago, or says why they are dropped.
    fn answer(
        &mut self,
        job: &HeldJob,
        outcome: &Outcome,
        known: &Known<'_>,
        new_id: &impl Fn() -> MessageId,
    ) -> Option<String> {
        let Outcome { replies, effects, .. } = outcome;
        let once = outcome.once.as_ref().filter(|_| !replies.is_empty());
        if let Some(once) = once.filter(|once| self.is_spent(job, once, known)) {
            return Some(format!("`{}` has answered here within {:?}", once.name, once.per));
        }
        let dropped = self.reply(job, replies, effects, known.others, new_id);
        if dropped.is_none() {
            self.uses.extend(once.and_then(|once| use_of(job, once)));
        }
        dropped.map(ToOwned::to_owned)
    }

    /// Queues the replies, or says why they are dropped.
    fn reply(
        &mut self,
        job: &HeldJob,
        replies: &[Reply],
        effects: &[Effect],
        others: &OtherConversations,
        new_id: &impl Fn() -> MessageId,
    ) -> Option<&'static str> {
        if replies.is_empty() {
            return None;
        }
        if let Some(reason) = guard(job.event_type, job.referred, job.doubtful) {
            return Some(reason);
        }
        let place =
            |reply: &Reply| match reply.from.as_ref().filter(|from| Some(*from) != job.business.as_ref()) {
                Some(from) => others.get(&(job.id, from.clone())).copied(),
                None => job.conversation,
            };
        // All of them or none.
        let Some(places) = replies.iter().map(place).collect::<Option<Vec<_>>>() else {
            return Some("there is no customer to reply to");
        };
        for (index, (reply, conversation)) in replies.iter().zip(places).enumerate() {
            self.messages.push(NewMessage {
                id: new_id(),
                account: job.account.clone(),
                conversation,
                origin: Origin::Reply,
                caused_by: Some((job.id, i64::try_from(index).unwrap_or(i64::MAX))),
                content: reply.message.clone(),
                fallback: reply.fallback.clone(),
                callback_data: reply.callback_data.as_ref().map(|data| data.as_str().to_owned()),
                campaign: None,
                order: None,
                confirms_opt_out: !self.is_out(job) && confirms_opt_out(index, effects),
            });
        }
        None
    }

    /// Whether the customer has opted out already, before or by another job of the group.
    fn is_out(&self, job: &HeldJob) -> bool {
        let within = job.customer.and_then(|customer| self.opt_outs.get(&customer));
        within.map_or(job.opted_out, Option::is_some)
    }

    fn remember(&mut self, job: &HeldJob, change: &StateChange) {
        let Some(conversation) = job.conversation.filter(|_| job.ordered) else {
            return;
        };
        let state = match change {
            StateChange::Keep => return,
            StateChange::Clear => None,
            StateChange::Set(state) => Some(state.clone()),
        };
        self.states.push(NewState { route: job.route.clone(), conversation, state });
    }

    fn apply(&mut self, job: &HeldJob, effects: &[Effect], now: Timestamp) {
        let (Some(customer), Some(conversation)) = (job.customer, job.conversation) else { return };
        for effect in effects {
            match effect {
                Effect::OptOut => drop(self.opt_outs.insert(customer, Some(by_route(&job.route)))),
                Effect::OptIn => drop(self.opt_outs.insert(customer, None)),
                Effect::Mute(time) => self.hand_overs.entry(conversation).or_default().mute(*time, now),
            }
        }
    }

    /// Whether an answer was given too recently, by an earlier group or within this one.
    fn is_spent(&self, job: &HeldJob, once: &Once, known: &Known<'_>) -> bool {
        let Some(answer) = use_of(job, once) else { return false };
        let since = |at: &Timestamp| Duration::try_from(known.now.duration_since(*at)).unwrap_or_default();
        self.uses.contains(&answer) || known.uses.get(&answer).is_some_and(|at| since(at) < once.per)
    }
}

fn use_of(job: &HeldJob, once: &Once) -> Option<Use> {
    Some(Use { route: job.route.clone(), name: once.name.clone(), conversation: job.conversation? })
}

/// The jobs of a group, and whether they concern their customer by any of its settlements: one that was leased twice may be settled
/// twice.
pub fn concerns(settlements: &[Settlement]) -> BTreeMap<JobId, bool> {
    let mut jobs = BTreeMap::new();
    for settlement in settlements {
        *jobs.entry(settlement.lease.job).or_default() |= settlement.concerns_customer();
    }
    jobs
}

/// The answers of a group that are given at most once in a time.
pub fn asked_uses(settlements: &[Settlement], jobs: &HashMap<JobId, HeldJob>) -> Vec<Use> {
    let asked = settlements.iter().filter_map(|settlement| match &settlement.resolution {
        Settled::Done(outcome) => use_of(jobs.get(&settlement.lease.job)?, outcome.once.as_ref()?),
        Settled::Retry(_) | Settled::Park => None,
    });
    asked.collect()
}

/// The most tries that are logged: a job that waits out a day of 401s makes one a minute.
const LONGEST_LOG: usize = 100;

fn log(job: &HeldJob, attempt: Attempt) -> String {
    append(job.log.clone(), attempt)
}

/// A log with one more try, as JSON.
pub fn append(mut log: Vec<Attempt>, attempt: Attempt) -> String {
    log.push(attempt);
    let surplus = log.len().saturating_sub(LONGEST_LOG);
    log.drain(..surplus);
    serde_json::to_string(&log).unwrap_or_else(|_| "[]".to_owned())
}

/// The replies that leave from another number than the customer wrote to: the job, its customer, and the number.
pub fn foreign_numbers(
    settlements: &[Settlement],
    jobs: &HashMap<JobId, HeldJob>,
) -> Vec<(HeldJob, CustomerId, String)> {
    let mut found = BTreeMap::new();
    for settlement in settlements {
        let Settled::Done(Outcome { replies, .. }) = &settlement.resolution else {
            continue;
        };
        // Of one that was taken over, and of one that is not answered, no reply leaves.
        let job = jobs.get(&settlement.lease.job).filter(|job| job.token == Some(settlement.lease.token));
        // A doubt may lift before the job is locked: its reply would have nowhere to go.
        let Some(job) = job.filter(|job| guard(job.event_type, job.referred, false).is_none()) else {
            continue;
        };
        let Some(customer) = job.customer else { continue };
        let foreign = replies
            .iter()
            .filter_map(|reply| reply.from.clone())
            .filter(|from| Some(from) != job.business.as_ref());
        for from in foreign {
            // Sorted as conversations are locked.
            found
                .insert((job.account.clone(), from.clone(), customer, job.id), (job.clone(), customer, from));
        }
    }
    found.into_values().collect()
}
