//! The report of a search over configurations: the winner, its uncertainty, and the importance of settings.

use crate::{
    folds::{FoldComparison, FoldOutcome, MetricName, compare_folds, pooled, score},
    importance::{Importance, SettingKind, importance},
    metrics::Metric,
};
use botops_digest::Digest;
use botops_models::ModelSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The fewest trials that show small effects of settings.
const ENOUGH_TRIALS: usize = 30;

/// The setting of a search: everything in its report that is not a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchSetting {
    /// The digest of data, space, base and code, which identifies the search.
    pub search: Digest,
    /// The name of the data set, as given.
    pub data: String,
    /// The digest of the data set.
    pub data_digest: Digest,
    /// The number of records with an intent.
    pub n_samples: u64,
    /// The number of groups of near duplicates, which are never split.
    pub n_groups: u64,
    /// The number of intents.
    pub n_intents: u64,
    /// The metric that decides.
    pub metric: MetricName,
    /// The number of folds.
    pub n_folds: u32,
    /// The seed of folds and draws.
    pub seed: u64,
    /// The rounds, in order.
    pub rungs: Vec<Rung>,
}

/// One round of successive halving.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// The number of folds that a trial is judged on.
    pub folds: u32,
    /// The share of the records of the other folds that a trial is trained on.
    pub share: f64,
    /// The number of trials.
    pub trials: u32,
}

/// One trial of a search.
#[derive(Debug, Clone)]
pub struct SearchTrial {
    /// The number of the trial; 0 is the base.
    pub trial: u32,
    /// The settings drawn for it; empty for the base.
    pub params: BTreeMap<String, Value>,
    /// The outcomes in each rung that it reached, in order; empty when it failed in the first.
    pub rungs: Vec<Vec<FoldOutcome>>,
    /// The reason why it could not be trained, if it failed.
    pub failed: Option<String>,
}

/// A trial in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedTrial {
    /// The number of the trial; 0 is the base.
    pub trial: u32,
    /// The settings drawn for it.
    pub params: BTreeMap<String, Value>,
    /// The last rung that it reached, from 1; 0 for none.
    pub rung: u32,
    /// The metrics over all held-out records of that rung.
    pub metrics: BTreeMap<String, Metric>,
    /// The deciding metric on each fold.
    pub folds: Vec<f64>,
    /// The reason why it could not be trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// The report of a search.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchReport {
    /// `botops.search/1`.
    pub schema: String,
    /// The setting of the search.
    pub setting: SearchSetting,
    /// All trials: those of the last rung first, the best first in each rung.
    pub trials: Vec<JudgedTrial>,
    /// The number of the winner.
    pub winner: u32,
    /// The configuration of the winner.
    pub spec: ModelSpec,
    /// The score of the winner over all records. It is optimistic, because the winner was chosen by it.
    pub score: Metric,
    /// The score without the bias of choosing the best: on each fold, the trial that is best on the other folds is scored;
    /// `None` when there was nothing to choose from.
    pub unchosen: Option<f64>,
    /// The best of the other trials, compared with the winner.
    pub runner_up: Option<Rival>,
    /// The base compared with the winner; `None` when the base won or could not be judged.
    pub base: Option<Rival>,
    /// The trials of the last rung within one standard error of the winner, the winner included; the data do not show that
    /// they are worse.
    pub within_one_error: Vec<u32>,
    /// The importance of the settings, the most important first.
    pub importance: Vec<Importance>,
    /// Notes for the reader.
    pub notes: Vec<String>,
}

/// A trial compared with the winner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// The number of the trial.
    pub trial: u32,
    /// The score of the winner minus the score of this trial, fold by fold.
    pub comparison: FoldComparison,
}

impl SearchReport {
    /// Returns the trial with this number.
    #[must_use]
    pub fn trial(&self, number: u32) -> Option<&JudgedTrial> {
        self.trials.iter().find(|trial| trial.trial == number)
    }
}

