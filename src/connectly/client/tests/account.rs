//! Questions about the account: what each answer means, and how templates and quality signals are read.

use wiremock::matchers::{body_string, header, method, path};

use super::*;
use crate::connectly::client::quality::QualitySignal;

/// What the client makes of this answer to a question.
async fn asked(response: ResponseTemplate) -> Result<Vec<QualitySignal>, CallError> {
    let server = MockServer::start().await;
    let mock = Mock::given(method("GET"))
        .and(path("/v1/businesses/biz%201%2F2/get/quality_signals"))
        .and(header("x-api-key", "key-1"));
    mock.respond_with(response).expect(1).mount(&server).await;
    Client::new(&settings(&server.uri())).unwrap().quality().await
}

async fn told(status: u16, body: &str) -> String {
    asked(ResponseTemplate::new(status).set_body_string(body)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_refusal_is_told_by_its_meaning_with_connectlys_words() {
    const WORDS: &str = r#"{"message":"no","type":"ERROR_TYPE_INVALID_REQUEST","code":"ERROR_CODE_UNSPECIFIED",
        "cntTraceId":"11824978358485860716"}"#;
    let behind = ": no (ERROR_CODE_UNSPECIFIED, ERROR_TYPE_INVALID_REQUEST, trace id 11824978358485860716)";
    for (status, begins) in [
        (400, "Connectly refuses it (status 400)"),
        (401, "Connectly refuses the API key (status 401)"),
        (403, "Connectly refuses the API key (status 403)"),
        (404, "Connectly knows no such business or id (status 404): check business_id and base_url"),
        (408, "Connectly answers with status 408: try again later"),
        (409, "Connectly has it already (status 409)"),
        (500, "Connectly answers with status 500: try again later"),
    ] {
        assert_eq!(told(status, WORDS).await, format!("{begins}{behind}"));
        assert_eq!(told(status, "<html>").await, begins);
    }
    assert_eq!(
        told(400, r#"{"type":"ERROR_TYPE_AUTHENTICATION"}"#).await,
        "Connectly refuses the API key (status 400) (ERROR_TYPE_AUTHENTICATION)"
    );
    assert_eq!(
        told(308, WORDS).await,
        "Connectly refuses it (status 308): the base URL answers with a redirect"
    );
    let busy = "Connectly takes no more requests for now (status 429): try again";
    assert_eq!(told(429, WORDS).await, format!("{busy} later"));
    let wait = ResponseTemplate::new(429).insert_header("retry-after", "7");
    assert_eq!(asked(wait).await.unwrap_err().to_string(), format!("{busy} in 7 s"));
}

#[tokio::test]
async fn a_success_that_is_no_answer_is_an_error() {
    for body in ["", "[]", "<html>", "null", "7"] {
        let answer = ResponseTemplate::new(200).set_body_string(body);
        assert_eq!(asked(answer).await, Err(CallError::Unreadable(200)), "{body}");
    }
}

#[tokio::test]
async fn the_key_is_not_repeated_when_a_server_does() {
    let told = told(401, r#"{"message":"key-1 is no key","cntTraceId":"7"}"#).await;
    assert_eq!(told, "Connectly refuses the API key (status 401): *** is no key (trace id 7)");
}

#[tokio::test]
async fn nobody_there_and_no_answer_are_told_apart() {
    let told = async |url: &str| {
        let short = Duration::from_millis(50);
        let settings = ClientSettings { timeout: short, connect_timeout: short, ..settings(url) };
        Client::new(&settings).unwrap().quality().await.unwrap_err().to_string()
    };
    // The port was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(told(&url).await, "Connectly cannot be reached: could not connect");
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_delay(TIMEOUT)).mount(&server).await;
    assert_eq!(told(&server.uri()).await, "Connectly does not answer: no answer in time");
}

#[tokio::test]
async fn quality_signals_are_read_whatever_their_spelling() {
    let body = json!({"entity": {"new": 1, "signals": [
        {"whatsappQualitySignals": {"phoneNumber": "+1 555 010 0002", "wabaId": "1",
            "messagesLimitTier": "WHATS_APP_MESSAGE_LIMIT_TIER_UNSPECIFIED",
            "qualityScore": "WHATS_APP_QUALITY_SCORE_HIGH"}},
        {"whatsapp_quality_signals": {"phone_number": "shop", "messages_limit_tier": null, "quality_score": "NEW"}},
        {"smsQualitySignals": {}}, null,
    ]}});
    let signals = asked(ResponseTemplate::new(200).set_body_json(body)).await.unwrap();
    assert_eq!(
        serde_json::to_value(signals).unwrap(),
        json!([
            {"phone_number": "+15550100002", "waba_id": "1", "messages_limit_tier": "unspecified",
                "quality_score": "high"},
            {"phone_number": "shop", "messages_limit_tier": "unspecified", "quality_score": "new"},
        ])
    );
    assert!(
        asked(ResponseTemplate::new(200).set_body_json(json!({"entity": null}))).await.unwrap().is_empty()
    );
}

/// The templates of an answer, asked for as documented.
async fn templates(body: &Value) -> Value {
    let server = MockServer::start().await;
    let mock = Mock::given(method("POST")).and(path("/v1/businesses/biz%201%2F2/get/templates"));
    let answer = ResponseTemplate::new(200).set_body_json(body);
    mock.and(header("content-length", "0")).and(body_string("")).respond_with(answer).mount(&server).await;
    let templates = Client::new(&settings(&server.uri())).unwrap().templates().await.unwrap();
    let bodies: Vec<_> = templates.iter().map(|template| template.body().map(str::to_owned)).collect();
    json!([templates, bodies])
}

#[tokio::test]
async fn a_template_is_listed_once_for_each_language() {
    let components =
        json!([{"header": {"text": {"text": "Hi"}}}, {"body": {"text": {"text": "Hello {{1}}"}}}]);
    let template = |code: &str, status: &str, reason: Value| {
        json!({"id": "t1", "language": {"code": code}, "status": status, "rejectionReason": reason,
            "createdAt": "2026-01-18T01:07:20.075195879Z", "templateComponents": components,
            "channel": {"id": "c", "externalId": "e", "channelType": "CHANNEL_TYPE_WHATSAPP_CLOUD"}})
    };
    let group = json!({"id": "welcome", "name": "welcome", "category": "MARKETING", "templates": [
        template("en", "MESSAGE_TEMPLATE_STATUS_APPROVED", Value::Null),
        template("pt_BR", "MESSAGE_TEMPLATE_STATUS_REJECTED", "INVALID_FORMAT".into()),
    ]});
    let listed = templates(&json!({"entity": {"templateGroups": [group]}})).await;
    let english = json!({"name": "welcome", "language": "en", "status": "approved", "category": "marketing",
        "channel": "whatsapp_cloud", "id": "t1", "created_at": "2026-01-18T01:07:20.075195879Z",
        "components": components});
    let mut portuguese = english.clone();
    portuguese["language"] = "pt_BR".into();
    portuguese["status"] = "rejected".into();
    portuguese["rejection_reason"] = "INVALID_FORMAT".into();
    assert_eq!(listed, json!([[english, portuguese], ["Hello {{1}}", "Hello {{1}}"]]));
}

#[tokio::test]
async fn a_template_that_whatsapp_alone_describes_is_read_too() {
    let whatsapp = json!({"name": "old", "language": "en", "status": "PAUSED", "rejected_reason": "NONE",
        "last_updated_time": "2026-01-18T01:07:20+0000", "components": [{"type": "BODY", "text": "Hi"}]});
    let strange = json!({"entity": {"template_groups": [{"templates": [
        {"external_template": {"whatsapp": whatsapp}}, {"status": "APPROVED"}, 7]}]}});
    let listed = templates(&strange).await;
    let old = json!({"name": "old", "language": "en", "status": "paused",
        "updated_at": "2026-01-18T01:07:20Z", "components": [{"type": "BODY", "text": "Hi"}]});
    assert_eq!(listed, json!([[old], ["Hi"]]));
    assert_eq!(templates(&json!({})).await, json!([[], []]));
}
