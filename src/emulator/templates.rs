//! The templates of the business, in the emulator's own words, and what Meta's review said of each.
//!
//! A template has a translation for each of its languages. What a send must fill in follows from a translation's text:
//! a gap `{{1}}` in the body is `body_1`, a gap in a URL is its button's suffix, a header of media is its URL. To add a
//! template: one more entry in [`TEMPLATES`].

use serde::Serialize;

/// A template.
#[derive(Serialize)]
pub(super) struct Template {
    /// What it is sent by.
    pub(super) name: &'static str,
    /// What Meta counts it as.
    pub(super) category: Category,
    /// What its review came to.
    pub(super) review: Review,
    /// Its text in each of its languages.
    pub(super) translations: &'static [Translation],
    /// Parameters that it takes although no gap shows them, so that a fallback with and without a name both pass.
    pub(super) optional: &'static [&'static str],
}

/// What Meta counts a template as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Category {
    /// Offers, and whatever sells.
    Marketing,
    /// What belongs to something that the customer did.
    Utility,
}

/// What a template's review came to. Only an approved one can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Review {
    /// Let through.
    Approved,
    /// Not yet decided.
    Pending,
    /// Turned down, for this reason.
    Rejected(&'static str),
}

/// A template's text in one language.
#[derive(Serialize)]
pub(super) struct Translation {
    /// The language's code, as in `en` or `pt_BR`.
    pub(super) language: &'static str,
    /// What stands above the body.
    pub(super) header: Option<Header>,
    /// The words, with gaps.
    pub(super) body: &'static str,
    /// What stands below the body, in order.
    pub(super) buttons: &'static [Button],
    /// The cards of a carousel; none in any other template.
    pub(super) cards: &'static [Card],
}

/// What stands above a template's body.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Header {
    /// Words, with one gap at most.
    Text(&'static str),
    /// A picture.
    Image,
    /// A file.
    Document,
    /// A film.
    Video,
}

/// A button of a template.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Button {
    /// Sends its label back.
    QuickReply(&'static str),
    /// Opens a page.
    Url {
        /// Its label.
        text: &'static str,
        /// The page, with a gap at its end where a suffix goes.
        url: &'static str,
    },
}

/// A card of a carousel. Each begins with an image.
#[derive(Serialize)]
pub(super) struct Card {
    /// The words, with gaps.
    pub(super) body: &'static str,
    /// What stands below.
    pub(super) buttons: &'static [Button],
}

/// The template with this name.
pub(super) fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

impl Template {
    /// Its text in this language, where that was approved.
    pub(super) fn approved(&self, language: &str) -> Option<&Translation> {
        match self.review {
            Review::Approved => self.translations.iter().find(|translation| translation.language == language),
            Review::Pending | Review::Rejected(_) => None,
        }
    }
}

impl Translation {
    /// The names of the parameters that it needs, in the order of the message. Cards and what is in them count from zero,
    /// everything else from one.
    pub(super) fn parameters(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.header.iter().filter_map(Header::parameter).map(str::to_owned).collect();
        names.extend((1..=gaps(self.body)).map(|gap| format!("body_{gap}")));
        names.extend(open_urls(self.buttons).map(|button| format!("button_{}_url_suffix", button + 1)));
        for (number, card) in self.cards.iter().enumerate() {
            names.push(format!("card.{number}.header.image"));
            names.extend((0..gaps(card.body)).map(|gap| format!("card.{number}.body.{gap}")));
            let buttons = open_urls(card.buttons);
            names.extend(buttons.map(|button| format!("card.{number}.button.{button}.urlSuffix")));
        }
        names
    }

    const fn plain(language: &'static str, body: &'static str) -> Self {
        Self { language, header: None, body, buttons: &[], cards: &[] }
    }

    const fn headed(language: &'static str, header: Header, body: &'static str) -> Self {
        Self { language, header: Some(header), body, buttons: &[], cards: &[] }
    }

    const fn with_buttons(language: &'static str, body: &'static str, buttons: &'static [Button]) -> Self {
        Self { language, header: None, body, buttons, cards: &[] }
    }
}

impl Header {
    fn parameter(&self) -> Option<&'static str> {
        match self {
            Self::Text(text) => (gaps(text) > 0).then_some("header_text"),
            Self::Image => Some("header_image"),
            Self::Document => Some("header_document"),
            Self::Video => Some("header_video"),
        }
    }
}

/// How many gaps a text has.
fn gaps(text: &str) -> usize {
    text.matches("{{").count()
}

/// The places, counted from zero, of the buttons whose URL wants a suffix.
fn open_urls(buttons: &[Button]) -> impl Iterator<Item = usize> {
    let is_open = |button: &Button| match button {
        Button::QuickReply(_) => false,
        Button::Url { url, .. } => gaps(url) > 0,
    };
    buttons.iter().enumerate().filter(move |(_, button)| is_open(button)).map(|(place, _)| place)
}

