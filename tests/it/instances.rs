//! Two instances on one PostgreSQL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use switchboard::app::Running;
use switchboard::emulator::Inbound;
use switchboard::{App, Context, Event, Handler, HandlerResult, Reply};

use crate::support::desk::{ECHO, TOKEN};
use crate::support::webhooks::{inbound, sign};
use crate::support::{Backend, Desk};

/// Notes which events it is called with, over all instances.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Handler for Notes {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let phone = event.customer.as_ref().and_then(|customer| customer.phone.clone()).unwrap_or_default();
        let text = event.content().and_then(|content| content.text.clone()).unwrap_or_default();
        self.0.lock().unwrap().entry(phone).or_default().push(text.clone());
        Ok(Reply::text(text).into())
    }
}

/// Both accept the same deliveries at the same time, in the same order: each is one event, handled once, in order, and
/// answered once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_the_work() {
    const CUSTOMERS: usize = 8;
    const MESSAGES: usize = 10;
    let notes = Notes::default();
    let route = "[[routes]]\nname = \"note\"\non = [\"message.received\"]\nhandler = \"notes\"\n";
    let desk = Desk::with(Backend::Postgres, App::new().handler("notes", notes.clone()), route).await;
    let second = desk.second_instance().await;
    let urls = [desk.webhook_url(), format!("http://{}/webhooks/connectly", second.public_address())];
    let now = desk.clock.now();
    let customers = (0..CUSTOMERS).map(async |customer| {
        let phone = format!("+1555020{customer:04}");
        // The first comes from the emulator, whose own window opens by it.
        desk.says(Inbound::text("0").by(&phone)).await;
        for message in 1..MESSAGES {
            let body = inbound(&phone, &format!("id-{customer}-{message}"), now, &message.to_string());
            let posts = urls.iter().map(|url| {
                let signed = desk.http.post(url).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
                signed.body(body.clone()).send()
            });
            for answer in futures_util::future::join_all(posts).await {
                assert_eq!(answer.unwrap().status(), 200);
            }
        }
    });
    futures_util::future::join_all(customers).await;
    desk.settled().await;
    second.worker().idle().await;
    desk.settled().await;
    let order: Vec<String> = (0..MESSAGES).map(|message| message.to_string()).collect();
    let notes = notes.0.lock().unwrap().clone();
    assert_eq!(notes.len(), CUSTOMERS);
    assert!(notes.values().all(|texts| *texts == order), "{notes:?}");
    let mut answered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in desk.sent() {
        let text = message.body["message"]["text"].as_str().unwrap_or_default().to_owned();
        answered.entry(message.to).or_default().push(text);
    }
    assert_eq!(answered, notes);
    second.stop().await;
    desk.stop().await;
}

/// What is paused on one is paused on the other, and goes on on both when it is resumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_obey_one_pause() {
    let desk = Desk::start(Backend::Postgres, ECHO).await;
    let second = desk.second_instance().await;
    let admin = |paused: Value| {
        let url = format!("http://{}/api/v1/pauses", second.admin_address());
        desk.http.put(url).bearer_auth(TOKEN).json(&paused).send()
    };
    for (paused, queued) in
        [(json!({"sends": true, "routes": []}), 1), (json!({"sends": false, "routes": ["echo"]}), 0)]
    {
        let (sent, messages) = (desk.sent().len(), desk.list("messages").await.len());
        // Told to one instance, while both look for work.
        assert_eq!(admin(paused.clone()).await.unwrap().json::<Value>().await.unwrap(), paused);
        assert_eq!(desk.get("/api/v1/pauses").await, paused);
        desk.says(Inbound::text("hi")).await;
        for _ in 0..2 {
            desk.running.worker().idle().await;
            second.worker().idle().await;
        }
        assert_eq!(desk.sent().len(), sent, "{paused}");
        assert_eq!(desk.list("messages").await.len(), messages + queued, "{paused}");
        let waiting = desk.list("jobs").await;
        assert_eq!(
            (waiting.len(), &waiting[0]["state"], &waiting[0]["attempts"]),
            (1, &json!("ready"), &json!(0))
        );
        assert!(admin(json!({"sends": false, "routes": []})).await.unwrap().status().is_success());
        desk.settled().await;
        second.worker().idle().await;
        desk.settled().await;
        assert_eq!(desk.sent().len(), sent + 1);
    }
    second.stop().await;
    desk.stop().await;
}

/// Instances that run one after the other, the later ones with a route more, then with the first one gone: each job is done
/// once, by one that knows its route, and what nobody knows any more waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_changes_the_routes() {
    let route = |name: &str| {
        format!(
            "[[routes]]\nname = \"{name}\"\non = [\"message.received\"]\nhandler = \"rules\"\n[[routes.rules]]\n\
             match = {{ any = true }}\nreply = {{ text = \"{name}: {{{{ event.content.text }}}}\" }}\n"
        )
    };
    let (old, both, new) = (route("old"), format!("{}{}", route("old"), route("new")), route("new"));
    let desk = Desk::start(Backend::Postgres, &old).await;
    desk.says(Inbound::text("1")).await;
    desk.settled().await;
    let second = desk.instance_with(&both).await;
    let webhook = |instance: &Running| format!("http://{}/webhooks/connectly", instance.public_address());
    // What the first one takes knows of one route; what the second one takes, of both, and the first leaves it the other.
    desk.says(Inbound::text("2")).await;
    desk.emulator.set_webhook_url(webhook(&second));
    desk.says(Inbound::text("3")).await;
    desk.settled().await;
    second.worker().idle().await;
    // The only one that knows the new route goes away and leaves a job of it to be done.
    assert_eq!(pause(&desk, &second, &["new"]).await, 200);
    desk.says(Inbound::text("4")).await;
    desk.settled().await;
    second.worker().idle().await;
    desk.emulator.set_webhook_url(desk.webhook_url());
    second.stop().await;
    assert_eq!(pause(&desk, &desk.running, &[]).await, 200);
    desk.says(Inbound::text("5")).await;
    desk.settled().await;
    let left = desk.list("jobs").await;
    assert_eq!((left.len(), &left[0]["route"], &left[0]["state"]), (1, &json!("new"), &json!("ready")));
    let third = desk.instance_with(&new).await;
    third.worker().idle().await;
    desk.settled().await;
    let mut texts = desk.sent_texts();
    texts.sort();
    assert_eq!(texts, ["new: 3", "new: 4", "old: 1", "old: 2", "old: 3", "old: 4", "old: 5"]);
    assert_eq!(desk.list("jobs").await, [] as [Value; 0]);
    third.stop().await;
    desk.stop().await;
}

/// Asks an instance to pause these routes and no others; answers with the status.
async fn pause(desk: &Desk, instance: &Running, routes: &[&str]) -> u16 {
    let url = format!("http://{}/api/v1/pauses", instance.admin_address());
    let asked = desk.http.put(url).bearer_auth(TOKEN).json(&json!({ "sends": false, "routes": routes }));
    asked.send().await.unwrap().status().as_u16()
}
