//! Reading a verified body: decoding it, and with it what makes a repeat of it.

use bytes::Bytes;
use divan::{Bencher, black_box};
use jiff::Timestamp;
use switchboard::connectly::event::decode;
use switchboard::model::id::EventId;
use switchboard::store::arrival::Arrival;
use ulid::Ulid;

use crate::bodies;

const BODIES: [&str; 3] = ["inbound", "status", "echo"];

#[divan::bench(args = BODIES)]
fn decode_alone(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    bencher.bench_local(|| decode(black_box(&body)));
}

#[divan::bench(args = BODIES)]
fn read_arrival(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    let id = EventId::new(Ulid(1));
    bencher.bench_local(|| {
        Arrival::read(id, "default".to_owned(), Timestamp::UNIX_EPOCH, black_box(&body).clone())
    });
}

fn body(name: &str) -> Bytes {
    let body = match name {
        "inbound" => bodies::inbound(),
        "status" => bodies::status(),
        _ => bodies::echo(),
    };
    body.into()
}
