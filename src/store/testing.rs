//! A store in memory, for tests of what stands above: it answers questions from lists, notes what it was asked, and commits
//! as it is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::model::conversation::Conversation;
use crate::model::customer::CustomerProfile;
use crate::model::event::Event;
use crate::model::id::{ConversationId, CustomerId, EventId, Id, JobId, MessageId};
use crate::model::job::{Job, JobState, Lease};
use crate::model::message::{Message, TimelineEntry};
use crate::model::pauses::Pauses;
use crate::model::retention::{Erased, Keep, Purged};
use crate::model::sending::SendPolicy;
use crate::model::state::HandlerState;
use crate::model::stats::{Figures, Parts};
use crate::store::arrival::{Arrival, Receipt};
use crate::store::query::{
    ConversationFilter, ConversationPlace, EventFilter, JobCount, JobFilter, MessageFilter, Page,
    PageRequest, StoredBody,
};
use crate::store::submission::{Submission, Submitted};
use crate::store::work::{
    ClaimDeliveries, ClaimSends, ClaimedSends, Committed, Delivery, Departure, Dispatch, GroupTurn,
    LeasedJob, Look, Offer, Resolution, RouteKnowledge, SendAnswered, SendResult, Sending, Settlement, Swept,
};
use crate::store::{Result, Store, StoreError};

/// How a store answers when it is asked whether it is there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Ping {
    /// It is.
    #[default]
    Answers,
    /// It is not.
    Fails,
    /// It never answers.
    Hangs,
}

/// What becomes of a send that asks to leave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Dispatching {
    /// It learns nothing.
    #[default]
    Fails,
    /// Its task ends there.
    Panics,
    /// It waits for ever.
    Hangs,
    /// It leaves, and waits for ever for its answer to be settled.
    Leaves,
}

/// What is in the store, how it fails, and what it was asked. Lists hold the oldest first.
#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) events: Vec<Event>,
    pub(crate) bodies: Vec<(EventId, StoredBody)>,
    pub(crate) messages: Vec<Message>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) customers: Vec<CustomerProfile>,
    pub(crate) states: Mutex<Vec<HandlerState>>,
    /// `None` fails.
    pub(crate) counts: Option<Vec<JobCount>>,
    /// `None` fails.
    pub(crate) figures: Option<Figures>,
    pub(crate) parts: Mutex<Option<Parts>>,
    pub(crate) ping: Ping,
    /// Why questions about events fail.
    pub(crate) fails: Option<fn() -> StoreError>,
    /// Why changes fail.
    pub(crate) fails_to_change: Option<fn() -> StoreError>,
    pub(crate) event_filter: Mutex<Option<EventFilter>>,
    pub(crate) message_filter: Mutex<Option<MessageFilter>>,
    pub(crate) conversation_filter: Mutex<Option<ConversationFilter>>,
    pub(crate) job_filter: Mutex<Option<JobFilter>>,
    /// What was asked to be sent.
    pub(crate) submission: Mutex<Option<Submission>>,
    /// What becomes of that.
    pub(crate) submitted: Option<fn() -> Submitted>,
    pub(crate) resolved: Mutex<Option<(MessageId, Resolution)>>,
    pub(crate) paused: Mutex<Pauses>,
    pub(crate) replayed: Mutex<Vec<(EventId, String)>>,
    /// What every claim of deliveries is answered with, and how long that takes; without, there is nothing to claim.
    pub(crate) late_claim: Option<(Duration, Delivery)>,
    /// What claims of deliveries are answered with, as many at a time as they ask for.
    pub(crate) waiting: Mutex<Vec<Delivery>>,
    /// What the next claim of sends is answered with.
    pub(crate) sends: Mutex<Vec<Sending>>,
    /// What becomes of each.
    pub(crate) dispatching: Dispatching,
    /// The most deliveries that a claim has asked for.
    pub(crate) largest_claim: AtomicUsize,
    /// Every claim of sends.
    pub(crate) claims: Mutex<Vec<ClaimSends>>,
    /// What was given back.
    pub(crate) released: Mutex<Vec<Lease>>,
    /// What was settled.
    pub(crate) settled: Mutex<Vec<Lease>>,
    /// What each round of a purge was to keep; the third is the last.
    pub(crate) purges: Mutex<Vec<Keep>>,
    /// What becomes of each group that is committed; `None` fails.
    pub(crate) commits: Option<Commits>,
    /// What it can say of jobs that were born leased.
    pub(crate) born: Vec<Delivery>,
    /// Reading what was leased fails.
    pub(crate) unreadable: bool,
    /// Reading what was leased waits for a permit each time, when there is a gate.
    pub(crate) read_gate: Option<Semaphore>,
    /// What it can say of jobs that were claimed.
    pub(crate) claimed: Mutex<Vec<Delivery>>,
    /// Commits wait for a permit each, when there is a gate.
    pub(crate) gate: Option<Semaphore>,
    /// When there is one, commits pass their turn and wait for a permit each before they are durable.
    pub(crate) disk: Option<Semaphore>,
    pub(crate) arrived: Mutex<Vec<Event>>,
}

