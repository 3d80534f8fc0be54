//! The template that follows free-form content once the window is closed (P8): as the second send of the same message, once.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::model::id::MessageId;
use switchboard::model::job::JobState;
use switchboard::model::message::SendKind;
use switchboard::model::outcome::{Effect, Reply};
use switchboard::model::payload::Payload;
use switchboard::store::work::{Answer, Dispatch, SendResult, Swept};

use super::{ID, OTHER_ID, SECOND, accepted, marked, not_processed};
use crate::support::Backend;
use crate::support::arrivals::{Post, status};
use crate::support::depot::{Depot, WINDOW_CLOSED, done, refusal, say};

fn with_fallback() -> Reply {
    Reply { fallback: Some(json!({ "template": "reopen", "language": "en" })), ..Reply::text("hello") }
}

/// A failed status that says that the window was closed.
fn refused(depot: &Depot, id: &str) -> Post {
    status(&depot.clock, id, "delivery_failed").error(WINDOW_CLOSED)
}

/// Claims the one send that is due, which carries the template, and has it accepted.
async fn template_leaves(depot: &Depot, message: MessageId) {
    let left = depot.leave().await;
    assert_eq!((left.0.message, left.1.number), (message, 2));
    let Payload::Template(template) = left.0.payload(left.1).unwrap() else { panic!("no template") };
    assert_eq!(template.name, "reopen");
    assert_eq!(depot.answer(&left, Answer::Accepted(OTHER_ID.to_owned())).await, SendResult::Applied);
    let shown = depot.message(message).await.0;
    assert_eq!((shown.state.as_str(), shown.kind), ("accepted", SendKind::Template));
    assert_eq!(shown.provider_message_id.as_deref(), Some(OTHER_ID));
    assert!(depot.claim_sends().await.is_empty(), "once");
    depot.accept(status(&depot.clock, OTHER_ID, "read")).await;
    assert_eq!(depot.state(message).await, "read");
}

#[rstest]
#[tokio::test]
async fn p8_the_fallback_leaves_when_the_window_is_closed_at_the_moment_of_sending(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    depot.pass(Duration::from_hours(24));
    template_leaves(&depot, message).await;
}

