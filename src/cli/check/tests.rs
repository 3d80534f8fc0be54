//! The command as a whole, on a SQLite file and beside a Connectly that answers what it is told.

use clap::Parser as _;
use serde_json::{Value, json};
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cli::testing::Captured;
use crate::cli::{Cli, Surroundings, Usage, dispatch};
use crate::clock::Clock;
use crate::config::Environment;
use crate::store::{OpenOptions, open};

const ROUTE: &str = "[[routes]]\nname = \"front-desk\"\non = [\"*\"]\nhandler = \"rules\"\n
[[routes.rules]]\nmatch = { any = true }\nreply = { text = \"hi\" }\n";

/// Where the service is called from outside.
const PUBLIC: &str = "[public]\nurl = \"https://hooks.example.com\"\n";

/// Connectly's list of these registrations: topic, address and configuration.
fn registered(entries: &[(&str, &str, Value)]) -> Value {
    let entry = |(number, (topic, address, configuration)): (usize, &(&str, &str, Value))| json!({"id": format!("wh_{number}"), "topic": topic, "address": address, "configuration": configuration});
    json!({"entity": {"webhooks": entries.iter().enumerate().map(entry).collect::<Vec<_>>()}})
}

/// What should be registered.
fn as_should_be() -> Value {
    const OURS: &str = "https://hooks.example.com/webhooks/connectly";
    registered(&[("messages", OURS, json!({"echo": true})), ("delivery_status", OURS, Value::Null)])
}

/// A folder with a configuration and a database, and a Connectly.
struct Desk {
    folder: tempfile::TempDir,
    connectly: MockServer,
}

impl Desk {
    async fn new(config: &str, key_status: u16) -> Self {
        let answer = ResponseTemplate::new(key_status).set_body_json(as_should_be());
        Self::beside(&format!("{PUBLIC}{config}"), answer).await
    }

    /// Beside a Connectly that answers this to the question for registrations.
    async fn beside(config: &str, answer: ResponseTemplate) -> Self {
        let (folder, connectly) = (tempfile::tempdir().unwrap(), MockServer::start().await);
        std::fs::write(folder.path().join("switchboard.toml"), config).unwrap();
        let asked = Mock::given(path("/v1/businesses/biz/webhooks")).and(header("x-api-key", "hunter2"));
        asked.respond_with(answer).mount(&connectly).await;
        Self { folder, connectly }
    }

    async fn with_database(self) -> Self {
        let options = OpenOptions { migrate: true, connections: 1 };
        open(&self.url(), &options, Clock::system()).await.unwrap().close().await;
        self
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("switchboard.db").display())
    }

    async fn check(&self, line: &[&str]) -> (anyhow::Result<()>, Captured) {
        let file = self.folder.path().join("switchboard.toml");
        let told = ["switchboard", "--config", file.to_str().unwrap(), "check"];
        let variables = [
            ("DATABASE_URL", self.url()),
            ("SWITCHBOARD_ADMIN_TOKEN", "a-token-of-sixteen-or-more".to_owned()),
            ("CONNECTLY_BUSINESS_ID", "biz".to_owned()),
            ("CONNECTLY_API_KEY", "hunter2".to_owned()),
            ("CONNECTLY_WEBHOOK_SECRET", "secret-1".to_owned()),
            ("CONNECTLY_BASE_URL", self.connectly.uri()),
        ];
        let surroundings = Surroundings {
            clock: Clock::system(),
            folder: self.folder.path().into(),
            configured: None,
            app: crate::App::default(),
            environment: variables.into_iter().collect::<Environment>(),
        };
        let cli = Cli::try_parse_from([&told, line].concat()).unwrap();
        let mut captured = Captured::default();
        let result = dispatch(cli, &surroundings, &mut captured.terminal()).await;
        assert!(!captured.out().contains("hunter2"));
        (result, captured)
    }
}

