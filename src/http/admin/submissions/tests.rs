//! Requests to send, through the router.

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
        (json!({"to": "+15550100001", "message": hi, "fallback": {"language": "en"}}), "fallback.template"),
        (json!({"to": "+15550100001", "message": hi, "callback_data": "x".repeat(1023)}), "callback_data"),
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
async fn a_refusal_tells_what_was_found() {
    let admin = admin(|store| store.submitted = Some(|| Submitted::NoSender));
    let hi = json!({"text": "hi"});
    for (body, told) in [
        (json!({"to": "+1 (23)", "message": hi}), "like US.1349; this has 3 digits"),
        (json!({"to": "+9995550100101123456", "message": hi}), "like US.1349; this has 19 digits"),
        (json!({"to": "0015550100001", "message": hi}), "like US.1349; this begins with 0"),
        (json!({"to": "us.1", "message": hi}), "a user id (BSUID), like US.1349"),
        (
            json!({"to": "+15550100001", "message": hi, "template": hi}),
            "`message` takes nothing beside a `template`: give one of them",
        ),
        (
            json!({"to": "+15550100001", "message": hi, "campaign": "x".repeat(201)}),
            "a name of 1 to 200 characters, and this has 201",
        ),
        (json!({"to": "+15550100001", "message": hi, "colour": "red"}), "campaign, order, and not `colour`"),
    ] {
        let problem = assert_refused(call(&admin.router, post(&body)).await, 422).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with(told), "{detail}");
    }
    let mut broken = post(&json!({}));
    *broken.body_mut() = r#"{"to": "+15550100001", 'message': 5}"#.into();
    let problem = assert_refused(call(&admin.router, broken).await, 400).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("it cannot be read as JSON at line 1, column 24; it takes {"), "{detail}");
}

#[tokio::test]
async fn a_campaign_is_stored_as_it_is_searched_by() {
    let admin = admin(|store| store.submitted = Some(|| Submitted::Queued(message(1))));
    let body = json!({"to": "+15550100001", "message": {"text": "hi"}, "campaign": " spring\u{0}sale "});
    assert_eq!(call(&admin.router, post(&body)).await.status(), 202);
    let submission = admin.store.submission.lock().unwrap().clone().unwrap();
    assert_eq!(submission.campaign.as_deref(), Some("spring\u{fffd}sale"));
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
    let takes = "`Idempotency-Key` takes one key of 1 to 255 visible ASCII characters, and";
    for (key, found) in [
        ("", "this has 0"),
        (" ", "this has 0"),
        (&"x".repeat(256), "this has 256"),
        ("two words", "this has others"),
        ("schl\u{fc}ssel", "this has others"),
    ] {
        let problem = assert_refused(call(&admin.router, with_key(&body, key)).await, 400).await;
        assert_eq!(problem["parameter"], "Idempotency-Key");
        assert_eq!(problem["detail"], format!("{takes} {found}"));
    }
    let mut twice = with_key(&body, "order-5");
    twice.headers_mut().append(IDEMPOTENCY_KEY, "order-6".parse().unwrap());
    let problem = assert_refused(call(&admin.router, twice).await, 400).await;
    assert_eq!(problem["detail"], format!("{takes} there are several"));
}

/// Makes something in a request so long.
type Change = fn(&mut Value, usize);

#[tokio::test]
async fn every_limit_holds_to_the_last_character() {
    let admin = admin(|store| store.submitted = Some(|| Submitted::Queued(message(1))));
    let asked = |change: Change, size: usize| {
        let mut body = json!({"to": "+15550100001", "message": {"text": "hi"}});
        change(&mut body, size);
        body
    };
    let digits = |body: &mut Value, size| body["to"] = "5".repeat(size).into();
    let user_id = |body: &mut Value, size| body["to"] = format!("US.{}", "x".repeat(size)).into();
    let text = |body: &mut Value, size| body["message"]["text"] = "é".repeat(size).into();
    let campaign = |body: &mut Value, size| body["campaign"] = "é".repeat(size).into();
    let data = |body: &mut Value, size: usize| body["callback_data"] = "x".repeat(size - 2).into();
    let limits: [(Change, usize, usize); 6] = [
        (digits, 15, 16),
        (digits, 8, 7),
        (user_id, 128, 129),
        (text, 4096, 4097),
        (campaign, 200, 201),
        (data, 1024, 1025),
    ];
    for (change, inside, outside) in limits {
        let answer = call(&admin.router, post(&asked(change, inside))).await;
        assert_eq!(answer.status(), 202, "{inside}");
        assert_refused(call(&admin.router, post(&asked(change, outside))).await, 422).await;
    }
    let body = asked(|_, _| {}, 0);
    assert_eq!(call(&admin.router, with_key(&body, &"k".repeat(255))).await.status(), 202);
    assert_refused(call(&admin.router, with_key(&body, &"k".repeat(256))).await, 400).await;
}
