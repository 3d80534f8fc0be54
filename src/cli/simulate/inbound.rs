//! What a customer writes, presses or picks.

use clap::ArgGroup;
use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;
use uuid::Uuid;

use super::callback::Callback;
use super::flag;
use super::reply::Reply;
use super::side::{self, BUSINESS, BUSINESS_NAME, CUSTOMER};
use super::written::Written;
use crate::cli::Usage;
use crate::connectly::ids::parse_ulid;

/// Shown below the help.
pub const EXAMPLES: &str = "Connectly shows no pick from a list, no reaction and no sticker, so real ones may come in another shape: a \
pick perhaps like a button. Contact cards, orders and whatever else has no flag: `simulate file`.

Examples:
  switchboard simulate inbound --text hi
  switchboard simulate inbound --image https://example.com/a.jpg --caption \"This one\"
  switchboard simulate inbound --document https://example.com/b.pdf --filename bill.pdf
  switchboard simulate inbound --location 52.5,13.4 --place \"The shop\"
  switchboard simulate inbound --button Yes --payload confirm
  switchboard simulate inbound --list Large --payload size-l
  switchboard simulate inbound --reaction 👍 --to-message 01K00000000000000000000001
  switchboard simulate inbound --text \"this one\" --to-message 01K00000000000000000000001
  switchboard simulate inbound --text \"saw your ad\" --referral https://fb.me/x
  switchboard simulate inbound --text hi --user-id US.13491208655302741918";

/// An inbound message.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("said").required(true)))]
pub struct Args {
    #[command(flatten)]
    written: Written,
    #[command(flatten)]
    reply: Reply,
    /// Connectly's id of the message that this one quotes, answers or reacts to
    #[arg(long, value_name = "ID", value_parser = message_id)]
    to_message: Option<Ulid>,
    #[command(flatten)]
    callback: Callback,
    /// The address of the advertisement that the customer comes from
    #[arg(long, value_name = "URL", conflicts_with_all = ["button", "list", "reaction"], value_parser = flag::url)]
    referral: Option<String>,
    /// The customer's number [default: +15550100001, or none beside --user-id]
    #[arg(long, value_name = "NUMBER", value_parser = side::number)]
    from: Option<String>,
    /// The customer's business-scoped user id (BSUID); without --from, of a customer who shows no number
    #[arg(long, value_name = "BSUID", value_parser = side::user_id)]
    user_id: Option<String>,
    /// The business's number
    #[arg(long, value_name = "NUMBER", default_value = BUSINESS, value_parser = side::number)]
    to: String,
    /// The customer's name
    #[arg(long, default_value = "Ana")]
    name: String,
}

impl Args {
    /// Refuses flags that do not go together.
    pub fn check(&self) -> Result<(), Usage> {
        self.written.check()?;
        self.reply.check()
    }

    /// The body that Connectly would send: as seen live, with ids and empty fields that its samples leave out, and for a
    /// pick without a `message`.
    pub fn body(&self, now: Timestamp, id: Ulid) -> Value {
        let sender = side::customer(self.from.as_deref(), self.user_id.as_deref(), Some(&self.name));
        let mut body = json!({
            "timestamp": now.as_second().to_string(),
            "sender": sender,
            "recipient": side::endpoint(&self.to, Some(BUSINESS_NAME)),
        });
        if let Some(message) = self.to_message {
            body["context"] = json!({"replyToId": Uuid::from_u128(message.0).to_string()});
        }
        self.callback.add_to(&mut body);
        let (member, content) = self.reply.member(id).unwrap_or_else(|| ("message", self.message(id)));
        body[member] = content;
        body
    }

    /// What the emulator is asked to make a customer do. It knows itself what callback data its messages have, so other
    /// callback data is nothing to ask it for.
    pub fn request(&self) -> Option<Value> {
        if self.callback.data.is_some() {
            return None;
        }
        let request = json!({"to": self.to, "name": self.name});
        let default_customer = self.user_id.is_none().then(|| CUSTOMER.to_owned());
        let from = self.from.clone().or(default_customer);
        let reply_to = self.to_message.map(|id| id.to_string());
        let mut request =
            flag::with(request, &[("from", &from), ("user_id", &self.user_id), ("reply_to", &reply_to)]);
        if let Some(url) = &self.referral {
            request["referral"] = referral(url);
        }
        let (member, content) = self.reply.request().unwrap_or_else(|| self.written.request());
        request[member] = content;
        Some(request)
    }

    fn message(&self, id: Ulid) -> Value {
        let mut message = self.written.message(id);
        if let Some(url) = &self.referral {
            message["referral"] = referral(url);
        }
        message
    }
}

/// An advertisement with a picture, with every field that Connectly documents for one.
fn referral(url: &str) -> Value {
    json!({
        "ctwaClid": "ARsimulated",
        "sourceUrl": url,
        "sourceId": "120200000000001",
        "sourceType": "ad",
        "headline": "Sale",
        "body": "20% off",
        "mediaType": "image",
        "imageUrl": "https://example.com/image.jpg",
        "thumbnailUrl": "https://example.com/thumbnail.jpg",
    })
}

fn message_id(text: &str) -> Result<Ulid, &'static str> {
    parse_ulid(text).ok_or("expected Connectly's id of a message, 26 letters and digits or a UUID")
}
