//! The emulator's own endpoints, under `/_emulator`: what a person or a test does that Connectly's customers, its
//! operators and the weather do in production.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::chat;
use super::delivery::Webhook;
use super::desk::{Desk, InboundAnswer};
use super::faults::{Fault, Share};
use super::inbound::{Inbound, InboundError};
use super::templates::TEMPLATES;

/// What the first page says.
const PAGE: &str = include_str!("page.txt");

/// The control endpoints.
pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new()
        .route("/_emulator", get(async || PAGE))
        .route("/_emulator/", get(async || PAGE))
        .route("/_emulator/inbound", post(inbound))
        .route("/_emulator/faults", post(inject).delete(clear))
        .route("/_emulator/release", post(release))
        .route("/_emulator/messages", get(messages))
        .route("/_emulator/webhooks", get(webhooks))
        .route("/_emulator/templates", get(async || Json(json!({"templates": TEMPLATES}))))
        .route("/_emulator/clock", get(clock).put(move_clock))
        .route("/_emulator/chat", get(conversations))
}

/// A control request that makes no sense: 400 with what is wrong, for the person who typed it.
enum Mistake {
    Body(JsonRejection),
    Fault,
    Inbound(InboundError),
    Clock,
}

impl IntoResponse for Mistake {
    fn into_response(self) -> Response {
        let error = match self {
            Self::Body(rejection) => rejection.body_text(),
            Self::Fault => {
                r#"a fault is {"kind": ..., "count": n}, or for sends {"kind": ..., "per_mille": 0 to 1000}; GET /_emulator/ lists the kinds"#.to_owned()
            }
            Self::Inbound(error) => error.to_string(),
            Self::Clock => "give either offset_seconds or advance_seconds".to_owned(),
        };
        (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
    }
}

async fn inbound(
    State(desk): State<Arc<Desk>>,
    body: Result<Json<Inbound>, JsonRejection>,
) -> Result<Json<InboundAnswer>, Mistake> {
    let Json(inbound) = body.map_err(Mistake::Body)?;
    let answer = desk.inbound(inbound).await.map_err(Mistake::Inbound)?;
    Ok(Json(answer))
}

#[derive(Deserialize)]
struct Injection {
    #[serde(flatten)]
    fault: Fault,
    #[serde(default = "once")]
    count: u32,
    /// Instead of `count`: with how many of a thousand sends, until the faults are forgotten.
    per_mille: Option<u16>,
}

fn once() -> u32 {
    1
}

async fn inject(
    State(desk): State<Arc<Desk>>,
    body: Result<Json<Injection>, JsonRejection>,
) -> Result<Json<Value>, Mistake> {
    let Json(Injection { fault, count, per_mille }) = body.map_err(|_| Mistake::Fault)?;
    match (fault, per_mille) {
        (fault, None) => Ok(Json(json!({"waiting": desk.inject(fault, count)}))),
        (Fault::Send(fault), Some(per_mille)) if per_mille <= 1000 => {
            desk.world().faults.add_share(Share { fault, per_mille });
            Ok(Json(json!({"waiting": desk.world().faults.waiting()})))
        }
        (Fault::Send(_) | Fault::Webhook(_), Some(_)) => Err(Mistake::Fault),
    }
}

async fn clear(State(desk): State<Arc<Desk>>) -> Json<Value> {
    desk.world().faults.clear();
    Json(json!({"waiting": 0}))
}

async fn release(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(json!({"released": desk.release()}))
}

async fn messages(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(json!({"messages": desk.world().messages}))
}

#[derive(Serialize)]
struct Webhooks {
    webhooks: Vec<Webhook>,
}

async fn webhooks(State(desk): State<Arc<Desk>>) -> Json<Webhooks> {
    Json(Webhooks { webhooks: desk.courier.delivered() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Movement {
    offset_seconds: Option<i64>,
    advance_seconds: Option<i64>,
}

#[derive(Serialize)]
struct ClockShown {
    now: Timestamp,
    offset_seconds: i64,
}

async fn clock(State(desk): State<Arc<Desk>>) -> Json<ClockShown> {
    Json(ClockShown { now: desk.time.now(), offset_seconds: desk.time.offset_seconds() })
}

async fn move_clock(
    State(desk): State<Arc<Desk>>,
    body: Result<Json<Movement>, JsonRejection>,
) -> Result<Json<ClockShown>, Mistake> {
    let Json(movement) = body.map_err(Mistake::Body)?;
    match (movement.offset_seconds, movement.advance_seconds) {
        (Some(seconds), None) => desk.time.set_offset_seconds(seconds),
        (None, Some(seconds)) => desk.time.advance_seconds(seconds),
        (None, None) | (Some(_), Some(_)) => return Err(Mistake::Clock),
    }
    Ok(clock(State(desk)).await)
}

async fn conversations(State(desk): State<Arc<Desk>>) -> String {
    chat::render(&desk.world(), desk.time.now())
}
