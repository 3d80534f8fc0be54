//! The product with a handler in Rust that has nothing to do, as a program of ours would have it.

use std::process::{Command, ExitCode};

use switchboard::{App, Context, Event, Handler, HandlerResult, Outcome};

use crate::process::Server;

/// The variable with which this program starts itself as that one.
const VARIABLE: &str = "SWITCHBOARD_BENCH_OWN";
/// The handler's name.
pub(crate) const HANDLER: &str = "idle";

struct Idle;

impl Handler for Idle {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        Ok(Outcome::ignored())
    }
}

/// Whether this process is to be that program.
#[allow(clippy::disallowed_methods, reason = "how it starts itself")]
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Serves until it is killed.
pub(crate) fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(App::new().handler(HANDLER, Idle).main())
}

/// Starts it as a process of its own.
pub(crate) fn start(database: &str, config: &str) -> Server {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.arg("serve").env_clear().env(VARIABLE, "yes");
    Server::start_as(program, database, "http://127.0.0.1:1", config, "warn,switchboard::app=info")
}
