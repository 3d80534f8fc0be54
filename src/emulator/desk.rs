//! The world behind its lock, with the courier beside it: what the HTTP endpoints and the handle both work on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::Settings;
use super::delivery::Answer;
use super::echo;
use super::errors::Refusal;
use super::faults::{Fault, SendFault};
use super::inbound::{Inbound, InboundError, Speech};
use super::outbound::Outbound;
use super::time::OwnTime;
use super::webhooks::Courier;
use super::world::{Arrival, World};

/// A running emulator's insides.
pub(super) struct Desk {
    pub(super) settings: Settings,
    pub(super) time: OwnTime,
    pub(super) courier: Courier,
    pub(super) stop: CancellationToken,
    world: Mutex<World>,
}

/// What a send meets before its body is read.
pub(super) enum Admission {
    /// Over the rate limit.
    TooFast,
    /// In, with what is to go wrong.
    Admitted(Option<SendFault>),
}

/// What became of something that a customer said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InboundAnswer {
    /// The inbound message's id; null in the shapes of a button reply that carry none.
    pub id: Option<String>,
    /// What the webhook's endpoint answered last; null when no address is set.
    pub webhook: Option<Answer>,
}

impl Desk {
    pub(super) fn new(settings: Settings, time: OwnTime, courier: Courier, stop: CancellationToken) -> Self {
        let world = Mutex::new(World::new(&settings));
        Self { settings, time, courier, stop, world }
    }

    /// The world, for as long as no other request needs it: never across an await.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        // A panic under this lock is a bug in the emulator, and showing what it knows helps to find it.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a send against the rate limit, and takes the fault that waits for it.
    pub(super) fn admit(&self) -> Admission {
        let mut world = self.world();
        if world.bucket.take(self.time.now()) {
            Admission::Admitted(world.faults.next_send())
        } else {
            Admission::TooFast
        }
    }

    /// Accepts a send and queues its statuses, in the order of acceptance.
    pub(super) fn accept(
        &self,
        outbound: Outbound,
        arrival: Arrival,
        fault: Option<&SendFault>,
    ) -> Result<Ulid, Refusal> {
        let mut world = self.world();
        let accepted = world.accept(outbound, arrival, fault, self.time.now())?;
        echo::post(&self.courier, &world, accepted.id);
        if let Some(batch) = accepted.statuses {
            self.courier.enqueue(batch);
        }
        Ok(accepted.id)
    }

    /// Lets a customer say something and waits for what the webhook's endpoint answers.
    pub(super) async fn inbound(&self, inbound: Inbound) -> Result<InboundAnswer, InboundError> {
        let (id, answer) = {
            let mut world = self.world();
            let speech = Speech::read(inbound, &world.business.number)?;
            let heard = world.hear(&speech, self.time.now())?;
            (heard.id, self.courier.enqueue(heard.batch))
        };
        // No answer comes when no address is set, and when the emulator stops.
        let webhook = self.stop.run_until_cancelled(answer).await.and_then(Result::ok);
        Ok(InboundAnswer { id: id.map(|id| id.to_string()), webhook })
    }

    /// Queues a fault for the next `count` sends, and answers how many wait now.
    pub(super) fn inject(&self, fault: Fault, count: u32) -> u64 {
        let mut world = self.world();
        world.faults.push(fault, count);
        world.faults.waiting()
    }

    /// Delivers the statuses that were withheld, and answers how many there are.
    pub(super) fn release(&self) -> usize {
        let batches = self.world().release();
        let mut released = 0;
        for batch in batches {
            released += batch.webhooks.len();
            self.courier.enqueue(batch);
        }
        released
    }
}
