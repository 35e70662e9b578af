//! Plain text as HTML: escaped, quoted, breakable.

use super::wording;

/// Escapes plain text for HTML, as content and inside quoted attributes.
///
/// Control characters that HTML does not allow, and marks that reorder the surrounding text, become U+FFFD.
#[must_use]
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// Returns user text as one line of HTML, at most `max_chars` characters long. Its text direction is isolated.
#[must_use]
pub(super) fn quoted(text: &str, max_chars: usize) -> String {
    format!("<bdi>{}</bdi>", breakable(&escape(&wording::line(text, max_chars))))
}

/// Allows line breaks in escaped text after underscores and slashes, which separate the parts of names and paths.
pub(super) fn breakable(escaped: &str) -> String {
    escaped.replace('_', "_<wbr>").replace('/', "/<wbr>")
}

/// Returns a message of botops as HTML: text in backticks becomes code.
#[must_use]
pub(super) fn message(text: &str, max_chars: usize) -> String {
    let line = wording::line(text, max_chars);
    let parts: Vec<&str> = line.split('`').collect();
    // If the number of backticks is odd, the last one has no partner and stays a backtick.
    let paired = if parts.len().is_multiple_of(2) { parts.len() - 1 } else { parts.len() };
    let mut out = String::new();
    for (i, part) in parts.iter().enumerate() {
        let part = escape(part);
        match i {
            i if i >= paired => out += &format!("`{part}"),
            i if i % 2 == 1 => out += &format!("<code><bdi>{part}</bdi></code>"),
            _ => out += &part,
        }
    }
    out
}
