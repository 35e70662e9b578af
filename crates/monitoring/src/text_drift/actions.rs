//! Actions after a drift of texts: the terms that moved, the utterances that are surest to be new, and their clusters as
//! candidates for new intents.

use super::{TextComparison, clusters};
use botops_features::TermKind;
use botops_stats::special::normal_quantile;
use botops_text as text;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The fewest texts of a side with a term that is listed: a rarer one might name a person.
const LEAST_TEXTS: u32 = 5;
/// The most terms listed in each direction.
const MOST_TERMS: usize = 12;
/// The rate at which sampling alone lists a term, over all terms.
const TERM_ALPHA: f64 = 0.05;
/// The share of current texts among those that are called new, for sides of equal size.
const PRECISION: f64 = 0.9;
/// The most utterances called new.
const MOST_NEW: usize = 2_000;

/// A term whose share of texts moved by more than sampling explains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MovedTerm {
    /// One or two words in small letters.
    pub term: String,
    /// The share of the texts of the reference that have it.
    pub reference: f64,
    /// The share of the current texts that have it.
    pub current: f64,
    /// The difference in standard errors.
    pub z: f64,
}

/// An utterance that the classifier is sure to be new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewUtterance {
    /// The position among the texts of the current side that were given.
    pub at: usize,
    /// The text, with personal data replaced.
    pub text: String,
    /// The probability that it is a current text, for sides of equal size, by a classifier that did not see it.
    pub probability: f64,
    /// The number of current texts that are equal to it after folding, among the compared ones.
    pub count: u64,
    /// The index of its cluster in [`Actions::candidates`], if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<usize>,
}

/// A cluster of new utterances: a candidate for a new intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The proposed name, of the words that set the cluster apart.
    pub name: String,
    /// The number of current texts in it.
    pub n_texts: u64,
    /// Their share of the compared current texts.
    pub share: f64,
    /// The terms that set it apart, the strongest first.
    pub terms: Vec<String>,
    /// The texts next to the middle of the cluster, with personal data replaced.
    pub examples: Vec<String>,
}

/// The actions that follow from a drift of texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Actions {
    /// The terms that moved, the most significant first.
    pub terms: Vec<MovedTerm>,
    /// Candidates for new intents, the largest first.
    pub candidates: Vec<Candidate>,
    /// The utterances that are surest to be new, each text once, the surest first.
    pub new: Vec<NewUtterance>,
}

