//! Whoever looks at the newest messages all the time sees their states grow, and never fall (P7).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::gate::Behind;
use crate::instance::TOKEN;
use crate::report::Report;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);
/// What is known of a message, from nothing to all. A failure is as much as a delivery: neither takes the other back. A
/// doubt is no knowledge: an answer that comes late may say that the message did not leave, and queue it again.
const STATES: [(&str, u8); 7] = [
    ("queued", 0),
    ("unconfirmed", 0),
    ("accepted", 2),
    ("sent", 3),
    ("delivered", 4),
    ("failed", 4),
    ("read", 5),
];

pub struct Watch {
    task: JoinHandle<Seen>,
    end: CancellationToken,
}

#[derive(Default)]
struct Seen {
    states: HashMap<String, u8>,
    looks: u64,
    broken: Vec<String>,
}

impl Watch {
    pub fn begin(behind: Arc<Behind>) -> Self {
        let end = CancellationToken::new();
        let ended = end.clone();
        let task = tokio::spawn(async move {
            let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap();
            let mut seen = Seen::default();
            while ended.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
                let Some(admin) = behind.admin() else { continue };
                // It may be killed, or stand still.
                if let Some(messages) = newest(&http, admin).await {
                    seen.note(&messages);
                }
            }
            seen
        });
        Self { task, end }
    }

    pub async fn finish(self, report: &mut Report) {
        self.end.cancel();
        let seen = self.task.await.unwrap();
        report.count("looks at the newest messages", seen.looks);
        for broken in seen.broken {
            report.broken(broken);
        }
    }
}

impl Seen {
    fn note(&mut self, messages: &[Value]) {
        self.looks += 1;
        for message in messages {
            let (id, state) = (message["id"].as_str().unwrap(), message["state"].as_str().unwrap());
            let Some((_, rank)) = STATES.iter().find(|(name, _)| *name == state) else {
                self.broken.push(format!("message {id} is {state}, which nothing here leads to"));
                continue;
            };
            let before = self.states.insert(id.to_owned(), *rank).unwrap_or_default();
            if before > *rank {
                self.broken.push(format!("P7: message {id} fell to {state}"));
            }
        }
    }
}

async fn newest(http: &reqwest::Client, admin: SocketAddr) -> Option<Vec<Value>> {
    let request = http.get(format!("http://{admin}/api/v1/messages?limit=200")).bearer_auth(TOKEN);
    let page: Value = request.send().await.ok()?.error_for_status().ok()?.json().await.ok()?;
    page["data"].as_array().cloned()
}
