//! The endpoints that tell of the account, or change where its webhooks go.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRef as _, FromRequestParts, Path, RawPathParams, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::catalog;
use super::desk::Desk;
use super::errors::{Refusal, trace_id};
use super::registrations::{ExistingTopic, RegistrationError};
use super::send::authenticated;
use super::wire::registration::{CreateRequest, UpdateRequest};

/// Connectly's endpoints, below a business.
pub(super) fn router() -> Router<Arc<Desk>> {
    let below = |path: &str| format!("/v1/businesses/{{business_id}}/{path}");
    Router::new()
        .route(&below("webhooks"), get(list))
        .route(&below("create/webhooks"), post(create))
        .route(&below("update/webhooks/{webhook_id}"), put(update))
        .route(&below("delete/webhooks/{webhook_id}"), delete(remove))
        .route(&below("get/templates"), post(templates))
        .route(&below("get/quality_signals"), get(quality))
        .route("/_emulator/registrations", put(set_existing_topic))
}

/// Somebody who showed the business's key: the only way to the desk from here.
struct Caller(Arc<Desk>);

impl FromRequestParts<Arc<Desk>> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Response> {
        let path =
            RawPathParams::from_request_parts(parts, desk).await.map_err(IntoResponse::into_response)?;
        let business = path.iter().find(|(name, _)| *name == "business_id").map_or("", |(_, value)| value);
        if authenticated(desk, business, &parts.headers) {
            Ok(Self(Arc::from_ref(desk)))
        } else {
            Err(Refusal::Key.into_response())
        }
    }
}

impl IntoResponse for RegistrationError {
    fn into_response(self) -> Response {
        let (status, error_type) = match self {
            Self::Missing(_) | Self::Invalid(_) => (StatusCode::BAD_REQUEST, "ERROR_TYPE_INVALID_REQUEST"),
            Self::NotFound => (StatusCode::NOT_FOUND, "ERROR_TYPE_NOT_FOUND"),
            Self::Exists => (StatusCode::CONFLICT, "ERROR_TYPE_ALREADY_EXISTS"),
        };
        let body = json!({
            "message": self.to_string(),
            "type": error_type,
            "code": "ERROR_CODE_UNSPECIFIED",
            "userTitle": "Webhook not changed",
            "userMessage": "The webhook could not be changed. Please contact support with the cnct_trace_id.",
            "cntTraceId": trace_id(),
            "details": {},
        });
        (status, Json(body)).into_response()
    }
}

/// Why a request is refused: for its body, or for what it asks for.
enum Refused {
    Body(serde_json::Error),
    Registration(RegistrationError),
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        Self::Body(error)
    }
}

impl From<RegistrationError> for Refused {
    fn from(error: RegistrationError) -> Self {
        Self::Registration(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Body(error) => Refusal::from(error).into_response(),
            Self::Registration(error) => error.into_response(),
        }
    }
}

async fn list(Caller(desk): Caller) -> Json<Value> {
    let webhooks = desk.courier.registrations(|registrations| json!(registrations.list()));
    Json(json!({"entity": {"businessId": desk.settings.business_id, "webhooks": webhooks}}))
}

async fn create(Caller(desk): Caller, body: Bytes) -> Result<Json<Value>, Refused> {
    let request: CreateRequest = serde_json::from_slice(&body)?;
    let now = desk.time.now();
    let id = desk.courier.registrations(|registrations| registrations.create(request, now))?;
    Ok(Json(json!({"id": id})))
}

async fn update(
    Caller(desk): Caller,
    Path((_, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let request: UpdateRequest = serde_json::from_slice(&body)?;
    desk.courier.registrations(|registrations| registrations.update(&id, request))?;
    Ok(Json(json!({})))
}

async fn remove(
    Caller(desk): Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, RegistrationError> {
    desk.courier.registrations(|registrations| registrations.delete(&id))?;
    Ok(Json(json!({})))
}

async fn templates(Caller(desk): Caller) -> Json<Value> {
    Json(json!({"entity": {"templateGroups": catalog::template_groups(&desk.settings.business_number)}}))
}

/// Every number is thought well of, and its limit is not told, as for a new account.
async fn quality(Caller(desk): Caller) -> Json<Value> {
    let world = desk.world();
    let signal = |number: &String| {
        json!({"whatsappQualitySignals": {
            "phoneNumber": number,
            "wabaId": "100000000000001",
            "messagesLimitTier": "WHATS_APP_MESSAGE_LIMIT_TIER_UNSPECIFIED",
            "qualityScore": "WHATS_APP_QUALITY_SCORE_HIGH",
        }})
    };
    let signals: Vec<Value> = world.business.numbers.iter().map(signal).collect();
    Json(json!({"entity": {"signals": signals}}))
}

/// What a person or a test says of a topic that is registered twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opinion {
    existing_topic: ExistingTopic,
}

async fn set_existing_topic(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let Ok(Opinion { existing_topic }) = serde_json::from_slice(&body) else {
        let error = r#"give {"existing_topic": "conflict"} or {"existing_topic": "replace"}"#;
        return (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response();
    };
    desk.courier.registrations(|registrations| registrations.existing_topic = existing_topic);
    Json(json!({"existing_topic": existing_topic})).into_response()
}
