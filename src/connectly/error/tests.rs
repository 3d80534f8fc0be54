use serde_json::json;

use super::codes::{CODES, Judgement};
use super::*;

#[test]
fn connectlys_own_body_is_read() {
    let detail = ErrorDetail::from_body(
        br#"{"message":"m","type":"ERROR_TYPE_UNSPECIFIED","code":"ERROR_CODE_UNSPECIFIED","userTitle":"t",
            "userMessage":"u","cntTraceId":"11824978358485860716","details":{}}"#,
    );
    assert_eq!(
        serde_json::to_value(&detail).unwrap(),
        json!({"code": "ERROR_CODE_UNSPECIFIED", "type": "ERROR_TYPE_UNSPECIFIED", "message": "m",
            "trace_id": "11824978358485860716", "title": "t"})
    );
}

#[test]
fn the_stored_form_reads_back() {
    let detail = ErrorDetail {
        code: Some("c".to_owned()),
        error_type: Some("t".to_owned()),
        message: Some("m".to_owned()),
        trace_id: Some("1".to_owned()),
        title: Some("h".to_owned()),
    };
    let stored = serde_json::to_string(&detail).unwrap();
    assert_eq!(serde_json::from_str::<ErrorDetail>(&stored).unwrap(), detail);
}

#[test]
fn every_other_body_is_read_as_far_as_it_goes() {
    let read = |body: &str| {
        let detail = ErrorDetail::from_body(body.as_bytes());
        (detail.code, detail.message, detail.trace_id)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(read(""), (None, None, None));
    assert_eq!(read("<!doctype html><p>502</p>"), (None, None, None));
    assert_eq!(read("no healthy\nupstream"), (None, text("no healthy upstream"), None));
    assert_eq!(read(r#"{"code":16,"message":"no","details":[{}]}"#), (text("16"), text("no"), None));
    assert_eq!(read(r#"{"cntTraceId":11824978358485860716}"#), (None, None, text("11824978358485860716")));
    assert_eq!(read(r#"{"error":{"code":"C"}}"#), (text("C"), None, None));
    assert_eq!(read(r#"{"error":"words"}"#), (None, text("words"), None));
    assert_eq!(read(r#"{"message":null,"userMessage":"u","error":null}"#), (None, text("u"), None));
    assert_eq!(read(r#"{"code":{},"message":[]}"#), (None, None, None));
    assert_eq!(read("[1]"), (None, None, None));
    assert_eq!(read("\u{feff}\"").1.map(|text| text.chars().count()), Some(2));
}

#[test]
fn a_long_text_is_cut_to_what_is_kept() {
    let detail = ErrorDetail::from_message(&"é".repeat(10_000));
    assert_eq!(detail.message.map(|text| text.chars().count()), Some(LONGEST_TEXT));
}

#[test]
fn debug_output_shows_known_codes_only() {
    let detail = ErrorDetail {
        code: Some("ERROR_CODE_MESSAGE_SELF_INVALID".to_owned()),
        message: Some("+15550100001".to_owned()),
        title: Some("+15550100001".to_owned()),
        ..ErrorDetail::default()
    };
    let shown = format!("{:?}", SendAnswer::Refused(detail));
    assert_eq!(shown, r#"Refused(ErrorDetail { code: "ERROR_CODE_MESSAGE_SELF_INVALID", .. })"#);
    let detail = ErrorDetail { code: Some("15550100001".to_owned()), ..ErrorDetail::default() };
    assert_eq!(format!("{detail:?}"), r#"ErrorDetail { code: "other", .. }"#);
}

/// Connectly's table of codes, as far as it could be read, with what each is to us.
const DOCUMENTED: &[(&str, Judgement, bool)] = &[
    ("ERROR_CODE_INVALID_SENDER_ID", Judgement::Refused, false),
    ("ERROR_CODE_PHONE_NUMBER_BAD_FORMAT", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_ATTACHMENTS_NUMBER_INVALID", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_TEXT_EMPTY", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_TEMPLATE_NOT_FOUND", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_TEMPLATE_INPUT_INVALID", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_ATTACHMENT_EMPTY", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_ATTACHMENT_INVALID", Judgement::Refused, false),
    ("ERROR_CODE_BUSINESS_MISSES_MATCHING_CHANNEL", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW", Judgement::WindowClosed, false),
    ("ERROR_CODE_BUSINESS_REACHED_LIMITS", Judgement::Refused, true),
    ("ERROR_CODE_MESSAGE_SELF_INVALID", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT", Judgement::OptedOut, false),
    ("ERROR_CODE_MESSAGE_CUSTOMER_NO_CONVERSATION_INITIATION", Judgement::WindowClosed, false),
    ("ERROR_CODE_BUSINESS_KEY_SECRET_ABSENT", Judgement::Refused, false),
    ("ERROR_CODE_MESSAGE_TEMPLATE_DELETED", Judgement::Refused, false),
    ("ERROR_CODE_UNSPECIFIED", Judgement::Unspecified, true),
];

#[test]
fn every_documented_code_has_one_row() {
    for (code, judgement, retried) in DOCUMENTED {
        let rows: Vec<_> = CODES.iter().filter(|row| row.code == *code).collect();
        assert_eq!(rows.len(), 1, "{code}");
        assert_eq!((rows[0].judgement, retryable(code)), (*judgement, *retried), "{code}");
    }
    assert_eq!(CODES.len(), DOCUMENTED.len(), "a code that the table above lacks");
}

#[test]
fn every_row_says_what_it_means_and_what_to_do_in_sentences() {
    for code in CODES.iter().map(|row| row.code) {
        for sentence in [meaning(code).unwrap(), advice(code).unwrap()] {
            assert!(
                sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'),
                "{code}: {sentence}"
            );
        }
    }
}

#[test]
fn a_failure_is_shown_with_what_we_make_of_its_code() {
    let shown = |body: &str| serde_json::to_value(ErrorDetail::from_body(body.as_bytes()).shown()).unwrap();
    assert_eq!(
        shown(
            r#"{"code":"ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW","cntTraceId":11824978358485860716}"#
        ),
        json!({
            "code": "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW",
            "trace_id": "11824978358485860716",
            "retryable": false,
            "meaning": "More than 24 hours have passed since the customer last wrote.",
            "advice": "Send a template.",
        })
    );
    assert_eq!(shown(r#"{"code":131026}"#), json!({"code": "131026", "retryable": false}));
    assert_eq!(shown(r#"{"code":"ERROR_CODE_NEW"}"#), json!({"code": "ERROR_CODE_NEW", "retryable": false}));
}
