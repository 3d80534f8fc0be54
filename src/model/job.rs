//! A job: one unit of durable work, either delivering an event to a route or sending a message.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::ToSchema;

use super::id::{ConversationId, EventId, JobId, MessageId};
use super::message::Origin;

/// The two kinds of work. They share one table, so leases, backoff, parking and views exist once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(description = "Deliver an event to a route, or send a message.")]
pub enum JobKind {
    /// Deliver an event to a route.
    Deliver,
    /// Send a message.
    Send,
}

impl JobKind {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Send => "send",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Deliver, Self::Send].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting: for its turn, its time, or a free slot.
    Ready,
    /// Held under a lease.
    Running,
    /// Finished.
    Done,
    /// Needs a person.
    Parked,
    /// A person gave it up.
    Discarded,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Running, Self::Done, Self::Parked, Self::Discarded];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Discarded => "discarded",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A lane: jobs in one lane run one at a time, in the order of their sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane(String);

impl Lane {
    /// The lane of one route and one conversation.
    pub fn of_route(route: &str, conversation: ConversationId) -> Self {
        Self(format!("{route}/{conversation}"))
    }

    /// The lane of a conversation's sends. No route can be named so: names have no `>`.
    pub fn of_sends(conversation: ConversationId) -> Self {
        Self(format!(">/{conversation}"))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The right to work on a job until it ends. Whoever holds a lease that has been taken over can change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Made anew at each claim; every change of the job is fenced by it.
    pub token: Ulid,
}

/// One try, as it is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Counted from 1.
    pub number: i64,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// `done`, `retry`, `parked`, or what became of a send.
    pub outcome: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// A job as the API shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Job {
    /// Our id.
    pub id: JobId,
    /// Deliver or send.
    pub kind: JobKind,
    /// The route, for a delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The event, for a delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The message, for a send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// Where it stands.
    pub state: JobState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it may run next; absent once it is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Why the last try failed, or why it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Its tries, when one job is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Vec<Attempt>>,
}

/// Where the places of API messages begin in a lane of sends: behind every reply, which may therefore overtake them. The
/// migrations know the number too.
pub const API_PLACES_FROM: i64 = 1 << 48;

/// The place of a send in its lane, by its message's origin and the number it was handed out.
pub const fn place_of_send(origin: Origin, number: i64) -> i64 {
    match origin {
        Origin::Reply | Origin::Observed => number,
        Origin::Api => API_PLACES_FROM + number,
    }
}

/// How a route retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most tries.
    pub attempts: u32,
    /// How long after the first the last may start.
    pub max_age: Duration,
}

/// What is known of a job that failed, when it is decided whether it is tried again.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoFar {
    /// How often it was tried.
    pub tried: u32,
    /// How long ago the first try began.
    pub age: Duration,
    /// How long the other side asked to be left alone. That wins when longer, and is cut to what is left of `max_age`, so that
    /// one long wait does not use up every other chance.
    pub asked: Option<Duration>,
    /// Whether nothing of its route has succeeded for a while: then quick tries cost more than they promise.
    pub only_fails: bool,
}

impl Default for RetryPolicy {
    /// 8 attempts within 10 minutes: a waiting retry holds its lane, so an ordered route must not wait for hours.
    fn default() -> Self {
        Self { attempts: 8, max_age: Duration::from_mins(10) }
    }
}

/// The delay before the second try; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The least step while a route does nothing but fail, as far as its chances can be spread that wide.
const STEP_WHILE_FAILING: Duration = Duration::from_secs(10);
/// No delay is longer than this.
const LONGEST_DELAY: Duration = Duration::from_mins(5);

impl RetryPolicy {
    /// How long to wait before the next try, or `None` when the job has had its chances.
    ///
    /// `jitter` is a random number from 0 to 1; the delay lies between half and all of the exponential step, so that jobs
    /// that failed together do not come back together.
    pub fn next(&self, so_far: SoFar, jitter: f64) -> Option<Duration> {
        let SoFar { tried, age, asked, only_fails } = so_far;
        let chances = self.attempts.checked_sub(tried).filter(|chances| *chances > 0)?;
        let left = self.max_age.saturating_sub(age);
        let step =
            FIRST_DELAY.saturating_mul(2_u32.saturating_pow(tried.saturating_sub(1))).min(LONGEST_DELAY);
        let least = if only_fails { STEP_WHILE_FAILING.min(left / chances) } else { Duration::ZERO };
        let delay = step.max(least).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        let delay = asked.map_or(delay, |asked| asked.min(left).max(delay));
        (age.saturating_add(delay) <= self.max_age).then_some(delay)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(tried: u32) -> SoFar {
        SoFar { tried, ..SoFar::default() }
    }

    #[test]
    fn delays_double_until_the_chances_are_used_up() {
        let policy = RetryPolicy::default();
        let delays: Vec<_> = (1..=8).map(|tried| policy.next(after(tried), 1.0)).collect();
        let seconds: Vec<_> = delays.iter().map(|delay| delay.map(|delay| delay.as_secs())).collect();
        let expected = [Some(1), Some(2), Some(4), Some(8), Some(16), Some(32), Some(64), None];
        assert_eq!(seconds, expected);
    }

    #[test]
    fn a_job_too_old_is_not_tried_again() {
        let policy = RetryPolicy { attempts: 100, max_age: Duration::from_secs(10) };
        let at = |seconds| SoFar { age: Duration::from_secs(seconds), ..after(1) };
        assert!(policy.next(at(9), 1.0).is_some());
        assert!(policy.next(at(10), 1.0).is_none());
        assert!(policy.next(SoFar { asked: Some(Duration::ZERO), ..at(10) }, 1.0).is_none());
    }

    #[test]
    fn a_wait_that_is_asked_for_is_cut_to_what_is_left() {
        let policy = RetryPolicy { attempts: 100, max_age: Duration::from_mins(10) };
        let asked = |age, asked| {
            let (age, asked) = (Duration::from_secs(age), Some(Duration::from_secs(asked)));
            policy.next(SoFar { age, asked, ..after(1) }, 1.0)
        };
        assert_eq!(asked(1, 30), Some(Duration::from_secs(30)));
        assert_eq!(asked(1, 3600), Some(Duration::from_secs(599)));
        assert_eq!(asked(600, 3600), None);
    }

    #[test]
    fn while_a_route_only_fails_its_tries_are_wide_apart() {
        let delays = |policy: RetryPolicy| {
            let mut age = Duration::ZERO;
            let delays = (1..).map_while(|tried| {
                let delay = policy.next(SoFar { age, only_fails: true, ..after(tried) }, 1.0)?;
                age += delay;
                Some(delay.as_secs())
            });
            delays.collect::<Vec<_>>()
        };
        assert_eq!(delays(RetryPolicy::default()), [10, 10, 10, 10, 16, 32, 64]);
        let hurried = RetryPolicy { attempts: 4, max_age: Duration::from_secs(12) };
        assert_eq!(delays(hurried), [4, 4, 4], "no chance is lost to a long wait");
    }

    proptest! {
        #[test]
        fn a_delay_is_within_its_bounds(tried in 1_u32..200, jitter in 0.0_f64..=1.0) {
            let policy = RetryPolicy { attempts: 1000, max_age: Duration::MAX };
            let delay = policy.next(after(tried), jitter).unwrap();
            prop_assert!(delay >= FIRST_DELAY / 2 && delay <= LONGEST_DELAY);
        }
    }
}
