//! Thirty days of a business that sends three messages for each one that it receives: each message of its own is told of by
//! three statuses, so of four events three are statuses.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use sqlx::{Connection as _, PgConnection};
use switchboard::clock::Clock;
use switchboard::model::id::EventId;
use switchboard::store::arrival::Arrival;
use switchboard::store::{OpenOptions, open};
use ulid::Ulid;

/// Deliveries that are committed together.
const GROUP: u64 = 512;
const DAYS_MS: u64 = 30 * 24 * 3600 * 1000;
pub const CUSTOMERS: u64 = 100_000;
const CAMPAIGNS: u64 = 40;
/// One message in so many fails.
const FAILS: u64 = 25;
pub const CODES: [&str; 3] = [
    "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW",
    "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID",
    "ERROR_CODE_BUSINESS_REACHED_LIMITS",
];

/// What is stored: which events, and when they came.
#[derive(Clone, Copy)]
pub struct History {
    pub events: u64,
    /// Unix milliseconds.
    pub begin: u64,
}

impl History {
    pub fn until_now(events: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        Self { events, begin: u64::try_from(now).unwrap() - DAYS_MS }
    }

    /// How many messages were sent, each of them one order.
    pub fn orders(&self) -> u64 {
        self.events / 4
    }

    /// Connectly's id of an order's message.
    pub fn provider_id(&self, order: u64) -> String {
        Ulid::from_parts(self.at(order * 4), u128::from(mixed(order))).to_string()
    }

    fn at(&self, event: u64) -> u64 {
        self.begin + DAYS_MS * event / self.events
    }

    fn arrival(&self, event: u64) -> Arrival {
        let at = self.at(event);
        let id = EventId::new(Ulid::from_parts(at, u128::from(mixed(event)) << 16));
        Arrival::read(id, "default".to_owned(), timestamp(at), self.body(event, at / 1000).into())
    }

    fn body(&self, event: u64, second: u64) -> String {
        let order = event / 4;
        let customer = phone(mixed(order) % CUSTOMERS);
        let number = ["+15550100002", "+15550100003", "+15550100004"][usize::try_from(order % 3).unwrap()];
        if event.is_multiple_of(4) {
            let id = Ulid::from_parts(self.at(event), u128::from(mixed(event)));
            return format!(
                r#"{{"timestamp":"{second}","sender":{{"id":"{customer}","channelType":"whatsapp","name":"Ana"}},"recipient":{{"id":"{number}","channelType":"whatsapp","name":"Shop"}},"message":{{"id":"{id}","text":"Where is my order {order}? I have been waiting for it since Monday.","attachments":[],"location":null}}}}"#
            );
        }
        let fails = order.is_multiple_of(FAILS);
        let (status, error) = match (event % 4, fails) {
            (1, _) => ("sent", "null".to_owned()),
            (2, true) => {
                let code = CODES[usize::try_from(order / FAILS % 3).unwrap()];
                (
                    "delivery_failed",
                    format!(
                        r#"{{"code":"{code}","type":"ERROR_TYPE_UNSPECIFIED","message":"no","cntTraceId":"{order}"}}"#
                    ),
                )
            }
            (2, false) => ("delivered", "null".to_owned()),
            _ => ("read", "null".to_owned()),
        };
        let id = self.provider_id(order);
        let campaign = order % CAMPAIGNS;
        format!(
            r#"{{"topic":"delivery_status","timestamp":"{second}","sender":{{"id":"{number}","channelType":"whatsapp","name":"Shop"}},"recipient":{{"id":"{customer}","channelType":"whatsapp","name":"Ana"}},"statusUpdate":{{"id":"{id}","status":"{status}","error":{error},"metadata":{{"campaignName":"campaign-{campaign}"}}}},"callbackData":{{"order_id":"{order}"}}}}"#
        )
    }
}

pub fn timestamp(millis: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap()
}

pub fn phone(customer: u64) -> String {
    format!("+1555{customer:07}")
}

/// A number that looks like chance, the same for the same number.
pub fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 8
}

/// Stores it as deliveries are stored, and lets the database look at it as it would in time.
pub async fn fill(url: &str, history: &History) {
    let clock = Clock::starting_at(timestamp(history.begin));
    let store = open(url, &OpenOptions { migrate: true, connections: 2 }, clock.clone()).await.unwrap();
    let mut next = 0;
    while next < history.events {
        let end = history.events.min(next + GROUP);
        let group: Vec<Arrival> = (next..end).map(|event| history.arrival(event)).collect();
        // Messages are made when their events are committed, so the time moves on with them.
        clock.advance_to(timestamp(history.at(end)));
        store.commit(&group).await.unwrap();
        next = end;
        if next.is_multiple_of(GROUP * 500) {
            eprintln!("{next} of {} events", history.events);
        }
    }
    store.close().await;
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await.unwrap();
    }
}
