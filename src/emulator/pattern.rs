//! Patterns as Connectly's filters have them.

/// Whether a text fits a pattern in which each `*` stands for anything, also for nothing.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((beginning, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(beginning) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let end = pieces.pop().unwrap_or_default();
    for piece in pieces {
        // The earliest place leaves the most for the pieces that follow.
        let Some(place) = text.find(piece) else { return false };
        text = &text[place + piece.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "spring"),
            ("spring", "spring"),
            ("spring-*", "spring-"),
            ("*-2026", "spring-2026"),
            ("s*g*6", "spring-sale-2026"),
            ("a*b*b", "abb"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "x"),
            ("spring", "spring-2026"),
            ("spring-*", ""),
            ("a*b*b", "ab"),
            ("*x", "xy"),
            ("ab*ba", "aba"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
