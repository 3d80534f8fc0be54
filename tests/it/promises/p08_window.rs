//! P8: no free-form message is sent when the 24-hour window is closed.

use std::time::Duration;

use rstest::rstest;
use switchboard::emulator::{Inbound, SendFault};

use crate::support::desk::ECHO;
use crate::support::{Backend, Desk};

#[rstest]
#[case::a_minute_before_the_margin(Duration::from_mins(24 * 60 - 2), "read", 1)]
#[case::within_the_margin(Duration::from_secs(24 * 60 * 60 - 30), "expired", 0)]
#[case::a_day_later(Duration::from_hours(25), "expired", 0)]
#[tokio::test]
async fn p8_what_is_late_expires(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] wait: Duration,
    #[case] state: &str,
    #[case] sends: usize,
) {
    let desk = Desk::start(backend, ECHO).await;
    // Between queueing and sending the clock steps towards, or across, the edge.
    desk.emulator.inject(SendFault::RateLimited { retry_after_seconds: Some(30) }, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["queued"]);
    desk.advance(wait);
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, [state]);
    assert_eq!(desk.sent().len(), sends);
    desk.stop().await;
}

#[rstest]
#[case::at_once(SendFault::WindowRefused)]
#[case::later_as_a_failed_status(SendFault::WindowRefusedLater)]
#[tokio::test]
async fn p8_connectlys_refusal_expires_the_message_and_is_not_retried(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] refusal: SendFault,
) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(refusal, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    desk.advance(Duration::from_hours(1));
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["expired"]);
    assert!(desk.list("jobs").await.is_empty(), "nothing is left to do");
    // The next inbound opens the window again.
    desk.says(Inbound::text("still there?")).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["expired", "read"]);
    desk.stop().await;
}
