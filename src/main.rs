//! The `switchboard` binary: every command, no handlers of its own.

fn main() {}
