//! A day of history for a desk: what a small shop's webhooks told until now.
//!
//! It is made of deliveries as Connectly makes them and goes into the store as they do, with the times at which they would
//! have come. No route sees them, so nobody is answered.

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use ulid::Ulid;

use crate::clock::Clock;
use crate::config::DEFAULT_ACCOUNT;
use crate::model::id::EventId;
use crate::store::arrival::Arrival;
use crate::store::query::{EventFilter, PageRequest};
use crate::store::{OpenOptions, StoreError, open};

/// Deliveries that are committed together.
const GROUP: usize = 20;
/// The day, in seconds.
const DAY: i64 = 24 * 3600;
/// Everybody's day is the same one.
const SEED: u64 = 12_345;

/// The shop's numbers.
const SHOP: &str = "+15550100002";
const SUPPORT: &str = "+15550100003";
/// Who writes to it, and is written to.
const CUSTOMERS: [(&str, &str); 12] = [
    ("+15550100101", "Ana"),
    ("+15550100102", "Ben"),
    ("+15550100103", "Chloe"),
    ("+15550100104", "Dario"),
    ("+15550100105", "Elif"),
    ("+15550100106", "Femi"),
    ("+15550100107", "Greta"),
    ("+15550100108", "Hugo"),
    ("+15550100109", "Ines"),
    ("+15550100110", "Jonas"),
    ("+15550100111", "Kaya"),
    ("+15550100112", "Liam"),
];
/// The first order, and how many there were. The 45th is the one that the README asks after.
const FIRST_ORDER: u64 = 12_300;
const ORDERS: u64 = 60;
const ASKED_ORDER: u64 = 12_345;
/// What customers say.
const WORDS: [&str; 6] = [
    "Where is my order?",
    "Do you ship to Porto?",
    "Thank you!",
    "Can I change the address?",
    "Is the blue one back?",
    "I would like to return it",
];
/// Why messages fail, the rarest last.
const FAILURES: [&str; 3] = [
    "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW",
    "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID",
    "ERROR_CODE_BUSINESS_REACHED_LIMITS",
];

/// Puts the day before now into a store that is still empty; answers how many events it has then, or nothing when there
/// were some already.
pub(super) async fn fill(url: &str, clock: &Clock) -> Result<Option<usize>, StoreError> {
    let day = Day::until(clock.now());
    // Messages are made when their events are committed, so the time moves on with them.
    let then = Clock::starting_at(day.begin);
    let store = open(url, &OpenOptions { migrate: true, connections: 1 }, then.clone()).await?;
    let stored = store.events(&EventFilter::default(), PageRequest { limit: 1, before: None }).await?;
    let is_empty = stored.data.is_empty();
    let mut committed = 0;
    if is_empty {
        for group in day.arrivals().chunks(GROUP) {
            then.advance_to(group[0].received_at);
            committed += store.commit(group).await?.len();
        }
    }
    store.close().await;
    Ok(is_empty.then_some(committed))
}

/// A day that is being told.
struct Day {
    begin: Timestamp,
    rng: StdRng,
    told: Vec<(Timestamp, Value)>,
}

/// Who says something to whom.
#[derive(Clone, Copy)]
struct Between {
    customer: (&'static str, &'static str),
    number: &'static str,
}

impl Day {
    fn until(now: Timestamp) -> Self {
        let begin = now.saturating_sub(SignedDuration::from_secs(DAY)).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut day = Self { begin, rng: StdRng::seed_from_u64(SEED), told: Vec::new() };
        for order in FIRST_ORDER..FIRST_ORDER + ORDERS {
            day.order(order);
        }
        for _ in 0..80 {
            day.question();
        }
        day
    }

    /// In the order in which they came.
    fn arrivals(mut self) -> Vec<Arrival> {
        self.told.sort_by_key(|(at, _)| *at);
        let arrival = |(at, body): (Timestamp, Value)| {
            let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
            let id = EventId::new(Ulid::from_parts(millis, self.rng.random()));
            Arrival::read(id, DEFAULT_ACCOUNT.to_owned(), at, body.to_string().into())
        };
        self.told.into_iter().map(arrival).collect()
    }

    /// The shop tells that an order has left, and what became of that.
    fn order(&mut self, order: u64) {
        let asked = order == ASKED_ORDER;
        let number = if order.is_multiple_of(3) && !asked { SUPPORT } else { SHOP };
        let between = Between { customer: self.somebody(), number };
        let at = self.moment();
        let id = self.id(at);
        let text = format!("Your order {order} is on its way");
        let campaign = order.is_multiple_of(2).then_some("spring-sale");
        let details = json!({ "callbackData": { "order_id": order.to_string() } });
        self.tell(at, between.echo(&id, &text, &details), at);
        let sent = after(at, self.rng.random_range(1..4));
        self.tell(sent, between.status(&id, "sent", campaign, None, &details), sent);
        if asked || order.is_multiple_of(9) {
            let failed = after(sent, self.rng.random_range(2..8));
            let code = if asked { FAILURES[1] } else { FAILURES[self.rng.random_range(0..FAILURES.len())] };
            let trace = self.rng.random_range(10_000_000_000_000_000_000..u64::MAX);
            let error = failure(code, trace);
            let status = between.status(&id, "delivery_failed", campaign, Some(&error), &details);
            self.tell(failed, status, failed);
            return;
        }
        let delivered = after(sent, self.rng.random_range(1..90));
        self.tell(delivered, between.status(&id, "delivered", campaign, None, &details), delivered);
        if self.rng.random_bool(0.6) {
            let read = after(delivered, self.rng.random_range(5..3_000));
            self.tell(read, between.status(&id, "read", campaign, None, &details), read);
        }
    }

