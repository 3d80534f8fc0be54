//! What every known shape of a delivery becomes: one fixture each in `tests/fixtures/webhooks/`, beside one snapshot of the
//! event's JSON to the letter, the dedupe key and the mark.
//!
//! To add a shape: write the fixture, run this test with `INSTA_UPDATE=always`, and read the snapshot before you keep it.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use switchboard::connectly::event::decode;
use switchboard::model::dedupe::{DedupeKey, body_hash};
use switchboard::model::event::Event;
use switchboard::model::id::EventId;

const FIXTURES: &str = "tests/fixtures/webhooks";
const SNAPSHOTS: &str = "tests/it/snapshots";

#[test]
fn every_fixture_decodes_as_its_snapshot_shows() {
    let fixtures = names(FIXTURES, "", ".json");
    assert!(!fixtures.is_empty(), "no fixtures in {FIXTURES}");
    let different: Vec<&String> =
        fixtures.iter().filter(|name| catch_unwind(|| compare(name)).is_err()).collect();
    assert!(different.is_empty(), "snapshots differ or are missing: {different:?}");
    let snapshots = names(SNAPSHOTS, "webhook@", ".snap");
    let orphans: Vec<_> = snapshots.difference(&fixtures).collect();
    assert!(orphans.is_empty(), "snapshots without a fixture: {orphans:?}");
    let bare: Vec<_> = fixtures.difference(&snapshots).collect();
    assert!(bare.is_empty(), "fixtures without a snapshot: {bare:?}");
}

#[test]
fn what_becomes_of_a_fixture_can_be_shown_and_keyed() {
    for name in names(FIXTURES, "", ".json") {
        let body = fs::read(format!("{FIXTURES}/{name}.json")).unwrap();
        // A quotation mark in the wrong place moves the end of a text, so that every other part comes to stand in one.
        for at in (0..body.len()).step_by(5) {
            let mut spoiled = body.clone();
            spoiled[at] = b'"';
            let Seen { event, .. } = Seen::of(&spoiled);
            let shown = event.to_value();
            assert_eq!(shown["type"], event.event_type().as_str(), "{name} at {at}");
            let key = DedupeKey::of(&decode(&spoiled), &body_hash(&spoiled));
            assert!(key.as_bytes().len() <= 64, "{name} at {at}");
        }
    }
}

fn compare(name: &str) {
    let body = fs::read(format!("{FIXTURES}/{name}.json")).unwrap();
    let shown = serde_json::to_string_pretty(&Seen::of(&body)).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_suffix(name);
    settings.bind(|| insta::assert_snapshot!("webhook", shown));
}

/// What the rest of the house learns from a body. It is compared as text, since callback data is kept to the letter and
/// would not survive a tree.
#[derive(Serialize)]
struct Seen {
    event: Event,
    mark: Option<String>,
    dedupe: Dedupe,
}

impl Seen {
    fn of(body: &[u8]) -> Self {
        let decoded = decode(body);
        let id = EventId::parse("01KDVDQYJ0A0000000000000ZZ").unwrap();
        let received_at = "2026-01-01T00:01:00.123Z".parse().unwrap();
        Self {
            event: Event::arriving(id, "default", received_at, &decoded),
            mark: decoded.mark.map(|mark| mark.to_string()),
            dedupe: Dedupe::of(&DedupeKey::of(&decoded, &body_hash(body))),
        }
    }
}

/// A key's parts. Keys are stored, so a change here makes a new event of every repeat that is under way.
#[derive(Serialize)]
struct Dedupe {
    time: Timestamp,
    by: &'static str,
    tag: u8,
}

impl Dedupe {
    fn of(key: &DedupeKey) -> Self {
        let (tag, rest) = key.as_bytes().split_last().unwrap();
        let millis = rest[..6].iter().fold(0, |sum, byte| (sum << 8) | i64::from(*byte));
        Self {
            time: Timestamp::from_millisecond(millis).unwrap(),
            by: match (rest.len(), tag) {
                (16, _) => "id",
                (38, 32) => "body",
                (38, _) => "opaque id",
                _ => "something new",
            },
            tag: *tag,
        }
    }
}

/// The names of a folder's files without what all of them begin and end with.
fn names(folder: &str, prefix: &str, suffix: &str) -> BTreeSet<String> {
    let files = fs::read_dir(Path::new(folder)).unwrap();
    files
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            Some(name.strip_prefix(prefix)?.strip_suffix(suffix)?.to_owned())
        })
        .collect()
}
