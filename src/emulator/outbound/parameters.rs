//! The names of a template's parameters, and whether those that came can belong together.

use std::collections::BTreeSet;

use super::is_reachable;
use crate::emulator::errors::Refusal;
use crate::emulator::wire::Parameter;

/// The most variables in a template's body.
const BODY_VARIABLES: usize = 15;
/// The most buttons that take a suffix.
const URL_BUTTONS: usize = 3;
/// The cards that WhatsApp allows in a carousel.
const CARDS: std::ops::RangeInclusive<usize> = 2..=10;

/// What a parameter fills. Body variables and buttons count from one, everything about cards from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Header(Header),
    Body(usize),
    Button(usize),
    Card(usize, Part),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Header {
    Text,
    Image,
    Document,
    Video,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Image,
    Body(usize),
    Button(usize),
}

/// Checks what can be checked without the template: documented names, each once, with values that can be, and nothing
/// left out between the first and the last.
pub(super) fn check(parameters: &[Parameter]) -> Result<(), Refusal> {
    let mut slots = BTreeSet::new();
    for parameter in parameters {
        let slot = Slot::read(&parameter.name).ok_or(invalid("a name is not known"))?;
        check_value(slot, parameter)?;
        if !slots.insert(slot) {
            return Err(invalid("a name is there twice"));
        }
    }
    together(&slots)
}

fn check_value(slot: Slot, parameter: &Parameter) -> Result<(), Refusal> {
    if parameter.value.trim().is_empty() {
        return Err(invalid("a value is empty"));
    }
    if slot.is_media() && !is_reachable(&parameter.value) {
        return Err(invalid("the value of a media parameter is not a URL"));
    }
    let has_filename = parameter.filename.as_deref().is_some_and(|name| !name.is_empty());
    if has_filename && slot != Slot::Header(Header::Document) {
        return Err(invalid("only header_document has a filename"));
    }
    Ok(())
}

fn together(slots: &BTreeSet<Slot>) -> Result<(), Refusal> {
    let count = |wanted: fn(&Slot) -> bool| slots.iter().filter(|slot| wanted(slot)).count();
    if count(|slot| matches!(slot, Slot::Header(_))) > 1 {
        return Err(invalid("a template has one header"));
    }
    let bodies = count(|slot| matches!(slot, Slot::Body(_)));
    if !(1..=bodies).all(|variable| slots.contains(&Slot::Body(variable))) {
        return Err(invalid("a body variable is missing before the last"));
    }
    let cards: BTreeSet<usize> = slots.iter().filter_map(|slot| slot.card()).collect();
    let is_whole = CARDS.contains(&cards.len()) && cards.iter().copied().eq(0..cards.len());
    if cards.is_empty() || is_whole {
        Ok(())
    } else {
        Err(invalid("a carousel has 2 to 10 cards, counted from 0"))
    }
}

fn invalid(reason: &'static str) -> Refusal {
    Refusal::TemplateInput(reason)
}

impl Slot {
    fn read(name: &str) -> Option<Self> {
        match name {
            "header_text" => return Some(Self::Header(Header::Text)),
            "header_image" => return Some(Self::Header(Header::Image)),
            "header_document" => return Some(Self::Header(Header::Document)),
            "header_video" => return Some(Self::Header(Header::Video)),
            _ => {}
        }
        if let Some(number) = name.strip_prefix("body_") {
            return number_within(number, 1..=BODY_VARIABLES).map(Self::Body);
        }
        if let Some(rest) = name.strip_prefix("button_") {
            return number_within(rest.strip_suffix("_url_suffix")?, 1..=URL_BUTTONS).map(Self::Button);
        }
        let (card, part) = name.strip_prefix("card.")?.split_once('.')?;
        let card = number_within(card, 0..=CARDS.end() - 1)?;
        Some(Self::Card(card, Part::read(part)?))
    }

    fn is_media(self) -> bool {
        match self {
            Self::Header(Header::Image | Header::Document | Header::Video) | Self::Card(_, Part::Image) => {
                true
            }
            Self::Header(Header::Text)
            | Self::Body(_)
            | Self::Button(_)
            | Self::Card(_, Part::Body(_) | Part::Button(_)) => false,
        }
    }

    fn card(self) -> Option<usize> {
        match self {
            Self::Card(card, _) => Some(card),
            Self::Header(_) | Self::Body(_) | Self::Button(_) => None,
        }
    }
}

