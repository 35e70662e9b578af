//! Drift of texts: how well a classifier tells the current texts from those of the reference.
//!
//! At most 10,000 texts of each side, chosen by hash, become TF-IDF rows of words and pairs of words. Near duplicates are
//! in one of five folds. A linear classifier that was trained on the earlier folds scores each fold after the first, and
//! the area under the ROC curve within these folds is the effect: 0.5 if nothing changed.
//!
//! Each fold is scored by a classifier of the folds before it, not of all others. Otherwise two folds would score each
//! other: a chance likeness of two texts in different folds would count twice, while a permutation of the labels within
//! each fold counts it once, and twice as many comparisons as allowed would alarm. In this order, the labels of a fold are
//! exchangeable given all that its classifier saw, so the permutation test is exact, at no loss of power. The distribution
//! over the permutations is nearly normal, and its mean and variance have a closed form (van Elteren), so no permutation
//! is drawn for large samples; it is for small ones, as a check.

mod actions;
mod clusters;
mod fold_test;
mod sample;

pub use actions::{Actions, Candidate, MovedTerm, NewUtterance};
pub use fold_test::TextDrift;

use botops_drift::{DriftCheck, DriftSpec, NotJudged, NotJudgedWhy, Score};
use botops_features::{FeatureMatrix, Tfidf, TfidfSpec};
use botops_findings::Result;
use botops_models::Separator;
use botops_spec::Spec as _;
use botops_text::{NearSpec, near_groups};
use rayon::prelude::*;

/// The most texts of a side that are compared.
pub const MOST_TEXTS: usize = 10_000;
/// The folds.
const FOLDS: u8 = 5;
/// The inverse strength of the regularisation of the classifiers.
const C: f64 = 1.0;
/// The most terms, the most frequent ones.
const MOST_TERMS: usize = 50_000;
/// The name of the check.
const NAME: &str = "text";

/// The texts of two sides, prepared for classifiers.
#[derive(Debug)]
pub struct TextComparison<'a> {
    /// The chosen texts: those of the reference, then the current ones.
    texts: Vec<&'a str>,
    /// The position of each text on its side.
    at: Vec<usize>,
    /// 1 for a current text.
    is_current: Vec<u32>,
    fold: Vec<u8>,
    tfidf: Tfidf,
    x: FeatureMatrix,
}

impl<'a> TextComparison<'a> {
    /// Chooses and prepares the texts. Texts without a word are left out.
    ///
    /// # Errors
    /// `BOT-2272` (exit 4) if a side has no text with a word that two texts share.
    pub fn new(reference: &[&'a str], current: &[&'a str]) -> Result<Self> {
        let mut texts = Vec::new();
        let (mut at, mut is_current) = (Vec::new(), Vec::new());
        for (side, all) in [reference, current].into_iter().enumerate() {
            let chosen = sample::chosen(all, MOST_TEXTS, side as u64);
            texts.extend(chosen.iter().map(|&i| all[i]));
            is_current.extend(chosen.iter().map(|_| side as u32));
            at.extend(chosen);
        }
        let spec = TfidfSpec {
            word_ngrams: [1, 2],
            char_ngrams: [0, 0],
            min_df: 2,
            max_features: Some(MOST_TERMS),
            ..TfidfSpec::default()
        };
        let fitted = Tfidf::fit(&texts, &spec.check()?, |_| {});
        let (tfidf, counts) = fitted.map_err(|_| sample::nothing("no two texts share a word"))?;
        let idf = tfidf.idf_of(&counts, &(0..texts.len() as u32).collect::<Vec<u32>>());
        let x = tfidf.weigh(&counts, &idf);
        let groups = near_groups(&texts, &NearSpec::default()).group_of;
        let fold = sample::folds(&texts, &groups, FOLDS);
        let found = Self { texts, at, is_current, fold, tfidf, x };
        for side in [0, 1] {
            if !found.is_current.contains(&side) {
                return Err(sample::nothing(if side == 0 {
                    "the reference has no text"
                } else {
                    "the current data has no text"
                }));
            }
        }
        Ok(found)
    }

