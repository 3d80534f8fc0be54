//! The limit of callbackData.

use serde_json::value::RawValue;

use crate::emulator::errors::Refusal;

/// The most callbackData that Connectly takes, in bytes of compact JSON.
const CALLBACK_DATA_BYTES: usize = 1_024;

/// Checks that what is to be echoed is not too long.
pub(super) fn check(data: Option<&RawValue>) -> Result<(), Refusal> {
    let fits = data.is_none_or(|data| compact_length(data.get()) <= CALLBACK_DATA_BYTES);
    fits.then_some(()).ok_or(Refusal::CallbackData)
}

/// The bytes of valid JSON without the white space between its tokens.
fn compact_length(json: &str) -> usize {
    let (mut length, mut in_string, mut escaped) = (0, false, false);
    for byte in json.bytes() {
        if in_string {
            let quote = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            in_string = !quote;
            length += 1;
        } else if !byte.is_ascii_whitespace() {
            in_string = byte == b'"';
            length += 1;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_length(length: usize) -> Box<RawValue> {
        RawValue::from_string(format!("\"{}\"", "x".repeat(length - 2))).unwrap()
    }

    #[test]
    fn callback_data_is_measured_without_white_space() {
        assert_eq!(check(None), Ok(()));
        assert_eq!(check(Some(&of_length(1_024))), Ok(()));
        assert_eq!(check(Some(&of_length(1_025))), Err(Refusal::CallbackData));
        let spaced = format!("[   {}\n, 1, 2 ]", of_length(1_018));
        assert_eq!(check(Some(&RawValue::from_string(spaced).unwrap())), Ok(()));
        assert_eq!(compact_length(r#"{ "a b" : "c\" d" }"#), r#"{"a b":"c\" d"}"#.len());
    }
}
