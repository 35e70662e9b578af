//! The importance of each setting of a search.

use botops_stats::{multiple::benjamini_hochberg, random::Random};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The number of permutations of the scores in the test against chance.
const SHUFFLES: usize = 999;
/// Separates the random stream of the permutations from other draws.
const STREAM: u64 = 0x1A7;
/// The most groups of a numeric setting, and the fewest trials in a group.
const GROUPS: (usize, usize) = (4, 5);

/// The way in which a setting was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// From a list.
    Choice,
    /// From a range.
    Number,
}

/// The effect of one setting on the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The name of the setting.
    pub setting: String,
    /// Omega squared, in [0, 1]: the share of the variance of scores that lies between the groups, corrected for chance.
    pub share: f64,
    /// The p-value of a permutation test, in (0, 1]: the share of 1,000 permutations that separate the groups at least as
    /// much, the observed one included.
    pub p: f64,
    /// `p` adjusted for the number of settings (Benjamini-Hochberg).
    pub p_adjusted: f64,
    /// Spearman's correlation of a number with the gain; above 0, larger numbers were better. `None` for a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_correlation: Option<f64>,
    /// The score of each value, or of each group of near values, in order.
    pub groups: Vec<SettingGroup>,
}

/// The trials with the same value of a setting, or with near values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingGroup {
    /// The value, or the range: `0.1 to 0.5`.
    pub values: String,
    /// The number of trials.
    pub n: u64,
    /// The mean score of the trials.
    pub mean: f64,
}

/// Returns the importance of each setting, the most important first.
///
/// `trials` holds the settings drawn for each trial, and its score; a higher `gain(score)` is better. Each setting is
/// judged by itself, so that interactions of settings are not detected. Numbers are divided into at most four groups.
/// Empty for fewer than four trials.
/// omega^2 = (SS_between - (k - 1) MS_within) / (SS_total + MS_within), at least 0. Source: Hays, "Statistics for
/// Psychologists", 1963; on the importance of hyperparameters, Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing
/// Hyperparameter Importance", ICML 2014.
#[must_use]
pub(crate) fn importance(
    settings: &BTreeMap<String, SettingKind>,
    trials: &[(&BTreeMap<String, Value>, f64)],
    gain: impl Fn(f64) -> f64,
    seed: u64,
) -> Vec<Importance> {
    if trials.len() < 4 {
        return Vec::new();
    }
    let gains: Vec<f64> = trials.iter().map(|(_, score)| gain(*score)).collect();
    let mut found: Vec<Importance> = (0..)
        .zip(settings)
        .filter_map(|(i, (setting, &kind))| {
            let drawn: Vec<&Value> =
                trials.iter().map(|(params, _)| params.get(setting)).collect::<Option<_>>()?;
            let (group_of, names) = match kind {
                SettingKind::Choice => by_value(&drawn),
                SettingKind::Number => by_size(&drawn)?,
            };
            if names.len() < 2 {
                return None;
            }
            let mut random = Random::stream(seed ^ STREAM, i);
            let p = permutation_p(&group_of, &gains, names.len(), &mut random);
            let numbers: Option<Vec<f64>> = drawn.iter().map(|value| value.as_f64()).collect();
            let rank_correlation = match kind {
                SettingKind::Number => Some(spearman(&numbers?, &gains)),
                SettingKind::Choice => None,
            };
            let groups = names.into_iter().enumerate().map(|(group, values)| {
                let scores: Vec<f64> = (0..trials.len())
                    .filter(|&t| group_of[t] == group)
                    .map(|t| trials[t].1)
                    .collect();
                let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
                SettingGroup { values, n: scores.len() as u64, mean }
            });
            Some(Importance {
                setting: setting.clone(),
                share: omega_squared(&group_of, &gains),
                p,
                p_adjusted: p,
                rank_correlation,
                groups: groups.collect(),
            })
        })
        .collect();
    let p: Vec<f64> = found.iter().map(|importance| importance.p).collect();
    for (importance, adjusted) in found.iter_mut().zip(benjamini_hochberg(&p)) {
        importance.p_adjusted = adjusted;
    }
    found.sort_by(|a, b| {
        b.share.total_cmp(&a.share).then(a.p.total_cmp(&b.p)).then(a.setting.cmp(&b.setting))
    });
    found
}

