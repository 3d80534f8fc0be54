//! What only this backend has: its file, its one writer, its statements. What both promise is in the contract suite.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::connectly::throttle::Rate;
use crate::model::event::EventType;
use crate::model::job::{Attempt, JobState};
use crate::model::outcome::{Effect, Outcome, Reply, StateChange};
use crate::store::arrival::RouteMatch;
use crate::store::work::{Answer, Departure, Look, SendingAccount, Settled};

const LEASE: Duration = Duration::from_secs(30);
const PROVIDER_ID: &str = "01K00000000000000000000001";
const OPTIONS: OpenOptions = OpenOptions { migrate: true, connections: 4 };
const POLICY: SendPolicy = SendPolicy {
    window_margin: Duration::from_mins(1),
    replies_per_minute: 20,
    rate: Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN.saturating_add(9) },
    lease: LEASE,
};

struct Desk {
    store: SqliteStore,
    clock: Clock,
    // Removed at the end, after the store.
    _folder: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let path = folder.path().join("new/switchboard.db");
        Self { store: open(&path, &clock).await.unwrap(), clock, _folder: folder }
    }

    /// A delivery for one ordered route, `desk`.
    fn arrival(&self, body: impl Into<Bytes>) -> Arrival {
        let id = EventId::new(self.clock.ulid());
        let mut arrival = Arrival::read(id, "default".into(), self.clock.now(), body.into());
        arrival.routes.push(RouteMatch { route: "desk".into(), ordered: true, failed: None });
        arrival
    }

    fn inbound(&self, text: &str) -> Arrival {
        let second = self.clock.now().as_second();
        let parties = r#""sender":{"id":"+15550100001","name":"Ana"},"recipient":{"id":"+15550100002"}"#;
        self.arrival(format!(r#"{{"timestamp":"{second}",{parties},"message":{{"text":"{text}"}}}}"#))
    }

    fn status(&self, status: &str, error: &str) -> Arrival {
        let second = self.clock.now().as_second();
        let parties = r#""sender":{"id":"+15550100002"},"recipient":{"id":"+15550100001"}"#;
        self.arrival(format!(
            r#"{{"timestamp":"{second}",{parties},"statusUpdate":{{"id":"{PROVIDER_ID}","status":"{status}"{error}}}}}"#
        ))
    }

    async fn claim_as(&self, claim: &ClaimDeliveries) -> Vec<Delivery> {
        let leased = self.store.claim_deliveries(claim).await.unwrap();
        self.store.deliveries(&leased).await.unwrap()
    }

    async fn claim(&self) -> Vec<Delivery> {
        let claim = ClaimDeliveries {
            routes: vec![("other".into(), 3), ("desk".into(), 10)],
            limit: 10,
            lease: LEASE,
            look: Look::Whole,
        };
        self.claim_as(&claim).await
    }

    /// Commits an inbound, answers it, and claims the send.
    async fn reply(&self) -> Sending {
        self.store.commit(&[self.inbound("hi")]).await.unwrap();
        let delivery = self.claim().await.remove(0);
        let done = Settled::Done(Outcome {
            replies: vec![Reply::text("hello").with_callback_data(&json!({"order": 5}))],
            state: StateChange::Set(json!({"step": 1})),
            effects: vec![],
            ..Outcome::default()
        });
        let applied = self.store.settle(&[settlement(&delivery, done)]).await.unwrap();
        assert_eq!(applied, [true]);
        self.claim_send().await.unwrap()
    }

    async fn claim_send(&self) -> Option<Sending> {
        self.claim_sends().await.pop()
    }

    async fn claim_sends(&self) -> Vec<Sending> {
        let account = SendingAccount { name: "default".into(), rate: POLICY.rate, undrawn: 0 };
        let claim =
            ClaimSends { limit: 10, api_limit: 10, api_turn: false, lease: LEASE, accounts: vec![account] };
        self.store.claim_sends(&claim).await.unwrap().sends
    }

    async fn go(&self, sending: &Sending) -> Departure {
        match self.store.dispatch(sending, &POLICY).await.unwrap() {
            Dispatch::Go(at) => at,
            other => panic!("{other:?}"),
        }
    }

    async fn answer(&self, sending: &Sending, departure: Departure, answer: Answer) -> SendResult {
        let answered = SendAnswered { departure, attempt: attempt("sent"), answer };
        self.store.settle_send(sending, &answered).await.unwrap()
    }

    async fn message(&self, id: MessageId) -> (Message, Vec<String>) {
        let (message, timeline) = self.store.message(&id.to_string()).await.unwrap().unwrap();
        (message, timeline.into_iter().map(|entry| entry.state).collect())
    }

    async fn sweep(&self) -> Swept {
        let known = RouteKnowledge {
            routes: vec!["other".into()],
            accounts: vec!["default".into()],
            patience: Duration::from_hours(1),
        };
        self.store.sweep(&known).await.unwrap()
    }
}

async fn open(path: &Path, clock: &Clock) -> Result<SqliteStore> {
    SqliteStore::open(&format!("sqlite://{}", path.display()), &OPTIONS, clock.clone()).await
}

fn attempt(outcome: &str) -> Attempt {
    Attempt {
        number: 1,
        at: jiff::Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        outcome: outcome.into(),
        detail: None,
    }
}

fn settlement(delivery: &Delivery, resolution: Settled) -> Settlement {
    Settlement { lease: delivery.lease, attempt: attempt("done"), resolution }
}

#[tokio::test]
async fn what_was_written_is_moved_out_of_the_log_beside_the_writer() {
    let desk = Desk::new().await;
    let file = desk.store.file.as_ref().unwrap().path().to_owned();
    let length = || std::fs::metadata(&file).unwrap().len();
    let before = length();
    desk.store.commit(&[desk.inbound("hi")]).await.unwrap();
    let moved = async {
        while length() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), moved).await.unwrap();
}

