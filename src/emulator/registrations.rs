//! Which addresses are registered for which topics, and which of them an event goes to. Pure.
//!
//! A registration is the only one of its topic and type. What becomes of another one for the same is what Connectly's own
//! pages disagree about: [`ExistingTopic`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pattern::matches;
use super::time::ulid_at;
use super::wire::WHATSAPP;
use super::wire::registration::{Configuration, CreateRequest, ListedRegistration, UpdateRequest};

/// The topics that can be registered.
const TOPICS: [&str; 3] = [MESSAGES, DELIVERY_STATUS, "report"];
const MESSAGES: &str = "messages";
const DELIVERY_STATUS: &str = "delivery_status";
/// The types that are documented, the default first.
const TYPES: [&str; 4] = ["custom", "zapier", "webengage", "integromat_make"];
/// The only field that a filter can name.
const CAMPAIGN_NAME: &str = "campaign_name";

/// What creating a registration does when its topic has one: Connectly's pages say both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingTopic {
    /// 409, as the page of the endpoint says.
    #[default]
    Conflict,
    /// It takes the old one's place, as the overview says.
    Replace,
}

/// Why a request about registrations is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RegistrationError {
    /// A required field is absent or empty.
    #[error("{0} is required")]
    Missing(&'static str),
    /// A field whose value cannot be.
    #[error("{0} is invalid")]
    Invalid(&'static str),
    /// No registration has this id.
    #[error("the webhook was not found")]
    NotFound,
    /// The topic has one.
    #[error("a webhook is already registered for this topic")]
    Exists,
}

/// Everything that is registered, oldest first.
#[derive(Default)]
pub(super) struct Registrations {
    pub(super) existing_topic: ExistingTopic,
    entries: Vec<Registration>,
}

struct Registration {
    id: String,
    topic: String,
    kind: String,
    address: String,
    configuration: Configuration,
}

impl Registrations {
    /// Nothing yet.
    pub(super) fn new(existing_topic: ExistingTopic) -> Self {
        Self { existing_topic, entries: Vec::new() }
    }

    /// The entries as Connectly lists them.
    pub(super) fn list(&self) -> Vec<ListedRegistration<'_>> {
        self.entries.iter().map(Registration::listed).collect()
    }

    /// Registers an address, and answers the registration's id.
    pub(super) fn create(
        &mut self,
        request: CreateRequest,
        now: Timestamp,
    ) -> Result<String, RegistrationError> {
        let topic = request.topic.filter(|topic| !topic.is_empty());
        let topic = topic.ok_or(RegistrationError::Missing("topic"))?;
        if !TOPICS.contains(&topic.as_str()) {
            return Err(RegistrationError::Invalid("topic"));
        }
        let kind = request.kind.unwrap_or_else(|| TYPES[0].to_owned());
        if !TYPES.contains(&kind.as_str()) {
            return Err(RegistrationError::Invalid("type"));
        }
        let address = checked(request.address.ok_or(RegistrationError::Missing("address"))?)?;
        let configuration = request.configuration.unwrap_or_default();
        check(&configuration)?;
        let is_same = |entry: &Registration| entry.topic == topic && entry.kind == kind;
        if self.entries.iter().any(is_same) {
            match self.existing_topic {
                ExistingTopic::Conflict => return Err(RegistrationError::Exists),
                ExistingTopic::Replace => self.entries.retain(|entry| !is_same(entry)),
            }
        }
        let id = format!("wh_{}", ulid_at(now));
        self.entries.push(Registration { id: id.clone(), topic, kind, address, configuration });
        Ok(id)
    }

    /// Changes what the request names. A configuration is replaced as a whole.
    pub(super) fn update(&mut self, id: &str, request: UpdateRequest) -> Result<(), RegistrationError> {
        let entry = self.entries.iter_mut().find(|entry| entry.id == id);
        let entry = entry.ok_or(RegistrationError::NotFound)?;
        let address = request.address.map(checked).transpose()?;
        request.configuration.as_ref().map_or(Ok(()), check)?;
        entry.address = address.unwrap_or_else(|| entry.address.clone());
        entry.configuration = request.configuration.unwrap_or_else(|| entry.configuration.clone());
        Ok(())
    }

    /// Forgets a registration.
    pub(super) fn delete(&mut self, id: &str) -> Result<(), RegistrationError> {
        let place = self.entries.iter().position(|entry| entry.id == id);
        self.entries.remove(place.ok_or(RegistrationError::NotFound)?);
        Ok(())
    }

    /// Where a webhook goes; `None` as long as nothing at all is registered.
    pub(super) fn targets(&self, body: &str) -> Option<Vec<String>> {
        if self.entries.is_empty() {
            return None;
        }
        let subject = Subject::of(body);
        let entries = self.entries.iter().filter(|entry| entry.wants(&subject));
        Some(entries.map(|entry| entry.address.clone()).collect())
    }

    /// Whether anybody wants to hear of what the business sends.
    pub(super) fn want_echo(&self) -> bool {
        self.entries.iter().any(|entry| entry.configuration.echo)
    }
}

