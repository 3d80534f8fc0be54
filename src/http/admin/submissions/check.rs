//! A request as the store takes it, or the field at fault.

use serde_json::Value;

use super::super::AdminState;
use super::{NewMessage, TO_TAKES};
use crate::connectly::event::party::Party;
use crate::connectly::message::{Invalid, Strictness};
use crate::connectly::order::Order;
use crate::connectly::phone;
use crate::http::problem::Problem;
use crate::model::{outgoing, payload};
use crate::store::submission::{RequestKey, Submission};
/// The account of a request that names none.
const DEFAULT_ACCOUNT: &str = "default";
/// The digits of a number that can be written to.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// The request as the store takes it, or the field at fault.
pub(super) fn checked(
    asked: NewMessage,
    key: Option<String>,
    state: &AdminState,
) -> Result<Submission, Problem> {
    let account = asked.account.clone().unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned());
    if !state.accounts.contains(&account) {
        let known: Vec<&str> = state.accounts.iter().map(String::as_str).collect();
        return Err(Problem::unknown_name("account", &account, &known));
    }
    let refused = |invalid: Invalid| Problem::invalid(&invalid);
    let from =
        asked.from.as_deref().map(|from| outgoing::number(from, "from")).transpose().map_err(refused)?;
    if let Some(data) = &asked.callback_data {
        outgoing::callback_data(data).map_err(refused)?;
    }
    let content = content(&asked, state.strictness)?;
    let order = asked.order.as_ref().map(Order::from_value).transpose().map_err(refused)?;
    Ok(Submission {
        to: party(&asked.to)?,
        from,
        content,
        fallback: asked.fallback,
        callback_data: asked.callback_data,
        campaign: asked.campaign,
        order,
        key: key.map(|key| RequestKey { key, body_hash: asked.body_hash }),
        window_margin: state.window_margin,
        account,
    })
}

/// What is to be sent, within its limits.
fn content(asked: &NewMessage, strictness: Strictness) -> Result<Value, Problem> {
    let (content, warnings) = match (&asked.message, &asked.template) {
        (Some(message), None) => {
            let mut warnings =
                outgoing::message(message, strictness).map_err(|invalid| Problem::invalid(&invalid))?;
            if let Some(fallback) = &asked.fallback {
                let found = outgoing::template(fallback, "fallback", strictness);
                warnings.extend(found.map_err(|invalid| Problem::invalid(&invalid))?);
            }
            (message.clone(), warnings)
        }
        (None, Some(_)) if asked.order.is_some() => {
            return Err(Problem::field(
                "order",
                "nothing beside a template: Connectly has it for messages only",
            ));
        }
        (None, Some(_)) if asked.fallback.is_some() => {
            return Err(Problem::field("fallback", "nothing beside a template, which needs no window"));
        }
        (None, Some(template)) => {
            let found = outgoing::template(template, "template", strictness);
            (payload::content_of(template), found.map_err(|invalid| Problem::invalid(&invalid))?)
        }
        (Some(_), Some(_)) => {
            return Err(Problem::field("message", "nothing beside a `template`: give one of them"));
        }
        (None, None) => {
            return Err(Problem::field(
                "message",
                "Connectly's message object, unless there is a `template` instead",
            ));
        }
    };
    for warning in warnings {
        tracing::warn!(%warning, "a message is over a limit of WhatsApp's");
    }
    Ok(content)
}

/// Who a text names: somebody with a phone number, or with a user id alone.
fn party(to: &str) -> Result<Party, Problem> {
    let nobody = Party { phone: None, user_id: None, name: None };
    if is_user_id(to.trim()) {
        return Ok(Party { user_id: Some(to.trim().to_owned()), ..nobody });
    }
    match phone::normalize(to) {
        // No country's code begins with 0: it stands for a way to dial, at home or abroad.
        Some(phone) if phone.starts_with("+0") => {
            Err(Problem::field("to", &format!("{TO_TAKES}; this begins with 0")))
        }
        Some(phone) if DIGITS.contains(&(phone.len() - 1)) => Ok(Party { phone: Some(phone), ..nobody }),
        Some(_) | None => Err(Problem::field("to", &takes_instead_of(to))),
    }
}

/// What `to` takes, and how many digits there are instead if it was meant to be a number.
fn takes_instead_of(to: &str) -> String {
    let digits = to.chars().filter(char::is_ascii_digit).count();
    let is_number = digits > 0 && !to.chars().any(char::is_alphabetic);
    if is_number { format!("{TO_TAKES}; this has {digits} digits") } else { TO_TAKES.to_owned() }
}

/// Two capital letters, a dot, and up to 128 letters, digits and dots: Meta's form, with or without the parent's segment.
fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    is_country && (1..=128).contains(&rest.len()) && rest.bytes().all(is_rest)
}
