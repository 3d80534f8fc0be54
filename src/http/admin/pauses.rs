//! Pauses: what waits until a person says otherwise. Instances ask with every claim, so they obey at once.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Fields, JsonBody, RequestBody};
use super::document::refusals::{BadBody, BadQuery, Unavailable};
use super::query::NoQuery;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::pauses::Pauses;

/// What `routes` has to be.
const ROUTES: &str = "a list of routes' names";

impl RequestBody for Pauses {
    const TAKES: &'static str = "it takes {\"sends\": true or false, \"routes\": [names]}";

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let sends = fields.boolean("sends")?;
        Ok(Self { sends, routes: fields.texts("routes", ROUTES)?.into_iter().collect() })
    }
}

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(show, replace))
}

/// What is paused.
#[utoipa::path(
    get,
    path = "/api/v1/pauses",
    operation_id = "get_pauses",
    tag = "operations",
    responses((status = 200, description = "What is paused.", body = Pauses), BadQuery, Unavailable),
)]
async fn show(State(state): State<AdminState>, NoQuery: NoQuery) -> Result<Response, Problem> {
    Ok(json::answer(&state.store.pauses().await?))
}

/// Replaces everything that is paused.
///
/// Both fields have to be there, so that nothing is resumed by leaving it out. `routes` takes names of configured routes, and of
/// such as are paused already.
#[utoipa::path(
    put,
    path = "/api/v1/pauses",
    operation_id = "put_pauses",
    tag = "operations",
    request_body = Pauses,
    responses((status = 200, description = "What is paused now.", body = Pauses), BadBody, Unavailable),
)]
async fn replace(
    State(state): State<AdminState>,
    NoQuery: NoQuery,
    JsonBody(pauses): JsonBody<Pauses>,
) -> Result<Response, Problem> {
    // A route that was paused and then left the configuration may stay paused, or nothing else could be changed.
    let paused = state.store.pauses().await?;
    let is_known =
        |name: &str| state.routes.iter().any(|route| route.name == name) || paused.routes.contains(name);
    if let Some(unknown) = pauses.routes.iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = state.routes.iter().map(|route| route.name.as_str()).collect();
        return Err(Problem::unknown_name("routes", unknown, &known));
    }
    state.store.pause(&pauses).await?;
    state.sends.notify_one();
    Ok(json::answer(&pauses))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};

    use crate::http::testing::{admin, assert_refused, call, get, read_json, read_text, request};
    use crate::store::StoreError;

    fn put(body: &str) -> Request<Body> {
        let mut request = request(Method::PUT, "/api/v1/pauses");
        *request.body_mut() = body.to_owned().into();
        request
    }

    #[tokio::test]
    async fn what_is_put_is_what_is_paused() {
        let admin = admin(|_| {});
        let shown = read_text(call(&admin.router, get("/api/v1/pauses")).await).await;
        assert_eq!(shown, r#"{"sends":false,"routes":[]}"#);
        for body in [r#"{"sends":true,"routes":["greeter"]}"#, r#"{"sends":false,"routes":[]}"#] {
            assert_eq!(read_text(call(&admin.router, put(body)).await).await, body);
            assert!(admin.has_called_for_sends());
            assert_eq!(read_text(call(&admin.router, get("/api/v1/pauses")).await).await, body);
        }
    }

    #[tokio::test]
    async fn a_route_that_nobody_has_is_422_and_named() {
        let admin = admin(|store| store.paused.get_mut().unwrap().routes = ["gone".to_owned()].into());
        let refused = call(&admin.router, put(r#"{"sends":true,"routes":["greeter","greater"]}"#)).await;
        let problem = assert_refused(refused, 422).await;
        assert_eq!(problem["parameter"], "routes");
        assert_eq!(problem["detail"], "`routes` names `greater`, which is unknown; known are: greeter");
        assert!(!admin.store.paused.lock().unwrap().sends, "nothing was changed");
        let kept = call(&admin.router, put(r#"{"sends":true,"routes":["gone"]}"#)).await;
        assert_eq!(kept.status(), 200, "what is paused already may stay so");
        let digits =
            assert_refused(call(&admin.router, put(r#"{"sends":true,"routes":["15550100001"]}"#)).await, 422);
        assert!(!digits.await.to_string().contains("15550100001"));
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_is_refused_by_its_field() {
        let admin = admin(|_| {});
        for (body, parameter) in [
            (r#"{"routes":[]}"#, "sends"),
            (r#"{"sends":1,"routes":[]}"#, "sends"),
            (r#"{"sends":true}"#, "routes"),
            (r#"{"sends":true,"routes":"greeter"}"#, "routes"),
            (r#"{"sends":true,"routes":[1]}"#, "routes"),
            (r#"{"sends":true,"routes":[],"until":"noon"}"#, "until"),
        ] {
            let problem = assert_refused(call(&admin.router, put(body)).await, 422).await;
            assert_eq!(problem["parameter"], parameter, "{body}");
        }
        for body in ["", "[]", "sends"] {
            assert_refused(call(&admin.router, put(body)).await, 400).await;
        }
        let query = call(&admin.router, get("/api/v1/pauses?sends=true")).await;
        assert_eq!(assert_refused(query, 400).await["parameter"], "sends");
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_503() {
        let admin = admin(|store| store.fails_to_change = Some(|| StoreError::Unavailable(String::new())));
        assert_refused(call(&admin.router, put(r#"{"sends":true,"routes":[]}"#)).await, 503).await;
        assert_eq!(read_json(call(&admin.router, get("/api/v1/pauses")).await).await["sends"], false);
    }
}
