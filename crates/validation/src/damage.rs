//! Damage that wrong encodings and copies of web pages leave in a text: found, and undone.

use crate::html_text;

/// Damage in a text; positions count characters from 1.
#[derive(Debug, PartialEq)]
pub(crate) enum Damage {
    /// Replacement characters: the original characters are lost.
    Replacement {
        /// The number of replacement characters.
        count: usize,
        /// The position of the first.
        at: usize,
    },
    /// UTF-8 that was decoded as Windows-1252 or Latin-1.
    Mojibake {
        /// The characters in the text.
        seen: String,
        /// The original characters.
        meant: String,
        /// The position of the first.
        at: usize,
    },
    /// Control characters and invisible characters.
    Invisible {
        /// The first such character.
        which: char,
        /// The number of such characters.
        count: usize,
        /// The position of the first.
        at: usize,
    },
    /// Letters and marks in separate characters where one character is both (NFD in a text that should be NFC).
    Decomposed {
        /// The first such mark.
        which: char,
        /// The number of such marks.
        count: usize,
        /// The position of the first.
        at: usize,
    },
    /// An entity or a tag of HTML.
    Html {
        /// The entity or tag.
        seen: String,
        /// Its position.
        at: usize,
    },
    /// A word in which characters seem to be lost: they cannot be restored with certainty.
    Suspect {
        /// The word.
        seen: String,
        /// Its position.
        at: usize,
    },
}

/// Returns the damage in `text`: at most one of each kind.
pub(crate) fn find(text: &str) -> Vec<Damage> {
    // Printable ASCII and the usual breaks cannot be damaged, but for HTML and `??`: four utterances in five. A chunk has
    // no early exit, so that many bytes are compared at once.
    let is_plain =
        |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t') && !matches!(b, b'&' | b'<');
    if text.as_bytes().chunks(64).all(|chunk| chunk.iter().fold(true, |all, b| all & is_plain(b))) {
        return suspect(text).into_iter().collect();
    }
    let mut damage = Vec::new();
    if let Some((at, seen)) = html_text::first(text) {
        let at = text[..at].chars().count() + 1;
        damage.push(Damage::Html { seen: seen.to_owned(), at });
    }
    damage.extend(suspect(text));
    let mut replaced = text.chars().enumerate().filter(|&(_, c)| c == '\u{fffd}');
    if let Some((at, _)) = replaced.next() {
        damage.push(Damage::Replacement { count: 1 + replaced.count(), at: at + 1 });
    }
    if let Some(found) = mojibake(text) {
        damage.push(found);
    }
    let mut before = None;
    let mut invisible = text.chars().enumerate().filter(|&(_, c)| {
        let joined = before.replace(c);
        is_invisible(c, joined)
    });
    if let Some((at, which)) = invisible.next() {
        damage.push(Damage::Invisible { which, count: 1 + invisible.count(), at: at + 1 });
    }
    let mut marks = botops_text::decomposed(text);
    if let Some((at, which)) = marks.next() {
        damage.push(Damage::Decomposed { which, count: 1 + marks.count(), at: at + 1 });
    }
    damage
}

/// Finds a word with `??` between letters, as `déjà` becomes `d??j??`, or with the remains of a misread character.
fn suspect(text: &str) -> Option<Damage> {
    let is_remain = |word: &str| {
        let mut before = None;
        word.char_indices().any(|(at, c)| {
            let previous = before.replace(c);
            let is_inside = previous.is_some_and(char::is_lowercase);
            let rest = &word[at + c.len_utf8()..];
            let next = rest.chars().next();
            match c {
                '?' => {
                    let after = rest.strip_prefix('?').and_then(|rest| rest.chars().next());
                    is_inside && after.is_some_and(char::is_lowercase)
                }
                // A soft hyphen (`dÃa` for `día`) or an undefined character (`â€` for `”`) was lost.
                'Ã' => is_inside && next.is_some_and(|next| next.is_ascii_lowercase()),
                'â' => {
                    next == Some('€') && misdecoded(previous, &remaining(&word[at..])).is_none()
                }
                _ => false,
            }
        })
    };
    let has_pair =
        text.match_indices('?').any(|(at, _)| text.as_bytes().get(at + 1) == Some(&b'?'));
    if !has_pair && text.is_ascii() {
        return None;
    }
    let is_address = |word: &str| word.contains("://") || word.contains('=');
    let word = text.split_whitespace().find(|word| !is_address(word) && is_remain(word))?;
    let at = text[..word.as_ptr() as usize - text.as_ptr() as usize].chars().count() + 1;
    Some(Damage::Suspect { seen: word.to_owned(), at })
}

