//! Jobs: their logs, lists and counts, and what a person does with them.

use rstest::rstest;
use switchboard::model::job::{JobKind, JobState};
use switchboard::store::StoreError;
use switchboard::store::query::{JobCount, JobFilter, PageRequest};
use switchboard::store::work::{Answer, Settled};

use super::{ID, SECOND, newest_first};
use crate::support::Backend;
use crate::support::arrivals::{BEN, inbound};
use crate::support::depot::{Depot, ROUTE, done, first, say};

#[rstest]
#[tokio::test]
async fn a_job_shows_its_log(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let event = depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    let running = depot.job(delivery.lease).await;
    assert_eq!(
        (running.kind, running.state, running.event_id),
        (JobKind::Deliver, JobState::Running, Some(event))
    );
    assert_eq!((running.route.as_deref(), running.log), (Some(ROUTE), Some(Vec::new())));
    depot.settle_because(&delivery, Settled::Retry(SECOND), Some("busy")).await;
    depot.pass(SECOND);
    let delivery = depot.claim_one().await;
    depot.settle(&delivery, say("hello")).await;
    let finished = depot.job(delivery.lease).await;
    assert_eq!((finished.state, finished.attempts, finished.due_at), (JobState::Done, 2, None));
    let log: Vec<_> =
        finished.log.unwrap().into_iter().map(|try_| (try_.number, try_.outcome, try_.detail)).collect();
    assert_eq!(log, [(1, "retry".into(), Some("busy".into())), (2, "done".into(), None)]);
    let send = depot.jobs(None).await.remove(0);
    assert_eq!((send.kind, send.route, send.message_id.is_some()), (JobKind::Send, None, true));
}

#[rstest]
#[tokio::test]
async fn jobs_are_found_by_each_filter(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    depot.pass(SECOND);
    let since = depot.clock.now();
    depot.accept(inbound(&depot.clock).on("audit").failing("broken", "no such field")).await;
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    let running = depot.claim_one().await;
    let all = JobFilter::default;
    let found = |filter: JobFilter| {
        let store = depot.store.clone();
        async move {
            let jobs = store.jobs(&filter, first(200)).await.unwrap().data;
            newest_first(&jobs.iter().map(|job| job.id).collect::<Vec<_>>());
            jobs.into_iter().map(|job| job.route.unwrap_or_else(|| "send".into())).collect::<Vec<_>>()
        }
    };
    assert_eq!(found(all()).await.len(), 4, "unfinished and parked");
    assert_eq!(found(JobFilter { state: Some(JobState::Running), ..all() }).await, [ROUTE]);
    assert_eq!(found(JobFilter { state: Some(JobState::Parked), ..all() }).await, ["broken"]);
    assert_eq!(found(JobFilter { state: Some(JobState::Ready), ..all() }).await, ["audit", "send"]);
    assert_eq!(found(JobFilter { state: Some(JobState::Done), ..all() }).await, [ROUTE]);
    assert_eq!(found(JobFilter { kind: Some(JobKind::Send), ..all() }).await, ["send"]);
    assert_eq!(found(JobFilter { route: Some("audit".into()), ..all() }).await, ["audit"]);
    assert_eq!(found(JobFilter { since: Some(since), ..all() }).await.len(), 3);
    assert_eq!(found(JobFilter { until: Some(since), ..all() }).await, ["send"]);
    assert!(found(JobFilter { state: Some(JobState::Discarded), ..all() }).await.is_empty());

    let page = depot.store.jobs(&all(), first(3)).await.unwrap();
    let rest = PageRequest { limit: 3, before: page.data.last().map(|job| job.id) };
    let rest = depot.store.jobs(&all(), rest).await.unwrap();
    assert_eq!((page.data.len(), page.more, rest.data.len(), rest.more), (3, true, 1, false));
    assert!(depot.settle(&running, say("hello")).await);
}

#[rstest]
#[tokio::test]
async fn finished_jobs_are_listed_page_by_page(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for _ in 0..5 {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, done(Vec::new(), Vec::new())).await);
    }
    let filter = JobFilter { state: Some(JobState::Done), ..JobFilter::default() };
    let page = depot.store.jobs(&filter, first(3)).await.unwrap();
    let rest = PageRequest { limit: 3, before: page.data.last().map(|job| job.id) };
    let rest = depot.store.jobs(&filter, rest).await.unwrap();
    assert_eq!((page.more, rest.data.len(), rest.more), (true, 2, false));
    newest_first(&page.data.iter().chain(&rest.data).map(|job| job.id).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn only_a_parked_job_can_be_retried(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let ready = depot.jobs(None).await.remove(0).id;
    let conflict = || async { matches!(depot.store.retry_job(ready).await, Err(StoreError::Conflict(_))) };
    assert!(conflict().await, "ready");
    let delivery = depot.claim_one().await;
    assert!(conflict().await, "running");
    assert!(depot.settle(&delivery, Settled::Park).await);
    let job = depot.store.retry_job(ready).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Ready, 0));
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("hello")).await);
    assert!(conflict().await, "done");
    let nobody = switchboard::model::id::JobId::new(depot.clock.ulid());
    assert!(depot.store.retry_job(nobody).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn a_parked_or_waiting_job_can_be_discarded(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let discard = |id| {
        let store = depot.store.clone();
        async move { store.discard_job(id).await }
    };
    for park in [false, true] {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        let job = delivery.lease.job;
        assert!(matches!(discard(job).await, Err(StoreError::Conflict(_))), "running");
        let resolution = if park { Settled::Park } else { Settled::Retry(SECOND) };
        assert!(depot.settle_because(&delivery, resolution, Some("busy")).await);
        let discarded = discard(job).await.unwrap().unwrap();
        assert_eq!((discarded.state, discarded.attempts), (JobState::Discarded, 1));
        assert_eq!((discarded.last_error.as_deref(), discarded.log.unwrap().len()), (Some("busy"), 1));
        assert!(matches!(discard(job).await, Err(StoreError::Conflict(_))), "discarded");
    }
    depot.pass(SECOND);
    assert!(depot.claim().await.is_empty());
    assert_eq!(depot.jobs(Some(JobState::Discarded)).await.len(), 2);
    assert!(depot.jobs(Some(JobState::Done)).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn jobs_are_counted_by_kind_route_and_state(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    depot.accept(inbound(&depot.clock).on(ROUTE).failing("broken", "no such field")).await;
    depot.accept(inbound(&depot.clock).on(ROUTE)).await;
    depot.claim_one().await;
    let mut counts = depot.store.job_counts().await.unwrap();
    counts.sort_by_key(|count| (count.route.clone(), count.state.as_str()));
    let expected = [
        (JobKind::Send, "", JobState::Ready),
        (JobKind::Deliver, "broken", JobState::Parked),
        (JobKind::Deliver, ROUTE, JobState::Ready),
        (JobKind::Deliver, ROUTE, JobState::Running),
    ];
    let expected =
        expected.map(|(kind, route, state)| JobCount { kind, route: route.to_owned(), state, count: 1 });
    assert_eq!(counts, expected);
    let left = depot.leave().await;
    depot.answer(&left, Answer::Accepted(ID.into())).await;
    assert_eq!(depot.store.job_counts().await.unwrap().len(), 3, "finished ones are not counted");
}
