//! The bodies of the registration endpoints. Both spellings of protobuf's JSON are read.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The body of `POST create/webhooks`, as it came.
#[derive(Deserialize)]
pub(in crate::emulator) struct CreateRequest {
    pub(in crate::emulator) topic: Option<String>,
    pub(in crate::emulator) address: Option<String>,
    #[serde(rename = "type")]
    pub(in crate::emulator) kind: Option<String>,
    pub(in crate::emulator) configuration: Option<Configuration>,
}

/// The body of `PUT update/webhooks/{webhookId}`: what it leaves out stays.
#[derive(Deserialize)]
pub(in crate::emulator) struct UpdateRequest {
    pub(in crate::emulator) address: Option<String>,
    pub(in crate::emulator) configuration: Option<Configuration>,
}

/// What a registration is to be sent. What no key here stands for is kept and shown again.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::emulator) struct Configuration {
    #[serde(deserialize_with = "null_as_absent")]
    pub(in crate::emulator) echo: bool,
    #[serde(alias = "channel_types", deserialize_with = "null_as_absent")]
    pub(in crate::emulator) channel_types: Vec<String>,
    #[serde(deserialize_with = "null_as_absent")]
    pub(in crate::emulator) filters: Vec<Filter>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

/// A condition on events.
#[derive(Clone, Deserialize, Serialize)]
pub(in crate::emulator) struct Filter {
    #[serde(default)]
    pub(in crate::emulator) field: String,
    #[serde(default)]
    pub(in crate::emulator) expression: String,
}

/// An entry of the list of registrations. As documented, neither type nor secret are in it.
#[derive(Serialize)]
pub(in crate::emulator) struct ListedRegistration<'a> {
    pub(in crate::emulator) id: &'a str,
    pub(in crate::emulator) topic: &'a str,
    pub(in crate::emulator) address: &'a str,
    pub(in crate::emulator) configuration: &'a Configuration,
}

/// In protobuf's JSON a null is a field that was left out.
fn null_as_absent<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
