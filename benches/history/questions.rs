//! The questions, and how long their answers take.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::fill::{CODES, CUSTOMERS, History, mixed, phone, timestamp};
use crate::process::TOKEN;

/// How often each is asked, each time about something else.
const TIMES: u64 = 300;
const DAY_MS: u64 = 24 * 3600 * 1000;

pub struct Question {
    pub name: &'static str,
    times: u64,
    path: Box<dyn Fn(u64) -> String>,
}

pub struct Times {
    pub p50: f64,
    pub p99: f64,
    pub most: f64,
}

pub fn all(history: &History) -> Vec<Question> {
    let history = *history;
    let order = move |turn: u64| mixed(turn + 7) % history.orders();
    let customer = |turn: u64| phone(mixed(turn + 11) % CUSTOMERS).replace('+', "%2B");
    let day = move |turn: u64| {
        let begin = history.begin + mixed(turn + 13) % 29 * DAY_MS;
        format!("since={}&until={}", timestamp(begin), timestamp(begin + DAY_MS))
    };
    let code = |turn: u64| CODES[usize::try_from(turn % 3).unwrap()];
    vec![
        question("a message by Connectly's id, with its timeline", move |turn| {
            format!("messages/{}", history.provider_id(order(turn)))
        }),
        question("the newest 50 events of a customer", move |turn| {
            format!("events?customer={}&limit=50", customer(turn))
        }),
        question("the newest 50 messages of a customer", move |turn| {
            format!("messages?customer={}&limit=50", customer(turn))
        }),
        question("messages by callback data: order_id", move |turn| {
            format!("messages?callback_data.order_id={}", order(turn))
        }),
        question("events by callback data: order_id", move |turn| {
            format!("events?callback_data.order_id={}", order(turn))
        }),
        question("events of a day by error code", move |turn| {
            format!("events?error_code={}&{}&limit=50", code(turn), day(turn))
        }),
        question("failures of a day by code, campaign, number and hour", move |turn| {
            format!("stats?parts=failures&{}", day(turn))
        }),
        Question {
            // It takes its time.
            times: 30,
            ..question("all figures of a day", move |turn| format!("stats?{}", day(turn)))
        },
        question("a page of events of a type, a number and a day", move |turn| {
            format!(
                "events?type=message.failed&business=%2B1555010000{}&{}&limit=50",
                2 + turn % 3,
                day(turn)
            )
        }),
        question("a page of events of a type, a number and a campaign", move |turn| {
            format!(
                "events?type=message.read&business=%2B15550100002&campaign=campaign-{}&limit=50",
                turn % 40
            )
        }),
        question("the newest 50 events", |_| "events?limit=50".to_owned()),
        question("conversations that close first", |_| "conversations?order=closing&limit=50".to_owned()),
        question("a customer with their conversations", move |turn| format!("customers/{}", customer(turn))),
    ]
}

fn question(name: &'static str, path: impl Fn(u64) -> String + 'static) -> Question {
    Question { name, times: TIMES, path: Box::new(path) }
}

/// One after the other, over one connection.
pub async fn ask(admin: SocketAddr, question: &Question) -> Times {
    let http = client();
    let mut times = Vec::new();
    for turn in 0..question.times {
        let url = format!("http://{admin}/api/v1/{}", (question.path)(turn));
        let begun = Instant::now();
        let answer = http.get(&url).bearer_auth(TOKEN).send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        times.push(begun.elapsed());
        assert!([200, 404].contains(&status), "{url}: {status} {}", String::from_utf8_lossy(&body));
    }
    times.sort_unstable();
    let at = |share: usize| milliseconds(times[(times.len() * share / 100).min(times.len() - 1)]);
    Times { p50: at(50), p99: at(99), most: at(100) }
}

/// Asks each question once.
pub async fn once(admin: SocketAddr, questions: &[Question]) {
    for question in questions {
        let url = format!("http://{admin}/api/v1/{}", (question.path)(1));
        client().get(&url).bearer_auth(TOKEN).send().await.unwrap().bytes().await.unwrap();
    }
}

fn client() -> reqwest::Client {
    switchboard::connectly::client::install_crypto_provider();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
