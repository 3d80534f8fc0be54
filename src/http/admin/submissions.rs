//! Messages that somebody asks for: checked, queued, and sent like every other.

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
use crate::connectly::event::party::Party;
use crate::connectly::message::{Invalid, Strictness};
use crate::connectly::order::Order;
use crate::connectly::phone;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::json::JsonText;
use crate::model::message::Message;
use crate::model::{outgoing, payload};
use crate::store::submission::{RequestKey, Submission, Submitted};

/// The account of a request that names none.
const DEFAULT_ACCOUNT: &str = "default";
/// The digits of a number that can be written to.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// What `to` takes.
const TO_TAKES: &str = "a phone number of 8 to 15 digits in international form, like +15550100001, or a user id (BSUID), like US.1349";
/// What `from` takes.
const FROM_TAKES: &str = "one of the business's numbers: it can be left out when the account has one number only, or when the \
    customer's window with one of them is open";
/// The longest campaign name, in characters; it is stored with every message and searched by.
const LONGEST_CAMPAIGN: usize = 200;
/// What makes a repeat of a request known.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Tells that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key, in characters.
const LONGEST_KEY: usize = 255;

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
        let named = |value: &Value| {
            let name = value.as_str()?.trim();
            (!name.is_empty() && name.chars().count() <= LONGEST_CAMPAIGN).then(|| name.to_owned())
        };
        Ok(Self {
            body_hash: fields.digest(),
            account: fields.optional("account", "an account's name", text)?,
            to: fields.parsed("to", TO_TAKES, text)?,
            from: fields.optional("from", FROM_TAKES, text)?,
            message: fields.optional("message", "Connectly's message object", any)?,
            template: fields.optional("template", "a template", any)?,
            fallback: fields.optional("fallback", "a template", any)?,
            callback_data: fields.optional("callback_data", "any JSON", |data| Some(JsonText::of(data)))?,
            campaign: fields.optional("campaign", "a name of at most 200 characters", named)?,
            order: fields.optional("order", "Connectly's order object", any)?,
        })
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
        let key = value.to_str().unwrap_or_default().trim();
        if another.is_some() || key.is_empty() || key.len() > LONGEST_KEY {
            return Err(Problem::parameter(
                "Idempotency-Key",
                "one key of 1 to 255 visible ASCII characters",
            ));
        }
        Ok(Self(Some(key.to_owned())))
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
        (status = 202, description = "The message is queued. With `Idempotent-Replayed: true` it was before.", body = Message),
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

/// The request as the store takes it, or the field at fault.
fn checked(asked: NewMessage, key: Option<String>, state: &AdminState) -> Result<Submission, Problem> {
    let account = asked.account.clone().unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned());
    if !state.accounts.contains(&account) {
        let known: Vec<&str> = state.accounts.iter().map(String::as_str).collect();
        return Err(Problem::unknown_name("account", &account, &known));
    }
    let refused = |invalid: Invalid| Problem::invalid(&invalid);
    let from =
        asked.from.as_deref().map(|from| outgoing::number(from, "from")).transpose().map_err(refused)?;
    if let Some(data) = &asked.callback_data {
        outgoing::callback_data(data).map_err(refused)?;
    }
    let content = content(&asked, state.strictness)?;
    let order = asked.order.as_ref().map(Order::from_value).transpose().map_err(refused)?;
    Ok(Submission {
        to: party(&asked.to)?,
        from,
        content,
        fallback: asked.fallback,
        callback_data: asked.callback_data,
        campaign: asked.campaign,
        order,
        key: key.map(|key| RequestKey { key, body_hash: asked.body_hash }),
        window_margin: state.window_margin,
        account,
    })
}