/// What becomes of a group.
pub(crate) type Commits = Box<dyn Fn(&[Arrival]) -> Result<Vec<Receipt>> + Send + Sync>;

impl FakeStore {
    /// Makes an event visible from now on.
    pub(crate) fn arrive(&self, event: Event) {
        self.arrived.lock().unwrap().push(event);
    }

    fn lease(&self, deliveries: impl IntoIterator<Item = Delivery>) -> Vec<LeasedJob> {
        let mut claimed = self.claimed.lock().unwrap();
        let before = claimed.len();
        claimed.extend(deliveries);
        claimed[before..].iter().map(leased).collect()
    }

    fn visible(&self) -> Vec<Event> {
        let mut events = self.events.clone();
        events.extend(self.arrived.lock().unwrap().iter().cloned());
        events.sort_by_key(|event| event.id);
        events
    }

    fn changed(&self, id: JobId, state: JobState) -> Result<Option<Job>> {
        let Some(job) = self.jobs.iter().find(|job| job.id == id) else {
            return Ok(None);
        };
        fail(self.fails_to_change)?;
        Ok(Some(Job { state, ..job.clone() }))
    }
}

/// The job of a delivery, as a claim or a commit leases it.
pub(crate) fn leased(delivery: &Delivery) -> LeasedJob {
    LeasedJob {
        lease: delivery.lease,
        event: delivery.event.id,
        conversation: None,
        route: delivery.context.route.clone(),
        attempts: 1,
        first_attempt_at: 0,
        ordered: false,
        arrived: None,
    }
}

fn fail(why: Option<fn() -> StoreError>) -> Result<()> {
    why.map_or(Ok(()), |why| Err(why()))
}

fn unused<T>() -> Result<T> {
    Err(StoreError::Internal("nothing outside asks for this".to_owned()))
}

fn page<T: Clone, Of>(rows: &[T], request: PageRequest<Id<Of>>, id: impl Fn(&T) -> Id<Of>) -> Page<T> {
    let older = rows.iter().rev().filter(|row| request.before.is_none_or(|before| id(row) < before));
    let mut data: Vec<_> = older.cloned().collect();
    let limit = request.limit as usize;
    let more = data.len() > limit;
    data.truncate(limit);
    Page { data, more }
}

