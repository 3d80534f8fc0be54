//! What can be measured: the product, and everything beside it.

use std::net::SocketAddr;

use switchboard::clock::Clock;
use switchboard::store::{OpenOptions, open};

use crate::Bench;
use crate::load::{self, Run};
use crate::peers::Peer;
use crate::process::Server;
use crate::service::Process;
use crate::stores::Kind;
use crate::{bare, naive};

/// A route whose handler has nothing to do: each event makes a job that is claimed, run and settled.
pub(crate) const ROUTE: &str = r#"
[[routes]]
name = "quiet"
on = ["*"]
handler = "rules"
  [[routes.rules]]
  match = { text = ["nobody says this"] }
  reply = { text = "never" }
"#;

/// One side of a comparison.
#[derive(Clone, Copy)]
pub(crate) enum Side<'a> {
    /// So many processes of the product on one database, with this configuration.
    Product { processes: usize, config: &'a str },
    /// One process, to which nobody writes twice.
    Newcomers,
    /// The same service, each request committed by itself.
    Naive,
    /// The store's verb alone, on groups of so many.
    Bare { group: usize },
    /// Another framework.
    Peer(&'a Peer),
}

/// What one run of a side came to.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) run: Run,
    /// What all its processes held at the end.
    pub(crate) resident_mib: Option<u64>,
    /// Jobs that were not settled at the end, where there are handlers.
    pub(crate) jobs_left: Option<i64>,
}

pub(crate) fn start(database: &str, config: &str) -> Server {
    Server::start(database, "http://127.0.0.1:1", config, "warn,switchboard::app=info")
}

impl Side<'_> {
    /// Measures it once, on a database of its own.
    pub(crate) async fn measure(self, bench: &Bench, kind: Kind, connections: usize) -> Measured {
        let database = if self.knows_customers() {
            bench.stores.acquainted(kind).await
        } else {
            bench.stores.fresh(kind).await
        };
        let measured = match self {
            Self::Product { processes, config } => {
                let servers = (0..processes).map(|_| boxed(start(&database.url, config))).collect();
                let measured = posted(bench, servers, connections).await;
                let jobs_left = if config.is_empty() { None } else { Some(unfinished(&database.url).await) };
                Measured { jobs_left, ..measured }
            }
            Self::Newcomers => {
                let server = boxed(start(&database.url, ""));
                posted_by(bench, vec![server], connections, load::body_of_a_newcomer).await
            }
            Self::Naive => posted(bench, vec![boxed(naive::start(&database.url))], connections).await,
            Self::Peer(peer) => posted(bench, vec![boxed(peer.start(&database.url))], connections).await,
            Self::Bare { group } => {
                let run = bare::measure(&database.url, group, bench.pace);
                Measured { run, resident_mib: None, jobs_left: None }
            }
        };
        database.remove().await;
        measured
    }

    /// Whether everybody has written before.
    const fn knows_customers(self) -> bool {
        match self {
            Self::Product { .. } | Self::Newcomers | Self::Naive | Self::Bare { .. } => true,
            // It knows no customers, and has tables of its own.
            Self::Peer(_) => false,
        }
    }
}

fn boxed(process: impl Process + 'static) -> Box<dyn Process> {
    Box::new(process)
}

/// Posts what known customers write to all of them, and ends them.
async fn posted(bench: &Bench, processes: Vec<Box<dyn Process>>, connections: usize) -> Measured {
    posted_by(bench, processes, connections, load::next_body).await
}

async fn posted_by(
    bench: &Bench,
    processes: Vec<Box<dyn Process>>,
    connections: usize,
    body: fn() -> String,
) -> Measured {
    let addresses: Vec<SocketAddr> = processes.iter().map(|process| process.address()).collect();
    load::spread(&addresses, connections, bench.pace.warm_up, body).await;
    let run = load::spread(&addresses, connections, bench.pace.length, body).await;
    let resident_kib: u64 = processes.iter().map(|process| process.resident_kib()).sum();
    Measured { run, resident_mib: Some(resident_kib / 1024), jobs_left: None }
}

async fn unfinished(database: &str) -> i64 {
    let options = OpenOptions { migrate: false, connections: 1 };
    let store = open(database, &options, Clock::system()).await.unwrap();
    let counts = store.job_counts().await.unwrap();
    store.close().await;
    counts.iter().map(|count| count.count).sum()
}
