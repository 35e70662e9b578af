//! A split by the hash of each text, which hardly changes when the data set grows.

use botops_datasets::{Dataset, Record, part};
use botops_digest::{Digest, Hasher};
use botops_findings::{Fault, Place, Result};
use botops_labels::OOS;
use botops_spec::{Checked, Spec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings of a split.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitSpec {
    /// The share of each intent that goes to test, in (0, 1).
    pub test_share: f64,
    /// The seed of the text hashes: another seed selects other records.
    pub seed: u64,
}

impl Default for SplitSpec {
    fn default() -> Self {
        Self { test_share: 0.2, seed: 17 }
    }
}

impl Spec for SplitSpec {
    /// Checks that both sides get a share.
    ///
    /// # Errors
    /// `BOT-2130` (exit 2).
    fn check_ranges(&self) -> Result<()> {
        let share = self.test_share;
        if share > 0.0 && share < 1.0 {
            return Ok(());
        }
        Err(Fault::usage("BOT-2130", format!("a test share of {share} leaves one side empty"))
            .hint("write a share between 0 and 1, such as `test_share: 0.2`"))
    }
}

/// The two sides of a split.
#[derive(Debug, Clone)]
pub struct Split {
    /// Records to fit a model on.
    pub train: Dataset,
    /// Records to evaluate on.
    pub test: Dataset,
}

/// Splits `data` by the hash of each folded text, stratified by intent and language. Adding records hardly moves old ones.
///
/// - texts that fold to the same text are one unit and go to one side, in the stratum of the first of them
/// - an intent with `n` units gives `n * test_share` of them (rounded half up, at least 1, at most `n - 1`) to test; its
///   languages share these by the largest remainder, ties to the earlier language
/// - the units of a stratum with the smallest hashes go to test: one more record moves at most one unit within its
///   stratum and one between the languages of its intent
/// - both sides keep the order of the file, and records keep their numbers and lines
///
/// Out-of-scope and unlabeled records are split the same way, and go to train when they form only one unit.
///
/// # Errors
/// `BOT-2131` when an intent has too few records for both sides (exit 4).
pub fn split(data: &Dataset, spec: &Checked<SplitSpec>) -> Result<Split> {
    let share = spec.test_share;
    // A unit is a folded text: it has a hash, and the stratum of its first record.
    let folds: Vec<String> = data.records.iter().map(|r| botops_text::fold(&r.text)).collect();
    type ByLanguage<'a> = BTreeMap<Option<&'a str>, Vec<(Digest, &'a str)>>;
    let mut strata: BTreeMap<Option<&str>, ByLanguage<'_>> = BTreeMap::new();
    let mut seen = std::collections::HashSet::new();
    for (record, fold) in data.records.iter().zip(&folds) {
        if seen.insert(fold.as_str()) {
            strata
                .entry(record.intent.as_deref())
                .or_default()
                .entry(record.lang.as_deref())
                .or_default()
                .push((hash(spec.seed, fold), fold));
        }
    }
    let mut test = std::collections::HashSet::new();
    for (intent, languages) in &mut strata {
        let n: usize = languages.values().map(Vec::len).sum();
        if n < 2 {
            match intent {
                Some(intent) if *intent != OOS => return Err(too_few(data, intent)),
                _ => continue,
            }
        }
        // Half a unit is rounded up; a share near 0 or 1 still leaves a unit on each side.
        let quota = ((n as f64 * share + 0.5).floor() as usize).clamp(1, n - 1);
        let counts: Vec<usize> = languages.values().map(Vec::len).collect();
        let quotas = largest_remainder(&counts, quota);
        for (units, quota) in languages.values_mut().zip(quotas) {
            units.sort_unstable();
            test.extend(units[..quota].iter().map(|&(_, fold)| fold));
        }
    }
    let side = |is_test: bool| {
        let records: Vec<Record> = data
            .records
            .iter()
            .zip(&folds)
            .filter(|(_, fold)| test.contains(fold.as_str()) == is_test)
            .map(|(record, _)| record.clone())
            .collect();
        part(data, records)
    };
    Ok(Split { train: side(false), test: side(true) })
}

/// Returns the hash that decides the order of a folded text.
pub(crate) fn hash(seed: u64, fold: &str) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(&seed.to_le_bytes());
    hasher.update(fold.as_bytes());
    hasher.finish()
}

/// Divides `total`, at most the sum of `counts`, in proportion to `counts`; no part exceeds its count.
///
/// Each part is the whole part of `total * count / sum`; the rest goes to the largest remainders, ties to the earlier one.
pub(crate) fn largest_remainder(counts: &[usize], total: usize) -> Vec<usize> {
    let sum: usize = counts.iter().sum();
    if sum == 0 {
        return vec![0; counts.len()];
    }
    let mut quotas: Vec<usize> = counts.iter().map(|count| total * count / sum).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(total * counts[i] % sum), i));
    let left = total - quotas.iter().sum::<usize>();
    for &i in order.iter().take(left) {
        quotas[i] += 1;
    }
    quotas
}

fn too_few(data: &Dataset, intent: &str) -> Fault {
    let shown = botops_text::display(intent, 60);
    let records =
        data.records.iter().filter(|record| record.intent.as_deref() == Some(intent)).count();
    let count = match records {
        0 | 1 => "1 record".to_owned(),
        n => format!("{n} records with the same text"),
    };
    Fault::insufficient(
        "BOT-2131",
        format!("the intent `{shown}` has {count}; a split needs at least one for each side"),
    )
    .at(Place { file: Some(data.name.clone()), ..Place::default() })
    .hint("add records of this intent, or remove the intent")
}

#[cfg(test)]
mod tests;