    /// Returns the numbers of compared texts: `[reference, current]`.
    #[must_use]
    pub fn n(&self) -> [u64; 2] {
        let current = self.is_current.iter().filter(|side| **side == 1).count();
        [self.texts.len() - current, current].map(|n| n as u64)
    }

    /// Returns at most `most` of the compared texts of each side: `[reference, current]`.
    #[must_use]
    pub fn fewer(&self, most: usize) -> [Vec<&'a str>; 2] {
        [0, 1].map(|side| {
            let of_side = self.texts.iter().zip(&self.is_current);
            let texts: Vec<&str> =
                of_side.filter(|(_, of)| **of == side).map(|(text, _)| *text).collect();
            sample::chosen(&texts, most, u64::from(side) + 2).iter().map(|&i| texts[i]).collect()
        })
    }

    fn rows(&self, wanted: impl Fn(u8) -> bool) -> Vec<u32> {
        (0..self.texts.len() as u32).filter(|&row| wanted(self.fold[row as usize])).collect()
    }

    /// Tests whether a classifier tells the sides apart; `None` if too few folds have texts of both sides, because
    /// nearly all texts are near duplicates of one another.
    #[must_use]
    pub fn test(&self) -> Option<TextDrift> {
        let folds: Vec<fold_test::Fold> = (1..FOLDS)
            .into_par_iter()
            .filter_map(|fold| {
                let separator =
                    Separator::fit(&self.x, &self.rows(|other| other < fold), &self.is_current, C)?;
                let held = self.rows(|other| other == fold);
                let scores = held.iter().map(|&row| separator.score(self.x.row(row as usize)));
                let is_current = held.iter().map(|&row| self.is_current[row as usize] == 1);
                fold_test::Fold::new(scores.collect(), is_current.collect())
            })
            .collect();
        fold_test::test(&folds, self.n())
    }

    /// Returns the log odds that each compared text is a current one, by a classifier of all other folds.
    fn held_out_scores(&self) -> Vec<f64> {
        let mut scores = vec![0.0; self.texts.len()];
        let folds: Vec<(Vec<u32>, Option<Separator>)> = (0..FOLDS)
            .into_par_iter()
            .map(|fold| {
                let learned = self.rows(|other| other != fold);
                let separator = Separator::fit(&self.x, &learned, &self.is_current, C);
                (self.rows(|other| other == fold), separator)
            })
            .collect();
        for (held, separator) in folds {
            for row in held {
                let row = row as usize;
                scores[row] =
                    separator.as_ref().map_or(0.0, |fitted| fitted.score(self.x.row(row)));
            }
        }
        scores
    }
}

/// Compares the texts of two sides, and returns the check for [`DriftReport::with`](botops_drift::DriftReport::with), or
/// the reason why there is none.
///
/// # Errors
/// The reason, as it is listed in a report.
pub fn check_texts(
    compared: &Result<TextComparison<'_>>,
    spec: &DriftSpec,
) -> Result<DriftCheck, NotJudged> {
    let not = |why: NotJudgedWhy, reason: &str| NotJudged {
        name: NAME.to_owned(),
        why,
        reason: reason.to_owned(),
    };
    let compared =
        compared.as_ref().map_err(|fault| not(NotJudgedWhy::NoValue, fault.message()))?;
    let found = compared.test().ok_or_else(|| {
        not(NotJudgedWhy::TooFew, "nearly all texts are near duplicates of one another")
    })?;
    Ok(found.check(spec))
}

impl TextDrift {
    /// Returns the check of a drift report.
    #[must_use]
    pub fn check(&self, spec: &DriftSpec) -> DriftCheck {
        let score = Score::normal("auc", self.auc, [0.5, self.sd], spec.min_auc);
        let n = [self.n_reference, self.n_current];
        DriftCheck::further(NAME, "domain_classifier", n, self.p_value, score)
    }
}

#[cfg(test)]
mod tests;
