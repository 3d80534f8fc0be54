//! A rule's template is refused at the start, or makes a bounded text, or fails with a reason.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use switchboard::config::{Config, Environment};
use switchboard::connectly::event::decode;
use switchboard::handler::rules::Rules;
use switchboard::model::id::{EventId, JobId};
use switchboard::{Context, Event, Handler as _};
use ulid::Ulid;

const BODY: &[u8] = include_bytes!("../../tests/fixtures/webhooks/button_reply_callback.json");

fuzz_target!(|source: &str| {
    let reply = toml::Value::from(source);
    let text = format!(
        "[[routes]]\nname = \"fuzz\"\non = [\"*\"]\nhandler = \"rules\"\n\
         [[routes.rules]]\nmatch = {{ any = true }}\nreply = {{ text = {reply} }}\n"
    );
    let Ok(loaded) = Config::from_toml(&text, &Environment::default()) else {
        return;
    };
    let Ok(rules) = Rules::new(&loaded.config.routes[0]) else {
        return;
    };
    let event = Event::arriving(EventId::new(Ulid(1)), "default", Timestamp::UNIX_EPOCH, &decode(BODY));
    let context = Context {
        job: JobId::new(Ulid(2)),
        attempt: 1,
        route: "fuzz".to_owned(),
        conversation: None,
        first_contact: true,
        message: None,
        latest_message: None,
        state: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime.block_on(rules.handle(&event, &context));
    if let Ok(outcome) = outcome {
        assert!(outcome.replies.iter().all(|reply| reply.message.to_string().len() < 1 << 20));
    }
});
