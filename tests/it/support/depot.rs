//! A store with a clock, and the steps that most tests are made of.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection as _, PgConnection};
use switchboard::clock::Clock;
use switchboard::connectly::error::ErrorDetail;
use switchboard::connectly::throttle::Rate;
use switchboard::model::event::Event;
use switchboard::model::id::{EventId, MessageId};
use switchboard::model::job::{Attempt, Job, JobState, Lease};
use switchboard::model::message::{Message, TimelineEntry};
use switchboard::model::outcome::{Effect, Outcome, Reply, StateChange};
use switchboard::model::sending::SendPolicy;
use switchboard::store::Store;
use switchboard::store::arrival::{Arrival, Receipt};
use switchboard::store::query::{EventFilter, JobFilter, MessageFilter, PageRequest};
use switchboard::store::work::{
    Answer, ClaimDeliveries, ClaimSends, Delivery, Departure, Dispatch, Look, RouteKnowledge, SendAnswered,
    SendResult, Sending, SendingAccount, Settled, Settlement, Swept,
};

use super::arrivals::{ACCOUNT, inbound};
use super::database::Backend;
use super::store::TestStore;

/// The route of all jobs unless a test says otherwise.
pub const ROUTE: &str = "greeter";
/// How long leases last.
pub const LEASE: Duration = Duration::from_secs(30);
/// What Connectly says when it refuses for good.
pub const REFUSED: &str = "ERROR_CODE_MESSAGE_TEXT_EMPTY";
/// What Connectly says when the window is closed.
pub const WINDOW_CLOSED: &str = "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW";
/// The usual limits.
pub const POLICY: SendPolicy = SendPolicy {
    window_margin: Duration::from_mins(1),
    replies_per_minute: 20,
    rate: rate(200, 1_000),
    lease: LEASE,
};

/// A rate.
pub const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second: NonZeroU32::new(per_second).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
}

/// Everything.
pub const fn first<Id>(limit: u32) -> PageRequest<Id> {
    PageRequest { limit, before: None }
}

/// A refusal.
pub fn refusal(code: &str) -> ErrorDetail {
    ErrorDetail { code: Some(code.to_owned()), ..ErrorDetail::from_message("no") }
}

/// Which deliveries to claim: those of one route.
pub fn of_route(route: &str, slots: u32) -> ClaimDeliveries {
    ClaimDeliveries { routes: vec![(route.to_owned(), slots)], limit: 100, lease: LEASE, look: Look::Whole }
}

/// Claims deliveries of a store and reads them.
pub async fn claim_from(store: &dyn Store, claim: &ClaimDeliveries) -> Vec<Delivery> {
    let leased = store.claim_deliveries(claim).await.unwrap();
    store.deliveries(&leased).await.unwrap()
}

/// Which sends to claim: all of the usual account.
pub fn sends(limit: u32) -> ClaimSends {
    ClaimSends { limit, api_limit: limit, api_turn: false, lease: LEASE, accounts: vec![sender(ACCOUNT)] }
}

/// An account that sends at the usual rate.
pub fn sender(account: &str) -> SendingAccount {
    SendingAccount { name: account.to_owned(), rate: POLICY.rate, undrawn: 0 }
}

/// A try as it is logged.
pub fn attempt(number: i64, at: Timestamp, outcome: &str, detail: Option<&str>) -> Attempt {
    Attempt { number, at, duration_ms: 5, outcome: outcome.to_owned(), detail: detail.map(ToOwned::to_owned) }
}

/// What a finished delivery led to.
pub fn done(replies: Vec<Reply>, effects: Vec<Effect>) -> Settled {
    Settled::Done(Outcome { replies, effects, ..Outcome::default() })
}

/// A finished delivery that changes the lane's state.
pub fn done_with_state(state: StateChange) -> Settled {
    Settled::Done(Outcome { state, ..Outcome::default() })
}

/// Answers with a text.
pub fn say(text: &str) -> Settled {
    done(vec![Reply::text(text)], Vec::new())
}

/// A store with its clock.
pub struct Depot {
    /// What the store goes by.
    pub clock: Clock,
    /// The store.
    pub store: TestStore,
}

