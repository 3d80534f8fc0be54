//! Messages that are asked for through the API, as Connectly sees them.

use rstest::rstest;
use serde_json::json;
use switchboard::emulator::Inbound;

use crate::support::webhooks::{BUSINESS, CUSTOMER};
use crate::support::{Backend, Desk};

#[rstest]
#[tokio::test]
async fn a_session_message_reaches_connectly_as_it_documents_them(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    desk.says(Inbound::text("hi")).await;
    let buttons = json!([{ "id": "yes", "text": "Yes" }, { "id": "no", "text": "No" }]);
    let message = json!({ "text": "Is it there?", "replyButtonMessage": { "buttons": buttons } });
    let body = json!({ "to": "1 (555) 010-0001", "from": "15550100002", "message": message,
        "callback_data": { "order_id": "12345" }, "campaign": "spring" });
    let id = desk.submit(&body).await["id"].as_str().unwrap().to_owned();
    desk.settled().await;
    let sent = desk.sent();
    assert_eq!(sent[0].body["callbackData"]["switchboard"], id);
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(sent[0].body, {".callbackData.switchboard" => "[our id]"}, @r#"
        {
          "callbackData": {
            "order_id": "12345",
            "switchboard": "[our id]"
          },
          "campaignName": "spring",
          "message": {
            "replyButtonMessage": {
              "buttons": [
                {
                  "id": "yes",
                  "text": "Yes"
                },
                {
                  "id": "no",
                  "text": "No"
                }
              ]
            },
            "text": "Is it there?"
          },
          "recipient": {
            "channelType": "whatsapp",
            "id": "+15550100001"
          },
          "sender": {
            "channelType": "whatsapp",
            "id": "+15550100002"
          }
        }
        "#);
    }
    // What is echoed is the caller's again.
    let read = desk.list("events?type=message.read").await;
    assert_eq!(
        (&read[0]["callback_data"], &read[0]["message_id"]),
        (&json!({ "order_id": "12345" }), &json!(id))
    );
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_template_reaches_connectly_as_it_documents_them(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let header = json!({ "name": "header_document", "value": "https://shop.example/1.pdf", "filename": "invoice.pdf" });
    let template = json!({ "name": "invoice", "language": "en",
        "parameters": [header, { "name": "body_1", "value": "Ana" }] });
    let body = json!({ "to": CUSTOMER, "from": BUSINESS, "template": template, "campaign": "spring" });
    let id = desk.submit(&body).await["id"].as_str().unwrap().to_owned();
    desk.settled().await;
    let sent = desk.sent();
    assert_eq!(sent[0].body["callbackData"]["switchboard"], id);
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(sent[0].body, {".callbackData.switchboard" => "[our id]"}, @r#"
        {
          "callbackData": {
            "switchboard": "[our id]"
          },
          "campaignName": "spring",
          "language": "en",
          "number": "+15550100001",
          "parameters": [
            {
              "filename": "invoice.pdf",
              "name": "header_document",
              "value": "https://shop.example/1.pdf"
            },
            {
              "name": "body_1",
              "value": "Ana"
            }
          ],
          "sender": "+15550100002",
          "templateName": "invoice"
        }
        "#);
    }
    assert_eq!(desk.message(&id).await["state"], "read");
    desk.stop().await;
}

/// Callback data that cannot carry our mark is sent as it is.
#[rstest]
#[tokio::test]
async fn callback_data_is_the_callers_own(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let desk = Desk::start(backend, "").await;
    let template = json!({ "name": "reopen", "language": "en" });
    for data in [json!(null), json!("12345"), json!([1, null])] {
        let body = json!({ "to": CUSTOMER, "from": BUSINESS, "template": template, "callback_data": data });
        let id = desk.submit(&body).await["id"].as_str().unwrap().to_owned();
        desk.settled().await;
        assert_eq!(desk.sent().last().unwrap().body.get("callbackData"), Some(&data));
        let shown = desk.message(&id).await;
        assert_eq!((shown.get("callback_data"), &shown["state"]), (Some(&data), &json!("read")));
    }
    desk.stop().await;
}
