//! Whatever is signed is decoded or kept as unknown, and can be stored, matched and shown.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use switchboard::connectly::event::decode;
use switchboard::model::dedupe::{DedupeKey, body_hash};
use switchboard::model::event::Event;
use switchboard::model::id::EventId;
use ulid::Ulid;

fuzz_target!(|body: &[u8]| {
    let decoded = decode(body);
    assert!(decoded == decode(body), "decoding is a function of the bytes");
    let hash = body_hash(body);
    let key = DedupeKey::of(&decoded, &hash);
    assert!(key.as_bytes().len() <= 512, "a key fits an index");
    assert!(key.variant(&hash).as_bytes() != key.as_bytes());
    let event = Event::arriving(EventId::new(Ulid(1)), "default", Timestamp::UNIX_EPOCH, &decoded);
    let shown = event.to_value();
    assert_eq!(shown["type"], event.event_type().as_str());
});
