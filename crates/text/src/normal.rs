//! Normalization: one spelling for texts that a reader would call the same, and the words of a text.

use unicode_normalization::{
    UnicodeNormalization as _,
    char::{canonical_combining_class, compose, is_combining_mark},
};

/// Returns `text` in its normal form: NFKC, case folded, one kind of apostrophe, white space collapsed and trimmed.
///
/// - case is folded character by character with Unicode's language-independent lowercase mappings; `ß` becomes `ss` and
///   a final `ς` becomes `σ`, as their capitals do, so the result does not depend on neighboring characters
/// - typographic apostrophes (`’`, `‘`, `ʼ`, `′`, `´`) become `'`
/// - control characters count as white space; soft hyphens, zero-width spaces and byte-order marks are removed
/// - normalizing the result again does not change it
#[must_use]
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    normalise_into(text, &mut out);
    out
}

/// Writes the normal form of `text` to `out`, which is cleared first; see [`normalise`].
///
/// Does not allocate if `out` is large enough and `text` is plain.
pub fn normalise_into(text: &str, out: &mut String) {
    out.clear();
    if is_spaced_once(text) {
        // The most common case, and fast: many bytes are processed at once.
        out.push_str(text);
        out.make_ascii_lowercase();
    } else if text.is_ascii() {
        let mut pending = false;
        for byte in text.bytes() {
            if byte <= b' ' || byte == 0x7f {
                pending = !out.is_empty();
            } else {
                if pending {
                    out.push(' ');
                    pending = false;
                }
                out.push(byte.to_ascii_lowercase() as char);
            }
        }
    } else if text.chars().all(is_plain) {
        collapse(text.chars().map(apostrophe).flat_map(lower), out);
    } else {
        // NFKC can produce an apostrophe (`ŉ`), and lowercasing can produce a text that NFKC changes again (`İ`): both
        // are applied twice.
        collapse(folded(text), out);
    }
}

/// The most characters that one character has in the normal form: `\u{fdfa}`.
pub const LARGEST_GROWTH: usize = 18;

/// Returns the number of characters of `text`, or of its normal form if that is longer; `None` above `most`.
///
/// NFKC makes up to [`LARGEST_GROWTH`] characters of one, so a limit on the written text alone does not bound the work on
/// its normal form. The time is at most that of normalizing `most` characters.
#[must_use]
pub fn length_within(text: &str, most: usize) -> Option<usize> {
    if text.is_ascii() {
        return Some(text.len()).filter(|length| *length <= most);
    }
    let count = |chars: &mut dyn Iterator<Item = char>| {
        let length = chars.take(most.saturating_add(1)).count();
        Some(length).filter(|length| *length <= most)
    };
    let written = count(&mut text.chars())?;
    let normal = if text.chars().all(is_plain) {
        count(&mut text.chars().flat_map(lower))?
    } else {
        count(&mut folded(text))?
    };
    Some(written.max(normal))
}

/// Iterates over the characters of the normal form of `text`, before white space is collapsed.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(apostrophe).nfkc().map(apostrophe).flat_map(lower).nfkc().flat_map(lower)
}

/// Returns whether `text` is printable ASCII without leading, trailing or repeated spaces.
fn is_spaced_once(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_printable = bytes.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    let inner = bytes.len().saturating_sub(1);
    let pairs = bytes[..inner].iter().zip(&bytes[bytes.len() - inner..]);
    let is_double = pairs.fold(false, |any, (a, b)| any | ((*a == b' ') & (*b == b' ')));
    is_printable && !is_double && !text.starts_with(' ') && !text.ends_with(' ')
}

fn lower(c: char) -> impl Iterator<Item = char> {
    let (c, more) = match c {
        'ß' | 'ẞ' => ('s', Some('s')),
        'ς' => ('σ', None),
        _ => (c, None),
    };
    // The lowercase form of some capitals is two characters, so this cannot map `char` to `char`.
    c.to_lowercase().chain(more)
}

/// Returns `text`, which is in the normal form of [`normalise`], without accents: `réglé` becomes `regle`, `cœur`
/// becomes `coeur`.
///
/// Marks above, below and through letters (canonical combining classes 200 to 240) are removed, in any script. Vowel
/// signs, voicing marks and similar marks make other letters and are kept. The ligatures `œ` and `æ` become two
/// letters, as people type them on keyboards without these keys.
#[must_use]
pub fn strip_accents(text: &str) -> String {
    text.nfd()
        .filter(|&c| !(200..=240).contains(&canonical_combining_class(c)))
        .flat_map(|c| {
            let (c, more) = match c {
                'œ' => ('o', Some('e')),
                'æ' => ('a', Some('e')),
                _ => (c, None),
            };
            std::iter::once(c).chain(more)
        })
        .nfc()
        .collect()
}

