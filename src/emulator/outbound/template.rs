//! The checks of the endpoint for templates.

use super::{Kind, Outbound, callback, looks_like_bsuid, parameters};
use crate::emulator::errors::Refusal;
use crate::emulator::templates::{self, Template};
use crate::emulator::wire::{Parameter, TemplateRequest, is_e164};

/// What stands before a BSUID here, and only here.
const BSUID_PREFIX: &str = "bsuid:";
/// The longest name that Meta gives a template, in characters.
const NAME_CHARACTERS: usize = 512;

impl Outbound {
    /// Checks a template's body as Connectly documents it. With `any_template` a name that is not known passes as long
    /// as it could be one.
    pub(in crate::emulator) fn template(body: &[u8], any_template: bool) -> Result<Self, Refusal> {
        let request: TemplateRequest = serde_json::from_slice(body)?;
        let recipient = customer(request.number)?;
        let name = filled(request.template_name, "templateName")?;
        let language = filled(request.language, "language")?;
        let given = request.parameters.unwrap_or_default();
        match templates::find(&name) {
            Some(template) => known(template, &language, &given)?,
            None if any_template && could_be_a_name(&name) && could_be_a_language(&language) => {
                parameters::check(&given)?;
            }
            None => return Err(Refusal::TemplateNotFound),
        }
        callback::check(request.callback_data.as_deref())?;
        Ok(Self {
            kind: Kind::Template,
            // In protobuf's JSON an empty text is the same as none.
            sender: request.sender.filter(|sender| !sender.is_empty()),
            recipient,
            recipient_name: None,
            summary: summary(&name, &given),
            callback_data: request.callback_data,
            campaign_name: request.campaign_name,
        })
    }
}

fn filled(field: Option<String>, name: &'static str) -> Result<String, Refusal> {
    field.filter(|text| !text.is_empty()).ok_or(Refusal::Missing(name))
}

fn customer(number: Option<String>) -> Result<String, Refusal> {
    let number = filled(number, "number")?;
    if is_e164(&number) {
        Ok(number)
    } else if number.strip_prefix(BSUID_PREFIX).is_some_and(looks_like_bsuid) {
        Err(Refusal::Phoneless)
    } else {
        Err(Refusal::NumberFormat)
    }
}

/// Checks that the language was approved and that the parameters fill its text, no more and no less.
fn known(template: &Template, language: &str, given: &[Parameter]) -> Result<(), Refusal> {
    let translation = template.approved(language).ok_or(Refusal::TemplateNotFound)?;
    parameters::check(given)?;
    let required = translation.parameters();
    if !required.iter().all(|name| given.iter().any(|parameter| parameter.name == *name)) {
        return Err(Refusal::TemplateInput("a parameter of the template is missing"));
    }
    let is_taken =
        |name: &str| required.iter().any(|known| known == name) || template.optional.contains(&name);
    if given.iter().all(|parameter| is_taken(&parameter.name)) {
        Ok(())
    } else {
        Err(Refusal::TemplateInput("the template has no such parameter"))
    }
}

/// Small letters, digits and underscores: what Meta lets a template be called.
fn could_be_a_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= NAME_CHARACTERS && name.bytes().all(allowed)
}

