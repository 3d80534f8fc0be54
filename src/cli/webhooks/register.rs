//! `switchboard webhooks register`.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::address::objection;
use crate::cli::account::{Account, AccountOptions, WHERE};
use crate::cli::confirm::confirm;
use crate::cli::table::Table;
use crate::cli::{Surroundings, Terminal, Usage, list};
use crate::connectly::client::register::{Plan, PlanError, Registered, Wish};
use crate::connectly::client::webhooks::{Filter, Registration, Wanted};

/// The topic of what customers write; the only one with something to echo.
const MESSAGES: &str = "messages";

/// Shown below the help.
pub(super) fn help() -> String {
    format!(
        "A topic's registration is the one with the same address: it is changed if need be, and what no option names stays as \
it is. A topic that is not registered is created. One that is registered with another address only is given this one, after \
asking, since it may belong to somebody else; of several it has to be said which, with --replace. Registrations of Zapier \
and the like are left alone, as far as Connectly's list tells them apart. It is safe to run again.

{WHERE}

Examples:
  switchboard webhooks register --url https://hooks.example.com/webhooks/connectly
  switchboard webhooks register --config switchboard.toml --echo
  switchboard webhooks register --topic messages --filter 'campaign_name=spring-*'"
    )
}

/// What to register.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to post to, with its path; HTTPS. Otherwise that of `public.url`, or of `dev`
    // The same name and type as the option of all other commands, which this one takes the place of.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// What to post: messages, `delivery_status` or report; may be given several times
    #[arg(long = "topic", value_name = "TOPIC", default_values = [MESSAGES, "delivery_status"])]
    topics: Vec<String>,
    /// With topic messages: post also what the business sends, from wherever; `--echo=false` ends it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    echo: Option<bool>,
    /// Only of this channel, like whatsapp; may be given several times
    #[arg(long = "channel-type", value_name = "CHANNEL")]
    channel_types: Vec<String>,
    /// Only what fits, like `campaign_name=spring-*`; may be given several times
    #[arg(long = "filter", value_name = "FIELD=PATTERN", value_parser = filter)]
    filters: Vec<Filter>,
    /// Take away the filters there are
    #[arg(long, conflicts_with = "filters")]
    no_filter: bool,
    /// Change the registration with this id, whatever its address; may be given once for each topic
    #[arg(long, value_name = "ID")]
    replace: Vec<String>,
    #[command(flatten)]
    account: AccountOptions,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON, as one array
    #[arg(long)]
    json: bool,
}

fn filter(text: &str) -> Result<Filter, &'static str> {
    let wrong = "expected FIELD=PATTERN, as in campaign_name=spring-*";
    let (field, expression) = text.split_once('=').filter(|(field, _)| !field.is_empty()).ok_or(wrong)?;
    Ok(Filter { field: field.to_owned(), expression: expression.to_owned() })
}

pub(super) async fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let account = args.account.find(file, surroundings, terminal)?;
    let address = args.address(&account, surroundings)?;
    let mut wishes = args.wishes(&address)?;
    // Everything that speaks against it is found, and everything is asked, before anything is changed.
    let registered = account.client.webhooks().await?;
    args.name_replaced(&mut wishes, &registered)?;
    let moved = moved(&mut wishes, &registered)?;
    if !moved.is_empty() && !confirm(args.yes, &question(&moved, &address), terminal)? {
        return Ok(());
    }
    let mut done = Vec::new();
    let mut outcome = Ok(());
    for wish in &wishes {
        match account.client.register(wish).await {
            Ok(registered) => done.push((wish, registered)),
            Err(error) => {
                outcome = Err(error).with_context(|| format!("topic {}", wish.topic));
                break;
            }
        }
    }
    print(&done, args.json, terminal)?;
    for (wish, result) in &done {
        tell_of_others(wish, id_of(result), &registered, terminal)?;
    }
    outcome
}

impl Args {
    /// The address, if Connectly can post to it.
    fn address(&self, account: &Account, surroundings: &Surroundings) -> anyhow::Result<String> {
        // The variable names the server that other commands talk to, and comes along with the option's name.
        let of_server = surroundings.environment.get("SWITCHBOARD_URL");
        let told = self.url.clone().filter(|url| of_server != Some(url));
        let address = told.or_else(|| account.webhook.clone()).ok_or_else(|| {
            let advice = "give --url, like https://hooks.example.com/webhooks/connectly, or set public.url";
            Usage(format!("no address is known: {advice}"))
        })?;
        if let Some(wrong) = objection(&address, account.is_local) {
            // A password, which is one of the objections, is not repeated.
            let shown = if address.contains('@') { "the address" } else { address.as_str() };
            return Err(Usage(format!("{shown} cannot be registered: {wrong}")).into());
        }
        Ok(address)
    }

