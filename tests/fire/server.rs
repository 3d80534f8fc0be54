//! The program under fire when its handler has to be a Rust one: what a user's own `main` is, with a handler that keeps a
//! journal.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use switchboard::{App, Context, Event, Handler, HandlerResult, Reply};

use crate::journal::{Line, What};

/// Names the journal.
pub const JOURNAL: &str = "FIRE_JOURNAL";
/// How long the handler takes, in milliseconds.
pub const TAKES: &str = "FIRE_TAKES";

pub async fn main() -> ExitCode {
    let path = std::env::var(JOURNAL).unwrap();
    let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    let takes = Duration::from_millis(std::env::var(TAKES).unwrap().parse().unwrap());
    App::new().handler("journal", Journal { file: Arc::new(file), takes }).main().await
}

/// Writes when it begins and when it ends, and answers with the text and who it was.
struct Journal {
    file: Arc<File>,
    takes: Duration,
}

impl Journal {
    fn note(&self, what: What, event: &Event) {
        // One write of a few bytes to a file opened for appending: the lines of all processes have one order.
        let line = Line::now(what, event.id.to_string(), std::process::id());
        (&*self.file).write_all(line.written().as_bytes()).unwrap();
    }
}

/// One call of the handler. It ends with it, also where it is stopped in the middle.
struct Run<'a> {
    journal: &'a Journal,
    event: &'a Event,
}

impl<'a> Run<'a> {
    fn begin(journal: &'a Journal, event: &'a Event) -> Self {
        journal.note(What::Start, event);
        Self { journal, event }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.journal.note(What::End, self.event);
    }
}

impl Handler for Journal {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let run = Run::begin(self, event);
        tokio::time::sleep(self.takes).await;
        drop(run);
        let text = event.content().and_then(|content| content.text.clone()).unwrap_or_default();
        Ok(Reply::text(format!("You said: {text} by {}", std::process::id())).into())
    }
}
