//! Replays: events that are delivered once more, by id or by what finds them in a list.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, Object, OneOfBuilder, SchemaType};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Fields, JsonBody, RequestBody};
use super::cursor;
use super::document::parameters;
use super::document::refusals::{BadBody, NotFound, Unavailable};
use super::events;
use super::query::{NoQuery, Query};
use crate::http::json;
use crate::http::problem::Problem;
use crate::ingest::replay::{Events, GROUP, Place, Replay};
use crate::model::id::EventId;
use crate::store::query::EventFilter;

/// What has to be replayed at least.
const NOTHING_NAMED: &str =
    "an event's id, unless filters of the list of events say which: an empty body would replay everything";

impl RequestBody for Replay {
    const TAKES: &'static str = "it takes {\"event_id\": id} or the filters of the list of events, and optionally `route`, `dry_run`, `limit` and `cursor`";

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let route =
            fields.optional("route", "a route's name", |value| value.as_str().map(ToOwned::to_owned))?;
        let dry_run = fields.optional("dry_run", "true or false", Value::as_bool)?.unwrap_or(false);
        let event =
            fields.optional("event_id", "the id of an event", |value| EventId::parse(value.as_str()?))?;
        let limit = fields.optional("limit", &limits(), |value| {
            u32::try_from(value.as_u64()?).ok().filter(|limit| (1..=GROUP).contains(limit))
        })?;
        let from = fields
            .optional("cursor", "what `next` of a replay was", |value| cursor::read(value.as_str()?))?;
        let filters = fields.rest();
        let events = match event {
            Some(id) if filters.is_empty() && limit.is_none() && from.is_none() => Events::One(id),
            Some(_) => return Err(Problem::field("event_id", "neither filters nor a slice beside it")),
            None if filters.is_empty() => return Err(Problem::field("event_id", NOTHING_NAMED)),
            None => found_by(filters, limit, from)?,
        };
        Ok(Self { events, route, dry_run })
    }
}

/// What `limit` has to be.
fn limits() -> String {
    format!("a number from 1 to {GROUP}")
}

fn found_by(filters: Map<String, Value>, limit: Option<u32>, from: Option<Place>) -> Result<Events, Problem> {
    let mut query = Query::of_fields(filters)?;
    let filter = Box::new(events::filter(&mut query)?);
    query.finish()?;
    match limit {
        Some(limit) => Ok(Events::Slice { filter, from, limit }),
        None if from.is_some() => Err(Problem::field("cursor", "`limit` beside it")),
        None => Ok(Events::Filter(filter)),
    }
}

/// One event by its id, or all that filters find.
impl PartialSchema for Replay {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new().item(one_event()).item(many_events()).into()
    }
}

impl ToSchema for Replay {}

fn one_event() -> Object {
    options("One event.")
        .property("event_id", Ref::from_schema_name(EventId::name()))
        .required("event_id")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .build()
}

/// OpenAPI has no words for fields whose name is partly the caller's, but for what all names of fields look like.
fn many_events() -> Object {
    let filters = EventFilter::into_params(|| None);
    let known: Vec<&str> = filters.iter().map(|filter| filter.name.as_str()).collect();
    let names = format!("^(route|dry_run|limit|cursor|{}|callback_data\\..+)$", known.join("|"));
    let about = "All events that the filters of the list of events find; one at least has to be there. As there, values in \
        callback data are asked for by path, as in `\"callback_data.order_id\": \"12345\"`.";
    parameters::as_fields(slices(options(about)), filters)
        .property_names(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(names))))
        .additional_properties(Some(ObjectBuilder::new().schema_type(parameters::plain())))
        .min_properties(Some(1))
        .build()
}

fn options(about: &str) -> ObjectBuilder {
    let route = "To this route only, if it matches; without it, to all that match.";
    let dry_run = "Only count the jobs.";
    let field = |kind: Type, about: &str| {
        ObjectBuilder::new().schema_type(SchemaType::Type(kind)).description(Some(about)).build()
    };
    ObjectBuilder::new()
        .description(Some(about))
        .property("route", field(Type::String, route))
        .property("dry_run", field(Type::Boolean, dry_run))
}

fn slices(object: ObjectBuilder) -> ObjectBuilder {
    let limit = "Only the next so many events; then `next` leads on. Without it, all.";
    let cursor = "What `next` of the slice before was. All else has to be as it was then.";
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(GROUP));
    object
        .property("limit", number.description(Some(limit)))
        .property("cursor", ObjectBuilder::new().schema_type(Type::String).description(Some(cursor)))
}

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(replay))
}