#[tokio::test]
async fn all_is_well() {
    let desk = Desk::new(ROUTE, 200).await.with_database().await;
    let (result, captured) = desk.check(&[]).await;
    result.unwrap();
    let lines: Vec<&str> = captured.out().lines().collect();
    assert_eq!(lines[0], "CHECK          STATE  DETAIL");
    assert_eq!(lines[2], "routes         ok     front-desk (rules)");
    assert!(lines[3].starts_with("database       ok     SQLite 3."), "{}", lines[3]);
    assert_eq!(lines[4], "schema         ok     every migration is applied");
    assert_eq!(lines[5], "durability     ok     journal_mode = wal, synchronous = 2");
    assert_eq!(lines[6], "API key        ok     accounts.default: Connectly takes it");
    let ours = "webhooks       ok     accounts.default: messages goes to https://hooks.example.com/webhooks/connectly";
    assert_eq!(lines[7], ours);
    assert_eq!(lines[8], ours.replace("messages", "delivery_status"));
    assert_eq!(lines.len(), 9);
    let json: Value = serde_json::from_str(desk.check(&["--json"]).await.1.out()).unwrap();
    assert_eq!((&json["ok"], &json["checks"][5]["state"]), (&Value::Bool(true), &Value::from("ok")));
}

#[tokio::test]
async fn everything_that_fails_is_told_at_once() {
    let desk = Desk::new(ROUTE, 401).await;
    let (result, captured) = desk.check(&[]).await;
    let error = result.unwrap_err();
    assert!(!error.is::<Usage>());
    assert_eq!(error.to_string(), "2 of 5 checks failed");
    for told in [
        "database       FAILED   the file is not there yet: run `switchboard migrate`",
        "API key        FAILED   accounts.default: Connectly refuses the API key (status 401)",
    ] {
        assert!(captured.out().contains(told), "{}", captured.out());
    }
    assert!(!desk.folder.path().join("switchboard.db").exists(), "nothing was made");
}

