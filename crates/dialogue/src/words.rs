//! Short answers in words: yes, no, cancel, the first, the second.

use crate::{intent_spec::Meaning, rules_spec::WordsSpec};
use botops_text::{normalise, strip_accents, words_of};
use std::collections::BTreeSet;

/// The longest answer that yes or no is looked for in, in words: `yes please go ahead thanks`.
const MAX_WORDS: usize = 5;

/// Words for yes, in English and French.
const YES: &[&str] = &[
    "yes",
    "y",
    "yep",
    "yeah",
    "yup",
    "sure",
    "ok",
    "okay",
    "correct",
    "right",
    "exactly",
    "confirm",
    "confirmed",
    "agreed",
    "absolutely",
    "definitely",
    "please do",
    "go ahead",
    "do it",
    "oui",
    "ouais",
    "d accord",
    "dac",
    "exact",
    "exactement",
    "parfait",
    "bien sur",
    "volontiers",
    "je confirme",
    "confirme",
    "allez y",
    "vas y",
    "c est ca",
    "c est bon",
    "certainement",
];
/// Words for no, in English and French.
const NO: &[&str] = &[
    "no",
    "n",
    "nope",
    "nah",
    "not",
    "don t",
    "dont",
    "never",
    "wrong",
    "incorrect",
    "neither",
    "none",
    "non",
    "pas",
    "can t",
    "cannot",
    "won t",
    "jamais",
    "faux",
    "aucun",
    "aucune",
    "ni l un ni l autre",
    "surtout pas",
];
/// Words that may stand beside yes, in English and French.
const POLITE: &[&str] = &[
    "please", "pls", "thanks", "thank", "you", "very", "much", "merci", "beaucoup", "s", "il",
    "te", "vous", "plait", "svp", "stp", "then", "alors", "that", "is", "it", "fine", "good",
    "great", "perfect", "of", "course", "all", "bien", "tout", "a", "fait", "i", "am", "je",
    "suis", "we", "can",
];
/// The longest phrase for yes, in words.
const LONGEST_PHRASE: usize = 4;
/// Messages that cancel, in English and French.
const CANCEL: &[&str] = &[
    "cancel",
    "stop",
    "quit",
    "exit",
    "abort",
    "never mind",
    "nevermind",
    "forget it",
    "leave it",
    "forget about it",
    "annuler",
    "annule",
    "annulez",
    "arreter",
    "arrete",
    "arretez",
    "laisse tomber",
    "laissez tomber",
    "oublie",
    "oubliez",
    "tant pis",
    "abandonner",
    "peu importe",
];
/// Answers that name the first of two, in English and French.
const FIRST: &[&str] = &[
    "1",
    "first",
    "the first",
    "the first one",
    "premier",
    "premiere",
    "le premier",
    "la premiere",
];
/// Answers that name the second of two.
const SECOND: &[&str] = &[
    "2",
    "second",
    "the second",
    "the second one",
    "deuxieme",
    "le deuxieme",
    "la deuxieme",
    "le second",
    "la seconde",
    "seconde",
];

/// The words that a dialogue understands as answers.
#[derive(Debug)]
pub(crate) struct Words {
    yes: BTreeSet<String>,
    no: BTreeSet<String>,
    cancel: BTreeSet<String>,
    person: BTreeSet<String>,
}

impl Words {
    /// Joins the built-in words with those of `spec`, and those that ask for a `person`.
    pub(crate) fn new(spec: &WordsSpec, person: &[String]) -> Self {
        let joined = |built_in: &[&str], own: &[String]| {
            built_in
                .iter()
                .copied()
                .chain(own.iter().map(String::as_str))
                .map(simple)
                .filter(|words| !words.is_empty())
                .collect()
        };
        Self {
            yes: joined(YES, &spec.yes),
            no: joined(NO, &spec.no),
            cancel: joined(CANCEL, &spec.cancel),
            person: joined(&[], person),
        }
    }

    /// Returns whether the whole of `text` asks to drop the question.
    pub(crate) fn cancels(&self, text: &str) -> bool {
        self.cancel.contains(&simple(text))
    }

    /// Returns whether the whole of `text` asks for a person.
    pub(crate) fn asks_for_a_person(&self, text: &str) -> bool {
        !self.person.is_empty() && self.person.contains(&simple(text))
    }

    /// Returns whether there are words that ask for a person.
    pub(crate) fn has_person(&self) -> bool {
        !self.person.is_empty()
    }

