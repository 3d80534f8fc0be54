//! Which replies of a handler are queued (P10).

use super::event::EventType;
use super::message::Origin;
use super::outcome::Effect;

/// Why the replies to an event are dropped, if they are. Its state and effects count all the same.
///
/// An echo shows what the business itself wrote, and a status of a message that a reply caused would answer an answer:
/// replying to either can loop. While a reply has left and its id is not known, a status of a message nobody knows may be
/// that reply's.
pub fn guard(event: EventType, referred: Option<Origin>, doubtful: bool) -> Option<&'static str> {
    match event {
        EventType::MessageEcho => Some("an echo is not answered"),
        EventType::MessageSent
        | EventType::MessageDelivered
        | EventType::MessageRead
        | EventType::MessageFailed => {
            let ours = match referred {
                Some(Origin::Reply) => true,
                Some(Origin::Observed) | None => doubtful,
                Some(Origin::Api) => false,
            };
            ours.then_some("a status of a reply is not answered")
        }
        EventType::MessageReceived | EventType::ReportCompleted | EventType::Unknown => None,
    }
}

/// Whether a reply is the confirmation of an opt-out: the first one of the outcome that opts the customer out still leaves.
pub fn confirms_opt_out(index: usize, effects: &[Effect]) -> bool {
    index == 0 && effects.contains(&Effect::OptOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_loop_is_answered() {
        assert!(guard(EventType::MessageReceived, Some(Origin::Reply), true).is_none());
        assert!(guard(EventType::MessageEcho, None, false).is_some());
        assert!(guard(EventType::MessageFailed, Some(Origin::Reply), false).is_some());
        assert!(guard(EventType::MessageFailed, Some(Origin::Api), true).is_none());
        assert!(guard(EventType::MessageFailed, Some(Origin::Observed), false).is_none());
        assert!(guard(EventType::MessageFailed, Some(Origin::Observed), true).is_some());
    }

    #[test]
    fn only_the_first_reply_confirms_an_opt_out() {
        assert!(confirms_opt_out(0, &[Effect::OptOut]));
        assert!(!confirms_opt_out(1, &[Effect::OptOut]));
        assert!(!confirms_opt_out(0, &[Effect::OptIn]));
    }
}
