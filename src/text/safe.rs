//! Text that others wrote, made safe to show.

use super::redact;
use std::borrow::Cow;

/// Returns `text` safe to show on a terminal or in a log: control and escape characters shown as
/// `\u{..}`, cut to `max_chars` with `…`.
///
/// Characters that turn the direction of writing or are invisible are shown the same way, for they
/// make a line say other than it does. At most `max_chars` characters of `text` are shown.
#[must_use]
pub fn display(text: &str, max_chars: usize) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len().min(4 * max_chars.min(1 << 20)));
    for (shown, c) in text.chars().enumerate() {
        if shown == max_chars {
            out.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns the beginning of what somebody wrote as others may see it: without personal data ([`redact`]), and safe as
/// [`display`] makes it.
///
/// Only the beginning is searched, but for more than is shown: a number that is cut in two is never shown.
#[must_use]
pub fn utterance(text: &str, max_chars: usize) -> String {
    let looked_at = max_chars.saturating_mul(2).max(1_000);
    let end = text.char_indices().nth(looked_at).map_or(text.len(), |(at, _)| at);
    display(&redact(&text[..end]), max_chars)
}

fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x61c | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff
        | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// Returns `cell` safe to open in a spreadsheet or to print: one that starts with `=`, `+`, `-`, `@` or a break gets a
/// leading `'`, and control characters are shown as `\u{..}`; tabs and breaks inside stay.
///
/// The full-width forms of these signs count too, because some programs take them for the same.
#[must_use]
pub fn spreadsheet_safe(cell: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    let formula = matches!(
        cell.chars().next(),
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠')
    );
    let obeyed = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    if !formula && !cell.contains(obeyed) {
        return Cow::Borrowed(cell);
    }
    let mut out = String::with_capacity(cell.len() + 8);
    if formula {
        out.push('\'');
    }
    for c in cell.chars() {
        if obeyed(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(display("a\u{1b}[31mred\n", 80), "a\\u{1b}[31mred\\u{a}");
        assert_eq!(display("ab\u{202e}cd", 80), "ab\\u{202e}cd");
        assert_eq!(display("éà🙂", 3), "éà🙂");
        assert_eq!(display("éà🙂!", 3), "éà🙂…");
        assert_eq!(display("abc", 0), "…");
        assert_eq!(display("", 0), "");
    }

    #[test]
    fn a_cell_is_never_obeyed_by_a_terminal() {
        assert_eq!(spreadsheet_safe("a\u{1b}[2J\u{7}b\tc\nd"), "a\\u{1b}[2J\\u{7}b\tc\nd");
        assert_eq!(spreadsheet_safe("=\u{9b}1m"), "'=\\u{9b}1m");
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        for cell in ["=1+1", "+33 1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(spreadsheet_safe(cell), format!("'{cell}"));
        }
        for cell in ["", "a=1", "'=1", " =1", "10€"] {
            assert_eq!(spreadsheet_safe(cell), cell);
        }
    }

    #[test]
    fn an_utterance_is_shown_without_personal_data() {
        assert_eq!(
            utterance("write to jo@example.com\u{1b} now", 80),
            "write to [email]\\u{1b} now"
        );
        // What is cut is cut afterwards: half an address is one, too.
        assert_eq!(utterance("mail jo.from.the.shop@example.com", 12), "mail [email]");
        let long = format!("{} jo@example.com", "word ".repeat(100_000));
        assert_eq!(utterance(&long, 9), "word word…");
    }
}
