//! When a message was written, and in which language.

use chrono::{DateTime, Utc};

/// When a message was written, and in which language: `tomorrow` and `03/04` depend on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment<'a> {
    /// The time of the message.
    pub at: DateTime<Utc>,
    /// The language of the message as a tag such as `fr` or `en-US`, if it is known.
    pub language: Option<&'a str>,
}

impl<'a> Moment<'a> {
    /// Returns the moment `at` in `language`.
    #[must_use]
    pub fn new(at: DateTime<Utc>, language: Option<&'a str>) -> Self {
        Self { at, language }
    }
}
