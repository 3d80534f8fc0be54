//! Server-sent events, read from bytes as they come.

/// A line longer than this is no event of ours: bodies are at most 1 MiB.
const LONGEST_LINE: usize = 8 << 20;

/// One event of a stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its id, to resume after it.
    pub id: Option<String>,
    /// Its name; none for an ordinary one.
    pub name: Option<String>,
    /// Its data.
    pub data: String,
}

/// The stream is not made of lines.
#[derive(Debug, thiserror::Error)]
#[error("the stream has a line of more than 8 MiB")]
pub struct TooLong;

/// Puts events together from pieces that may end anywhere.
#[derive(Debug, Default)]
pub struct Reader {
    rest: Vec<u8>,
    frame: Frame,
    has_data: bool,
}

impl Reader {
    /// Takes a piece of the stream and returns the events it completes. Lines end in LF or CRLF.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<Frame>, TooLong> {
        let mut frames = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.len() + part.len() > LONGEST_LINE {
                return Err(TooLong);
            }
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.rest).into_owned();
                self.rest.clear();
                frames.extend(self.line(line.trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(frames)
    }

    /// An empty line ends an event; one without data is dropped, as comments are.
    fn line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            return std::mem::take(&mut self.has_data).then_some(frame);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.frame.id = Some(value.to_owned()),
            "event" => self.frame.name = Some(value.to_owned()),
            "data" => {
                if self.has_data {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
                self.has_data = true;
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\n\nid: 1\nevent: event\ndata: {\"a\":\ndata:\"é\"}\n\nretry: 5\n\nid:2\r\ndata: x\r\n\r\ndata: cut";

    #[test]
    fn events_are_found_wherever_the_pieces_end() {
        let first =
            Frame { id: Some("1".into()), name: Some("event".into()), data: "{\"a\":\n\"é\"}".into() };
        let second = Frame { id: Some("2".into()), name: None, data: "x".into() };
        for size in [1, 2, 7, STREAM.len()] {
            let mut reader = Reader::default();
            let pieces = STREAM.as_bytes().chunks(size);
            let frames: Vec<_> = pieces.flat_map(|piece| reader.push(piece).unwrap()).collect();
            assert_eq!(frames, [first.clone(), second.clone()], "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut reader = Reader::default();
        let piece = vec![b'x'; LONGEST_LINE / 2 + 1];
        assert!(reader.push(&piece).is_ok());
        assert!(reader.push(&piece).is_err());
    }
}