impl Registration {
    fn listed(&self) -> ListedRegistration<'_> {
        let Self { id, topic, address, configuration, .. } = self;
        ListedRegistration { id, topic, address, configuration }
    }

    fn wants(&self, subject: &Subject) -> bool {
        let Configuration { echo, channel_types, filters, .. } = &self.configuration;
        let of_topic = self.topic == subject.topic && (*echo || !subject.is_echo);
        let of_channel = channel_types.is_empty() || channel_types.iter().any(|kind| kind == WHATSAPP);
        let fits = filters.iter().all(|filter| matches(&filter.expression, &subject.campaign));
        of_topic && of_channel && fits
    }
}

/// What a webhook is about, as its own body says.
struct Subject {
    topic: &'static str,
    is_echo: bool,
    /// The campaign's name; empty without one, which only `*` fits.
    campaign: String,
}

impl Subject {
    fn of(body: &str) -> Self {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let campaign = body.pointer("/statusUpdate/metadata/campaignName").and_then(Value::as_str);
        Self {
            topic: if body.get("statusUpdate").is_some() { DELIVERY_STATUS } else { MESSAGES },
            is_echo: body.pointer("/message/isEcho") == Some(&Value::Bool(true)),
            campaign: campaign.unwrap_or_default().to_owned(),
        }
    }
}

