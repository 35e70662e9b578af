//! A message of a person.

/// A message of a person: a text, or the title of a button with its payload.
pub(super) struct Message<'a> {
    pub(super) text: &'a str,
    pub(super) button: Option<&'a str>,
}
