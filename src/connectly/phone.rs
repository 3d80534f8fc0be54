//! Phone numbers in one normal form: `+` and digits.
//!
//! Connectly prints E.164 with `+`, older samples print bare digits, one prints spaces and brackets.

/// Fewest digits of a number that could be somebody's: short codes have five.
const MIN_DIGITS: usize = 5;
/// Most digits of a number, by E.164.
const MAX_DIGITS: usize = 15;

/// The number as `+` and digits, or `None` when the text is no phone number (a BSUID, say).
pub fn normalize(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = text.strip_prefix('+').unwrap_or(text);
    let mut normal = String::with_capacity(MAX_DIGITS + 1);
    normal.push('+');
    for character in rest.chars() {
        match character {
            '0'..='9' => normal.push(character),
            ' ' | '\u{a0}' | '.' | '-' | '(' | ')' | '[' | ']' => {}
            _ => return None,
        }
    }
    (MIN_DIGITS..=MAX_DIGITS).contains(&(normal.len() - 1)).then_some(normal)
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn every_documented_spelling_is_one_number() {
        for spelling in ["+16042221111", "16042221111", "+1 (604) 222.1111", " +1 604-222-1111 "] {
            assert_eq!(normalize(spelling).as_deref(), Some("+16042221111"), "{spelling}");
        }
    }

    #[test]
    fn other_ids_are_not_numbers() {
        for other in ["", "+", "US.13491208655302741918", "1234", "1234567890123456", "+1+2345678", "shop"] {
            assert_eq!(normalize(other), None, "{other}");
        }
    }
}
