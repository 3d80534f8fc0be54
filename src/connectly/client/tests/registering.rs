//! Registering, at a Connectly of either opinion.

use std::sync::Mutex;

use wiremock::{Request, Respond};

use super::*;
use crate::connectly::client::register::{Plan, PlanError, RegisterError, Registered, Wish};
use crate::connectly::client::webhooks::{Registration, Wanted};

const OURS: &str = "https://hooks.example.com/webhooks/connectly";
const OTHER: &str = "https://other.example.com/";

fn wish() -> Wish {
    Wish { topic: "messages".to_owned(), address: OURS.to_owned(), wanted: Wanted::default(), replace: None }
}

fn registration(id: &str, address: &str) -> Registration {
    Registration {
        id: id.to_owned(),
        topic: "messages".to_owned(),
        address: address.to_owned(),
        kind: None,
        configuration: crate::connectly::client::webhooks::Configuration::default(),
    }
}

#[test]
fn the_one_with_our_address_is_ours() {
    let status = Registration { topic: "delivery_status".to_owned(), ..registration("wh_3", OURS) };
    let zapier = Registration { kind: Some("zapier".to_owned()), ..registration("wh_4", OTHER) };
    assert_eq!(wish().plan(&[]), Ok(Plan::Create));
    assert_eq!(wish().plan(&[status.clone(), zapier]), Ok(Plan::Create));
    let both = [status, registration("wh_1", OTHER), registration("wh_2", OURS)];
    assert_eq!(wish().plan(&both), Ok(Plan::Nothing(&both[2])));
    let echo = Wish { wanted: Wanted { echo: Some(true), ..Wanted::default() }, ..wish() };
    assert_eq!(echo.plan(&both), Ok(Plan::Update(&both[2])));
    let spelled = [registration("wh_1", "HTTPS://hooks.example.com:443/webhooks/connectly")];
    assert_eq!(wish().plan(&spelled), Ok(Plan::Nothing(&spelled[0])));
}

#[test]
fn the_one_that_may_be_somebody_elses_is_changed_only_by_its_id() {
    let other = [registration("wh_1", OTHER)];
    let told = wish().plan(&other).unwrap_err();
    assert_eq!(told.to_string(), "messages is registered with https://other.example.com/ (wh_1)");
    let named = |id: &str| Wish { replace: Some(id.to_owned()), ..wish() };
    assert_eq!(named("wh_1").plan(&other), Ok(Plan::Update(&other[0])));
    let told = named("wh_9").plan(&other).unwrap_err();
    assert_eq!(told.to_string(), "no registration of messages has the id wh_9");
}

#[test]
fn which_of_several_is_meant_is_not_guessed() {
    let named = Wish { replace: Some("wh_2".to_owned()), ..wish() };
    let others = [registration("wh_1", OTHER), registration("wh_2", "https://third.example/")];
    assert_eq!(
        wish().plan(&others).unwrap_err().to_string(),
        "messages is registered more than once: wh_1 (https://other.example.com/), wh_2 (https://third.example/)"
    );
    assert_eq!(named.plan(&others), Ok(Plan::Update(&others[1])));
    let twice = [registration("wh_1", OURS), registration("wh_2", OURS)];
    assert!(matches!(wish().plan(&twice), Err(PlanError::Several { .. })));
    assert_eq!(named.plan(&twice), Ok(Plan::Nothing(&twice[1])));
    // Ours is there already: another one with its address would bring every event twice.
    let beside = [registration("wh_1", OURS), registration("wh_2", OTHER)];
    assert!(matches!(named.plan(&beside), Err(PlanError::Several { .. })));
}

/// A Connectly that answers each request with the next of its answers, and remembers what was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<(u16, Value)>>,
}

impl Respond for Script {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let (status, body) = self.answers.lock().unwrap().remove(0);
        ResponseTemplate::new(status).set_body_json(body)
    }
}

/// What comes of a wish when these are the answers, and the requests that were made.
async fn register(answers: Vec<(u16, Value)>) -> (Result<Registered, RegisterError>, Vec<String>) {
    fulfil(&wish(), answers).await
}

async fn fulfil(wish: &Wish, answers: Vec<(u16, Value)>) -> (Result<Registered, RegisterError>, Vec<String>) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(Script { answers: Mutex::new(answers) }).mount(&server).await;
    let told = Client::new(&settings(&server.uri())).unwrap().register(wish).await;
    let requests = server.received_requests().await.unwrap();
    let verb = |request: &Request| request.method.to_string();
    (told, requests.iter().map(verb).collect())
}

fn list(entries: &[(&str, &str)]) -> (u16, Value) {
    let entry = |(id, address): &(&str, &str)| json!({"id": id, "topic": "messages", "address": address});
    (200, json!({"entity": {"webhooks": entries.iter().map(entry).collect::<Vec<_>>()}}))
}

#[tokio::test]
async fn what_is_not_registered_is_created() {
    let (told, asked) = register(vec![list(&[]), (200, json!({"id": "wh_1"}))]).await;
    assert_eq!(told, Ok(Registered::Created(Some("wh_1".to_owned()))));
    assert_eq!(asked, ["GET", "POST"]);
}

#[tokio::test]
async fn what_is_registered_is_left_alone() {
    let (told, asked) = register(vec![list(&[("wh_1", OURS)])]).await;
    assert_eq!(told, Ok(Registered::Unchanged("wh_1".to_owned())));
    assert_eq!(asked, ["GET"]);
}

#[tokio::test]
async fn a_topic_that_turns_out_to_be_registered_is_looked_at_again() {
    let conflict = (409, json!({"message": "already registered for topic"}));
    let (told, asked) = register(vec![list(&[]), conflict.clone(), list(&[("wh_1", OURS)])]).await;
    assert_eq!(told, Ok(Registered::Unchanged("wh_1".to_owned())));
    assert_eq!(asked, ["GET", "POST", "GET"]);
    let echo = Wish { wanted: Wanted { echo: Some(true), ..Wanted::default() }, ..wish() };
    let answers = vec![list(&[]), conflict.clone(), list(&[("wh_1", OURS)]), (200, Value::Null)];
    let (told, asked) = fulfil(&echo, answers).await;
    assert_eq!(told, Ok(Registered::Updated("wh_1".to_owned())));
    assert_eq!(asked, ["GET", "POST", "GET", "PUT"]);
    // It is somebody else's: nobody was asked about that one.
    let (told, _) = register(vec![list(&[]), conflict.clone(), list(&[("wh_1", OTHER)])]).await;
    assert!(matches!(told, Err(RegisterError::Plan(PlanError::Elsewhere(_)))), "{told:?}");
    // It is in no list, and once is enough.
    let (told, asked) = register(vec![list(&[]), conflict, list(&[])]).await;
    assert!(matches!(told, Err(RegisterError::Call(CallError::Conflict(_)))), "{told:?}");
    assert_eq!(asked, ["GET", "POST", "GET"]);
}

#[tokio::test]
async fn a_failure_is_not_tried_again() {
    let (told, asked) = register(vec![list(&[]), (503, json!({}))]).await;
    assert!(matches!(told, Err(RegisterError::Call(CallError::Failed { status: 503, .. }))), "{told:?}");
    assert_eq!(asked, ["GET", "POST"]);
}
