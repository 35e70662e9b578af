//! Words to terms: folding, stemming by language, and pairs of characters where words have no spaces.

use rust_stemmers::{Algorithm, Stemmer};

/// A group of documents whose words are stemmed by the same rules: a place in [`LANGUAGES`].
///
/// Each group is indexed by itself, with its own document frequencies and mean length: a word of a question meets the
/// documents of each language as that language stems it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group(u8);

/// The languages that have a stemmer. The place of a language is written to files: new ones are added at the end.
const LANGUAGES: &[(&str, Algorithm)] = &[
    ("ar", Algorithm::Arabic),
    ("da", Algorithm::Danish),
    ("de", Algorithm::German),
    ("el", Algorithm::Greek),
    ("en", Algorithm::English),
    ("es", Algorithm::Spanish),
    ("fi", Algorithm::Finnish),
    ("fr", Algorithm::French),
    ("hu", Algorithm::Hungarian),
    ("it", Algorithm::Italian),
    ("nl", Algorithm::Dutch),
    ("no", Algorithm::Norwegian),
    ("pt", Algorithm::Portuguese),
    ("ro", Algorithm::Romanian),
    ("ru", Algorithm::Russian),
    ("sv", Algorithm::Swedish),
    ("ta", Algorithm::Tamil),
    ("tr", Algorithm::Turkish),
];

/// The group of documents whose language has no stemmer, or is not known.
const UNSTEMMED: u8 = u8::MAX;

impl Group {
    /// Returns the group of `language`, such as `en`, `en-GB` or `nb`.
    pub(crate) fn of(language: Option<&str>) -> Self {
        let base = language.map(|language| language.split(['-', '_']).next().unwrap_or_default());
        let base = base.map(str::to_ascii_lowercase);
        let base = match base.as_deref() {
            Some("nb" | "nn") => Some("no"),
            other => other,
        };
        let place = base.and_then(|base| LANGUAGES.iter().position(|(code, _)| *code == base));
        Self(place.map_or(UNSTEMMED, |place| place as u8))
    }

    /// Returns the group with this byte, if it exists.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        (byte == UNSTEMMED || usize::from(byte) < LANGUAGES.len()).then_some(Self(byte))
    }

    /// Returns the byte that files write.
    pub(crate) fn byte(self) -> u8 {
        self.0
    }

    /// Returns the stemmer of the group, if it has one.
    pub(crate) fn stemmer(self) -> Option<Stemmer> {
        LANGUAGES.get(usize::from(self.0)).map(|(_, algorithm)| Stemmer::create(*algorithm))
    }
}

/// The most bytes of a term. A longer word is cut: no question repeats it, and a stranger may have written it.
pub(crate) const LONGEST_TERM: usize = 64;

/// Writes the term of `word`, which is in normal form, to `term`: the stem without accents.
pub(crate) fn stem(word: &str, stemmer: Option<&Stemmer>, term: &mut String) {
    term.clear();
    let mut end = word.len().min(LONGEST_TERM);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    let word = &word[..end];
    match stemmer {
        Some(stemmer) => term.push_str(&stemmer.stem(word)),
        None => term.push_str(word),
    }
    if !term.is_ascii() {
        *term = botops_text::strip_accents(term);
    }
}

/// Calls `take` for each word of `text`, in its normal form.
///
/// Scripts that write no spaces between words (Han, kana, Thai, Lao, Khmer, Burmese) give each pair of neighboring
/// characters, and a single character if it stands alone. `normal` is scratch space.
pub(crate) fn each_word(text: &str, normal: &mut String, mut take: impl FnMut(&str)) {
    botops_text::normalise_into(text, normal);
    for word in botops_text::words_of(normal) {
        if word.is_ascii() || !word.chars().any(is_unspaced) {
            take(word);
            continue;
        }
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let unspaced = is_unspaced(first);
            let end = rest.find(|c| is_unspaced(c) != unspaced).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            rest = after;
            if !unspaced {
                take(run);
                continue;
            }
            let starts: Vec<usize> =
                run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
            match starts.as_slice() {
                [start, end] => take(&run[*start..*end]),
                more => more.windows(3).for_each(|three| take(&run[three[0]..three[2]])),
            }
        }
    }
}

fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3134f)
}