/// Groups equal values. The groups are in the order of the values as text.
fn by_value(drawn: &[&Value]) -> (Vec<usize>, Vec<String>) {
    let name_of = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut names: Vec<String> = drawn.iter().map(|value| name_of(value)).collect();
    names.sort_unstable();
    names.dedup();
    let group = |value: &&Value| names.partition_point(|name| *name < name_of(value));
    (drawn.iter().map(group).collect(), names)
}

/// Groups near numbers: by value when few are distinct, otherwise into groups with about equally many trials.
fn by_size(drawn: &[&Value]) -> Option<(Vec<usize>, Vec<String>)> {
    let numbers: Vec<f64> = drawn.iter().map(|value| value.as_f64()).collect::<Option<_>>()?;
    let mut sorted = numbers.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let most = (numbers.len() / GROUPS.1).clamp(2, GROUPS.0);
    // The first number of each group.
    let mut starts: Vec<f64> = if distinct.len() <= most {
        distinct
    } else {
        (0..most).map(|group| sorted[group * sorted.len() / most]).collect()
    };
    starts.dedup();
    let group = |number: &f64| starts.partition_point(|start| start <= number).max(1) - 1;
    let group_of: Vec<usize> = numbers.iter().map(group).collect();
    let names = (0..starts.len())
        .map(|group| {
            let inside = || numbers.iter().zip(&group_of).filter(|(_, g)| **g == group);
            let low = inside().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
            let high = inside().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
            if low == high { low.to_string() } else { format!("{low} to {high}") }
        })
        .collect();
    Some((group_of, names))
}

/// Returns the sums of squares between groups and in total.
fn squares(group_of: &[usize], gains: &[f64]) -> (f64, f64) {
    let n_groups = group_of.iter().max().map_or(0, |group| group + 1);
    let (mut sums, mut counts) = (vec![0.0; n_groups], vec![0.0; n_groups]);
    for (&group, gain) in group_of.iter().zip(gains) {
        sums[group] += gain;
        counts[group] += 1.0;
    }
    let mean = gains.iter().sum::<f64>() / gains.len() as f64;
    let between = sums
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count > 0.0)
        .map(|(sum, count): (&f64, &f64)| count * (sum / count - mean).powi(2))
        .sum();
    (between, gains.iter().map(|gain| (gain - mean).powi(2)).sum())
}

fn omega_squared(group_of: &[usize], gains: &[f64]) -> f64 {
    let (between, total) = squares(group_of, gains);
    let k = group_of.iter().max().map_or(0, |group| group + 1);
    if total <= 0.0 || gains.len() <= k {
        return 0.0;
    }
    let within = (total - between).max(0.0) / (gains.len() - k) as f64;
    ((between - (k - 1) as f64 * within) / (total + within)).clamp(0.0, 1.0)
}

/// Returns the share of permutations of the gains that separate the groups at least as much as the observed gains, which
/// are included.
fn permutation_p(group_of: &[usize], gains: &[f64], n_groups: usize, random: &mut Random) -> f64 {
    let (observed, total) = squares(group_of, gains);
    if n_groups < 2 || total <= 0.0 {
        return 1.0;
    }
    let mut shuffled = gains.to_vec();
    let mut n_as_large = 1;
    for _ in 0..SHUFFLES {
        random.shuffle(&mut shuffled);
        // Sums in another order are rounded differently; the tolerance counts equal ones as equal.
        n_as_large += usize::from(squares(group_of, &shuffled).0 >= observed * (1.0 - 1e-12));
    }
    n_as_large as f64 / (SHUFFLES + 1) as f64
}

