//! Messages that somebody asks for: checked, queued, and sent like every other.

mod check;
#[cfg(test)]
mod tests;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Fields, JsonBody, RequestBody};
use super::document::parameters;
use super::document::refusals::{BadBody, Unavailable};
use super::query::NoQuery;
use crate::connectly::text::bounded;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::json::JsonText;
use crate::model::message::Message;
use crate::store::submission::Submitted;
use check::checked;

/// What `to` takes.
const TO_TAKES: &str = "a phone number of 8 to 15 digits in international form, like +15550100001, or a user id (BSUID), like US.1349";

/// What `from` takes.
const FROM_TAKES: &str = "one of the business's numbers: it can be left out when the account has one number only, or when the \
    customer's window with one of them is open";

/// The longest campaign name, in characters; it is stored with every message and searched by.
const LONGEST_CAMPAIGN: usize = 200;

/// What `campaign` takes.
const CAMPAIGN_TAKES: &str = "a name of 1 to 200 characters";

/// What makes a repeat of a request known.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Tells that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest key, in characters.
const LONGEST_KEY: usize = 255;

/// What a key has to be.
const KEY_TAKES: &str = "one key of 1 to 255 visible ASCII characters";

/// A message to send: either `message` or `template`.
#[derive(ToSchema)]
#[schema(as = NewMessage)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    /// The account to send for; `default` when left out.
    account: Option<String>,
    /// A phone number of 8 to 15 digits in international form, or a user id (BSUID).
    #[schema(example = "+15550100001")]
    to: String,
    /// The business's number to send from. When left out: the only one known, else the one with the customer's newest open
    /// window.
    #[schema(example = "+15550100002")]
    from: Option<String>,
    /// Connectly's `message` object, for an open window.
    #[schema(value_type = Option<Object>, example = json!({"text": "Your order is on its way"}))]
    message: Option<Value>,
    /// A template, for any time: `name`, `language`, and `parameters` of `name`, `value` and, for documents, `filename`.
    #[schema(value_type = Option<Object>)]
    template: Option<Value>,
    /// The template to send instead when the window is closed: as `template`, with the key `template` for its name.
    #[schema(value_type = Option<Object>)]
    fallback: Option<Value>,
    /// Any JSON of at most 1,024 bytes, echoed with every event about the message.
    #[schema(value_type = Option<Value>)]
    callback_data: Option<JsonText>,
    /// The campaign that the message is counted under.
    #[schema(min_length = 1, max_length = 200)]
    campaign: Option<String>,
    /// Connectly's `order` object, `{"parentId": ..., "strategy": ...}`: what the message waits for there. Not for templates.
    #[schema(value_type = Option<Object>)]
    order: Option<Value>,
    #[schema(ignore)]
    body_hash: [u8; 32],
}

impl RequestBody for NewMessage {
    const TAKES: &'static str = "it takes {\"to\": ..., \"message\": {...}} or {\"to\": ..., \"template\": {...}}, and optionally \
        `account`, `from`, `fallback`, `callback_data`, `campaign` and `order`";

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let any = |value: &Value| Some(value.clone());
        Ok(Self {
            body_hash: fields.digest(),
            account: fields.optional("account", "an account's name", text)?,
            to: fields.parsed("to", TO_TAKES, text)?,
            from: fields.optional("from", FROM_TAKES, text)?,
            message: fields.optional("message", "Connectly's message object", any)?,
            template: fields.optional("template", "a template", any)?,
            fallback: fields.optional("fallback", "a template", any)?,
            callback_data: fields.optional("callback_data", "any JSON", |data| Some(JsonText::of(data)))?,
            campaign: fields
                .optional("campaign", CAMPAIGN_TAKES, text)?
                .as_deref()
                .map(campaign)
                .transpose()?,
            order: fields.optional("order", "Connectly's order object", any)?,
        })
    }
}

/// A campaign's name as it is stored: what events say of it is searched by in the same form.
fn campaign(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    match name.chars().count() {
        1..=LONGEST_CAMPAIGN => Ok(bounded(name)),
        found => Err(Problem::field("campaign", &format!("{CAMPAIGN_TAKES}, and this has {found}"))),
    }
}

/// The request's `Idempotency-Key`, if it has one.
struct Key(Option<String>);

impl IntoParams for Key {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "A key of the caller's choice. The same request under the same key is answered with the first one's answer for 24 \
            hours, so that it can be repeated safely.";
        vec![parameters::header("Idempotency-Key", about, LONGEST_KEY)]
    }
}

impl FromRequestParts<AdminState> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AdminState) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).into_iter();
        let (first, another) = (given.next(), given.next());
        let Some(value) = first else { return Ok(Self(None)) };
        let key = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
        let found = match key.chars().count() {
            _ if another.is_some() => "there are several".to_owned(),
            _ if !key.bytes().all(|byte| byte.is_ascii_graphic()) => "this has others".to_owned(),
            1..=LONGEST_KEY => return Ok(Self(Some(key))),
            found => format!("this has {found}"),
        };
        Err(Problem::parameter("Idempotency-Key", &format!("{KEY_TAKES}, and {found}")))
    }
}

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(submit))
}

/// Sends a message, or a template.
///
/// It is queued, and sent as replies are: one at a time per conversation, within the account's rate, never twice. Whether the
/// 24-hour window is open and the customer wants messages is looked at when it leaves; ask for the message to see what became
/// of it. Replies go first.
#[utoipa::path(
    post,
    path = "/api/v1/messages",
    operation_id = "send_message",
    tag = "messages",
    params(Key),
    request_body = NewMessage,
    responses(
        (
            status = 202,
            description = "The message is queued. With `Idempotent-Replayed: true` it was before.",
            body = Message,
            headers(("Idempotent-Replayed" = bool, description = "`true` when this answers a repeat of an earlier request.")),
        ),
        BadBody,
        Unavailable,
    ),
)]
async fn submit(
    State(state): State<AdminState>,
    NoQuery: NoQuery,
    Key(key): Key,
    JsonBody(asked): JsonBody<NewMessage>,
) -> Result<Response, Problem> {
    let submission = checked(asked, key, &state)?;
    match state.store.submit(&submission).await? {
        Submitted::Queued(message) => {
            tracing::info!(message.id = %message.id, account = submission.account, "a message was queued");
            state.sends.notify_one();
            Ok(accepted(&message))
        }
        Submitted::Repeated(message) => {
            let mut answer = accepted(&message.as_queued());
            answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(answer)
        }
        Submitted::KeyReused => Err(Problem::key_reused()),
        Submitted::NoSender => Err(Problem::field("from", FROM_TAKES)),
    }
}

fn accepted(message: &Message) -> Response {
    (StatusCode::ACCEPTED, json::answer(message)).into_response()
}