impl Part {
    /// Reads what follows `card.N.`. How many variables and buttons a card may have is not documented.
    fn read(text: &str) -> Option<Self> {
        if text == "header.image" {
            return Some(Self::Image);
        }
        if let Some(number) = text.strip_prefix("body.") {
            return number_within(number, 0..=usize::MAX).map(Self::Body);
        }
        let number = text.strip_prefix("button.")?.strip_suffix(".urlSuffix")?;
        number_within(number, 0..=usize::MAX).map(Self::Button)
    }
}

/// A number as it is written in a name: digits alone, without zeros in front.
fn number_within(text: &str, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
    let number = text.parse().ok().filter(|number| range.contains(number))?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: &str = "https://example.com/a.jpg";

    fn parameter(name: &str, value: &str) -> Parameter {
        Parameter { name: name.to_owned(), value: value.to_owned(), filename: None }
    }

    fn checked(names: &[&str]) -> Result<(), Refusal> {
        let parameters: Vec<Parameter> = names.iter().map(|name| parameter(name, PICTURE)).collect();
        check(&parameters)
    }

    fn cards(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|card| format!("card.{card}.header.image")).collect()
    }

    #[test]
    fn documented_names_are_read_and_no_others() {
        for name in [
            "header_text",
            "header_image",
            "header_document",
            "header_video",
            "body_1",
            "body_15",
            "button_1_url_suffix",
            "button_3_url_suffix",
            "card.0.header.image",
            "card.9.header.image",
            "card.0.body.0",
            "card.1.button.0.urlSuffix",
        ] {
            assert!(Slot::read(name).is_some(), "{name}");
        }
        for name in [
            "",
            "var1",
            "header",
            "header_audio",
            "Header_Text",
            "body_0",
            "body_16",
            "body_01",
            "body_+1",
            "body_",
            "button_0_url_suffix",
            "button_4_url_suffix",
            "button_1_url",
            "card.0",
            "card.10.header.image",
            "card.00.header.image",
            "card.0.header.video",
            "card.0.body.",
            "card.0.body.01",
            "card.0.button.0.url",
        ] {
            assert_eq!(Slot::read(name), None, "{name}");
        }
    }

    #[test]
    fn names_are_there_once_and_without_holes() {
        assert_eq!(checked(&[]), Ok(()));
        assert_eq!(checked(&["body_2", "body_1", "button_2_url_suffix"]), Ok(()));
        assert_eq!(checked(&["body_1", "body_1"]), Err(invalid("a name is there twice")));
        assert_eq!(
            checked(&["body_1", "body_3"]),
            Err(invalid("a body variable is missing before the last"))
        );
        assert_eq!(checked(&["header_text", "header_image"]), Err(invalid("a template has one header")));
        assert_eq!(checked(&["nobody"]), Err(invalid("a name is not known")));
    }

    #[test]
    fn a_carousel_has_two_to_ten_cards_counted_from_zero() {
        let checked = |names: Vec<String>| checked(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let wrong = Err(invalid("a carousel has 2 to 10 cards, counted from 0"));
        assert_eq!(checked(cards(0..1)), wrong);
        assert_eq!(checked(cards(0..2)), Ok(()));
        assert_eq!(checked(cards(0..10)), Ok(()));
        assert_eq!(checked(cards(0..11)), Err(invalid("a name is not known")));
        assert_eq!(checked(cards(1..3)), wrong);
    }

    #[test]
    fn values_are_words_or_urls_and_documents_alone_have_names() {
        let value = |name: &str, value: &str| check(&[parameter(name, value)]);
        assert_eq!(value("body_1", " "), Err(invalid("a value is empty")));
        let no_url = Err(invalid("the value of a media parameter is not a URL"));
        assert_eq!(value("header_image", "nowhere"), no_url);
        assert_eq!(value("header_video", "nowhere"), no_url);
        assert_eq!(value("header_document", "/a.pdf"), no_url);
        let named = |name: &str| {
            let filename = Some("a.pdf".to_owned());
            check(&[Parameter { filename, ..parameter(name, PICTURE) }])
        };
        assert_eq!(named("header_document"), Ok(()));
        assert_eq!(named("header_image"), Err(invalid("only header_document has a filename")));
    }
}
