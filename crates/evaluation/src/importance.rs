//! Which settings of a search mattered.

use botops_stats::{multiple::benjamini_hochberg, random::Random};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How often the scores are shuffled to see what chance alone does.
const SHUFFLES: usize = 999;
/// Keeps the shuffles apart from other draws.
const STREAM: u64 = 0x1A7;
/// The most groups that numbers are put into, and the fewest trials of one.
const GROUPS: (usize, usize) = (4, 5);

/// How a setting was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// One of a list.
    Choice,
    /// From a range.
    Number,
}

/// What one setting did to the score, the others being what they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The setting.
    pub setting: String,
    /// The share of the variance of scores between its groups beyond what chance explains, in [0, 1]: omega squared.
    pub share: f64,
    /// How often chance alone would part the groups as much (of 1,000), in (0, 1].
    pub p: f64,
    /// `p` adjusted for the number of settings (Benjamini-Hochberg).
    pub p_adjusted: f64,
    /// Spearman's correlation of a number with the gain: above 0, more was better; none for a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_correlation: Option<f64>,
    /// Its values, or groups of near ones, in order: what they came to.
    pub groups: Vec<SettingGroup>,
}

/// Trials with the same value of a setting, or near ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingGroup {
    /// The value, or `from to`.
    pub values: String,
    /// How many.
    pub n: u64,
    /// Their mean score.
    pub mean: f64,
}

/// Says of each setting how much it mattered; the one that mattered most first.
///
/// `trials` holds what was drawn and its score; `gain(score)` is such that more is better. A setting is looked at by
/// itself: what two do only together is seen in neither. Numbers are put into up to four groups of near ones. Empty
/// for fewer than four trials.
/// omega^2 = (SS_between - (k - 1) MS_within) / (SS_total + MS_within), at least 0. Source: Hays, "Statistics for
/// Psychologists", 1963; for the question, Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing
/// Hyperparameter Importance", ICML 2014.
#[must_use]
pub(super) fn importance(
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
            let p = chance(&group_of, &gains, names.len(), &mut random);
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

/// Groups equal values, in the order of their JSON.
fn by_value(drawn: &[&Value]) -> (Vec<usize>, Vec<String>) {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut names: Vec<String> = drawn.iter().map(|value| shown(value)).collect();
    names.sort_unstable();
    names.dedup();
    let group = |value: &&Value| names.partition_point(|name| *name < shown(value));
    (drawn.iter().map(group).collect(), names)
}

/// Groups near numbers: few distinct ones by value, many into parts of about as many trials each.
fn by_size(drawn: &[&Value]) -> Option<(Vec<usize>, Vec<String>)> {
    let numbers: Vec<f64> = drawn.iter().map(|value| value.as_f64()).collect::<Option<_>>()?;
    let mut sorted = numbers.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let most = (numbers.len() / GROUPS.1).clamp(2, GROUPS.0);
    // The first number of every group.
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

/// Sums of squares: between groups, and in all.
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

/// Returns how often shuffled gains part the groups as much as the real ones, these counted in.
fn chance(group_of: &[usize], gains: &[f64], n_groups: usize, random: &mut Random) -> f64 {
    let (observed, total) = squares(group_of, gains);
    if n_groups < 2 || total <= 0.0 {
        return 1.0;
    }
    let mut shuffled = gains.to_vec();
    let mut as_much = 1;
    for _ in 0..SHUFFLES {
        random.shuffle(&mut shuffled);
        // Sums in another order round otherwise: what is equal by rights is to count.
        as_much += usize::from(squares(group_of, &shuffled).0 >= observed * (1.0 - 1e-12));
    }
    as_much as f64 / (SHUFFLES + 1) as f64
}

/// Returns Spearman's rank correlation, ties at their mean rank; 0 where one side does not vary.
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
    fn the_setting_that_makes_the_score_is_found() {
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
        // The score rises with c and falls with kind b; nothing depends on noise.
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
        // Of an error, less is a gain: the same shares, the other direction.
        let errors: Vec<_> = trials.iter().map(|(drawn, score)| (*drawn, 1.0 - score)).collect();
        let mirrored = importance(&kinds, &errors, |error| -error, 1);
        assert_eq!(mirrored[0].rank_correlation, found[0].rank_correlation);
    }

    #[test]
    fn omega_squared_is_that_of_a_textbook_analysis_of_variance() {
        // By hand: groups (1, 2, 3) and (3, 4, 5): SS between 6, total 10, MS within 1; (6 - 1) / (10 + 1).
        let found = omega_squared(&[0, 0, 0, 1, 1, 1], &[1.0, 2.0, 3.0, 3.0, 4.0, 5.0]);
        assert!((found - 5.0 / 11.0).abs() < 1e-12, "{found}");
        assert_eq!(omega_squared(&[0, 1, 0, 1], &[1.0, 1.0, 2.0, 2.0]), 0.0);
    }

    #[test]
    fn ranks_share_their_ties() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        // scipy 1.17: stats.spearmanr([1, 2, 3, 4], [10, 30, 20, 40]).statistic
        assert!((spearman(&[1.0, 2.0, 3.0, 4.0], &[10.0, 30.0, 20.0, 40.0]) - 0.8).abs() < 1e-12);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }

    #[test]
    fn a_setting_that_never_varied_says_nothing() {
        let params: Vec<BTreeMap<String, Value>> =
            (0..5).map(|_| BTreeMap::from([("c".to_owned(), json!(1.0))])).collect();
        let trials: Vec<_> = params.iter().zip([0.1, 0.2, 0.3, 0.4, 0.5]).collect();
        let kinds = BTreeMap::from([("c".to_owned(), SettingKind::Number)]);
        assert_eq!(importance(&kinds, &trials, |score| score, 1), []);
        assert_eq!(importance(&kinds, &trials[..3], |score| score, 1), []);
    }
}