/// Ranks trials, the best first: by the metric over all records, ties to the lower number.
///
/// `trials` are numbers with outcomes on the same folds.
#[must_use]
pub fn ranked(trials: &[(u32, &[FoldOutcome])], metric: MetricName) -> Vec<u32> {
    let mut scored: Vec<(f64, u32)> =
        trials.iter().map(|(number, folds)| (metric.gain(score(folds, metric)), *number)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().map(|(_, number)| number).collect()
}

/// Makes the report of a search; `None` when no trial reached the last rung.
///
/// `settings` are those of the search space; `spec_of` makes the configuration of a trial.
#[must_use]
pub fn summarise(
    setting: SearchSetting,
    settings: &BTreeMap<String, SettingKind>,
    trials: Vec<SearchTrial>,
    spec_of: impl Fn(u32) -> ModelSpec,
) -> Option<SearchReport> {
    let metric = setting.metric;
    let last = setting.rungs.len();
    let finalists: Vec<(u32, &[FoldOutcome])> = trials
        .iter()
        .filter(|trial| trial.rungs.len() == last)
        .filter_map(|trial| Some((trial.trial, trial.rungs.last()?.as_slice())))
        .collect();
    let order = ranked(&finalists, metric);
    let winner = *order.first()?;
    let folds_of = |number: u32| {
        finalists.iter().find(|(trial, _)| *trial == number).map_or(&[][..], |(_, folds)| folds)
    };
    let winning = folds_of(winner);
    let rival = |trial: u32| {
        let comparison = compare_folds(winning, folds_of(trial), metric)?;
        Some(Rival { trial, comparison })
    };
    let runner_up = order.get(1).and_then(|&trial| rival(trial));
    let base = (winner != 0 && order.contains(&0)).then(|| rival(0)).flatten();
    let first: Vec<(&BTreeMap<String, Value>, f64)> = trials
        .iter()
        .filter(|trial| trial.trial != 0)
        .filter_map(|trial| Some((&trial.params, score(trial.rungs.first()?, metric))))
        .collect();
    let importance = importance(settings, &first, |score| metric.gain(score), setting.seed);
    let metrics = pooled(winning);
    let score_of_winner = metrics[metric.name()];
    let by_fold: Vec<Vec<f64>> = finalists
        .iter()
        .map(|(_, folds)| folds.iter().map(|fold| metric.gain(fold.score(metric))).collect())
        .collect();
    let place = finalists.iter().position(|(trial, _)| *trial == winner)?;
    let unchosen =
        optimism(&by_fold, place).map(|optimism| score_of_winner.value - metric.gain(optimism));
    let within_one_error = within_one_error(&by_fold, place)
        .into_iter()
        .map(|place| finalists[place].0)
        .collect::<Vec<u32>>();
    let notes = notes(&setting, &trials, &first, winner, &order);
    let spec = spec_of(winner);
    let mut judged: Vec<JudgedTrial> =
        trials.into_iter().map(|trial| judged(trial, metric)).collect();
    judged.sort_by(|a, b| {
        let gain = |trial: &JudgedTrial| {
            trial.metrics.get(metric.name()).map_or(f64::NEG_INFINITY, |m| metric.gain(m.value))
        };
        b.rung.cmp(&a.rung).then(gain(b).total_cmp(&gain(a))).then(a.trial.cmp(&b.trial))
    });
    Some(SearchReport {
        schema: "botops.search/1".to_owned(),
        setting,
        trials: judged,
        winner,
        spec,
        score: score_of_winner,
        unchosen,
        runner_up,
        base,
        within_one_error,
        importance,
        notes,
    })
}

fn judged(trial: SearchTrial, metric: MetricName) -> JudgedTrial {
    let folds = trial.rungs.last().map_or(&[][..], Vec::as_slice);
    JudgedTrial {
        trial: trial.trial,
        params: trial.params,
        rung: trial.rungs.len() as u32,
        metrics: if folds.is_empty() { BTreeMap::new() } else { pooled(folds) },
        folds: folds.iter().map(|fold| fold.score(metric)).collect(),
        failed: trial.failed,
    }
}

/// Returns the part of the gain of `winner` that comes from choosing the best, at least 0; `None` for fewer than two
/// trials or folds.
///
/// `gains` is [n_trials][n_folds]. On each fold, the trial that is best on the other folds is scored. The mean of these
/// scores is the gain of choosing this way on records that did not take part in the choice. The optimism is the mean of
/// the winner minus this mean.
/// Source: Tibshirani and Tibshirani, "A bias correction for the minimum error rate in cross-validation", Annals of
/// Applied Statistics 3(2), 2009. The paper compares the chosen trial with the best of each fold; this function scores
/// the trial chosen without the fold.
#[must_use]
fn optimism(gains: &[Vec<f64>], winner: usize) -> Option<f64> {
    let n_folds = gains.first()?.len();
    if gains.len() < 2 || n_folds < 2 {
        return None;
    }
    let sum = |trial: &Vec<f64>| trial.iter().sum::<f64>();
    let unchosen: f64 = (0..n_folds)
        .map(|fold| {
            let others = |trial: &Vec<f64>| sum(trial) - trial[fold];
            let best = gains
                .iter()
                .enumerate()
                .max_by(|(i, a), (j, b)| others(a).total_cmp(&others(b)).then(j.cmp(i)));
            best.map_or(0.0, |(_, best)| best[fold])
        })
        .sum();
    Some(((sum(&gains[winner]) - unchosen) / n_folds as f64).max(0.0))
}

/// Returns the trials whose mean gain is within one standard error of the winner's.
///
/// Source: Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984, section 3.4.3.
fn within_one_error(gains: &[Vec<f64>], winner: usize) -> Vec<usize> {
    let mean = |trial: &[f64]| trial.iter().sum::<f64>() / trial.len().max(1) as f64;
    let best = &gains[winner];
    let k = best.len() as f64;
    if best.len() < 2 {
        return vec![winner];
    }
    let variance = best.iter().map(|gain| (gain - mean(best)).powi(2)).sum::<f64>() / (k - 1.0);
    let least = mean(best) - (variance / k).sqrt();
    (0..gains.len()).filter(|&trial| trial == winner || mean(&gains[trial]) >= least).collect()
}

fn notes(
    setting: &SearchSetting,
    trials: &[SearchTrial],
    first: &[(&BTreeMap<String, Value>, f64)],
    winner: u32,
    order: &[u32],
) -> Vec<String> {
    let mut notes = vec![format!(
        "the winner's {} is optimistic: the winner is the best of {} trials on the same records; report its score on \
         records that were not used for tuning",
        setting.metric.name(),
        trials.len()
    )];
    if setting.rungs.len() > 1 {
        notes.push(format!(
            "{} of {} trials were dropped before they were judged on all folds and records: one of them may be better",
            trials.len() - order.len(),
            trials.len()
        ));
    }
    if winner == 0 {
        notes.push("no trial is better than the base configuration".to_owned());
    }
    if !first.is_empty() && first.len() < ENOUGH_TRIALS {
        notes.push(format!(
            "the importance of settings is estimated from {} trials: so few show only large effects",
            first.len()
        ));
    }
    let failed = trials.iter().filter(|trial| trial.failed.is_some()).count();
    if failed > 0 {
        notes.push(format!("{failed} trials could not be trained; the reason is given with each"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folds(rights: &[u64]) -> Vec<FoldOutcome> {
        (0..)
            .zip(rights)
            .map(|(fold, &right)| FoldOutcome {
                fold,
                n_train: 400,
                cells: vec![[0, 0, right], [0, 1, 100 - right]],
                loss: (100 - right) as f64,
                loss_squares: (100 - right) as f64,
            })
            .collect()
    }

    fn setting(metric: MetricName) -> SearchSetting {
        SearchSetting {
            search: Digest::of(b"search"),
            data: "train.csv".to_owned(),
            data_digest: Digest::of(b"data"),
            n_samples: 500,
            n_groups: 490,
            n_intents: 2,
            metric,
            n_folds: 5,
            seed: 1,
            rungs: vec![
                Rung { folds: 1, share: 1.0, trials: 4 },
                Rung { folds: 5, share: 1.0, trials: 3 },
            ],
        }
    }

    fn trial(number: u32, rights: &[u64]) -> SearchTrial {
        let all = folds(rights);
        let rungs = if rights.len() > 1 { vec![all[..1].to_vec(), all] } else { vec![all] };
        let params = match number {
            0 => BTreeMap::new(),
            n => BTreeMap::from([("head.c".to_owned(), json!(f64::from(n)))]),
        };
        SearchTrial { trial: number, params, rungs, failed: None }
    }

    fn report(metric: MetricName) -> SearchReport {
        let trials = vec![
            trial(0, &[88, 90, 89, 91, 90]),
            trial(1, &[92, 91, 90, 93, 92]),
            trial(2, &[70]),
            trial(3, &[91, 90, 92, 91, 91]),
        ];
        let kinds = BTreeMap::from([("head.c".to_owned(), SettingKind::Number)]);
        summarise(setting(metric), &kinds, trials, |_| ModelSpec::default()).unwrap()
    }

    #[test]
    fn the_winner_is_the_best_of_the_last_rung_and_is_compared_with_the_others() {
        for metric in [MetricName::Accuracy, MetricName::LogLoss] {
            let found = report(metric);
            let order: Vec<u32> = found.trials.iter().map(|trial| trial.trial).collect();
            assert_eq!((found.winner, order), (1, vec![1, 3, 0, 2]), "{metric:?}");
            assert_eq!(found.runner_up.as_ref().unwrap().trial, 3);
            let base = found.base.unwrap().comparison;
            // By hand: 4, 1, 1, 2, 2 more of 100 are right on the five folds.
            let sign = if metric == MetricName::Accuracy { 1.0 } else { -1.0 };
            assert!((base.difference.mean - sign * 0.02).abs() < 1e-12, "{base:?}");
            assert!(base.difference.p > 0.0 && base.difference.p < 0.2);
        }
    }

    #[test]
    fn optimism_is_measured_on_folds_that_did_not_take_part_in_the_choice() {
        let found = report(MetricName::Accuracy);
        assert!((found.score.value - 0.916).abs() < 1e-12);
        // By hand: without fold 1, trial 1 has 366 and trial 3 has 364, and so on; without fold 4 (93 against 91), it is
        // 365 to 364. Trial 1 is chosen on every fold.
        assert_eq!(found.unchosen, Some(0.916));
        // Two coins: each is best on the fold where the other one is chosen.
        let coins = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        assert_eq!(optimism(&coins, 0), Some(0.5));
        assert_eq!(optimism(&coins[..1], 0), None);
    }

    #[test]
    fn trials_within_one_standard_error_are_named() {
        // Trial 1: mean 91.6, sd 1.14, error 0.51; trial 3 has 91.0.
        assert_eq!(report(MetricName::Accuracy).within_one_error, [1]);
        let near = vec![vec![0.9, 0.8], vec![0.85, 0.82], vec![0.5, 0.5]];
        assert_eq!(within_one_error(&near, 0), [0, 1]);
    }

    #[test]
    fn a_note_says_when_the_base_wins() {
        let trials = vec![trial(0, &[95; 5]), trial(1, &[92; 5])];
        let kinds = BTreeMap::new();
        let found =
            summarise(setting(MetricName::Accuracy), &kinds, trials, |_| ModelSpec::default());
        let found = found.unwrap();
        assert_eq!((found.winner, found.base), (0, None));
        assert!(found.notes.iter().any(|note| note.contains("no trial is better")));
    }

    #[test]
    fn a_search_whose_trials_all_failed_has_no_report() {
        let failed = SearchTrial { rungs: Vec::new(), failed: Some("no".into()), ..trial(0, &[1]) };
        let kinds = BTreeMap::new();
        let found = summarise(setting(MetricName::Accuracy), &kinds, vec![failed], |_| {
            ModelSpec::default()
        });
        assert!(found.is_none());
    }
}
