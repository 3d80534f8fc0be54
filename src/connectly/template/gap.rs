//! The names of a template's gaps, as Connectly writes them: which there are, and what may fill each.
//!
//! Header, body and button gaps count from 1, the cards of a carousel and everything on them from 0. To add one: a
//! variant of [`Gap`], how it is read, and what fills it.

use crate::connectly::message::{Limit, limits};

/// What a parameter fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// `header_text`.
    HeaderText,
    /// `header_image`, `header_video`: a file by its URL. Video stands in older pages only.
    HeaderMedia,
    /// `header_document`: a file by its URL, with a name to show.
    HeaderDocument,
    /// `body_1` to `body_15`.
    Body,
    /// `button_1_url_suffix` to `button_3_url_suffix`.
    ButtonUrlSuffix,
    /// `card.N.header.image`.
    CardImage,
    /// `card.N.body.M`.
    CardBody,
    /// `card.N.button.M.urlSuffix`.
    CardButtonUrlSuffix,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    /// Words.
    Words(Limit),
    /// A public URL.
    Url,
    /// The end of a URL: anything but nothing.
    UrlSuffix,
}

/// What to say of a name that is none of them.
pub(super) const NAMES: &str = "must be one of header_text, header_image, header_document, header_video, body_1 to body_15, \
     button_1_url_suffix to button_3_url_suffix, card.N.header.image, card.N.body.M, card.N.button.M.urlSuffix \
     (cards 0 to 9)";

/// The last gap of a body: Connectly's pages end there.
const LAST_BODY: u8 = 15;
/// The last button of a template that has a gap.
const LAST_BUTTON: u8 = 3;
/// The last card: WhatsApp shows ten, and they count from 0.
const LAST_CARD: u8 = 9;

impl Gap {
    /// The gap that a name means.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "header_text" => return Some(Self::HeaderText),
            "header_image" | "header_video" => return Some(Self::HeaderMedia),
            "header_document" => return Some(Self::HeaderDocument),
            _ => {}
        }
        if let Some(number) = name.strip_prefix("body_") {
            return within(number, 1, LAST_BODY).then_some(Self::Body);
        }
        if let Some(number) = name.strip_prefix("button_").and_then(|rest| rest.strip_suffix("_url_suffix")) {
            return within(number, 1, LAST_BUTTON).then_some(Self::ButtonUrlSuffix);
        }
        Self::on_card(name.strip_prefix("card.")?)
    }

    fn on_card(rest: &str) -> Option<Self> {
        let parts: Vec<&str> = rest.split('.').collect();
        let (card, gap) = parts.split_first()?;
        let gap = match gap {
            ["header", "image"] => Self::CardImage,
            ["body", number] if within(number, 0, LAST_BODY - 1) => Self::CardBody,
            ["button", number, "urlSuffix"] if within(number, 0, LAST_BUTTON - 1) => {
                Self::CardButtonUrlSuffix
            }
            _ => return None,
        };
        within(card, 0, LAST_CARD).then_some(gap)
    }

    /// Whether it is the template's own header, of which there is one.
    pub(super) const fn is_header(self) -> bool {
        matches!(self, Self::HeaderText | Self::HeaderMedia | Self::HeaderDocument)
    }

    /// What may fill it.
    pub(super) const fn filling(self) -> Filling {
        match self {
            Self::HeaderText => Filling::Words(limits::TEMPLATE_HEADER),
            Self::Body | Self::CardBody => Filling::Words(limits::TEMPLATE_BODY),
            Self::HeaderMedia | Self::HeaderDocument | Self::CardImage => Filling::Url,
            Self::ButtonUrlSuffix | Self::CardButtonUrlSuffix => Filling::UrlSuffix,
        }
    }
}

/// Whether a text is a number in a range, written without leading zeros or signs.
fn within(text: &str, first: u8, last: u8) -> bool {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    plain && text.parse().is_ok_and(|number: u8| (first..=last).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_name_is_read_and_its_neighbours_are_not() {
        let known = [
            ("header_text", Gap::HeaderText),
            ("header_image", Gap::HeaderMedia),
            ("header_video", Gap::HeaderMedia),
            ("header_document", Gap::HeaderDocument),
            ("body_1", Gap::Body),
            ("body_15", Gap::Body),
            ("button_1_url_suffix", Gap::ButtonUrlSuffix),
            ("button_3_url_suffix", Gap::ButtonUrlSuffix),
            ("card.0.header.image", Gap::CardImage),
            ("card.9.header.image", Gap::CardImage),
            ("card.0.body.0", Gap::CardBody),
            ("card.0.button.1.urlSuffix", Gap::CardButtonUrlSuffix),
        ];
        for (name, gap) in known {
            assert_eq!(Gap::parse(name), Some(gap), "{name}");
        }
        let unknown = [
            "",
            "header",
            "body",
            "body_",
            "body_0",
            "body_16",
            "body_01",
            "body_+1",
            "var1",
            "button_0_url_suffix",
            "button_4_url_suffix",
            "button_1_url",
            "card",
            "card.",
            "card.10.header.image",
            "card.0.header.text",
            "card.0.body",
            "card.0.body.15",
            "card.0.button.3.urlSuffix",
            "card.0.button.0",
            "card.00.body.0",
            "card.0.body.0.0",
        ];
        for name in unknown {
            assert_eq!(Gap::parse(name), None, "{name}");
        }
    }
}
