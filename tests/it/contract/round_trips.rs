//! How often PostgreSQL is asked. Everybody in a group waits for each round trip, so one more is a loss that no other test
//! notices. They are counted, since a time would tell of the machine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use switchboard::store::arrival::Arrival;
use switchboard::store::work::{Answer, Committed, GroupTurn, Offer, Settlement};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::support::Backend;
use crate::support::arrivals::{Post, inbound};
use crate::support::depot::{Depot, LEASE, ROUTE, attempt, done};

/// The statements that this thread sends, as the driver logs them; `BEGIN` is not among them.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    fn watch() -> (Self, DefaultGuard, Dispatch) {
        let statements = Self::default();
        let watching = tracing_subscriber::registry().with(statements.clone());
        let watching = tracing::subscriber::set_default(watching);
        // While there is only one, a thread that comes first to a place in the driver decides for all threads whether anybody
        // listens there, by whether it listens itself.
        (statements, watching, Dispatch::new(tracing_subscriber::registry()))
    }

    /// Those since it was last asked.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            event.record(&mut Summary(&mut self.0.lock().unwrap()));
        }
    }
}

/// Reads the first words of a statement.
struct Summary<'a>(&'a mut Vec<String>);

impl Visit for Summary<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            self.0.push(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// A text of a customer of its own.
fn text(depot: &Depot, customer: usize) -> Post {
    let sender = json!({ "id": format!("+1555030{customer:04}"), "channelType": "whatsapp", "name": "Ana" });
    inbound(&depot.clock).with("sender", sender).on(ROUTE)
}

/// Commits a text of each of the first customers, for whoever has a slot for each.
async fn commit(depot: &Depot, customers: usize) -> Committed {
    let group: Vec<Arrival> = (0..customers).map(|customer| text(depot, customer).into()).collect();
    let offer = Offer { slots: HashMap::from([(ROUTE.to_owned(), u32::MAX)]), lease: LEASE };
    depot.store.commit_and_lease(&group, &offer, &GroupTurn::default()).await.unwrap()
}

/// Begins and finishes what was born leased; answers the statements of each.
async fn handle(depot: &Depot, statements: &Statements, committed: &Committed) -> (Vec<String>, Vec<String>) {
    statements.take();
    let deliveries = depot.store.deliveries(&committed.leased).await.unwrap();
    let begun = statements.take();
    let settlements: Vec<Settlement> = deliveries
        .iter()
        .map(|delivery| Settlement {
            lease: delivery.lease,
            attempt: attempt(1, depot.clock.now(), "done", None),
            resolution: done(Vec::new(), Vec::new()),
        })
        .collect();
    assert!(depot.store.settle(&settlements).await.unwrap().iter().all(|applied| *applied));
    (begun, statements.take())
}

#[tokio::test]
async fn a_group_costs_as_many_round_trips_as_one_delivery() {
    let depot = Depot::open(Backend::Postgres).await;
    let (statements, _watching, _beside) = Statements::watch();
    let of_strangers = commit(&depot, 32).await;
    assert_eq!(statements.take().len(), 7, "of customers whom nobody knows");
    handle(&depot, &statements, &of_strangers).await;

    for customers in [1, 32] {
        let committed = commit(&depot, customers).await;
        let accepted = statements.take();
        assert_eq!(committed.leased.len(), customers);
        assert_eq!(
            accepted.len(),
            5,
            "{customers}: ledger and identities, conversations, events, jobs, commit: {accepted:?}"
        );
        let (begun, settled) = handle(&depot, &statements, &committed).await;
        assert_eq!(begun.len(), 1, "{customers}: conversations: {begun:?}");
        assert_eq!(settled.len(), 4, "{customers}: conversations, jobs, outcomes, commit: {settled:?}");
    }
}

#[tokio::test]
async fn a_reply_leaves_under_one_question() {
    let depot = Depot::open(Backend::Postgres).await;
    depot.queue_text("hello").await;
    let (statements, _watching, _beside) = Statements::watch();
    let sending = depot.claim_send().await;
    let claimed = statements.take();
    assert_eq!(claimed.len(), 2, "the rate, the claim: {claimed:?}");
    let departure = depot.go(&sending).await;
    let fenced = statements.take();
    assert_eq!(
        fenced.len(),
        9,
        "conversation, message, its sends, the fence, rate twice, job, send, commit: {fenced:?}"
    );
    depot.answer(&(sending, departure), Answer::Accepted(depot.clock.ulid().to_string())).await;
    let settled = statements.take();
    assert_eq!(
        settled.len(),
        9,
        "conversation, who has the id, message, its sends, job, message, send, outcome, commit: {settled:?}"
    );
}
