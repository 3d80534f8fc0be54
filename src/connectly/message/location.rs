//! A pin on the map.

use serde::{Deserialize, Deserializer, Serialize};

use super::Text;

/// A place. Connectly prints coordinates as numbers, its sibling API as strings: both are read, numbers are written.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north, -90 to 90.
    #[serde(deserialize_with = "number_or_text")]
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    #[serde(deserialize_with = "number_or_text")]
    pub longitude: f64,
    /// What stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Text>,
}

impl Location {
    /// A pin without a label.
    pub fn new(latitude: f64, longitude: f64) -> Self {
        Self { latitude, longitude, name: None, address: None }
    }

    /// The same with a name.
    #[must_use]
    pub fn name(self, name: impl Into<Text>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same with an address.
    #[must_use]
    pub fn address(self, address: impl Into<Text>) -> Self {
        Self { address: Some(address.into()), ..self }
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Location(..)")
    }
}

fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(f64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => {
            text.trim().parse().map_err(|_| serde::de::Error::custom("a coordinate is not a number"))
        }
    }
}
