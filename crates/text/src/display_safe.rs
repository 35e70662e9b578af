//! Untrusted text, made safe to show on a terminal, in a log, or in a spreadsheet.

use super::redact::{redact, unredact};
use std::borrow::Cow;

/// Returns at most `max_chars` characters of `text`, safe to show on a terminal or in a log; `…` marks a cut.
///
/// Control characters are written as `\u{..}`. So are invisible characters and marks that change the direction of
/// writing, because they can disguise the text.
#[must_use]
pub fn display(text: &str, max_chars: usize) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len().min(4 * max_chars.min(1 << 20)));
    for (written, c) in text.chars().enumerate() {
        if written == max_chars {
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

/// Returns at most `max_chars` characters of an utterance, without personal data ([`redact`]) and safe to show
/// ([`display`]).
///
/// The text is redacted before it is cut, so that a number cut in two is not shown. Of a long text, only the first
/// 1,000 characters or twice `max_chars` are read.
#[must_use]
pub fn utterance(text: &str, max_chars: usize) -> String {
    let max_read = max_chars.saturating_mul(2).max(1_000);
    let end = text.char_indices().nth(max_read).map_or(text.len(), |(at, _)| at);
    display(&redact(&text[..end]), max_chars)
}

fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x61c | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff
        | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// The characters that begin a formula in a spreadsheet, including the full-width forms that some programs accept.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Returns `cell` safe to open in a spreadsheet or to print; [`from_spreadsheet`] restores it exactly.
///
/// - a cell that starts with `=`, `+`, `-`, `@`, a tab or a line break gets a leading `'`, and so does one that starts
///   with `'` before one of them
/// - control characters and invisible characters are written as `\u{..}`, except tabs and line breaks
/// - backslashes directly before such a code are doubled
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
        // Backslashes before a code are doubled, so that they are not read as part of it.
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

/// Returns the cell that [`spreadsheet_safe`] turned into `cell`.
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

/// Returns whether `c` is written as a code, because a terminal would interpret it or it is invisible.
fn is_escaped(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\r' | '\n') || is_invisible(c)
}

/// Reads a code without its backslash, such as `u{1b}`, at the start of `text`; returns its character and its length in
/// bytes.
fn code(text: &str) -> Option<(char, usize)> {
    // A code has at most six digits; a search for `}` in the whole rest would take quadratic time for `u{u{u{`.
    let rest = text.strip_prefix("u{")?;
    let length = rest.bytes().take(7).position(|byte| byte == b'}')?;
    let digits = &rest[..length];
    let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
    let is_code = is_escaped(c) && digits == format!("{:x}", u32::from(c));
    is_code.then_some((c, digits.len() + 3))
}

/// Appends `slashes` backslashes to `out`.
fn push(out: &mut String, slashes: usize) {
    out.extend(std::iter::repeat_n('\\', slashes));
}

/// Returns `cell` for review by people: without personal data ([`redact`]) and safe in a spreadsheet
/// ([`spreadsheet_safe`]).
#[must_use]
pub fn for_people(cell: &str) -> String {
    spreadsheet_safe(&redact(cell)).into_owned()
}

/// Returns the cell meant by `edited`, an edited copy of [`for_people`]`(original)`, with personal data restored.
///
/// An unedited copy gives `original`, even if a spreadsheet changed its line breaks. `None` if the marks in `edited`
/// cannot be matched with the personal data of `original`; see [`unredact`].
#[must_use]
pub fn from_people(edited: &str, original: &str) -> Option<String> {
    if with_line_feeds(edited) == with_line_feeds(&for_people(original)) {
        return Some(original.to_owned());
    }
    unredact(&from_spreadsheet(edited), original)
}

/// Returns `text` with every `\r\n` and `\r` replaced by `\n`.
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
    fn control_and_invisible_characters_are_escaped() {
        assert_eq!(display("a\u{1b}[31mred\n", 80), "a\\u{1b}[31mred\\u{a}");
        assert_eq!(display("ab\u{202e}cd", 80), "ab\\u{202e}cd");
        assert_eq!(display("éà🙂", 3), "éà🙂");
        assert_eq!(display("éà🙂!", 3), "éà🙂…");
        assert_eq!(display("abc", 0), "…");
        assert_eq!(display("", 0), "");
    }

    #[test]
    fn control_characters_of_a_cell_are_escaped() {
        assert_eq!(spreadsheet_safe("a\u{1b}[2J\u{7}b\tc\nd"), "a\\u{1b}[2J\\u{7}b\tc\nd");
        assert_eq!(spreadsheet_safe("=\u{9b}1m"), "'=\\u{9b}1m");
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        for cell in ["=1+1", "+33 1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(spreadsheet_safe(cell), format!("'{cell}"));
        }
        // A cell that already looks safe stays distinct.
        assert_eq!(spreadsheet_safe("'=1"), "''=1");
        for cell in ["", "a=1", "'tis", " =1", "10€"] {
            assert_eq!(spreadsheet_safe(cell), cell);
        }
    }

    #[test]
    fn an_utterance_is_redacted_before_it_is_cut() {
        assert_eq!(
            utterance("write to jo@example.com\u{1b} now", 80),
            "write to [email]\\u{1b} now"
        );
        // Half an address is still personal data.
        assert_eq!(utterance("mail jo.from.the.shop@example.com", 12), "mail [email]");
        let long = format!("{} jo@example.com", "word ".repeat(100_000));
        assert_eq!(utterance(&long, 9), "word word…");
    }

    #[test]
    fn a_typed_code_is_distinct_from_an_escaped_character() {
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
        fn safe_cells_are_restored_exactly(
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
