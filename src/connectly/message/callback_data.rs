//! callbackData: any JSON that Connectly echoes in the events of a message.

use serde_json::Value;

use super::{Invalid, Problem, limits};

/// The size that Connectly measures: bytes of compact JSON.
pub fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Whether it fits into Connectly's 1024 bytes with so many bytes kept free for a mark of ours.
pub fn fits(value: &Value, reserved_bytes: usize) -> bool {
    limits::CALLBACK_DATA.allows(size(value).saturating_add(reserved_bytes))
}

/// Refuses what Connectly would answer with 400, naming `field`, the limit and the size found.
pub fn validate(value: &Value, field: &str) -> Result<(), Invalid> {
    let found = size(value);
    let limit = limits::CALLBACK_DATA;
    if limit.allows(found) {
        return Ok(());
    }
    Err(Invalid::new(field, Problem::Limit { limit, found }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_in_bytes_of_compact_json() {
        let value = |bytes: usize| Value::String("é".repeat((bytes - 2) / 2));
        assert_eq!(size(&value(1024)), 1024);
        assert!(validate(&value(1024), "callback_data").is_ok());
        let problem = validate(&value(1026), "callback_data").unwrap_err();
        assert_eq!(problem.to_string(), "callback_data has 1026 bytes of JSON, at most 1024 are allowed");
    }

    #[test]
    fn room_for_a_mark_counts_against_the_limit() {
        let value = serde_json::json!({"order_id": "12345"});
        assert!(fits(&value, 1024 - size(&value)));
        assert!(!fits(&value, 1025 - size(&value)));
        assert!(!fits(&value, usize::MAX));
        assert!(fits(&Value::Null, 0));
    }
}
