//! The journal that handlers of all processes write, and the harness with them: the order of its lines is the order of
//! what happened.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use switchboard::clock::Clock;

/// One line: what happened, to which event (`-` when to the whole process), in which process, when.
pub fn line(what: &str, event: &str, process: u32) -> String {
    format!("{what} {event} {process} {}\n", Clock::system().now().as_millisecond())
}

#[derive(Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what is done to a process: `kill`, `stop` or `continue`.
    pub fn note(&self, what: &str, process: u32) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        file.write_all(line(what, "-", process).as_bytes()).unwrap();
    }
}