/// Iterates over the combining marks of `text` that could be composed with the character before them, with their
/// positions in characters from 0. Text in NFC has none.
pub fn decomposed(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut before = None;
    text.chars().enumerate().filter(move |&(_, c)| {
        let base = before.replace(c);
        // Characters below U+0300 do not combine.
        c >= '\u{300}' && base.and_then(|base| compose(base, c)).is_some()
    })
}

/// Returns `text` in NFC, in which [`decomposed`] finds no marks.
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Returns whether NFKC changes neither `c` nor its lowercase form, regardless of the characters that follow.
fn is_plain(c: char) -> bool {
    matches!(u32::from(c),
        0..=0x7f
        | 0xab | 0xbb | 0xad
        | 0xc0..=0x12f | 0x131 | 0x134..=0x13e | 0x141..=0x148 | 0x14a..=0x17e
        | 0x2010 | 0x2012..=0x2016 | 0x2018..=0x2022 | 0x20ac | 0x200b | 0xfeff
        | 0x1f300..=0x1faff)
}

fn apostrophe(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2032}' | '\u{b4}' | '\u{ff07}' => {
            '\''
        }
        _ => c,
    }
}

/// Returns whether `c` is left out of the normal form: it is not visible and separates nothing.
fn is_removed(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

fn collapse(chars: impl Iterator<Item = char>, out: &mut String) {
    let mut pending = false;
    for c in chars {
        match c {
            c if is_removed(c) => {}
            c if c.is_whitespace() || c.is_control() => pending = !out.is_empty(),
            c => {
                if pending {
                    out.push(' ');
                    pending = false;
                }
                out.push(c);
            }
        }
    }
}

/// Returns the key under which two texts count as the same utterance: the normal form of [`normalise`], which keeps
/// punctuation and accents.
#[must_use]
pub fn fold(text: &str) -> String {
    normalise(text)
}

/// Returns whether `c` belongs to a word; a combining mark does only `inside` one, after another word character.
#[inline]
pub fn is_word_char(c: char, inside: bool) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric()
    } else {
        c.is_alphanumeric() || (inside && is_combining_mark(c))
    }
}

/// Iterates over the words of the normal form of `text`: maximal runs of alphanumeric characters and combining marks.
///
/// Words are in lower case. An apostrophe separates words, as in French elisions (`l'article` is `l` and `article`).
/// Words of one letter count.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let text = normalise(text);
    let mut at = 0;
    std::iter::from_fn(move || next_word(&text, &mut at).map(str::to_owned))
}

/// Iterates over the words of `normal`, which is in the normal form of [`normalise`], as [`words`] does.
pub fn words_of(normal: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || next_word(normal, &mut at))
}

