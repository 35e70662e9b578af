//! What a search over configurations found: the winner, how sure that is, and what mattered.

use super::{
    Metric,
    folds::{FoldComparison, FoldOutcome, MetricName, compare_folds, pooled, score},
    importance::{Importance, SettingKind, importance},
};
use botops_digest::Digest;
use botops_models::ModelSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fewer trials than this cannot tell a small effect from chance.
const ENOUGH_TRIALS: usize = 30;

/// What a search was: everything in its report that is not a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchSetting {
    /// Digest of data, space, base and code: what the search is known by.
    pub search: Digest,
    /// The data, as named.
    pub data: String,
    /// Its digest.
    pub data_digest: Digest,
    /// Records with an intent.
    pub n_samples: u64,
    /// Groups of near duplicates among them, which are never parted.
    pub n_groups: u64,
    /// Intents.
    pub n_intents: u64,
    /// What decides.
    pub metric: MetricName,
    /// Number of folds.
    pub n_folds: u32,
    /// The seed of folds and draws.
    pub seed: u64,
    /// The rounds, in order.
    pub rungs: Vec<Rung>,
}

/// One round of successive halving.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// How many folds a trial was judged on.
    pub folds: u32,
    /// The share of the other folds' records that it learned from.
    pub share: f64,
    /// How many trials.
    pub trials: u32,
}

/// One trial of a search.
#[derive(Debug, Clone)]
pub struct SearchTrial {
    /// Its number; 0 is the base.
    pub trial: u32,
    /// What was drawn for it; nothing for the base.
    pub params: BTreeMap<String, Value>,
    /// What it was judged by in each rung it reached, in order; empty when it failed in the first.
    pub rungs: Vec<Vec<FoldOutcome>>,
    /// Why it could not be trained, when it could not.
    pub failed: Option<String>,
}

/// A trial in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedTrial {
    /// Its number; 0 is the base.
    pub trial: u32,
    /// What was drawn for it.
    pub params: BTreeMap<String, Value>,
    /// The last rung it reached, from 1; 0: none.
    pub rung: u32,
    /// Metrics over all records it was judged on in that rung.
    pub metrics: BTreeMap<String, Metric>,
    /// The deciding metric on each fold.
    pub folds: Vec<f64>,
    /// Why it could not be trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What a search found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchReport {
    /// `botops.search/1`.
    pub schema: String,
    /// What it was.
    pub setting: SearchSetting,
    /// Every trial: those of the last rung first, in each the best first.
    pub trials: Vec<JudgedTrial>,
    /// The winner's number.
    pub winner: u32,
    /// Its configuration.
    pub spec: ModelSpec,
    /// Its score, all records together: optimistic, since it was chosen by it.
    pub score: Metric,
    /// That score less what choosing the best adds: the best on all folds but one is scored on that one, fold after fold; none when nothing was left to choose from.
    pub unchosen: Option<f64>,
    /// The best of the others, and the winner against it.
    pub runner_up: Option<Rival>,
    /// The winner against the base; none when it is the base, or the base could not be judged.
    pub base: Option<Rival>,
    /// Trials of the last rung within one standard error of the winner (itself among them): as good, as far as known.
    pub within_one_error: Vec<u32>,
    /// What mattered, most first.
    pub importance: Vec<Importance>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// A trial that the winner is held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// Its number.
    pub trial: u32,
    /// The winner's score minus its, fold by fold.
    pub comparison: FoldComparison,
}

impl SearchReport {
    /// Returns the trial of this number.
    #[must_use]
    pub fn trial(&self, number: u32) -> Option<&JudgedTrial> {
        self.trials.iter().find(|trial| trial.trial == number)
    }
}

