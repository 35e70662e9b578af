//! Rephrases: a user who says the same again was not helped.

use botops_text::{normalise, strip_accents, words_of};
use std::collections::BTreeSet;

/// The fewest words of a message that can be a rephrase: `yes` and `thanks` are said again for other reasons.
const LEAST_WORDS: usize = 2;

/// Returns whether `text` says the same as the message `before` it: the two have at least half of their words in common, in
/// any order, without case and accents. Messages of one word never do.
#[must_use]
pub fn is_rephrase(before: &str, text: &str) -> bool {
    let [before, text] = [before, text].map(|text| strip_accents(&normalise(text)));
    let [before, text] = [&before, &text].map(|text| words_of(text).collect::<BTreeSet<_>>());
    if before.len() < LEAST_WORDS || text.len() < LEAST_WORDS {
        return false;
    }
    let (common, all) = (before.intersection(&text).count(), before.union(&text).count());
    2 * common >= all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_in_another_order_or_with_a_few_others_are_a_rephrase() {
        for (before, text, expected) in [
            ("where is my order", "my order, where is it?", true),
            ("where is my parcel", "Where is my PARCEL now", true),
            ("ou est ma commande", "où est ma commande ?", true),
            ("where is my order", "where is my order", true),
            ("where is my order", "i want my money back", false),
            ("where is my order", "order", false),
            ("thanks", "thanks", false),
            ("", "", false),
        ] {
            assert_eq!(is_rephrase(before, text), expected, "{before} / {text}");
            assert_eq!(is_rephrase(text, before), expected, "{text} / {before}");
        }
    }
}