impl TextComparison<'_> {
    /// Returns the actions. `known` are the names of the intents that exist: a proposed name is none of them.
    #[must_use]
    pub fn actions(&self, known: &[&str]) -> Actions {
        let scores = self.held_out_scores();
        let sure = self.surest(&scores);
        let clusters = clusters::clusters(&self.x, &sure);
        let n_current = self.n()[1] as f64;
        let mut names: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        let mut candidate_of: HashMap<usize, usize> = HashMap::new();
        let mut candidates = Vec::new();
        for cluster in clusters {
            let distinct: std::collections::HashSet<String> =
                cluster.iter().map(|&row| text::fold(self.texts[row])).collect();
            let terms = self.terms_of(&cluster);
            if distinct.len() < clusters::LEAST_DISTINCT || terms.is_empty() {
                continue;
            }
            let name = unused(&proposed(&terms), &names);
            names.push(name.clone());
            candidate_of.extend(cluster.iter().map(|&row| (row, candidates.len())));
            candidates.push(Candidate {
                name,
                n_texts: cluster.len() as u64,
                share: cluster.len() as f64 / n_current,
                terms: terms.into_iter().take(5).map(|(term, _)| term).collect(),
                examples: self.examples(&cluster, 3),
            });
        }
        let new = self.each_once(&sure, &scores, &candidate_of);
        Actions { terms: self.moved_terms(), candidates, new }
    }

    /// Returns the current texts with the highest scores, of which at least [`PRECISION`] would be current if the sides
    /// were of equal size; the surest first.
    fn surest(&self, scores: &[f64]) -> Vec<usize> {
        let [n, m] = self.n().map(|n| n as f64);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| {
            scores[b].total_cmp(&scores[a]).then_with(|| self.texts[a].cmp(self.texts[b]))
        });
        let (mut reference, mut current, mut last) = (0.0, 0.0, 0);
        for (place, &row) in order.iter().enumerate() {
            match self.is_current[row] {
                1 => current += 1.0 / m,
                _ => reference += 1.0 / n,
            }
            // Texts with one score are either all called new, or none is.
            let ends = order.get(place + 1).is_none_or(|&next| scores[next] < scores[row]);
            if ends && scores[row] > 0.0 && current >= PRECISION * (current + reference) {
                last = place + 1;
            }
        }
        let new = order[..last].iter().copied().filter(|&row| self.is_current[row] == 1);
        new.take(MOST_NEW).collect()
    }

    /// Returns the utterances `sure`, equal ones once.
    fn each_once(
        &self,
        sure: &[usize],
        scores: &[f64],
        candidate_of: &HashMap<usize, usize>,
    ) -> Vec<NewUtterance> {
        let mut at: HashMap<String, usize> = HashMap::new();
        let mut new: Vec<NewUtterance> = Vec::new();
        for &row in sure {
            let redacted = text::redact(self.texts[row]);
            let place = *at.entry(text::fold(&redacted)).or_insert(new.len());
            if let Some(known) = new.get_mut(place) {
                known.count += 1;
                known.candidate = known.candidate.or(candidate_of.get(&row).copied());
                continue;
            }
            new.push(NewUtterance {
                at: self.at[row],
                text: redacted,
                probability: 1.0 / (1.0 + (-scores[row]).exp()),
                count: 1,
                candidate: candidate_of.get(&row).copied(),
            });
        }
        new
    }

    /// Returns the number of texts with each term: in the reference, in the current data.
    fn document_counts(&self) -> Vec<[u32; 2]> {
        let mut counts = vec![[0_u32; 2]; self.x.n_features()];
        for row in 0..self.texts.len() {
            let (columns, values) = self.x.row(row);
            for (column, _) in columns.iter().zip(values).filter(|(_, value)| **value > 0.0) {
                counts[*column as usize][self.is_current[row] as usize] += 1;
            }
        }
        counts
    }

    /// Returns the terms whose shares differ by more than sampling explains, the most significant first.
    fn moved_terms(&self) -> Vec<MovedTerm> {
        let [n, m] = self.n().map(|n| n as f64);
        let counts = self.document_counts();
        let tested = counts.iter().filter(|[r, c]| (*r).max(*c) >= LEAST_TEXTS).count().max(1);
        let least = normal_quantile(1.0 - TERM_ALPHA / 2.0 / tested as f64);
        let mut moved: Vec<MovedTerm> = counts
            .iter()
            .enumerate()
            .filter(|(id, [r, c])| (*r).max(*c) >= LEAST_TEXTS && self.may_be_shown(*id))
            .map(|(id, [r, c])| {
                let (p, q) = (f64::from(*r) / n, f64::from(*c) / m);
                let both = f64::from(r + c) / (n + m);
                let error = (both * (1.0 - both) * (1.0 / n + 1.0 / m)).sqrt();
                let z = if error > 0.0 { (q - p) / error } else { 0.0 };
                MovedTerm { term: self.term(id).to_owned(), reference: p, current: q, z }
            })
            .filter(|moved| moved.z.abs() >= least)
            .collect();
        moved.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then_with(|| a.term.cmp(&b.term)));
        let mut left = [MOST_TERMS; 2];
        moved.retain(|moved| {
            let left = &mut left[usize::from(moved.z > 0.0)];
            *left = left.saturating_sub(1);
            *left > 0
        });
        moved
    }

    fn term(&self, id: usize) -> &str {
        &self.tfidf.vocabulary().terms()[id].text
    }

    /// Returns whether a term is made of words without digits, and holds no personal data.
    fn may_be_shown(&self, id: usize) -> bool {
        let term = &self.tfidf.vocabulary().terms()[id];
        term.kind == TermKind::Words
            && !term.text.chars().any(char::is_numeric)
            && text::redact(&term.text) == term.text
    }

    /// Returns the terms that set a cluster of rows apart from the reference, with the share of the rows that have them.
    fn terms_of(&self, rows: &[usize]) -> Vec<(String, f64)> {
        let n_reference = self.n()[0] as f64;
        let counts = self.document_counts();
        let mut within: HashMap<u32, u32> = HashMap::new();
        for &row in rows {
            let (columns, values) = self.x.row(row);
            for (column, _) in columns.iter().zip(values).filter(|(_, value)| **value > 0.0) {
                *within.entry(*column).or_default() += 1;
            }
        }
        let mut terms: Vec<(f64, String, f64)> = within
            .into_iter()
            .filter(|(id, n)| *n >= 2 && self.may_be_shown(*id as usize))
            .map(|(id, n)| {
                let share = f64::from(n) / rows.len() as f64;
                let before = (f64::from(counts[id as usize][0]) + 0.5) / (n_reference + 1.0);
                (share * (share / before).ln(), self.term(id as usize).to_owned(), share)
            })
            .filter(|(strength, ..)| *strength > 0.0)
            .collect();
        terms.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        terms.into_iter().map(|(_, term, share)| (term, share)).collect()
    }

    /// Returns the texts nearest to the middle of a cluster, different ones, redacted.
    fn examples(&self, rows: &[usize], most: usize) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for row in clusters::nearest(&self.x, rows) {
            let redacted = text::redact(self.texts[row]);
            if found.iter().all(|other| text::fold(other) != text::fold(&redacted)) {
                found.push(redacted);
            }
            if found.len() == most {
                break;
            }
        }
        found
    }
}

