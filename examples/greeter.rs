//! The smallest handler: it answers every message. Run it with `cargo run --example greeter -- dev`.

use switchboard::{App, Context, Event, EventKind, Handler, HandlerResult, Outcome};

struct Greeter;

impl Handler for Greeter {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let EventKind::MessageReceived(message) = &event.kind else {
            return Ok(Outcome::ignored());
        };
        Ok(message.reply_text("Hello! We will be with you shortly.").into())
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    App::new().handler("greeter", Greeter).main().await
}
