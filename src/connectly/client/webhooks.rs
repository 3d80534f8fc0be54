//! Where Connectly posts: its registrations, one per topic and address.
//!
//! The list is the least lenient reading here: whoever does not see a registration makes one, and by half of Connectly's
//! pages that replaces the one that was not seen. So an answer without the list is an error, and not an empty list.

use reqwest::{Method, Url};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::fields::{Fields, snake_case};
use super::{CallError, Client};
use crate::connectly::error::ErrorDetail;

/// The type of registration that a program makes; the others belong to Zapier and the like.
pub const CUSTOM: &str = "custom";

/// Where Connectly posts the events of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// Connectly's id of it, opaque.
    pub id: String,
    /// The topic: `messages`, `delivery_status`, `report`, or one that nobody documented.
    pub topic: String,
    /// The address that is posted to; empty when the answer has none.
    pub address: String,
    /// `custom`, or which other product posts there. No documented list has it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is posted there.
    pub configuration: Configuration,
}

/// What a registration is to be sent.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// Whether the messages that the business sends are posted too.
    pub echo: bool,
    /// The channels whose events are posted, as in `whatsapp`; none are named when all are.
    pub channel_types: Vec<String>,
    /// What events have to be like.
    pub filters: Vec<Filter>,
    /// All of it as it came, so that a change of one setting keeps those that are not known here. It may hold a secret.
    #[serde(skip)]
    raw: Map<String, Value>,
}

/// A condition on events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// The field; only `campaign_name` is documented.
    pub field: String,
    /// What it has to be, where `*` stands for anything.
    pub expression: String,
}

/// Settings for a registration. What is `None` stays as it is, or as Connectly has it for a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether the messages that the business sends are posted too; a new registration has it off.
    pub echo: Option<bool>,
    /// The channels whose events are posted.
    pub channel_types: Option<Vec<String>>,
    /// What events have to be like; an empty list lets all through.
    pub filters: Option<Vec<Filter>>,
}

impl Client {
    /// Every registration of the business.
    pub async fn webhooks(&self) -> Result<Vec<Registration>, CallError> {
        let answer = self.call(Method::GET, self.below(&["webhooks"]), None).await?;
        answer.read(registrations)
    }

    /// Registers an address for a topic. The answer is the new registration's id, if it was told. By one of Connectly's pages
    /// this replaces what was registered for the topic, by another it is then refused with 409: see [`Client::register`].
    pub async fn create_webhook(
        &self,
        topic: &str,
        address: &str,
        wanted: &Wanted,
    ) -> Result<Option<String>, CallError> {
        let configuration = Configuration::default()
            .with(&Wanted { echo: Some(wanted.echo.unwrap_or_default()), ..wanted.clone() });
        let body =
            json!({"topic": topic, "address": address, "type": CUSTOM, "configuration": configuration});
        let url = self.below(&["create", "webhooks"]);
        let answer = self.call(Method::POST, url, Some(body.to_string().into())).await?;
        // Whatever the body is, the status says that it was made.
        let id = answer.read(|value| Fields::of(value)?.text("id"));
        Ok(id.ok())
    }

    /// Changes the address and the settings of a registration that was listed; its topic cannot change.
    pub async fn update_webhook(
        &self,
        registration: &Registration,
        address: &str,
        wanted: &Wanted,
    ) -> Result<(), CallError> {
        let mut body = json!({"address": address});
        if !registration.configuration.fits(wanted) {
            // Whether a part of the settings would do is not documented, so they are sent whole.
            body["configuration"] = registration.configuration.with(wanted).into();
        }
        let url = self.of_id("update", &registration.id)?;
        self.call(Method::PUT, url, Some(body.to_string().into())).await.map(drop)
    }

    /// Deletes a registration: nothing is posted to its address any more.
    pub async fn delete_webhook(&self, id: &str) -> Result<(), CallError> {
        self.call(Method::DELETE, self.of_id("delete", id)?, None).await.map(drop)
    }

    /// `{business}/{verb}/webhooks/{id}`, for an id that can stand there.
    fn of_id(&self, verb: &str, id: &str) -> Result<Url, CallError> {
        if matches!(id, "" | "." | "..") {
            return Err(CallError::NotFound(ErrorDetail::from_message("no registration has such an id")));
        }
        Ok(self.below(&[verb, "webhooks", id]))
    }
}

impl Registration {
    /// Whether a program made it, and not one of the products that Connectly knows by name.
    pub fn is_custom(&self) -> bool {
        matches!(self.kind.as_deref(), None | Some(CUSTOM | "webhook_type_unspecified"))
    }

    /// Whether it posts to this address, however that is spelled.
    pub fn posts_to(&self, address: &str) -> bool {
        let parsed = |text: &str| Url::parse(text).ok();
        self.address == address
            || parsed(address).is_some_and(|address| parsed(&self.address) == Some(address))
    }

    /// One entry of the list; an entry without id could neither be changed nor be deleted.
    fn read(value: &Value) -> Option<Self> {
        let fields = Fields::of(value)?;
        Some(Self {
            id: fields.text("id")?,
            topic: fields.text("topic").unwrap_or_else(|| "topic_unspecified".to_owned()),
            address: fields.text("address").unwrap_or_default(),
            kind: fields.text("type"),
            configuration: fields.object("configuration").map(Configuration::read).unwrap_or_default(),
        })
    }
}

impl Configuration {
    /// Whether it is as wanted already.
    pub fn fits(&self, wanted: &Wanted) -> bool {
        let sorted = |texts: &[String]| {
            let mut texts = texts.to_vec();
            texts.sort_unstable();
            texts
        };
        wanted.echo.is_none_or(|echo| echo == self.echo)
            && wanted.channel_types.as_ref().is_none_or(|types| sorted(types) == sorted(&self.channel_types))
            && wanted.filters.as_ref().is_none_or(|filters| *filters == self.filters)
    }

    /// The settings as Connectly takes them, with what is wanted put in.
    fn with(&self, wanted: &Wanted) -> Map<String, Value> {
        let mut settings = self.raw.clone();
        let channel_types = wanted.channel_types.as_ref().map(|types| json!(types));
        let filters = wanted.filters.as_ref().map(|filters| json!(filters));
        let wanted =
            [("echo", wanted.echo.map(Value::from)), ("channelTypes", channel_types), ("filters", filters)];
        for (name, value) in wanted {
            if let Some(value) = value {
                settings.remove(&snake_case(name));
                settings.insert(name.to_owned(), value);
            }
        }
        settings
    }

    fn read(fields: Fields<'_>) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let filter = |value: &Value| {
            let fields = Fields::of(value)?;
            let [field, expression] =
                ["field", "expression"].map(|name| fields.text(name).unwrap_or_default());
            Some(Filter { field, expression })
        };
        Self {
            echo: fields.is_true("echo"),
            channel_types: fields.list("channelTypes").iter().filter_map(text).collect(),
            filters: fields.list("filters").iter().filter_map(filter).collect(),
            raw: fields.to_map(),
        }
    }
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Configuration").field("echo", &self.echo).finish_non_exhaustive()
    }
}

/// The list: `{"entity": {"webhooks": [...]}}`, where protobuf leaves out an empty one.
fn registrations(value: &Value) -> Option<Vec<Registration>> {
    let fields = Fields::of(value)?;
    let list = match fields.object("entity") {
        Some(entity) => entity.list("webhooks"),
        None => fields.get("webhooks")?.as_array()?,
    };
    list.iter().map(Registration::read).collect()
}
