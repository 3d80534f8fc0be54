//! A `when` is refused, or answers for every event within its fuel.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use switchboard::connectly::event::decode;
use switchboard::model::event::Event;
use switchboard::model::id::EventId;
use switchboard::routing::{Route, Routes};
use ulid::Ulid;

const BODY: &[u8] = include_bytes!("../../tests/fixtures/webhooks/button_reply_callback.json");

fuzz_target!(|source: &str| {
    let Ok(route) = Route::new("fuzz", &["*".to_owned()], Some(source), true) else {
        return;
    };
    let event = Event::arriving(EventId::new(Ulid(1)), "default", Timestamp::UNIX_EPOCH, &decode(BODY));
    assert!(Routes::new(vec![route]).matches(&event).len() <= 1);
});
