//! Replays: events that are delivered once more, by id or by what finds them in a list.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{AdditionalProperties, Object, OneOfBuilder, SchemaType};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Fields, JsonBody, RequestBody};
use super::document::parameters;
use super::document::refusals::{BadBody, NotFound, Unavailable};
use super::events;
use super::query::{NoQuery, Query};
use crate::http::json;
use crate::http::problem::Problem;
use crate::ingest::replay::{Events, Replay};
use crate::model::id::EventId;
use crate::store::query::EventFilter;

/// What has to be replayed at least.
const NOTHING_NAMED: &str =
    "an event's id, unless filters of the list of events say which: an empty body would replay everything";

impl RequestBody for Replay {
    const TAKES: &'static str = "it takes {\"event_id\": id} or the filters of the list of events, and optionally `route` and `dry_run`";

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let route =
            fields.optional("route", "a route's name", |value| value.as_str().map(ToOwned::to_owned))?;
        let dry_run = fields.optional("dry_run", "true or false", Value::as_bool)?.unwrap_or(false);
        let event =
            fields.optional("event_id", "the id of an event", |value| EventId::parse(value.as_str()?))?;
        let filters = fields.rest();
        let events = match event {
            Some(id) if filters.is_empty() => Events::One(id),
            Some(_) => return Err(Problem::field("event_id", "no filters beside it")),
            None if filters.is_empty() => return Err(Problem::field("event_id", NOTHING_NAMED)),
            None => {
                let mut query = Query::of_fields(filters)?;
                let filter = events::filter(&mut query)?;
                query.finish()?;
                Events::Filter(Box::new(filter))
            }
        };
        Ok(Self { events, route, dry_run })
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
    let names = format!("^(route|dry_run|{}|callback_data\\..+)$", known.join("|"));
    let about = "All events that the filters of the list of events find; one at least has to be there. As there, values in \
        callback data are asked for by path, as in `\"callback_data.order_id\": \"12345\"`.";
    parameters::as_fields(options(about), filters)
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
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over as it is")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Delivers events once more, to the routes that match them today.
///
/// It goes on when the caller hangs up: half a replay is worse than a whole one.
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
    Ok(json::answer(&Answer { jobs: replayed.jobs, purged: replayed.purged }))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};

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
    async fn what_cannot_be_replayed_is_refused_by_its_field() {
        let admin = admin(|store| store.events = vec![event(1)]);
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
        ] {
            let problem = assert_refused(call(&admin.router, post(&body)).await, 422).await;
            assert_eq!(problem["parameter"], parameter, "{body}");
        }
        let unknown = format!(r#"{{"event_id":"{}"}}"#, event_id(9));
        assert_refused(call(&admin.router, post(&unknown)).await, 404).await;
    }
}