impl Depot {
    /// A fresh one.
    pub async fn open(backend: Backend) -> Self {
        let clock = Clock::system();
        let store = TestStore::open(backend, &clock).await;
        Self { clock, store }
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Lets everybody's lease end.
    pub fn leases_end(&self) {
        self.pass(LEASE + Duration::from_millis(1));
    }

    /// Commits one delivery.
    pub async fn accept(&self, arrival: impl Into<Arrival>) -> Receipt {
        self.accept_all([arrival]).await[0]
    }

    /// Commits a group. Ids made afterwards are larger.
    pub async fn accept_all<A: Into<Arrival>>(&self, group: impl IntoIterator<Item = A>) -> Vec<Receipt> {
        let group: Vec<Arrival> = group.into_iter().map(Into::into).collect();
        let receipts = self.store.commit(&group).await.unwrap();
        self.pass(Duration::from_millis(1));
        receipts
    }

    /// Commits an inbound of Ana's on the usual route.
    pub async fn ana_writes(&self) -> EventId {
        self.accept(inbound(&self.clock).on(ROUTE)).await.id
    }

    /// An event that is there.
    pub async fn event(&self, id: EventId) -> Event {
        self.store.event(id).await.unwrap().unwrap()
    }

    /// Every event, oldest first.
    pub async fn events(&self) -> Vec<Event> {
        let page = self.store.events(&EventFilter::default(), first(200)).await.unwrap();
        page.data.into_iter().rev().collect()
    }

    /// Whether a statement waits for somebody's lock (PostgreSQL).
    pub async fn somebody_waits(&self) -> bool {
        let mut looking = PgConnection::connect(&self.store.url).await.unwrap();
        let waiting = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
        );
        let waits = waiting.fetch_one(&mut looking).await.unwrap();
        looking.close().await.unwrap();
        waits
    }

    /// Claims what is due on the usual route.
    pub async fn claim(&self) -> Vec<Delivery> {
        self.claim_on(ROUTE).await
    }

    /// Claims what is due on a route.
    pub async fn claim_on(&self, route: &str) -> Vec<Delivery> {
        self.claim_as(&of_route(route, 100)).await
    }

    /// Claims what is due on the usual route, from where the last claim came to.
    pub async fn claim_onwards(&self) -> Vec<Delivery> {
        let claim = ClaimDeliveries { look: Look::Onwards, ..of_route(ROUTE, 100) };
        self.claim_as(&claim).await
    }

    /// Claims deliveries and reads them.
    pub async fn claim_as(&self, claim: &ClaimDeliveries) -> Vec<Delivery> {
        claim_from(self.store.as_ref(), claim).await
    }

    /// Claims the one delivery that is due on the usual route.
    pub async fn claim_one(&self) -> Delivery {
        let [delivery] = <[Delivery; 1]>::try_from(self.claim().await).unwrap();
        delivery
    }

    /// Claims what was left behind on the usual route.
    pub async fn reclaim(&self) -> Vec<Delivery> {
        let claim = ClaimDeliveries { look: Look::Ended, ..of_route(ROUTE, 100) };
        self.claim_as(&claim).await
    }

    /// Settles a delivery; whether that was applied.
    pub async fn settle(&self, delivery: &Delivery, resolution: Settled) -> bool {
        self.settle_because(delivery, resolution, None).await
    }

    /// Settles a delivery with a reason.
    pub async fn settle_because(
        &self,
        delivery: &Delivery,
        resolution: Settled,
        reason: Option<&str>,
    ) -> bool {
        let outcome = match resolution {
            Settled::Done(_) => "done",
            Settled::Retry(_) => "retry",
            Settled::Park => "parked",
        };
        let number = i64::from(delivery.context.attempt);
        let settlement = Settlement {
            lease: delivery.lease,
            attempt: attempt(number, self.clock.now(), outcome, reason),
            resolution,
        };
        let applied = self.store.settle(&[settlement]).await.unwrap()[0];
        self.pass(Duration::from_millis(1));
        applied
    }

    /// Ana writes and is answered: the queued message.
    pub async fn queue(&self, reply: Reply) -> MessageId {
        self.ana_writes().await;
        let delivery = self.claim_one().await;
        assert!(self.settle(&delivery, done(vec![reply], Vec::new())).await);
        self.newest_message().await.id
    }

    /// Ana writes and is answered with a text: the queued message.
    pub async fn queue_text(&self, text: &str) -> MessageId {
        self.queue(Reply::text(text)).await
    }

    /// The newest message.
    pub async fn newest_message(&self) -> Message {
        self.messages().await.pop().unwrap()
    }

