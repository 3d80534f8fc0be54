//! The one table from what Connectly answered to what follows: retried, parked, expired, suppressed, or in doubt.

use std::time::Duration;

use crate::connectly::error::SendAnswer;
use crate::connectly::ids::ProviderMessageId;
use crate::model::job::{RetryPolicy, SoFar};
use crate::store::work::Answer;

/// How long an account waits after Connectly refused its key: a person has to put it right.
const UNAUTHORIZED_PAUSE: Duration = Duration::from_mins(1);
/// How long to wait after a 429 that does not say.
const RATE_LIMITED_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait that one 429 can ask for; another one renews it. A proxy's day would let every window close.
const LONGEST_RATE_LIMIT: Duration = Duration::from_mins(5);
/// Retries of what surely was not processed: until the window closes, or for a template a day.
const NOT_PROCESSED: RetryPolicy = RetryPolicy { attempts: u32::MAX, max_age: Duration::MAX };

/// What follows from an answer.
#[derive(Debug)]
pub(super) struct Verdict {
    /// For the message.
    pub(super) answer: Answer,
    /// In a word, for the log of the job and for metrics.
    pub(super) outcome: &'static str,
    /// Why, when there is something to say.
    pub(super) detail: Option<String>,
    /// How long all of the account's sends wait.
    pub(super) account_waits: Option<Duration>,
}

/// What a request comes to that was not even begun, because the process stood still past its lease.
pub(super) fn not_begun() -> Verdict {
    let answer = Answer::NotProcessed { after: Duration::ZERO, drain: false };
    let detail = Some("the process stood still past its lease".to_owned());
    Verdict { answer, outcome: "not_sent", detail, account_waits: None }
}

