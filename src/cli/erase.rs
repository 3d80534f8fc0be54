//! `switchboard erase`: one customer, for good.

use super::admin::{Admin, Query};
use super::confirm::confirm;
use super::document;
use super::filter::add;
use super::terminal::Terminal;

/// Shown below the help.
pub const EXAMPLES: &str = "Events with their bytes, messages, jobs (also those under way), state, conversations and every \
number and id of the customer go: first what is finished, in steps that hold nobody up, then all that is left at once. After \
an error some may be gone already; repeat the command for the rest. A delivery that is repeated later brings nothing back; a new one is of \
a new customer. Backups and what handlers passed on are not reached. On PostgreSQL the space of deleted rows is overwritten \
when it is used again: VACUUM FULL does so at once.

Example:
  switchboard erase +15550100001";

/// Whom to erase.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The customer: a phone number, a user id or our id
    customer: String,
    /// The account, where several know the customer
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

/// Asks, then prints how much there was.
pub async fn run(args: &Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let question = format!("everything of {} will be erased, and cannot be brought back", args.customer);
    if !confirm(args.yes, &question, terminal)? {
        return Ok(());
    }
    let mut query = Query::new();
    add(&mut query, "account", args.account.as_deref());
    let erased = admin.delete(&["customers", &args.customer], &query).await?;
    Ok(document::show(&erased, args.json, terminal)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{MockServer, ResponseTemplate};

    use crate::cli::Usage;
    use crate::cli::testing::{answer, run};

    #[tokio::test]
    async fn what_was_erased_is_counted_and_nothing_goes_unasked() {
        let server = MockServer::start().await;
        let error = run(&server, &["erase", "+15550100001"]).await.err().unwrap();
        assert!(error.is::<Usage>() && error.to_string().contains("--yes"), "{error}");
        let erased = ResponseTemplate::new(200).set_body_json(json!({"events": 3, "identities": 2}));
        answer(&server, "DELETE", "/api/v1/customers/+15550100001?account=shop", erased).await;
        let printed = run(&server, &["erase", "+15550100001", "--account", "shop", "--yes"]).await.unwrap();
        assert_eq!(printed.out(), "events      3\nidentities  2\n");
    }
}