/// Ranks trials, the best first: by the metric over all records, ties to the lower number.
///
/// `trials` are numbers with what each was judged by, on the same folds.
#[must_use]
pub fn ranked(trials: &[(u32, &[FoldOutcome])], metric: MetricName) -> Vec<u32> {
    let mut scored: Vec<(f64, u32)> =
        trials.iter().map(|(number, folds)| (metric.gain(score(folds, metric)), *number)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().map(|(_, number)| number).collect()
}

/// Says what a search found; `settings` are those of the space, `spec_of` makes the configuration of a trial.
///
/// `None` when no trial reached the last rung.
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
    let mattered = importance(settings, &first, |score| metric.gain(score), setting.seed);
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
        importance: mattered,
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

/// Returns how much of the gain of the best, `winner`, is owed to its being chosen, at least 0; `None` for fewer than
/// two trials or folds.
///
/// `gains` is [n_trials][n_folds]. On each fold, the trial that is best on the other folds is scored: the mean is
/// what choosing like this brings on records that had no say. Less the winner's mean, that is the optimism.
/// Source: Tibshirani and Tibshirani, "A bias correction for the minimum error rate in cross-validation", Annals of
/// Applied Statistics 3(2), 2009, which holds the chosen against the best of each fold; here it is against itself.
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
        "the winner's {} is optimistic: it is the best of {} that were tried, and the same records chose it; its \
         score on records nobody tuned on is the one to report",
        setting.metric.name(),
        trials.len()
    )];
    if setting.rungs.len() > 1 {
        notes.push(format!(
            "{} of {} trials were dropped on less than all folds or records: one of them may have come out better",
            trials.len() - order.len(),
            trials.len()
        ));
    }
    if winner == 0 {
        notes.push("nothing that was tried is better than the configuration as it was".to_owned());
    }
    if !first.is_empty() && first.len() < ENOUGH_TRIALS {
        notes.push(format!(
            "what mattered is judged from {} trials: an effect has to be large to show among so few",
            first.len()
        ));
    }
    let failed = trials.iter().filter(|trial| trial.failed.is_some()).count();
    if failed > 0 {
        notes.push(format!("{failed} trials could not be trained; why is said with each"));
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
    fn the_winner_is_the_best_of_the_last_rung_and_is_held_against_the_rest() {
        for metric in [MetricName::Accuracy, MetricName::LogLoss] {
            let found = report(metric);
            let order: Vec<u32> = found.trials.iter().map(|trial| trial.trial).collect();
            assert_eq!((found.winner, order), (1, vec![1, 3, 0, 2]), "{metric:?}");
            assert_eq!(found.runner_up.as_ref().unwrap().trial, 3);
            let base = found.base.unwrap().comparison;
            // By hand: 4, 1, 1, 2, 2 of 100 more right on the five folds.
            let sign = if metric == MetricName::Accuracy { 1.0 } else { -1.0 };
            assert!((base.difference.mean - sign * 0.02).abs() < 1e-12, "{base:?}");
            assert!(base.difference.p > 0.0 && base.difference.p < 0.2);
        }
    }

    #[test]
    fn choosing_costs_what_it_brings_on_folds_that_had_no_say() {
        let found = report(MetricName::Accuracy);
        assert!((found.score.value - 0.916).abs() < 1e-12);
        // By hand: without fold 1 trial 1 has 366 and trial 3 has 364, and so on; only fold 4 (93 against 91)
        // is decided otherwise: 365 to 364 is still trial 1, so that the choice is the same on every fold.
        assert_eq!(found.unchosen, Some(0.916));
        // Two coins: each is best where it is not looked at.
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
    fn the_base_that_wins_is_said_to() {
        let trials = vec![trial(0, &[95; 5]), trial(1, &[92; 5])];
        let kinds = BTreeMap::new();
        let found =
            summarise(setting(MetricName::Accuracy), &kinds, trials, |_| ModelSpec::default());
        let found = found.unwrap();
        assert_eq!((found.winner, found.base), (0, None));
        assert!(found.notes.iter().any(|note| note.contains("nothing that was tried is better")));
    }

    #[test]
    fn a_search_that_nothing_survived_has_no_report() {
        let failed = SearchTrial { rungs: Vec::new(), failed: Some("no".into()), ..trial(0, &[1]) };
        let kinds = BTreeMap::new();
        let found = summarise(setting(MetricName::Accuracy), &kinds, vec![failed], |_| {
            ModelSpec::default()
        });
        assert!(found.is_none());
    }
}
