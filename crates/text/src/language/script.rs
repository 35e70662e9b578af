//! The script of a text, and letters that no known language has.

/// A script that a known language is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Cyrillic,
    Arabic,
    Devanagari,
    Hangul,
    Kana,
    Han,
}

/// Accented letters and ligatures of the known languages in Latin script, Vietnamese vowels aside. Each in lower case.
const LATIN_LETTERS: &str = "ªºßàáâãäåæçèéêëìíîïñòóôõöùúûüýÿāăĩışğđœũơưǎſĳ";

/// One foreign letter in so many letters makes the language unknown.
const ONE_FOREIGN_IN: usize = 40;

/// The letters of a text by script.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// The number of letters.
    pub(super) n: usize,
    by_script: [usize; 7],
    foreign: usize,
}

const SCRIPTS: [Script; 7] = [
    Script::Latin,
    Script::Cyrillic,
    Script::Arabic,
    Script::Devanagari,
    Script::Hangul,
    Script::Kana,
    Script::Han,
];

impl Letters {
    /// Counts the letters of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut letters = Self::default();
        for c in text.chars() {
            if c.is_ascii() {
                let is_letter = usize::from(c.is_ascii_alphabetic());
                letters.n += is_letter;
                letters.by_script[Script::Latin as usize] += is_letter;
            } else if c.is_alphabetic() {
                letters.n += 1;
                match script_of(c) {
                    Some(script) => letters.by_script[script as usize] += 1,
                    None => letters.foreign += 1,
                }
            }
        }
        letters
    }

    /// Returns the script of the text; `None` without a letter, or if it has letters that no known language has.
    ///
    /// Japanese mixes Han characters with kana, so a few kana decide.
    pub(super) fn script(&self) -> Option<Script> {
        if self.foreign * ONE_FOREIGN_IN > self.n {
            return None;
        }
        let (most, n) = SCRIPTS
            .iter()
            .map(|&script| (script, self.by_script[script as usize]))
            // The first of equals.
            .fold((Script::Latin, 0), |best, one| if one.1 > best.1 { one } else { best });
        match most {
            _ if n == 0 => None,
            Script::Han if self.by_script[Script::Kana as usize] > 0 => Some(Script::Kana),
            script => Some(script),
        }
    }
}

/// Returns the script of a letter outside ASCII; `None` if no known language has the letter.
fn script_of(c: char) -> Option<Script> {
    match u32::from(c) {
        0x1ea0..=0x1ef9 => Some(Script::Latin),
        0x80..=0x24f | 0x1e00..=0x1eff => {
            let mut lower = c.to_lowercase();
            let is_known = lower.next().is_some_and(|lower| LATIN_LETTERS.contains(lower));
            is_known.then_some(Script::Latin)
        }
        // Full-width letters, which Japanese and Chinese texts use.
        0xff21..=0xff3a | 0xff41..=0xff5a => Some(Script::Latin),
        0x400..=0x45f => Some(Script::Cyrillic),
        0x600..=0x6ff | 0x750..=0x77f | 0xfb50..=0xfdff | 0xfe70..=0xfeff => Some(Script::Arabic),
        0x900..=0x97f => Some(Script::Devanagari),
        0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => Some(Script::Hangul),
        0x3040..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9f => Some(Script::Kana),
        0x3400..=0x4dbf | 0x4e00..=0x9fff | 0x3005..=0x3007 | 0x20000..=0x2ffff => {
            Some(Script::Han)
        }
        _ => None,
    }
}
