//! How messages fared.

use std::time::Duration;

use jiff::ToSpan as _;
use rstest::rstest;
use switchboard::model::stats::{Figures, Lag, Parts};
use switchboard::store::query::MessageFilter;

use crate::support::Backend;
use crate::support::arrivals::{BRANCH, SHOP, inbound, status};
use crate::support::depot::{Depot, ROUTE};

/// A message by an id that ends with this digit, with what was told of it, in seconds after now.
async fn message(depot: &Depot, number: &str, digit: u8, statuses: &[(&str, i64)]) {
    let id = format!("01K000000000000000000000A{digit}");
    // Read once: Connectly prints whole seconds, and another may begin meanwhile.
    let now = depot.clock.now();
    for (name, after) in statuses {
        let at = now.checked_add(after.seconds()).unwrap();
        let post = status(&depot.clock, &id, name).number(number).at(at).with("campaignName", "spring");
        let failed = *name == "delivery_failed";
        depot.accept(if failed { post.error("ERROR_CODE_UNKNOWN_NUMBER") } else { post }).await;
    }
}

async fn stats(depot: &Depot, filter: &MessageFilter) -> Figures {
    depot.store.stats(filter, Parts::ALL).await.unwrap()
}

fn states(figures: &Figures) -> Vec<(&str, u64)> {
    figures.states.iter().map(|(state, count)| (state.as_str(), *count)).collect()
}

#[rstest]
#[tokio::test]
async fn messages_are_counted_by_state_step_and_failure(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    assert_eq!(stats(&depot, &MessageFilter::default()).await, Figures::default());
    for (digit, lag) in [(1, 1), (2, 2), (3, 3), (4, 100)] {
        message(&depot, SHOP, digit, &[("sent", 0), ("delivered", lag)]).await;
    }
    message(&depot, SHOP, 5, &[("sent", 10), ("read", 5)]).await;
    message(&depot, BRANCH, 6, &[("sent", 0), ("delivery_failed", 1)]).await;
    message(&depot, BRANCH, 7, &[("delivery_failed", 1)]).await;
    let figures = stats(&depot, &MessageFilter::default()).await;
    assert_eq!(states(&figures), [("delivered", 4), ("failed", 2), ("read", 1)]);
    assert_eq!(figures.lags["sent_to_delivered"], Lag { p50_ms: 2_000, p95_ms: 100_000 });
    assert_eq!(figures.lags.get("delivered_to_read"), None, "nobody measured it");
    let [failures] = figures.failures.as_slice() else { panic!("{:?}", figures.failures) };
    let told = (failures.code.as_deref(), failures.campaign.as_deref(), failures.business.as_deref());
    assert_eq!(told, (Some("ERROR_CODE_UNKNOWN_NUMBER"), Some("spring"), Some(BRANCH)));
    assert_eq!(failures.count, 2);
}

#[rstest]
#[tokio::test]
async fn stats_are_narrowed_by_every_filter(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    message(&depot, SHOP, 1, &[("sent", 0)]).await;
    depot.pass(Duration::from_hours(3));
    let since = depot.clock.now();
    // Times of Connectly's are whole seconds.
    depot.pass(Duration::from_secs(1));
    message(&depot, BRANCH, 2, &[("delivery_failed", 0)]).await;
    for (filter, expected) in [
        (MessageFilter { business: Some(SHOP.to_owned()), ..MessageFilter::default() }, ("sent", 1)),
        (MessageFilter { business: Some(BRANCH.to_owned()), ..MessageFilter::default() }, ("failed", 1)),
        (MessageFilter { since: Some(since), ..MessageFilter::default() }, ("failed", 1)),
        (MessageFilter { until: Some(since), ..MessageFilter::default() }, ("sent", 1)),
    ] {
        assert_eq!(states(&stats(&depot, &filter).await), [expected]);
    }
    let other = MessageFilter { account: Some("shop".to_owned()), ..MessageFilter::default() };
    assert_eq!(states(&stats(&depot, &other).await), []);
}

#[rstest]
#[tokio::test]
async fn the_oldest_job_that_nobody_took_is_told(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let due = depot.jobs(None).await[0].due_at;
    depot.pass(Duration::from_mins(5));
    depot.accept(inbound(&depot.clock).on(ROUTE)).await;
    assert_eq!(stats(&depot, &MessageFilter::default()).await.oldest_due_at, due);
    depot.claim_one().await;
    // The other one waits for its turn in the lane, not for somebody.
    assert_eq!(stats(&depot, &MessageFilter::default()).await.oldest_due_at, None);
}
