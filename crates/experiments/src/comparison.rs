//! The comparison of runs: their differences, and the evidence for each.

use super::{
    Basis, RunRecord, TEST,
    metric_direction::{direction, direction_name, overlap},
    pairing::{Pairing, pair},
};
use botops_evaluation::{EvaluationReport, METRICS, Metric};
use botops_stats::multiple::benjamini_hochberg;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A value that is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The name.
    pub name: String,
    /// The values, in the order of the runs; `None` if a run lacks it.
    pub values: Vec<Option<Value>>,
}

/// A metric that is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricDifference {
    /// The name.
    pub name: String,
    /// `higher` or `lower`; `None` if the direction is not declared.
    pub better: Option<&'static str>,
    /// The values, in the order of the runs; `None` if a run lacks it.
    pub values: Vec<Option<Metric>>,
    /// For each run after the first, whether its interval overlaps that of the first; `None` if the two have not the same
    /// basis, because the intervals cannot be compared then.
    pub overlaps: Vec<Option<bool>>,
}

/// One run compared with the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    /// The run.
    pub run: String,
    /// Whether both model files have the same bytes; `None` if one of the runs made no model.
    pub same_model: Option<bool>,
    /// The comparison record by record, if both keep their errors on the same records.
    pub paired: Option<Pairing>,
    /// The McNemar p-value of `paired`, adjusted for the number of runs compared with the first (Benjamini-Hochberg).
    pub p_adjusted: Option<f64>,
    /// The reason why `paired` is missing.
    pub why_not_paired: Option<String>,
}

/// The differences between runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunComparison {
    /// The runs, in the order given.
    pub runs: Vec<String>,
    /// Settings.
    pub params: Vec<Difference>,
    /// Data, by digest.
    pub data: Vec<Difference>,
    /// Code: `git_commit`, `git_dirty`.
    pub code: Vec<Difference>,
    /// Machine: `botops`, `platform`, `cores`, `ci`.
    pub environment: Vec<Difference>,
    /// Verdicts of pipeline stages.
    pub stages: Vec<Difference>,
    /// Metrics.
    pub metrics: Vec<MetricDifference>,
    /// Whether all runs have the same basis. If not, their metrics cannot be compared.
    pub same_basis: bool,
    /// Each run after the first, compared with the first.
    pub contrasts: Vec<Contrast>,
    /// The number of values that are the same in all runs, by section: `params`, `data`, `code`, `environment`, `stages`,
    /// `metrics`.
    pub same: BTreeMap<&'static str, u64>,
}

/// The evaluation of a run, or the reason why there is none.
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
    // Known metrics in their usual order, then the others by name.
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

/// Compares each run after the first with the first.
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

/// Compares two runs record by record, if both were measured on the same test set.
fn paired(
    (base, base_report): &(RunRecord, Evaluated),
    (other, other_report): &(RunRecord, Evaluated),
) -> Result<Pairing, String> {
    let (Some(base_on), Some(other_on)) = (base.basis(), other.basis()) else {
        let without = if base.basis().is_none() { &base.id } else { &other.id };
        return Err(format!("run {without} does not record what it was measured on"));
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
        // The models of the folds share most of their training data, so the records are not independent.
        return Err(format!("records out of fold are not independent ({})", base_on.method));
    }
    pair(
        base_report.as_ref().map_err(String::clone)?,
        other_report.as_ref().map_err(String::clone)?,
    )
}

/// Compares one metric.
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
    let better = direction(name).map(direction_name);
    MetricDifference { name: name.to_owned(), better, values, overlaps }
}

/// Returns the members that differ between runs, and the number of those that are the same; `values` returns the members of
/// a run.
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

/// Returns the members of an object that are not null.
fn members(object: Value) -> BTreeMap<String, Value> {
    match object {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).collect()
        }
        _ => BTreeMap::new(),
    }
}
