//! `switchboard routes`: which events go to which handler, as the running server has it.

use serde_json::Value;

use super::admin::{Admin, Document, Query};
use super::list::{self, text};
use super::terminal::Terminal;

/// What to do with routes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the routes in effect, with how many jobs each has
    #[command(after_help = "Example:\n  switchboard routes list")]
    List {
        /// Print the API's JSON, as one array
        #[arg(long)]
        json: bool,
    },
    /// Says for every route whether an event goes there, and why
    #[command(after_help = "Example:\n  switchboard routes test --event 01K00000000000000000000001")]
    Test {
        /// The event's id
        #[arg(long, value_name = "ID")]
        event: String,
        /// Print the API's JSON, as one array
        #[arg(long)]
        json: bool,
    },
}

/// The columns of a table of routes.
const HEADINGS: [&str; 8] = ["name", "handler", "ordering", "ready", "running", "parked", "on", "when"];
/// What to say when there is no route.
const NONE: &str =
    "no routes: events are stored, and nobody is told; add a [[routes]] section to the configuration";

/// Runs one of the commands.
pub async fn run(args: Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    match args.action {
        Action::List { json } => {
            let routes = ask(admin, &["routes"]).await?;
            if json {
                list::json(&routes, terminal)?;
            } else {
                list::table(&routes, HEADINGS, cells, NONE, terminal)?;
            }
        }
        Action::Test { event, json } => {
            let verdicts = ask(admin, &["events", &event, "routes"]).await?;
            if json {
                list::json(&verdicts, terminal)?;
            } else {
                list::table(&verdicts, VERDICT_HEADINGS, verdict, NONE, terminal)?;
            }
        }
    }
    Ok(())
}

async fn ask(admin: &Admin, path: &[&str]) -> anyhow::Result<Vec<Document>> {
    let answer = admin.get(path, &Query::new()).await?;
    let routes: Routes = admin.read(&answer)?;
    Ok(routes.data)
}

/// The columns of what an event is judged by.
const VERDICT_HEADINGS: [&str; 3] = ["route", "matches", "why"];

fn verdict(judged: &Value) -> [String; 3] {
    let matches = judged.get("matches").and_then(Value::as_bool).unwrap_or_default();
    [text(judged, "/route"), if matches { "yes" } else { "no" }.to_owned(), text(judged, "/reason")]
}

#[derive(serde::Deserialize)]
struct Routes {
    data: Vec<Document>,
}

fn cells(route: &Value) -> [String; 8] {
    let types: Vec<&str> =
        route.get("on").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    [
        text(route, "/name"),
        text(route, "/handler"),
        text(route, "/ordering"),
        text(route, "/ready"),
        text(route, "/running"),
        text(route, "/parked"),
        types.join(", "),
        text(route, "/when"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{answers, run};
    use serde_json::json;
    use wiremock::MockServer;

    #[tokio::test]
    async fn routes_are_listed_with_their_counts() {
        let server = MockServer::start().await;
        let route = json!({"name": "front-desk", "on": ["message.received", "report.*"], "when": null,
            "handler": "rules", "ordering": "conversation", "ready": 2, "running": 0, "parked": 1});
        answers(&server, "/api/v1/routes", &json!({"data": [route]})).await;
        insta::assert_snapshot!(run(&server, &["routes", "list"]).await.unwrap().out(), @r"
        NAME        HANDLER  ORDERING      READY  RUNNING  PARKED  ON                          WHEN
        front-desk  rules    conversation  2      0        1       message.received, report.*
        ");
    }

    #[tokio::test]
    async fn an_event_is_judged_by_every_route() {
        let server = MockServer::start().await;
        let id = "01K00000000000000000000001";
        let rows = json!([{"route": "desk", "matches": true, "reason": "it takes message.received"},
            {"route": "audit", "matches": false, "reason": "it takes message.failed, not message.received"}]);
        answers(&server, &format!("/api/v1/events/{id}/routes"), &json!({"data": rows})).await;
        insta::assert_snapshot!(run(&server, &["routes", "test", "--event", id]).await.unwrap().out(), @r"
        ROUTE  MATCHES  WHY
        desk   yes      it takes message.received
        audit  no       it takes message.failed, not message.received
        ");
    }

    #[tokio::test]
    async fn without_routes_there_is_a_hint() {
        let server = MockServer::start().await;
        answers(&server, "/api/v1/routes", &json!({"data": []})).await;
        let printed = run(&server, &["routes", "list"]).await.unwrap();
        assert_eq!(printed.out(), "");
        assert!(printed.err().starts_with("no routes"), "{}", printed.err());
    }
}
