//! Which score decides: each held against records that are out of scope.

use super::{score::OosScore, spec::FallbackSpec, storable, unseen::Judged};
use botops_findings::{Fault, Result};
use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    selective::RiskCoverage,
    separation::{Estimate, separation},
};
use serde::{Deserialize, Serialize};

/// Fewer out-of-scope records than this do not tell scores apart: AUROC is known to about a tenth.
const FEWEST_TO_COMPARE: usize = 30;

/// Fewer out-of-scope records than this make no class: two of each of five folds.
const FEWEST_TO_LEARN: usize = 10;

/// How well one score does on records that the model did not see.
///
/// Ratios are in [0, 1]. In scope is positive; an interval is the percentiles of 2,000 bootstrap draws, in-scope and
/// out-of-scope records resampled each by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreComparison {
    /// The score.
    pub score: OosScore,
    /// In-scope records.
    pub n_in_scope: u64,
    /// Out-of-scope records.
    pub n_oos: u64,
    /// Area under the ROC curve; 0.5 is chance.
    pub auroc: Estimate,
    /// Average precision of finding what is in scope.
    pub aupr: Estimate,
    /// Average precision of finding what is out of scope.
    pub aupr_oos: Estimate,
    /// Share of out-of-scope records that pass where 95 % of the in-scope ones do.
    pub fpr95: Estimate,
    /// Area under the risk-coverage curve: the mean share of wrong answers, from the surest message down to all;
    /// any answer to an out-of-scope message is wrong.
    pub aurc: Estimate,
}

/// A score that may decide, and what it says of each record.
pub(super) struct Candidate<'a> {
    pub(super) score: OosScore,
    pub(super) temperature: f64,
    pub(super) judged: &'a [Judged],
}

impl FallbackSpec {
    /// Returns whether the threshold is stated, on the confidence: nothing about it has to be found in training.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.target_accuracy.is_none() && self.score.named() == Some(OosScore::MaxProbability)
    }

    /// Returns whether a class of its own is to be learned from `n_oos` out-of-scope records, be it to compare.
    ///
    /// # Errors
    /// `BOT-7061` (exit 4) when it is asked for and there are too few.
    pub fn learns_oos_class(&self, n_oos: usize) -> Result<bool> {
        match self.score.named() {
            Some(OosScore::OosClass) if n_oos < FEWEST_TO_LEARN => Err(Fault::insufficient(
                "BOT-7061",
                format!(
                    "`fallback.score: oos_class` learns from out-of-scope records, and the data has {n_oos}: at least \
                     {FEWEST_TO_LEARN} are needed"
                ),
            )
            .hint(format!("label what is out of scope `{}`", botops_labels::OOS))
            .hint("or choose another score: `max_probability`, `max_logit` and `energy` need no such records")),
            Some(score) => Ok(score == OosScore::OosClass),
            None => Ok(self.compares(n_oos)),
        }
    }

    /// Returns whether scores are compared on `n_oos` out-of-scope records.
    pub(crate) fn compares(&self, n_oos: usize) -> bool {
        self.score.named().is_none() && n_oos >= self.fewest_to_compare()
    }

    /// Returns the fewest out-of-scope records on which scores are compared; with a target, half of them do.
    pub(crate) fn fewest_to_compare(&self) -> usize {
        if self.target_accuracy.is_some() { 2 * FEWEST_TO_COMPARE } else { FEWEST_TO_COMPARE }
    }
}

/// Measures each candidate; one that lacks what its score is made of is left out.
pub(super) fn compare(
    candidates: &[Candidate<'_>],
    resampling: &Resampling,
) -> Vec<ScoreComparison> {
    candidates.iter().filter_map(|candidate| measure(candidate, resampling)).collect()
}

/// Returns the best: with a target, the smallest area under risk-coverage, since what is answered has to be right;
/// without one, the largest AUROC. Ties go to the first.
pub(super) fn best(compared: &[ScoreComparison], spec: &FallbackSpec) -> Option<OosScore> {
    let worth = |row: &ScoreComparison| match spec.target_accuracy {
        Some(_) => -row.aurc.value,
        None => row.auroc.value,
    };
    let mut rows = compared.iter();
    let first = rows.next()?;
    let best = rows.fold(first, |best, row| if worth(row) > worth(best) { row } else { best });
    Some(best.score)
}

fn measure(candidate: &Candidate<'_>, resampling: &Resampling) -> Option<ScoreComparison> {
    let scored: Option<Vec<(f64, &Judged)>> = candidate
        .judged
        .iter()
        .map(|judged| {
            Some((judged.evidence.score(candidate.score, candidate.temperature)?, judged))
        })
        .collect();
    let (inside, outside): (Vec<_>, Vec<_>) =
        scored?.into_iter().partition(|(_, judged)| judged.in_scope);
    let scores = |side: &[(f64, &Judged)]| side.iter().map(|(score, _)| *score).collect::<Vec<_>>();
    let found = separation(&scores(&inside), &scores(&outside), resampling)?;
    let strata = [inside.len(), outside.len()];
    let samples: Vec<(f64, bool)> =
        inside.iter().chain(&outside).map(|(score, judged)| (*score, judged.wrong)).collect();
    let curve = RiskCoverage::of(&samples);
    let [interval] =
        percentile_intervals(&strata, resampling, || (), |(), counts| [curve.area(counts)]);
    let aurc = Estimate::holding(curve.area(&vec![1; samples.len()]), interval);
    Some(ScoreComparison {
        score: candidate.score,
        n_in_scope: inside.len() as u64,
        n_oos: outside.len() as u64,
        auroc: short(found.auroc),
        aupr: short(found.aupr),
        aupr_oos: short(found.aupr_negative),
        fpr95: short(found.fpr95),
        aurc: short(aurc),
    })
}

fn short(estimate: Estimate) -> Estimate {
    Estimate { value: storable(estimate.value), ci95: estimate.ci95.map(storable) }
}