#[async_trait]
impl Store for FakeStore {
    async fn commit_and_lease(
        &self,
        group: &[Arrival],
        _offer: &Offer,
        turn: &GroupTurn,
    ) -> Result<Committed> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let receipts = self.commits.as_ref().map_or_else(unused, |commit| commit(group))?;
        if let Some(disk) = &self.disk {
            turn.pass();
            disk.acquire().await.unwrap().forget();
        }
        Ok(Committed { receipts, leased: Vec::new() })
    }

    async fn deliveries(&self, leased: &[LeasedJob]) -> Result<Vec<Delivery>> {
        if let Some(gate) = &self.read_gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.unreadable {
            return unused();
        }
        let is_asked = |delivery: &&Delivery| leased.iter().any(|job| job.lease == delivery.lease);
        let claimed = self.claimed.lock().unwrap();
        Ok(self.born.iter().chain(claimed.iter()).filter(is_asked).cloned().collect())
    }

    async fn claim_deliveries(&self, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>> {
        if claim.look == Look::Ended {
            return Ok(Vec::new());
        }
        if let Some((after, delivery)) = &self.late_claim {
            tokio::time::sleep(*after).await;
            return Ok(self.lease([delivery.clone()]));
        }
        let asked = claim.routes.iter().map(|(_, slots)| *slots).sum::<u32>().min(claim.limit) as usize;
        let mut waiting = self.waiting.lock().unwrap();
        let claimed = waiting.len().min(asked);
        self.largest_claim.fetch_max(asked, Ordering::Relaxed);
        Ok(self.lease(waiting.drain(..claimed)))
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>> {
        self.settled.lock().unwrap().extend(settlements.iter().map(|settlement| settlement.lease));
        Ok(settlements.iter().map(|_| true).collect())
    }

    async fn renew(&self, _leases: &[Lease], _lease: Duration) -> Result<Vec<Lease>> {
        unused()
    }

    async fn release(&self, leases: &[Lease]) -> Result<()> {
        self.released.lock().unwrap().extend(leases);
        Ok(())
    }

    async fn submit(&self, submission: &Submission) -> Result<Submitted> {
        fail(self.fails_to_change)?;
        *self.submission.lock().unwrap() = Some(submission.clone());
        self.submitted.map_or_else(unused, |submitted| Ok(submitted()))
    }

    async fn claim_sends(&self, claim: &ClaimSends) -> Result<ClaimedSends> {
        self.claims.lock().unwrap().push(claim.clone());
        let sends = std::mem::take(&mut *self.sends.lock().unwrap());
        Ok(ClaimedSends { sends, ..ClaimedSends::default() })
    }

    async fn dispatch(&self, _sending: &Sending, _policy: &SendPolicy) -> Result<Dispatch> {
        match self.dispatching {
            Dispatching::Fails => unused(),
            Dispatching::Panics => panic!("a send that panics harms nobody else"),
            Dispatching::Hangs => std::future::pending().await,
            Dispatching::Leaves => Ok(Dispatch::Go(Departure { number: 1, at: jiff::Timestamp::UNIX_EPOCH })),
        }
    }

    async fn settle_send(&self, _sending: &Sending, _answered: &SendAnswered) -> Result<SendResult> {
        if matches!(self.dispatching, Dispatching::Leaves) {
            return std::future::pending().await;
        }
        unused()
    }

    async fn resolve(&self, id: MessageId, resolution: Resolution) -> Result<Message> {
        fail(self.fails_to_change)?;
        *self.resolved.lock().unwrap() = Some((id, resolution));
        self.messages.iter().find(|message| message.id == id).cloned().map_or_else(unused, Ok)
    }

    async fn arrivals(&self, ids: &[EventId]) -> Result<Vec<Arrival>> {
        let known = ids.iter().filter(|id| self.visible().iter().any(|event| event.id == **id));
        let body =
            br#"{"sender":{"id":"+15550100001"},"recipient":{"id":"+15550100002"},"message":{"text":"hi"}}"#;
        let arrival = |id: &EventId| {
            Arrival::read(*id, "default".to_owned(), jiff::Timestamp::UNIX_EPOCH, body.as_slice().into())
        };
        Ok(known.map(arrival).collect())
    }

    async fn replay(&self, group: &[Arrival]) -> Result<u64> {
        fail(self.fails_to_change)?;
        let jobs = group
            .iter()
            .flat_map(|arrival| arrival.routes.iter().map(|found| (arrival.id, found.route.clone())));
        let mut replayed = self.replayed.lock().unwrap();
        let before = replayed.len();
        replayed.extend(jobs);
        Ok((replayed.len() - before) as u64)
    }

    async fn pauses(&self) -> Result<Pauses> {
        Ok(self.paused.lock().unwrap().clone())
    }

    async fn pause(&self, pauses: &Pauses) -> Result<()> {
        fail(self.fails_to_change)?;
        *self.paused.lock().unwrap() = pauses.clone();
        Ok(())
    }

    async fn opt(&self, id: CustomerId, by: Option<&str>) -> Result<Option<CustomerProfile>> {
        fail(self.fails_to_change)?;
        let customer = self.customers.iter().find(|customer| customer.id == id);
        let opted = |customer: &CustomerProfile| CustomerProfile {
            opted_out_at: by.map(|_| customer.created_at),
            opted_out_by: by.map(ToOwned::to_owned),
            ..customer.clone()
        };
        Ok(customer.map(opted))
    }

    async fn purge(&self, keep: &Keep) -> Result<Purged> {
        fail(self.fails_to_change)?;
        let mut rounds = self.purges.lock().unwrap();
        rounds.push(*keep);
        Ok(Purged { events: 2, more: rounds.len() < 3, ..Purged::default() })
    }

    async fn erase(&self, id: CustomerId) -> Result<Option<Erased>> {
        fail(self.fails_to_change)?;
        let known = self.customers.iter().any(|customer| customer.id == id);
        Ok(known.then_some(Erased { events: 3, identities: 1, ..Erased::default() }))
    }

    async fn sweep(&self, _known: &RouteKnowledge) -> Result<Swept> {
        unused()
    }

    async fn upkeep(&self) -> Result<()> {
        unused()
    }

    async fn ping(&self) -> Result<()> {
        match self.ping {
            Ping::Answers => Ok(()),
            Ping::Fails => unused(),
            Ping::Hangs => std::future::pending().await,
        }
    }

    async fn close(&self) {}

    async fn event(&self, id: EventId) -> Result<Option<Event>> {
        fail(self.fails)?;
        Ok(self.visible().into_iter().find(|event| event.id == id))
    }

    async fn events(&self, filter: &EventFilter, request: PageRequest<EventId>) -> Result<Page<Event>> {
        fail(self.fails)?;
        *self.event_filter.lock().unwrap() = Some(filter.clone());
        Ok(page(&self.visible(), request, |event| event.id))
    }

    async fn events_after(&self, filter: &EventFilter, after: EventId, limit: u32) -> Result<Vec<Event>> {
        fail(self.fails)?;
        *self.event_filter.lock().unwrap() = Some(filter.clone());
        let newer = self.visible().into_iter().filter(|event| event.id > after);
        Ok(newer.take(limit as usize).collect())
    }

    async fn event_body(&self, id: EventId) -> Result<Option<StoredBody>> {
        Ok(self.bodies.iter().find(|(event, _)| *event == id).map(|(_, body)| body.clone()))
    }

    async fn message(&self, id: &str) -> Result<Option<(Message, Vec<TimelineEntry>)>> {
        let message = self.messages.iter().find(|message| message.id.to_string() == id);
        let queued = |message: &Message| TimelineEntry {
            state: "queued".to_owned(),
            at: message.created_at,
            lag_ms: None,
            event_id: None,
            send: None,
        };
        Ok(message.map(|message| (message.clone(), vec![queued(message)])))
    }

    async fn messages(
        &self,
        filter: &MessageFilter,
        request: PageRequest<MessageId>,
    ) -> Result<Page<Message>> {
        *self.message_filter.lock().unwrap() = Some(filter.clone());
        Ok(page(&self.messages, request, |message| message.id))
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>> {
        Ok(self.conversations.iter().find(|conversation| conversation.id == id).cloned())
    }

    async fn conversations(
        &self,
        filter: &ConversationFilter,
        request: PageRequest<ConversationPlace>,
    ) -> Result<Page<Conversation>> {
        *self.conversation_filter.lock().unwrap() = Some(filter.clone());
        let before = request.before.map(|place| match place {
            ConversationPlace::Newest(id) | ConversationPlace::Closing(_, id) => id,
        });
        let request = PageRequest { limit: request.limit, before };
        Ok(page(&self.conversations, request, |conversation| conversation.id))
    }

    async fn customers(&self, name: &str) -> Result<Vec<CustomerProfile>> {
        let named = |customer: &&CustomerProfile| {
            customer.id.to_string() == name || customer.phone.as_deref() == Some(name)
        };
        Ok(self.customers.iter().filter(named).cloned().collect())
    }

    async fn state(&self, id: ConversationId, route: &str) -> Result<Option<HandlerState>> {
        let states = self.states.lock().unwrap();
        Ok(states.iter().find(|state| state.conversation_id == id && state.route == route).cloned())
    }

    async fn clear_state(&self, id: ConversationId, route: &str) -> Result<bool> {
        fail(self.fails_to_change)?;
        let mut states = self.states.lock().unwrap();
        let before = states.len();
        states.retain(|state| state.conversation_id != id || state.route != route);
        Ok(states.len() < before)
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        Ok(self.jobs.iter().find(|job| job.id == id).cloned())
    }

    async fn jobs(&self, filter: &JobFilter, request: PageRequest<JobId>) -> Result<Page<Job>> {
        *self.job_filter.lock().unwrap() = Some(filter.clone());
        Ok(page(&self.jobs, request, |job| job.id))
    }

    async fn retry_job(&self, id: JobId) -> Result<Option<Job>> {
        self.changed(id, JobState::Ready)
    }

    async fn discard_job(&self, id: JobId) -> Result<Option<Job>> {
        self.changed(id, JobState::Discarded)
    }

    async fn job_counts(&self) -> Result<Vec<JobCount>> {
        self.counts.clone().map_or_else(unused, Ok)
    }

    async fn stats(&self, filter: &MessageFilter, parts: Parts) -> Result<Figures> {
        *self.message_filter.lock().unwrap() = Some(filter.clone());
        *self.parts.lock().unwrap() = Some(parts);
        self.figures.clone().map_or_else(unused, Ok)
    }
}
