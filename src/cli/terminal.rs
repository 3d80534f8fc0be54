//! What is printed, and what is kept off the screen.
//!
//! Texts come from strangers, so nothing reaches the screen with control characters in it: they could move the cursor,
//! rewrite what was printed before, or turn the direction of the text.

use std::io::{self, Write};

/// Where a command writes: results to `out`, everything else to `err`.
pub struct Terminal<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    interactive: bool,
    watched: bool,
    counting: bool,
}

/// Takes back what stands on the line of a screen.
const CLEAR_LINE: &str = "\r\u{1b}[K";

impl<'a> Terminal<'a> {
    /// A terminal over two streams; `interactive` says that a person reads `out`, not a file or a pipe.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, interactive: bool) -> Self {
        Self { out, err, interactive, watched: false, counting: false }
    }

    /// The same terminal; `watched` says that a person reads `err`, who may like to see how far a long command has come.
    #[must_use]
    pub fn watched(self, watched: bool) -> Self {
        Self { watched, ..self }
    }

    /// Whether a person reads the result.
    pub const fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Prints one line of the result, cleaned.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", clean(text))?;
        self.out.flush()
    }

    /// Says something beside the result, cleaned.
    pub fn hint(&mut self, text: &str) -> io::Result<()> {
        self.clear_progress()?;
        writeln!(self.err, "{}", clean(text))
    }

    /// Says how far the command has come, in the place of what it said of that before. Only who watches sees it.
    pub fn progress(&mut self, text: &str) -> io::Result<()> {
        if !self.watched {
            return Ok(());
        }
        self.counting = true;
        write!(self.err, "{CLEAR_LINE}{}", clean(text))?;
        self.err.flush()
    }

    /// Takes back what [`Terminal::progress`] said last.
    pub fn clear_progress(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.counting) {
            return Ok(());
        }
        write!(self.err, "{CLEAR_LINE}")?;
        self.err.flush()
    }

    /// Prints JSON as it came, with control characters escaped: its meaning does not change.
    pub fn json(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", escape(text))?;
        self.out.flush()
    }

    /// Writes bytes as they are, except to a person's screen, where each line is cleaned.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.interactive {
            self.out.write_all(bytes)?;
            return self.out.flush();
        }
        String::from_utf8_lossy(bytes).lines().try_for_each(|line| self.line(line))
    }
}

/// The text without control characters; line breaks and tabs become spaces.
pub fn clean(text: &str) -> String {
    let visible = |character| match character {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        other => (!is_hostile(other)).then_some(other),
    };
    text.chars().filter_map(visible).collect()
}

/// The text, cut to so many characters; the last one is an ellipsis then.
pub fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Control characters, and the invisible ones that reorder the text around them.
fn is_hostile(character: char) -> bool {
    let reorders = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || reorders
}

/// White space apart, JSON holds such characters only inside its strings, where an escape means the same.
fn escape(json: &str) -> String {
    let written = |character| match character {
        '\n' | '\r' | '\t' => " ".to_owned(),
        other if is_hostile(other) => format!("\\u{:04x}", u32::from(other)),
        other => other.to_string(),
    };
    json.chars().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Captured;

    #[test]
    fn nothing_printed_can_steer_the_screen() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\td\u{9b}1me\u{202e}f\u{0}\u{7f}"), "a[2Jb c d1mef");
        assert_eq!(clean("Olá, 你好 👋"), "Olá, 你好 👋");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let json = "{\n  \"text\": \"a\u{9b}b\u{202e}c\", \"big\": 12345678901234567890123}";
        let mut captured = Captured::default();
        captured.terminal().json(json).unwrap();
        assert_eq!(
            captured.out(),
            "{   \"text\": \"a\\u009bb\\u202ec\", \"big\": 12345678901234567890123}\n"
        );
        let before: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(captured.out()).unwrap(), before);
    }

    #[test]
    fn a_file_gets_the_bytes_and_a_person_clean_lines() {
        let bytes = b"{\n\x1b[2J\xff}";
        let (mut out, mut err) = (Vec::new(), Vec::new());
        Terminal::new(&mut out, &mut err, false).bytes(bytes).unwrap();
        assert_eq!(out, bytes);
        out.clear();
        Terminal::new(&mut out, &mut err, true).bytes(bytes).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\n[2J\u{fffd}}\n");
    }

    #[test]
    fn progress_is_for_who_watches_and_gives_way_to_words() {
        for (watched, expected) in
            [(true, "\r\u{1b}[K1 row\r\u{1b}[K2 rows\r\u{1b}[Kdone\n"), (false, "done\n")]
        {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut terminal = Terminal::new(&mut out, &mut err, true).watched(watched);
            terminal.progress("1 row").unwrap();
            terminal.progress("2 rows").unwrap();
            terminal.hint("done").unwrap();
            assert_eq!(String::from_utf8(err).unwrap(), expected);
        }
    }

    #[test]
    fn long_texts_are_clipped_by_characters() {
        assert_eq!(clip("ação", 4), "ação");
        assert_eq!(clip("ações", 4), "açõ…");
    }
}
