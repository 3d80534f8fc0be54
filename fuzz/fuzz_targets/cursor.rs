//! A text is a cursor only if we made it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::http::admin::cursor;
use switchboard::model::id::EventId;
use switchboard::store::query::ConversationPlace;

fuzz_target!(|text: &str| {
    let read: Option<EventId> = cursor::read(text);
    if let Some(id) = read {
        assert_eq!(cursor::write(&id), text);
    }
    let read: Option<ConversationPlace> = cursor::read(text);
    if let Some(place) = read {
        assert_eq!(cursor::write(&place), text);
    }
});
