//! Groups of questions that got no right answer: a list of what the documents lack.

use super::{outcome::QuestionOutcome, question::QuestionSet};
use botops_knowledge::answer::is_stop_word;
use botops_text::{fold, words_of};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The least cosine similarity of two questions of one group.
const SIMILAR: f64 = 0.3;
/// The most questions that are grouped; the comparison of all pairs grows with their square.
const MOST_GROUPED: usize = 5_000;
/// The most examples and shared words of a group.
const MOST_SHOWN: usize = 5;

/// A group of similar questions without a right answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The number of questions.
    pub n: u64,
    /// The words that at least half of the questions share, the rarest first; at most 5.
    pub words: Vec<String>,
    /// The ids of the questions.
    pub questions: Vec<String>,
    /// The first questions of the group, at most 5.
    pub examples: Vec<String>,
}

/// Returns the groups of the questions that got no right answer, the largest first.
///
/// A question is in the list if no answer was given, or its passage was not among the first 10. Two questions are similar if the
/// cosine of their TF-IDF vectors of content words is at least 0.3; idf = ln((1 + n) / (1 + df)) + 1 over all questions of the set. A group
/// is joined by chains of similar questions. Only the first 5,000 are grouped.
#[must_use]
pub fn gaps(set: &QuestionSet, outcomes: &[QuestionOutcome]) -> Vec<Gap> {
    let words: Vec<BTreeSet<String>> = set
        .questions
        .iter()
        .map(|question| {
            words_of(&fold(&question.text))
                .filter(|word| !is_stop_word(word))
                .map(str::to_owned)
                .collect()
        })
        .collect();
    let mut frequency: BTreeMap<&str, usize> = BTreeMap::new();
    for word in words.iter().flatten() {
        *frequency.entry(word).or_default() += 1;
    }
    let n = set.questions.len() as f64;
    let idf = |word: &str| {
        let df = frequency.get(word).copied().unwrap_or(0);
        ((1.0 + n) / (1.0 + df as f64)).ln() + 1.0
    };
    // A word of every fourth question says nothing about its subject.
    let is_common = |word: &str| frequency[word] as f64 > 3.0_f64.max(n / 4.0);
    let lacking: Vec<usize> = outcomes
        .iter()
        .filter(|it| !it.is_answered || it.n_places > 0 && it.ranks.is_empty())
        .map(|it| it.question)
        .take(MOST_GROUPED)
        .collect();
    let vectors: Vec<BTreeMap<&str, f64>> = lacking
        .iter()
        .map(|&at| {
            let kept = words[at].iter().filter(|word| !is_common(word));
            let raw: BTreeMap<&str, f64> = kept.map(|word| (word.as_str(), idf(word))).collect();
            let norm = raw.values().map(|weight| weight * weight).sum::<f64>().sqrt().max(1e-12);
            raw.into_iter().map(|(word, weight)| (word, weight / norm)).collect()
        })
        .collect();
    let mut group_of: Vec<usize> = (0..lacking.len()).collect();
    let mut postings: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for (at, vector) in vectors.iter().enumerate() {
        let mut similarity: BTreeMap<usize, f64> = BTreeMap::new();
        for (word, weight) in vector {
            for (other, there) in postings.get(word).into_iter().flatten() {
                *similarity.entry(*other).or_default() += weight * there;
            }
        }
        for (other, _) in similarity.into_iter().filter(|(_, cosine)| *cosine >= SIMILAR) {
            let (a, b) = (root(&group_of, at), root(&group_of, other));
            group_of[a.max(b)] = a.min(b);
        }
        for (word, weight) in vector {
            postings.entry(word).or_default().push((at, *weight));
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..lacking.len() {
        members.entry(root(&group_of, at)).or_default().push(at);
    }
    let mut gaps: Vec<Gap> = members
        .into_values()
        .map(|members| {
            let of_group = members.iter().map(|&at| &set.questions[lacking[at]]);
            Gap {
                n: members.len() as u64,
                words: shared_words(&members, &vectors, idf),
                questions: of_group.clone().map(|question| question.id.clone()).collect(),
                examples: of_group.take(MOST_SHOWN).map(|question| question.text.clone()).collect(),
            }
        })
        .collect();
    // Groups of one size keep the order of the file.
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.n));
    gaps
}

fn root(group_of: &[usize], mut at: usize) -> usize {
    while group_of[at] != at {
        at = group_of[at];
    }
    at
}

fn shared_words(
    members: &[usize],
    vectors: &[BTreeMap<&str, f64>],
    idf: impl Fn(&str) -> f64,
) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in members.iter().flat_map(|&at| vectors[at].keys()) {
        *counts.entry(word).or_default() += 1;
    }
    let mut shared: Vec<&str> = counts
        .into_iter()
        .filter(|(_, count)| 2 * count >= members.len())
        .map(|(word, _)| word)
        .collect();
    shared.sort_by(|a, b| idf(b).total_cmp(&idf(a)).then(a.cmp(b)));
    shared.into_iter().take(MOST_SHOWN).map(str::to_owned).collect()
}
