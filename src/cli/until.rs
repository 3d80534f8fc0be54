//! Waiting for somebody to end a service, or a command that goes on until then.
//!
//! Signals are heard on a thread of their own: a handler that blocks every thread of the runtime cannot keep a process from
//! ending when it is told to, nor from ending in time.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Waits for Ctrl-C.
pub(super) async fn interrupted() {
    // Without the signal there is nothing to wait for: the process ends by the system's default.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ctrl-C, each time that it is pressed.
pub(super) struct Interrupts(Option<Signal>);

impl Interrupts {
    /// Nothing is listened to: the process ends by the system's default.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Begins to listen; from then on the process ends by its own doing only.
    pub(super) fn listen() -> Self {
        Self(signal(SignalKind::interrupt()).ok())
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// What a stop may last over the limit that it was given.
const OVER_THE_LIMIT: Duration = Duration::from_secs(1);

/// SIGTERM and SIGINT. After the first there is a limit to how long the process lasts, and a second one ends it at once,
/// which nothing committed minds.
pub(super) struct Signals {
    first: oneshot::Receiver<()>,
}

/// The two signals, as they are heard.
struct Heard {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen. `limit` is how long a graceful stop may take.
    pub(super) fn listen(limit: Duration) -> io::Result<Self> {
        let (told, first) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let heard = {
            let _entered = runtime.enter();
            Heard { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(end(heard, told, limit + OVER_THE_LIMIT)))?;
        Ok(Self { first })
    }

    /// Waits for the first signal.
    pub(super) async fn first(self) {
        // The other end is dropped only with its thread, and that ends only with the process.
        let _ = self.first.await;
    }
}

/// Tells of the first signal; then ends the process, unless it ends by itself before that.
async fn end(mut heard: Heard, told: oneshot::Sender<()>, limit: Duration) {
    heard.next().await;
    let _ = told.send(());
    let why = tokio::select! {
        () = heard.next() => "by a second signal",
        () = tokio::time::sleep(limit) => "since something did not end within the limit",
    };
    eprintln!("error: stopped at once, {why}");
    std::process::exit(i32::from(super::EXIT_FAILED));
}

impl Heard {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
