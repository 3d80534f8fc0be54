//! What is told of a panic: where, never what. A handler's panic message can hold the text of a customer's message.

use std::panic::{self, PanicHookInfo};

/// Logs every panic by its place in the code alone, instead of printing its message.
pub fn install_hook() {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(panic.place = place.as_deref().unwrap_or("unknown"), "something panicked");
    }));
}
