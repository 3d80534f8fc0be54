//! Whether a message may leave, decided at the moment of sending from what the store has locked.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::conversation::Window;
use super::message::{Origin, OwnState, SendKind};
use crate::connectly::throttle::Rate;

/// What the store locked when a send asked to leave.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// Where the message came from.
    pub origin: Origin,
    /// Free-form or template.
    pub kind: SendKind,
    /// Whether a template is to be sent instead once the window is closed, and has not been tried yet.
    pub has_fallback: bool,
    /// What we know of it.
    pub own: OwnState,
    /// Whether Connectly has shown its id already, by a status that came before any answer.
    pub seen: bool,
    /// The window of its conversation.
    pub window: Window,
    /// When the customer opted out, if they did.
    pub opted_out_at: Option<Timestamp>,
    /// Whether it is the one confirmation of the opt-out.
    pub confirms_opt_out: bool,
    /// The replies of this conversation that left within the last minute.
    pub replies_last_minute: i64,
    /// When its first attempt began, this one included.
    pub first_attempt_at: Timestamp,
}

/// The limits that hold at the moment of sending.
#[derive(Debug, Clone, Copy)]
pub struct SendPolicy {
    /// Kept before the window's end, for the time a message is under way.
    pub window_margin: Duration,
    /// The most replies per conversation and minute: two bots that answer each other must not run away (P10).
    pub replies_per_minute: u32,
    /// What Connectly allows the account, over all instances.
    pub rate: Rate,
    /// How long the lease lasts from the moment the message leaves.
    pub lease: Duration,
}

/// What to do with a message that is about to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Leave,
    /// The window is closed: send the template in its place.
    FallBack,
    /// The window is closed and there is no fallback: `expired`.
    Expire,
    /// The customer has opted out: `suppressed`.
    Suppress,
    /// Parked for a person.
    Park(ParkReason),
    /// Nothing is left to send.
    Settled,
}

/// Why a message waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParkReason {
    /// The brake on replies (P10).
    #[error("too many replies left in this conversation within a minute")]
    TooManyReplies,
    /// A template that could not be handed over for a day.
    #[error("the template was tried for 24 hours")]
    TriedForADay,
}

/// How long a template is tried. Free-form content is tried until its window closes.
const TEMPLATE_PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// Decides whether a message leaves.
pub fn decide(facts: &Facts, policy: &SendPolicy) -> Verdict {
    if facts.seen || facts.own != OwnState::Queued {
        return Verdict::Settled;
    }
    if facts.opted_out_at.is_some() && !facts.confirms_opt_out {
        return Verdict::Suppress;
    }
    if facts.kind == SendKind::Session && !facts.window.is_open(facts.now, policy.window_margin) {
        return if facts.has_fallback { Verdict::FallBack } else { Verdict::Expire };
    }
    if facts.kind == SendKind::Template
        && facts.now.duration_since(facts.first_attempt_at) > TEMPLATE_PATIENCE
    {
        return Verdict::Park(ParkReason::TriedForADay);
    }
    if facts.origin == Origin::Reply && facts.replies_last_minute >= i64::from(policy.replies_per_minute) {
        return Verdict::Park(ParkReason::TooManyReplies);
    }
    Verdict::Leave
}

/// The start of the minute in which replies are counted.
pub fn minute_before(now: Timestamp) -> Timestamp {
    now.saturating_sub(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const POLICY: SendPolicy = SendPolicy {
        window_margin: Duration::from_mins(1),
        replies_per_minute: 20,
        rate: Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
        lease: Duration::from_secs(30),
    };

    fn facts() -> Facts {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        Facts {
            now,
            origin: Origin::Reply,
            kind: SendKind::Session,
            has_fallback: false,
            own: OwnState::Queued,
            seen: false,
            window: Window { last_inbound_at: Some(now), closed_at: None },
            opted_out_at: None,
            confirms_opt_out: false,
            replies_last_minute: 0,
            first_attempt_at: now,
        }
    }

    #[test]
    fn an_ordinary_reply_leaves() {
        assert_eq!(decide(&facts(), &POLICY), Verdict::Leave);
    }

    #[test]
    fn a_closed_window_stops_free_form_and_lets_templates_pass() {
        let closed = Facts { window: Window::default(), ..facts() };
        assert_eq!(decide(&closed, &POLICY), Verdict::Expire);
        assert_eq!(decide(&Facts { has_fallback: true, ..closed }, &POLICY), Verdict::FallBack);
        assert_eq!(decide(&Facts { kind: SendKind::Template, ..closed }, &POLICY), Verdict::Leave);
    }

    #[test]
    fn a_template_is_tried_for_a_day() {
        let hours_ago = |hours| facts().now - SignedDuration::from_hours(hours);
        let template = Facts { kind: SendKind::Template, ..facts() };
        assert_eq!(decide(&Facts { first_attempt_at: hours_ago(24), ..template }, &POLICY), Verdict::Leave);
        let old = Facts { first_attempt_at: hours_ago(25), ..template };
        assert_eq!(decide(&old, &POLICY), Verdict::Park(ParkReason::TriedForADay));
        assert_eq!(decide(&Facts { kind: SendKind::Session, ..old }, &POLICY), Verdict::Leave);
    }

    #[test]
    fn an_opt_out_stops_everything_but_its_confirmation() {
        let opted_out = Facts { opted_out_at: Some(facts().now), ..facts() };
        assert_eq!(decide(&opted_out, &POLICY), Verdict::Suppress);
        assert_eq!(decide(&Facts { confirms_opt_out: true, ..opted_out }, &POLICY), Verdict::Leave);
    }

    #[test]
    fn the_twenty_first_reply_of_a_minute_is_parked() {
        assert_eq!(decide(&Facts { replies_last_minute: 19, ..facts() }, &POLICY), Verdict::Leave);
        let over = Facts { replies_last_minute: 20, ..facts() };
        assert_eq!(decide(&over, &POLICY), Verdict::Park(ParkReason::TooManyReplies));
        assert_eq!(decide(&Facts { origin: Origin::Api, ..over }, &POLICY), Verdict::Leave);
    }

    #[test]
    fn what_is_settled_never_leaves_again() {
        assert_eq!(decide(&Facts { seen: true, ..facts() }, &POLICY), Verdict::Settled);
        for own in [OwnState::Accepted, OwnState::Unconfirmed, OwnState::Expired, OwnState::Suppressed] {
            assert_eq!(decide(&Facts { own, ..facts() }, &POLICY), Verdict::Settled);
        }
    }
}
