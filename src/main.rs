//! The `switchboard` binary: every command, and no handlers but the built-in ones.

use std::process::ExitCode;

use switchboard::App;

#[tokio::main]
async fn main() -> ExitCode {
    App::new().main().await
}
