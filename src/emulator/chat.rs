//! The conversations as text, for a person with a terminal.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use jiff::Timestamp;
use ulid::Ulid;

use super::message::SentMessage;
use super::world::{Line, World};

/// All conversations, each with its lines in order, and how far each message has come by now. Control characters are left out, so that a message cannot write to
/// the terminal that shows it.
pub(super) fn render(world: &World, now: Timestamp) -> String {
    let mut conversations: BTreeMap<(&str, &str), Vec<&Line>> = BTreeMap::new();
    for line in &world.lines {
        conversations.entry((&line.customer, &line.number)).or_default().push(line);
    }
    if conversations.is_empty() {
        return "Nobody has said anything yet.\n".to_owned();
    }
    let sent: HashMap<Ulid, &SentMessage> =
        world.messages.iter().map(|message| (message.ulid, message)).collect();
    let mut page = String::new();
    for ((customer, number), lines) in conversations {
        let name = world.name_of(customer).unwrap_or("somebody");
        let _ = writeln!(page, "{name} ({customer}) with {} ({number})", world.business.name);
        for line in lines {
            let message = line.message.and_then(|id| sent.get(&id).copied());
            let speaker = if line.message.is_some() { &world.business.name } else { name };
            let words = line.words.replace('\n', " ");
            let time = line.at.strftime("%F %T");
            let _ = writeln!(page, "  {time}  {speaker}: {words}{}", progress(message, now));
        }
        page.push('\n');
    }
    page.retain(|character| character == '\n' || !character.is_control());
    page
}

/// How far a message of the business came; nothing for what the customer said.
fn progress(message: Option<&SentMessage>, now: Timestamp) -> String {
    let Some(message) = message else {
        return String::new();
    };
    let until_now = message.statuses.iter().filter(|emitted| emitted.at <= now);
    let statuses: Vec<&str> = until_now.map(|emitted| emitted.status).collect();
    if statuses.is_empty() {
        return String::new();
    }
    format!("  ({})", statuses.join(", "))
}