    /// A customer writes, and now and then sends something else than words.
    fn question(&mut self) {
        let number = if self.rng.random_bool(0.25) { SUPPORT } else { SHOP };
        let between = Between { customer: self.somebody(), number };
        let at = self.moment();
        let id = self.id(at);
        let message = match self.rng.random_range(0..10) {
            0 => json!({ "id": id, "text": "", "attachments": [{ "type": "image",
                "url": "https://files.example/receipt.jpg", "caption": "the receipt" }] }),
            1 => json!({ "id": id, "text": "", "attachments": [], "location": {
                "latitude": 41.1496, "longitude": -8.6109, "name": "Porto" } }),
            _ => json!({ "id": id, "text": WORDS[self.rng.random_range(0..WORDS.len())], "attachments": [] }),
        };
        let inbound = between.inbound(&json!({ "message": message }));
        self.tell(at, inbound.clone(), at);
        // Deliveries may come twice.
        if self.rng.random_bool(0.05) {
            self.tell(at, inbound, after(at, 2));
        }
    }

    /// What happened then came a moment later, in Connectly's whole seconds.
    fn tell(&mut self, happened: Timestamp, mut body: Value, came: Timestamp) {
        let now = after(self.begin, DAY);
        if came >= now {
            return;
        }
        body["timestamp"] = happened.as_second().to_string().into();
        let under_way = SignedDuration::from_millis(self.rng.random_range(80..900));
        self.told.push((came.saturating_add(under_way).unwrap_or(came).min(now), body));
    }

    fn somebody(&mut self) -> (&'static str, &'static str) {
        CUSTOMERS[self.rng.random_range(0..CUSTOMERS.len())]
    }

    /// A time of the day that leaves room for what follows.
    fn moment(&mut self) -> Timestamp {
        after(self.begin, self.rng.random_range(0..DAY - 3_600))
    }

    fn id(&mut self, at: Timestamp) -> String {
        let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
        Ulid::from_parts(millis, self.rng.random()).to_string()
    }
}

impl Between {
    fn customer(self) -> Value {
        json!({ "id": self.customer.0, "channelType": "whatsapp", "name": self.customer.1 })
    }

    fn business(self) -> Value {
        let name = if self.number == SUPPORT { "Support" } else { "Shop" };
        json!({ "id": self.number, "channelType": "whatsapp", "name": name })
    }

    fn inbound(self, rest: &Value) -> Value {
        merged(json!({ "sender": self.customer(), "recipient": self.business() }), rest)
    }

    fn echo(self, id: &str, text: &str, rest: &Value) -> Value {
        let message = json!({ "id": id, "text": text, "isEcho": true, "attachments": [] });
        let body = json!({ "sender": self.business(), "recipient": self.customer(), "message": message });
        merged(body, rest)
    }

    fn status(
        self,
        id: &str,
        status: &str,
        campaign: Option<&str>,
        error: Option<&Value>,
        rest: &Value,
    ) -> Value {
        let metadata = campaign.map(|name| json!({ "campaignName": name }));
        let update = json!({ "id": id, "status": status, "error": error, "metadata": metadata });
        let body = json!({ "topic": "delivery_status", "sender": self.business(), "recipient": self.customer(),
            "statusUpdate": update });
        merged(body, rest)
    }
}

fn failure(code: &str, trace: u64) -> Value {
    json!({
        "code": code, "type": "ERROR_TYPE_UNSPECIFIED", "message": "The message could not be delivered",
        "cntTraceId": trace.to_string(), "details": {}
    })
}

fn merged(mut body: Value, rest: &Value) -> Value {
    for (name, value) in rest.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectly::event::Kind;

    #[test]
    fn a_day_is_told_in_order_and_everything_of_it_is_understood() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let arrivals = Day::until(now).arrivals();
        assert!(arrivals.len() > 250, "{}", arrivals.len());
        let times: Vec<_> = arrivals.iter().map(|arrival| arrival.received_at).collect();
        assert!(times.is_sorted() && times[0] >= Day::until(now).begin && times[times.len() - 1] <= now);
        for arrival in &arrivals {
            assert_ne!(arrival.decoded.kind, Kind::Unknown);
        }
    }

    #[tokio::test]
    async fn the_day_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("demo.db").display());
        let clock = Clock::system();
        assert!(fill(&url, &clock).await.unwrap().is_some_and(|events| events > 250));
        assert_eq!(fill(&url, &clock).await.unwrap(), None);
    }
}
