//! The widget: the chat page on pages of other sites.

use crate::page::{etag, names};
use std::sync::LazyLock;

/// A script for pages of other sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    etag: String,
}

/// The text of the script.
const WIDGET: &str = include_str!("../assets/widget/widget.js");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script { etag: etag(WIDGET) });

/// Returns the widget: a script that adds a button, and the chat page of the server that sent the script in a frame.
///
/// The policy of the chat page decides on which sites the frame is shown; see [`crate::Page::policy_within`].
#[must_use]
pub fn widget() -> &'static Script {
    &SCRIPT
}

impl Script {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &'static str {
        WIDGET
    }

    /// The value of `ETag`: a strong tag, from the digest of the text.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Returns whether a browser that sends this `If-None-Match` has the script already.
    #[must_use]
    pub fn is_known(&self, if_none_match: &str) -> bool {
        names(if_none_match, &self.etag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widget_writes_no_markup_and_has_a_tag_of_its_own() {
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!widget().text().contains(forbidden), "{forbidden}");
        }
        assert!(widget().is_known(widget().etag()) && !widget().is_known("\"a\""));
        assert_ne!(widget().etag(), crate::chat_page().etag());
    }
}
