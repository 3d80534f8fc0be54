//! What is stored before anything is measured.

use switchboard::clock::Clock;
use switchboard::model::id::EventId;
use switchboard::store::arrival::Arrival;
use switchboard::store::{OpenOptions, open};

use crate::load::{self, CUSTOMERS};

/// Arrivals that are stored together.
const GROUP: usize = 500;

/// Every customer has written once, as those have whom a business knows. Without that, the first ten thousand deliveries of a run
/// would each make a customer.
pub(crate) async fn acquaint(database: &str) {
    store(database, usize::try_from(CUSTOMERS).unwrap(), arrival).await;
}

/// Stores so many arrivals by the store's own verb, on a database that is made if need be.
pub(crate) async fn store(database: &str, arrivals: usize, arrival: impl Fn(&Clock) -> Arrival) {
    let clock = Clock::system();
    let options = OpenOptions { migrate: true, connections: 2 };
    let store = open(database, &options, clock.clone()).await.unwrap();
    for begun in (0..arrivals).step_by(GROUP) {
        let group: Vec<Arrival> = (begun..arrivals.min(begun + GROUP)).map(|_| arrival(&clock)).collect();
        store.commit(&group).await.unwrap();
    }
    store.close().await;
}

/// The next delivery of the load, read.
pub(crate) fn arrival(clock: &Clock) -> Arrival {
    let body = load::next_body();
    Arrival::read(EventId::new(clock.ulid()), "default".to_owned(), clock.now(), body.into())
}
