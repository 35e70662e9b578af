//! The share of a question that one sentence of a passage has.

use crate::index::{Group, each_word, stem};
use botops_documents::sentences;

/// A term of a question, as the documents of one language stem it, with its inverse document frequency.
pub(crate) type WeightedTerm<'a> = (&'a [u8], f32);

/// Memory of [`Coverage::best_sentence`].
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    normal: String,
    term: String,
    found: Vec<bool>,
}

impl Coverage {
    /// Returns the largest share of `terms` that one sentence of `text` has, in [0, 1]; 0 without terms.
    ///
    /// share = sum of idf of the terms in the sentence / sum of idf of all terms
    pub(crate) fn best_sentence(
        &mut self,
        text: &str,
        group: Group,
        terms: &[WeightedTerm<'_>],
    ) -> f64 {
        let total: f64 = terms.iter().map(|(_, idf)| f64::from(*idf)).sum();
        if total <= 0.0 {
            return 0.0;
        }
        let Self { normal, term, found } = self;
        let stemmer = group.stemmer();
        // Stems begin as their words do, so that most words need not be stemmed. Accents are removed after stemming.
        let mut initials = [false; 256];
        terms.iter().for_each(|(term, _)| initials[usize::from(term[0])] = true);
        let mut best = 0.0_f64;
        for sentence in sentences(text) {
            found.clear();
            found.resize(terms.len(), false);
            each_word(&text[sentence], normal, |word| {
                let initial = word.as_bytes()[0];
                if initial.is_ascii() && !initials[usize::from(initial)] {
                    return;
                }
                stem(word, stemmer.as_ref(), term);
                let same = |(known, _): &WeightedTerm<'_>| *known == term.as_bytes();
                if let Some(at) = terms.iter().position(same) {
                    found[at] = true;
                }
            });
            let sum = terms.iter().zip(found.iter()).filter(|(_, found)| **found);
            best = best.max(sum.map(|((_, idf), _)| f64::from(*idf)).sum());
        }
        best / total
    }
}
