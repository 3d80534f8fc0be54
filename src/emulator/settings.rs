//! What an emulator is told when it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;

use super::delivery::Retry;
use super::rate::Rate;
use super::registrations::ExistingTopic;

/// Where the emulator listens unless told otherwise.
const DEFAULT_PORT: u16 = 8082;
/// The default pause before each status: long enough to see them come one by one.
const DEFAULT_STATUS_LAG: Duration = Duration::from_millis(150);

/// How the emulator is set up. It has no `Debug` output, since it holds phone numbers and secrets.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free port.
    pub listen: SocketAddr,
    /// The business whose API this is.
    pub business_id: String,
    /// The key that its requests must carry.
    pub api_key: SecretString,
    /// The secret that its webhooks are signed with.
    pub webhook_secret: SecretString,
    /// Where its webhooks go as long as none is registered; they are only listed while there is no address.
    pub webhook_url: Option<String>,
    /// What registering a topic does that is registered already.
    pub existing_topic: ExistingTopic,
    /// The business's WhatsApp number, in E.164 form.
    pub business_number: String,
    /// The business's display name.
    pub business_name: String,
    /// Host names to answer to besides the loopback ones.
    pub hosts: Vec<String>,
    /// Whether customers read what they get: without, `delivered` is the last status.
    pub read_receipts: bool,
    /// Whether a template that nobody approved is accepted as long as its name could be one.
    pub any_template: bool,
    /// How many sends are let through.
    pub rate: Rate,
    /// The pause before each status of a message that has none of its own here.
    pub status_lag: Duration,
    /// The pause between `sent` and `delivered`: how long a telephone is out of reach.
    pub delivered_lag: Option<Duration>,
    /// The pause between `delivered` and `read`: how long nobody looks at it.
    pub read_lag: Option<Duration>,
    /// How often a webhook is delivered when the answer is not 200.
    pub retry: Retry,
}

impl Settings {
    /// Settings for a desk: loopback, an example number, Connectly's own limits.
    pub fn new(business_id: impl Into<String>, api_key: SecretString, webhook_secret: SecretString) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            business_id: business_id.into(),
            api_key,
            webhook_secret,
            webhook_url: None,
            existing_topic: ExistingTopic::default(),
            business_number: "+15550100002".to_owned(),
            business_name: "Shop".to_owned(),
            hosts: Vec::new(),
            read_receipts: true,
            any_template: true,
            rate: Rate::default(),
            status_lag: DEFAULT_STATUS_LAG,
            delivered_lag: None,
            read_lag: None,
            retry: Retry::default(),
        }
    }
}