/// An address that can be posted to. Unlike Connectly, a desk has plain HTTP.
fn checked(address: String) -> Result<String, RegistrationError> {
    let url = reqwest::Url::parse(&address).ok();
    let is_web = url.is_some_and(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    if is_web { Ok(address) } else { Err(RegistrationError::Invalid("address")) }
}

fn check(configuration: &Configuration) -> Result<(), RegistrationError> {
    let known = configuration.filters.iter().all(|filter| filter.field == CAMPAIGN_NAME);
    known.then_some(()).ok_or(RegistrationError::Invalid("configuration.filters"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn create(registrations: &mut Registrations, body: Value) -> Result<String, RegistrationError> {
        registrations.create(serde_json::from_value(body).unwrap(), Timestamp::UNIX_EPOCH)
    }

    fn entry(topic: &str, address: &str) -> Value {
        json!({"topic": topic, "address": address})
    }

    fn listed(registrations: &Registrations) -> Value {
        serde_json::to_value(registrations.list()).unwrap()
    }

    #[test]
    fn both_opinions_on_a_registered_topic_can_be_had() {
        for existing_topic in [ExistingTopic::Conflict, ExistingTopic::Replace] {
            let mut registrations = Registrations::new(existing_topic);
            create(&mut registrations, entry("messages", "https://a.example/")).unwrap();
            let again = create(&mut registrations, entry("messages", "https://b.example/"));
            let left = match existing_topic {
                ExistingTopic::Conflict => {
                    assert_eq!(again, Err(RegistrationError::Exists));
                    "https://a.example/"
                }
                ExistingTopic::Replace => "https://b.example/",
            };
            assert_eq!(listed(&registrations)[0]["address"], left);
            let mut zapier = entry("messages", "https://c.example/");
            zapier["type"] = "zapier".into();
            create(&mut registrations, zapier).unwrap();
            assert_eq!(registrations.list().len(), 2);
        }
    }

    #[test]
    fn an_update_changes_what_it_names() {
        let mut registrations = Registrations::default();
        let mut body = entry("messages", "https://a.example/");
        body["configuration"] = json!({"echo": true, "channel_types": ["whatsapp"], "filters": null, "webengageConfiguration": {}});
        let id = create(&mut registrations, body).unwrap();
        let mut update =
            |id: &str, body: Value| registrations.update(id, serde_json::from_value(body).unwrap());
        update(&id, json!({"address": "http://b.example", "topic": "report"})).unwrap();
        assert_eq!(update("wh_none", json!({})), Err(RegistrationError::NotFound));
        assert_eq!(update(&id, json!({"address": "b"})), Err(RegistrationError::Invalid("address")));
        let configuration =
            json!({"echo": true, "channelTypes": ["whatsapp"], "filters": [], "webengageConfiguration": {}});
        let entry = json!({"id": id, "topic": "messages", "address": "http://b.example", "configuration": configuration});
        assert_eq!(listed(&registrations), json!([entry]));
        assert_eq!(registrations.delete(&id), Ok(()));
        assert_eq!(registrations.delete(&id), Err(RegistrationError::NotFound));
    }

    #[test]
    fn what_cannot_be_registered_is_told_apart() {
        let mut registrations = Registrations::default();
        let address = "https://a.example/";
        for (body, error) in [
            (json!({"address": address}), RegistrationError::Missing("topic")),
            (json!({"topic": "messages"}), RegistrationError::Missing("address")),
            (json!({"topic": "weather", "address": address}), RegistrationError::Invalid("topic")),
            (json!({"topic": "report", "address": "a"}), RegistrationError::Invalid("address")),
            (json!({"topic": "report", "address": address, "type": "x"}), RegistrationError::Invalid("type")),
            (
                json!({"topic": "report", "address": address, "configuration": {"filters": [{"field": "x"}]}}),
                RegistrationError::Invalid("configuration.filters"),
            ),
        ] {
            assert_eq!(create(&mut registrations, body), Err(error));
        }
    }

    #[test]
    fn an_event_goes_to_whoever_wants_it() {
        let status = json!({"statusUpdate": {"metadata": {"campaignName": "spring-1"}}}).to_string();
        let plain = json!({"statusUpdate": {"id": "1"}}).to_string();
        let inbound = json!({"message": {"text": "hi"}}).to_string();
        let echo = json!({"message": {"text": "hi", "isEcho": true}}).to_string();
        let mut registrations = Registrations::default();
        assert_eq!(registrations.targets(&inbound), None);
        let mut of = |topic: &str, kind: &str, configuration: Value| {
            let address = format!("https://{kind}.example/");
            let body =
                json!({"topic": topic, "type": kind, "address": address, "configuration": configuration});
            create(&mut registrations, body).unwrap();
        };
        of("messages", "custom", json!({"echo": true}));
        of("messages", "zapier", json!({}));
        of("messages", "webengage", json!({"channelTypes": ["sms"]}));
        let filters = json!([{"field": "campaign_name", "expression": "spring-*"}]);
        of("delivery_status", "custom", json!({"filters": filters, "channelTypes": ["sms", "whatsapp"]}));
        let targets = |body: &str| registrations.targets(body).unwrap().join(" ");
        assert_eq!(targets(&inbound), "https://custom.example/ https://zapier.example/");
        assert_eq!(targets(&echo), "https://custom.example/");
        assert_eq!(targets(&status), "https://custom.example/");
        assert_eq!(targets(&plain), "");
        assert!(registrations.want_echo());
    }
}