    /// Returns yes or no, if `text` has at most 5 words and means one of them clearly.
    ///
    /// It is yes if all words are words for yes, or polite ones beside them, because an action may follow that cannot be
    /// undone. It is no if there is a word for no, and none for yes.
    pub(crate) fn verdict(&self, text: &str) -> Option<Meaning> {
        let text = simple(text);
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        if words.is_empty() || words.len() > MAX_WORDS {
            return None;
        }
        let (mut at, mut n_yes, mut others) = (0, 0, false);
        while at < words.len() {
            let most = LONGEST_PHRASE.min(words.len() - at);
            let phrase = (1..=most).rev().find(|n| self.yes.contains(&words[at..at + n].join(" ")));
            n_yes += usize::from(phrase.is_some());
            others |= phrase.is_none() && !POLITE.contains(&words[at]);
            at += phrase.unwrap_or(1);
        }
        let no = self.no.iter().any(|word| contains(&text, word));
        match (n_yes > 0, no) {
            (true, false) if !others => Some(Meaning::Yes),
            (false, true) => Some(Meaning::No),
            _ => None,
        }
    }
}

/// Returns whether `text` names the first (0) or the second (1) of two choices with these `titles` in any language.
pub(crate) fn chosen<'a>(text: &str, titles: [impl Iterator<Item = &'a str>; 2]) -> Option<usize> {
    let text = simple(text);
    if text.is_empty() {
        return None;
    }
    for (at, words) in [FIRST, SECOND].into_iter().enumerate() {
        if words.contains(&text.as_str()) {
            return Some(at);
        }
    }
    titles.into_iter().position(|mut titles| titles.any(|title| simple(title) == text))
}

/// Returns the number of words of `text`.
pub(crate) fn n_words(text: &str) -> usize {
    words_of(&normalise(text)).count()
}

/// Returns the words of `text` in lower case, without accents, separated by one space.
fn simple(text: &str) -> String {
    let plain = strip_accents(&normalise(text));
    words_of(&plain).collect::<Vec<_>>().join(" ")
}

/// Returns whether the words of `phrase` follow each other in `text`.
fn contains(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        before.is_none_or(|c| c == ' ') && after.is_none_or(|c| c == ' ')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_are_understood_in_both_languages_if_they_are_clear() {
        let words =
            Words::new(&WordsSpec { yes: vec!["Jawohl!".to_owned()], ..WordsSpec::default() }, &[]);
        for (text, expected) in [
            ("Yes!", Some(Meaning::Yes)),
            ("yes please", Some(Meaning::Yes)),
            ("OUI, s'il vous plaît", Some(Meaning::Yes)),
            ("D’accord", Some(Meaning::Yes)),
            ("c'est ça", Some(Meaning::Yes)),
            ("jawohl", Some(Meaning::Yes)),
            ("no thanks", Some(Meaning::No)),
            ("Non merci", Some(Meaning::No)),
            ("surtout pas", Some(Meaning::No)),
            ("yes, don't", None),
            ("pas d'accord", None),
            ("not sure", None),
            ("yes but change the number of the order", None),
            ("correct the address", None),
            ("il y a une erreur", None),
            ("I can't confirm", None),
            ("yes, that is right", Some(Meaning::Yes)),
            ("y", Some(Meaning::Yes)),
            ("notes", None),
            ("🙂", None),
            ("", None),
        ] {
            assert_eq!(words.verdict(text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_whole_message_cancels_or_asks_for_a_person() {
        let words =
            Words::new(&WordsSpec::default(), &["agent".to_owned(), "un conseiller".to_owned()]);
        for (text, cancels, person) in [
            ("Never mind.", true, false),
            ("ANNULER", true, false),
            ("I want to cancel my order", false, false),
            ("Agent!", false, true),
            ("Un conseiller", false, true),
            ("the agent was rude", false, false),
        ] {
            assert_eq!(words.cancels(text), cancels, "{text}");
            assert_eq!(words.asks_for_a_person(text), person, "{text}");
        }
    }

    #[test]
    fn one_of_two_choices_is_named_by_number_or_title() {
        let titles = || [["Return an item", "Retourner"].into_iter(), ["Track"; 2].into_iter()];
        for (text, expected) in [
            ("2", Some(1)),
            ("La première", Some(0)),
            ("retourner !", Some(0)),
            ("track", Some(1)),
            ("3", None),
            ("", None),
        ] {
            assert_eq!(chosen(text, titles()), expected, "{text}");
        }
    }
}
