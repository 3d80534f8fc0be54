//! `switchboard customers`: one customer, and whether they want to be written to.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::admin::{Admin, Document, Query};
use super::conversations::{HEADINGS, cells};
use super::document;
use super::filter::add;
use super::list;
use super::table::aligned;
use super::terminal::Terminal;

/// What to do with a customer.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Shows a customer and their conversations
    #[command(after_help = "Example:\n  switchboard customers show +15550100001")]
    Show(One),
    /// Notes that the customer wants no messages: none leaves from now on, from any path
    #[command(after_help = "Example:\n  switchboard customers opt-out +15550100001 --by Ana")]
    OptOut(OptOut),
    /// Notes that the customer wants messages again
    #[command(after_help = "Example:\n  switchboard customers opt-in +15550100001")]
    OptIn(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The customer: a phone number, a user id or our id
    customer: String,
    /// The account, where several know the customer
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct OptOut {
    #[command(flatten)]
    one: One,
    /// Who says so, for whoever asks later
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Runs one of the commands.
pub async fn run(args: Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let (one, action, by) = match &args.action {
        Action::Show(one) => (one, None, None),
        Action::OptOut(OptOut { one, by }) => (one, Some("opt-out"), by.as_deref()),
        Action::OptIn(one) => (one, Some("opt-in"), None),
    };
    let mut query = Query::new();
    add(&mut query, "account", one.account.as_deref());
    add(&mut query, "by", by);
    match action {
        None => {
            let customer = admin.get(&["customers", &one.customer], &query).await?;
            if one.json {
                document::show(&customer, true, terminal)?;
            } else {
                show(&customer, admin, terminal)?;
            }
        }
        Some(action) => {
            let customer = admin.post_to(&["customers", &one.customer, action], &query, &json!({})).await?;
            document::show(&customer, one.json, terminal)?;
        }
    }
    Ok(())
}

/// The customer, and their conversations as a list shows them.
fn show(customer: &Document, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let mut fields: BTreeMap<&str, &RawValue> = admin.read(customer)?;
    let conversations: Vec<Document> = match fields.remove("conversations") {
        Some(conversations) => admin.read(conversations)?,
        None => Vec::new(),
    };
    for name in ["id", "account", "phone", "user_id", "name", "opted_out_at", "opted_out_by", "created_at"] {
        let value = fields.get(name).map(|value| admin.read(value)).transpose()?.unwrap_or(Value::Null);
        let value = value.as_str().map(ToOwned::to_owned).unwrap_or_default();
        if !value.is_empty() {
            terminal.line(&aligned(&[name, &value], &[12, 0]))?;
        }
    }
    terminal.line("")?;
    Ok(list::table(&conversations, HEADINGS, cells, "no conversations", terminal)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{MockServer, ResponseTemplate};

    use crate::cli::testing::{answer, answers, run};

    #[tokio::test]
    async fn a_customer_is_shown_and_opted_out_and_in() {
        let server = MockServer::start().await;
        let conversation = json!({"id": "01V1", "business": {"id": "+15550100002"}, "customer": {"user_id": "US.1"},
            "window": {"open": false, "closes_at": null}});
        let customer = json!({"id": "01C1", "phone": "+15550100001", "user_id": null, "opted_out_at": null,
            "conversations": [conversation]});
        answers(&server, "/api/v1/customers/+15550100001", &customer).await;
        let shown = run(&server, &["customers", "show", "+15550100001"]).await.unwrap();
        insta::assert_snapshot!(shown.out(), @r"
        id            01C1
        phone         +15550100001

        ID    CUSTOMER  BUSINESS      WINDOW  UNTIL  NAME
        01V1  US.1      +15550100002  closed
        ");
        for action in ["opt-out", "opt-in"] {
            let response = ResponseTemplate::new(200).set_body_json(&customer);
            let target = format!("/api/v1/customers/US.1/{action}?account=shop");
            answer(&server, "POST", &target, response).await;
            run(&server, &["customers", action, "US.1", "--account", "shop"]).await.unwrap();
        }
    }
}
