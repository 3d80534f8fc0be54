//! Checking a handler's state before it is kept: what is written must be readable again.

use serde_json::Value;

/// The largest state in bytes of JSON: it is read with every event of its conversation.
const LARGEST: usize = 64 * 1024;

/// Checks a state. The error names the limit and what was found.
pub fn check(state: &Value) -> Result<(), String> {
    let text = state.to_string();
    if text.len() > LARGEST {
        return Err(format!("state: {} bytes of JSON, the limit is {LARGEST}", text.len()));
    }
    // Reading stops at a depth that writing does not know.
    serde_json::from_str::<Value>(&text)
        .map(drop)
        .map_err(|_| "state: nested too deeply, the limit is 127".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_state_that_could_not_be_read_again_is_refused() {
        assert!(check(&json!({ "step": 2 })).is_ok());
        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        assert!(check(&deep).unwrap_err().contains("127"));
        assert!(check(&json!("x".repeat(LARGEST))).unwrap_err().contains("65536"));
    }
}
