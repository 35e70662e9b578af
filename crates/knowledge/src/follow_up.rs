//! Follow-up questions, completed from the conversation by rules for English and French.
//!
//! `And for France?` after `How long does shipping to Germany take?` cannot be searched by itself. A question that depends on the
//! one before is completed with the content words of the last question that was answered. Words that the new question replaces
//! are left out: a name replaces a name behind the same preposition.

use crate::answer::{Word, words};

/// A question before, and whether it got an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastQuestion<'a> {
    /// The question, as it was completed.
    pub text: &'a str,
    /// Whether it was answered from the documents.
    pub is_answered: bool,
}

/// A question that can be searched by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The question, with words of an earlier one if it depends on it.
    pub question: String,
    /// Whether words were added.
    pub is_completed: bool,
}

/// The most words of a question that can be a follow-up without a sign of one.
const SHORT: usize = 3;
/// The most content words that are added.
const MOST_ADDED: usize = 12;

/// Beginnings of a follow-up.
const BEGINNINGS: &[&[&str]] = &[
    &["and"],
    &["what", "about"],
    &["how", "about"],
    &["but"],
    &["also"],
    &["or"],
    &["same", "for"],
    &["et"],
    &["mais"],
    &["ou", "alors"],
    &["qu", "en", "est", "il"],
    &["pareil", "pour"],
    &["meme", "chose"],
];

/// Words that stand for something of an earlier question. Those that also begin sentences of their own, such as `it` in `is it
/// raining`, count only where they are not followed by a content word that they introduce.
const PRONOUNS: &[&str] = &[
    "it", "they", "them", "that", "those", "these", "this", "one", "ones", "there", "its", "their",
    "he", "she", "him", "her", "his", "ca", "cela", "celui", "celle", "ceux", "celles", "elle",
    "elles", "ils", "y", "lui", "leur", "leurs",
];