/// Returns the first characters of `text`, as many as a misread character has.
fn remaining(text: &str) -> Vec<char> {
    text.chars().take(4).collect()
}

fn is_invisible(c: char, before: Option<char>) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        // Joiners combine emoji and shape Persian and Indic words; only Latin letters do not use them.
        '\u{200c}' | '\u{200d}' => before.is_none_or(|before| before < '\u{250}'),
        c => {
            c.is_control()
                || matches!(u32::from(c),
                    0xad | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e | 0x2060..=0x2064
                    | 0x2066..=0x206f | 0xfeff | 0xfff9..=0xfffb)
        }
    }
}

/// Finds characters whose Windows-1252 bytes are the UTF-8 of a likely character.
///
/// Likely characters are accented letters and signs of Latin-1, typographic punctuation, the euro sign, emoji and the
/// byte-order mark. Rarer ones do not count: `Ô»` may be a French capital and a guillemet.
fn mojibake(text: &str) -> Option<Damage> {
    let chars: Vec<char> = text.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        if let Some((length, meant)) = misdecoded(previous(&chars, i), &chars[i..]) {
            let seen = chars[i..i + length].iter().collect();
            return Some(Damage::Mojibake { seen, meant, at: i + 1 });
        }
        i += 1;
    }
    None
}

/// Returns the character before the one at `at`.
fn previous(chars: &[char], at: usize) -> Option<char> {
    at.checked_sub(1).map(|before| chars[before])
}

/// Returns the length of the wrongly decoded character at the beginning of `chars`, and the original character; `before` is
/// the character before it.
fn misdecoded(before: Option<char>, chars: &[char]) -> Option<(usize, String)> {
    misread(chars).or_else(|| without_its_space(before, chars))
}

/// As [`misdecoded`], for a character whose second half was a no-break space (`Ã\u{a0}` for `à`, `Â\u{a0}` for a no-break
/// space), which became a space, was merged with the next one, or was trimmed.
fn without_its_space(before: Option<char>, chars: &[char]) -> Option<(usize, String)> {
    let (next, after) = (chars.get(1).copied(), chars.get(2).copied());
    let in_word = before.is_some_and(|c| c.is_lowercase() || matches!(c, '\'' | '’'));
    match chars.first()? {
        'Ã' => {
            // `MANHÃ` is a word. `Ã` alone is none, but a list of letters may have it.
            let is_alone = before.is_none_or(char::is_whitespace);
            if !in_word && !is_alone {
                return None;
            }
            let length = match (next, after) {
                (Some(' '), Some(' ')) => 2,
                (Some(' '), Some(after)) if after.is_alphanumeric() => 1,
                (Some(' '), _) if in_word => 2,
                (Some(next), _) if in_word && next.is_ascii_punctuation() => 1,
                (None, _) if in_word => 1,
                _ => return None,
            };
            Some((length, "à".to_owned()))
        }
        'Â' => {
            let is_after_word = before.is_some_and(|c| !c.is_whitespace() && !c.is_uppercase());
            (next == Some(' ') && is_after_word).then(|| (2, " ".to_owned()))
        }
        _ => None,
    }
}

fn misread(chars: &[char]) -> Option<(usize, String)> {
    let length = match chars.first()? {
        'Â' | 'Ã' => 2,
        'â' | 'ï' => 3,
        'ð' => 4,
        _ => return None,
    };
    let bytes: Option<Vec<u8>> = chars.get(..length)?.iter().map(|&c| windows_1252(c)).collect();
    let meant = String::from_utf8(bytes?).ok()?;
    let is_likely = meant.chars().all(|c| {
        matches!(u32::from(c),
            0xa0..=0xff | 0x2010..=0x203f | 0x20ac | 0x2122 | 0xfeff | 0x1f300..=0x1faff)
    });
    is_likely.then_some((length, meant))
}

/// The kinds of damage to undo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DamageKinds {
    /// Wrongly decoded characters become the original ones.
    pub misread: bool,
    /// Invisible characters are removed; a space replaces those that separate words.
    pub invisible: bool,
    /// A letter and its mark become one character.
    pub decomposed: bool,
    /// Entities of HTML are decoded, and tags removed if each one that is opened is closed.
    pub html: bool,
}

