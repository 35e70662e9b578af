//! Tokens and sentences of a text.

use std::ops::Range;

/// Iterates over the tokens of `text`: maximal runs of letters and digits, as chunk sizes and the lexical index count them.
pub fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty())
}

/// Words before whose full stop no sentence ends, in lower case; English, French and German.
const ABBREVIATIONS: [&str; 46] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "inc", "ltd", "co", "corp",
    "no", "nos", "fig", "vol", "approx", "dept", "est", "min", "max", "tel", "art", "sec", "cf",
    "al", "e.g", "i.e", "p.ex", "m", "mm", "mme", "mlle", "env", "ex", "p", "pp", "n", "bzw",
    "usw", "z.b", "d.h", "nr", "str",
];

/// The characters that may follow the end of a sentence and belong to it.
const CLOSING: [char; 8] = ['"', '\'', '”', '’', '»', ')', ']', '›'];

/// Returns the sentences of `text` as ranges of bytes, without the white space around them. Together they hold every other
/// character, in order.
///
/// A sentence ends with a line, or with `.`, `!`, `?` or `…` (and the quotes and brackets that close after it) before white space
/// and a character that can begin a sentence. No sentence ends after an abbreviation, an initial, or the number of an item.
#[must_use]
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\n' || c == '。' || c == '！' || c == '？' {
            push(text, start..at + if c == '\n' { 0 } else { c.len_utf8() }, &mut found);
            start = at + c.len_utf8();
            continue;
        }
        if !matches!(c, '.' | '!' | '?' | '…') {
            continue;
        }
        let mut end = at + c.len_utf8();
        while let Some((next, c)) = chars.peek().copied() {
            if matches!(c, '.' | '!' | '?' | '…') || CLOSING.contains(&c) {
                end = next + c.len_utf8();
                chars.next();
            } else if c.is_whitespace() && c != '\n' && closes_after_space(text, next) {
                // French writes a space before a closing guillemet.
                chars.next();
            } else {
                break;
            }
        }
        let rest = &text[end..];
        if !rest.starts_with(char::is_whitespace) {
            continue;
        }
        let next = rest.trim_start().chars().next();
        let begins = next.is_none_or(|c| c.is_uppercase() || !c.is_alphabetic());
        if begins && !(c == '.' && is_abbreviated(&text[start..at])) {
            push(text, start..end, &mut found);
            start = end;
        }
    }
    push(text, start..text.len(), &mut found);
    found
}

fn closes_after_space(text: &str, at: usize) -> bool {
    text[at..].trim_start_matches([' ', '\u{a0}', '\u{202f}']).starts_with('»')
}

/// Returns whether the full stop after `before`, the sentence so far, belongs to an abbreviation, an initial or a number.
fn is_abbreviated(before: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || c == '(' || c == '«').next();
    let Some(word) = word.filter(|word| !word.is_empty()) else { return true };
    let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let is_item =
        word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit()) && word == before.trim();
    is_initial || is_item || ABBREVIATIONS.contains(&&*word.to_lowercase())
}

fn push(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    let end = start + part.trim().len();
    if start < end {
        found.push(start..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        for (text, expected) in [
            ("Call us. We answer.", &["Call us.", "We answer."][..]),
            ("Dr. Lee is in. Ask for No. 7.", &["Dr. Lee is in.", "Ask for No. 7."]),
            ("It costs 4.50 EUR, i.e. less.", &["It costs 4.50 EUR, i.e. less."]),
            ("“Wait!” he said. J. R. left…", &["“Wait!” he said.", "J. R. left…"]),
            ("Really?! Yes.", &["Really?!", "Yes."]),
            ("one line\nanother", &["one line", "another"]),
            (
                "Il a dit : « Bonjour. » Puis il part.",
                &["Il a dit : « Bonjour. »", "Puis il part."],
            ),
            ("M. Durand paie 3,5 %. Et après ?", &["M. Durand paie 3,5 %.", "Et après ?"]),
            ("see www.example.com for more", &["see www.example.com for more"]),
            ("1. Open the box. 2. Look.", &["1. Open the box.", "2. Look."]),
            ("", &[]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_character_is_lost(text in "[a-cA-C .!?\n«»é1]{0,60}") {
            let joined: String = split(&text).concat();
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(squeezed(&joined), squeezed(&text));
        }
    }
}