    /// Every message, oldest first.
    pub async fn messages(&self) -> Vec<Message> {
        let page = self.store.messages(&MessageFilter::default(), first(200)).await.unwrap();
        page.data.into_iter().rev().collect()
    }

    /// A message with its timeline.
    pub async fn message(&self, id: MessageId) -> (Message, Vec<TimelineEntry>) {
        self.store.message(&id.to_string()).await.unwrap().unwrap()
    }

    /// A message's state.
    pub async fn state(&self, id: MessageId) -> String {
        self.message(id).await.0.state
    }

    /// Claims due sends.
    pub async fn claim_sends(&self) -> Vec<Sending> {
        self.store.claim_sends(&sends(100)).await.unwrap().sends
    }

    /// Claims the one send that is due.
    pub async fn claim_send(&self) -> Sending {
        let [sending] = <[Sending; 1]>::try_from(self.claim_sends().await).unwrap();
        sending
    }

    /// Asks whether a send may leave.
    pub async fn dispatch(&self, sending: &Sending) -> Dispatch {
        self.store.dispatch(sending, &POLICY).await.unwrap()
    }

    /// Lets a send leave: the fence.
    pub async fn go(&self, sending: &Sending) -> Departure {
        let Dispatch::Go(departure) = self.dispatch(sending).await else { panic!("it may not leave") };
        departure
    }

    /// Claims the one send that is due and lets it leave.
    pub async fn leave(&self) -> (Sending, Departure) {
        let sending = self.claim_send().await;
        let departure = self.go(&sending).await;
        (sending, departure)
    }

    /// Settles a send that left by its answer.
    pub async fn answer(&self, (sending, departure): &(Sending, Departure), answer: Answer) -> SendResult {
        answer_on(self.store.as_ref(), sending, *departure, answer).await
    }

    /// Ana writes, is answered, and the answer leaves under this id.
    pub async fn send(&self, provider_message_id: &str) -> MessageId {
        let message = self.queue_text("hello").await;
        let left = self.leave().await;
        let accepted = Answer::Accepted(provider_message_id.to_owned());
        assert_eq!(self.answer(&left, accepted).await, SendResult::Applied);
        message
    }

    /// Ana writes, is answered, and nobody knows whether the answer was sent.
    pub async fn send_in_doubt(&self, reply: Reply) -> MessageId {
        let message = self.queue(reply).await;
        let left = self.leave().await;
        assert_eq!(self.answer(&left, Answer::Unknown).await, SendResult::Applied);
        message
    }

    /// Sweeps, with the usual route known.
    pub async fn sweep(&self) -> Swept {
        self.sweep_knowing(&[ROUTE]).await
    }

    /// Sweeps, with these routes and the usual account known.
    pub async fn sweep_knowing(&self, routes: &[&str]) -> Swept {
        self.sweep_as(routes, &[ACCOUNT]).await
    }

    /// Sweeps, with these routes and accounts known.
    pub async fn sweep_as(&self, routes: &[&str], accounts: &[&str]) -> Swept {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let known = RouteKnowledge {
            routes: owned(routes),
            accounts: owned(accounts),
            patience: Duration::from_hours(1),
        };
        self.store.sweep(&known).await.unwrap()
    }

    /// Jobs in a state, or the unfinished and parked ones; oldest first.
    pub async fn jobs(&self, state: Option<JobState>) -> Vec<Job> {
        let filter = JobFilter { state, ..JobFilter::default() };
        let page = self.store.jobs(&filter, first(200)).await.unwrap();
        page.data.into_iter().rev().collect()
    }

    /// The job a lease is for.
    pub async fn job(&self, lease: Lease) -> Job {
        self.store.job(lease.job).await.unwrap().unwrap()
    }
}

/// Settles a send on one of several instances.
pub async fn answer_on(
    store: &dyn Store,
    sending: &Sending,
    departure: Departure,
    answer: Answer,
) -> SendResult {
    let outcome = match &answer {
        Answer::Accepted(_) => "accepted",
        Answer::NotProcessed { .. } => "retry",
        Answer::Refused(_) => "failed",
        Answer::WindowClosed(_) => "expired",
        Answer::OptedOut(_) => "suppressed",
        Answer::Unknown => "unconfirmed",
    };
    let answered =
        SendAnswered { departure, attempt: attempt(sending.attempt, departure.at, outcome, None), answer };
    store.settle_send(sending, &answered).await.unwrap()
}
