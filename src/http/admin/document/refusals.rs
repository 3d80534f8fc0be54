//! Refusals, each described once with examples that are the real ones. Endpoints name those that they can answer with.
//!
//! To add one: a row in [`all`], and a type that names it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::{Ref, RefOr, Response};

use crate::http::problem::{MEDIA_TYPE, Problem};

type Responses = BTreeMap<String, RefOr<Response>>;

/// One answer that says no.
struct Refusal {
    name: &'static str,
    description: &'static str,
    /// What it can be, all with the same status.
    problems: Vec<Problem>,
}

/// A query that cannot be.
pub(in crate::http::admin) struct BadQuery;
/// A body that cannot be.
pub(in crate::http::admin) struct BadBody;
/// A thing that there is not.
pub(in crate::http::admin) struct NotFound;
/// A thing in the wrong state.
pub(in crate::http::admin) struct Conflict;
/// Bytes that are no longer kept.
pub(in crate::http::admin) struct BodyPurged;
/// A store that is away.
pub(in crate::http::admin) struct Unavailable;
/// A service that is not ready.
pub(in crate::http::admin) struct NotReady;

/// What every path of the listener can answer: its layers do.
pub(super) const EVERYWHERE: [(&str, &str); 2] = [("421", "UnknownHost"), ("500", "Internal")];
/// What every path behind the token can answer besides.
pub(super) const WITHOUT_TOKEN: (&str, &str) = ("401", "InvalidToken");

fn all() -> Vec<Refusal> {
    let refusal = |name, description, problems| Refusal { name, description, problems };
    vec![
        refusal(
            "BadQuery",
            "A parameter is unknown, is repeated, or has a value that it does not take.",
            bad_query(),
        ),
        refusal(
            "BadBody",
            "The body is not JSON of the right kind or broke off, or there is a query.",
            bad_body(),
        ),
        refusal("InvalidToken", "There is no admin token, or it is the wrong one.", vec![Problem::token()]),
        refusal("NotFound", "There is no such thing.", vec![Problem::not_found()]),
        refusal(
            "Conflict",
            "The thing is not in a state that allows this.",
            vec![Problem::conflict("the job is not parked")],
        ),
        refusal(
            "BodyPurged",
            "The event is known, its body is no longer kept.",
            vec![Problem::body_purged()],
        ),
        refusal("BodyTooLarge", "The body is longer than 1 MiB.", vec![Problem::body_too_large()]),
        refusal("UnknownHost", "The Host header names somebody else.", vec![Problem::unknown_host()]),
        refusal(
            "BadField",
            "A field of the body is missing, unknown, or has a value that it does not take.",
            bad_field(),
        ),
        refusal("Internal", "A mistake of Switchboard's; its log says which.", vec![Problem::internal()]),
        refusal("Unavailable", "The store cannot be reached.", vec![Problem::unavailable()]),
        refusal(
            "NotReady",
            "The service is starting, stopping, or without its store.",
            vec![Problem::not_ready()],
        ),
    ]
}

fn bad_query() -> Vec<Problem> {
    vec![
        Problem::parameter("limit", "a number from 1 to 200"),
        Problem::unknown_parameter("colour", &["limit", "cursor"]),
        Problem::repeated_parameter("limit"),
    ]
}

fn bad_body() -> Vec<Problem> {
    let takes = "it takes {\"sent\": true} or {\"sent\": false}";
    vec![Problem::invalid_body(takes), Problem::unreadable_body(), Problem::unknown_parameter("colour", &[])]
}

fn bad_field() -> Vec<Problem> {
    vec![Problem::field("sent", "true or false"), Problem::unknown_field("colour", &["sent"])]
}

/// All of them, as components of the document.
pub(super) fn components() -> Value {
    all().iter().map(|refusal| (refusal.name.to_owned(), refusal.described())).collect::<Map<_, _>>().into()
}

impl Refusal {
    fn described(&self) -> Value {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let examples: Map<_, _> = self.problems.iter().map(example).collect();
        let mut described = json!({
            "description": self.description,
            "content": { MEDIA_TYPE: { "schema": schema, "examples": examples } },
        });
        let headers: Map<_, _> = self.problems.iter().filter_map(Problem::header).map(header).collect();
        if !headers.is_empty() {
            described["headers"] = headers.into();
        }
        described
    }
}

/// Its document, under the last word of its type.
fn example(problem: &Problem) -> (String, Value) {
    let document = json!(problem.document());
    let name = document["type"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    (name.to_owned(), json!({ "value": document }))
}

fn header((name, value): (&'static str, &'static str)) -> (String, Value) {
    let schema = match value.parse::<u32>() {
        Ok(seconds) => json!({ "type": "integer", "const": seconds }),
        Err(_) => json!({ "type": "string", "const": value }),
    };
    (name.to_owned(), json!({ "schema": schema }))
}

fn named<const N: usize>(refusals: [(&str, &str); N]) -> Responses {
    let refer = |(status, name): (&str, &str)| (status.to_owned(), Ref::from_response_name(name).into());
    refusals.into_iter().map(refer).collect()
}

impl IntoResponses for BadQuery {
    fn responses() -> Responses {
        named([("400", "BadQuery")])
    }
}

impl IntoResponses for BadBody {
    fn responses() -> Responses {
        named([("400", "BadBody"), ("413", "BodyTooLarge"), ("422", "BadField")])
    }
}

impl IntoResponses for NotFound {
    fn responses() -> Responses {
        named([("404", "NotFound")])
    }
}

impl IntoResponses for Conflict {
    fn responses() -> Responses {
        named([("409", "Conflict")])
    }
}

impl IntoResponses for BodyPurged {
    fn responses() -> Responses {
        named([("410", "BodyPurged")])
    }
}

impl IntoResponses for Unavailable {
    fn responses() -> Responses {
        named([("503", "Unavailable")])
    }
}

impl IntoResponses for NotReady {
    fn responses() -> Responses {
        named([("503", "NotReady")])
    }
}
