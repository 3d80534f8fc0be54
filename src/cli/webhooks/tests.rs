//! The commands against the emulator, and against lists that it would not make.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Parser as _;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cli::connection::FOLDER;
use crate::cli::connection::tests::connection;
use crate::cli::testing::Captured;
use crate::cli::{Cli, Surroundings, Usage, dispatch};
use crate::clock::Clock;
use crate::config::Environment;
use crate::emulator::{Emulator, ExistingTopic, Settings};

const OURS: &str = "http://127.0.0.1:8080/webhooks/connectly";

/// A Connectly, and a folder that knows its key by the environment.
struct Desk {
    folder: tempfile::TempDir,
    base_url: String,
    _emulator: Option<Emulator>,
}

impl Desk {
    async fn new(existing_topic: ExistingTopic) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings =
            Settings { listen, existing_topic, ..Settings::new("biz", "hunter2".into(), "secret-1".into()) };
        let emulator = Emulator::start(settings, Clock::system()).await.unwrap();
        Self { base_url: emulator.url(), _emulator: Some(emulator), ..Self::beside("") }
    }

    fn beside(base_url: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), base_url: base_url.to_owned(), _emulator: None }
    }

    async fn run(&self, line: &[&str]) -> (anyhow::Result<()>, Captured) {
        let variables = [
            ("CONNECTLY_BUSINESS_ID", "biz"),
            ("CONNECTLY_API_KEY", "hunter2"),
            ("CONNECTLY_BASE_URL", &self.base_url),
        ];
        self.run_with(line, variables.into_iter().collect()).await
    }

    async fn run_with(&self, line: &[&str], environment: Environment) -> (anyhow::Result<()>, Captured) {
        let cli = Cli::try_parse_from([&["switchboard"], line].concat()).unwrap();
        let surroundings = Surroundings {
            clock: Clock::system(),
            folder: self.folder.path().into(),
            configured: None,
            app: crate::App::default(),
            environment,
        };
        let mut captured = Captured::default();
        let result = dispatch(cli, &surroundings, &mut captured.terminal()).await;
        assert!(!captured.out().contains("hunter2") && !captured.err().contains("hunter2"));
        (result, captured)
    }

    async fn done(&self, line: &[&str]) -> Captured {
        let (result, captured) = self.run(line).await;
        result.unwrap_or_else(|error| panic!("{line:?}: {error:#}"));
        captured
    }

    async fn json(&self, line: &[&str]) -> Value {
        serde_json::from_str(self.done(&[line, &["--json"]].concat()).await.out()).unwrap()
    }

    /// What registering comes to: topic and result of each row.
    async fn register(&self, line: &[&str]) -> Vec<String> {
        let rows = self.json(&[&["webhooks", "register"], line].concat()).await;
        let row =
            |row: &Value| format!("{} {}", row["topic"].as_str().unwrap(), row["result"].as_str().unwrap());
        rows.as_array().unwrap().iter().map(row).collect()
    }

    async fn listed(&self) -> Value {
        self.json(&["webhooks", "list"]).await
    }

    /// Why a command is wrong usage.
    async fn refused(&self, line: &[&str]) -> String {
        let error = self.run(line).await.0.unwrap_err();
        assert!(error.is::<Usage>(), "{error:#}");
        error.to_string()
    }
}

#[tokio::test]
async fn registering_makes_changes_and_leaves_alone() {
    let desk = Desk::new(ExistingTopic::Conflict).await;
    assert_eq!(desk.done(&["webhooks", "list"]).await.out(), "");
    assert_eq!(desk.register(&["--url", OURS]).await, ["messages created", "delivery_status created"]);
    let both = ["messages unchanged", "delivery_status unchanged"];
    assert_eq!(desk.register(&["--url", OURS]).await, both);
    let options = ["--url", OURS, "--echo", "--channel-type", "whatsapp"];
    assert_eq!(desk.register(&options).await, ["messages updated", "delivery_status updated"]);
    assert_eq!(desk.register(&options).await, both);
    let listed = desk.listed().await;
    let echo = |number: usize| listed[number]["configuration"]["echo"].clone();
    assert_eq!((echo(0), echo(1)), (json!(true), json!(false)));
    // What no option names stays.
    assert_eq!(desk.register(&["--url", OURS]).await, both);
    let filter = ["--url", OURS, "--topic", "delivery_status", "--filter", "campaign_name=spring-*"];
    assert_eq!(desk.register(&filter).await, ["delivery_status updated"]);
    let table = desk.done(&["webhooks", "list"]).await.out().to_owned();
    let row = format!("  delivery_status  off   whatsapp  campaign_name=spring-*  {OURS}");
    assert!(table.lines().any(|line| line.starts_with("wh_") && line.ends_with(&row)), "{table}");
    assert_eq!(
        desk.register(&["--url", OURS, "--no-filter", "--echo=false"]).await,
        ["messages updated", "delivery_status updated"]
    );
    assert_eq!(desk.listed().await[0]["configuration"]["echo"], false);
    assert_eq!(desk.listed().await[1]["configuration"]["filters"], json!([]));
}

