//! What a delivery costs in instructions, as ratios: a guard against a regression that does not depend on the machine's speed nor
//! on what else it does. `scripts/instructions` runs it, and CI does.
//!
//! This program runs itself under callgrind: each work twice, more often the second time, so that what starting costs falls out.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

#[path = "../hot/bodies.rs"]
#[allow(dead_code, reason = "shared with another benchmark, which uses more of it")]
mod bodies;
mod counted;
mod work;

use std::process::ExitCode;

use work::Work;

/// A work, what it is compared with, and the most it may be of that.
struct Bound {
    what: &'static str,
    work: Work,
    beside: Work,
    most: f64,
}

/// About a fifth above what was counted when they were set: an allocation more does not fail, a second decoding does.
/// valgrind has no SHA instructions, so digests weigh more here than they do.
const BOUNDS: [Bound; 4] = [
    Bound {
        what: "verify, decode and match a delivery, against SHA-256 and a JSON tree of its body",
        work: Work::Read,
        beside: Work::Yardstick,
        most: 2.4,
    },
    Bound {
        what: "commit a delivery in a group of 32 (SQLite), against one by itself",
        work: Work::CommitGroup,
        beside: Work::CommitOne,
        most: 0.7,
    },
    Bound {
        what: "commit a delivery in a group of 32 (SQLite), against reading it",
        work: Work::CommitGroup,
        beside: Work::Read,
        most: 3.8,
    },
    Bound {
        what: "commit, begin and settle in a group of 32 (SQLite), against committing only",
        work: Work::Handle,
        beside: Work::CommitGroup,
        most: 2.2,
    },
];

fn main() -> ExitCode {
    // Cargo says `--bench` as well.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [name, times] = words.as_slice() {
        Work::named(name).unwrap().run(times.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    println!("| Instructions | each | ratio | at most |");
    println!("|---|---|---|---|");
    let mut exceeded = false;
    for Bound { what, work, beside, most } in BOUNDS {
        let (count, ratio) = (counted::each(work), counted::each(work) / counted::each(beside));
        println!("| {what} | {count:.0} | {ratio:.2} | {most} |");
        exceeded |= ratio > most;
    }
    if exceeded {
        eprintln!("\nsome work takes more than it may: what changed, or is its bound to be set anew?");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