#[tokio::test]
async fn a_wrong_configuration_is_2_and_the_rest_is_looked_at_nevertheless() {
    let nobody = "[[routes]]\nname = \"a\"\non = [\"*\"]\nhandler = \"nobody\"\nwhen = \"event.\"\n";
    let desk = Desk::new(nobody, 200).await.with_database().await;
    let (result, captured) = desk.check(&[]).await;
    assert!(result.unwrap_err().is::<Usage>());
    for told in [
        "switchboard.toml: routes.a.handler",
        "switchboard.toml: routes.a.when",
        "routes         skipped",
        "schema         ok",
        "API key        ok",
    ] {
        assert!(captured.out().contains(told), "{told}: {}", captured.out());
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_2() {
    let desk = Desk::new("[admin]\nlisten = 5\n", 200).await;
    let (result, captured) = desk.check(&["--json"]).await;
    assert!(result.unwrap_err().is::<Usage>());
    let json: Value = serde_json::from_str(captured.out()).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["checks"][1]["state"], "skipped");
    assert_eq!(json["checks"][4]["check"], "webhooks");
}

#[tokio::test]
async fn a_running_server_is_no_hindrance() {
    let desk = Desk::new(ROUTE, 200).await;
    let options = OpenOptions { migrate: true, connections: 1 };
    let held = open(&desk.url(), &options, Clock::system()).await.unwrap();
    desk.check(&[]).await.0.unwrap();
    held.ping().await.unwrap();
    held.close().await;
}

/// What is said of the webhooks, without the account, and whether all is well.
async fn webhooks(public: &str, answer: ResponseTemplate) -> (bool, Vec<String>) {
    let desk = Desk::beside(&format!("{public}{ROUTE}"), answer).await.with_database().await;
    let (result, captured) = desk.check(&[]).await;
    let line = |line: &str| {
        let (state, detail) = line.strip_prefix("webhooks")?.split_once("accounts.default: ")?;
        Some(format!("{} {detail}", state.trim()))
    };
    (result.is_ok(), captured.out().lines().filter_map(line).collect())
}

async fn listed(public: &str, entries: &[(&str, &str, Value)]) -> (bool, Vec<String>) {
    webhooks(public, ResponseTemplate::new(200).set_body_json(registered(entries))).await
}

#[tokio::test]
async fn what_is_not_registered_or_goes_elsewhere_fails() {
    let (is_well, lines) = listed(PUBLIC, &[("messages", "https://old.example.com/", json!({}))]).await;
    assert!(!is_well);
    let elsewhere = "FAILED messages goes to https://old.example.com/ (wh_0), not to https://hooks.example.com/webhooks/connectly";
    assert_eq!(lines[0], elsewhere);
    let advice = "nothing of it is posted; `switchboard webhooks register` changes that";
    assert_eq!(lines[1], format!("FAILED delivery_status is not registered: {advice}"));
}

#[tokio::test]
async fn what_is_worth_knowing_is_no_failure() {
    let ours = "https://hooks.example.com/webhooks/connectly";
    let filter = json!({"filters": [{"field": "campaign_name", "expression": "spring-*"}]});
    let entries = [
        ("messages", ours, json!({})),
        ("messages", "https://crm.example.com/", json!({})),
        ("delivery_status", ours, filter),
    ];
    let (is_well, lines) = listed(PUBLIC, &entries).await;
    assert!(is_well, "{lines:?}");
    let echo = "echo is off: what is sent from elsewhere is not shown";
    assert_eq!(
        lines[0],
        format!("ok messages goes to {ours}, and to https://crm.example.com/ (wh_1) as well; {echo}")
    );
    let only = "nothing comes but what fits campaign_name=spring-*";
    assert_eq!(lines[1], format!("warning delivery_status goes to {ours}; {only}"));
}

#[tokio::test]
async fn without_a_public_url_nothing_can_be_compared() {
    let address = "https://hooks.example.com/webhooks/connectly";
    let entries = [("messages", address, json!({})), ("delivery_status", address, json!({}))];
    let (is_well, lines) = listed("", &entries).await;
    assert!(is_well, "{lines:?}");
    let advice = "set public.url to have that compared";
    assert_eq!(lines[0], format!("warning messages goes to {address} (wh_0): {advice}"));
}

#[tokio::test]
async fn an_answer_that_is_no_list_says_that_the_key_is_taken_and_no_more() {
    let desk =
        Desk::beside(ROUTE, ResponseTemplate::new(200).set_body_string("hello")).await.with_database().await;
    let (result, captured) = desk.check(&[]).await;
    assert_eq!(result.unwrap_err().to_string(), "1 of 7 checks failed");
    for told in [
        "API key        ok ",
        "webhooks       FAILED  accounts.default: Connectly answers with status 200 and not",
    ] {
        assert!(captured.out().contains(told), "{}", captured.out());
    }
}

#[tokio::test]
async fn a_handlers_name_that_leads_nowhere_is_told() {
    let route = "[[routes]]\nname = \"bot\"\non = [\"*\"]\nhandler = \"http\"\nurl = \"https://nobody.invalid/hook\"\n";
    let desk = Desk::new(route, 200).await.with_database().await;
    let (result, captured) = desk.check(&[]).await;
    assert_eq!(result.unwrap_err().to_string(), "1 of 9 checks failed");
    let told = "handler        FAILED  routes.bot: nobody.invalid does not resolve";
    assert!(captured.out().contains(told), "{}", captured.out());
}

#[tokio::test]
async fn a_name_that_may_lead_inside_is_looked_up_all_the_same() {
    let route = |name: &str, host: &str| {
        let what = "on = [\"*\"]\nhandler = \"http\"\nallow_private = true";
        format!("[[routes]]\nname = \"{name}\"\n{what}\nurl = \"http://{host}:3000/hook\"\n")
    };
    let config = [route("bot", "localhost"), route("lost", "nobody.invalid")].concat();
    let desk = Desk::new(&config, 200).await.with_database().await;
    let (result, captured) = desk.check(&[]).await;
    assert_eq!(result.unwrap_err().to_string(), "1 of 10 checks failed");
    for told in
        ["ok      routes.bot: localhost resolves\n", "FAILED  routes.lost: nobody.invalid does not resolve"]
    {
        assert!(captured.out().contains(told), "{told}: {}", captured.out());
    }
}

#[tokio::test]
async fn a_problem_names_its_file() {
    let desk = Desk::new("[[routes]]\nname = \"a\"\non = [\"*\"]\nhandler = \"nobody\"\n", 200).await;
    let (_, captured) = desk.check(&[]).await;
    assert!(captured.out().contains("switchboard.toml: routes.a.handler: no handler"), "{}", captured.out());
}
