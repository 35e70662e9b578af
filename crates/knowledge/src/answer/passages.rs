//! The passages of one question as sentences of words, with the evidence that each sentence answers.

use super::{
    candidate::Candidate,
    question::Question,
    word_class::Class,
    words::{Word, sentences, words},
};
use rust_stemmers::Stemmer;
use std::{collections::BTreeSet, ops::Range};

/// A sentence of a candidate.
#[derive(Debug)]
pub(crate) struct Sentence {
    /// The candidate, by its place in the list.
    pub(crate) candidate: usize,
    /// The place of the sentence in the text of the candidate.
    pub(crate) range: Range<usize>,
    /// Its words; their places are those in the text of the candidate.
    pub(crate) words: Vec<Word>,
    /// For each word, the question stem that it is, by its place in [`Question::stems`].
    pub(crate) matches: Vec<Option<usize>>,
    /// The words that are stems of the question: their places, each with that of its stem.
    pub(crate) places: Vec<(usize, usize)>,
    /// The classes of its words.
    pub(crate) classes: Vec<Class>,
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

impl Passages {
    pub(crate) fn of(
        question: &Question,
        candidates: &[Candidate<'_>],
        stemmer: Option<&Stemmer>,
    ) -> Self {
        let mut found: Vec<Sentence> = Vec::new();
        let place = |word: &Word| match word.is_stop_word {
            true => None,
            false => question.stems.iter().position(|stem| *stem == word.stem),
        };
        for (candidate, written) in candidates.iter().enumerate() {
            for (at, range) in sentences(written.text).into_iter().enumerate() {
                let mut words = words(&written.text[range.clone()], stemmer);
                for word in &mut words {
                    word.range = word.range.start + range.start..word.range.end + range.start;
                }
                let matches: Vec<Option<usize>> = words.iter().map(place).collect();
                let named = matches.iter().enumerate();
                let places = named.filter_map(|(at, stem)| Some((at, (*stem)?))).collect();
                let classes = words.iter().map(Class::of).collect();
                let is_question = written.text[range.clone()].ends_with(['?', '？']);
                let evidence = Evidence {
                    rank: 1.0 / (candidate + 1) as f64,
                    is_first: at == 0,
                    is_question,
                    ..Evidence::default()
                };
                found.push(Sentence {
                    candidate,
                    range,
                    words,
                    matches,
                    places,
                    classes,
                    evidence,
                });
            }
        }
        let weights = weights(question, &found);
        let all: f64 = weights.iter().sum();
        let share = |stems: &BTreeSet<usize>| match all > 0.0 {
            true => stems.iter().map(|&stem| weights[stem]).sum::<f64>() / all,
            false => 0.0,
        };
        for (candidate, written) in candidates.iter().enumerate() {
            let mut above = BTreeSet::new();
            for heading in [written.title, written.section] {
                above.extend(words(heading, stemmer).iter().filter_map(place));
            }
            let of_candidate = |sentence: &&mut Sentence| sentence.candidate == candidate;
            let stems = |sentence: &Sentence| -> BTreeSet<usize> {
                sentence.matches.iter().flatten().copied().collect()
            };
            let mut whole = above.clone();
            found
                .iter_mut()
                .filter(of_candidate)
                .for_each(|sentence| whole.extend(stems(sentence)));
            let passage = share(&whole);
            let mut before = BTreeSet::new();
            for sentence in found.iter_mut().filter(of_candidate) {
                let own = stems(sentence);
                let around: BTreeSet<usize> =
                    own.iter().chain(&before).chain(&above).copied().collect();
                sentence.evidence.sentence = share(&own);
                sentence.evidence.around = share(&around);
                sentence.evidence.passage = passage;
                sentence.evidence.pairs = pairs(&sentence.places, question.stems.len());
                before = own;
            }
        }
        Self { sentences: found, weights }
    }
}

fn weights(question: &Question, sentences: &[Sentence]) -> Vec<f64> {
    let n = sentences.len() as f64;
    let weight = |stem: usize| {
        let with = sentences.iter().filter(|sentence| sentence.matches.contains(&Some(stem)));
        let df = with.count() as f64;
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
    };
    (0..question.stems.len()).map(weight).collect()
}

/// Returns the share of the pairs of neighbouring stems of the question that stand near each other; 0 without a pair.
fn pairs(places: &[(usize, usize)], n_stems: usize) -> f64 {
    if n_stems < 2 {
        return 0.0;
    }
    let is_near = |first: usize| {
        places.iter().any(|&(at, stem)| {
            stem == first
                && places
                    .iter()
                    .any(|&(other, next)| next == first + 1 && other.abs_diff(at) <= NEAR)
        })
    };
    (0..n_stems - 1).filter(|&first| is_near(first)).count() as f64 / (n_stems - 1) as f64
}
