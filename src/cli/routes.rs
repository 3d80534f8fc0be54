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
}

/// The columns of a table of routes.
const HEADINGS: [&str; 8] = ["name", "handler", "ordering", "ready", "running", "parked", "on", "when"];
/// What to say when there is no route.
const NONE: &str =
    "no routes: events are stored, and nobody is told; add a [[routes]] section to the configuration";

/// Runs one of the commands.
pub async fn run(args: Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let Action::List { json } = args.action;
    let answer = admin.get(&["routes"], &Query::new()).await?;
    let routes: Routes = admin.read(&answer)?;
    if json {
        list::json(&routes.data, terminal)?;
    } else {
        list::table(&routes.data, HEADINGS, cells, NONE, terminal)?;
    }
    Ok(())
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
    async fn without_routes_there_is_a_hint() {
        let server = MockServer::start().await;
        answers(&server, "/api/v1/routes", &json!({"data": []})).await;
        let printed = run(&server, &["routes", "list"]).await.unwrap();
        assert_eq!(printed.out(), "");
        assert!(printed.err().starts_with("no routes"), "{}", printed.err());
    }
}
