//! `switchboard purge`: retention now.

use serde_json::json;

use super::admin::Admin;
use super::document;
use super::terminal::Terminal;

/// Shown below the help.
pub const EXAMPLES: &str =
    "The service does so by itself every hour. On PostgreSQL bodies and events go by whole months.

Example:
  switchboard purge";

/// How to answer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

/// Prints what went, once everything has.
pub async fn run(args: &Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let purged = admin.work(&["purge"], &json!({})).await?;
    Ok(document::show(&purged, args.json, terminal)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{MockServer, ResponseTemplate};

    use crate::cli::testing::{answer, run};

    #[tokio::test]
    async fn what_went_is_counted() {
        let server = MockServer::start().await;
        let purged = ResponseTemplate::new(200).set_body_json(json!({"bodies": 12, "events": 0}));
        answer(&server, "POST", "/api/v1/purge", purged).await;
        assert_eq!(run(&server, &["purge"]).await.unwrap().out(), "bodies  12\nevents  0\n");
    }
}
