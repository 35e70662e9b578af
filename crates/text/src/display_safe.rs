//! Text that others wrote, made safe to show.

use super::redact::{redact, unredact};
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

/// What a spreadsheet takes for the beginning of a formula; the full-width forms count too, because some programs take
/// them for the same.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Returns `cell` safe to open in a spreadsheet or to print: one that starts with `=`, `+`, `-`, `@` or a break gets a
/// leading `'`, and control characters and those that cannot be seen are shown as `\u{..}`; tabs and breaks inside stay.
///
/// Nothing is lost: a cell that looks like that already gets one more `'`, or its backslashes twice, and
/// [`from_spreadsheet`] takes off what was put on.
#[must_use]
pub fn spreadsheet_safe(cell: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    let formula = begins_formula(cell);
    if !formula && !cell.contains(is_escaped) && !cell.contains("\\u{") {
        return Cow::Borrowed(cell);
    }
    let mut out = String::with_capacity(cell.len() + 8);
    if formula {
        out.push('\'');
    }
    let mut slashes = 0;
    for (at, c) in cell.char_indices() {
        if c == '\\' {
            slashes += 1;
            continue;
        }
        // What comes before a code is written twice, so that it is not taken for a part of it.
        let doubled = is_escaped(c) || code(&cell[at..]).is_some();
        push(&mut out, if doubled { 2 * slashes } else { slashes });
        slashes = 0;
        if is_escaped(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    push(&mut out, slashes);
    Cow::Owned(out)
}

/// Returns the cell of which [`spreadsheet_safe`] made `cell`.
#[must_use]
pub fn from_spreadsheet(cell: &str) -> Cow<'_, str> {
    let bare = cell.strip_prefix('\'').filter(|bare| begins_formula(bare)).unwrap_or(cell);
    if !bare.contains("\\u{") {
        return Cow::Borrowed(bare);
    }
    let mut out = String::with_capacity(bare.len());
    let mut rest = bare;
    while let Some(slash) = rest.find('\\') {
        out.push_str(&rest[..slash]);
        rest = &rest[slash..];
        let after = rest.trim_start_matches('\\');
        let slashes = rest.len() - after.len();
        rest = after;
        match code(after) {
            Some((c, length)) => {
                push(&mut out, slashes / 2);
                if slashes % 2 == 1 {
                    out.push(c);
                    rest = &after[length..];
                }
            }
            None => push(&mut out, slashes),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn begins_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULA)
}

/// Whether `c` is shown as a code: a terminal would obey it, or nobody sees it.
fn is_escaped(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\r' | '\n') || is_invisible(c)
}

/// Reads a code without its backslash, `u{1b}`, at the beginning of `text`: what it stands for, and its length.
fn code(text: &str) -> Option<(char, usize)> {
    let (digits, _) = text.strip_prefix("u{")?.split_once('}')?;
    let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
    let is_ours = is_escaped(c) && digits == format!("{:x}", u32::from(c));
    is_ours.then_some((c, digits.len() + 3))
}

fn push(out: &mut String, slashes: usize) {
    out.extend(std::iter::repeat_n('\\', slashes));
}

/// Returns `cell` fit to be read by people: without personal data, and safe in a spreadsheet; see [`redact`] and
/// [`spreadsheet_safe`].
#[must_use]
pub fn for_people(cell: &str) -> String {
    spreadsheet_safe(&redact(cell)).into_owned()
}

/// Returns what somebody means who made `edited` of what [`for_people`] returned for `original`.
///
/// What was not edited is the original, also where a spreadsheet wrote its line breaks in another way. `None` when it
/// cannot be told which personal data the marks in it stand for; see [`unredact`].
#[must_use]
pub fn from_people(edited: &str, original: &str) -> Option<String> {
    if with_line_feeds(edited) == with_line_feeds(&for_people(original)) {
        return Some(original.to_owned());
    }
    unredact(&from_spreadsheet(edited), original)
}

/// Returns `text` with every line break as a line feed.
pub fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        // One that looks like that already is told from it.
        assert_eq!(spreadsheet_safe("'=1"), "''=1");
        for cell in ["", "a=1", "'tis", " =1", "10€"] {
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

    #[test]
    fn a_code_that_somebody_typed_is_told_from_a_character() {
        for (cell, safe) in [
            ("\u{1b}", "\\u{1b}"),
            ("\\u{1b}", "\\\\u{1b}"),
            ("\\\u{1b}", "\\\\\\u{1b}"),
            ("\\u{41} \\u{1B} \\", "\\u{41} \\u{1B} \\"),
            ("a\u{200b}b", "a\\u{200b}b"),
        ] {
            assert_eq!(spreadsheet_safe(cell), safe, "{cell:?}");
            assert_eq!(from_spreadsheet(safe), cell, "{safe:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_made_safe_comes_back_exactly(
            cell in "[='+@\\\\u{}1b\u{1b}\u{200b}\t\r\n a]{0,12}|\\PC{0,12}|(\\\\|u\\{1b\\}|u\\{200b\\}|\u{1b}|'|=){0,9}",
        ) {
            let safe = spreadsheet_safe(&cell);
            prop_assert!(!safe.starts_with(FORMULA), "{safe:?}");
            prop_assert!(!safe.contains(is_escaped), "{safe:?}");
            prop_assert_eq!(from_spreadsheet(&safe).into_owned(), cell.clone());
            prop_assert_eq!(from_people(&for_people(&cell), &cell), Some(cell));
        }
    }
}
