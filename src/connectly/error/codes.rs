//! The codes that Connectly documents, what each means for a send, and what to do about it.
//!
//! The set is open: Connectly's page has more rows than could be read, and a code that is not here is judged by its
//! type and HTTP status. To add one: a row here, and one in the test that holds the documented table.

/// What a code says about the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// No free-form message may be sent now.
    WindowClosed,
    /// The customer does not want to hear from the business.
    OptedOut,
    /// It was not and will not be sent.
    Refused,
    /// The code says nothing; type and HTTP status decide.
    Unspecified,
}

/// One documented code.
pub(super) struct Row {
    pub(super) code: &'static str,
    pub(super) judgement: Judgement,
    retryable: bool,
    meaning: &'static str,
    advice: &'static str,
}

/// What a code says, in a sentence for the person who looks at the failure.
pub fn meaning(code: &str) -> Option<&'static str> {
    find(code).map(|row| row.meaning)
}

/// What to do about a code, in a sentence for the same person.
pub fn advice(code: &str) -> Option<&'static str> {
    find(code).map(|row| row.advice)
}

/// Whether the same message may well succeed later with nobody changing anything. False for codes that are not known.
pub fn retryable(code: &str) -> bool {
    find(code).is_some_and(|row| row.retryable)
}

/// The row of a code.
pub(super) fn find(code: &str) -> Option<&'static Row> {
    CODES.iter().find(|row| row.code == code)
}

const fn row(code: &'static str, judgement: Judgement, meaning: &'static str, advice: &'static str) -> Row {
    Row { code, judgement, retryable: false, meaning, advice }
}

const fn passing(
    code: &'static str,
    judgement: Judgement,
    meaning: &'static str,
    advice: &'static str,
) -> Row {
    Row { retryable: true, ..row(code, judgement, meaning, advice) }
}

pub(super) const CODES: &[Row] = &[
    row(
        "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW",
        Judgement::WindowClosed,
        "More than 24 hours have passed since the customer last wrote.",
        "Send a template.",
    ),
    row(
        "ERROR_CODE_MESSAGE_CUSTOMER_NO_CONVERSATION_INITIATION",
        Judgement::WindowClosed,
        "The customer has not written to this number yet.",
        "Send a template.",
    ),
    row(
        "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT",
        Judgement::OptedOut,
        "The customer opted out.",
        "Do not send until they opt in again.",
    ),
    row(
        "ERROR_CODE_INVALID_SENDER_ID",
        Judgement::Refused,
        "The number to send from is not one of this business.",
        "Check `from`.",
    ),
    row(
        "ERROR_CODE_PHONE_NUMBER_BAD_FORMAT",
        Judgement::Refused,
        "The customer's number is not in E.164 form.",
        "Correct it.",
    ),
    row(
        "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID",
        Judgement::Refused,
        "The customer's number cannot be reached on WhatsApp.",
        "Do not send to it again.",
    ),
    row(
        "ERROR_CODE_MESSAGE_SELF_INVALID",
        Judgement::Refused,
        "Sender and recipient are the same number.",
        "Send to a customer's number.",
    ),
    row("ERROR_CODE_MESSAGE_TEXT_EMPTY", Judgement::Refused, "The message has no text.", "Give it one."),
    row(
        "ERROR_CODE_MESSAGE_ATTACHMENTS_NUMBER_INVALID",
        Judgement::Refused,
        "A message takes one attachment.",
        "Send the others separately.",
    ),
    row(
        "ERROR_CODE_MESSAGE_ATTACHMENT_EMPTY",
        Judgement::Refused,
        "The attachment has no URL.",
        "Give it one.",
    ),
    row(
        "ERROR_CODE_MESSAGE_ATTACHMENT_INVALID",
        Judgement::Refused,
        "The attachment's URL cannot be used.",
        "Check that it is public and of a kind WhatsApp takes.",
    ),
    row(
        "ERROR_CODE_MESSAGE_TEMPLATE_NOT_FOUND",
        Judgement::Refused,
        "No approved template has this name and language.",
        "Check both, or wait for the approval.",
    ),
    row(
        "ERROR_CODE_MESSAGE_TEMPLATE_INPUT_INVALID",
        Judgement::Refused,
        "The parameters do not fit the template.",
        "Compare their names and number with it.",
    ),
    row(
        "ERROR_CODE_MESSAGE_TEMPLATE_DELETED",
        Judgement::Refused,
        "The template's language is being deleted, which takes four weeks.",
        "Use another name.",
    ),
    row(
        "ERROR_CODE_BUSINESS_MISSES_MATCHING_CHANNEL",
        Judgement::Refused,
        "The business has no WhatsApp number to send from.",
        "Set one up at Connectly.",
    ),
    row(
        "ERROR_CODE_BUSINESS_KEY_SECRET_ABSENT",
        Judgement::Refused,
        "The business's secret is not initialised.",
        "Contact Connectly.",
    ),
    passing(
        "ERROR_CODE_BUSINESS_REACHED_LIMITS",
        Judgement::Refused,
        "WhatsApp restricts the number for its quality or volume.",
        "Send less, and again in some hours.",
    ),
    passing(
        "ERROR_CODE_UNSPECIFIED",
        Judgement::Unspecified,
        "Connectly met an unexpected error.",
        "Send again later; give its support the trace id if it persists.",
    ),
];
