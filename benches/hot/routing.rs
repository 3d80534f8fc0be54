//! Matching an event against routes.

use divan::{Bencher, black_box};
use jiff::Timestamp;
use switchboard::connectly::event::decode;
use switchboard::model::event::Event;
use switchboard::model::id::EventId;
use switchboard::routing::{Route, Routes, Verdict};
use ulid::Ulid;

use crate::bodies;

/// Routes in all.
const ROUTES: usize = 200;
/// Those among them that take the event's type.
const TAKING: usize = 10;
/// False, and asks two things of the event.
const WHEN: &str = "event.callback_data.desk == 'none' and event.content.kind == 'text'";

/// One of those that take the type matches, the others do not ask more than the type.
#[divan::bench]
fn by_type(bencher: Bencher<'_, '_>) {
    judge(bencher, None);
}

/// One of those that take the type matches, the others ask the event and say no.
#[divan::bench]
fn by_type_and_expression(bencher: Bencher<'_, '_>) {
    judge(bencher, Some(WHEN));
}

fn judge(bencher: Bencher<'_, '_>, when: Option<&str>) {
    let routes = routes(when);
    let event = arriving();
    bencher.bench_local(|| {
        let judged = black_box(&routes).judge(black_box(&event));
        judged.filter(|(_, _, verdict)| *verdict == Verdict::Matched).count()
    });
}

/// Making the event that routes are asked about, which every delivery needs as well.
#[divan::bench]
fn event_to_match(bencher: Bencher<'_, '_>) {
    let decoded = decode(bodies::inbound().as_bytes());
    let id = EventId::new(Ulid(1));
    bencher.bench_local(|| Event::arriving(id, "default", Timestamp::UNIX_EPOCH, black_box(&decoded)));
}

fn arriving() -> Event {
    let decoded = decode(bodies::inbound().as_bytes());
    Event::arriving(EventId::new(Ulid(1)), "default", Timestamp::UNIX_EPOCH, &decoded)
}

fn routes(when: Option<&str>) -> Routes {
    let route = |number: usize| {
        let on = if number < TAKING { "message.received" } else { "message.failed" };
        let when = when.filter(|_| number > 0);
        Route::new(&format!("r{number}"), &[on.to_owned()], when, true).unwrap()
    };
    Routes::new((0..ROUTES).map(route).collect())
}
