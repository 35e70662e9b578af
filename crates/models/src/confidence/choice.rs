//! Compares scores by how well they separate in-scope from out-of-scope records, and chooses one.

use super::{rounding::storable, score::OosScore, spec::FallbackSpec, unseen::JudgedRecord};
use botops_findings::{Fault, Result};
use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    selective::RiskCoverage,
    separation::{Estimate, separation},
};
use serde::{Deserialize, Serialize};

/// The smallest number of out-of-scope records to compare scores on: AUROC is then known to about 0.1.
const FEWEST_TO_COMPARE: usize = 30;

/// The smallest number of out-of-scope records to learn a class from: two in each of five folds.
const FEWEST_TO_LEARN: usize = 10;

/// The quality of one score on records that the model did not see.
///
/// Ratios are in [0, 1]. In scope is the positive class. An interval is a percentile interval of 2,000 bootstrap draws
/// that resample in-scope and out-of-scope records separately.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreComparison {
    /// The score.
    pub score: OosScore,
    /// Number of in-scope records.
    pub n_in_scope: u64,
    /// Number of out-of-scope records.
    pub n_oos: u64,
    /// Area under the ROC curve; 0.5 is chance.
    pub auroc: Estimate,
    /// Average precision of detecting in-scope records.
    pub aupr: Estimate,
    /// Average precision of detecting out-of-scope records.
    pub aupr_oos: Estimate,
    /// Share of out-of-scope records that pass the threshold that 95 % of the in-scope records pass.
    pub fpr95: Estimate,
    /// Area under the risk-coverage curve: the share of wrong answers, averaged over all coverages; any answer to an
    /// out-of-scope message is wrong.
    pub aurc: Estimate,
}

/// A score to compare, with the records to measure it on.
pub(super) struct Candidate<'a> {
    pub(super) score: OosScore,
    pub(super) temperature: f64,
    pub(super) judged: &'a [JudgedRecord],
}

impl FallbackSpec {
    /// Returns whether the spec alone determines the fallback rule: a fixed threshold of the confidence.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.target_accuracy.is_none()
            && self.min_oos_declined.is_none()
            && self.score.named() == Some(OosScore::MaxProbability)
    }

    /// Returns whether to learn a class from `n_oos` out-of-scope records, if only to compare its score.
    ///
    /// # Errors
    /// `BOT-7061` (exit 4) if the spec names this score and there are too few records.
    pub fn learns_oos_class(&self, n_oos: usize) -> Result<bool> {
        match self.score.named() {
            Some(OosScore::OosClass) if n_oos < FEWEST_TO_LEARN => Err(Fault::insufficient(
                "BOT-7061",
                format!(
                    "`fallback.score: oos_class` learns from out-of-scope records, and the data has {n_oos}: at least \
                     {FEWEST_TO_LEARN} are needed"
                ),
            )
            .hint(format!("label out-of-scope records `{}`", botops_labels::OOS))
            .hint("or choose `max_probability`, `max_logit` or `energy`, which do not need out-of-scope records")),
            Some(score) => Ok(score == OosScore::OosClass),
            None => Ok(self.compares(n_oos)),
        }
    }

    /// Returns whether scores are compared on `n_oos` out-of-scope records.
    pub(crate) fn compares(&self, n_oos: usize) -> bool {
        self.score.named().is_none() && n_oos >= self.fewest_to_compare()
    }

    /// Returns the smallest number of out-of-scope records to compare scores on; with a target, half of them are used.
    pub(crate) fn fewest_to_compare(&self) -> usize {
        if self.target_accuracy.is_some() { 2 * FEWEST_TO_COMPARE } else { FEWEST_TO_COMPARE }
    }
}

/// Measures each candidate; a candidate whose score cannot be computed is skipped.
pub(super) fn compare(
    candidates: &[Candidate<'_>],
    resampling: &Resampling,
) -> Vec<ScoreComparison> {
    candidates.iter().filter_map(|candidate| measure(candidate, resampling)).collect()
}

/// Returns the best score: with a target, the one with the smallest area under the risk-coverage curve, because the
/// answers have to be right; without a target, the one with the largest AUROC. Ties go to the first.
pub(super) fn best(compared: &[ScoreComparison], spec: &FallbackSpec) -> Option<OosScore> {
    let quality = |row: &ScoreComparison| match spec.target_accuracy {
        Some(_) => -row.aurc.value,
        None => row.auroc.value,
    };
    let mut rows = compared.iter();
    let first = rows.next()?;
    let best = rows.fold(first, |best, row| if quality(row) > quality(best) { row } else { best });
    Some(best.score)
}

fn measure(candidate: &Candidate<'_>, resampling: &Resampling) -> Option<ScoreComparison> {
    let scored: Option<Vec<(f64, &JudgedRecord)>> = candidate
        .judged
        .iter()
        .map(|judged| {
            Some((judged.evidence.score(candidate.score, candidate.temperature)?, judged))
        })
        .collect();
    let (in_scope, out_of_scope): (Vec<_>, Vec<_>) =
        scored?.into_iter().partition(|(_, judged)| judged.in_scope);
    let scores =
        |side: &[(f64, &JudgedRecord)]| side.iter().map(|(score, _)| *score).collect::<Vec<_>>();
    let separation = separation(&scores(&in_scope), &scores(&out_of_scope), resampling)?;
    let strata = [in_scope.len(), out_of_scope.len()];
    let samples: Vec<(f64, bool)> = in_scope
        .iter()
        .chain(&out_of_scope)
        .map(|(score, judged)| (*score, judged.wrong))
        .collect();
    let curve = RiskCoverage::of(&samples);
    let [interval] =
        percentile_intervals(&strata, resampling, || (), |(), counts| [curve.area(counts)]);
    let aurc = Estimate::holding(curve.area(&vec![1; samples.len()]), interval);
    Some(ScoreComparison {
        score: candidate.score,
        n_in_scope: in_scope.len() as u64,
        n_oos: out_of_scope.len() as u64,
        auroc: rounded(separation.auroc),
        aupr: rounded(separation.aupr),
        aupr_oos: rounded(separation.aupr_negative),
        fpr95: rounded(separation.fpr95),
        aurc: rounded(aurc),
    })
}

/// Rounds value and interval, so that JSON reads them as they were written.
fn rounded(estimate: Estimate) -> Estimate {
    Estimate { value: storable(estimate.value), ci95: estimate.ci95.map(storable) }
}
