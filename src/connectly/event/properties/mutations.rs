//! Every fixture, spoiled at every place: each cut, each byte, each value.

use serde_json::{Value, json};

use super::super::{Decoded, decode};
use super::bodies::{Fixture, fixtures};
use super::evidence::decode_checked;

#[test]
fn a_body_that_was_cut_off_is_unknown() {
    for Fixture { name, body, .. } in fixtures() {
        let whole = body.trim_end().len();
        for end in 0..whole {
            assert!(decode(&body.as_bytes()[..end]) == Decoded::unknown(), "{name} cut at {end}");
        }
        assert!(decode(body.as_bytes()) == decode(&body.as_bytes()[..whole]), "{name}");
    }
}

#[test]
fn a_body_without_one_byte_is_decoded_or_unknown() {
    for Fixture { body, .. } in fixtures() {
        let bytes = body.as_bytes();
        for at in 0..bytes.len() {
            decode_checked(&[&bytes[..at], &bytes[at + 1..]].concat());
        }
    }
}

#[test]
fn a_body_with_one_bit_flipped_is_decoded_or_unknown() {
    for Fixture { body, .. } in fixtures() {
        let mut bytes = body.clone().into_bytes();
        for at in 0..bytes.len() {
            let bit = 1 << (at % 8);
            bytes[at] ^= bit;
            decode_checked(&bytes);
            bytes[at] ^= bit;
        }
    }
}

#[test]
fn a_spoiled_value_spoils_only_what_is_read_from_it() {
    let spoilings = [
        None,
        Some(Value::Null),
        Some(json!(7)),
        Some(json!([])),
        Some(json!([{"type": "image"}])),
        Some(json!("x")),
        Some(json!(true)),
        Some(json!({})),
        Some(json!({"id": "x", "text": "x", "status": "read"})),
    ];
    for Fixture { name, body, .. } in fixtures() {
        let Ok(tree) = serde_json::from_str::<Value>(body) else {
            continue;
        };
        let before = decode_checked(tree.to_string().as_bytes());
        for path in paths(&tree) {
            for spoiling in &spoilings {
                let after = decode_checked(spoiled(&tree, &path, spoiling.as_ref()).to_string().as_bytes());
                let spared = spare(&path[0], &before, after);
                assert!(spared == before, "{name}: {path:?} as {spoiling:?}");
            }
        }
    }
}

/// The decoded body with what is read from this member of the envelope as it was before.
fn spare(member: &str, before: &Decoded, after: Decoded) -> Decoded {
    let before = before.clone();
    match member {
        "timestamp" => Decoded { occurred_at: before.occurred_at, ..after },
        "sender" | "recipient" => Decoded { business: before.business, customer: before.customer, ..after },
        "context" => Decoded { in_reply_to: before.in_reply_to, ..after },
        "metadata" | "campaignName" | "campaign_name" => Decoded { campaign: before.campaign, ..after },
        "callbackData" | "callback_data" => {
            Decoded { callback_data: before.callback_data, mark: before.mark, ..after }
        }
        // Who is who depends on the kind, and so does whose id it is.
        "topic" | "report" | "statusUpdate" | "status_update" | "message" | "reaction" | "referral"
        | "attachments" | "location" | "isEcho" | "buttonResponse" | "button_response" | "listResponse"
        | "listReply" | "list_reply" => {
            let Decoded { occurred_at, callback_data, mark, .. } = after;
            let in_reply_to = if member == "message" { before.in_reply_to } else { after.in_reply_to };
            let campaign = if member.starts_with("status") { before.campaign } else { after.campaign };
            Decoded { occurred_at, in_reply_to, callback_data, mark, campaign, ..before }
        }
        _ => after,
    }
}

/// The way to every value below the top, outer before inner.
fn paths(tree: &Value) -> Vec<Vec<String>> {
    let members: Vec<(String, &Value)> = match tree {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => vec![],
    };
    let below = |(key, value): (String, &Value)| {
        let inner = paths(value).into_iter().map(|path| [vec![key.clone()], path].concat());
        [vec![key.clone()]].into_iter().chain(inner).collect::<Vec<_>>()
    };
    members.into_iter().flat_map(below).collect()
}

/// The tree with another value in this place, or with none.
fn spoiled(tree: &Value, path: &[String], value: Option<&Value>) -> Value {
    let mut tree = tree.clone();
    let (last, above) = path.split_last().expect("a path has a step");
    let parent = above.iter().fold(&mut tree, |place, step| match place {
        Value::Array(list) => &mut list[step.parse::<usize>().expect("a step into a list is a number")],
        members => &mut members[step],
    });
    match (parent, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(last.clone(), value.clone())),
        (Value::Object(members), None) => drop(members.remove(last)),
        (Value::Array(list), value) => {
            let at: usize = last.parse().expect("a step into a list is a number");
            list.splice(at..=at, value.cloned());
        }
        (_, _) => unreachable!("a path leads through objects and lists"),
    }
    tree
}
