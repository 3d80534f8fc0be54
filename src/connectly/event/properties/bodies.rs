//! The fixtures, and what can be done to a body without a tree, which would refuse what is strange in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use serde_json::value::RawValue;

/// The places whose members the decoder picks. In others (attachments, callback data) everything is kept as it came.
pub(super) const READ: &[&str] = &[
    "",
    "/sender",
    "/recipient",
    "/context",
    "/metadata",
    "/message",
    "/message/location",
    "/message/context",
    "/location",
    "/buttonResponse",
    "/listResponse",
    "/statusUpdate",
    "/statusUpdate/metadata",
    "/report",
    "/report/last_run",
    "/report/last_run/result",
];

/// A payload of `tests/fixtures/webhooks/`.
pub(super) struct Fixture {
    pub(super) name: String,
    pub(super) body: String,
    /// The place and key of every member that the decoder may pick.
    pub(super) members: Vec<(&'static str, String)>,
}

static FIXTURES: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/webhooks");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let mut fixtures: Vec<Fixture> = files
        .map(|file| {
            let body = fs::read_to_string(file.path()).unwrap();
            Fixture { name: file.file_name().into_string().unwrap(), members: members(&body), body }
        })
        .collect();
    fixtures.sort_by(|one, other| one.name.cmp(&other.name));
    fixtures
});

static STRANGE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let deep = format!("{}0{}", r#"[{"a":"#.repeat(1000), "}]".repeat(1000));
    let plain = [
        "null",
        "7",
        "-1e999",
        "true",
        r#""""#,
        r#""\ud800""#,
        r#""\u0000""#,
        "{}",
        "[]",
        "[[{}]]",
        r#"{"a":1,"a":2}"#,
    ];
    plain.map(str::to_owned).into_iter().chain([deep]).collect()
});

/// Every fixture, by name.
pub(super) fn fixtures() -> &'static [Fixture] {
    &FIXTURES
}

/// Values that a tree refuses, or that no field expects.
pub(super) fn strange() -> &'static [String] {
    &STRANGE
}

/// What to do to an object.
pub(super) enum Edit<'a> {
    /// Take the member out.
    Remove(&'a str),
    /// Give the member this value, whether it was there or not.
    Set(&'a str, &'a str),
    /// Write the member once more, with this value.
    Repeat(&'a str, &'a str),
}

/// The body with the object at this place changed; `None` when there is no object.
pub(super) fn edited(body: &str, place: &str, edit: &Edit<'_>) -> Option<String> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body).ok()?;
    let mut repeated = None;
    if let Some(path) = place.strip_prefix('/') {
        let (first, rest) = path.find('/').map_or((path, ""), |slash| path.split_at(slash));
        let inner = members.get_mut(first)?;
        *inner = raw(&edited(inner.get(), rest, edit)?);
    } else {
        match edit {
            Edit::Remove(key) => drop(members.remove(*key)),
            Edit::Set(key, value) => drop(members.insert((*key).to_owned(), raw(value))),
            Edit::Repeat(key, value) => repeated = Some(((*key).to_owned(), raw(value))),
        }
    }
    let member = |(key, value): (String, Box<RawValue>)| format!("{}:{value}", Value::from(key));
    let members: Vec<String> = members.into_iter().chain(repeated).map(member).collect();
    Some(format!("{{{}}}", members.join(",")))
}

fn members(body: &str) -> Vec<(&'static str, String)> {
    let at = |place: &'static str| {
        let keys = keys(body, place).unwrap_or_default();
        keys.into_iter().map(move |key| (place, key))
    };
    READ.iter().copied().flat_map(at).collect()
}

fn keys(body: &str, place: &str) -> Option<Vec<String>> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body).ok()?;
    for step in place.split('/').skip(1) {
        members = serde_json::from_str(members.get(step)?.get()).ok()?;
    }
    Some(members.into_keys().collect())
}

/// The body with each key that the decoder reads in snake case.
pub(super) fn snake_case(body: &Value) -> Value {
    match body {
        Value::Object(members) => {
            let renamed = members.iter().map(|(key, value)| {
                let whole = ["attachments", "referral", "reaction", "callbackData"].contains(&key.as_str());
                (snake(key), if whole { value.clone() } else { snake_case(value) })
            });
            Value::Object(renamed.collect())
        }
        other => other.clone(),
    }
}

fn snake(key: &str) -> String {
    let words = key.chars().flat_map(|letter| {
        let break_before = letter.is_ascii_uppercase().then_some('_');
        break_before.into_iter().chain([letter.to_ascii_lowercase()])
    });
    words.collect()
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}
