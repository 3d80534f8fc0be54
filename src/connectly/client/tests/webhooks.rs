//! Registrations on the wire: what is asked, and how the list is read.

use wiremock::matchers::{method, path};

use super::*;
use crate::connectly::client::webhooks::{Filter, Registration, Wanted};

/// The path of every request for the business of these tests.
pub(super) const BUSINESS: &str = "/v1/businesses/biz%201%2F2";

async fn list(body: &Value) -> Result<Vec<Registration>, CallError> {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(body);
    let mock = Mock::given(method("GET")).and(path(format!("{BUSINESS}/webhooks")));
    mock.respond_with(answer).expect(1).mount(&server).await;
    Client::new(&settings(&server.uri())).unwrap().webhooks().await
}

#[tokio::test]
async fn the_documented_list_is_read() {
    let documented = json!({"entity": {"businessId": "biz", "webhooks": [
        {"id": "wh_1", "topic": "messages", "address": "https://h.example/x",
            "configuration": {"echo": false, "channelTypes": ["whatsapp"], "filters": []}},
    ]}});
    assert_eq!(
        serde_json::to_value(list(&documented).await.unwrap()).unwrap(),
        json!([{"id": "wh_1", "topic": "messages", "address": "https://h.example/x",
            "configuration": {"echo": false, "channel_types": ["whatsapp"], "filters": []}}])
    );
}

#[tokio::test]
async fn every_other_spelling_is_read_too() {
    let listed = list(&json!({"entity": {"webhooks": [
        {"id": 7, "topic": "weather", "type": "zapier", "new": {}, "configuration": {"echo": true,
            "channel_types": ["sms"], "filters": [{"field": "campaign_name", "expression": "a*"}, 7]}},
        {"id": "wh_2", "topic": null, "address": null, "configuration": null},
    ]}}))
    .await
    .unwrap();
    let filter = Filter { field: "campaign_name".to_owned(), expression: "a*".to_owned() };
    assert_eq!((listed[0].id.as_str(), listed[0].is_custom()), ("7", false));
    assert!(listed[0].configuration.echo);
    assert_eq!(listed[0].configuration.filters, [filter]);
    assert_eq!(listed[0].configuration.channel_types, ["sms"]);
    assert_eq!((listed[1].topic.as_str(), listed[1].is_custom()), ("topic_unspecified", true));
    for empty in [json!({"entity": {}}), json!({"entity": {"webhooks": null}}), json!({"webhooks": []})] {
        assert_eq!(list(&empty).await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn what_is_no_list_is_not_taken_for_an_empty_one() {
    let nameless = json!({"entity": {"webhooks": [{"topic": "messages", "address": "https://h.example"}]}});
    for body in [json!({}), json!([]), json!({"webhooks": 7}), json!({"entity": {"webhooks": [7]}}), nameless]
    {
        assert_eq!(list(&body).await, Err(CallError::Unreadable(200)), "{body}");
    }
}

/// The one request that these calls make, with its body, and what they are told.
async fn request<T>(answer: Value, call: impl AsyncFnOnce(Client) -> T) -> (String, Value, T) {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
    let told = call(Client::new(&settings(&server.uri())).unwrap()).await;
    let request = server.received_requests().await.unwrap().remove(0);
    let body = serde_json::from_slice(&request.body).unwrap_or_default();
    let path = request.url.path().strip_prefix(BUSINESS).unwrap().to_owned();
    (format!("{} {path}", request.method), body, told)
}

#[tokio::test]
async fn creating_sends_what_is_documented() {
    let filters = Some(vec![Filter { field: "campaign_name".to_owned(), expression: "spring-*".to_owned() }]);
    let channel_types = Some(vec!["whatsapp".to_owned()]);
    let wanted = Wanted { echo: Some(true), channel_types, filters };
    let create =
        async |client: Client| client.create_webhook("messages", "https://h.example/x", &wanted).await;
    let (asked, body, told) = request(json!({"id": "wh_1"}), create).await;
    assert_eq!(asked, "POST /create/webhooks");
    assert_eq!(
        body,
        json!({"topic": "messages", "address": "https://h.example/x", "type": "custom", "configuration":
            {"echo": true, "channelTypes": ["whatsapp"],
                "filters": [{"field": "campaign_name", "expression": "spring-*"}]}})
    );
    assert_eq!(told, Ok(Some("wh_1".to_owned())));
    let plain =
        async |client: Client| client.create_webhook("report", "https://h.example", &Wanted::default()).await;
    let (_, body, told) = request(json!({}), plain).await;
    assert_eq!((&body["configuration"], told), (&json!({"echo": false}), Ok(None)));
}

#[tokio::test]
async fn updating_keeps_what_is_not_asked_for_and_what_is_not_known() {
    let listed = list(&json!({"entity": {"webhooks": [
        {"id": "wh/1", "topic": "messages", "address": "https://old.example", "configuration":
            {"echo": false, "channel_types": ["sms"], "webengageConfiguration": {"webengageToken": "t"}}},
    ]}}))
    .await
    .unwrap();
    let update = async |wanted: Wanted| {
        let call =
            async |client: Client| client.update_webhook(&listed[0], "https://h.example", &wanted).await;
        request(json!(null), call).await
    };
    let (asked, body, told) = update(Wanted { echo: Some(false), ..Wanted::default() }).await;
    assert_eq!(asked, "PUT /update/webhooks/wh%2F1");
    assert_eq!((body, told), (json!({"address": "https://h.example"}), Ok(())));
    let channel_types = Some(vec!["whatsapp".to_owned()]);
    let (_, body, _) = update(Wanted { channel_types, ..Wanted::default() }).await;
    assert_eq!(
        body["configuration"],
        json!({"echo": false, "channelTypes": ["whatsapp"], "webengageConfiguration": {"webengageToken": "t"}})
    );
    assert!(!format!("{:?}", listed[0]).contains("webengage"));
}

#[tokio::test]
async fn deleting_names_the_id_and_nothing_that_climbs() {
    let delete = async |client: Client| client.delete_webhook("wh_1").await;
    assert_eq!(
        request(json!({}), delete).await,
        ("DELETE /delete/webhooks/wh_1".to_owned(), Value::Null, Ok(()))
    );
    let client = Client::new(&settings("http://127.0.0.1:1")).unwrap();
    for id in ["", ".", ".."] {
        assert!(matches!(client.delete_webhook(id).await, Err(CallError::NotFound(_))));
    }
}