/// Two or three small letters, and perhaps a region: `en`, `fil`, `pt_BR`.
fn could_be_a_language(code: &str) -> bool {
    let (language, region) = code.split_once('_').map_or((code, None), |(code, region)| (code, Some(region)));
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && region.is_none_or(|region| {
            (2..=4).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

fn summary(name: &str, given: &[Parameter]) -> String {
    let values: Vec<&str> = given.iter().map(|parameter| parameter.value.as_str()).collect();
    let colon = if values.is_empty() { "" } else { ": " };
    format!("[template {name}{colon}{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(changes: &Value) -> Result<Outbound, Refusal> {
        with(changes, true)
    }

    /// Reads an `order_update` with these fields in place of its own; null takes one away.
    fn with(changes: &Value, any_template: bool) -> Result<Outbound, Refusal> {
        let parameters = json!([{"name": "body_1", "value": "Ana"}, {"name": "body_2", "value": "12345"}]);
        let mut body = json!({
            "number": "+15550100001", "templateName": "order_update", "language": "en", "parameters": parameters,
        });
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        Outbound::template(body.to_string().as_bytes(), any_template)
    }

    fn refusal(changes: &Value) -> Option<Refusal> {
        read(changes).err()
    }

    #[test]
    fn a_template_is_read_and_summed_up() {
        let changes = json!({"sender": "+15550100002", "campaignName": "spring", "callbackData": [1]});
        let outbound = read(&changes).ok().unwrap();
        assert_eq!(outbound.kind, Kind::Template);
        assert_eq!(outbound.sender.as_deref(), Some("+15550100002"));
        assert_eq!(outbound.recipient, "+15550100001");
        assert_eq!(outbound.summary, "[template order_update: Ana, 12345]");
        assert_eq!(outbound.campaign_name.as_deref(), Some("spring"));
        assert_eq!(outbound.callback_data.unwrap().get(), "[1]");
        let bare =
            read(&json!({"templateName": "hello_world", "parameters": null, "sender": ""})).ok().unwrap();
        assert_eq!((bare.summary.as_str(), bare.sender), ("[template hello_world]", None));
    }

    #[test]
    fn required_fields_are_named() {
        for field in ["number", "templateName", "language"] {
            assert_eq!(refusal(&json!({field: null})), Some(Refusal::Missing(field)));
            assert_eq!(refusal(&json!({field: ""})), Some(Refusal::Missing(field)));
        }
    }

    #[test]
    fn a_field_of_another_type_is_malformed() {
        for changes in [
            json!({"sender": {"id": "+15550100002", "channelType": "whatsapp"}}),
            json!({"number": 15_550_100_001_u64}),
            json!({"parameters": {"body_1": "Ana"}}),
            json!({"parameters": [{"name": "body_1", "value": 1}]}),
        ] {
            assert!(matches!(refusal(&changes), Some(Refusal::Malformed { .. })), "{changes}");
        }
    }

    #[test]
    fn a_number_is_e164_and_a_bsuid_has_its_prefix() {
        for (number, expected) in [
            ("15550100001", Refusal::NumberFormat),
            ("+1 555 010 0001", Refusal::NumberFormat),
            ("US.13491208655302741918", Refusal::NumberFormat),
            ("bsuid:", Refusal::NumberFormat),
            ("bsuid:13491208655302741918", Refusal::NumberFormat),
            ("bsuid:US.13491208655302741918", Refusal::Phoneless),
        ] {
            assert_eq!(refusal(&json!({"number": number})), Some(expected), "{number}");
        }
    }

    #[test]
    fn a_language_that_was_not_approved_is_not_found() {
        assert_eq!(refusal(&json!({"language": "pt_BR"})), None);
        assert_eq!(refusal(&json!({"language": "de"})), Some(Refusal::TemplateNotFound));
        assert_eq!(refusal(&json!({"language": "EN"})), Some(Refusal::TemplateNotFound));
    }

    #[test]
    fn a_template_that_was_not_approved_is_not_found_whatever_names_pass() {
        for name in ["summer_sale", "winter_sale"] {
            let refusal = with(&json!({"templateName": name}), true).err();
            assert_eq!(refusal, Some(Refusal::TemplateNotFound), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_passes_when_any_does_and_it_could_be_one() {
        let own = json!({"templateName": "spring_sale_2"});
        assert!(with(&own, true).is_ok());
        assert_eq!(with(&own, false).err(), Some(Refusal::TemplateNotFound));
        let longest = json!({"templateName": "a".repeat(NAME_CHARACTERS), "language": "fil"});
        assert!(with(&longest, true).is_ok());
        for changes in [
            json!({"templateName": "Summer Sale"}),
            json!({"templateName": "summer-sale"}),
            json!({"templateName": "a".repeat(NAME_CHARACTERS + 1)}),
            json!({"templateName": "spring_sale", "language": "English"}),
            json!({"templateName": "spring_sale", "language": "pt-BR"}),
        ] {
            assert_eq!(refusal(&changes), Some(Refusal::TemplateNotFound), "{changes}");
        }
        let odd = json!({"templateName": "spring_sale", "parameters": [{"name": "var1", "value": "x"}]});
        assert_eq!(refusal(&odd), Some(Refusal::TemplateInput("a name is not known")));
    }

    #[test]
    fn a_known_template_takes_its_parameters_no_more_and_no_less() {
        let one = json!({"name": "body_1", "value": "Ana"});
        let two = json!({"name": "body_2", "value": "12345"});
        let three = json!({"name": "body_3", "value": "x"});
        let missing = Some(Refusal::TemplateInput("a parameter of the template is missing"));
        let superfluous = Some(Refusal::TemplateInput("the template has no such parameter"));
        assert_eq!(refusal(&json!({"parameters": [two, one]})), None);
        assert_eq!(refusal(&json!({"parameters": [one]})), missing);
        assert_eq!(refusal(&json!({"parameters": null})), missing);
        assert_eq!(refusal(&json!({"parameters": [one, two, three]})), superfluous);
        let reopen = |given: Value| refusal(&json!({"templateName": "reopen", "parameters": given}));
        assert_eq!(reopen(json!([])), None);
        assert_eq!(reopen(json!([one])), None);
        assert_eq!(reopen(json!([one, two])), superfluous);
    }

    #[test]
    fn callback_data_has_the_same_limit_here() {
        let data = |length: usize| json!({"callbackData": "x".repeat(length - 2)});
        assert_eq!(refusal(&data(1_024)), None);
        assert_eq!(refusal(&data(1_025)), Some(Refusal::CallbackData));
    }
}
