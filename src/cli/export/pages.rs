//! The pages of a list, one at a time, however many there are.

use std::time::Duration;

use crate::cli::admin::{Admin, Document, Page, Query};
use crate::cli::backoff::doubling;
use crate::cli::problem::AdminError;
use crate::cli::terminal::Terminal;

/// How often a page is asked for again: with a second first and twice as long each time, a restart of the server passes.
const RETRIES: usize = 4;

/// A place in a list of events.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    admin: &'a Admin,
    query: Query,
    /// How many rows may still come.
    left: usize,
    place: Place,
    first_pause: Duration,
}

#[derive(Debug)]
enum Place {
    Start,
    Behind(String),
    End,
}

impl<'a> Pages<'a> {
    /// The list that a query asks for, or its newest `limit` rows. Nothing is asked yet.
    pub(super) fn new(admin: &'a Admin, query: Query, limit: Option<usize>, first_pause: Duration) -> Self {
        Self { admin, query, left: limit.unwrap_or(usize::MAX), place: Place::Start, first_pause }
    }

    /// The next page; one without rows is the end. A failure that passes is waited for; after it the list goes on where it
    /// was.
    pub(super) async fn turn(&mut self, terminal: &mut Terminal<'_>) -> anyhow::Result<Vec<Document>> {
        let cursor = match &self.place {
            Place::Start => None,
            Place::Behind(cursor) => Some(cursor.as_str()),
            Place::End => return Ok(Vec::new()),
        };
        let page = self.ask(cursor, terminal).await?;
        self.left = self.left.saturating_sub(page.data.len());
        self.place = page.next.filter(|_| self.left > 0).map_or(Place::End, Place::Behind);
        Ok(page.data)
    }

    async fn ask(&self, cursor: Option<&str>, terminal: &mut Terminal<'_>) -> anyhow::Result<Page> {
        let mut pauses = doubling(self.first_pause).take(RETRIES);
        loop {
            let error = match self.admin.page(&["events"], &self.query, self.left, cursor).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            // Where nobody listened from the start, the address is wrong or nothing runs: that does not pass.
            let never_there = cursor.is_none() && matches!(error, AdminError::Unreachable { .. });
            let pause = if error.is_passing() && !never_there { pauses.next() } else { None };
            let Some(pause) = pause else {
                return Err(error.into());
            };
            terminal.hint(&format!("{error}; trying again"))?;
            tokio::time::sleep(pause).await;
        }
    }
}