/// Returns Spearman's rank correlation, with ties at their mean rank; 0 when one side is constant.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        ab += (a - mean) * (b - mean);
        aa += (a - mean).powi(2);
        bb += (b - mean).powi(2);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .map(|value| {
            let below = values.iter().filter(|other| *other < value).count() as f64;
            let equal = values.iter().filter(|other| *other == value).count() as f64;
            below + (equal + 1.0) / 2.0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_setting_that_determines_the_score_is_the_most_important() {
        let mut random = Random::new(3);
        let params: Vec<BTreeMap<String, Value>> = (0..40)
            .map(|i| {
                BTreeMap::from([
                    ("c".to_owned(), json!(0.1 * f64::from(1 + (i * 7) % 40))),
                    ("kind".to_owned(), json!(["a", "b"][random.below(2)])),
                    ("noise".to_owned(), json!(random.below(1_000))),
                ])
            })
            .collect();
        // The score rises with `c`, is lower for kind `b`, and does not depend on `noise`.
        let scores: Vec<f64> = params
            .iter()
            .map(|drawn| {
                let b = if drawn["kind"] == "b" { 0.01 } else { 0.0 };
                0.8 + 0.02 * drawn["c"].as_f64().unwrap() - b + 0.004 * random.unit()
            })
            .collect();
        let trials: Vec<_> = params.iter().zip(scores).collect();
        let kinds = BTreeMap::from([
            ("c".to_owned(), SettingKind::Number),
            ("kind".to_owned(), SettingKind::Choice),
            ("noise".to_owned(), SettingKind::Number),
        ]);
        let found = importance(&kinds, &trials, |score| score, 1);
        assert_eq!(found[0].setting, "c");
        assert!(found[0].share > 0.7 && found[0].p <= 0.002, "{:?}", found[0]);
        assert!(found[0].rank_correlation.unwrap() > 0.9);
        assert_eq!(found[0].groups.len(), 4);
        assert!(found[0].groups[0].mean < found[0].groups[3].mean);
        let noise = found.iter().find(|found| found.setting == "noise").unwrap();
        assert!(noise.p_adjusted > 0.05 && noise.share < 0.3, "{noise:?}");
        // For an error, lower is better: the shares stay, and the gain has the opposite sign of the score.
        let errors: Vec<_> = trials.iter().map(|(drawn, score)| (*drawn, 1.0 - score)).collect();
        let mirrored = importance(&kinds, &errors, |error| -error, 1);
        assert_eq!(mirrored[0].rank_correlation, found[0].rank_correlation);
    }

    #[test]
    fn omega_squared_matches_an_analysis_of_variance_by_hand() {
        // By hand: groups (1, 2, 3) and (3, 4, 5): SS between 6, total 10, MS within 1; (6 - 1) / (10 + 1).
        let found = omega_squared(&[0, 0, 0, 1, 1, 1], &[1.0, 2.0, 3.0, 3.0, 4.0, 5.0]);
        assert!((found - 5.0 / 11.0).abs() < 1e-12, "{found}");
        assert_eq!(omega_squared(&[0, 1, 0, 1], &[1.0, 1.0, 2.0, 2.0]), 0.0);
    }

    #[test]
    fn ties_have_their_mean_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        // scipy 1.17: stats.spearmanr([1, 2, 3, 4], [10, 30, 20, 40]).statistic
        assert!((spearman(&[1.0, 2.0, 3.0, 4.0], &[10.0, 30.0, 20.0, 40.0]) - 0.8).abs() < 1e-12);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }

    #[test]
    fn a_constant_setting_has_no_importance() {
        let params: Vec<BTreeMap<String, Value>> =
            (0..5).map(|_| BTreeMap::from([("c".to_owned(), json!(1.0))])).collect();
        let trials: Vec<_> = params.iter().zip([0.1, 0.2, 0.3, 0.4, 0.5]).collect();
        let kinds = BTreeMap::from([("c".to_owned(), SettingKind::Number)]);
        assert_eq!(importance(&kinds, &trials, |score| score, 1), []);
        assert_eq!(importance(&kinds, &trials[..3], |score| score, 1), []);
    }
}