#[rstest]
#[tokio::test]
async fn p8_the_fallback_leaves_when_connectly_says_that_the_window_is_closed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    let left = depot.leave().await;
    assert_eq!(left.1.number, 1);
    let refusal = Answer::WindowClosed(refusal(WINDOW_CLOSED));
    assert_eq!(depot.answer(&left, refusal).await, SendResult::Applied);
    let shown = depot.message(message).await.0;
    assert_eq!((shown.state.as_str(), shown.error), ("queued", None));
    template_leaves(&depot, message).await;
    assert_eq!(depot.answer(&left, accepted()).await, SendResult::Applied, "a late answer changes nothing");
    assert_eq!(depot.state(message).await, "read");
    assert!(depot.claim_sends().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn p8_the_fallback_leaves_when_a_failed_status_says_so_later(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    let left = depot.leave().await;
    depot.answer(&left, accepted()).await;
    let event = depot.accept(refused(&depot, ID)).await.id;
    assert_eq!(depot.state(message).await, "queued");
    depot.pass(SECOND);
    depot.accept(refused(&depot, ID)).await;
    template_leaves(&depot, message).await;
    let timeline = depot.message(message).await.1;
    let steps: Vec<_> = timeline.iter().map(|entry| (entry.state.as_str(), entry.send)).collect();
    let (first, second) = (None, Some(2));
    assert_eq!(
        steps,
        [
            ("queued", first),
            ("accepted", first),
            ("failed", first),
            ("failed", first),
            ("accepted", second),
            ("read", second)
        ]
    );
    assert_eq!(depot.event(event).await.message_id, Some(message));
}

#[rstest]
#[tokio::test]
async fn the_fallback_waits_for_an_answer_that_is_under_way(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for answer in [accepted(), Answer::Unknown, Answer::WindowClosed(refusal(WINDOW_CLOSED))] {
        // The window that was closed opens again.
        depot.pass(2 * SECOND);
        let message = depot.queue(with_fallback()).await;
        let left = depot.leave().await;
        let id = depot.clock.ulid().to_string();
        let update = json!({ "id": id, "status": "delivery_failed", "error": { "code": WINDOW_CLOSED } });
        depot.accept(marked(&depot, message, "delivery_failed").with("statusUpdate", update)).await;
        assert!(depot.claim_sends().await.is_empty(), "one request of a message is under way");
        let answer = match answer {
            Answer::Accepted(_) => Answer::Accepted(id),
            other => other,
        };
        assert_eq!(depot.answer(&left, answer).await, SendResult::Applied);
        let left = depot.leave().await;
        assert_eq!((left.0.message, left.1.number), (message, 2));
        depot.answer(&left, Answer::Accepted(depot.clock.ulid().to_string())).await;
        assert_eq!(depot.state(message).await, "accepted");
        assert!(depot.claim_sends().await.is_empty());
    }
    assert!(depot.jobs(None).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn the_fallback_goes_on_when_the_answer_never_comes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    depot.leave().await;
    depot.accept(marked(&depot, message, "delivery_failed").error(WINDOW_CLOSED)).await;
    depot.leases_end();
    assert_eq!(depot.sweep().await, Swept::default(), "a status has told what became of it");
    template_leaves(&depot, message).await;
}

#[rstest]
#[tokio::test]
async fn a_status_that_settles_doubt_can_bring_the_fallback(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send_in_doubt(with_fallback()).await;
    depot.accept(marked(&depot, message, "delivery_failed").error(WINDOW_CLOSED)).await;
    template_leaves(&depot, message).await;
}

const AGAIN: Answer = Answer::NotProcessed { after: SECOND, drain: false };

/// However long its message was tried before: a day, and then a person is asked.
#[rstest]
#[tokio::test]
async fn the_fallback_is_tried_for_a_day_of_its_own(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(true, false)] told_by_connectly: bool,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    let left = depot.leave().await;
    depot.answer(&left, AGAIN).await;
    if told_by_connectly {
        depot.pass(Duration::from_hours(23));
        let left = depot.leave().await;
        depot.answer(&left, Answer::WindowClosed(refusal(WINDOW_CLOSED))).await;
    } else {
        depot.pass(Duration::from_hours(30));
    }
    for hours in [20, 3, 2] {
        let left = depot.leave().await;
        assert_eq!((left.0.message, left.1.number), (message, 2));
        depot.answer(&left, AGAIN).await;
        depot.pass(Duration::from_hours(hours));
    }
    let sending = depot.claim_send().await;
    depot.dispatch(&sending).await;
    assert_eq!(depot.job(sending.lease).await.state, JobState::Parked);
}

#[rstest]
#[tokio::test]
async fn no_fallback_leaves_to_who_opted_out(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    depot.settle(&delivery, done(Vec::new(), vec![Effect::OptOut])).await;
    depot.pass(Duration::from_hours(24));
    let sending = depot.claim_send().await;
    depot.dispatch(&sending).await;
    assert_eq!(depot.state(message).await, "suppressed");
    assert_eq!(depot.job(sending.lease).await.state, JobState::Done);
}

#[rstest]
#[tokio::test]
async fn a_fallback_that_is_refused_is_told_by_its_own_error(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    depot.pass(Duration::from_hours(24));
    let left = depot.leave().await;
    let missing = refusal("ERROR_CODE_MESSAGE_TEMPLATE_NOT_FOUND");
    depot.answer(&left, Answer::Refused(missing.clone())).await;
    let shown = depot.message(message).await.0;
    assert_eq!((shown.state.as_str(), shown.error), ("failed", Some(missing)));
    let job = depot.job(left.0.lease).await;
    assert_eq!(job.state, JobState::Parked);
    // Retried by a person, it is the template that is tried again.
    depot.store.retry_job(job.id).await.unwrap();
    template_leaves(&depot, message).await;
    assert_eq!(depot.message(message).await.0.content, Some(json!({ "text": "hello" })));
}

#[rstest]
#[tokio::test]
async fn p8_a_fallback_has_its_own_day_however_long_the_free_form_content_was_tried(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for closes_by_answer in [false, true] {
        let message = depot.queue(with_fallback()).await;
        let left = depot.leave().await;
        depot.answer(&left, not_processed(SECOND, false)).await;
        if closes_by_answer {
            // Customers write meanwhile, so that the window stays open, and the key is refused for a day.
            depot.pass(Duration::from_hours(23));
            depot.ana_writes().await;
            depot.settle(&depot.claim_one().await, done(Vec::new(), Vec::new())).await;
            depot.pass(Duration::from_hours(2));
            let left = depot.leave().await;
            assert_eq!(left.1.number, 1);
            depot.answer(&left, Answer::WindowClosed(refusal(WINDOW_CLOSED))).await;
        } else {
            depot.pass(Duration::from_hours(25));
        }
        let left = depot.leave().await;
        assert_eq!((left.0.message, left.1.number), (message, 2));
        depot.answer(&left, not_processed(SECOND, false)).await;
        depot.pass(Duration::from_hours(23));
        let left = depot.leave().await;
        depot.answer(&left, not_processed(SECOND, false)).await;
        depot.pass(Duration::from_hours(2));
        let sending = depot.claim_send().await;
        assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("parked"), "a day is enough");
    }
}

#[rstest]
#[tokio::test]
async fn p8_a_late_word_of_the_free_form_send_is_not_taken_for_the_templates(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    let left = depot.leave().await;
    depot.answer(&left, Answer::WindowClosed(refusal(WINDOW_CLOSED))).await;
    // Refused by an answer without an id, and by a status with one.
    depot.accept(marked(&depot, message, "delivery_failed").error(WINDOW_CLOSED)).await;
    assert_eq!(depot.state(message).await, "queued");
    template_leaves(&depot, message).await;
}

#[rstest]
#[tokio::test]
async fn whoever_wrote_after_a_message_left_can_be_written_to_however_late_its_refusal_is_told(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.send(ID).await;
    depot.pass(2 * SECOND);
    depot.ana_writes().await;
    depot.pass(2 * SECOND);
    depot.accept(refused(&depot, ID)).await;
    depot.settle(&depot.claim_one().await, say("hello again")).await;
    depot.leave().await;
}

#[rstest]
#[tokio::test]
async fn a_word_of_a_template_that_has_left_is_the_templates_whatever_it_says(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue(with_fallback()).await;
    let left = depot.leave().await;
    depot.answer(&left, Answer::WindowClosed(refusal(WINDOW_CLOSED))).await;
    let left = depot.leave().await;
    depot.accept(marked(&depot, message, "delivery_failed").error(WINDOW_CLOSED)).await;
    assert_eq!(depot.answer(&left, accepted()).await, SendResult::Applied);
    assert_eq!(depot.state(message).await, "failed");
    assert!(depot.jobs(None).await.is_empty());
}
