//! `switchboard events tail`: events as they come, for people or as JSON.

use std::io;

use super::events::cells;
use super::list::tree;
use super::table::aligned;
use super::terminal::{Terminal, clean};
use super::watch::{Arrived, Watch};

/// The widths of an event's cells, known beforehand since rows come one by one: ids, times, the longest type, numbers.
const WIDTHS: [usize; 6] = [26, 24, 17, 16, 16, 0];

/// Prints events until `stop` is done.
pub async fn run(
    watch: &Watch<'_>,
    json: bool,
    stop: impl Future<Output = ()>,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let take = async |event: &Arrived, terminal: &mut Terminal<'_>| Ok(print(&event.json, json, terminal)?);
    watch.run(stop, take, terminal).await
}

fn print(event: &str, json: bool, terminal: &mut Terminal<'_>) -> io::Result<()> {
    if json {
        return terminal.json(event);
    }
    terminal.line(&aligned(&cells(&tree(event)).map(|cell| clean(&cell)), &WIDTHS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::admin::{Admin, Query};
    use crate::cli::testing::Captured;
    use crate::cli::watch::tests::{event, stream, streams};
    use std::time::Duration;

    async fn tail(body: String, json: bool) -> Captured {
        let (server, done) = streams(vec![stream(body)]).await;
        let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
        let watch = Watch::begin(&admin, Query::new()).await.unwrap().with_first_pause(Duration::ZERO);
        let mut captured = Captured::default();
        run(&watch, json, done.notified(), &mut captured.terminal()).await.unwrap();
        captured
    }

    #[tokio::test]
    async fn each_event_is_a_line_that_cannot_steer_the_screen() {
        let printed = tail(event("01E1", "hi") + &event("01E2", "a\u{1b}[2Jb"), false).await;
        insta::assert_snapshot!(printed.out(), @r"
        01E1                        2026-01-01T00:00:00Z      message.received   +15550100001      +15550100002      hi
        01E2                        2026-01-01T00:00:00Z      message.received   +15550100001      +15550100002      a[2Jb
        ");
    }

    #[tokio::test]
    async fn json_is_one_event_a_line() {
        let printed = tail(event("01E1", "hi"), true).await;
        assert_eq!(printed.out(), event("01E1", "hi").split_once("data: ").unwrap().1.replace("\n\n", "\n"));
    }
}
