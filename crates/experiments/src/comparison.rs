//! Runs side by side: only what differs, and how sure that is.

use super::{
    Basis, RunRecord, TEST,
    pairing::{Pairing, pair},
    ranking::direction,
};
use botops_evaluation::{Better, EvaluationReport, METRICS, Metric};
use botops_stats::multiple::benjamini_hochberg;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Something that is not the same in all runs; `values` in the order of the runs, `None` where a run lacks it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What.
    pub name: String,
    /// By run.
    pub values: Vec<Option<Value>>,
}

/// A metric of the runs that have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricDifference {
    /// The metric.
    pub name: String,
    /// `higher` or `lower`; none: nobody declared it.
    pub better: Option<&'static str>,
    /// By run.
    pub values: Vec<Option<Metric>>,
    /// For each run after the first, whether its interval and that of the first overlap; none where they were not measured
    /// on the same data in the same way, which makes it mean nothing.
    pub overlaps: Vec<Option<bool>>,
}

/// A run held against the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    /// The run.
    pub run: String,
    /// Whether its model file is that of the first, to the byte; none: one of them made no model.
    pub same_model: Option<bool>,
    /// Record by record, where both keep what they got wrong on the same records.
    pub paired: Option<Pairing>,
    /// The McNemar p-value of `paired`, adjusted for the number of runs held against the first (Benjamini-Hochberg).
    pub p_adjusted: Option<f64>,
    /// Why there is no `paired`.
    pub why_not_paired: Option<String>,
}

/// What differs between runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunComparison {
    /// The runs, in the order asked for.
    pub runs: Vec<String>,
    /// Settings.
    pub params: Vec<Difference>,
    /// Data, by digest.
    pub data: Vec<Difference>,
    /// Code: `git_commit`, `git_dirty`.
    pub code: Vec<Difference>,
    /// Machine: `botops`, `platform`, `cores`, `ci`.
    pub environment: Vec<Difference>,
    /// Verdicts of stages.
    pub stages: Vec<Difference>,
    /// Metrics.
    pub metrics: Vec<MetricDifference>,
    /// Whether all metrics were measured on the same data in the same way; if not, they are not to be compared.
    pub same_basis: bool,
    /// Each run after the first, against the first.
    pub contrasts: Vec<Contrast>,
    /// How many of these are the same in all runs: `params`, `data`, `code`, `environment`, `stages`, `metrics`.
    pub same: BTreeMap<&'static str, u64>,
}

/// The evaluation of a run, or why there is none, in words.
pub type Evaluated = Result<EvaluationReport, String>;

/// Compares `runs`, two or more, each with its evaluation.
#[must_use]
pub fn compare(runs: &[(RunRecord, Evaluated)]) -> RunComparison {
    let records: Vec<&RunRecord> = runs.iter().map(|(run, _)| run).collect();
    let mut same = BTreeMap::new();
    let mut section =
        |name: &'static str, values: &dyn Fn(&RunRecord) -> BTreeMap<String, Value>| {
            let (differences, n_same) = differences(&records, values);
            same.insert(name, n_same);
            differences
        };
    let params = section("params", &|run| run.params.clone());
    let data = section("data", &|run| {
        run.data.iter().map(|(name, digest)| (name.clone(), json!(digest))).collect()
    });
    let code = section("code", &|run| members(json!(run.code)));
    let environment = section("environment", &|run| members(json!(run.environment)));
    let stages = section("stages", &|run| members(json!(run.stages)));
    let bases: Vec<Option<Basis>> = records.iter().map(|run| run.basis()).collect();
    let same_basis: Vec<bool> =
        bases.iter().map(|basis| basis.is_some() && *basis == bases[0]).collect();
    let names: BTreeSet<&String> = records.iter().flat_map(|run| run.metrics.keys()).collect();
    let n_metrics = names.len();
    let mut metrics: Vec<MetricDifference> = names
        .into_iter()
        .map(|name| {
            metric(name, records.iter().map(|run| run.metrics.get(name).copied()), &same_basis)
        })
        .filter(|metric| metric.values.iter().any(|value| *value != metric.values[0]))
        .collect();
    // The order in which people ask; the rest by name, as they are.
    let place = |name: &str| METRICS.iter().position(|(known, _)| *known == name);
    metrics.sort_by_key(|metric| place(&metric.name).unwrap_or(METRICS.len()));
    same.insert("metrics", (n_metrics - metrics.len()) as u64);
    RunComparison {
        runs: records.iter().map(|run| run.id.clone()).collect(),
        params,
        data,
        code,
        environment,
        stages,
        metrics,
        same_basis: same_basis.iter().all(|same| *same),
        contrasts: contrasts(runs),
        same,
    }
}

