//! Tokens of a text, with their place in it.

use botops_text::is_word_char;

/// A token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// Its bytes in the text.
    pub(super) bytes: (usize, usize),
    /// Its code points in the text.
    pub(super) chars: (usize, usize),
    /// Whether nothing separates it from the token before it.
    pub(super) glued: bool,
}

/// Writes the tokens of `text` to `tokens`, which is cleared first.
///
/// - a run of letters and digits is a token, with its combining marks: `Cafélia`, `204913`, `X2`
/// - any other visible character is a token: `€`, `@`, `-`
/// - a character of a script that is written without spaces (Han, Kana, Thai, Lao, Khmer, Burmese) is a token
/// - white space, control characters and invisible characters belong to no token; an invisible character does not end a
///   word
pub(super) fn tokenise(text: &str, tokens: &mut Vec<Token>) {
    tokens.clear();
    // Whether the last token can grow by a letter, and whether anything separates the next token from it.
    let (mut grows, mut separated) = (false, true);
    for (chars, (at, c)) in text.char_indices().enumerate() {
        let here = ((at, at + c.len_utf8()), (chars, chars + 1));
        let starts = is_word_char(c, false);
        if !starts && (c.is_whitespace() || c.is_control()) {
            (grows, separated) = (false, true);
            continue;
        }
        if !starts && is_invisible(c) {
            continue;
        }
        let marks = !starts && is_word_char(c, true);
        let alone = starts && is_unspaced(c);
        let joins = marks || starts && !alone && grows;
        match tokens.last_mut() {
            Some(last) if joins && !separated => {
                last.bytes.1 = here.0.1;
                last.chars.1 = here.1.1;
            }
            _ => {
                tokens.push(Token { bytes: here.0, chars: here.1, glued: !separated });
                grows = starts && !alone;
            }
        }
        separated = false;
    }
}

/// Returns whether `c` has no width and separates nothing: soft hyphens, joiners, direction marks, byte-order marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns whether the script of `c` does not separate words by spaces.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{312f}'
        | '\u{31a0}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<&str> {
        let mut tokens = Vec::new();
        tokenise(text, &mut tokens);
        tokens.iter().map(|token| &text[token.bytes.0..token.bytes.1]).collect()
    }

    #[test]
    fn words_symbols_and_unspaced_scripts_are_tokens() {
        for (text, expected) in [
            ("Where is FR-204913?", &["Where", "is", "FR", "-", "204913", "?"][..]),
            ("49,90 € l\u{2019}été", &["49", ",", "90", "€", "l", "\u{2019}", "été"]),
            ("a@b.com", &["a", "@", "b", ".", "com"]),
            ("e\u{301}te\u{301} o\u{ad}k\u{200b} x", &["e\u{301}te\u{301}", "o\u{ad}k", "x"]),
            ("❤\u{fe0f}👍🏽", &["❤\u{fe0f}", "👍", "🏽"]),
            ("去北京 X2", &["去", "北", "京", "X2"]),
            ("كم سعر", &["كم", "سعر"]),
            ("हिन्दी", &["हिन्दी"]),
            (" \u{200b}\t", &[]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn tokens_are_in_order_and_their_code_points_match_their_bytes(text in "\\PC{0,24}|.{0,24}|[a-zé\u{301}\u{200b}1 ]{0,24}") {
            let mut tokens = Vec::new();
            tokenise(&text, &mut tokens);
            let mut end = 0;
            for Token { bytes, chars, .. } in tokens {
                prop_assert!(bytes.0 >= end && bytes.1 > bytes.0);
                prop_assert_eq!(text[..bytes.0].chars().count(), chars.0);
                prop_assert_eq!(text[..bytes.1].chars().count(), chars.1);
                end = bytes.1;
            }
        }
    }
}