/// Returns `text` without the kinds of damage in `kinds`: [`find`] finds none of them in the result, except tags of HTML that
/// are not whole.
pub fn undo(text: &str, kinds: DamageKinds) -> String {
    let mut text = text.to_owned();
    // Text that was decoded wrongly twice takes two rounds. The loop ends: each round that changes the text shortens it, or
    // leaves fewer misread characters.
    loop {
        let before = text.clone();
        if kinds.html {
            text = html_text::removed(&text);
        }
        if kinds.misread {
            text = decoded_again(&text);
        }
        if kinds.invisible {
            text = without_invisible(&text);
        }
        if kinds.decomposed {
            text = botops_text::composed(&text);
        }
        if text == before {
            return text;
        }
    }
}

/// Returns `text` with the original characters in the place of wrongly decoded ones.
fn decoded_again(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        match misdecoded(previous(&chars, i), &chars[i..]) {
            Some((length, meant)) => {
                out.push_str(&meant);
                i += length;
            }
            None => {
                out.push(chars[i]);
                i += 1;
            }
        }
    }
    out
}

/// Returns `text` without invisible characters.
fn without_invisible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut pending = false;
    for c in text.chars() {
        if is_invisible(c, before.replace(c)) {
            // As in training: these are white space, the others are ignored.
            pending |= c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            // The next joiner is judged by the character that is kept before it.
            before = out.chars().next_back();
            continue;
        }
        if std::mem::take(&mut pending)
            && !c.is_whitespace()
            && out.chars().next_back().is_some_and(|last| !last.is_whitespace())
        {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// Returns the byte of `c` in Windows-1252, or in Latin-1 where Windows-1252 has none.
fn windows_1252(c: char) -> Option<u8> {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match u32::from(c) {
        code @ 0..=0xff => u8::try_from(code).ok(),
        _ => HIGH.iter().position(|&high| high == c).and_then(|at| u8::try_from(0x80 + at).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `text` as it looks when its UTF-8 is decoded as Windows-1252.
    fn misread_as(text: &str) -> String {
        let char_of = |b: u8| {
            (0..=0xffff_u32)
                .filter_map(char::from_u32)
                .find(|&c| c > '\u{ff}' && windows_1252(c) == Some(b))
        };
        text.bytes().map(|b| char_of(b).unwrap_or(char::from(b))).collect()
    }

    #[test]
    fn every_french_accent_is_recognized_when_decoded_wrongly() {
        for meant in "àâäçéèêëîïôöùûüÿœ’“”–…€«»°🙂".chars().filter(|&c| c != 'œ')
        {
            let text = format!("un mot {} ici", misread_as(&meant.to_string()));
            match find(&text).first() {
                Some(Damage::Mojibake { meant: guessed, at, .. }) => {
                    assert_eq!((guessed.as_str(), *at), (meant.to_string().as_str(), 8), "{text}");
                }
                other => panic!("{meant}: {text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_no_break_space_that_was_lost_does_not_hide_a_misread_character() {
        let misread = DamageKinds { misread: true, ..DamageKinds::default() };
        for (text, meant) in [
            ("Ã  me renvoyer", "à me renvoyer"),
            ("un colis Ã  moi", "un colis à moi"),
            ("un colis Ã moi", "un colis à moi"),
            ("voilÃ  ma commande, lÃ -bas", "voilà ma commande, là-bas"),
            ("voilÃ ma commande", "voilà ma commande"),
            ("c'est dÃ©jÃ", "c'est déjà"),
            ("ouvert jusqu'Ã 18 h", "ouvert jusqu'à 18 h"),
            ("oÃ¹ estÂ il ? 12Â €", "où est il ? 12 €"),
        ] {
            let found = find(text);
            assert!(matches!(found.first(), Some(Damage::Mojibake { .. })), "{text}: {found:?}");
            assert_eq!(undo(text, misread), meant, "{text}");
            assert_eq!(find(meant), [], "{meant}");
        }
    }

    #[test]
    fn lost_characters_are_reported_and_not_guessed() {
        let all = DamageKinds { misread: true, invisible: true, decomposed: true, html: true };
        for (text, word, at) in [
            ("j'ai d??j?? pay??", "d??j??", 6),
            ("mon num??ro", "num??ro", 5),
            ("buenos dÃas", "dÃas", 8),
            ("he said â€œyesâ€ to me", "â€œyesâ€", 9),
        ] {
            let seen = word.to_owned();
            assert!(find(text).contains(&Damage::Suspect { seen, at }), "{text}: {:?}", find(text));
        }
        assert_eq!(undo("j'ai d??j?? pay??", all), "j'ai d??j?? pay??");
        for text in ["really??", "what ??", "where?? NOW??", "MANHÃ CEDO", "https://x.org/a??b=1"]
        {
            assert_eq!(find(text), [], "{text}");
        }
    }

    #[test]
    fn html_is_found_with_its_position() {
        let seen = "&eacute;".to_owned();
        assert_eq!(find("le caf&eacute; noir"), [Damage::Html { seen, at: 7 }]);
        let all = DamageKinds { misread: true, invisible: true, decomposed: true, html: true };
        assert_eq!(undo("a&shy;b &amp;eacute; &lt;b&gt;c&lt;/b&gt;", all), "ab é c");
    }

    #[test]
    fn undamaged_text_is_not_reported() {
        for text in [
            "Où est ma commande ? Ça coûte 12 € … « ALLÔ »",
            "«ALLÔ», «PLUS TÔT», SÃO PAULO, Â, Ã, âge, naïf, GENÈVE",
            "👩‍👩‍👧 🏳️‍🌈 می‌خواهم",
            "line\nbreak\ttab\r\n",
            "नमस्ते 你好 مرحبا",
        ] {
            assert_eq!(find(text), [], "{text}");
        }
    }

    #[test]
    fn decomposed_letters_are_found_where_one_character_is_both() {
        assert_eq!(
            find("cafe\u{301} et the\u{301}"),
            [Damage::Decomposed { which: '\u{301}', count: 2, at: 5 }]
        );
        // There is no character for an x with an acute accent, and Hindi keeps its marks separate.
        assert_eq!(find("x\u{301} café नमस्ते"), []);
    }

    #[test]
    fn lost_and_invisible_characters_are_counted_and_located() {
        assert_eq!(find("caf\u{fffd} \u{fffd}"), [Damage::Replacement { count: 2, at: 4 }]);
        assert_eq!(
            find("a\u{200b}b\u{0}\u{7f}"),
            [Damage::Invisible { which: '\u{200b}', count: 3, at: 2 }]
        );
        assert_eq!(
            find("wo\u{200d}rd"),
            [Damage::Invisible { which: '\u{200d}', count: 1, at: 3 }]
        );
    }

    #[test]
    fn damage_is_undone() {
        let all = DamageKinds { misread: true, invisible: true, decomposed: true, html: true };
        for (text, expected) in [
            (misread_as("où est l’été ? 12 €"), "où est l’été ? 12 €".to_owned()),
            (misread_as(&misread_as("café")), "café".to_owned()),
            ("cafe\u{301}\u{200b} the\u{ad}".to_owned(), "café the".to_owned()),
            ("a\0b\u{1b}\u{7f}c \u{1}d\u{2028}".to_owned(), "a b c d".to_owned()),
            (
                "👩\u{200d}👩\u{200d}👧 wo\u{200d}\u{200c}rd".to_owned(),
                "👩\u{200d}👩\u{200d}👧 word".to_owned(),
            ),
        ] {
            assert_eq!(undo(&text, all), expected, "{text:?}");
        }
        let lost = undo("caf\u{fffd}\u{200b}", all);
        assert_eq!(find(&lost), [Damage::Replacement { count: 1, at: 4 }]);
    }

    proptest::proptest! {
        #[test]
        fn no_damage_is_found_after_it_was_undone(
            text in "[ÃÂâï©¨\u{80}-\u{9f}€™ €a-eé\u{301}\u{300}\u{200b}\u{200d}\u{0}\u{2028}\u{a0}ð]{0,14}",
        ) {
            let all = DamageKinds { misread: true, invisible: true, decomposed: true, html: true };
            let clean = undo(&text, all);
            let mut found = find(&clean);
            found.retain(|damage| !matches!(damage, Damage::Suspect { .. }));
            proptest::prop_assert_eq!(found, []);
            proptest::prop_assert_eq!(undo(&clean, all), clean);
        }
    }
}
