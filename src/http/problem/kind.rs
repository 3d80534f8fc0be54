//! Every kind of refusal: one table of what is promised about each.

use axum::http::StatusCode;

/// Seconds after which to come back when a queue was full: groups are committed many times a second.
const RETRY_SOON: Header = Some(("retry-after", "1"));
/// Seconds after which to come back when the store was away: about what a database takes to fail over.
const RETRY_LATER: Header = Some(("retry-after", "5"));

type Header = Option<(&'static str, &'static str)>;

/// What all problems of one kind have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) status: StatusCode,
    /// The stable `type`, a URI reference.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Said when there is nothing more particular to say.
    pub(super) detail: &'static str,
    pub(super) header: Header,
}

pub(super) static INVALID_PARAMETER: Kind = Kind {
    status: StatusCode::BAD_REQUEST,
    name: "/problems/invalid-parameter",
    title: "A parameter is not valid",
    detail: "a parameter has a value that it does not take",
    header: None,
};

pub(super) static UNKNOWN_PARAMETER: Kind = Kind {
    status: StatusCode::BAD_REQUEST,
    name: "/problems/unknown-parameter",
    title: "A parameter is not known",
    detail: "this path takes no such parameter",
    header: None,
};

pub(super) static REPEATED_PARAMETER: Kind = Kind {
    status: StatusCode::BAD_REQUEST,
    name: "/problems/repeated-parameter",
    title: "A parameter is repeated",
    detail: "every parameter is taken once",
    header: None,
};

pub(super) static KEY_REUSED: Kind = Kind {
    status: StatusCode::UNPROCESSABLE_ENTITY,
    name: "/problems/idempotency-key-reused",
    title: "The idempotency key was used for another request",
    detail: "a request with another body came under this Idempotency-Key within 24 hours: use a new key for each message",
    header: None,
};

pub(super) static INVALID_BODY: Kind = Kind {
    status: StatusCode::BAD_REQUEST,
    name: "/problems/invalid-body",
    title: "The body is not valid",
    detail: "the body is not what this path takes",
    header: None,
};

pub(super) static UNREADABLE_BODY: Kind = Kind {
    status: StatusCode::BAD_REQUEST,
    name: "/problems/unreadable-body",
    title: "The body could not be read",
    detail: "the connection or the encoding broke off before the body's end",
    header: None,
};

pub(super) static INVALID_SIGNATURE: Kind = Kind {
    status: StatusCode::UNAUTHORIZED,
    name: "/problems/invalid-signature",
    title: "The signature is not valid",
    detail: "the delivery carries no valid signature for this URL",
    header: None,
};

pub(super) static INVALID_TOKEN: Kind = Kind {
    status: StatusCode::UNAUTHORIZED,
    name: "/problems/invalid-token",
    title: "A valid token is required",
    detail: "send the admin token as `Authorization: Bearer <token>`",
    header: Some(("www-authenticate", "Bearer")),
};

pub(super) static NOT_FOUND: Kind = Kind {
    status: StatusCode::NOT_FOUND,
    name: "/problems/not-found",
    title: "Not found",
    detail: "there is nothing under this path",
    header: None,
};

pub(super) static METHOD_NOT_ALLOWED: Kind = Kind {
    status: StatusCode::METHOD_NOT_ALLOWED,
    name: "/problems/method-not-allowed",
    title: "Method not allowed",
    detail: "the header `Allow` lists the methods of this path",
    header: None,
};

pub(super) static BODY_TOO_SLOW: Kind = Kind {
    status: StatusCode::REQUEST_TIMEOUT,
    name: "/problems/body-too-slow",
    title: "The body came too slowly",
    detail: "the body did not arrive within the time limit",
    header: None,
};

pub(super) static CONFLICT: Kind = Kind {
    status: StatusCode::CONFLICT,
    name: "/problems/conflict",
    title: "Not in this state",
    detail: "the thing is not in a state that allows this",
    header: None,
};

pub(super) static BODY_PURGED: Kind = Kind {
    status: StatusCode::GONE,
    name: "/problems/body-purged",
    title: "The body is no longer kept",
    detail: "the event is known, but its body is older than what retention keeps",
    header: None,
};

pub(super) static BODY_TOO_LARGE: Kind = Kind {
    status: StatusCode::PAYLOAD_TOO_LARGE,
    name: "/problems/body-too-large",
    title: "The body is too large",
    detail: "the body is longer than what is accepted",
    header: None,
};

pub(super) static INVALID_FIELD: Kind = Kind {
    status: StatusCode::UNPROCESSABLE_ENTITY,
    name: "/problems/invalid-field",
    title: "A field is not valid",
    detail: "a field of the body is missing, or has a value that it does not take",
    header: None,
};

pub(super) static UNKNOWN_FIELD: Kind = Kind {
    status: StatusCode::UNPROCESSABLE_ENTITY,
    name: "/problems/unknown-field",
    title: "A field is not known",
    detail: "the body has a field that this path does not take",
    header: None,
};

pub(super) static UNKNOWN_HOST: Kind = Kind {
    status: StatusCode::MISDIRECTED_REQUEST,
    name: "/problems/unknown-host",
    title: "Unknown host",
    detail: "the Host header is neither a loopback name nor listed in `admin.hosts`",
    header: None,
};

pub(super) static INTERNAL: Kind = Kind {
    status: StatusCode::INTERNAL_SERVER_ERROR,
    name: "/problems/internal",
    title: "Internal error",
    detail: "something went wrong here; the log says what",
    header: None,
};

pub(super) static BUSY: Kind = Kind {
    status: StatusCode::SERVICE_UNAVAILABLE,
    name: "/problems/busy",
    title: "Busy",
    detail: "too much is under way; the same request may succeed in a moment",
    header: RETRY_SOON,
};

pub(super) static UNAVAILABLE: Kind = Kind {
    status: StatusCode::SERVICE_UNAVAILABLE,
    name: "/problems/unavailable",
    title: "Unavailable",
    detail: "the store cannot be reached; the same request may succeed later",
    header: RETRY_LATER,
};

pub(super) static NOT_READY: Kind = Kind {
    status: StatusCode::SERVICE_UNAVAILABLE,
    name: "/problems/not-ready",
    title: "Not ready",
    detail: "the service is starting, stopping, or cannot reach its store",
    header: RETRY_LATER,
};