fn contrasts(runs: &[(RunRecord, Evaluated)]) -> Vec<Contrast> {
    let Some((base, others)) = runs.split_first() else { return Vec::new() };
    let mut contrasts: Vec<Contrast> = others
        .iter()
        .map(|other| {
            let models = base.0.model().zip(other.0.model());
            let (paired, why_not_paired) = match paired(base, other) {
                Ok(paired) => (Some(paired), None),
                Err(why) => (None, Some(why)),
            };
            Contrast {
                run: other.0.id.clone(),
                same_model: models.map(|(first, second)| first.digest == second.digest),
                paired,
                p_adjusted: None,
                why_not_paired,
            }
        })
        .collect();
    let tested: Vec<usize> =
        (0..contrasts.len()).filter(|&i| contrasts[i].paired.is_some()).collect();
    let p: Vec<f64> = tested
        .iter()
        .filter_map(|&i| contrasts[i].paired.as_ref().map(|paired| paired.mcnemar_p))
        .collect();
    for (&i, adjusted) in tested.iter().zip(benjamini_hochberg(&p)) {
        contrasts[i].p_adjusted = Some(adjusted);
    }
    contrasts
}

fn paired(
    (base, base_report): &(RunRecord, Evaluated),
    (other, other_report): &(RunRecord, Evaluated),
) -> Result<Pairing, String> {
    let (Some(base_on), Some(other_on)) = (base.basis(), other.basis()) else {
        let without = if base.basis().is_none() { &base.id } else { &other.id };
        return Err(format!("run {without} does not say what it was measured on"));
    };
    if base_on.data != other_on.data {
        return Err(format!(
            "they were measured on different data: {} and {}",
            base_on.data.short(),
            other_on.data.short()
        ));
    }
    if base_on != other_on {
        return Err(format!(
            "they were measured in different ways: {} and {}",
            base_on.method, other_on.method
        ));
    }
    if base_on.method != TEST {
        // The models of the folds share most of what they learned from, so the records are not independent.
        return Err(format!("records out of fold are not independent ({})", base_on.method));
    }
    pair(
        base_report.as_ref().map_err(String::clone)?,
        other_report.as_ref().map_err(String::clone)?,
    )
}

fn metric(
    name: &str,
    values: impl Iterator<Item = Option<Metric>>,
    same_basis: &[bool],
) -> MetricDifference {
    let values: Vec<Option<Metric>> = values.collect();
    let overlaps = values
        .iter()
        .zip(same_basis)
        .skip(1)
        .map(|(value, same_basis)| {
            let both = values[0].zip(*value).filter(|_| *same_basis);
            both.map(|(first, other)| overlap(&first, &other))
        })
        .collect();
    let better = direction(name).map(|better| match better {
        Better::Higher => "higher",
        Better::Lower => "lower",
    });
    MetricDifference { name: name.to_owned(), better, values, overlaps }
}

/// Returns whether the intervals of two metrics have a point in common.
pub(super) fn overlap(a: &Metric, b: &Metric) -> bool {
    a.ci95[0] <= b.ci95[1] && b.ci95[0] <= a.ci95[1]
}

/// Returns what differs in the members that `values` gives each run, and how many are the same.
fn differences(
    runs: &[&RunRecord],
    values: &dyn Fn(&RunRecord) -> BTreeMap<String, Value>,
) -> (Vec<Difference>, u64) {
    let members: Vec<BTreeMap<String, Value>> = runs.iter().map(|run| values(run)).collect();
    let names: BTreeSet<&String> = members.iter().flat_map(BTreeMap::keys).collect();
    let mut n_same = 0;
    let mut found = Vec::new();
    for name in names {
        let values: Vec<Option<Value>> =
            members.iter().map(|members| members.get(name).cloned()).collect();
        if values.iter().all(|value| *value == values[0]) {
            n_same += 1;
        } else {
            found.push(Difference { name: name.clone(), values });
        }
    }
    (found, n_same)
}

/// Returns the members of an object that hold something.
fn members(object: Value) -> BTreeMap<String, Value> {
    match object {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).collect()
        }
        _ => BTreeMap::new(),
    }
}