/// Completes `question` from the questions before it, oldest first.
///
/// The same question and history give the same result. Without an answered question in the history, nothing is added.
#[must_use]
pub fn complete(question: &str, history: &[PastQuestion<'_>]) -> Completed {
    let alone = || Completed { question: question.trim().to_owned(), is_completed: false };
    let Some(past) = history.iter().rev().find(|past| past.is_answered) else { return alone() };
    let own = words(question, None);
    if own.is_empty() || !depends(&own) {
        return alone();
    }
    let before = words(past.text, None);
    let replaced = replaced(&own, &before);
    let is_own = |word: &Word| own.iter().any(|own| own.folded == word.folded);
    let added: Vec<&str> = before
        .iter()
        .enumerate()
        .filter(|(at, word)| {
            !word.is_stop_word
                && !PRONOUNS.contains(&word.folded.as_str())
                && !is_own(word)
                && !replaced.contains(at)
        })
        .map(|(_, word)| &past.text[word.range.clone()])
        .take(MOST_ADDED)
        .collect();
    if added.is_empty() {
        return alone();
    }
    let asked = question.trim().trim_end_matches(['?', '!', '.', ' ', '\u{a0}', '\u{202f}']);
    Completed { question: format!("{asked} {}?", added.join(" ")), is_completed: true }
}

/// Returns whether a question needs the one before it.
fn depends(words: &[Word]) -> bool {
    let at = |index: usize| words.get(index).map_or("", |word| word.folded.as_str());
    let begins =
        |beginning: &&[&str]| beginning.iter().enumerate().all(|(index, word)| at(index) == *word);
    if BEGINNINGS.iter().any(begins) {
        return true;
    }
    let content =
        words.iter().filter(|word| !word.is_stop_word && !PRONOUNS.contains(&word.folded.as_str()));
    let content = content.count();
    let has_pronoun = words.iter().enumerate().any(|(index, word)| {
        PRONOUNS.contains(&word.folded.as_str()) && stands_alone(words, index)
    });
    // `How much does it cost?` has one content word; a question with many explains its pronoun itself.
    (has_pronoun && content <= SHORT) || (content <= 1 && words.len() <= SHORT)
}

/// Returns whether the pronoun at `index` stands for something, and does not introduce a noun as in `this card`.
fn stands_alone(words: &[Word], index: usize) -> bool {
    let introduces =
        matches!(words[index].folded.as_str(), "this" | "that" | "these" | "those" | "one");
    let next = words.get(index + 1);
    !introduces || next.is_none_or(|next| next.is_stop_word)
}

/// Returns the words of the question before that the new one replaces: the name behind a preposition, where the new question has
/// another name behind a preposition, and the first name where it has a name alone.
fn replaced(own: &[Word], before: &[Word]) -> Vec<usize> {
    let is_name =
        |words: &[Word], at: usize| at > 0 && words[at].is_capital && !words[at].is_stop_word;
    let Some(new) = (0..own.len()).find(|&at| is_name(own, at)) else { return Vec::new() };
    let is_known = |at: usize| own.iter().any(|word| word.folded == before[at].folded);
    let old: Vec<usize> =
        (0..before.len()).filter(|&at| is_name(before, at) && !is_known(at)).collect();
    let preposition = own[new - 1].folded.as_str();
    let same = old.iter().copied().find(|&at| before[at - 1].folded == preposition);
    let Some(first) = same.or_else(|| old.last().copied()) else { return Vec::new() };
    // A name may have several words: `New Zealand`.
    (first..before.len()).take_while(|&at| is_name(before, at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: &str, question: &str) -> String {
        let history = [PastQuestion { text: before, is_answered: true }];
        let completed = complete(question, &history);
        assert_eq!(completed.is_completed, completed.question != question.trim());
        completed.question
    }

    #[test]
    fn english_follow_ups_get_the_words_of_the_question_before() {
        assert_eq!(
            after("How long does shipping to Germany take?", "And for France?"),
            "And for France long shipping take?"
        );
        assert_eq!(
            after("What is the return period for shoes?", "What about exchanges?"),
            "What about exchanges return period shoes?"
        );
        assert_eq!(
            after("Do you sell gift cards?", "How much do they cost?"),
            "How much do they cost sell gift cards?"
        );
        assert_eq!(after("Do you sell gift cards?", "Why?"), "Why sell gift cards?");
        assert_eq!(
            after("How do I return an item to New Zealand?", "and to Norway"),
            "and to Norway return item?"
        );
    }

    #[test]
    fn french_follow_ups_get_the_words_of_the_question_before() {
        assert_eq!(
            after("Livrez-vous en Belgique ?", "Et combien ça coûte ?"),
            "Et combien ça coûte Livrez Belgique?"
        );
        assert_eq!(
            after("Quel est le délai de livraison en Belgique ?", "Et en Suisse ?"),
            "Et en Suisse délai livraison?"
        );
        assert_eq!(after("Où est mon colis ?", "Et pourquoi ?"), "Et pourquoi colis?");
        assert_eq!(
            after("Comment activer la carte ?", "Combien de temps cela prend ?"),
            "Combien de temps cela prend activer carte?"
        );
    }

    #[test]
    fn whole_questions_stay_as_they_are() {
        for question in [
            "How long does shipping to France take?",
            "Is this card accepted at every cash machine abroad?",
            "Combien coûte une carte supplémentaire ?",
            "My parcel arrived but the screen of the phone in it was broken",
        ] {
            assert_eq!(after("Do you sell gift cards?", question), question);
        }
    }

    #[test]
    fn only_an_answered_question_completes() {
        let history = [
            PastQuestion { text: "Do you sell gift cards?", is_answered: true },
            PastQuestion { text: "Can you sing?", is_answered: false },
        ];
        assert_eq!(complete("And vouchers?", &history).question, "And vouchers sell gift cards?");
        assert!(!complete("And vouchers?", &history[1..]).is_completed);
        assert!(!complete("And vouchers?", &[]).is_completed);
        assert!(!complete("", &history).is_completed);
        assert!(!complete("???", &history).is_completed);
    }
}