/// Judges an answer. `tried` counts the tries, this one included; `jitter` is a random number from 0 to 1.
pub(super) fn judge(answer: SendAnswer, tried: u32, jitter: f64) -> Verdict {
    let again = |after, drain| Answer::NotProcessed { after, drain };
    let verdict = |answer, outcome, detail| Verdict { answer, outcome, detail, account_waits: None };
    match answer {
        SendAnswer::Accepted { provider_message_id } => {
            // In the spelling under which statuses are kept.
            let id = ProviderMessageId::parse(&provider_message_id).map(|id| id.to_string());
            verdict(Answer::Accepted(id.unwrap_or(provider_message_id)), "accepted", None)
        }
        SendAnswer::RateLimited { retry_after } => {
            let after = retry_after.unwrap_or(RATE_LIMITED_PAUSE).min(LONGEST_RATE_LIMIT);
            let detail = Some("Connectly's rate limit".to_owned());
            Verdict { account_waits: Some(after), ..verdict(again(after, true), "rate_limited", detail) }
        }
        SendAnswer::NotSent { why } => {
            let after = NOT_PROCESSED.next(SoFar { tried, ..SoFar::default() }, jitter);
            verdict(again(after.unwrap_or(UNAUTHORIZED_PAUSE), false), "not_sent", Some(why.to_string()))
        }
        SendAnswer::Unauthorized(_) => {
            let detail = Some("Connectly refused the API key".to_owned());
            let waits = UNAUTHORIZED_PAUSE;
            Verdict { account_waits: Some(waits), ..verdict(again(waits, false), "unauthorized", detail) }
        }
        SendAnswer::WindowClosed(error) => {
            let detail = Some(error.known_code().to_owned());
            verdict(Answer::WindowClosed(error), "window_closed", detail)
        }
        SendAnswer::OptedOut(error) => {
            let detail = Some(error.known_code().to_owned());
            verdict(Answer::OptedOut(error), "suppressed", detail)
        }
        SendAnswer::Refused(error) => {
            let detail = Some(error.known_code().to_owned());
            verdict(Answer::Refused(error), "refused", detail)
        }
        SendAnswer::Unknown { why, .. } => verdict(Answer::Unknown, "unconfirmed", Some(why.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectly::error::{Doubt, Unreached};
    use crate::connectly::kind::SendKind;

    /// What becomes of a message, in the words of the documentation.
    fn becomes(answer: SendAnswer) -> &'static str {
        match judge(answer, 1, 0.0).answer {
            Answer::Accepted(_) => "accepted",
            Answer::NotProcessed { .. } => "retry",
            Answer::Refused(_) => "park",
            Answer::WindowClosed(_) => "expire",
            Answer::OptedOut(_) => "suppress",
            Answer::Unknown => "unconfirmed",
        }
    }

    fn answered(kind: SendKind, status: u16, code: &str, error_type: &str) -> &'static str {
        let body = serde_json::json!({ "code": code, "type": error_type, "message": "no" }).to_string();
        becomes(SendAnswer::from_response(kind, status, None, body.as_bytes()))
    }

    const UNSPECIFIED: &str = "ERROR_TYPE_UNSPECIFIED";
    const BOTH: [SendKind; 2] = [SendKind::Session, SendKind::Template];

    /// Every code that Connectly documents, and what becomes of a free-form message and of a template.
    const CODES: [(&str, &str, &str); 17] = [
        ("ERROR_CODE_INVALID_SENDER_ID", "park", "park"),
        ("ERROR_CODE_PHONE_NUMBER_BAD_FORMAT", "park", "park"),
        ("ERROR_CODE_MESSAGE_ATTACHMENTS_NUMBER_INVALID", "park", "park"),
        ("ERROR_CODE_MESSAGE_TEXT_EMPTY", "park", "park"),
        ("ERROR_CODE_MESSAGE_TEMPLATE_NOT_FOUND", "park", "park"),
        ("ERROR_CODE_MESSAGE_TEMPLATE_INPUT_INVALID", "park", "park"),
        ("ERROR_CODE_MESSAGE_ATTACHMENT_EMPTY", "park", "park"),
        ("ERROR_CODE_MESSAGE_ATTACHMENT_INVALID", "park", "park"),
        ("ERROR_CODE_BUSINESS_MISSES_MATCHING_CHANNEL", "park", "park"),
        ("ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW", "expire", "park"),
        ("ERROR_CODE_BUSINESS_REACHED_LIMITS", "park", "park"),
        ("ERROR_CODE_MESSAGE_SELF_INVALID", "park", "park"),
        ("ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID", "park", "park"),
        ("ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT", "suppress", "suppress"),
        ("ERROR_CODE_MESSAGE_CUSTOMER_NO_CONVERSATION_INITIATION", "expire", "park"),
        ("ERROR_CODE_BUSINESS_KEY_SECRET_ABSENT", "park", "park"),
        ("ERROR_CODE_MESSAGE_TEMPLATE_DELETED", "park", "park"),
    ];

    #[test]
    fn a_known_code_decides_whatever_type_and_status_stand_beside_it() {
        for (code, session, template) in CODES {
            for status in [400, 403, 404, 409, 422, 429, 500, 503, 504, 599] {
                for error_type in
                    [UNSPECIFIED, "ERROR_TYPE_INVALID_REQUEST", "ERROR_TYPE_DEADLINE_EXCEEDED", "NEW"]
                {
                    let told = BOTH.map(|kind| answered(kind, status, code, error_type));
                    assert_eq!(told, [session, template], "{status} {code} {error_type}");
                }
            }
        }
    }

    #[test]
    fn a_known_type_decides_when_the_code_says_nothing() {
        let types = [
            ("ERROR_TYPE_INVALID_REQUEST", 400, "park", "park"),
            ("ERROR_TYPE_INVALID_REQUEST", 500, "park", "park"),
            ("ERROR_TYPE_AUTHENTICATION", 401, "retry", "retry"),
            ("ERROR_TYPE_AUTHENTICATION", 403, "retry", "retry"),
            // The closed window: in Connectly's pages, and in production. A template needs none.
            ("ERROR_TYPE_DEADLINE_EXCEEDED", 400, "expire", "park"),
            ("ERROR_TYPE_DEADLINE_EXCEEDED", 504, "expire", "unconfirmed"),
            ("ERROR_TYPE_FAILED_PRECONDITION", 400, "expire", "park"),
            ("ERROR_TYPE_FAILED_PRECONDITION", 500, "expire", "unconfirmed"),
            (UNSPECIFIED, 400, "park", "park"),
            (UNSPECIFIED, 500, "unconfirmed", "unconfirmed"),
            ("ERROR_TYPE_NEW", 400, "park", "park"),
            ("ERROR_TYPE_NEW", 500, "unconfirmed", "unconfirmed"),
        ];
        for (error_type, status, session, template) in types {
            let told = BOTH.map(|kind| answered(kind, status, "", error_type));
            assert_eq!(told, [session, template], "{status} {error_type}");
            // Connectly says "unspecified" of what it does not know itself: with a 5xx it may have sent.
            let unspecified = BOTH.map(|kind| answered(kind, status, "ERROR_CODE_UNSPECIFIED", error_type));
            let expected = if status >= 500 { ["unconfirmed"; 2] } else { told };
            assert_eq!(unspecified, expected, "{status} {error_type}");
        }
    }

    #[test]
    fn the_status_decides_when_code_and_type_are_not_known() {
        let statuses = [
            (400, "park"),
            (401, "retry"),
            (402, "park"),
            (403, "park"),
            (404, "park"),
            (405, "park"),
            (408, "unconfirmed"),
            (409, "park"),
            (410, "park"),
            (413, "park"),
            (418, "park"),
            (422, "park"),
            (429, "retry"),
            (451, "park"),
            (499, "park"),
            (500, "unconfirmed"),
            (501, "unconfirmed"),
            (502, "unconfirmed"),
            (503, "unconfirmed"),
            (504, "unconfirmed"),
            (520, "unconfirmed"),
            (599, "unconfirmed"),
            (302, "park"),
            (307, "park"),
            (304, "unconfirmed"),
            (999, "unconfirmed"),
        ];
        for (status, expected) in statuses {
            for kind in BOTH {
                let new = answered(kind, status, "ERROR_CODE_NEW", "ERROR_TYPE_NEW");
                assert_eq!(new, expected, "{status}");
                for body in
                    ["", "<html>no</html>", "no healthy upstream", r#"{"code":13,"message":"","details":[]}"#]
                {
                    let told = becomes(SendAnswer::from_response(kind, status, None, body.as_bytes()));
                    assert_eq!(told, expected, "{status} {body}");
                }
            }
        }
    }

    #[test]
    fn without_an_answer_only_what_never_left_is_retried() {
        for why in [Unreached::Name, Unreached::TimedOut, Unreached::Refused] {
            assert_eq!(becomes(SendAnswer::NotSent { why }), "retry");
        }
        for why in [Doubt::TimedOut, Doubt::Lost, Doubt::NoId(200), Doubt::Status(500)] {
            assert_eq!(becomes(SendAnswer::Unknown { why, error: None }), "unconfirmed");
        }
    }

    #[test]
    fn a_429_slows_the_whole_account_down_for_as_long_as_it_asks_but_not_for_hours() {
        let waits = |seconds: Option<u64>| {
            let retry_after = seconds.map(Duration::from_secs);
            let verdict = judge(SendAnswer::RateLimited { retry_after }, 1, 0.0);
            let Answer::NotProcessed { after, drain: true } = verdict.answer else {
                panic!("it is tried again")
            };
            assert_eq!(verdict.account_waits, Some(after));
            after.as_secs()
        };
        assert_eq!((waits(None), waits(Some(7)), waits(Some(86_400))), (1, 7, 300));
    }

    #[test]
    fn a_refused_key_lets_the_account_wait_a_minute() {
        let verdict = judge(SendAnswer::from_response(SendKind::Session, 401, None, b""), 1, 0.0);
        assert_eq!(verdict.account_waits, Some(Duration::from_mins(1)));
    }

    #[test]
    fn what_could_not_connect_is_tried_less_and_less_often() {
        let after = |tried| match judge(SendAnswer::NotSent { why: Unreached::Refused }, tried, 1.0).answer {
            Answer::NotProcessed { after, drain: false } => after.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!([1, 2, 3, 10, 1000].map(after), [1, 2, 4, 300, 300]);
    }
}