/// Returns a name of the strongest terms: a pair of words that many texts have, or one or two single words.
fn proposed(terms: &[(String, f64)]) -> String {
    let is_word = |term: &str| !term.contains(' ') && term.chars().count() > 2;
    let words: Vec<&(String, f64)> = terms.iter().filter(|(term, _)| is_word(term)).collect();
    let Some((first, share)) = words.first().map(|(term, share)| (term.as_str(), *share)) else {
        return terms[0].0.replace(' ', "_");
    };
    let pair = terms.iter().find(|(term, of)| {
        let mut parts = term.split(' ');
        term.contains(' ')
            && *of >= 0.4 * share
            && parts.clone().any(|part| part == first)
            && parts.all(is_word)
    });
    match (pair, words.get(1)) {
        (Some((pair, _)), _) => pair.replace(' ', "_"),
        (None, Some((second, of))) if *of >= 0.3 => format!("{first}_{second}"),
        _ => first.to_owned(),
    }
}

/// Returns `name`, with a number if it is one of `names`.
fn unused(name: &str, names: &[String]) -> String {
    let taken = |name: &str| names.iter().any(|other| other == name);
    let numbered = (2_u32..).map(|i| format!("{name}_{i}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !taken(name))
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_strongest_words_and_new() {
        let terms = |list: &[(&str, f64)]| -> Vec<(String, f64)> {
            list.iter().map(|(term, share)| ((*term).to_owned(), *share)).collect()
        };
        assert_eq!(
            proposed(&terms(&[("gift card", 0.8), ("card", 0.9), ("gift", 0.8)])),
            "gift_card"
        );
        assert_eq!(
            proposed(&terms(&[("scooter", 0.9), ("my scooter", 0.5), ("range", 0.4)])),
            "scooter_range"
        );
        assert_eq!(proposed(&terms(&[("scooter", 0.9), ("the", 0.1)])), "scooter");
        assert_eq!(proposed(&terms(&[("to go", 0.9)])), "to_go");
        assert_eq!(unused("refund", &["refund".to_owned(), "refund_2".to_owned()]), "refund_3");
    }
}
