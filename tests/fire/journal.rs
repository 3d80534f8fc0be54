//! The journal that handlers of all processes write, and the harness with them: the order of its lines is the order of
//! what happened.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use switchboard::clock::Clock;

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A handler began.
    Start,
    /// It came to its end.
    End,
    /// The process was killed.
    Kill,
    /// It was made to stand still.
    Stop,
    /// It was let go on.
    Continue,
}

/// What happened, to which event (`-` when to the whole process), in which process, when in Unix milliseconds.
pub struct Line {
    pub what: What,
    pub event: String,
    pub process: u32,
    pub at: i64,
}

impl Line {
    /// One that happens now.
    pub fn now(what: What, event: impl Into<String>, process: u32) -> Self {
        Self { what, event: event.into(), process, at: Clock::system().now().as_millisecond() }
    }

    pub fn written(&self) -> String {
        format!("{} {} {} {}\n", self.what.word(), self.event, self.process, self.at)
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            what: What::read(words.next()?)?,
            event: words.next()?.to_owned(),
            process: words.next()?.parse().ok()?,
            at: words.next()?.parse().ok()?,
        })
    }
}

impl What {
    const ALL: [Self; 5] = [Self::Start, Self::End, Self::Kill, Self::Stop, Self::Continue];

    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Continue => "continue",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.word() == word)
    }
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

    /// Notes what is done to a process.
    pub fn note(&self, what: What, process: u32) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        file.write_all(Line::now(what, "-", process).written().as_bytes()).unwrap();
    }

    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        text.lines().map(|line| Line::read(line).unwrap()).collect()
    }
}