/// What is to be sent, within its limits.
fn content(asked: &NewMessage, strictness: Strictness) -> Result<Value, Problem> {
    let (content, warnings) = match (&asked.message, &asked.template) {
        (Some(message), None) => {
            let mut warnings =
                outgoing::message(message, strictness).map_err(|invalid| Problem::invalid(&invalid))?;
            if let Some(fallback) = &asked.fallback {
                let found = outgoing::template(fallback, "fallback", strictness);
                warnings.extend(found.map_err(|invalid| Problem::invalid(&invalid))?);
            }
            (message.clone(), warnings)
        }
        (None, Some(_)) if asked.order.is_some() => {
            return Err(Problem::field(
                "order",
                "nothing beside a template: Connectly has it for messages only",
            ));
        }
        (None, Some(_)) if asked.fallback.is_some() => {
            return Err(Problem::field("fallback", "nothing beside a template, which needs no window"));
        }
        (None, Some(template)) => {
            let found = outgoing::template(template, "template", strictness);
            (payload::content_of(template), found.map_err(|invalid| Problem::invalid(&invalid))?)
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(Problem::field(
                "message",
                "Connectly's message object, unless there is a `template` instead",
            ));
        }
    };
    for warning in warnings {
        tracing::warn!(%warning, "a message is over a limit of WhatsApp's");
    }
    Ok(content)
}

/// Who a text names: somebody with a phone number, or with a user id alone.
fn party(to: &str) -> Result<Party, Problem> {
    let nobody = Party { phone: None, user_id: None, name: None };
    if let Some(phone) = phone::normalize(to) {
        let reachable = DIGITS.contains(&(phone.len() - 1));
        return if reachable {
            Ok(Party { phone: Some(phone), ..nobody })
        } else {
            Err(Problem::field("to", TO_TAKES))
        };
    }
    if is_user_id(to.trim()) {
        return Ok(Party { user_id: Some(to.trim().to_owned()), ..nobody });
    }
    Err(Problem::field("to", TO_TAKES))
}

