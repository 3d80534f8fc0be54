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
/// How long the handler takes: so that a kill or a pause finds some of it under way.
const TAKES: Duration = Duration::from_millis(150);

pub async fn main() -> ExitCode {
    let path = std::env::var(JOURNAL).unwrap();
    let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    App::new().handler("journal", Journal { file: Arc::new(file) }).main().await
}

/// Writes when it begins and when it ends, and answers with the text and who it was.
struct Journal {
    file: Arc<File>,
}

impl Journal {
    fn note(&self, what: What, event: &Event) {
        // One write of a few bytes to a file opened for appending: the lines of all processes have one order.
        let line = Line::now(what, event.id.to_string(), std::process::id());
        (&*self.file).write_all(line.written().as_bytes()).unwrap();
    }
}

impl Handler for Journal {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        self.note(What::Start, event);
        tokio::time::sleep(TAKES).await;
        self.note(What::End, event);
        let text = event.content().and_then(|content| content.text.clone()).unwrap_or_default();
        Ok(Reply::text(format!("You said: {text} by {}", std::process::id())).into())
    }
}
