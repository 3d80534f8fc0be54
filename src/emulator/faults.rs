//! What can be made to go wrong, and the queue of what will.
//!
//! A send takes the fault at the head of the queue of sends; its statuses take the first waiting fault of each kind of
//! webhook fault, so a duplicate and a reordering can be had at once. Shares strike at random besides. To add one: a variant here, with its meaning
//! where it acts, in `send.rs` or `world.rs`.

use std::collections::VecDeque;

use serde::Deserialize;

/// The most deliveries of one webhook: enough for any test of duplicates, and no danger to the memory.
const MOST_COPIES: u32 = 100;

/// What goes wrong with one send. The JSON form is `{"kind": "rate_limited", ...}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SendFault {
    /// 429, nothing accepted.
    RateLimited {
        /// The seconds in `Retry-After`; absent: no such header, as Connectly documents none.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// A 5xx, nothing accepted.
    ServerError {
        /// The HTTP status.
        #[serde(default = "internal_server_error")]
        status: u16,
    },
    /// A 5xx, although the message was accepted and its statuses follow.
    ServerErrorAfterAccepting {
        /// The HTTP status.
        #[serde(default = "internal_server_error")]
        status: u16,
    },
    /// The message is accepted and its statuses follow, but the connection closes without an answer.
    LostAnswer,
    /// The answer takes its time; nothing is accepted before.
    Slow {
        /// The delay in milliseconds.
        milliseconds: u64,
    },
    /// Refused as if the 24-hour window were closed.
    WindowRefused,
    /// Accepted, and then failed with the window's error as a status.
    WindowRefusedLater,
    /// Refused as if the customer had asked for no more.
    OptedOut,
    /// Accepted, and then failed with that error as a status.
    OptedOutLater,
    /// Refused with this error.
    Refused {
        /// Connectly's error code, such as `ERROR_CODE_BUSINESS_REACHED_LIMITS`.
        code: String,
        /// Connectly's error type; absent: `ERROR_TYPE_UNSPECIFIED`.
        #[serde(default, rename = "type")]
        error_type: Option<String>,
    },
    /// A send that names no sender leaves from a number of the business that the customer has not written to: a session
    /// message is refused, since that number's window is closed.
    WrongSender,
    /// Accepted, and then failed with this error as a status.
    Failed {
        /// Connectly's error code, such as `ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID`.
        code: String,
        /// Connectly's error type; absent: `ERROR_TYPE_UNSPECIFIED`.
        #[serde(default, rename = "type")]
        error_type: Option<String>,
    },
}

/// What goes wrong with the webhooks of one send (or, for a duplicate, of one inbound message).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WebhookFault {
    /// Each webhook is delivered this many times.
    Duplicate {
        /// Deliveries in all, 100 at most.
        times: u32,
    },
    /// The statuses arrive last one first.
    Reordered,
    /// The statuses wait until they are released.
    Withheld,
}

/// Either kind of fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Fault {
    /// One that changes what a send is answered, or what becomes of the message.
    Send(SendFault),
    /// One that changes how webhooks are delivered.
    Webhook(WebhookFault),
}

impl From<SendFault> for Fault {
    fn from(fault: SendFault) -> Self {
        Self::Send(fault)
    }
}

impl From<WebhookFault> for Fault {
    fn from(fault: WebhookFault) -> Self {
        Self::Webhook(fault)
    }
}

fn internal_server_error() -> u16 {
    500
}

/// How often something goes wrong with sends, from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// What goes wrong.
    pub fault: SendFault,
    /// With how many of a thousand sends, drawn at random.
    pub per_mille: u16,
}

/// How one batch of webhooks is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Treatment {
    /// Deliveries of each webhook, at least one.
    pub(super) copies: u32,
    /// Whether the batch goes last one first.
    pub(super) reversed: bool,
    /// Whether the batch waits for its release.
    pub(super) withheld: bool,
}

/// The faults that wait for their sends. Each entry counts down the times that it still applies.
#[derive(Default)]
pub(super) struct Faults {
    sends: VecDeque<(SendFault, u32)>,
    webhooks: VecDeque<(WebhookFault, u32)>,
    shares: Vec<Share>,
}

impl Faults {
    /// Adds to what goes wrong now and then.
    pub(super) fn add_share(&mut self, share: Share) {
        self.shares.push(share);
    }

    /// What goes wrong now and then with sends that no waiting fault takes; it replaces what was said before.
    pub(super) fn set_shares(&mut self, shares: Vec<Share>) {
        self.shares = shares;
    }

    /// Queues a fault for the next `count` sends that no earlier fault takes.
    pub(super) fn push(&mut self, fault: Fault, count: u32) {
        if count == 0 {
            return;
        }
        match fault {
            Fault::Send(fault) => self.sends.push_back((fault, count)),
            Fault::Webhook(fault) => self.webhooks.push_back((fault, count)),
        }
    }

    /// Forgets every waiting fault.
    pub(super) fn clear(&mut self) {
        self.sends.clear();
        self.webhooks.clear();
        self.shares.clear();
    }

    /// How many applications of faults wait.
    pub(super) fn waiting(&self) -> u64 {
        let sends = self.sends.iter().map(|(_, left)| u64::from(*left));
        let webhooks = self.webhooks.iter().map(|(_, left)| u64::from(*left));
        sends.chain(webhooks).sum()
    }

    /// Takes the fault that the next send suffers, if any.
    pub(super) fn next_send(&mut self) -> Option<SendFault> {
        take_first(&mut self.sends, |_| true).or_else(|| self.drawn(rand::random_range(0..1000)))
    }

