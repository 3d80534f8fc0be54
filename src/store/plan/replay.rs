//! Replaying: which events turn out to be more than was known of them, and the jobs that deliver events again.

use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;

use super::dedupe::Verdict;
use super::group::{self, Kept, NewJob};
use crate::connectly::event::Kind;
use crate::connectly::text::without_nul;
use crate::model::event::EventType;
use crate::model::id::{ConversationId, EventId, JobId};
use crate::model::job::{JobKind, Lane};
use crate::store::arrival::Arrival;

/// An event as it is stored.
#[derive(Debug, Clone, FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct StandingEvent {
    pub id: EventId,
    #[sqlx(rename = "type")]
    pub event_type: String,
    /// The conversation, or the one that it was merged into.
    pub conversation_id: Option<ConversationId>,
}

/// Those that were stored as `unknown` and are understood by now. They count for windows and messages as if they had just
/// been committed; their jobs are made with all others.
pub fn revived<'a>(group: &'a [Arrival], standing: &[StandingEvent]) -> Vec<Kept<'a>> {
    let unknown: Vec<EventId> = standing
        .iter()
        .filter(|event| event.event_type == EventType::Unknown.as_str())
        .map(|event| event.id)
        .collect();
    let understood: Vec<Verdict> = group
        .iter()
        .map(|arrival| {
            let understood = unknown.contains(&arrival.id) && !matches!(arrival.decoded.kind, Kind::Unknown);
            if understood { Verdict::Variant } else { Verdict::Repeat(arrival.id) }
        })
        .collect();
    group::kept(group, &understood)
}

/// What a replay's jobs are numbered by.
#[derive(Debug)]
pub struct Lines {
    conversations: HashMap<EventId, ConversationId>,
    wanted: BTreeMap<ConversationId, i64>,
    next: HashMap<ConversationId, i64>,
    runs: HashMap<(EventId, String), i64>,
}

impl Lines {
    /// Of the events as they stand now.
    pub fn new(group: &[Arrival], standing: &[StandingEvent]) -> Self {
        let conversations: HashMap<_, _> =
            standing.iter().filter_map(|event| Some((event.id, event.conversation_id?))).collect();
        let mut wanted = BTreeMap::new();
        for arrival in group {
            if let Some(conversation) = conversations.get(&arrival.id).filter(|_| !arrival.routes.is_empty())
            {
                *wanted.entry(*conversation).or_insert(0) +=
                    i64::try_from(arrival.routes.len()).unwrap_or(i64::MAX);
            }
        }
        Self { conversations, wanted, next: HashMap::new(), runs: HashMap::new() }
    }

    /// How many numbers each conversation has to hand out.
    pub fn wanted(&self) -> Vec<(ConversationId, i64)> {
        self.wanted.iter().map(|(conversation, n)| (*conversation, *n)).collect()
    }

    /// Takes the last number that each conversation handed out, and the last run of each event and route.
    pub fn numbered(&mut self, last: &[(ConversationId, i64)], runs: Vec<(EventId, String, i64)>) {
        let wanted = |id| self.wanted.get(id).copied().unwrap_or(0);
        self.next = last.iter().map(|(id, last)| (*id, last - wanted(id))).collect();
        self.runs = runs.into_iter().map(|(event, route, run)| ((event, route), run)).collect();
    }

    /// The jobs, at the end of their lanes in the order of the group, each the next run of its event and route. An event that
    /// is not stored any more makes none.
    pub fn jobs(
        &mut self,
        group: &[Arrival],
        standing: &[StandingEvent],
        new_id: impl Fn() -> JobId,
    ) -> Vec<NewJob> {
        let mut jobs = Vec::new();
        let stands = |arrival: &&Arrival| standing.iter().any(|event| event.id == arrival.id);
        for arrival in group.iter().filter(stands) {
            let conversation = self.conversations.get(&arrival.id).copied();
            for matched in &arrival.routes {
                let sequence = conversation.map_or(0, |conversation| {
                    let next = self.next.entry(conversation).or_default();
                    *next += 1;
                    *next
                });
                let ordered = conversation.filter(|_| matched.ordered);
                let before = self.runs.get(&(arrival.id, matched.route.clone()));
                jobs.push(NewJob {
                    id: new_id(),
                    kind: JobKind::Deliver,
                    account: arrival.account.clone(),
                    route: matched.route.clone(),
                    event: Some(arrival.id),
                    message: None,
                    conversation,
                    lane: ordered.map(|conversation| Lane::of_route(&matched.route, conversation)),
                    sequence,
                    run: before.map_or(0, |run| run + 1),
                    parked: matched.failed.as_deref().map(without_nul),
                    offered: None,
                });
            }
        }
        jobs
    }
}
