//! The callback data that comes back with an event.

use serde_json::Value;

/// The callback data of the message that the event is about.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Callback {
    /// The callback data of the message that it is about, any JSON
    #[arg(long = "callback", value_name = "JSON", value_parser = parse)]
    pub data: Option<Value>,
}

impl Callback {
    /// Puts it where Connectly puts it.
    pub fn add_to(&self, body: &mut Value) {
        if let Some(data) = &self.data {
            body["callbackData"] = data.clone();
        }
    }
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("it is no JSON ({error}); a text needs its own quotes: '\"text\"'"))
}
