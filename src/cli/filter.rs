//! What narrows a list: a period of time, and whom or what it is about.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::admin::Query;
use super::moment::Moment;

/// A period of time.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Period {
    /// From this time on: RFC 3339, or how long ago (30m, 2h, 1d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Before this time: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
}

impl Period {
    /// Whether another time is meant when it is given again.
    pub fn is_relative(&self) -> bool {
        [self.since, self.until].into_iter().flatten().any(|moment| matches!(moment, Moment::Ago(_)))
    }

    /// Adds itself to a query, seen from now.
    pub fn add_to(&self, query: &mut Query, now: Timestamp) {
        let text = |moment: Option<Moment>| moment.map(|moment| moment.resolve(now).to_string());
        add(query, "since", text(self.since).as_deref());
        add(query, "until", text(self.until).as_deref());
    }
}

/// Whom or what events and messages are about.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Subject {
    /// Of this customer: a phone number, a user id or our id
    #[arg(long, value_name = "CUSTOMER")]
    pub customer: Option<String>,
    /// Of this business number
    #[arg(long, value_name = "NUMBER")]
    pub business: Option<String>,
    /// Of this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// With this id at Connectly
    #[arg(long, value_name = "ID")]
    pub provider_message_id: Option<String>,
    /// Of this campaign
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// With this value in its callback data, as in `order_id=12345` or `order.id=7`; may be given several times
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_callback)]
    pub callback: Vec<(String, String)>,
}

impl Subject {
    /// Adds itself to a query.
    pub fn add_to(&self, query: &mut Query) {
        add(query, "customer", self.customer.as_deref());
        add(query, "business", self.business.as_deref());
        add(query, "account", self.account.as_deref());
        add(query, "provider_message_id", self.provider_message_id.as_deref());
        add(query, "campaign", self.campaign.as_deref());
        query.extend(
            self.callback.iter().map(|(path, value)| (format!("callback_data.{path}"), value.clone())),
        );
    }
}

/// Reads a path in callback data and the value there.
pub fn parse_callback(text: &str) -> Result<(String, String), &'static str> {
    let (path, value) = text.split_once('=').ok_or("expected PATH=VALUE, as in order_id=12345")?;
    if path.split('.').any(str::is_empty) {
        return Err("expected a path before the =, as in order_id=12345 or order.id=7");
    }
    Ok((path.to_owned(), value.to_owned()))
}

/// Adds one name and its value, if there is one.
pub fn add(query: &mut Query, name: &str, value: Option<&str>) {
    query.extend(value.map(|value| (name.to_owned(), value.to_owned())));
}

/// The same names and values as the fields of a body.
pub fn body_of(query: Query) -> Value {
    query.into_iter().map(|(name, value)| (name, Value::from(value))).collect::<Map<_, _>>().into()
}
