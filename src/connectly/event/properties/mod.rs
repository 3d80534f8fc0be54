//! What holds for every body, tried on the fixtures and on what becomes of them.

mod bodies;
mod evidence;
mod mutations;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use ulid::Ulid;

use self::bodies::{Edit, Fixture, READ, edited, fixtures, snake_case, strange};
use self::evidence::decode_checked;
use super::content::Content;
use super::{Decoded, Kind, decode};
use crate::connectly::ids::ProviderMessageId;
use crate::connectly::{mark, phone};

#[test]
fn null_is_the_same_as_absent() {
    for Fixture { name, body, members } in fixtures() {
        for (place, key) in members {
            if matches!(key.as_str(), "callbackData" | "callback_data") {
                continue;
            }
            let null = edited(body, place, &Edit::Set(key, "null")).unwrap();
            let absent = edited(body, place, &Edit::Remove(key)).unwrap();
            assert!(without_whole(read(&null)) == without_whole(read(&absent)), "{name}: {place}/{key}");
        }
    }
}

#[test]
fn a_member_that_nobody_knows_changes_nothing() {
    for_each_strange(READ, "a_new_member", |name, before, after| {
        assert!(without_whole(before) == without_whole(after), "{name}");
    });
}

#[test]
fn a_strange_name_spoils_nothing_beside_it() {
    for_each_strange(&["/sender", "/recipient"], "name", |name, mut before, mut after| {
        for decoded in [&mut before, &mut after] {
            let business = decoded.business.as_mut();
            business.map(|business| business.name.take());
            decoded.customer.as_mut().map(|customer| customer.name.take());
        }
        assert!(before == after, "{name}");
    });
}

/// Compares each fixture without this member to the same with a strange value for it, at each of the places.
fn for_each_strange(places: &[&str], key: &str, compare: impl Fn(&str, Decoded, Decoded)) {
    for Fixture { name, body, .. } in fixtures() {
        for place in places {
            let Some(before) = edited(body, place, &Edit::Remove(key)) else {
                continue;
            };
            let before = read(&before);
            for value in strange() {
                let after = edited(body, place, &Edit::Set(key, value)).unwrap();
                compare(name, before.clone(), read(&after));
            }
        }
    }
}

#[test]
fn debug_output_shows_nothing_private() {
    for Fixture { name, body, .. } in fixtures() {
        let shown = format!("{:?}", read(body));
        for private in ["5550100001", "5550100002", "Ana", "hi", "Yes", "order", "https", "23.55"] {
            assert!(!shown.contains(private), "{name}: {shown}");
        }
    }
}

#[test]
fn snake_case_says_the_same() {
    for Fixture { name, body, .. } in fixtures() {
        let Ok(tree) = serde_json::from_str::<Value>(body) else {
            continue;
        };
        let snake = snake_case(&tree).to_string();
        let read = |body: &str| without_whole(read(body));
        assert!(read(&snake) == read(&tree.to_string()), "{name}: {snake}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_checked(&body);
    }

    #[test]
    fn a_fixture_with_spoiled_bytes_is_decoded_or_unknown(
        which in any::<Index>(),
        spoilings in prop::collection::vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut body = which.get(fixtures()).body.clone().into_bytes();
        for (at, byte, how) in spoilings {
            let at = at.index(body.len());
            match how {
                0 => body[at] ^= byte,
                1 => body.insert(at, byte),
                _ => body[at..].rotate_left(1),
            }
        }
        decode_checked(&body);
    }

    #[test]
    fn a_fixture_with_spoiled_members_is_decoded_or_unknown(
        which in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), 0..3_u8, values()), 1..4),
    ) {
        let Fixture { body, members, .. } = which.get(fixtures());
        prop_assume!(!members.is_empty());
        let mut body = body.clone();
        for (at, how, value) in edits {
            let (place, key) = at.get(members);
            let edit = match how {
                0 => Edit::Set(key, &value),
                1 => Edit::Repeat(key, &value),
                _ => Edit::Remove(key),
            };
            // The place may have gone with an edit before.
            body = edited(&body, place, &edit).unwrap_or(body);
        }
        decode_checked(body.as_bytes());
    }

    #[test]
    fn a_number_has_one_normal_form(text in r"\+?[0-9 .()\[\]-]{0,24}|\PC{0,12}") {
        if let Some(normal) = phone::normalize(&text) {
            prop_assert_eq!(phone::normalize(&normal), Some(normal.clone()));
            prop_assert_eq!(phone::normalize(&normal[1..]), Some(normal));
        }
    }

    #[test]
    fn a_mark_comes_off_as_it_went_on(object in objects(), id in any::<u128>(), pretty in any::<bool>()) {
        let given = if pretty { format!("{object:#}") } else { object.to_string() };
        let sent = mark::apply(Some(&given), Ulid(id)).unwrap();
        let (rest, found) = mark::strip(&sent);
        if found.is_none() {
            let with_mark = given.len() + r#""switchboard":"01K00000000000000000000001","#.len();
            prop_assert!(with_mark > mark::CALLBACK_DATA_LIMIT);
            prop_assert_eq!(sent, given);
        } else {
            prop_assert!(sent.len() <= mark::CALLBACK_DATA_LIMIT);
            prop_assert_eq!(found, Some(Ulid(id)));
            let empty = object.as_object().is_some_and(Map::is_empty);
            let rest: Option<Value> = rest.map(|rest| serde_json::from_str(&rest).unwrap());
            prop_assert_eq!(rest, (!empty).then_some(object));
        }
    }

    #[test]
    fn an_id_is_the_same_in_every_spelling(bits in any::<u128>()) {
        let id = ProviderMessageId::Ulid(Ulid(bits));
        let (ulid, uuid) = (Ulid(bits).to_string(), uuid::Uuid::from_u128(bits).to_string());
        for spelling in [ulid.to_lowercase(), uuid.to_uppercase(), format!(" {uuid}\n"), ulid, uuid] {
            prop_assert_eq!(ProviderMessageId::parse(&spelling), Some(id.clone()));
        }
        prop_assert_eq!(ProviderMessageId::parse(&id.to_string()), Some(id));
    }
}

fn read(body: &str) -> Decoded {
    decode(body.as_bytes())
}

/// What was decoded without a message kept whole, which has its nulls and new members too.
fn without_whole(decoded: Decoded) -> Decoded {
    let bare = |content| Content { message: None, ..content };
    let kind = match decoded.kind {
        Kind::Received(content) => Kind::Received(bare(content)),
        Kind::Echo(content) => Kind::Echo(bare(content)),
        other => other,
    };
    Decoded { kind, ..decoded }
}

/// JSON texts of every sort.
fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(strange()),
        2 => "-?[1-9][0-9]{0,24}(\\.[0-9]{1,3})?(e[0-9]{1,3})?",
        2 => "\"[0-9A-Za-z :+.-]{0,40}\"",
        1 => any::<Index>().prop_map(|which| which.get(fixtures()).body.clone())
            .prop_filter("is JSON", |body| serde_json::from_str::<&RawValue>(body).is_ok()),
    ]
}

/// Callback data as callers set it: any object without our key.
fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let any_value = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::btree_map(".{0,12}", any_value, 0..4).prop_map(|mut members| {
        members.remove(mark::KEY);
        Value::Object(members.into_iter().collect())
    })
}
