//! The chat page.

use crate::page::Page;
use std::sync::LazyLock;

/// The parts of the script, in their order: each is a file that uses those before it.
const SCRIPT: &str = concat!(
    include_str!("../assets/chat/texts.js"),
    include_str!("../assets/chat/memory.js"),
    include_str!("../assets/chat/transport.js"),
    include_str!("../assets/chat/view.js"),
    include_str!("../assets/chat/page.js"),
);

static CHAT: LazyLock<Page> = LazyLock::new(|| {
    Page::assemble(
        include_str!("../assets/chat/page.html"),
        include_str!("../assets/chat/style.css"),
        SCRIPT,
    )
});

/// Returns the chat page: a conversation with the bot of the server that sends it, in English and in French.
///
/// It talks to `/v1/chat`, `/v1/ws` and `/v1/feedback` of that server, keeps the conversation in `sessionStorage`, and keeps
/// an access key in memory only.
#[must_use]
pub fn chat_page() -> &'static Page {
    &CHAT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_writes_no_markup_from_data_and_loads_nothing_from_elsewhere() {
        let page = chat_page();
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
        for outside in ["src=", "@import", "url(", "http://", "https://", "style=\"", "onclick="] {
            assert!(!page.html().contains(outside), "{outside}");
        }
        assert!(page.html().len() < 64 << 10, "{} bytes", page.html().len());
    }
}
