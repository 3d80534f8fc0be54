//! What goes wrong at Connectly meanwhile: answers that are lost or late, refusals, webhooks that come twice or in another
//! order.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use switchboard::emulator::{Emulator, SendFault, WebhookFault};
use tokio::task::AbortHandle;

/// The longest time from one fault to the next, in milliseconds.
const LULL_MS: u64 = 400;

/// Bad weather, until it is dropped.
pub struct Weather {
    task: AbortHandle,
}

impl Weather {
    pub fn begin(emulator: Arc<Emulator>, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..LULL_MS))).await;
                strike(&emulator, &mut rng);
            }
        });
        Self { task: task.abort_handle() }
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn strike(emulator: &Emulator, rng: &mut StdRng) {
    match rng.random_range(0..8) {
        0 => emulator.inject(SendFault::LostAnswer, 1),
        1 => emulator.inject(SendFault::ServerErrorAfterAccepting { status: 502 }, 1),
        2 => emulator.inject(SendFault::ServerError { status: 503 }, 1),
        3 => emulator.inject(SendFault::RateLimited { retry_after_seconds: Some(1) }, 1),
        4 | 5 => emulator.inject(SendFault::Slow { milliseconds: rng.random_range(50..800) }, 4),
        6 => emulator.inject(WebhookFault::Duplicate { times: 2 }, 2),
        _ => emulator.inject(WebhookFault::Reordered, 2),
    }
}