#[tokio::test]
async fn what_goes_elsewhere_is_moved_only_after_a_yes() {
    for opinion in [ExistingTopic::Conflict, ExistingTopic::Replace] {
        let desk = Desk::new(opinion).await;
        let old = "http://127.0.0.1:1/old";
        desk.register(&["--url", old, "--topic", "messages", "--echo"]).await;
        let id = desk.listed().await[0]["id"].as_str().unwrap().to_owned();
        let said = desk.refused(&["webhooks", "register", "--url", OURS]).await;
        let question = format!("messages ({id}) goes to {old} now, and will go to {OURS} instead");
        assert_eq!(said, format!("{question}; give --yes to go on"));
        // Nothing at all was changed before the answer.
        assert_eq!(desk.listed().await.as_array().unwrap().len(), 1);
        let done = desk.register(&["--url", OURS, "--yes"]).await;
        assert_eq!(done, ["messages updated", "delivery_status created"]);
        let listed = desk.listed().await;
        assert_eq!((&listed[0]["id"], &listed[0]["address"]), (&json!(id), &json!(OURS)));
        assert_eq!(listed[0]["configuration"]["echo"], true);
    }
}

/// A Connectly with these registrations of `messages`, that takes every change.
async fn connectly(entries: &[(&str, &str)]) -> MockServer {
    let server = MockServer::start().await;
    let entry = |(id, address): &(&str, &str)| json!({"id": id, "topic": "messages", "address": address});
    let list = json!({"entity": {"webhooks": entries.iter().map(entry).collect::<Vec<_>>()}});
    let listing = Mock::given(method("GET")).and(path("/v1/businesses/biz/webhooks"));
    listing.respond_with(ResponseTemplate::new(200).set_body_json(list)).mount(&server).await;
    for verb in ["PUT", "DELETE"] {
        let taken = ResponseTemplate::new(200).set_body_json(json!({}));
        Mock::given(method(verb)).respond_with(taken).mount(&server).await;
    }
    server
}

/// The requests that changed something.
async fn changes(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let changing = requests.iter().filter(|request| request.method.as_str() != "GET");
    changing.map(|request| format!("{} {}", request.method, request.url.path())).collect()
}

const REGISTER: [&str; 6] = ["webhooks", "register", "--topic", "messages", "--url", OURS];

#[tokio::test]
async fn which_of_several_is_meant_has_to_be_said() {
    let server = connectly(&[("wh_1", "https://a.example/"), ("wh_2", "https://b.example/")]).await;
    let desk = Desk::beside(&server.uri());
    let said = desk.refused(&REGISTER).await;
    let both = "messages is registered more than once: wh_1 (https://a.example/), wh_2 (https://b.example/)";
    assert!(said.starts_with(both) && said.contains("--replace ID"), "{said}");
    let said = desk.refused(&[&REGISTER[..], &["--replace", "wh_9", "--yes"]].concat()).await;
    assert_eq!(said, "no registration of messages has the id wh_9");
    let said = desk.refused(&[&REGISTER[..], &["--replace", "wh_1", "--replace", "wh_2"]].concat()).await;
    assert!(said.starts_with("wh_1 and wh_2 are both registrations of messages"), "{said}");
    let said = desk.refused(&[&REGISTER[..], &["--replace", "wh_2"]].concat()).await;
    assert!(said.starts_with("messages (wh_2) goes to https://b.example/ now"), "{said}");
    assert!(changes(&server).await.is_empty());
    let printed = desk.done(&[&REGISTER[..], &["--replace", "wh_2", "--yes"]].concat()).await;
    assert_eq!(changes(&server).await, ["PUT /v1/businesses/biz/update/webhooks/wh_2"]);
    let kept = "messages goes to https://a.example/ as well (wh_1), which was left as it is\n";
    assert_eq!(printed.err(), kept);
}

