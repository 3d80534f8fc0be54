//! `switchboard purge`: retention now.

use serde_json::json;

use super::admin::{Admin, Query};
use super::progress::Progress;
use super::terminal::Terminal;
use super::{document, until};
use crate::clock::Clock;
use crate::model::retention::Purged;

/// Shown below the help.
pub const EXAMPLES: &str =
    "The service does so by itself every hour. On PostgreSQL bodies and events go by whole months.

Example:
  switchboard purge";

/// Rounds that one request does: about a second of them.
const ROUNDS: &str = "20";

/// How to answer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

/// Prints what went, once everything has. Who watches sees how far it is.
pub async fn run(
    args: &Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let purged = tokio::select! {
        purged = to_the_end(admin, Progress::begin(clock), terminal) => purged?,
        () = until::interrupted() => anyhow::bail!("stopped; the service takes away the rest by itself"),
    };
    terminal.clear_progress()?;
    let purged = serde_json::value::to_raw_value(&purged)?;
    Ok(document::show(&purged, args.json, terminal)?)
}

async fn to_the_end(
    admin: &Admin,
    mut progress: Progress,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Purged> {
    let some = Query::from([("rounds".to_owned(), ROUNDS.to_owned())]);
    let mut purged = Purged::default();
    loop {
        let round: Purged = admin.read(&admin.work(&["purge"], &some, &json!({})).await?)?;
        purged.add(&round);
        if !purged.more {
            return Ok(purged);
        }
        progress.show(terminal, || told(&purged))?;
    }
}

fn told(purged: &Purged) -> String {
    let Purged { bodies, events, messages, jobs, conversations, customers, more: _ } = *purged;
    let counts = [
        (bodies, "bodies"),
        (events, "events"),
        (messages, "messages"),
        (jobs, "jobs"),
        (conversations, "conversations"),
        (customers, "customers"),
    ];
    let gone: Vec<String> =
        counts.iter().filter(|(rows, _)| *rows > 0).map(|(rows, what)| format!("{rows} {what}")).collect();
    format!("gone so far: {}", if gone.is_empty() { "nothing".to_owned() } else { gone.join(", ") })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wiremock::matchers::{path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::cli::testing::{Captured, run};

    /// A server that answers these, one after the other.
    async fn server(answers: [&str; 3]) -> MockServer {
        let server = MockServer::start().await;
        for answer in answers {
            let posted = Mock::given(path("/api/v1/purge")).and(query_param("rounds", "20"));
            let answer = ResponseTemplate::new(200).set_body_raw(answer, "application/json");
            posted.respond_with(answer).up_to_n_times(1).expect(1).mount(&server).await;
        }
        server
    }

    const ANSWERS: [&str; 3] = [
        r#"{"bodies":12,"events":0,"messages":0,"jobs":0,"conversations":0,"customers":0,"more":true}"#,
        r#"{"bodies":0,"events":2,"messages":0,"jobs":0,"conversations":0,"customers":0,"more":true}"#,
        r#"{"bodies":0,"events":1,"messages":0,"jobs":0,"conversations":0,"customers":0}"#,
    ];

    #[tokio::test]
    async fn it_goes_on_to_the_end_and_counts_what_went() {
        let printed = run(&server(ANSWERS).await, &["purge", "--json"]).await.unwrap();
        let all = r#"{"bodies":12,"events":3,"messages":0,"jobs":0,"conversations":0,"customers":0}"#;
        assert_eq!((printed.out(), printed.err()), (format!("{all}\n").as_str(), ""));
        let printed = run(&server(ANSWERS).await, &["purge"]).await.unwrap();
        assert!(printed.out().starts_with("bodies         12\nevents         3\n"), "{}", printed.out());
    }

    #[tokio::test]
    async fn who_watches_sees_how_far_it_is() {
        let server = server(ANSWERS).await;
        let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
        let progress = Progress::shown_every(Duration::ZERO, &Clock::system());
        let mut captured = Captured::default();
        let mut terminal = captured.terminal().watched(true);
        assert_eq!(to_the_end(&admin, progress, &mut terminal).await.unwrap().events, 3);
        let expected = "\r\u{1b}[Kgone so far: 12 bodies\r\u{1b}[Kgone so far: 12 bodies, 2 events";
        assert_eq!(captured.err(), expected);
    }
}
