//! Why a send is refused, and the bodies in which Connectly says so.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Connectly's error type for the 24-hour rule, as seen in production (its documentation says `DEADLINE_EXCEEDED`).
const FAILED_PRECONDITION: &str = "ERROR_TYPE_FAILED_PRECONDITION";
const INVALID_REQUEST: &str = "ERROR_TYPE_INVALID_REQUEST";
const AUTHENTICATION: &str = "ERROR_TYPE_AUTHENTICATION";
const TYPE_UNSPECIFIED: &str = "ERROR_TYPE_UNSPECIFIED";
const CODE_UNSPECIFIED: &str = "ERROR_CODE_UNSPECIFIED";

/// gRPC's `RESOURCE_EXHAUSTED` and `NOT_FOUND`, which the gateway in front of Connectly prints as numbers.
const GRPC_RESOURCE_EXHAUSTED: u8 = 8;
const GRPC_NOT_FOUND: u8 = 5;

/// Why a send is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No key, or one that is not this business's.
    #[error("the API key is missing or not valid for this business")]
    Key,
    /// Not JSON, or a field of the wrong type.
    #[error("the body is malformed at line {line} column {column}")]
    Malformed { line: usize, column: usize },
    /// A required field is absent or empty.
    #[error("{0} is required")]
    Missing(&'static str),
    /// A field whose value cannot be.
    #[error("{0} is invalid")]
    Invalid(&'static str),
    /// No channel of the type asked for.
    #[error("the business has no channel of this type")]
    Channel,
    /// The sender is no number of the business.
    #[error("the sender is not a number of this business")]
    Sender,
    /// The recipient is not in E.164 form.
    #[error("the recipient's number is not in E.164 format")]
    NumberFormat,
    /// The recipient is known by a BSUID only.
    #[error("sending to customers without a phone number is not available yet")]
    Phoneless,
    /// The recipient is the business itself.
    #[error("a business cannot write to itself")]
    ToSelf,
    /// No content, or a text of nothing but space.
    #[error("the message has no text")]
    TextEmpty,
    /// More than one kind of content.
    #[error("the message has more than one content type")]
    Ambiguous,
    /// More than one attachment.
    #[error("a message takes one attachment")]
    AttachmentsNumber,
    /// An attachment without URL.
    #[error("the attachment's url is empty")]
    AttachmentEmpty,
    /// An attachment whose URL or type cannot be.
    #[error("the attachment is invalid")]
    AttachmentInvalid,
    /// callbackData over the limit.
    #[error("callbackData exceeds 1024 bytes")]
    CallbackData,
    /// No approved template has this name and language.
    #[error("no approved template has this name and language")]
    TemplateNotFound,
    /// Parameters that are not the template's.
    #[error("the parameters of the template are invalid: {0}")]
    TemplateInput(&'static str),
    /// The customer wants no more messages.
    #[error("the customer has opted out")]
    OptedOut,
    /// The customer has not written within 24 hours.
    #[error("the message is outside of the customer's 24-hour window")]
    Window,
}

impl Refusal {
    /// The one table from what went wrong to Connectly's words: type and code.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Key => (AUTHENTICATION, CODE_UNSPECIFIED),
            Self::Malformed { .. }
            | Self::Missing(_)
            | Self::Invalid(_)
            | Self::Phoneless
            | Self::Ambiguous
            | Self::CallbackData => (INVALID_REQUEST, CODE_UNSPECIFIED),
            Self::Channel => (INVALID_REQUEST, "ERROR_CODE_BUSINESS_MISSES_MATCHING_CHANNEL"),
            Self::Sender => (INVALID_REQUEST, "ERROR_CODE_INVALID_SENDER_ID"),
            Self::NumberFormat => (INVALID_REQUEST, "ERROR_CODE_PHONE_NUMBER_BAD_FORMAT"),
            Self::ToSelf => (INVALID_REQUEST, "ERROR_CODE_MESSAGE_SELF_INVALID"),
            Self::TextEmpty => (INVALID_REQUEST, "ERROR_CODE_MESSAGE_TEXT_EMPTY"),
            Self::AttachmentsNumber => (INVALID_REQUEST, "ERROR_CODE_MESSAGE_ATTACHMENTS_NUMBER_INVALID"),
            Self::AttachmentEmpty => (INVALID_REQUEST, "ERROR_CODE_MESSAGE_ATTACHMENT_EMPTY"),
            Self::AttachmentInvalid => (INVALID_REQUEST, "ERROR_CODE_MESSAGE_ATTACHMENT_INVALID"),
            Self::TemplateNotFound => (INVALID_REQUEST, "ERROR_CODE_MESSAGE_TEMPLATE_NOT_FOUND"),
            Self::TemplateInput(_) => (INVALID_REQUEST, "ERROR_CODE_MESSAGE_TEMPLATE_INPUT_INVALID"),
            Self::OptedOut => (FAILED_PRECONDITION, "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT"),
            Self::Window => (FAILED_PRECONDITION, "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW"),
        }
    }

    fn status(self) -> StatusCode {
        if self == Self::Key { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST }
    }
}

