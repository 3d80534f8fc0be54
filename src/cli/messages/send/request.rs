//! The body of a request to send, made of what was typed.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::cli::Usage;
use crate::cli::admin::Document;
use crate::cli::filter::parse_callback;

/// What a message can have beside its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(super) struct Details {
    /// The business's number to send from; without it the only one, else the one with the customer's newest open window
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The account to send for
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// A value of the callback data, as in `order_id=12345` or `order.id=7`; may be given several times
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_callback)]
    callback: Vec<(String, String)>,
    /// The callback data, any JSON, in place of --callback
    #[arg(long, value_name = "JSON", conflicts_with = "callback", value_parser = parse_json)]
    callback_json: Option<Json>,
    /// The campaign that the message is counted under
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
}

/// The template to send instead once the window is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(super) struct Fallback {
    /// The template to send instead when the window is closed
    #[arg(
        id = "fallback",
        long = "fallback-template",
        value_name = "TEMPLATE",
        requires = "fallback_language"
    )]
    template: Option<String>,
    /// Its language, as in `en` or `pt_BR`
    #[arg(id = "fallback_language", long = "fallback-language", value_name = "CODE", requires = "fallback")]
    language: Option<String>,
    /// What fills one of its gaps, as in `body_1=Ana`; may be given several times
    #[arg(
        id = "fallback_parameter",
        long = "fallback-parameter",
        value_name = "NAME=VALUE",
        value_parser = parse_parameter,
        requires = "fallback"
    )]
    parameter: Vec<(String, String)>,
}

/// The template to send.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TemplateArgs {
    /// The template's name
    name: String,
    /// The language of the translation that was approved, as in `en` or `pt_BR`
    #[arg(long, value_name = "CODE")]
    language: String,
    /// What fills one of its gaps, as in `body_1=Ana`; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameter: Vec<(String, String)>,
    /// The name that the customer sees of the document in `header_document`
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
}

/// JSON as it was written: numbers keep all their digits.
#[derive(Debug, Clone)]
pub(super) struct Json(Box<RawValue>);

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Json {}

/// What is sent.
pub(super) enum Content<'a> {
    /// Connectly's `message` object, with what to send instead.
    Message(Document, &'a Fallback),
    /// A template.
    Template(&'a TemplateArgs),
}

/// What `POST /api/v1/messages` takes.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_data: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<&'a str>,
}

/// The body that sends this content to somebody.
pub(super) fn body(to: &str, content: &Content<'_>, details: &Details) -> anyhow::Result<Document> {
    let (message, template, fallback) = match content {
        Content::Message(message, fallback) => (Some(&**message), None, fallback.value()),
        Content::Template(template) => (None, Some(template.value()?), None),
    };
    let body = Body {
        account: details.account.as_deref(),
        to,
        from: details.from.as_deref(),
        message,
        template,
        fallback,
        callback_data: details.callback_data()?,
        campaign: details.campaign.as_deref(),
    };
    Ok(to_raw_value(&body)?)
}

impl Details {
    fn callback_data(&self) -> anyhow::Result<Option<Document>> {
        if let Some(Json(data)) = &self.callback_json {
            return Ok(Some(data.clone()));
        }
        if self.callback.is_empty() {
            return Ok(None);
        }
        let mut data = Map::new();
        for (path, value) in &self.callback {
            let twice = || Usage(format!("--callback gives {path} more than one value"));
            put(&mut data, path, value).ok_or_else(twice)?;
        }
        Ok(Some(to_raw_value(&data)?))
    }
}

/// Puts a value at a path, where nothing may be yet.
fn put(data: &mut Map<String, Value>, path: &str, value: &str) -> Option<()> {
    match path.split_once('.') {
        Some((step, rest)) => {
            let inner = data.entry(step).or_insert_with(|| json!({}));
            put(inner.as_object_mut()?, rest, value)
        }
        None => data.insert(path.to_owned(), value.into()).is_none().then_some(()),
    }
}

impl Fallback {
    fn value(&self) -> Option<Value> {
        let (template, language) = (self.template.as_ref()?, self.language.as_ref()?);
        let parameters: Vec<_> = self.parameter.iter().map(filling).collect();
        let mut value = json!({ "template": template, "language": language });
        if !parameters.is_empty() {
            value["parameters"] = parameters.into();
        }
        Some(value)
    }
}

/// The gap that takes a document.
const DOCUMENT: &str = "header_document";

impl TemplateArgs {
    fn value(&self) -> Result<Value, Usage> {
        let mut parameters: Vec<_> = self.parameter.iter().map(filling).collect();
        if let Some(filename) = &self.filename {
            let mut documents = parameters.iter_mut().filter(|parameter| parameter["name"] == DOCUMENT);
            let without =
                || Usage(format!("--filename names a document: give --parameter {DOCUMENT}=URL too"));
            documents.next().ok_or_else(without)?["filename"] = filename.as_str().into();
        }
        let mut value = json!({ "name": self.name, "language": self.language });
        if !parameters.is_empty() {
            value["parameters"] = parameters.into();
        }
        Ok(value)
    }
}

fn filling((name, value): &(String, String)) -> Value {
    json!({ "name": name, "value": value })
}

fn parse_parameter(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, as in body_1=Ana")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_json(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map(Json).map_err(|error| format!("it is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(callback: &[(&str, &str)]) -> Details {
        let pair = |(path, value): &(&str, &str)| ((*path).to_owned(), (*value).to_owned());
        Details { callback: callback.iter().map(pair).collect(), ..Details::default() }
    }

    #[test]
    fn callback_data_is_found_by_the_path_it_was_given_by() {
        let data = details(&[("order.id", "7"), ("order.lines.first", "a=b"), ("shop", "")]);
        let data = data.callback_data().unwrap().unwrap();
        assert_eq!(data.get(), r#"{"order":{"id":"7","lines":{"first":"a=b"}},"shop":""}"#);
        for twice in [[("id", "1"), ("id", "2")], [("id", "1"), ("id.x", "2")], [("id.x", "1"), ("id", "2")]]
        {
            assert!(details(&twice).callback_data().unwrap_err().is::<Usage>(), "{twice:?}");
        }
        assert!(details(&[]).callback_data().unwrap().is_none());
    }

    #[test]
    fn json_keeps_every_digit_and_null_is_a_value() {
        for text in ["null", "[1]", r#"{"order":12345678901234567890123}"#] {
            let details = Details { callback_json: Some(parse_json(text).unwrap()), ..Details::default() };
            assert_eq!(details.callback_data().unwrap().unwrap().get(), text);
        }
        assert!(parse_json("{").unwrap_err().starts_with("it is no JSON: "));
    }

    #[test]
    fn a_file_has_a_name_where_there_is_a_document() {
        let template = |gap: &str| TemplateArgs {
            name: "invoice".to_owned(),
            language: "en".to_owned(),
            parameter: vec![parse_parameter(&format!("{gap}=https://a.example/?n=1")).unwrap()],
            filename: Some("invoice.pdf".to_owned()),
        };
        let value = template(DOCUMENT).value().unwrap();
        let parameter =
            json!({"name": DOCUMENT, "value": "https://a.example/?n=1", "filename": "invoice.pdf"});
        assert_eq!(value, json!({"name": "invoice", "language": "en", "parameters": [parameter]}));
        assert!(template("body_1").value().is_err());
    }
}