/// Every template. Connectly's own examples (`my_template`, `your_template_name`) are among them.
pub(super) static TEMPLATES: &[Template] = &[
    Template {
        name: "hello_world",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[
            Translation::plain("en", "Hello! This message shows that everything works."),
            Translation::plain("en_US", "Hello! This message shows that everything works."),
        ],
        optional: &[],
    },
    Template {
        name: "order_update",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[
            Translation::plain("en", "Hi {{1}}, your order {{2}} is on its way."),
            Translation::plain("en_US", "Hi {{1}}, your order {{2}} is on its way."),
            Translation::plain("es", "Hola {{1}}, su pedido {{2}} está en camino."),
            Translation::plain("pt_BR", "Olá {{1}}, seu pedido {{2}} está a caminho."),
        ],
        optional: &[],
    },
    Template {
        name: "reopen",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[
            Translation::plain("en", "We have an answer for you. Write to us and we go on."),
            Translation::plain("en_US", "We have an answer for you. Write to us and we go on."),
            Translation::plain("es", "Tenemos una respuesta para usted. Escríbanos y continuamos."),
            Translation::plain("pt_BR", "Temos uma resposta para você. Escreva e continuamos."),
        ],
        optional: &["body_1"],
    },
    Template {
        name: "appointment_reminder",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[Translation::headed(
            "en",
            Header::Text("Your visit at {{1}}"),
            "Hi {{1}}, we expect you on {{2}}.",
        )],
        optional: &[],
    },
    Template {
        name: "confirm_visit",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[Translation::with_buttons(
            "en",
            "Hi {{1}}, shall we expect you?",
            &[Button::QuickReply("Yes"), Button::QuickReply("No")],
        )],
        optional: &[],
    },
    Template {
        name: "seasonal_offer",
        category: Category::Marketing,
        review: Review::Approved,
        translations: &[
            Translation::headed("en", Header::Image, "Hi {{1}}, take {{2}} off everything this week."),
            Translation::headed("pt_BR", Header::Image, "Olá {{1}}, {{2}} de desconto em tudo nesta semana."),
        ],
        optional: &[],
    },
    Template {
        name: "invoice",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[Translation::headed("en", Header::Document, "Hi {{1}}, here is your invoice.")],
        optional: &[],
    },
    Template {
        name: "unboxing",
        category: Category::Marketing,
        review: Review::Approved,
        translations: &[Translation::headed("en", Header::Video, "Hi {{1}}, see what comes in the box.")],
        optional: &[],
    },
    Template {
        name: "track_order",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[
            Translation::with_buttons(
                "en",
                "Hi {{1}}, your order has left our house.",
                &[Button::Url { text: "Track", url: "https://shop.example/orders/{{1}}" }],
            ),
            Translation::with_buttons(
                "es",
                "Hola {{1}}, su pedido ha salido de nuestra casa.",
                &[Button::Url { text: "Seguir", url: "https://shop.example/orders/{{1}}" }],
            ),
        ],
        optional: &[],
    },
    Template {
        name: "new_arrivals",
        category: Category::Marketing,
        review: Review::Approved,
        translations: &[Translation {
            cards: &[NEW_ARRIVAL, NEW_ARRIVAL],
            ..Translation::plain("en", "Hi {{1}}, look what is new.")
        }],
        optional: &[],
    },
    Template {
        name: "my_template",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[Translation::plain("en", "Thank you for being with us.")],
        optional: &[],
    },
    Template {
        name: "your_template_name",
        category: Category::Utility,
        review: Review::Approved,
        translations: &[Translation::plain("en_US", "Hello {{1}}, thank you for {{2}}.")],
        optional: &[],
    },
    Template {
        name: "summer_sale",
        category: Category::Marketing,
        review: Review::Pending,
        translations: &[Translation::plain("en", "Hi {{1}}, summer is here: 20% off until Sunday.")],
        optional: &[],
    },
    Template {
        name: "winter_sale",
        category: Category::Marketing,
        review: Review::Rejected("INVALID_FORMAT"),
        translations: &[Translation::plain("en", "Hi {{1}}, use the code {{3}}.")],
        optional: &[],
    },
];

const NEW_ARRIVAL: Card = Card {
    body: "{{1}}, from {{2}}",
    buttons: &[
        Button::Url { text: "Look", url: "https://shop.example/products/{{1}}" },
        Button::QuickReply("Not for me"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(name: &str, language: &str) -> Vec<String> {
        find(name).unwrap().approved(language).unwrap().parameters()
    }

    #[test]
    fn parameters_follow_from_the_text() {
        assert!(parameters("hello_world", "en").is_empty());
        assert_eq!(parameters("order_update", "pt_BR"), ["body_1", "body_2"]);
        assert_eq!(parameters("appointment_reminder", "en"), ["header_text", "body_1", "body_2"]);
        assert_eq!(parameters("invoice", "en"), ["header_document", "body_1"]);
        assert_eq!(parameters("unboxing", "en"), ["header_video", "body_1"]);
        assert_eq!(parameters("confirm_visit", "en"), ["body_1"]);
        assert_eq!(parameters("track_order", "es"), ["body_1", "button_1_url_suffix"]);
        assert_eq!(
            parameters("new_arrivals", "en")[..5],
            ["body_1", "card.0.header.image", "card.0.body.0", "card.0.body.1", "card.0.button.0.urlSuffix"]
        );
    }

    #[test]
    fn names_and_languages_are_there_once() {
        for (index, template) in TEMPLATES.iter().enumerate() {
            assert!(!TEMPLATES[..index].iter().any(|earlier| earlier.name == template.name));
            for (index, translation) in template.translations.iter().enumerate() {
                let earlier = &template.translations[..index];
                assert!(!earlier.iter().any(|earlier| earlier.language == translation.language));
            }
        }
        assert!(find("nobody_made_this").is_none());
    }
}
