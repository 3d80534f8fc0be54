//! The two endpoints that send, under `/v1/businesses/{businessId}/send`: `messages` for session messages and
//! `whatsapp_templated_messages` for templates. They share the key, the rate limit and the faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret as _;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::connection::Connection;
use super::desk::{Admission, Desk};
use super::errors::{Refusal, rate_limited, refused, server_error};
use super::faults::SendFault;
use super::outbound::Outbound;
use super::world::Arrival;

/// The headers worth showing beside a message: who sent it, and what could tell one try from the next.
const HEADERS_OF_INTEREST: [&str; 6] =
    ["user-agent", "content-type", "accept", "idempotency-key", "x-request-id", "traceparent"];

/// A request to send, taken apart.
type Call = (State<Arc<Desk>>, Path<String>, ConnectInfo<Connection>, HeaderMap, Bytes);

/// Accepts a session message or refuses it as Connectly would, unless a fault has it otherwise.
pub(super) async fn session(call: Call) -> Response {
    answer(call, |_, body| Outbound::session(body)).await
}

/// The same for a template.
pub(super) async fn template(call: Call) -> Response {
    answer(call, |desk, body| Outbound::template(body, desk.settings.any_template)).await
}

async fn answer(call: Call, read: fn(&Desk, &[u8]) -> Result<Outbound, Refusal>) -> Response {
    let (State(desk), Path(business), ConnectInfo(connection), headers, body) = call;
    if !authenticated(&desk, &business, &headers) {
        return Refusal::Key.into_response();
    }
    let Admission::Admitted(fault) = desk.admit() else {
        return rate_limited(None);
    };
    if let Some(early) = before_accepting(&desk, fault.as_ref()).await {
        return early;
    }
    let read = read(&desk, &body);
    match read.and_then(|outbound| accept(&desk, outbound, &headers, &body, fault.as_ref())) {
        Ok(accepted) => after_accepting(fault.as_ref(), accepted, &connection),
        Err(refusal) => {
            tracing::info!(send.refusal = ?refusal, "refused a send");
            refusal.into_response()
        }
    }
}

/// A key belongs to one business, so another business's id is answered like another key.
pub(super) fn authenticated(desk: &Desk, business: &str, headers: &HeaderMap) -> bool {
    let given = headers.get("x-api-key").map_or(&b""[..], |key| key.as_bytes());
    let expected = desk.settings.api_key.expose_secret().as_bytes();
    bool::from(given.ct_eq(expected)) && business == desk.settings.business_id
}

/// What goes wrong before the message counts as accepted.
async fn before_accepting(desk: &Desk, fault: Option<&SendFault>) -> Option<Response> {
    match fault? {
        SendFault::RateLimited { retry_after_seconds } => Some(rate_limited(*retry_after_seconds)),
        SendFault::ServerError { status } => Some(server_error(*status)),
        SendFault::Refused { code, error_type } => Some(refused(code, error_type.as_deref())),
        SendFault::Slow { milliseconds } => {
            let pause = tokio::time::sleep(Duration::from_millis(*milliseconds));
            desk.stop.run_until_cancelled(pause).await;
            None
        }
        SendFault::ServerErrorAfterAccepting { .. }
        | SendFault::LostAnswer
        | SendFault::WindowRefused
        | SendFault::WindowRefusedLater
        | SendFault::OptedOut
        | SendFault::OptedOutLater
        | SendFault::WrongSender
        | SendFault::Failed { .. } => None,
    }
}

fn accept(
    desk: &Desk,
    outbound: Outbound,
    headers: &HeaderMap,
    body: &[u8],
    fault: Option<&SendFault>,
) -> Result<Response, Refusal> {
    let arrival = Arrival { body: serde_json::from_slice(body)?, headers: of_interest(headers) };
    let id = desk.accept(outbound, arrival, fault)?;
    tracing::info!(message.id = %id, "accepted a send");
    Ok(Json(json!({"id": id.to_string()})).into_response())
}

/// What goes wrong with the answer of a message that was accepted.
fn after_accepting(fault: Option<&SendFault>, accepted: Response, connection: &Connection) -> Response {
    match fault {
        Some(SendFault::ServerErrorAfterAccepting { status }) => server_error(*status),
        Some(SendFault::LostAnswer) => {
            connection.cut();
            accepted
        }
        Some(
            SendFault::RateLimited { .. }
            | SendFault::ServerError { .. }
            | SendFault::Slow { .. }
            | SendFault::WindowRefused
            | SendFault::WindowRefusedLater
            | SendFault::OptedOut
            | SendFault::OptedOutLater
            | SendFault::Refused { .. }
            | SendFault::WrongSender
            | SendFault::Failed { .. },
        )
        | None => accepted,
    }
}

fn of_interest(headers: &HeaderMap) -> BTreeMap<String, String> {
    let shown = |name: &str| Some((name.to_owned(), headers.get(name)?.to_str().ok()?.to_owned()));
    HEADERS_OF_INTEREST.into_iter().filter_map(shown).collect()
}