#[tokio::test]
async fn a_group_tells_fresh_repeated_and_varied_deliveries_apart() {
    let desk = Desk::new().await;
    let sent = desk.status("sent", "");
    let again = Arrival { id: EventId::new(desk.clock.ulid()), ..sent.clone() };
    let varied = desk.status("sent", r#","extra":1"#);
    let empty = desk.arrival("");
    let group = [sent.clone(), again.clone(), varied.clone(), empty.clone()];
    let receipts = desk.store.commit(&group).await.unwrap();
    let told: Vec<_> = receipts.iter().map(|receipt| (receipt.id, receipt.duplicate, receipt.jobs)).collect();
    assert_eq!(told, [(sent.id, false, 1), (sent.id, true, 0), (varied.id, true, 0), (empty.id, false, 1)]);
    let varied_again = Arrival { id: EventId::new(desk.clock.ulid()), ..varied.clone() };
    let receipts = desk.store.commit(&[again, varied_again]).await.unwrap();
    assert_eq!(receipts.iter().map(|receipt| receipt.id).collect::<Vec<_>>(), [sent.id, varied.id]);
    let event = desk.store.event(sent.id).await.unwrap().unwrap();
    assert_eq!(event.duplicates, 2);
    assert_eq!(desk.store.event(varied.id).await.unwrap().unwrap().duplicates, 1);
    for arrival in [&sent, &varied, &empty] {
        let Some(StoredBody::Kept(body)) = desk.store.event_body(arrival.id).await.unwrap() else {
            panic!("no body");
        };
        assert_eq!(body, arrival.body);
    }
}

#[tokio::test]
async fn a_delivery_is_settled_with_its_reply_state_and_effects() {
    let desk = Desk::new().await;
    desk.store.commit(&[desk.inbound("stop"), desk.inbound("more")]).await.unwrap();
    let claimed = desk.claim().await;
    assert_eq!(claimed.len(), 1, "one lane, one job");
    assert!(claimed[0].context.first_contact);
    assert_eq!(claimed[0].event.kind.event_type(), EventType::MessageReceived);
    assert!(desk.claim().await.is_empty());
    assert_eq!(desk.store.renew(&[claimed[0].lease], LEASE).await.unwrap().len(), 1);
    let done = Settled::Done(Outcome {
        replies: vec![Reply::text("goodbye"), Reply::text("elsewhere").from_number("+15550100009")],
        state: StateChange::Set(json!({"step": 1})),
        effects: vec![Effect::OptOut],
        ..Outcome::default()
    });
    let settlement = settlement(&claimed[0], done);
    assert_eq!(desk.store.settle(std::slice::from_ref(&settlement)).await.unwrap(), [true]);
    assert_eq!(desk.store.settle(&[settlement]).await.unwrap(), [false]);
    let next = desk.claim().await.remove(0);
    assert_eq!(next.context.state, Some(json!({"step": 1})));
    assert!(!next.context.first_contact);
    assert_eq!(next.context.latest_message.unwrap().origin.as_str(), "reply");
    assert!(next.context.conversation.unwrap().opted_out_at.is_some());
    let sends = desk.claim_sends().await;
    assert_eq!(sends.len(), 2, "two lanes");
    for sending in sends {
        let dispatched = desk.store.dispatch(&sending, &POLICY).await.unwrap();
        let confirms = sending.from == "+15550100002";
        assert_eq!(matches!(dispatched, Dispatch::Go(_)), confirms);
        assert_eq!(dispatched == Dispatch::Ended("suppressed"), !confirms);
    }
}

#[tokio::test]
async fn an_accepted_send_folds_its_statuses() {
    let desk = Desk::new().await;
    let sending = desk.reply().await;
    desk.store.commit(&[desk.status("read", "")]).await.unwrap();
    assert_eq!(sending.attempt, 1);
    assert_eq!(sending.to_phone.as_deref(), Some("+15550100001"));
    let at = desk.go(&sending).await;
    assert_eq!(desk.store.dispatch(&sending, &POLICY).await.unwrap(), Dispatch::Lost);
    let accepted = Answer::Accepted(PROVIDER_ID.into());
    assert_eq!(
        desk.answer(&sending, at, accepted).await,
        SendResult::Applied,
        "the observed message is absorbed"
    );
    desk.store.commit(&[desk.status("delivered", "")]).await.unwrap();
    let (message, timeline) = desk.message(sending.message).await;
    assert_eq!(message.state, "read");
    assert!(
        ["queued", "accepted", "delivered", "read"]
            .iter()
            .all(|state| timeline.iter().any(|seen| seen == state)),
        "{timeline:?}"
    );
    assert_eq!(message.callback_data.unwrap().as_str(), r#"{"order":5}"#);
    let by_theirs = desk.store.message(PROVIDER_ID).await.unwrap().unwrap().0;
    assert_eq!(by_theirs.id, sending.message);
    let page = PageRequest { limit: 1, before: None };
    let filter = MessageFilter {
        customer: Some("+15550100001".into()),
        provider_message_id: Some(PROVIDER_ID.into()),
        state: Some("read".into()),
        ..MessageFilter::default()
    };
    let messages = desk.store.messages(&filter, page).await.unwrap();
    assert_eq!((messages.data.len(), messages.more), (1, false));
    // The claimed delivery of the status shows the message it is about.
    let about = desk.claim().await;
    assert!(about.iter().any(|delivery| {
        delivery.context.message.as_ref().map(|message| message.id) == Some(sending.message)
    }));
}

#[tokio::test]
async fn an_observed_failure_keeps_its_reason() {
    let desk = Desk::new().await;
    let error = r#","error":{"code":"131026","message":"undeliverable"}"#;
    desk.store.commit(&[desk.status("failed", error)]).await.unwrap();
    let observed = desk.store.message(PROVIDER_ID).await.unwrap().unwrap().0;
    assert_eq!(observed.state, "failed");
    assert!(observed.error.is_some());
}

#[tokio::test]
async fn a_lost_answer_is_unconfirmed_until_somebody_knows() {
    let desk = Desk::new().await;
    let sending = desk.reply().await;
    let at = desk.go(&sending).await;
    assert_eq!(desk.sweep().await.unconfirmed, 0);
    desk.clock.advance(LEASE * 2);
    assert!(desk.claim_send().await.is_none());
    assert_eq!(desk.sweep().await.unconfirmed, 1);
    assert_eq!(desk.message(sending.message).await.0.state, "unconfirmed");
    let resolved = desk.store.resolve(sending.message, Resolution::NotSent).await.unwrap();
    assert_eq!(resolved.state, "queued");
    assert!(matches!(
        desk.store.resolve(sending.message, Resolution::Sent).await,
        Err(StoreError::Conflict(_))
    ));
    let late = desk.answer(&sending, at, Answer::Accepted(PROVIDER_ID.into())).await;
    assert_eq!(late, SendResult::Applied, "it was sent after all, whatever the person thought");
    assert_eq!(desk.message(sending.message).await.0.state, "accepted");
    let queued_again = desk.claim_send().await.unwrap();
    let told = desk.store.dispatch(&queued_again, &POLICY).await.unwrap();
    assert_eq!(told, Dispatch::Ended("settled"), "and does not leave a second time");
}

#[tokio::test]
async fn what_was_not_processed_is_tried_again_later() {
    let desk = Desk::new().await;
    let sending = desk.reply().await;
    let at = desk.go(&sending).await;
    let again = Answer::NotProcessed { after: Duration::from_secs(5), drain: false };
    assert_eq!(desk.answer(&sending, at, again).await, SendResult::Applied);
    assert!(desk.claim_send().await.is_none());
    desk.clock.advance(Duration::from_secs(6));
    assert_eq!(desk.claim_send().await.unwrap().attempt, 2);
}

#[tokio::test]
async fn a_refused_send_is_retried_and_a_parked_job_discarded_by_a_person() {
    let desk = Desk::new().await;
    let sending = desk.reply().await;
    let at = desk.go(&sending).await;
    let refused = Answer::Refused(crate::connectly::error::ErrorDetail::from_message("no"));
    desk.answer(&sending, at, refused).await;
    assert_eq!(desk.message(sending.message).await.0.state, "failed");
    let job = sending.lease.job;
    let counted = desk.store.job_counts().await.unwrap();
    assert_eq!((counted[0].state, counted[0].count), (JobState::Parked, 1));
    let retried = desk.store.retry_job(job).await.unwrap().unwrap();
    assert_eq!((retried.state, retried.attempts), (JobState::Ready, 0));
    assert_eq!(desk.message(sending.message).await.0.state, "queued");
    assert!(matches!(desk.store.retry_job(job).await, Err(StoreError::Conflict(_))));
    let discarded = desk.store.discard_job(job).await.unwrap().unwrap();
    assert_eq!((discarded.state, discarded.log.unwrap().len()), (JobState::Discarded, 1));
    assert_eq!(desk.message(sending.message).await.0.state, "failed");
    let filter = JobFilter { state: Some(JobState::Discarded), ..JobFilter::default() };
    let page = PageRequest { limit: 10, before: None };
    assert_eq!(desk.store.jobs(&filter, page).await.unwrap().data.len(), 1);
    assert!(desk.store.retry_job(JobId::new(desk.clock.ulid())).await.unwrap().is_none());
}

#[tokio::test]
async fn an_ended_lease_is_reclaimed_and_an_unknown_route_parks() {
    let desk = Desk::new().await;
    desk.store.commit(&[desk.inbound("hi")]).await.unwrap();
    let first = desk.claim().await.remove(0);
    desk.store.release(&[first.lease]).await.unwrap();
    let again = desk.claim().await.remove(0);
    assert_eq!(again.context.attempt, 1);
    desk.clock.advance(LEASE * 2);
    assert!(desk.claim().await.is_empty());
    let reclaim =
        ClaimDeliveries { routes: vec![("desk".into(), 1)], limit: 1, lease: LEASE, look: Look::Ended };
    let taken = desk.claim_as(&reclaim).await.remove(0);
    assert_eq!(taken.context.attempt, 2);
    let retry = Settled::Retry(Duration::from_secs(5));
    let settled = [settlement(&again, Settled::Park), settlement(&taken, retry)];
    assert_eq!(desk.store.settle(&settled).await.unwrap(), [false, true]);
    assert!(desk.claim().await.is_empty());
    desk.clock.advance(Duration::from_hours(2));
    assert_eq!(desk.sweep().await.forgotten, 1);
    let job = desk.store.job(taken.lease.job).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Parked);
    assert_eq!(job.last_error.as_deref(), Some("no instance knows the route desk"));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for text in ["a", "b", "c"] {
        desk.clock.advance(Duration::from_secs(1));
        let arrival = desk.inbound(text);
        ids.push(arrival.id);
        desk.store.commit(&[arrival]).await.unwrap();
    }
    desk.store.commit(&[desk.status("sent", "")]).await.unwrap();
    let filter = EventFilter {
        account: Some("default".into()),
        event_type: Some(EventType::MessageReceived),
        customer: Some("+15550100001".into()),
        business: Some("+15550100002".into()),
        ..EventFilter::default()
    };
    let page = |before| PageRequest { limit: 2, before };
    let first = desk.store.events(&filter, page(None)).await.unwrap();
    assert!(first.more);
    assert_eq!(first.data.iter().map(|event| event.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
    let rest = desk.store.events(&filter, page(Some(ids[1]))).await.unwrap();
    assert_eq!((rest.data.len(), rest.more), (1, false));
    let customer = first.data[0].customer.as_ref().unwrap().id.unwrap().to_string();
    let by_id = EventFilter { customer: Some(customer), ..filter };
    let after = desk.store.events_after(&by_id, ids[0], 10).await.unwrap();
    assert_eq!(after.iter().map(|event| event.id).collect::<Vec<_>>(), ids[1..]);
    let everything = JobFilter::default();
    let page = PageRequest { limit: 3, before: None };
    let jobs = desk.store.jobs(&everything, page).await.unwrap();
    assert_eq!((jobs.data.len(), jobs.more), (3, true));
}

#[tokio::test]
async fn a_file_is_held_by_one_store_and_private() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let path = folder.path().join("shop/switchboard.db");
    let url = format!("sqlite://{}", path.display());
    let options = OpenOptions { migrate: false, ..OPTIONS };
    let missing = SqliteStore::open(&url, &options, clock.clone()).await;
    assert!(matches!(missing, Err(StoreError::Schema(_))));
    assert!(!path.exists());
    let first = open(&path, &clock).await.unwrap();
    first.ping().await.unwrap();
    let other_way = folder.path().join("shop/../shop/switchboard.db");
    assert!(matches!(open(&other_way, &clock).await, Err(StoreError::Locked(_))));
    first.close().await;
    let second = SqliteStore::open(&url, &options, clock.clone()).await.unwrap();
    second.upkeep().await.unwrap();
    #[cfg(unix)]
    for name in ["switchboard.db", "switchboard.db-wal", "switchboard.db.lock"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_store_in_memory_works_alike() {
    let clock = Clock::system();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open("sqlite::memory:", &OPTIONS, clock.clone()).await.unwrap();
    let desk = Desk { store, clock, _folder: folder };
    let sending = desk.reply().await;
    desk.go(&sending).await;
    assert_eq!(desk.message(sending.message).await.0.state, "queued");
}

#[tokio::test]
async fn readers_cannot_write_and_commits_are_synchronous() {
    let desk = Desk::new().await;
    let refused = sqlx::query("DELETE FROM events").execute(&desk.store.readers).await;
    assert!(refused.is_err());
    let mut writer = desk.store.write().await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *writer).await.unwrap();
    assert_eq!(synchronous, 2);
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&desk.store.readers).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_dropped_verb_leaves_no_transaction_behind() {
    let desk = Desk::new().await;
    for polls in 0..60 {
        let group = [desk.inbound("hi"), desk.status("sent", "")];
        let mut verb = Box::pin(desk.store.commit(&group));
        for _ in 0..polls {
            if futures_util::poll!(verb.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(verb);
        desk.store.ping().await.unwrap();
    }
    let last = desk.inbound("last");
    desk.store.commit(std::slice::from_ref(&last)).await.unwrap();
    assert!(desk.store.event(last.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_passes() {
    let desk = Desk::new().await;
    let mut writer = desk.store.write().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *writer).await.unwrap();
    let full = format!("PRAGMA max_page_count = {}", pages + 4);
    sqlx::raw_sql(sqlx::AssertSqlSafe(full)).execute(&mut *writer).await.unwrap();
    drop(writer);
    let large = desk.arrival(vec![b'x'; 100_000]);
    let refused = desk.store.commit(std::slice::from_ref(&large)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let free = "PRAGMA max_page_count = 1000000";
    sqlx::raw_sql(free).execute(&mut *desk.store.write().await.unwrap()).await.unwrap();
    let receipts = desk.store.commit(&[large]).await.unwrap();
    assert!(!receipts[0].duplicate);
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_is_not_the_last_one() {
    let desk = Desk::new().await;
    let mut tx = desk.store.write().await.unwrap();
    // What it does when a disk fails in the middle.
    sqlx::raw_sql("ROLLBACK").execute(&mut *tx).await.unwrap();
    drop(tx);
    desk.store.ping().await.unwrap();
    desk.store.commit(&[desk.inbound("hi")]).await.unwrap();
}

/// Statistics are never taken here, and without them SQLite finds no index better than another.
#[tokio::test]
async fn what_a_handler_may_ask_for_is_read_by_way_of_its_conversation() {
    let desk = Desk::new().await;
    let explain = format!("EXPLAIN QUERY PLAN {}", deliveries::CONVERSING);
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .bind("[]")
        .bind("")
        .bind(0)
        .fetch_all(&desk.store.readers)
        .await
        .unwrap();
    let of_messages: Vec<_> =
        plan.iter().map(|(.., step)| step).filter(|step| step.contains(" m ")).collect();
    assert_eq!(of_messages.len(), 2, "{plan:?}");
    assert!(of_messages.iter().all(|step| step.contains("messages_of_conversation")), "{of_messages:?}");
    assert!(of_messages[1].contains("id>?"), "{of_messages:?}");
}
