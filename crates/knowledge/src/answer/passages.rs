//! The passages of one question as sentences, with the evidence that each sentence answers.

use super::{
    candidate::Candidate,
    passage_words::{Place, WordFinder},
    question::Question,
    words::{sentences, stemmer},
};
use std::ops::Range;

/// A sentence of a candidate.
#[derive(Debug)]
pub(crate) struct Sentence {
    /// The candidate, by its place in the list.
    pub(crate) candidate: usize,
    /// The place of the sentence in the text of the candidate.
    pub(crate) range: Range<usize>,
    /// The words that are stems of the question, in their order.
    pub(crate) places: Vec<Place>,
    pub(crate) evidence: Evidence,
}

/// How much of a question a sentence and its surroundings repeat, each in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Evidence {
    /// The share of the question's content in the sentence, by the weights of the stems.
    pub(crate) sentence: f64,
    /// That share in the sentence, the one before, the section and the title together.
    pub(crate) around: f64,
    /// That share in the whole passage with section and title.
    pub(crate) passage: f64,
    /// The share of neighbouring content words of the question that are near each other in the sentence.
    pub(crate) pairs: f64,
    /// 1 / rank of the candidate.
    pub(crate) rank: f64,
    /// Whether it is the first sentence of its passage.
    pub(crate) is_first: bool,
    /// Whether it asks something itself.
    pub(crate) is_question: bool,
}

/// The sentences of all candidates, and the weights of the question's stems.
#[derive(Debug)]
pub(crate) struct Passages {
    pub(crate) sentences: Vec<Sentence>,
    /// By stem of the question: ln(1 + (n - df + 1/2) / (df + 1/2)), with the n sentences of the candidates and the df of them
    /// that have the stem, as in BM25. A stem that is in none weighs most.
    pub(crate) weights: Vec<f64>,
}

/// The largest distance, in words, of two words of the question that are near each other.
const NEAR: usize = 4;

/// Stems of the question, as bits.
type Stems = u64;

impl Passages {
    /// Reads the candidates, each with the stemmer of its language.
    pub(crate) fn of(question: &Question, candidates: &[Candidate<'_>]) -> Self {
        let mut found: Vec<Sentence> = Vec::new();
        let mut finders: Vec<(Option<&str>, WordFinder)> = Vec::new();
        // Of each candidate: its first sentence, and the stems of its title and section.
        let mut parts: Vec<(usize, Stems)> = Vec::with_capacity(candidates.len());
        for (candidate, written) in candidates.iter().enumerate() {
            let known = finders.iter().position(|(language, _)| *language == written.language);
            let at = known.unwrap_or_else(|| {
                let finder = WordFinder::new(question, stemmer(written.language));
                finders.push((written.language, finder));
                finders.len() - 1
            });
            let finder = &mut finders[at].1;
            let mut above = Vec::new();
            for heading in [written.title, written.section] {
                finder.places(heading, &mut above);
            }
            parts.push((found.len(), stems_of(&above)));
            for (at, range) in sentences(written.text).into_iter().enumerate() {
                let text = &written.text[range.clone()];
                let mut places = Vec::new();
                finder.places(text, &mut places);
                let evidence = Evidence {
                    rank: 1.0 / (candidate + 1) as f64,
                    is_first: at == 0,
                    is_question: text.ends_with(['?', '？']),
                    ..Evidence::default()
                };
                found.push(Sentence { candidate, range, places, evidence });
            }
        }
        let n_stems = question.stems.len();
        let own: Vec<Stems> = found.iter().map(|sentence| stems_of(&sentence.places)).collect();
        let weights = weights(n_stems, &own);
        let all: f64 = weights.iter().sum();
        let share = |stems: Stems| match all > 0.0 {
            true => {
                let mine = weights.iter().enumerate().filter(|(stem, _)| stems >> stem & 1 == 1);
                mine.map(|(_, weight)| weight).sum::<f64>() / all
            }
            false => 0.0,
        };
        for (at, &(first, above)) in parts.iter().enumerate() {
            let end = parts.get(at + 1).map_or(found.len(), |next| next.0);
            let passage = share(own[first..end].iter().fold(above, |all, stems| all | stems));
            let mut before = 0;
            for (sentence, &own) in found[first..end].iter_mut().zip(&own[first..end]) {
                sentence.evidence.sentence = share(own);
                sentence.evidence.around = share(own | before | above);
                sentence.evidence.passage = passage;
                sentence.evidence.pairs = pairs(&sentence.places, n_stems);
                before = own;
            }
        }
        Self { sentences: found, weights }
    }
}

fn stems_of(places: &[Place]) -> Stems {
    places.iter().fold(0, |stems, (_, stem)| stems | 1 << stem)
}

fn weights(n_stems: usize, sentences: &[Stems]) -> Vec<f64> {
    let n = sentences.len() as f64;
    let weight = |stem: usize| {
        let df = sentences.iter().filter(|stems| **stems >> stem & 1 == 1).count() as f64;
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
    };
    (0..n_stems).map(weight).collect()
}

/// Returns the share of the pairs of neighbouring stems of the question that stand near each other; 0 without a pair.
fn pairs(places: &[Place], n_stems: usize) -> f64 {
    if n_stems < 2 {
        return 0.0;
    }
    let mut near: Stems = 0;
    for (at, &(word, stem)) in places.iter().enumerate() {
        for &(other, next) in places[at + 1..].iter().take_while(|(it, _)| it - word <= NEAR) {
            debug_assert!(other > word, "places are in the order of words");
            if stem.abs_diff(next) == 1 {
                near |= 1 << stem.min(next);
            }
        }
    }
    f64::from(near.count_ones()) / (n_stems - 1) as f64
}
