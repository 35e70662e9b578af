//! A question: its kind, and the words of it that an answer may repeat.

use super::words::{Word, words};
use rust_stemmers::Stemmer;

/// The kind of a question, which says how its answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    When,
    HowMany,
    Who,
    Where,
    Why,
    How,
    Thing,
    Other,
}

impl Kind {
    /// The number of kinds.
    pub(crate) const COUNT: usize = 8;
}

/// A question as its words.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) kind: Kind,
    /// The stems of its content words, in their order, without repetitions.
    pub(crate) stems: Vec<String>,
    /// The stem of the word behind `what` or `which`, such as `company`.
    pub(crate) asked: Option<String>,
}

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

/// Returns whether `folded` carries no content.
pub(crate) fn is_stop_word(folded: &str) -> bool {
    STOP_WORDS.contains(&folded)
}

impl Question {
    /// Reads a question with the stemmer of the passages.
    pub(crate) fn of(text: &str, stemmer: Option<&Stemmer>) -> Self {
        let words = words(text, stemmer);
        let (kind, asked) = kind(&words);
        let mut stems: Vec<String> = Vec::new();
        let content = words.iter().filter(|word| !is_stop_word(&word.folded));
        for word in content {
            if !stems.contains(&word.stem) {
                stems.push(word.stem.clone());
            }
        }
        Self { kind, stems, asked }
    }
}

/// Returns the kind of a question, and the stem of the word that it asks for.
fn kind(words: &[Word]) -> (Kind, Option<String>) {
    let at = |index: usize| words.get(index).map_or("", |word| word.folded.as_str());
    for index in 0..words.len() {
        let next = at(index + 1);
        let kind = match at(index) {
            "when" | "quand" | "wann" | "cuando" => Kind::When,
            "who" | "whom" | "whose" | "qui" | "wer" | "quien" | "quienes" => Kind::Who,
            "where" | "wo" | "donde" => Kind::Where,
            "ou" if index == 0 => Kind::Where,
            "why" | "pourquoi" | "warum" => Kind::Why,
            "combien" | "cuanto" | "cuantos" | "cuanta" | "cuantas" | "wieviel" => Kind::HowMany,
            "how" | "wie" => match next {
                "many" | "much" | "long" | "old" | "far" | "often" | "tall" | "large" | "big"
                | "high" | "deep" | "fast" | "viel" | "viele" | "lange" | "oft" => Kind::HowMany,
                _ => Kind::How,
            },
            "comment" | "como" => Kind::How,
            "what" | "which" | "quel" | "quelle" | "quels" | "quelles" | "quoi" | "que" | "was"
                if at(index) != "was" || index == 0 =>
            {
                let asked = words[index + 1..].iter().find(|word| !is_stop_word(&word.folded));
                let asked_next = asked.filter(|word| word.folded == next);
                let kind = match asked.map_or("", |word| word.folded.as_str()) {
                    "year" | "date" | "day" | "month" | "century" | "decade" | "time" | "annee"
                    | "jour" | "mois" | "heure" => Kind::When,
                    "percent" | "percentage" | "number" | "amount" | "many" | "price" | "cost"
                    | "size" | "population" | "fee" | "prix" | "montant" | "nombre" | "delai" => {
                        Kind::HowMany
                    }
                    "city" | "country" | "state" | "place" | "location" | "ville" | "pays"
                    | "adresse" => Kind::Where,
                    _ => Kind::Thing,
                };
                return (kind, asked_next.map(|word| word.stem.clone()));
            }
            _ => continue,
        };
        return (kind, None);
    }
    (Kind::Other, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_that_of_the_word_that_asks() {
        let kind = |text: &str| Question::of(text, None).kind;
        assert_eq!(kind("When do you open?"), Kind::When);
        assert_eq!(kind("In what year did it open?"), Kind::When);
        assert_eq!(kind("How many points?"), Kind::HowMany);
        assert_eq!(kind("Combien ça coûte ?"), Kind::HowMany);
        assert_eq!(kind("Où est mon colis ?"), Kind::Where);
        assert_eq!(kind("Quand arrive-t-il ou pas ?"), Kind::When);
        assert_eq!(kind("Which company owns it?"), Kind::Thing);
        assert_eq!(kind("Returns"), Kind::Other);
        assert_eq!(Question::of("Which company owns it?", None).asked.as_deref(), Some("company"));
    }

    #[test]
    fn content_words_are_kept_once() {
        let question = Question::of("How long do refunds of a refund take?", None);
        assert_eq!(question.stems, ["long", "refunds", "refund", "take"]);
    }
}
