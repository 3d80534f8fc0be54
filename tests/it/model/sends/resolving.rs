//! What a late answer, or a person, makes of what is in doubt or parked.

use rand::RngExt as _;
use switchboard::model::id::JobId;
use switchboard::model::job::JobState;
use switchboard::store::work::{Resolution, SendResult};

use super::answers::answer;
use super::statuses::Seen;
use super::{Doubtful, Parked, Place, Queued, text_of};
use crate::model::world::World;
use crate::support::depot::answer_on;

impl World {
    /// A late answer, or a person, settles a doubt.
    pub async fn resolve(&mut self) {
        if self.random.random_range(0..3) == 0 {
            return self.answer_what_was_denied().await;
        }
        let Some(which) = self.any(self.sends.doubtful.len()) else { return };
        let doubtful = self.sends.doubtful.swap_remove(which);
        let message = doubtful.sending.message;
        match self.random.random_range(0..4) {
            0 => {
                self.depot.store.resolve(message, Resolution::Sent).await.unwrap();
                self.sends.known(&doubtful.text).state = "accepted";
            }
            1 => {
                self.depot.store.resolve(message, Resolution::NotSent).await.unwrap();
                self.queue_again(&doubtful);
                self.sends.denied.push(doubtful);
            }
            _ => self.answer_late(doubtful).await,
        }
    }

    fn queue_again(&mut self, doubtful: &Doubtful) {
        self.sends.known(&doubtful.text).state = "queued";
        self.sends.line_up(self.customers.lane(doubtful.person), &doubtful.text);
    }

    /// The job is gone: whatever goes on has a new one.
    async fn answer_late(&mut self, doubtful: Doubtful) {
        let how = self.random.random_range(0..7);
        let id = self.depot.clock.ulid().to_string();
        let Doubtful { text, person, sending, at } = &doubtful;
        let person = self.customers.lane(*person);
        let result = answer_on(self.depot.store.as_ref(), sending, *at, answer(how, &id)).await;
        assert_eq!(result, SendResult::Applied, "{}", self.told());
        match how {
            0 => self.sends.doubtful.push(doubtful),
            2 => self.queue_again(&doubtful),
            3 if self.sends.messages[text].can_fall_back() => {
                self.customers.in_lane(person).refused(at.at);
                self.sends.fall_back(text);
                self.queue_again(&doubtful);
            }
            _ => self.conclude(person, text, how, &id, *at),
        }
    }

    /// An id comes to light of what a person said had not been sent, and that has not left again.
    async fn answer_what_was_denied(&mut self) {
        let Some(which) = self.any(self.sends.denied.len()) else { return };
        let Doubtful { text, person, sending, at } = self.sends.denied.swap_remove(which);
        let waits = |send: &Queued| send.text == text && !send.is_under_way() && !send.told;
        let Some(spot) = self.sends.spots(waits).first().copied() else { return };
        if self.sends.messages[&text].number > at.number {
            return;
        }
        let id = self.depot.clock.ulid().to_string();
        let result = answer_on(self.depot.store.as_ref(), &sending, at, answer(9, &id)).await;
        assert_eq!(result, SendResult::Applied, "{}", self.told());
        self.sends.at(spot).told = true;
        self.sends.known(&text).state = "accepted";
        // When it left, nobody remembers.
        let person = self.customers.lane(person);
        self.sends.seen.push(Seen::new(&text, person, &id, at.number, None));
    }

    /// A person looks at what is parked.
    pub async fn retry_or_discard_send(&mut self) {
        let Some(which) = self.any(self.sends.parked.len()) else { return };
        let Parked { person, text } = self.sends.parked.swap_remove(which);
        let job = self.job_of(&text).await;
        if self.random.random_range(0..3) == 0 {
            let discarded = self.depot.store.discard_job(job).await.unwrap().unwrap();
            assert_eq!(discarded.state, JobState::Discarded);
            self.sends.known(&text).state = "failed";
        } else {
            let retried = self.depot.store.retry_job(job).await.unwrap().unwrap();
            assert_eq!(retried.state, JobState::Ready);
            self.sends.known(&text).state = "queued";
            self.sends.line_up(self.customers.lane(person), &text);
        }
    }

    /// A person gives up what waits, wherever it stands in its lane.
    pub async fn discard_waiting_send(&mut self) {
        let waiting = self.sends.spots(|send| matches!(send.place, Place::Idle(_) | Place::Abandoned(_)));
        let Some(which) = self.any(waiting.len()) else { return };
        let Queued { text, place, told, .. } = self.sends.take(waiting[which]);
        let job = self.job_of(&text).await;
        self.depot.store.discard_job(job).await.unwrap().unwrap();
        if let Place::Abandoned(sending) = place {
            self.sends.stale.push(*sending);
        }
        if !told {
            self.sends.known(&text).state = "failed";
        }
    }

    async fn job_of(&self, text: &str) -> JobId {
        let messages = self.depot.messages().await;
        let is_it = |content: &serde_json::Value| text_of(content) == text;
        let message = messages.iter().find(|message| message.content.as_ref().is_some_and(is_it)).unwrap();
        let jobs = self.depot.jobs(None).await;
        jobs.iter().find(|job| job.message_id == Some(message.id)).unwrap().id
    }
}
