//! The words of passages: those of the question in every sentence, and all words of the few sentences whose spans are ranked.

use super::{
    question::Question,
    word_class::{Class, cue},
    words::{each_word, is_number_word, is_stop_word, stem},
};
use rust_stemmers::Stemmer;
use std::{borrow::Cow, ops::Range};

/// A word of a sentence, as the features of spans look at it.
#[derive(Debug, Clone)]
pub(crate) struct PassageWord {
    /// Its place in the text of the passage, in bytes.
    pub(crate) range: Range<usize>,
    /// The stem of the question that it is, by its place in [`Question::stems`].
    pub(crate) matched: Option<usize>,
    pub(crate) class: Class,
    /// The group of [`cue`].
    pub(crate) cue: Option<u8>,
    /// Whether it begins with a capital letter.
    pub(crate) is_capital: bool,
    /// Whether it has a digit, or is the word of a number.
    pub(crate) is_number: bool,
    /// Whether it carries no content.
    pub(crate) is_stop_word: bool,
}

/// Finds the words of a question in passages of one language.
///
/// Most words are passed over after two letters: a stem begins as its words do, except that English makes `die` of `dying`. A
/// word that is not ASCII is always stemmed, because accents are removed.
pub(crate) struct WordFinder {
    stemmer: Option<Stemmer>,
    stems: Vec<String>,
    /// By the first letter of a stem, which is ASCII: the second letters, as bits.
    beginnings: [u128; 128],
    lower: String,
}

/// The place of a word of the question in a sentence: the number of the word, and that of the stem.
pub(crate) type Place = (usize, usize);

impl WordFinder {
    pub(crate) fn new(question: &Question, stemmer: Option<Stemmer>) -> Self {
        let stems = question.stems_in(stemmer.as_ref());
        let mut beginnings = [0_u128; 128];
        for stem in &stems {
            if let [first, rest @ ..] = stem.as_bytes()
                && first.is_ascii()
            {
                beginnings[usize::from(*first)] |= match rest {
                    [second, ..] if second.is_ascii() => second_letter(*second),
                    // A stem of one letter can be that of any word.
                    _ => u128::MAX,
                };
            }
        }
        Self { stemmer, stems, beginnings, lower: String::new() }
    }

    /// Writes the places of the question's words in `text` to `places`, and returns its number of words.
    pub(crate) fn places(&mut self, text: &str, places: &mut Vec<Place>) -> usize {
        let mut n = 0;
        each_word(text, |range| {
            if let Some(stem) = self.matched(&text[range]) {
                places.push((n, stem));
            }
            n += 1;
        });
        n
    }

    /// Returns the stem of the question that `written` is.
    fn matched(&mut self, written: &str) -> Option<usize> {
        if written.is_ascii() {
            if !self.may_match(written.as_bytes()) {
                return None;
            }
            self.lower.clear();
            self.lower.push_str(written);
            self.lower.make_ascii_lowercase();
        } else {
            botops_text::normalise_into(written, &mut self.lower);
        }
        let stem = stem(&self.lower, self.stemmer.as_ref());
        let at = self.stems.iter().position(|known| *known == stem)?;
        (!is_stop_word(&folded(&self.lower))).then_some(at)
    }

    /// Returns whether a stem may begin as `written` does, which is ASCII.
    fn may_match(&self, written: &[u8]) -> bool {
        let seconds = self.beginnings[usize::from(written[0].to_ascii_lowercase())];
        let second =
            written.get(1).map_or(u128::MAX, |second| second_letter(second.to_ascii_lowercase()));
        seconds & second != 0
    }
}

/// Returns the bit of the second letter of a word or a stem, which is ASCII. `y` and `i` are one.
fn second_letter(letter: u8) -> u128 {
    1 << if letter == b'y' { b'i' } else { letter }
}

/// Returns `lower` without accents.
fn folded(lower: &str) -> Cow<'_, str> {
    if lower.is_ascii() {
        Cow::Borrowed(lower)
    } else {
        Cow::Owned(botops_text::strip_accents(lower))
    }
}

/// Returns all words of the sentence at `range` of `text`; `places` are those of the question's words in it.
pub(crate) fn passage_words(
    text: &str,
    range: &Range<usize>,
    places: &[Place],
) -> Vec<PassageWord> {
    let mut found: Vec<PassageWord> = Vec::new();
    let mut places = places.iter().peekable();
    let sentence = &text[range.clone()];
    let mut lower = String::new();
    each_word(sentence, |at| {
        let written = &sentence[at.clone()];
        if written.is_ascii() {
            lower.clear();
            lower.push_str(written);
            lower.make_ascii_lowercase();
        } else {
            lower = botops_text::strip_accents(&botops_text::normalise(written));
        }
        let number = found.len();
        found.push(PassageWord {
            range: range.start + at.start..range.start + at.end,
            matched: places.next_if(|(word, _)| *word == number).map(|(_, stem)| *stem),
            class: Class::of(&lower),
            cue: cue(&lower),
            is_capital: written.chars().next().is_some_and(char::is_uppercase),
            is_number: written.bytes().any(|byte| byte.is_ascii_digit()) || is_number_word(&lower),
            is_stop_word: is_stop_word(&lower),
        });
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{stemmer, words};

    /// Returns the places that stemming every word gives.
    fn slowly(question: &Question, text: &str, language: &str) -> Vec<Place> {
        let stemmer = stemmer(Some(language));
        let stems = question.stems_in(stemmer.as_ref());
        let found = words(text, stemmer.as_ref()).into_iter().enumerate();
        found
            .filter(|(_, word)| !word.is_stop_word)
            .filter_map(|(at, word)| Some((at, stems.iter().position(|stem| *stem == word.stem)?)))
            .collect()
    }

    #[test]
    fn words_are_found_as_if_every_word_were_stemmed() {
        for (language, question, text) in [
            (
                "en",
                "Why do dying skies lie?",
                "The sky died, and it lies: LYING is to lie; a die, a day.",
            ),
            ("en", "What are the fees of y?", "Fee, feed, Y or why; fées, fe\u{301}es."),
            (
                "fr",
                "Où sont les échéances étatiques ?",
                "L'échéance de l'État, ETATIQUE ou étatiques, est échue.",
            ),
            ("de", "Welche Straßen und Äpfel?", "STRASSE, Straße, Apfel, äpfel; strassen."),
            ("ru", "Где посылки?", "Посылка, посылке и posylka."),
            ("xx", "one two", "One, TWO, ones."),
        ] {
            let stemmer = stemmer(Some(language));
            let question = Question::of(question, stemmer.as_ref());
            let mut finder = WordFinder::new(&question, stemmer);
            let mut places = Vec::new();
            let n = finder.places(text, &mut places);
            assert_eq!(places, slowly(&question, text, language), "{text}");
            assert!(!places.is_empty(), "{text}");
            let read = passage_words(text, &(0..text.len()), &places);
            assert_eq!(read.len(), n);
            let matched =
                read.iter().enumerate().filter_map(|(at, word)| Some((at, word.matched?)));
            assert_eq!(matched.collect::<Vec<_>>(), places);
        }
    }

    #[test]
    fn a_word_is_read_as_the_features_see_it() {
        let text = "In Zürich, Twenty of 12.50 euros";
        let read = passage_words(text, &(3..text.len()), &[]);
        assert_eq!(&text[read[0].range.clone()], "Zürich");
        assert!(read[0].is_capital && read[1].is_number && read[2].is_stop_word);
        assert_eq!((read[2].class, read[2].cue), (Class::Preposition, Some(4)));
        assert!(read[3].is_number && !read[3].is_capital && !read[4].is_number);
    }
}
