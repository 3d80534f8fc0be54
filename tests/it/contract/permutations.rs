//! Statuses in every order, with repeats, in one group and in many: the message ends the same (P7).

use std::time::Duration;

use rstest::rstest;
use switchboard::model::message::Message;
use switchboard::store::Store;
use switchboard::store::arrival::Arrival;

use crate::support::Backend;
use crate::support::arrivals::{Post, status};
use crate::support::depot::{Depot, REFUSED, WINDOW_CLOSED};

const ALL: [&str; 4] = ["sent", "delivered", "read", "delivery_failed"];

/// What a message is once these statuses are known, in any order.
fn expected(known: &[&str]) -> &'static str {
    let rank =
        [("read", "read"), ("delivered", "delivered"), ("delivery_failed", "failed"), ("sent", "sent")];
    let reached = rank.into_iter().find(|(word, _)| known.contains(word));
    reached.map_or("accepted", |(_, state)| state)
}

/// Every order of every selection of the statuses.
fn orders() -> Vec<Vec<&'static str>> {
    let mut all: Vec<Vec<&str>> = vec![Vec::new()];
    let mut from = 0;
    while from < all.len() {
        for word in ALL {
            if !all[from].contains(&word) {
                let mut longer = all[from].clone();
                longer.push(word);
                all.push(longer);
            }
        }
        from += 1;
    }
    all.retain(|order| !order.is_empty());
    all
}

/// The statuses of a message in this order, the first one repeated at the end.
fn posts(depot: &Depot, id: &str, order: &[&str]) -> Vec<Post> {
    let post = |word: &str| {
        // Each status has its own time, whenever it comes.
        let place = ALL.iter().position(|known| *known == word).unwrap();
        let at = depot.clock.now().checked_add(Duration::from_secs(10 * place as u64)).unwrap();
        let post = status(&depot.clock, id, word).at(at);
        if word == "delivery_failed" { post.error(REFUSED) } else { post }
    };
    let mut posts: Vec<Post> = order.iter().map(|word| post(word)).collect();
    posts.push(posts[0].again(&depot.clock));
    posts
}

fn check(order: &[&str], message: &Message) {
    assert_eq!(message.state, expected(order), "after {order:?}");
    assert_eq!(message.error.is_some(), order.contains(&"delivery_failed"), "after {order:?}");
}

#[test]
fn there_are_sixty_four_orders() {
    assert_eq!(orders().len(), 4 + 12 + 24 + 24);
}

#[rstest]
#[tokio::test]
async fn p7_statuses_in_separate_groups(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    for order in orders() {
        let id = depot.clock.ulid().to_string();
        let posts = posts(&depot, &id, &order);
        for (post, known) in posts.into_iter().zip(1..) {
            depot.accept(post).await;
            let (message, _) = depot.store.message(&id).await.unwrap().unwrap();
            check(&order[..known.min(order.len())], &message);
        }
    }
    assert_eq!(depot.messages().await.len(), orders().len());
}

#[rstest]
#[tokio::test]
async fn p7_statuses_in_one_group(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    for order in orders() {
        let id = depot.clock.ulid().to_string();
        depot.accept_all(posts(&depot, &id, &order)).await;
        let (message, timeline) = depot.store.message(&id).await.unwrap().unwrap();
        check(&order, &message);
        let mut seen: Vec<_> = timeline.iter().map(|entry| entry.state.as_str()).collect();
        assert!(timeline.is_sorted_by_key(|entry| entry.at), "{timeline:?}");
        seen.sort_unstable();
        let mut told: Vec<_> = order.iter().map(|word| word.replace("delivery_", "")).collect();
        told.sort_unstable();
        assert_eq!(seen, told);
    }
}

/// Each instance is told everything, one in this order and one backwards, in groups of two and of three.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_statuses_stored_by_two_instances_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for order in orders() {
        let id = depot.clock.ulid().to_string();
        let posts = posts(&depot, &id, &order);
        let backwards: Vec<Arrival> =
            posts.iter().rev().map(|post| post.again(&depot.clock).into()).collect();
        let forwards: Vec<Arrival> = posts.into_iter().map(Into::into).collect();
        let commit = async |store: &dyn Store, arrivals: &[Arrival], size: usize| {
            let mut fresh = 0;
            for group in arrivals.chunks(size) {
                let receipts = store.commit(group).await.unwrap();
                fresh += receipts.iter().filter(|receipt| !receipt.duplicate).count();
            }
            fresh
        };
        let (one, two) =
            tokio::join!(commit(depot.store.as_ref(), &forwards, 2), commit(other.as_ref(), &backwards, 3));
        assert_eq!(one + two, order.len(), "each status is one event, whoever stores it: {order:?}");
        let (message, _) = depot.store.message(&id).await.unwrap().unwrap();
        check(&order, &message);
    }
    assert_eq!(depot.messages().await.len(), orders().len());
}

#[rstest]
#[tokio::test]
async fn p7_statuses_of_our_own_message(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    for order in orders().into_iter().filter(|order| order.len() == ALL.len()) {
        let id = depot.clock.ulid().to_string();
        let message = depot.send(&id).await;
        // More of them in one minute than may leave.
        depot.pass(Duration::from_mins(1));
        for post in posts(&depot, &id, &order) {
            depot.accept(post).await;
        }
        check(&order, &depot.message(message).await.0);
    }
}

#[rstest]
#[tokio::test]
async fn p7_the_earliest_time_of_a_status_counts(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] early_first: bool,
) {
    let depot = Depot::open(backend).await;
    let id = "01K00000000000000000000001";
    let now = depot.clock.now();
    let late = status(&depot.clock, id, "delivery_failed").at(now).error(WINDOW_CLOSED);
    // The same key with another body: kept beside the first, and folded in.
    let early = late.again(&depot.clock).at(now.checked_sub(Duration::from_mins(1)).unwrap()).error(REFUSED);
    let order = if early_first { [early, late] } else { [late, early] };
    let receipts = [depot.accept(order[0].clone()).await, depot.accept(order[1].clone()).await];
    assert_eq!(receipts.map(|receipt| receipt.duplicate), [false, true]);
    let (message, timeline) = depot.store.message(id).await.unwrap().unwrap();
    assert_eq!(message.error.unwrap().code.as_deref(), Some(REFUSED));
    assert_eq!(timeline.iter().filter(|entry| entry.event_id.is_some()).count(), 2);
    assert!(timeline.is_sorted_by_key(|entry| entry.at));
}
