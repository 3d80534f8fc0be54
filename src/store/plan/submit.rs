//! What a message that is asked for through the API becomes.

use std::time::Duration;

use jiff::Timestamp;

use super::outbox::NewMessage;
use crate::model::conversation::Window;
use crate::model::id::{ConversationId, MessageId};
use crate::model::json::JsonText;
use crate::model::message::Origin;
use crate::store::submission::{RequestKey, Submission};

/// A number of the business, and the customer's window with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberWindow {
    /// The number.
    pub business: String,
    /// The window.
    pub window: Window,
}

/// The number a message leaves from when it names none: the only one the account is known by, else the one with the
/// customer's newest open window. `known` are the smallest and the greatest of the account's numbers.
pub fn choose_number(
    known: Option<(String, String)>,
    windows: Vec<NumberWindow>,
    now: Timestamp,
    margin: Duration,
) -> Option<String> {
    match known {
        Some((first, last)) if first == last => Some(first),
        Some(_) => {
            let open = windows.into_iter().filter(|number| number.window.is_open(now, margin));
            open.max_by_key(|number| number.window.last_inbound_at).map(|number| number.business)
        }
        None => None,
    }
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUse {
    /// Nobody used it: now this request has.
    Fresh,
    /// The same request made this message.
    Repeated(MessageId),
    /// Another request used it.
    Reused,
}

/// Compares a request with the one that used its key.
pub fn key_use(asked: &RequestKey, body_hash: &[u8], message: MessageId) -> KeyUse {
    if asked.body_hash == body_hash { KeyUse::Repeated(message) } else { KeyUse::Reused }
}

/// The message to queue.
pub fn message(submission: &Submission, id: MessageId, conversation: ConversationId) -> NewMessage {
    NewMessage {
        id,
        account: submission.account.clone(),
        conversation,
        origin: Origin::Api,
        caused_by: None,
        content: submission.content.clone(),
        fallback: submission.fallback.clone(),
        callback_data: submission.callback_data.as_ref().map(|data| JsonText::as_str(data).to_owned()),
        campaign: submission.campaign.clone(),
        order: submission.order.clone(),
        confirms_opt_out: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + hour * 3600).unwrap()
    }

    fn number(business: &str, inbound: i64) -> NumberWindow {
        let window = Window { last_inbound_at: Some(at(inbound)), closed_at: None };
        NumberWindow { business: business.to_owned(), window }
    }

    #[test]
    fn the_only_number_is_taken_and_else_the_newest_open_window_decides() {
        let both = || Some(("+15550100002".to_owned(), "+15550100003".to_owned()));
        let only = Some(("+15550100002".to_owned(), "+15550100002".to_owned()));
        let choose = |known, windows| choose_number(known, windows, at(24), Duration::from_mins(1));
        assert_eq!(choose(only, Vec::new()).as_deref(), Some("+15550100002"));
        let windows = vec![number("+15550100002", 5), number("+15550100003", 6)];
        assert_eq!(choose(both(), windows).as_deref(), Some("+15550100003"));
        assert_eq!(choose(both(), vec![number("+15550100002", 0)]), None, "its window closes now");
        assert_eq!(choose(both(), Vec::new()), None);
        assert_eq!(choose(None, Vec::new()), None);
    }
}
