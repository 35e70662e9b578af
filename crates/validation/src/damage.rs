//! Damage that wrong encodings leave in a text: found, and undone.

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
}

/// Returns the damage in `text`: at most one of each kind.
pub(crate) fn find(text: &str) -> Vec<Damage> {
    // Printable ASCII and the usual breaks cannot be damaged: four utterances in five. A chunk has no early exit, so that
    // many bytes are compared at once.
    let is_plain = |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    if text.as_bytes().chunks(64).all(|chunk| chunk.iter().fold(true, |all, b| all & is_plain(b))) {
        return Vec::new();
    }
    let mut damage = Vec::new();
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
        if let Some((length, meant)) = misdecoded(&chars[i..]) {
            let seen = chars[i..i + length].iter().collect();
            return Some(Damage::Mojibake { seen, meant, at: i + 1 });
        }
        i += 1;
    }
    None
}

/// Returns the length of the wrongly decoded character at the beginning of `chars`, and the original character.
fn misdecoded(chars: &[char]) -> Option<(usize, String)> {
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
}

/// Returns `text` without the kinds of damage in `kinds`: [`find`] finds none of them in the result.
pub fn undo(text: &str, kinds: DamageKinds) -> String {
    let mut text = text.to_owned();
    // Text that was decoded wrongly twice takes two rounds. The loop ends: each round that changes the text shortens it.
    loop {
        let before = text.clone();
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
        match misdecoded(&chars[i..]) {
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
        let all = DamageKinds { misread: true, invisible: true, decomposed: true };
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
            let all = DamageKinds { misread: true, invisible: true, decomposed: true };
            let clean = undo(&text, all);
            proptest::prop_assert_eq!(find(&clean), []);
            proptest::prop_assert_eq!(undo(&clean, all), clean);
        }
    }
}
