//! What is compared: one function per section.

use crate::Bench;
use crate::comparison::{Comparison, Ratio};
use crate::peers;
use crate::side::{ROUTE, Side};
use crate::stores::Kind;

/// Enough to keep the machine busy.
const BUSY: usize = 64;
/// What comes together over 64 connections: half of them wait for their commit while the other half is being committed.
const GROUP: usize = 32;

const PRODUCT: Side<'static> = Side::Product { processes: 1, config: "" };

/// Committing in groups against committing each request by itself.
pub(crate) async fn naive(bench: &Bench) {
    let sides = [("the product", PRODUCT), ("each request committed by itself", Side::Naive)];
    let what = "groups against single commits";
    Comparison { what, connections: BUSY, ratio: Ratio::Multiple, sides: &sides }.print(bench).await;
}

/// The product against its own verb without HTTP.
pub(crate) async fn bare(bench: &Bench) {
    let alone = ("`Store::commit` alone, groups of 32", Side::Bare { group: GROUP });
    let sides = [alone, ("the product", PRODUCT)];
    let what = "the product against its own verb";
    Comparison { what, connections: BUSY, ratio: Ratio::Share, sides: &sides }.print(bench).await;
}

/// How long one delivery takes when nothing else is going on, against its commit alone.
pub(crate) async fn quiet(bench: &Bench) {
    let alone = ("`Store::commit` alone, one arrival", Side::Bare { group: 1 });
    let sides = [alone, ("the product", PRODUCT)];
    let what = "a quiet connection against its commit";
    Comparison { what, connections: 1, ratio: Ratio::Latency, sides: &sides }.print(bench).await;
}

/// What handling costs those who accept.
pub(crate) async fn handle(bench: &Bench) {
    let handling = Side::Product { processes: 1, config: ROUTE };
    let sides = [("accept only", PRODUCT), ("accept, handle and settle", handling)];
    let what = "handling beside accepting";
    Comparison { what, connections: BUSY, ratio: Ratio::Share, sides: &sides }.print(bench).await;
}

/// What it takes to get to know who writes.
pub(crate) async fn newcomers(bench: &Bench) {
    let sides = [("known customers", PRODUCT), ("customers who write for the first time", Side::Newcomers)];
    let what = "who writes for the first time";
    Comparison { what, connections: BUSY, ratio: Ratio::Share, sides: &sides }.print(bench).await;
}

/// Several processes on one PostgreSQL against one. The connections are shared out among them.
pub(crate) async fn processes(bench: &Bench) {
    if !bench.stores.has(Kind::Postgres) {
        return;
    }
    let of = |processes| Side::Product { processes, config: "" };
    let sides = [("one process", of(1)), ("two processes", of(2)), ("four processes", of(4))];
    let comparison =
        Comparison { what: "several processes", connections: BUSY, ratio: Ratio::Share, sides: &sides };
    comparison.print_on(bench, Kind::Postgres).await;
}

/// The product against the same webhook built with other frameworks.
pub(crate) async fn peers(bench: &Bench) {
    let peers = peers::installed();
    if peers.is_empty() || !bench.stores.has(Kind::Postgres) {
        println!("Peers: not measured, since there is no PostgreSQL or none of them is installed\n");
        return;
    }
    let others = peers.iter().map(|peer| (peer.name, Side::Peer(peer)));
    let sides: Vec<_> = [("the product", PRODUCT)].into_iter().chain(others).collect();
    let what = "the product against peers";
    let comparison = Comparison { what, connections: BUSY, ratio: Ratio::Multiple, sides: &sides };
    comparison.print_on(bench, Kind::Postgres).await;
}
