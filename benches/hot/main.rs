//! What is done for each delivery without a store, in nanoseconds: checking its signature, decoding it, matching it against
//! routes, and folding what it tells into a message. `scripts/bench hot` runs it.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

mod bodies;
mod decoding;
mod folding;
mod routing;
mod signature;

fn main() {
    divan::main();
}