#[tokio::test]
async fn what_was_done_before_a_failure_is_told() {
    let server = connectly(&[("wh_1", OURS)]).await;
    let refused = ResponseTemplate::new(500).set_body_json(json!({"cntTraceId": "7"}));
    Mock::given(method("POST")).respond_with(refused).mount(&server).await;
    let (result, printed) = Desk::beside(&server.uri()).run(&["webhooks", "register", "--url", OURS]).await;
    let error = result.unwrap_err();
    assert!(!error.is::<Usage>());
    let told = "topic delivery_status: Connectly answers with status 500: try again later (trace id 7)";
    assert_eq!(format!("{error:#}"), told);
    assert_eq!(printed.out().lines().count(), 2, "{}", printed.out());
    assert!(printed.out().contains("messages  unchanged  wh_1"), "{}", printed.out());
}

#[tokio::test]
async fn an_address_is_one_that_connectly_can_post_to() {
    let desk = Desk::beside("https://api.connectly.example");
    for (url, why) in [
        ("http://hooks.example.com/", "Connectly posts to https:// only"),
        ("https://127.0.0.1/", "Connectly cannot reach this machine by that name"),
        ("https://user:word@hooks.example.com/", "neither user nor password"),
        ("https://hooks.example.com/#a", "neither user nor password nor #"),
        ("hooks.example.com", "it is no URL"),
        ("ftp://hooks.example.com/", "Connectly posts to https:// only"),
    ] {
        let said = desk.refused(&["webhooks", "register", "--url", url]).await;
        assert!(said.contains(why) && !said.contains("word@"), "{url}: {said}");
    }
    let said = desk.refused(&["webhooks", "register"]).await;
    assert!(said.starts_with("no address is known: give --url"), "{said}");
    let url = ["webhooks", "register", "--url", "https://hooks.example.com/"];
    let said = desk.refused(&[&url[..], &["--topic", "report", "--echo"]].concat()).await;
    assert_eq!(said, "--echo goes with topic messages only");
}

#[tokio::test]
async fn the_address_is_that_of_the_configuration_by_account() {
    let desk = Desk::new(ExistingTopic::Conflict).await;
    let file = desk.folder.path().join("switchboard.toml");
    let config = format!(
        "[public]\nurl = \"https://hooks.example.com/\"\n[accounts.brazil]\nbusiness_id = \"biz\"\n\
        api_key = \"hunter2\"\nbase_url = \"{}\"\n",
        desk.base_url
    );
    std::fs::write(&file, config).unwrap();
    let told = ["--config", file.to_str().unwrap(), "webhooks"];
    let register =
        |account| [&told[..], &["register", "--topic", "messages", "--yes", "--account", account]].concat();
    for (account, ends) in [("default", ""), ("brazil", "/brazil")] {
        let rows = desk.json(&register(account)).await;
        assert_eq!(rows[0]["address"], format!("https://hooks.example.com/webhooks/connectly{ends}"));
    }
    let said = desk.refused(&register("chile")).await;
    assert!(said.contains("no account chile is known") && said.contains("[accounts.chile]"), "{said}");
}

#[tokio::test]
async fn beside_dev_its_emulator_is_asked_unless_another_is_configured() {
    let desk = Desk::new(ExistingTopic::Conflict).await;
    let mut left = connection(Some(&desk.base_url));
    (left.business_id, left.api_key) = (Some("biz".to_owned()), Some("hunter2".into()));
    left.write(&desk.folder.path().join(FOLDER)).unwrap();
    let (result, _) = desk.run_with(&["webhooks", "register"], Environment::default()).await;
    result.unwrap();
    let (_, printed) = desk.run_with(&["webhooks", "list"], Environment::default()).await;
    assert!(printed.out().contains(&left.webhook_url), "{}", printed.out());
    assert_eq!(printed.err(), "");
    let said = desk.done(&["webhooks", "list"]).await.err().to_owned();
    assert_eq!(
        said,
        format!("asking {}, as configured, and not the emulator that runs here\n", desk.base_url)
    );
    let nowhere = Desk::beside("");
    let error = nowhere.run_with(&["quality"], Environment::default()).await.0.unwrap_err();
    assert!(error.is::<Usage>() && error.to_string().contains("CONNECTLY_API_KEY"), "{error}");
}

