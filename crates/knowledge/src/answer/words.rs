//! Words and sentences of a text, with their places in it.

use rust_stemmers::{Algorithm, Stemmer};
use std::{borrow::Cow, collections::HashSet, ops::Range, sync::LazyLock};

/// A word of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    /// Its place, in bytes.
    pub(crate) range: Range<usize>,
    /// The stem, without accents.
    pub(crate) stem: String,
    /// The word in lower case, without accents.
    pub(crate) folded: String,
    /// Whether it begins with a capital letter.
    pub(crate) is_capital: bool,
    /// Whether it has a digit, or is the word of a number.
    pub(crate) is_number: bool,
    /// Whether it carries no content.
    pub(crate) is_stop_word: bool,
}

/// Words of numbers that answer as figures do, in English and French.
const NUMBERS: &[&str] = &[
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "hundred",
    "thousand",
    "million",
    "billion",
    "half",
    "dozen",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "sept",
    "huit",
    "neuf",
    "dix",
    "vingt",
    "trente",
    "cent",
    "mille",
    "millions",
    "milliards",
];

/// Words that carry no content, in English, French, German and Spanish, without accents.
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    // English.
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "from", "by", "with", "as", "and", "or", "but", "is", "are",
    "was", "were", "be", "been", "being", "do", "does", "did", "has", "have", "had", "can", "could", "will", "would",
    "should", "may", "might", "must", "shall", "it", "its", "this", "that", "these", "those", "there", "their", "they",
    "them", "he", "she", "his", "her", "i", "my", "me", "we", "our", "us", "you", "your", "what", "which", "who",
    "whom", "whose", "when", "where", "why", "how", "much", "many", "if", "than", "then", "so", "about", "into", "not",
    "no", "s", "t", "any", "some", "please", "tell",
    // French.
    "le", "la", "les", "l", "un", "une", "des", "du", "de", "d", "et", "ou", "est", "sont", "etait", "etre", "ce",
    "cet", "cette", "ces", "c", "il", "elle", "ils", "elles", "je", "j", "tu", "nous", "vous", "mon", "ma", "mes", "m",
    "votre", "vos", "notre", "nos", "son", "sa", "ses", "se", "que", "qu", "qui", "quoi", "quel", "quelle", "quels",
    "quelles", "quand", "combien", "comment", "pourquoi", "au", "aux", "dans", "en", "par", "pour", "sur", "avec",
    "a-t", "y", "ne", "pas", "n",
    // German.
    "der", "die", "das", "den", "dem", "ein", "eine", "einen", "und", "oder", "ist", "sind", "war", "wie", "wann",
    "wer", "wo", "warum", "mit", "von", "zu", "im",
    // Spanish.
    "el", "los", "las", "una", "y", "es", "son", "fue",
];

/// Returns whether `folded`, a word in lower case and without accents, carries no content in English, French, German or Spanish.
#[must_use]
pub fn is_stop_word(folded: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.iter().copied().collect());
    SET.contains(folded)
}

/// Returns the stemmer of `language`, such as `en`; `None` for a language without one.
pub(crate) fn stemmer(language: Option<&str>) -> Option<Stemmer> {
    let language = language.map_or("en", |language| botops_text::base_language(language));
    let algorithm = match language {
        "ar" => Algorithm::Arabic,
        "da" => Algorithm::Danish,
        "nl" => Algorithm::Dutch,
        "en" => Algorithm::English,
        "fi" => Algorithm::Finnish,
        "fr" => Algorithm::French,
        "de" => Algorithm::German,
        "el" => Algorithm::Greek,
        "hu" => Algorithm::Hungarian,
        "it" => Algorithm::Italian,
        "no" | "nb" | "nn" => Algorithm::Norwegian,
        "pt" => Algorithm::Portuguese,
        "ro" => Algorithm::Romanian,
        "ru" => Algorithm::Russian,
        "es" => Algorithm::Spanish,
        "sv" => Algorithm::Swedish,
        "ta" => Algorithm::Tamil,
        "tr" => Algorithm::Turkish,
        _ => return None,
    };
    Some(Stemmer::create(algorithm))
}

/// Returns the words of `text`; see [`each_word`].
pub(crate) fn words(text: &str, stemmer: Option<&Stemmer>) -> Vec<Word> {
    let mut found = Vec::new();
    each_word(text, |range| found.push(word(text, range, stemmer)));
    found
}

/// Calls `take` with the place of each word of `text`: maximal runs of letters, digits and marks; a point or comma between
/// digits belongs to a number.
pub(crate) fn each_word(text: &str, mut take: impl FnMut(Range<usize>)) {
    let mut start = None;
    let mut characters = text.char_indices().peekable();
    let mut before_is_digit = false;
    while let Some((at, c)) = characters.next() {
        let mut next_is_digit = || characters.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        let is_inside = botops_text::is_word_char(c, start.is_some())
            || (matches!(c, '.' | ',') && before_is_digit && start.is_some() && next_is_digit());
        before_is_digit = c.is_ascii_digit();
        if is_inside {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            take(start..at);
        }
    }
    if let Some(start) = start {
        take(start..text.len());
    }
}

/// Returns the stem of a word in lower case, without accents.
pub(crate) fn stem(lower: &str, stemmer: Option<&Stemmer>) -> String {
    let stem = stemmer.map_or(Cow::Borrowed(lower), |stemmer| stemmer.stem(lower));
    if stem.is_ascii() { stem.into_owned() } else { botops_text::strip_accents(&stem) }
}

/// Returns whether `folded`, a word in lower case and without accents, is the word of a number.
pub(crate) fn is_number_word(folded: &str) -> bool {
    NUMBERS.contains(&folded)
}

fn word(text: &str, range: Range<usize>, stemmer: Option<&Stemmer>) -> Word {
    let written = &text[range.clone()];
    let (lower, folded): (String, Option<String>) = if written.is_ascii() {
        (written.to_ascii_lowercase(), None)
    } else {
        let lower = botops_text::normalise(written);
        let folded = botops_text::strip_accents(&lower);
        (lower, Some(folded))
    };
    let stem = stem(&lower, stemmer);
    let folded = folded.unwrap_or(lower);
    Word {
        is_capital: written.chars().next().is_some_and(char::is_uppercase),
        is_number: written.bytes().any(|byte| byte.is_ascii_digit()) || is_number_word(&folded),
        is_stop_word: is_stop_word(&folded),
        range,
        stem,
        folded,
    }
}

/// Returns the places of the sentences of `text` that have a letter or a digit.
pub(crate) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = botops_documents::sentences(text);
    found.retain(|range| text[range.clone()].chars().any(char::is_alphanumeric));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_points_and_stems_lose_their_accents() {
        let stemmer = stemmer(Some("fr"));
        let text = "Les échéances : 1,250.50 €, réglées.";
        let found = words(text, stemmer.as_ref());
        let written: Vec<&str> = found.iter().map(|word| &text[word.range.clone()]).collect();
        assert_eq!(written, ["Les", "échéances", "1,250.50", "réglées"]);
        assert_eq!(found[1].folded, "echeances");
        assert!(found[2].is_number && found[0].is_capital && !found[1].is_capital);
        assert!(found[3].stem.is_ascii());
    }

    #[test]
    fn sentences_without_words_are_left_out() {
        let text = "Why? … It was\n---\nlate.";
        let found: Vec<&str> = sentences(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["Why?", "It was", "late."]);
        assert!(sentences("  \n . \n").is_empty());
    }
}
