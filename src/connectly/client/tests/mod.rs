//! What is sent, and what a client refuses to be made of.

mod account;
mod answers;
mod documented;
mod registering;
mod webhooks;

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::connectly::message::Message;

const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn settings(base_url: &str) -> ClientSettings {
    ClientSettings {
        base_url: base_url.to_owned(),
        business_id: "biz 1/2".to_owned(),
        api_key: SecretString::from("key-1"),
        connect_timeout: TIMEOUT,
        timeout: TIMEOUT,
    }
}

async fn send(settings: &ClientSettings) -> SendAnswer {
    let message = Message::text("hi");
    let request = SessionRequest {
        sender: "+15550100002",
        recipient: Recipient::Phone("+15550100001"),
        message: &message,
        callback_data: None,
        campaign: None,
        order: None,
    };
    Client::new(settings).unwrap().send_session(&request).await
}

async fn sent_body(request: SessionRequest<'_>) -> Value {
    let server = MockServer::start().await;
    let accepted = ResponseTemplate::new(200).set_body_json(json!({"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}));
    Mock::given(any()).respond_with(accepted).mount(&server).await;
    Client::new(&settings(&server.uri())).unwrap().send_session(&request).await;
    server.received_requests().await.unwrap()[0].body_json().unwrap()
}

#[tokio::test]
async fn a_request_is_the_documented_one() {
    let server = MockServer::start().await;
    let accepted = ResponseTemplate::new(201).set_body_json(json!({"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}));
    Mock::given(any()).respond_with(accepted).mount(&server).await;
    let answer = send(&settings(&format!("{}/prefix/", server.uri()))).await;
    let provider_message_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned();
    assert_eq!(answer, SendAnswer::Accepted { provider_message_id });

    let request = server.received_requests().await.unwrap().remove(0);
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(request.url.path(), "/prefix/v1/businesses/biz%201%2F2/send/messages");
    assert_eq!(request.headers["x-api-key"], "key-1");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(
        request.body_json::<Value>().unwrap(),
        json!({
            "sender": {"id": "+15550100002", "channelType": "whatsapp"},
            "recipient": {"id": "+15550100001", "channelType": "whatsapp"},
            "message": {"text": "hi"},
        })
    );
}

#[tokio::test]
async fn a_customer_without_phone_is_addressed_by_user_id() {
    let message = Message::text("hi");
    let callback_data = Value::Null;
    let request = SessionRequest {
        sender: "+15550100002",
        recipient: Recipient::UserId("US.1349"),
        message: &message,
        callback_data: Some(&callback_data),
        campaign: Some("spring"),
        order: None,
    };
    let body = sent_body(request).await;
    assert_eq!(body["recipient"], json!({"id": "US.1349", "channelType": "whatsapp", "userId": "US.1349"}));
    assert_eq!(body["campaignName"], "spring");
    assert_eq!(body.get("callbackData"), Some(&Value::Null));

    let both = Recipient::Both { phone: "+15550100001", user_id: "US.1349" };
    let body = sent_body(SessionRequest { recipient: both, ..request }).await;
    assert_eq!(
        body["recipient"],
        json!({"id": "+15550100001", "channelType": "whatsapp", "userId": "US.1349"})
    );
}

#[test]
fn settings_that_cannot_work_are_refused_when_the_client_is_made() {
    let refused = |settings: ClientSettings| Client::new(&settings).unwrap_err().to_string();
    for base_url in ["", "api.connectly.ai", "ftp://host", "https://user:pass@host", "https://host?x=1"] {
        assert!(refused(settings(base_url)).starts_with("the base URL"), "{base_url}");
    }
    for business_id in ["", ".", ".."] {
        let settings = ClientSettings { business_id: business_id.to_owned(), ..settings("http://host") };
        assert!(refused(settings).starts_with("the business id"));
    }
    for api_key in ["", "line\nbreak"] {
        let settings = ClientSettings { api_key: SecretString::from(api_key), ..settings("http://host") };
        assert!(refused(settings).starts_with("the API key"));
    }
}

#[test]
fn debug_output_shows_neither_key_nor_number() {
    let message = Message::text("secret words");
    let request = SessionRequest {
        sender: "+15550100002",
        recipient: Recipient::Phone("+15550100001"),
        message: &message,
        callback_data: None,
        campaign: None,
        order: None,
    };
    let settings = settings("http://host");
    let client = Client::new(&settings).unwrap();
    let shown = format!("{client:?} {settings:?} {request:?} {:?}", request.recipient);
    assert_eq!(shown, "Client(..) ClientSettings(..) SessionRequest(..) Recipient(..)");
}