#[tokio::test]
async fn deleting_asks_and_names_what_goes() {
    let server = connectly(&[("wh_1", "https://a.example/"), ("wh_2", "https://b.example/")]).await;
    let desk = Desk::beside(&server.uri());
    let said = desk.refused(&["webhooks", "delete", "wh_1"]).await;
    assert_eq!(said, "messages will no longer be posted to https://a.example/ (wh_1); give --yes to go on");
    let said = desk.refused(&["webhooks", "delete", "--topic", "messages", "--yes"]).await;
    assert_eq!(said, "there are several, give the id of one: wh_1, wh_2");
    let absent = desk.run(&["webhooks", "delete", "wh_9", "--yes"]).await.0.unwrap_err();
    assert!(!absent.is::<Usage>() && absent.to_string().starts_with("there is no such registration"));
    assert!(changes(&server).await.is_empty());
    let printed = desk.done(&["webhooks", "delete", "wh_1", "--yes"]).await;
    assert_eq!(printed.out(), "deleted wh_1: messages is no longer posted to https://a.example/\n");
    assert_eq!(changes(&server).await, ["DELETE /v1/businesses/biz/delete/webhooks/wh_1"]);
    let desk = Desk::new(ExistingTopic::Conflict).await;
    desk.register(&["--url", OURS]).await;
    desk.done(&["webhooks", "delete", "--topic", "messages", "--yes"]).await;
    assert_eq!(desk.listed().await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn templates_are_a_table_with_what_became_of_them() {
    let server = MockServer::start().await;
    let template = |language: &str, status: &str, reason: Value| {
        json!({"language": {"code": language}, "status": format!("MESSAGE_TEMPLATE_STATUS_{status}"),
            "rejectionReason": reason, "createdAt": "2026-01-18T01:07:20.075195879Z",
            "channel": {"channelType": "CHANNEL_TYPE_WHATSAPP_CLOUD"},
            "templateComponents": [{"body": {"text": {"text": "Hi {{1}}\nwe are\u{1b}[2J open"}}}]})
    };
    let templates =
        [template("en", "APPROVED", Value::Null), template("pt_BR", "REJECTED", "INVALID_FORMAT".into())];
    let answer = json!({"entity": {"templateGroups": [{"name": "open", "category": "UTILITY", "templates": templates}]}});
    let mock = Mock::given(method("POST")).and(path("/v1/businesses/biz/get/templates"));
    mock.respond_with(ResponseTemplate::new(200).set_body_json(answer)).mount(&server).await;
    let desk = Desk::beside(&server.uri());
    insta::assert_snapshot!(desk.done(&["templates", "list"]).await.out(), @r"
    NAME  LANGUAGE  STATUS                     CATEGORY  CHANNEL         CREATED     TEXT
    open  en        approved                   utility   whatsapp_cloud  2026-01-18  Hi {{1}} we are[2J open
    open  pt_BR     rejected (INVALID_FORMAT)  utility   whatsapp_cloud  2026-01-18  Hi {{1}} we are[2J open
    ");
    let rows = desk.json(&["templates", "list"]).await;
    assert_eq!(rows[1]["rejection_reason"], "INVALID_FORMAT");
}

#[tokio::test]
async fn the_emulators_templates_and_numbers_are_listed() {
    let desk = Desk::new(ExistingTopic::Conflict).await;
    let rows = desk.json(&["templates", "list"]).await;
    let has = |status: &str| rows.as_array().unwrap().iter().any(|row| row["status"] == status);
    assert!(has("approved") && has("pending") && has("rejected"), "{rows}");
    let quality = desk.done(&["quality"]).await;
    insta::assert_snapshot!(quality.out(), @r"
    NUMBER        QUALITY  LIMIT        WHATSAPP ACCOUNT
    +15550100002  high     unspecified  100000000000001
    ");
    assert!(quality.err().starts_with("a limit is unspecified until"), "{}", quality.err());
    assert_eq!(desk.json(&["quality"]).await[0]["quality_score"], "high");
}

#[tokio::test]
async fn a_key_that_is_refused_is_told_as_such() {
    let desk = Desk::new(ExistingTopic::Conflict).await;
    let variables = [
        ("CONNECTLY_BUSINESS_ID", "biz"),
        ("CONNECTLY_API_KEY", "another"),
        ("CONNECTLY_BASE_URL", &desk.base_url),
    ];
    let error = desk.run_with(&["webhooks", "list"], variables.into_iter().collect()).await.0.unwrap_err();
    assert!(error.to_string().starts_with("Connectly refuses the API key (status 401): "), "{error}");
}
