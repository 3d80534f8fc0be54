//! What WhatsApp thinks of the business's numbers.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, word};
use super::{CallError, Client};
use crate::connectly::phone;

/// What WhatsApp thinks of one number. What comes from an open set is a word in small letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QualitySignal {
    /// The number, `+` and digits; as it came when it is none.
    pub phone_number: String,
    /// The WhatsApp Business Account that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waba_id: Option<String>,
    /// How many customers the business may write to first within 24 hours; `unspecified` until WhatsApp changes it for the
    /// first time.
    pub messages_limit_tier: String,
    /// As in `high`.
    pub quality_score: String,
}

impl Client {
    /// The quality signals of each WhatsApp number of the business.
    pub async fn quality(&self) -> Result<Vec<QualitySignal>, CallError> {
        let answer = self.call(Method::GET, self.below(&["get", "quality_signals"]), None).await?;
        answer.read(signals)
    }
}

/// `{"entity": {"signals": [{"whatsappQualitySignals": {...}}]}}`, where protobuf leaves out what is empty or unspecified.
fn signals(value: &Value) -> Option<Vec<QualitySignal>> {
    let fields = Fields::of(value)?;
    let entity = fields.object("entity").unwrap_or(fields);
    let signals = entity.list("signals").iter().filter_map(Fields::of);
    Some(signals.filter_map(|signal| signal.object("whatsappQualitySignals")).map(signal).collect())
}

fn signal(fields: Fields<'_>) -> QualitySignal {
    let open = |name, prefix| {
        let text = fields.text(name);
        text.map_or_else(|| "unspecified".to_owned(), |text| word(&text, prefix))
    };
    let number = fields.text("phoneNumber").unwrap_or_default();
    QualitySignal {
        phone_number: phone::normalize(&number).unwrap_or(number),
        waba_id: fields.text("wabaId"),
        messages_limit_tier: open("messagesLimitTier", "WHATS_APP_MESSAGE_LIMIT_TIER_"),
        quality_score: open("qualityScore", "WHATS_APP_QUALITY_SCORE_"),
    }
}
