//! `switchboard pause` and `resume`: what waits until a person says otherwise.

use std::collections::BTreeSet;

use clap::ArgGroup;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admin::{Admin, Query};
use super::terminal::Terminal;

/// What to pause or to resume.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").args(["sends", "route"]).multiple(true).required(true)))]
pub struct Args {
    /// All messages: nothing leaves, and what is queued waits
    #[arg(long)]
    sends: bool,
    /// This route: its handler is not called, and its events wait; may be given more than once
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

/// Shown below the help of `pause`.
pub const PAUSE_EXAMPLES: &str = "Every instance obeys at once, also after a restart. Nothing is lost: jobs wait \
where they are, and no attempts are counted. A message whose 24-hour window closes meanwhile expires when sends are \
resumed.

Examples:
  switchboard pause --sends
  switchboard pause --route front-desk";
/// Shown below the help of `resume`.
pub const RESUME_EXAMPLES: &str = "Examples:
  switchboard resume --sends
  switchboard resume --route front-desk";

/// What is paused, as the API has it.
#[derive(Serialize, Deserialize)]
struct Pauses {
    sends: bool,
    routes: BTreeSet<String>,
}

/// Pauses what is named, beside what is paused already.
pub async fn pause(args: &Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let mut pauses = ask(admin).await?;
    pauses.sends |= args.sends;
    pauses.routes.extend(args.route.iter().cloned());
    replace(args, &pauses, admin, terminal).await
}

/// Lets go on what is named, and leaves the rest as it is.
pub async fn resume(args: &Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let mut pauses = ask(admin).await?;
    if args.sends && !pauses.sends {
        terminal.hint("sends were not paused")?;
    }
    pauses.sends &= !args.sends;
    for route in &args.route {
        if !pauses.routes.remove(route) {
            terminal.hint(&format!("the route {route} was not paused"))?;
        }
    }
    replace(args, &pauses, admin, terminal).await
}

/// Whether no message leaves until somebody resumes sends.
pub async fn sends_are_paused(admin: &Admin) -> anyhow::Result<bool> {
    Ok(ask(admin).await?.sends)
}

async fn ask(admin: &Admin) -> anyhow::Result<Pauses> {
    Ok(admin.read(&admin.get(&["pauses"], &Query::new()).await?)?)
}

async fn replace(
    args: &Args,
    pauses: &Pauses,
    admin: &Admin,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let answer = admin.put(&["pauses"], &json!(pauses)).await?;
    if args.json {
        return Ok(terminal.json(answer.get())?);
    }
    let pauses: Pauses = admin.read(&answer)?;
    let routes: Vec<&str> = pauses.routes.iter().map(String::as_str).collect();
    terminal.line(&format!("sends          {}", if pauses.sends { "paused" } else { "running" }))?;
    let named = if routes.is_empty() { "none".to_owned() } else { routes.join(", ") };
    Ok(terminal.line(&format!("paused routes  {named}"))?)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::{Value, json};
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use crate::cli::Cli;
    use crate::cli::testing::{answer, answers, run};

    /// A server that has this paused, and expects to be told that.
    async fn server(before: Value, after: Value) -> MockServer {
        let server = MockServer::start().await;
        answers(&server, "/api/v1/pauses", &before).await;
        let put = Mock::given(method("PUT")).and(path("/api/v1/pauses")).and(body_json(&after));
        put.respond_with(ResponseTemplate::new(200).set_body_json(&after)).expect(1).mount(&server).await;
        server
    }

    #[tokio::test]
    async fn a_pause_joins_what_is_paused_already() {
        let before = json!({"sends": false, "routes": ["b"]});
        let server = server(before, json!({"sends": true, "routes": ["a", "b"]})).await;
        let printed = run(&server, &["pause", "--sends", "--route", "a"]).await.unwrap();
        assert_eq!(printed.out(), "sends          paused\npaused routes  a, b\n");
    }

    #[tokio::test]
    async fn resuming_leaves_the_rest_paused() {
        let before = json!({"sends": true, "routes": ["a", "b"]});
        let server = server(before, json!({"sends": true, "routes": ["a"]})).await;
        let printed = run(&server, &["resume", "--route", "b", "--json"]).await.unwrap();
        assert_eq!(printed.out(), "{\"routes\":[\"a\"],\"sends\":true}\n");
        assert_eq!(printed.err(), "");
    }

    #[tokio::test]
    async fn what_was_not_paused_is_told() {
        let nothing = json!({"sends": false, "routes": []});
        let server = server(nothing.clone(), nothing).await;
        let printed = run(&server, &["resume", "--sends", "--route", "typo"]).await.unwrap();
        assert_eq!(printed.out(), "sends          running\npaused routes  none\n");
        assert_eq!(printed.err(), "sends were not paused\nthe route typo was not paused\n");
    }

    #[tokio::test]
    async fn an_unknown_route_is_told_in_the_servers_words() {
        let server = MockServer::start().await;
        answers(&server, "/api/v1/pauses", &json!({"sends": false, "routes": []})).await;
        let problem =
            json!({"title": "A field is not valid", "detail": "`routes` names `typo`, which is unknown"});
        let refusal = ResponseTemplate::new(422).set_body_json(problem);
        answer(&server, "PUT", "/api/v1/pauses", refusal).await;
        let error = run(&server, &["pause", "--route", "typo"]).await.err().unwrap().to_string();
        assert_eq!(error, "422 A field is not valid: `routes` names `typo`, which is unknown");
    }

    #[test]
    fn something_has_to_be_named() {
        for command in ["pause", "resume"] {
            for line in [&["switchboard", command] as &[&str], &["switchboard", command, "--json"]] {
                assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
            }
        }
    }
}