impl From<serde_json::Error> for Refusal {
    /// Says where the body is wrong and not what stands there.
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed { line: error.line(), column: error.column() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), Json(ErrorBody::from(self))).into_response()
    }
}

/// Connectly's error object, the same in an HTTP answer and in a status webhook.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorBody {
    message: String,
    #[serde(rename = "type")]
    error_type: String,
    code: String,
    user_title: &'static str,
    user_message: &'static str,
    cnt_trace_id: String,
    details: Map<String, Value>,
}

impl ErrorBody {
    /// The error with this code, and the type that Connectly uses when it names none.
    pub(super) fn of_code(code: &str, error_type: Option<&str>) -> Self {
        Self::new("the message could not be delivered", error_type.unwrap_or(TYPE_UNSPECIFIED), code)
    }

    fn new(message: &str, error_type: &str, code: &str) -> Self {
        Self {
            message: message.to_owned(),
            error_type: error_type.to_owned(),
            code: code.to_owned(),
            user_title: "Message not sent",
            user_message: "The message could not be sent. Please contact support with the cnct_trace_id.",
            cnt_trace_id: trace_id(),
            details: Map::new(),
        }
    }
}

impl From<Refusal> for ErrorBody {
    fn from(refusal: Refusal) -> Self {
        let (error_type, code) = refusal.names();
        Self::new(&refusal.to_string(), error_type, code)
    }
}

/// A trace id as Connectly prints it: an unsigned 64-bit number as text, here always too large for a signed one, so that
/// a reader who takes it for a number notices.
pub(super) fn trace_id() -> String {
    (rand::random::<u64>() | 1 << 63).to_string()
}

/// 400 with this code, for a reason that the emulator does not know.
pub(super) fn refused(code: &str, error_type: Option<&str>) -> Response {
    (StatusCode::BAD_REQUEST, Json(ErrorBody::of_code(code, error_type))).into_response()
}

/// 429, in the words of the gateway, which knows nothing of Connectly's error object.
pub(super) fn rate_limited(retry_after_seconds: Option<u64>) -> Response {
    let body =
        Json(json!({"code": GRPC_RESOURCE_EXHAUSTED, "message": "rate limit exceeded", "details": []}));
    let status = StatusCode::TOO_MANY_REQUESTS;
    match retry_after_seconds {
        Some(seconds) => (status, [("retry-after", seconds.to_string())], body).into_response(),
        None => (status, body).into_response(),
    }
}

/// A 5xx: Connectly's own words for 500, a proxy's page for the others. What is no 5xx is taken for 500.
pub(super) fn server_error(status: u16) -> Response {
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(StatusCode::is_server_error)
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        let body = ErrorBody::new("Internal server error", TYPE_UNSPECIFIED, CODE_UNSPECIFIED);
        return (status, Json(body)).into_response();
    }
    let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n");
    (status, axum::response::Html(page)).into_response()
}

/// 404 for a path that Connectly does not have, in the words of the gateway.
pub(super) async fn not_found() -> Response {
    let body = Json(json!({"code": GRPC_NOT_FOUND, "message": "Not Found", "details": []}));
    (StatusCode::NOT_FOUND, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_refusal_reads_as_in_production() {
        let body = serde_json::to_value(ErrorBody::from(Refusal::Window)).unwrap();
        assert_eq!(body["type"], "ERROR_TYPE_FAILED_PRECONDITION");
        assert_eq!(body["code"], "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW");
        assert_eq!(body["details"], json!({}));
        assert!(Refusal::Window.status().is_client_error());
    }

    #[test]
    fn trace_ids_exceed_a_signed_number() {
        let body = serde_json::to_value(ErrorBody::of_code("ERROR_CODE_X", None)).unwrap();
        let trace_id = body["cntTraceId"].as_str().unwrap();
        assert!(trace_id.parse::<i64>().is_err());
        assert!(trace_id.parse::<u64>().is_ok());
    }

    #[test]
    fn a_malformed_body_is_not_quoted() {
        let error = serde_json::from_str::<u8>(r#""+15550100001""#).unwrap_err();
        assert!(!Refusal::from(error).to_string().contains("555"));
    }

    #[test]
    fn only_a_5xx_is_a_server_error() {
        assert_eq!(server_error(503).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(server_error(200).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