    /// The fault that a number below 1,000 falls upon.
    fn drawn(&self, number: u16) -> Option<SendFault> {
        let mut above = 0;
        let mut shares = self.shares.iter();
        let struck = shares.find(|share| {
            above += share.per_mille;
            number < above
        });
        struck.map(|share| share.fault.clone())
    }

    /// Takes the faults that the statuses of one message suffer.
    pub(super) fn for_statuses(&mut self) -> Treatment {
        let copies = self.copies();
        let reversed = take_first(&mut self.webhooks, |fault| *fault == WebhookFault::Reordered).is_some();
        let withheld = take_first(&mut self.webhooks, |fault| *fault == WebhookFault::Withheld).is_some();
        Treatment { copies, reversed, withheld }
    }

    /// Takes the faults that one inbound message suffers: there is nothing to reorder, and only statuses are withheld.
    pub(super) fn for_inbound(&mut self) -> Treatment {
        Treatment { copies: self.copies(), reversed: false, withheld: false }
    }

    fn copies(&mut self) -> u32 {
        let duplicate = |fault: &WebhookFault| matches!(fault, WebhookFault::Duplicate { .. });
        match take_first(&mut self.webhooks, duplicate) {
            Some(WebhookFault::Duplicate { times }) => times.clamp(1, MOST_COPIES),
            Some(WebhookFault::Reordered | WebhookFault::Withheld) | None => 1,
        }
    }
}

fn take_first<F: Clone>(queue: &mut VecDeque<(F, u32)>, wanted: impl Fn(&F) -> bool) -> Option<F> {
    let position = queue.iter().position(|(fault, _)| wanted(fault))?;
    let (fault, left) = queue.get_mut(position)?;
    let taken = fault.clone();
    *left -= 1;
    if *left == 0 {
        queue.remove(position);
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Treatment = Treatment { copies: 1, reversed: false, withheld: false };

    #[test]
    fn sends_take_faults_in_turn() {
        let mut faults = Faults::default();
        faults.push(SendFault::LostAnswer.into(), 2);
        faults.push(SendFault::WindowRefused.into(), 1);
        assert_eq!(faults.waiting(), 3);
        assert_eq!(faults.next_send(), Some(SendFault::LostAnswer));
        assert_eq!(faults.next_send(), Some(SendFault::LostAnswer));
        assert_eq!(faults.next_send(), Some(SendFault::WindowRefused));
        assert_eq!(faults.next_send(), None);
    }

    #[test]
    fn shares_strike_as_often_as_they_say_and_waiting_faults_go_first() {
        let mut faults = Faults::default();
        let share = |fault, per_mille| Share { fault, per_mille };
        faults.set_shares(vec![share(SendFault::LostAnswer, 50), share(SendFault::WindowRefused, 20)]);
        let drawn = |wanted: Option<SendFault>| (0..1000).filter(|n| faults.drawn(*n) == wanted).count();
        assert_eq!(drawn(Some(SendFault::LostAnswer)), 50);
        assert_eq!(drawn(Some(SendFault::WindowRefused)), 20);
        assert_eq!(drawn(None), 930);
        faults.push(SendFault::OptedOut.into(), 1);
        assert_eq!(faults.next_send(), Some(SendFault::OptedOut));
        faults.clear();
        assert_eq!(faults.drawn(0), None);
    }

    #[test]
    fn webhook_faults_of_different_kinds_combine() {
        let mut faults = Faults::default();
        faults.push(WebhookFault::Reordered.into(), 1);
        faults.push(WebhookFault::Duplicate { times: 3 }.into(), 2);
        let both = Treatment { copies: 3, reversed: true, withheld: false };
        assert_eq!(faults.for_statuses(), both);
        assert_eq!(faults.for_inbound().copies, 3);
        assert_eq!(faults.for_statuses(), PLAIN);
    }

    #[test]
    fn an_inbound_message_leaves_the_faults_of_statuses_alone() {
        let mut faults = Faults::default();
        faults.push(WebhookFault::Withheld.into(), 1);
        assert_eq!(faults.for_inbound(), PLAIN);
        assert!(faults.for_statuses().withheld);
    }

    #[test]
    fn cleared_and_empty_faults_do_nothing() {
        let mut faults = Faults::default();
        faults.push(SendFault::LostAnswer.into(), 0);
        assert_eq!(faults.waiting(), 0);
        faults.push(SendFault::LostAnswer.into(), 1);
        faults.clear();
        assert_eq!(faults.next_send(), None);
    }

    #[test]
    fn faults_read_as_documented() {
        let read = |text: &str| serde_json::from_str::<Fault>(text).unwrap();
        assert_eq!(
            read(r#"{"kind":"rate_limited","retry_after_seconds":2}"#),
            SendFault::RateLimited { retry_after_seconds: Some(2) }.into()
        );
        assert_eq!(read(r#"{"kind":"server_error"}"#), SendFault::ServerError { status: 500 }.into());
        assert_eq!(read(r#"{"kind":"opted_out_later"}"#), SendFault::OptedOutLater.into());
        assert_eq!(read(r#"{"kind":"wrong_sender"}"#), SendFault::WrongSender.into());
        let (code, error_type) = ("ERROR_CODE_X".to_owned(), None);
        assert_eq!(
            read(r#"{"kind":"refused","code":"ERROR_CODE_X"}"#),
            SendFault::Refused { code, error_type }.into()
        );
        assert_eq!(read(r#"{"kind":"duplicate","times":2}"#), WebhookFault::Duplicate { times: 2 }.into());
        assert_eq!(read(r#"{"kind":"withheld"}"#), WebhookFault::Withheld.into());
    }
}
