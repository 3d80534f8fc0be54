//! Connectly's own examples, read into our types and sent: what leaves is what the page shows.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::connectly::order::Order;
use crate::connectly::template::Template;

/// The example requests of one endpoint.
fn examples(endpoint: &str) -> Vec<(PathBuf, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/requests").join(endpoint);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut examples: Vec<_> =
        files.map(|path| (path.clone(), serde_json::from_slice(&fs::read(path).unwrap()).unwrap())).collect();
    examples.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(examples.len() > 5, "{endpoint}");
    examples
}

/// What our client adds where the page leaves it out: we always name the sender.
fn with_sender(mut shown: Value, sender: Value) -> Value {
    if shown.get("sender").is_none() {
        shown["sender"] = sender;
    }
    shown
}

#[tokio::test]
async fn every_documented_session_request_leaves_as_it_is_written() {
    for (path, shown) in examples("session") {
        let message = Message::parse(&shown["message"])
            .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        let order = shown.get("order").map(|order| Order::from_value(order).unwrap());
        let sender = shown["sender"]["id"].as_str().unwrap_or("+14151111234").to_owned();
        let request = SessionRequest {
            sender: &sender,
            recipient: Recipient::Phone(shown["recipient"]["id"].as_str().unwrap()),
            message: &message,
            callback_data: shown.get("callbackData"),
            campaign: shown["campaignName"].as_str(),
            order: order.as_ref(),
        };
        let sent = sent_body(request).await;
        let endpoint = json!({"id": sender, "channelType": "whatsapp"});
        assert_eq!(sent, with_sender(shown, endpoint), "{}", path.display());
    }
}

#[tokio::test]
async fn every_documented_template_request_leaves_as_it_is_written() {
    for (path, shown) in examples("template") {
        let parameters = shown.get("parameters").cloned().unwrap_or_else(|| json!([]));
        let written =
            json!({"name": shown["templateName"], "language": shown["language"], "parameters": parameters});
        let template = Template::from_value(&written, "template")
            .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        let sender = shown["sender"].as_str().unwrap_or("+14151111234").to_owned();
        let request = TemplateRequest {
            sender: &sender,
            recipient: Recipient::Phone(shown["number"].as_str().unwrap()),
            template: &template,
            callback_data: shown.get("callbackData"),
            campaign: shown["campaignName"].as_str(),
        };
        let mut sent = sent_template(request).await;
        assert_eq!(sent["path"], "/v1/businesses/biz%201%2F2/send/whatsapp_templated_messages");
        let mut expected = with_sender(shown, sender.into());
        expected["parameters"] = parameters;
        assert_eq!(sent["body"].take(), expected, "{}", path.display());
    }
}

#[tokio::test]
async fn a_user_id_has_a_prefix_in_templates_and_none_in_messages() {
    let (template, message) = (Template::new("reopen", "en"), Message::text("hi"));
    let recipient = Recipient::UserId("US.1349");
    let request = TemplateRequest {
        sender: "+14151111234",
        recipient,
        template: &template,
        callback_data: None,
        campaign: None,
    };
    assert_eq!(sent_template(request).await["body"]["number"], "bsuid:US.1349");
    let request = SessionRequest {
        sender: "+14151111234",
        recipient,
        message: &message,
        callback_data: None,
        campaign: None,
        order: None,
    };
    assert_eq!(sent_body(request).await["recipient"]["userId"], "US.1349");
}

async fn sent_template(request: TemplateRequest<'_>) -> Value {
    let server = MockServer::start().await;
    let accepted = ResponseTemplate::new(200).set_body_json(json!({"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}));
    Mock::given(any()).respond_with(accepted).mount(&server).await;
    let answer = Client::new(&settings(&server.uri())).unwrap().send_template(&request).await;
    assert!(matches!(answer, SendAnswer::Accepted { .. }));
    let request = server.received_requests().await.unwrap().remove(0);
    json!({"path": request.url.path(), "body": request.body_json::<Value>().unwrap()})
}