/// What came of a replay.
#[derive(Serialize, ToSchema)]
#[schema(as = Replayed)]
struct Answer {
    /// How many jobs were made, or would be.
    jobs: u64,
    /// How many events could not be replayed, since their bytes are no longer kept.
    #[serde(skip_serializing_if = "is_zero")]
    purged: u64,
    /// What `cursor` takes to go on, when there was a `limit`; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over as it is")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Delivers events once more, to the routes that match them today.
///
/// It goes on when the caller hangs up: half a replay is worse than a whole one. With `limit` it is done in slices, so that
/// whoever asks sees how far it is: each event that was stored when the first one began is in one of them.
#[utoipa::path(
    post,
    path = "/api/v1/replays",
    operation_id = "replay_events",
    tag = "events",
    request_body = Replay,
    responses((status = 200, description = "What came of it.", body = Answer), BadBody, NotFound, Unavailable),
)]
async fn replay(
    State(state): State<AdminState>,
    NoQuery: NoQuery,
    JsonBody(replay): JsonBody<Replay>,
) -> Result<Response, Problem> {
    if let Some(route) =
        replay.route.as_ref().filter(|name| !state.routes.iter().any(|route| route.name == **name))
    {
        let known: Vec<&str> = state.routes.iter().map(|route| route.name.as_str()).collect();
        return Err(Problem::unknown_name("route", route, &known));
    }
    let replayer = state.replayer;
    let running = tokio::spawn(async move { replayer.replay(&replay).await });
    let replayed = running.await.map_err(|_panicked| Problem::internal())??;
    let replayed = replayed.ok_or_else(Problem::not_found)?;
    let next = replayed.next.as_ref().map(cursor::write);
    Ok(json::answer(&Answer { jobs: replayed.jobs, purged: replayed.purged, next }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::{Method, Request};
    use serde_json::json;

    use crate::http::testing::{admin, assert_refused, call, event, event_id, read_json, read_text, request};
    use crate::model::event::EventType;

    fn post(body: &str) -> Request<Body> {
        let mut request = request(Method::POST, "/api/v1/replays");
        *request.body_mut() = body.to_owned().into();
        request
    }

    #[tokio::test]
    async fn one_event_goes_to_every_route_that_matches() {
        let admin = admin(|store| store.events = vec![event(1), event(2)]);
        let body = format!(r#"{{"event_id":"{}"}}"#, event_id(1));
        assert_eq!(read_text(call(&admin.router, post(&body)).await).await, r#"{"jobs":1}"#);
        assert_eq!(*admin.store.replayed.lock().unwrap(), [(event_id(1), "greeter".to_owned())]);
    }

    #[tokio::test]
    async fn a_filter_replays_what_it_finds_and_a_dry_run_only_counts() {
        let admin = admin(|store| store.events = vec![event(1), event(2)]);
        let dry = r#"{"type":"message.received","customer":"15550100001","callback_data.order_id":12345,"dry_run":true}"#;
        assert_eq!(read_json(call(&admin.router, post(dry)).await).await["jobs"], 2);
        assert!(admin.store.replayed.lock().unwrap().is_empty());
        let filter = admin.store.event_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.event_type, Some(EventType::MessageReceived));
        assert_eq!(filter.customer.as_deref(), Some("+15550100001"));
        assert_eq!(filter.callback_data.len(), 1);
        assert!(filter.until.is_some(), "what arrives meanwhile is not part of it");
        let wet = r#"{"since":"2026-01-01T00:00:00Z","route":"greeter"}"#;
        assert_eq!(read_json(call(&admin.router, post(wet)).await).await["jobs"], 2);
        assert_eq!(admin.store.replayed.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn slices_go_through_each_event_once_in_the_order_of_the_ids() {
        let admin = admin(|store| store.events = (1..=5).map(event).collect());
        let mut body = json!({ "type": "message.received", "limit": 2 });
        let (mut slices, mut untils) = (Vec::new(), BTreeSet::new());
        loop {
            let answer = read_json(call(&admin.router, post(&body.to_string())).await).await;
            slices.push(answer["jobs"].as_u64().unwrap());
            let until = admin.store.event_filter.lock().unwrap().clone().unwrap().until.unwrap();
            untils.insert(until.as_millisecond());
            admin.clock.advance(Duration::from_secs(1));
            let Some(next) = answer.get("next") else { break };
            body["cursor"] = next.clone();
        }
        assert_eq!(slices, [2, 2, 1]);
        assert_eq!(untils.len(), 1, "what arrives meanwhile is not part of it");
        let replayed: Vec<_> = admin.store.replayed.lock().unwrap().iter().map(|(id, _)| *id).collect();
        assert_eq!(replayed, (1..=5).map(event_id).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_cannot_be_replayed_is_refused_by_its_field() {
        let admin = admin(|store| store.events = vec![event(1)]);
        let cursor = super::cursor::write(&super::Place { after: event_id(1), until: admin.clock.now() });
        for (body, parameter) in [
            ("{}".to_owned(), "event_id"),
            (r#"{"event_id":"7"}"#.to_owned(), "event_id"),
            (format!(r#"{{"event_id":"{}","type":"unknown"}}"#, event_id(1)), "event_id"),
            (r#"{"type":"message"}"#.to_owned(), "type"),
            (r#"{"since":"yesterday"}"#.to_owned(), "since"),
            (r#"{"colour":"red"}"#.to_owned(), "colour"),
            (r#"{"type":["unknown"]}"#.to_owned(), "type"),
            (r#"{"type":"unknown","dry_run":"yes"}"#.to_owned(), "dry_run"),
            (r#"{"type":"unknown","route":"greater"}"#.to_owned(), "route"),
            (r#"{"type":"unknown","limit":0}"#.to_owned(), "limit"),
            (r#"{"type":"unknown","limit":201}"#.to_owned(), "limit"),
            (r#"{"type":"unknown","limit":"9"}"#.to_owned(), "limit"),
            (r#"{"type":"unknown","limit":9,"cursor":"01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z"}"#.to_owned(), "cursor"),
            (format!(r#"{{"type":"unknown","cursor":"{cursor}"}}"#), "cursor"),
            (format!(r#"{{"event_id":"{}","limit":9}}"#, event_id(1)), "event_id"),
            (format!(r#"{{"event_id":"{}","cursor":"{cursor}"}}"#, event_id(1)), "event_id"),
            (r#"{"limit":9}"#.to_owned(), "event_id"),
        ] {
            let problem = assert_refused(call(&admin.router, post(&body)).await, 422).await;
            assert_eq!(problem["parameter"], parameter, "{body}");
        }
        let unknown = format!(r#"{{"event_id":"{}"}}"#, event_id(9));
        assert_refused(call(&admin.router, post(&unknown)).await, 404).await;
    }
}
