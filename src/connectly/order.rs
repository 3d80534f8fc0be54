//! Connectly's dispatch ordering (its page of session messages): one message that waits for another. It has nothing to do
//! with orders in a shop.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::{Field, Invalid, Problem, Shape, check};

/// What a message waits for. What exactly Connectly does with it is not documented; messages of one conversation leave here in
/// the order they were queued anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Order {
    /// Connectly's id of the message that this one depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// What becomes of this one when that one fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
}

/// Connectly's two strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// It is sent whatever becomes of the other.
    Independent,
    /// It is not sent when the other was not.
    ShortCircuit,
}

static ORDER: Shape = Shape::Object(&[
    Field::optional("parentId", Shape::Text),
    Field::optional(
        "strategy",
        Shape::Word(&["independent", "short_circuit"], "must be one of independent, short_circuit"),
    ),
]);

impl Order {
    /// After this message, whatever becomes of it.
    pub fn after(parent_id: impl Into<String>) -> Self {
        Self { parent_id: Some(parent_id.into()), strategy: None }
    }

    /// The order that a person or a program wrote as Connectly's `order` object.
    pub fn from_value(value: &Value) -> Result<Self, Invalid> {
        check(value, &ORDER, "order")?;
        Self::deserialize(value).map_err(|_| Invalid::new("order", Problem::Unreadable))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_reads_and_writes_what_the_documentation_writes() {
        let written = json!({"parentId": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "strategy": "short_circuit"});
        let order = Order::from_value(&written).unwrap();
        assert_eq!(order.strategy, Some(Strategy::ShortCircuit));
        assert_eq!(serde_json::to_value(&order).unwrap(), written);
        let bare = Order::after("01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(serde_json::to_value(&bare).unwrap(), json!({"parentId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}));
    }

    #[test]
    fn what_it_does_not_know_is_named() {
        let problem = |value: Value| Order::from_value(&value).unwrap_err().to_string();
        assert_eq!(
            problem(json!({"parent_id": "x"})),
            "order.parent_id is not a known key; did you mean `parentId`?"
        );
        assert_eq!(
            problem(json!({"strategy": "first"})),
            "order.strategy must be one of independent, short_circuit"
        );
    }
}
