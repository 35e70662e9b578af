//! A message of a person, as every platform's is stored.

use serde::{Deserialize, Serialize};

/// The most characters of a text that are kept. The server's own limit is lower.
pub(crate) const MOST_TEXT_CHARS: usize = 16_384;

/// A message of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incoming {
    /// The id that the platform gives it, the same in every delivery.
    pub(crate) id: String,
    /// The id of the conversation on the platform.
    pub(crate) conversation: String,
    /// The id of the person on the platform.
    pub(crate) person: String,
    /// When it was written, in seconds of Unix time.
    pub(crate) at: i64,
    /// The language, if the platform names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    /// The content.
    pub(crate) content: Content,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Content {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// A button or a row of a list.
    Button {
        /// The id that the bot gave it.
        id: String,
        /// The words on it.
        title: String,
    },
    /// A message that the bot cannot read, such as an image.
    Unsupported {
        /// The type, as the platform names it.
        kind: String,
        /// The id under which the platform keeps the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media: Option<String>,
    },
}

impl Incoming {
    /// Returns the text of the person; the title of a button; empty for other types.
    pub(crate) fn text(&self) -> &str {
        match &self.content {
            Content::Text { text } => text,
            Content::Button { title, .. } => title,
            Content::Unsupported { .. } => "",
        }
    }
}

/// Returns an id of a platform, if it is usable: 1 to 512 bytes without control characters.
pub(crate) fn usable_id(id: &str) -> Option<String> {
    let is_usable = !id.is_empty() && id.len() <= 512 && !id.chars().any(char::is_control);
    is_usable.then(|| id.to_owned())
}

/// Returns a text with at most [`MOST_TEXT_CHARS`] characters.
pub(crate) fn bounded_text(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT_CHARS) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}
