//! The limits of what is sent, each in one place: those that Connectly's pages state, and WhatsApp's, as Meta's pages give
//! them (2025 and 2026).
//!
//! Characters are Unicode scalar values: no page says what Meta counts.

/// How much of something is allowed; none at all is never enough where a limit applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub unit: Unit,
    /// The most allowed.
    pub max: usize,
    /// Who says so.
    pub source: Source,
}

/// Where a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Connectly's pages: what exceeds it is refused.
    Connectly,
    /// Meta's pages or those of other vendors: what exceeds it may be refused, or shown in part.
    WhatsApp,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Unicode scalar values.
    Characters,
    /// Elements of an array, over all sections where there are several.
    Items,
    /// Bytes of compact JSON.
    Bytes,
}

/// A text message.
pub(super) const TEXT: Limit = characters(4096);
/// The body of a list: Meta's page of November 2025; some vendors still print 1024.
pub(super) const LIST_BODY: Limit = characters(4096);
/// The body of a message with buttons.
pub(super) const BUTTONS_BODY: Limit = characters(1024);
/// The body of a message with products.
pub(super) const PRODUCT_BODY: Limit = characters(1024);
/// A header of words.
pub(super) const HEADER: Limit = characters(60);
/// A footer.
pub(super) const FOOTER: Limit = characters(60);
/// Words below media. Sources say 1024 or 3000; the greater one, so that nothing WhatsApp would take is refused here.
pub(super) const CAPTION: Limit = characters(3000);
/// Media in one message: Connectly's limit.
pub(super) const ATTACHMENTS: Limit = items(1).of_connectly();
/// Buttons in one message: Connectly's limit, and WhatsApp's.
pub(super) const BUTTONS: Limit = items(3).of_connectly();
/// The label of a button, also of the one that opens a list.
pub(super) const BUTTON_TEXT: Limit = characters(20);
/// The id of a button.
pub(super) const BUTTON_ID: Limit = characters(256);
/// The groups of a list, and of products.
pub(super) const SECTIONS: Limit = items(10);
/// The heading of a group.
pub(super) const SECTION_TITLE: Limit = characters(24);
/// The rows of a list, over all its groups together.
pub(super) const ROWS: Limit = items(10);
/// The id of a row.
pub(super) const ROW_ID: Limit = characters(200);
/// The label of a row.
pub(super) const ROW_TEXT: Limit = characters(24);
/// The second line of a row.
pub(super) const ROW_DESCRIPTION: Limit = characters(72);
/// The products of one message, over all groups together.
pub(super) const PRODUCTS: Limit = items(30);
/// A template's header of words.
pub(in crate::connectly) const TEMPLATE_HEADER: Limit = characters(60);
/// What fills one gap of a template's body: no more than the whole body.
pub(in crate::connectly) const TEMPLATE_BODY: Limit = characters(1024);
/// callbackData: Connectly's limit, above which it answers 400.
pub(super) const CALLBACK_DATA: Limit = Limit { unit: Unit::Bytes, max: 1024, source: Source::Connectly };

const fn characters(max: usize) -> Limit {
    Limit { unit: Unit::Characters, max, source: Source::WhatsApp }
}

const fn items(max: usize) -> Limit {
    Limit { unit: Unit::Items, max, source: Source::WhatsApp }
}

impl Limit {
    const fn of_connectly(self) -> Self {
        Self { source: Source::Connectly, ..self }
    }

    /// Whether a size is within it.
    pub fn allows(&self, found: usize) -> bool {
        (1..=self.max).contains(&found)
    }

    /// The rest of a sentence that begins with the field: what was found, and what is allowed.
    pub(super) fn broken_by(&self, found: usize) -> String {
        let Self { unit, max, .. } = self;
        let are = if *max == 1 { "is" } else { "are" };
        match found {
            0 => "is empty".to_owned(),
            _ => format!("has {found} {unit}, at most {max} {are} allowed"),
        }
    }
}

impl std::fmt::Display for Unit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Characters => "characters",
            Self::Items => "items",
            Self::Bytes => "bytes of JSON",
        })
    }
}
