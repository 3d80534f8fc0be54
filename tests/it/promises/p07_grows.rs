//! P7: what is known of a message only grows, in whatever order its statuses come.

use std::time::Duration;

use rstest::rstest;

use crate::support::webhooks::status;
use crate::support::{Backend, Desk};

const STATUSES: [&str; 4] = ["sent", "delivered", "read", "delivery_failed"];

#[rstest]
#[tokio::test]
async fn p7_statuses_in_any_order_give_one_state(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    for (number, order) in permutations(&STATUSES).iter().enumerate() {
        let id = format!("01K000000000000000000001{number:02}");
        let mut seen = Vec::new();
        for name in order {
            assert_eq!(desk.post(status(&id, name, desk.clock.now())).await.status(), 200);
            seen.push(*name);
            // The last to come is also the latest by its own time, and still only the furthest counts.
            desk.advance(Duration::from_secs(1));
            let message = desk.get(&format!("/api/v1/messages/{id}")).await;
            assert_eq!(message["state"], expected(&seen), "{seen:?}");
            let timeline = message["timeline"].as_array().unwrap();
            assert_eq!(timeline.len(), seen.len(), "each stays in its timeline: {timeline:?}");
        }
    }
    desk.stop().await;
}

/// `read`, else `delivered`, else `failed`, else `sent`.
fn expected(seen: &[&str]) -> &'static str {
    let rank =
        [("read", "read"), ("delivered", "delivered"), ("delivery_failed", "failed"), ("sent", "sent")];
    rank.into_iter().find(|(name, _)| seen.contains(name)).map(|(_, state)| state).unwrap()
}

fn permutations(items: &[&'static str]) -> Vec<Vec<&'static str>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let rest: Vec<_> =
            items.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, item)| *item).collect();
        for mut tail in permutations(&rest) {
            tail.insert(0, first);
            all.push(tail);
        }
    }
    all
}