/// Returns the next word of `normal` from `at` on, and moves `at` behind it.
fn next_word<'a>(normal: &'a str, at: &mut usize) -> Option<&'a str> {
    let rest = &normal[*at..];
    let start = rest.find(|c| is_word_char(c, false))?;
    let length = rest[start..].find(|c| !is_word_char(c, true)).unwrap_or(rest.len() - start);
    *at += start + length;
    Some(&rest[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_the_same_text_have_one_normal_form() {
        // NFKC values from Python 3.13: unicodedata.normalize("NFKC", s).lower()
        for (text, expected) in [
            ("  Where\tis \r\n my PARCEL ? ", "where is my parcel ?"),
            ("L\u{2019}article", "l'article"),
            ("l\u{b4}article", "l'article"),
            ("Re\u{301}ponse", "r\u{e9}ponse"),
            ("Ｆｕｌｌ ｗｉｄｔｈ", "full width"),
            ("ﬁn\u{2026}", "fin..."),
            ("50\u{a0}\u{20ac}", "50 \u{20ac}"),
            ("10\u{202f}000", "10 000"),
            ("\u{feff}hello\u{200b}", "hello"),
            ("co\u{ad}operate", "cooperate"),
            ("ŒUVRE ÉTÉ Ÿ", "œuvre été ÿ"),
            ("a\0b\u{1b}[31m", "a b [31m"),
            ("ΟΔΟΣ", "οδοσ"),
            ("οδος", "οδοσ"),
            ("Straße STRASSE STRAẞE", "strasse strasse strasse"),
            ("AUJOURD\u{2019}HUI", "aujourd'hui"),
            ("J\u{2bc}ai payé l\u{2032}abonnement", "j'ai payé l'abonnement"),
            ("n\u{ff07}est-ce", "n'est-ce"),
            ("😀 OK 👍🏽", "😀 ok 👍🏽"),
            ("ŉ", "'n"),
            ("", ""),
            (" \n\u{a0}", ""),
        ] {
            assert_eq!(normalise(text), expected, "{text:?}");
        }
    }

    #[test]
    fn accents_are_removed_and_other_marks_are_kept() {
        for (text, expected) in [
            ("Réglé, où ça ? Ñandú Ångström", "regle, ou ca ? nandu angstrom"),
            ("Mon cœur bat ex æquo", "mon coeur bat ex aequo"),
            ("L\u{2019}ÉTÉ e\u{301}te\u{301}", "l'ete ete"),
            ("Đặng Việt", "đang viet"),
            ("ёлка ὁδός", "елка οδοσ"),
            ("がくせい हिन्दी 한국어", "がくせい हिन्दी 한국어"),
            ("ok 👍🏽 ❤\u{fe0f}", "ok 👍🏽 ❤\u{fe0f}"),
            ("", ""),
        ] {
            assert_eq!(strip_accents(&normalise(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn single_letters_are_words_and_apostrophes_separate_words() {
        let words = |text| words(text).collect::<Vec<_>>();
        assert_eq!(words("L’article n'est PAS là"), ["l", "article", "n", "est", "pas", "là"]);
        assert_eq!(words("l'argent d’aujourd'hui"), ["l", "argent", "d", "aujourd", "hui"]);
        assert_eq!(words("I can't, order #A-12!"), ["i", "can", "t", "order", "a", "12"]);
        assert_eq!(words("❤\u{fe0f} e-mail"), ["e", "mail"]);
        assert_eq!(words("हिन्दी"), ["हिन्दी"]);
        assert!(words("?! 🙂").is_empty());
    }

    #[test]
    fn the_length_limit_holds_for_the_normal_form_too() {
        for (text, length) in [
            ("abc", 3),
            ("\u{fdfa}", 18),
            ("\u{df}\u{df}", 4),
            ("a\u{200b}\u{200b}", 3),
            ("\u{e9}\u{e9}\u{e9}", 3),
            ("e\u{301}e\u{301}", 4),
            ("\u{2026}", 3),
            ("\u{130}", 2),
            ("\u{a0}\u{a0}", 2),
        ] {
            assert_eq!(length_within(text, length), Some(length), "{text:?}");
            assert_eq!(length_within(text, length - 1), None, "{text:?}");
        }
        assert_eq!(length_within("", 0), Some(0));
    }

    #[test]
    fn no_character_grows_more_than_the_largest() {
        let mut text = String::new();
        let largest = ('\0'..=char::MAX).map(|c| {
            text.clear();
            text.push(c);
            length_within(&text, 1_000).unwrap()
        });
        assert_eq!(largest.max(), Some(LARGEST_GROWTH));
    }

    #[test]
    fn persisted_proptest_failures_are_run_again() {
        let failures = ProptestConfig::default().failure_persistence.unwrap();
        assert!(!failures.load_persisted_failures2(Some(file!())).is_empty());
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,24}|[ -~]{0,24}|[À-ſ’ ]{0,12}|.{0,8}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once.clone());
            prop_assert!(!once.starts_with(' ') && !once.ends_with(' ') && !once.contains("  "));
            let plain = strip_accents(&once);
            prop_assert_eq!(strip_accents(&plain), plain);
        }

        #[test]
        fn the_fast_paths_equal_the_general_one(text in "[ -~À-ſ’€«»]{0,24}") {
            let mut general = String::new();
            collapse(folded(&text), &mut general);
            prop_assert_eq!(normalise(&text), general);
        }

        #[test]
        fn a_text_within_the_limit_has_a_normal_form_within_it(text in "\\PC{0,24}|.{0,8}|[\u{fdfa}\u{2026}ß\u{130} ]{0,9}") {
            let (written, normal) = (text.chars().count(), normalise(&text).chars().count());
            let length = length_within(&text, 20 * written).unwrap();
            prop_assert!(length >= written.max(normal), "{length} of {written} and {normal}");
        }

        #[test]
        fn words_are_parts_of_the_normal_form(text in "\\PC{0,24}") {
            let normal = normalise(&text);
            let mut rest = normal.as_str();
            for word in words(&text) {
                let at = rest.find(word.as_str());
                prop_assert!(at.is_some());
                rest = &rest[at.unwrap() + word.len()..];
            }
        }
    }
}
