//! A question: its kind, and the words of it that an answer may repeat.

use super::words::{Word, stem, words};
use rust_stemmers::Stemmer;

/// The most different content words of a question that are looked at: the first of them. A pasted page is no question.
pub(crate) const MOST_STEMS: usize = 64;

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
    /// The words of these stems, in lower case.
    content: Vec<String>,
    /// The word behind `what` or `which`, such as `company`: its place in `stems`.
    pub(crate) asked: Option<usize>,
}

impl Question {
    /// Reads a question with the stemmer of the best passage.
    pub(crate) fn of(text: &str, stemmer: Option<&Stemmer>) -> Self {
        let words = words(text, stemmer);
        let (kind, asked) = kind(&words);
        let (mut stems, mut content): (Vec<String>, Vec<String>) = Default::default();
        for word in words.into_iter().filter(|word| !word.is_stop_word) {
            if stems.len() < MOST_STEMS && !stems.contains(&word.stem) {
                stems.push(word.stem);
                content.push(botops_text::normalise(&text[word.range]));
            }
        }
        let asked = asked.and_then(|asked| stems.iter().position(|stem| *stem == asked));
        Self { kind, stems, content, asked }
    }

    /// Returns the stems as another language makes them, in the order of `stems`.
    pub(crate) fn stems_in(&self, stemmer: Option<&Stemmer>) -> Vec<String> {
        self.content.iter().map(|word| stem(word, stemmer)).collect()
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
                let asked = words[index + 1..].iter().find(|word| !word.is_stop_word);
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
        let question = Question::of("Which company owns it?", None);
        assert_eq!(question.asked.map(|at| question.stems[at].as_str()), Some("company"));
    }

    #[test]
    fn content_words_are_kept_once() {
        let question = Question::of("How long do refunds of a refund take?", None);
        assert_eq!(question.stems, ["long", "refunds", "refund", "take"]);
    }

    #[test]
    fn a_pasted_page_counts_by_its_first_words() {
        let page: Vec<String> = (0..1_000).map(|number| format!("word{number}")).collect();
        let question = Question::of(&page.join(" "), None);
        assert_eq!(question.stems.len(), MOST_STEMS);
        assert_eq!(question.stems_in(None), question.stems);
    }
}
