//! The checks that a field of any kind of content may need. Characters are Unicode scalar values: no page says what
//! WhatsApp counts.

use std::ops::RangeInclusive;

use crate::emulator::errors::Refusal;

/// A text that must be there, of at most so many characters.
pub(super) fn required(text: Option<&str>, most: usize, name: &'static str) -> Result<(), Refusal> {
    if is_blank(text) {
        return Err(Refusal::Missing(name));
    }
    optional(text, most, name)
}

/// A text that may be absent, of at most so many characters.
pub(super) fn optional(text: Option<&str>, most: usize, name: &'static str) -> Result<(), Refusal> {
    let fits = text.is_none_or(|text| text.chars().count() <= most);
    fits.then_some(()).ok_or(Refusal::Invalid(name))
}

/// A text that must be there, however long.
pub(super) fn present(text: Option<&str>, name: &'static str) -> Result<(), Refusal> {
    if is_blank(text) { Err(Refusal::Missing(name)) } else { Ok(()) }
}

/// How many there are of something.
pub(super) fn counted(
    count: usize,
    allowed: RangeInclusive<usize>,
    name: &'static str,
) -> Result<(), Refusal> {
    allowed.contains(&count).then_some(()).ok_or(Refusal::Invalid(name))
}

/// The titles of sections: each short enough, and all there when there are several.
pub(super) fn titles(titles: &[Option<&str>], most: usize, name: &'static str) -> Result<(), Refusal> {
    for title in titles {
        if titles.len() > 1 {
            required(*title, most, name)?;
        } else {
            optional(*title, most, name)?;
        }
    }
    Ok(())
}

fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}
