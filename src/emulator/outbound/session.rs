//! The checks of the endpoint for session messages.

use super::{Kind, Outbound, callback, content, looks_like_bsuid};
use crate::emulator::errors::Refusal;
use crate::emulator::wire::{Endpoint, Order, SendRequest, WHATSAPP, is_e164};

/// The strategies of dispatch: the default and the two that can be asked for.
const STRATEGIES: [&str; 3] = ["strategy_unspecified", "independent", "short_circuit"];

impl Outbound {
    /// Checks a session message's body as Connectly documents it.
    pub(in crate::emulator) fn session(body: &[u8]) -> Result<Self, Refusal> {
        let request: SendRequest = serde_json::from_slice(body)?;
        let recipient = request.recipient.ok_or(Refusal::Missing("recipient"))?;
        let number = customer(&recipient)?;
        let sender = request.sender.map(|sender| business(&sender)).transpose()?;
        let content = request.message.ok_or(Refusal::Missing("message"))?;
        let summary = content::check(&content)?;
        dispatch(request.order.as_ref())?;
        callback::check(request.callback_data.as_deref())?;
        Ok(Self {
            kind: Kind::Session,
            sender,
            recipient: number,
            recipient_name: recipient.name,
            summary,
            callback_data: request.callback_data,
            campaign_name: request.campaign_name,
        })
    }
}

fn customer(recipient: &Endpoint) -> Result<String, Refusal> {
    let id = recipient.id.as_deref().unwrap_or_default();
    let user_id = recipient.user_id.as_deref().unwrap_or_default();
    if id.is_empty() && user_id.is_empty() {
        return Err(Refusal::Missing("recipient.id"));
    }
    whatsapp(recipient, "recipient.channelType")?;
    if !user_id.is_empty() && !looks_like_bsuid(user_id) {
        return Err(Refusal::Invalid("recipient.userId"));
    }
    if is_e164(id) {
        Ok(id.to_owned())
    } else if id.is_empty() || looks_like_bsuid(id) {
        Err(Refusal::Phoneless)
    } else {
        Err(Refusal::NumberFormat)
    }
}

fn business(sender: &Endpoint) -> Result<String, Refusal> {
    let id = sender.id.as_deref().unwrap_or_default();
    if id.is_empty() {
        return Err(Refusal::Sender);
    }
    // Unlike the recipient's, the sender's channel is not required: there is only one it can be.
    if sender.channel_type.is_some() {
        whatsapp(sender, "sender.channelType")?;
    }
    Ok(id.to_owned())
}

fn whatsapp(endpoint: &Endpoint, field: &'static str) -> Result<(), Refusal> {
    match endpoint.channel_type.as_deref().unwrap_or_default() {
        WHATSAPP => Ok(()),
        "" => Err(Refusal::Missing(field)),
        _ => Err(Refusal::Channel),
    }
}

/// Checks the order of dispatch. What it does to a message is not documented, so here it does nothing.
fn dispatch(order: Option<&Order>) -> Result<(), Refusal> {
    let strategy = order.and_then(|order| order.strategy.as_deref());
    let known = strategy.is_none_or(|strategy| STRATEGIES.contains(&strategy));
    known.then_some(()).ok_or(Refusal::Invalid("order.strategy"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn to(recipient: &Value, message: &Value) -> Result<Outbound, Refusal> {
        Outbound::session(json!({"recipient": recipient, "message": message}).to_string().as_bytes())
    }

    fn recipient(recipient: &Value) -> Result<String, Refusal> {
        to(recipient, &json!({"text": "hi"})).map(|outbound| outbound.recipient)
    }

    #[test]
    fn recipients_are_phone_numbers_on_whatsapp() {
        let whatsapp = |id: &str| json!({"id": id, "channelType": "whatsapp"});
        assert_eq!(recipient(&whatsapp("+15550100001")), Ok("+15550100001".into()));
        assert_eq!(recipient(&whatsapp("5550100001")), Err(Refusal::NumberFormat));
        assert_eq!(recipient(&whatsapp("US.13491208655302741918")), Err(Refusal::Phoneless));
        assert_eq!(
            recipient(&json!({"userId": "US.1349", "channelType": "whatsapp"})),
            Err(Refusal::Phoneless)
        );
        let both =
            |user_id: &str| json!({"id": "+15550100001", "channelType": "whatsapp", "userId": user_id});
        assert_eq!(recipient(&both("US.1349")), Ok("+15550100001".into()));
        assert_eq!(recipient(&both("bsuid:US.1349")), Err(Refusal::Invalid("recipient.userId")));
        assert_eq!(recipient(&whatsapp("bsuid:US.1349")), Err(Refusal::NumberFormat));
        assert_eq!(recipient(&whatsapp("")), Err(Refusal::Missing("recipient.id")));
        assert_eq!(recipient(&json!({"id": "+15550100001"})), Err(Refusal::Missing("recipient.channelType")));
        assert_eq!(recipient(&json!({"id": "+15550100001", "channelType": "sms"})), Err(Refusal::Channel));
    }

    #[test]
    fn required_fields_are_named_and_other_json_is_malformed() {
        let refusal = |body: &str| Outbound::session(body.as_bytes()).err();
        assert_eq!(refusal("{}"), Some(Refusal::Missing("recipient")));
        let no_message = r#"{"recipient":{"id":"+15550100001","channelType":"whatsapp"}}"#;
        assert_eq!(refusal(no_message), Some(Refusal::Missing("message")));
        assert!(matches!(refusal("[1"), Some(Refusal::Malformed { .. })));
        assert!(matches!(refusal(r#"{"message":{"text":1}}"#), Some(Refusal::Malformed { .. })));
    }

    /// A text to Ana with one more field.
    fn with(field: &str, value: &Value) -> Result<Outbound, Refusal> {
        let ana = json!({"id": "+15550100001", "channelType": "whatsapp"});
        let mut body = json!({"recipient": ana, "message": {"text": "hi"}});
        body[field] = value.clone();
        Outbound::session(body.to_string().as_bytes())
    }

    #[test]
    fn the_sender_is_an_object_on_whatsapp() {
        let sender = |value: Value| with("sender", &value).map(|outbound| outbound.sender);
        let shop = "+15550100002";
        assert_eq!(sender(json!({"id": shop})), Ok(Some(shop.into())));
        assert_eq!(
            sender(json!({"id": shop, "channelType": "whatsapp", "name": "Shop"})),
            Ok(Some(shop.into()))
        );
        assert_eq!(sender(json!({"id": shop, "channelType": "sms"})), Err(Refusal::Channel));
        assert_eq!(sender(json!({})), Err(Refusal::Sender));
        assert!(matches!(sender(json!(shop)), Err(Refusal::Malformed { .. })));
    }

    #[test]
    fn an_order_names_a_known_strategy() {
        let order = |value: &Value| with("order", value).err();
        for strategy in ["independent", "short_circuit", "strategy_unspecified"] {
            assert_eq!(order(&json!({"parentId": "01K", "strategy": strategy})), None);
        }
        assert_eq!(order(&json!({"parent_id": "01K"})), None);
        assert_eq!(order(&json!({"strategy": "sometimes"})), Some(Refusal::Invalid("order.strategy")));
        assert!(matches!(order(&json!({"parentId": 1})), Some(Refusal::Malformed { .. })));
    }

    #[test]
    fn callback_data_has_a_limit() {
        let data = |length: usize| with("callbackData", &json!("x".repeat(length - 2))).err();
        assert_eq!((data(1_024), data(1_025)), (None, Some(Refusal::CallbackData)));
    }
}
