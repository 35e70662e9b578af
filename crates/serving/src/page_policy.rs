//! The policy of the chat page of a server: which sites may show it in a frame.

use crate::cors::Origin;
use axum::http::HeaderValue;

/// The policy of the chat page, by the sites that may show it in a frame.
#[derive(Debug, Clone)]
pub(super) struct PagePolicy {
    header: HeaderValue,
    /// Whether there is a widget: some site may show the page in a frame.
    pub(super) has_widget: bool,
}

impl PagePolicy {
    /// Makes the policy of a page that pages of `origins` may show in a frame.
    pub(super) fn new(origins: &[Origin]) -> Self {
        let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
        let header = HeaderValue::try_from(botops_console::chat_page().policy_within(&origins));
        let header = header.expect("origins are visible ASCII");
        Self { header, has_widget: !origins.is_empty() }
    }

    /// Returns the value of `Content-Security-Policy`.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}