/// Two capital letters, a dot, and up to 128 letters, digits and dots: Meta's form, with or without the parent's segment.
fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    is_country && (1..=128).contains(&rest.len()) && rest.bytes().all(is_rest)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use serde_json::json;

    use super::*;
    use crate::http::testing::{admin, assert_refused, call, header, message, read_json, request};

    fn post(body: &Value) -> Request<Body> {
        let mut request = request(Method::POST, "/api/v1/messages");
        *request.body_mut() = body.to_string().into();
        request
    }

    fn with_key(body: &Value, key: &str) -> Request<Body> {
        let mut request = post(body);
        request.headers_mut().insert(IDEMPOTENCY_KEY, key.parse().unwrap());
        request
    }

    #[tokio::test]
    async fn a_message_is_queued_as_it_was_asked_for() {
        let admin = admin(|store| store.submitted = Some(|| Submitted::Queued(message(1))));
        let fallback = json!({"template": "reopen", "language": "en"});
        let body = json!({"to": "+1 (555) 010-0001", "from": "15550100002", "message": {"text": "hi"}, "fallback": fallback,
            "callback_data": {"order_id": "5"}, "campaign": "spring"});
        let answer = call(&admin.router, post(&body)).await;
        assert_eq!(answer.status(), 202);
        assert!(read_json(answer).await["id"].is_string());
        let submission = admin.store.submission.lock().unwrap().clone().unwrap();
        assert_eq!(submission.to.phone.as_deref(), Some("+15550100001"));
        assert_eq!(submission.from.as_deref(), Some("+15550100002"));
        assert_eq!((submission.content, submission.fallback), (json!({"text": "hi"}), Some(fallback)));
        assert_eq!(submission.callback_data.unwrap().as_str(), r#"{"order_id":"5"}"#);
        assert_eq!((submission.campaign.as_deref(), submission.key), (Some("spring"), None));
    }

    #[tokio::test]
    async fn a_template_goes_to_a_user_id() {
        let admin = admin(|store| store.submitted = Some(|| Submitted::Queued(message(1))));
        let template =
            json!({"name": "reopen", "language": "en", "parameters": [{"name": "body_1", "value": "Ana"}]});
        let body = json!({"to": "US.13491208655302741918", "template": template, "callback_data": null});
        assert_eq!(call(&admin.router, post(&body)).await.status(), 202);
        let submission = admin.store.submission.lock().unwrap().clone().unwrap();
        assert_eq!(submission.to.user_id.as_deref(), Some("US.13491208655302741918"));
        assert_eq!(submission.content, json!({"template": template}));
        assert_eq!(submission.callback_data.unwrap().as_str(), "null");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_refused_by_its_field() {
        let admin = admin(|store| store.submitted = Some(|| Submitted::NoSender));
        let hi = json!({"text": "hi"});
        let reopen = json!({"name": "reopen", "language": "en"});
        for (body, field) in [
            (json!({"message": hi}), "to"),
            (json!({"to": "1234567", "message": hi}), "to"),
            (json!({"to": "us.1", "message": hi}), "to"),
            (json!({"to": "+15550100001", "from": "shop", "message": hi}), "from"),
            (json!({"to": "+15550100001", "message": hi}), "from"),
            (json!({"to": "+15550100001"}), "message"),
            (json!({"to": "+15550100001", "message": hi, "template": reopen}), "message"),
            (json!({"to": "+15550100001", "message": {"text": "x".repeat(4097)}}), "message.text"),
            (json!({"to": "+15550100001", "message": {"txt": "x"}}), "message.txt"),
            (json!({"to": "+15550100001", "template": {"name": "reopen"}}), "template.language"),
            (json!({"to": "+15550100001", "template": reopen, "fallback": reopen}), "fallback"),
            (json!({"to": "+15550100001", "message": hi, "fallback": {"language": "en"}}), "fallback.name"),
            (
                json!({"to": "+15550100001", "message": hi, "callback_data": "x".repeat(1023)}),
                "callback_data",
            ),
            (
                json!({"to": "+15550100001", "message": hi, "callback_data": {"switchboard": 1}}),
                "callback_data.switchboard",
            ),
            (json!({"to": "+15550100001", "message": hi, "campaign": ""}), "campaign"),
            (json!({"to": "+15550100001", "message": hi, "order": {"strategy": "first"}}), "order.strategy"),
            (json!({"to": "+15550100001", "template": reopen, "order": {"parentId": "x"}}), "order"),
            (json!({"to": "+15550100001", "message": hi, "account": "other"}), "account"),
            (json!({"to": "+15550100001", "message": hi, "colour": "red"}), "colour"),
        ] {
            let problem = assert_refused(call(&admin.router, post(&body)).await, 422).await;
            assert_eq!(problem["parameter"], field, "{body}");
        }
    }

    #[tokio::test]
    async fn a_repeat_is_answered_as_the_first_was() {
        let admin = admin(|store| store.submitted = Some(|| Submitted::Repeated(message(1))));
        let body = json!({"to": "+15550100001", "message": {"text": "hi"}});
        let answer = call(&admin.router, with_key(&body, "order-5")).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "idempotent-replayed")), (202, "true"));
        let shown = read_json(answer).await;
        assert_eq!((&shown["state"], shown.get("provider_message_id")), (&json!("queued"), None));
        let first = admin.store.submission.lock().unwrap().clone().unwrap().key.unwrap();
        assert_eq!(first.key, "order-5");
        // The order of fields is not what is asked for.
        let mut same = with_key(&body, "order-5");
        *same.body_mut() = r#" {"message":{"text":"hi"}, "to":"+15550100001"}"#.into();
        call(&admin.router, same).await;
        assert_eq!(admin.store.submission.lock().unwrap().clone().unwrap().key, Some(first.clone()));
        let other = json!({"to": "+15550100001", "message": {"text": "ho"}});
        call(&admin.router, with_key(&other, "order-5")).await;
        assert_ne!(admin.store.submission.lock().unwrap().clone().unwrap().key, Some(first));
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_or_was_used_otherwise_is_refused() {
        let admin = admin(|store| store.submitted = Some(|| Submitted::KeyReused));
        let body = json!({"to": "+15550100001", "message": {"text": "hi"}});
        let reused = assert_refused(call(&admin.router, with_key(&body, "order-5")).await, 422).await;
        assert_eq!(reused["type"], "/problems/idempotency-key-reused");
        for key in ["", " ", &"x".repeat(256)] {
            let problem = assert_refused(call(&admin.router, with_key(&body, key)).await, 400).await;
            assert_eq!(problem["parameter"], "Idempotency-Key");
        }
    }
}