    /// A wish for each topic.
    fn wishes(&self, address: &str) -> anyhow::Result<Vec<Wish>> {
        let mut topics: Vec<&str> = Vec::new();
        for topic in &self.topics {
            if !topics.contains(&topic.as_str()) {
                topics.push(topic);
            }
        }
        let has_echo = self.echo.is_none() || topics.contains(&MESSAGES);
        anyhow::ensure!(has_echo, Usage(format!("--echo goes with topic {MESSAGES} only")));
        let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let filters = (self.no_filter || !self.filters.is_empty()).then(|| self.filters.clone());
        let wish = |topic: &str| Wish {
            topic: topic.to_owned(),
            address: address.to_owned(),
            wanted: Wanted {
                echo: self.echo.filter(|_| topic == MESSAGES),
                channel_types: given(&self.channel_types),
                filters: filters.clone(),
            },
            replace: None,
        };
        Ok(topics.into_iter().map(wish).collect())
    }

    /// Hands each id of --replace to the wish that it belongs to.
    fn name_replaced(&self, wishes: &mut [Wish], registered: &[Registration]) -> anyhow::Result<()> {
        for id in &self.replace {
            let topic_has_it = |wish: &&mut Wish| wish.of_topic(registered).any(|found| found.id == *id);
            let wish = wishes.iter_mut().find(topic_has_it);
            let wish = wish.ok_or_else(|| {
                Usage(format!("no registration of {} has the id {id}", self.topics.join(" or ")))
            })?;
            if let Some(other) = wish.replace.replace(id.clone()) {
                let both = format!("{other} and {id} are both registrations of {}", wish.topic);
                return Err(Usage(format!("{both}: give one of them with --replace")).into());
            }
        }
        Ok(())
    }
}

/// The registrations that will get another address. The wishes they stand in the way of are allowed to change them from now on.
fn moved(wishes: &mut [Wish], registered: &[Registration]) -> anyhow::Result<Vec<Registration>> {
    let mut moved = Vec::new();
    for wish in wishes {
        match wish.plan(registered) {
            Ok(Plan::Update(registration)) if !registration.posts_to(&wish.address) => {
                moved.push(registration.clone());
            }
            Ok(Plan::Create | Plan::Update(_) | Plan::Nothing(_)) => {}
            Err(PlanError::Elsewhere(registration)) => {
                wish.replace = Some(registration.id.clone());
                moved.push(*registration);
            }
            Err(error @ PlanError::Several { .. }) => {
                let advice = "say which to change with --replace ID, or delete those that are not wanted";
                return Err(Usage(format!("{error}; {advice}")).into());
            }
            Err(error @ PlanError::NotThere { .. }) => return Err(error.into()),
        }
    }
    Ok(moved)
}

fn question(moved: &[Registration], address: &str) -> String {
    let now = |registration: &Registration| {
        format!("{} ({}) goes to {} now", registration.topic, registration.id, registration.address)
    };
    let all = moved.iter().map(now).collect::<Vec<_>>().join(", ");
    format!("{all}, and will go to {address} instead")
}

fn print(done: &[(&Wish, Registered)], as_json: bool, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let word = |registered: &Registered| match registered {
        Registered::Created(_) => "created",
        Registered::Updated(_) => "updated",
        Registered::Unchanged(_) => "unchanged",
    };
    if as_json {
        let row = |(wish, result): &(&Wish, Registered)| json!({"topic": wish.topic, "result": word(result), "id": id_of(result), "address": wish.address});
        let rows: Vec<_> = done.iter().map(row).collect();
        return Ok(list::json(&list::documents(&rows)?, terminal)?);
    }
    if done.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["topic", "result", "id", "address"]);
    for (wish, result) in done {
        let id = id_of(result).unwrap_or_default().to_owned();
        table.row([wish.topic.clone(), word(result).to_owned(), id, wish.address.clone()]);
    }
    Ok(table.write(terminal)?)
}

fn id_of(registered: &Registered) -> Option<&str> {
    match registered {
        Registered::Created(id) => id.as_deref(),
        Registered::Updated(id) | Registered::Unchanged(id) => Some(id),
    }
}

/// Says which other addresses get the topic as well.
fn tell_of_others(
    wish: &Wish,
    id: Option<&str>,
    registered: &[Registration],
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    for other in wish.of_topic(registered).filter(|other| Some(other.id.as_str()) != id) {
        let Registration { topic, address, id, .. } = other;
        terminal.hint(&format!("{topic} goes to {address} as well ({id}), which was left as it is"))?;
    }
    Ok(())
}
