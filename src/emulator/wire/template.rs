//! The body of `POST /v1/businesses/{businessId}/send/whatsapp_templated_messages`. Both spellings are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::present;

/// A template as it came. Everything is optional here, as in the other endpoint; the sender is a plain string.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct TemplateRequest {
    pub(in crate::emulator) number: Option<String>,
    #[serde(alias = "template_name")]
    pub(in crate::emulator) template_name: Option<String>,
    pub(in crate::emulator) language: Option<String>,
    pub(in crate::emulator) parameters: Option<Vec<Parameter>>,
    pub(in crate::emulator) sender: Option<String>,
    /// Byte for byte; `Some` of `null` when it was null.
    #[serde(default, alias = "callback_data", deserialize_with = "present")]
    pub(in crate::emulator) callback_data: Option<Box<RawValue>>,
    #[serde(alias = "campaign_name")]
    pub(in crate::emulator) campaign_name: Option<String>,
}

/// What fills one gap of a template.
#[derive(Deserialize)]
pub(in crate::emulator) struct Parameter {
    #[serde(default)]
    pub(in crate::emulator) name: String,
    #[serde(default)]
    pub(in crate::emulator) value: String,
    /// The name that a document is shown with.
    pub(in crate::emulator) filename: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        for body in [
            r#"{"templateName": "reopen", "callbackData": null, "campaignName": "spring"}"#,
            r#"{"template_name": "reopen", "callback_data": null, "campaign_name": "spring"}"#,
        ] {
            let request: TemplateRequest = serde_json::from_str(body).unwrap();
            assert_eq!(request.template_name.as_deref(), Some("reopen"));
            assert_eq!(request.callback_data.unwrap().get(), "null");
            assert_eq!(request.campaign_name.as_deref(), Some("spring"));
        }
    }
}
