//! Trials and searches as recorded runs.

use super::{
    plan::TunePlan,
    services::{FinishedTrial, TuneData, TuneServices},
};
use crate::trial_store::Entry;
use botops_evaluation::{Metric, SearchReport, pooled};
use botops_experiments::{Artifact, Basis, RunRecord};
use botops_findings::Result;
use botops_pipelines::flatten;
use std::collections::BTreeMap;

/// Records trials that enter no further rung.
///
/// A record contains only values of the store, so every process records the same run.
pub(crate) async fn record_trials(
    finished: &[FinishedTrial<'_>],
    plan: &TunePlan,
    data: &TuneData,
    services: &TuneServices<'_>,
) -> Result<()> {
    for trial in finished {
        if let Some(run) = record(trial, plan, data) {
            services.experiments.record(run).await?;
        }
    }
    Ok(())
}

fn record(finished: &FinishedTrial<'_>, plan: &TunePlan, data: &TuneData) -> Option<RunRecord> {
    let (first, last) = (finished.entries.first()?, finished.entries.last()?);
    let spec = &plan.trials[finished.trial as usize].spec;
    let mut params = BTreeMap::new();
    let value = serde_json::to_value(spec).expect("a spec is valid JSON");
    flatten("model", &value, &mut params);
    params.insert("tune.search".to_owned(), first.search.to_string().into());
    params.insert("tune.trial".to_owned(), finished.trial.into());
    params.insert("tune.rung".to_owned(), (last.rung + 1).into());
    if let Some(failed) = finished.entries.iter().find_map(|entry| entry.failed.clone()) {
        params.insert("tune.failed".to_owned(), failed.into());
    }
    let metrics: BTreeMap<String, Metric> =
        if finished.folds.is_empty() { BTreeMap::new() } else { pooled(&finished.folds) };
    Some(RunRecord {
        schema: String::new(),
        id: String::new(),
        kind: "tune_trial".to_owned(),
        started_at: first.started_at,
        finished_at: last.finished_at,
        params,
        metrics,
        data: BTreeMap::from([("train".to_owned(), data.digest)]),
        code: last.code.clone(),
        environment: last.environment.clone(),
        artifacts: Vec::new(),
        stages: BTreeMap::new(),
        sources: BTreeMap::new(),
        recipe: None,
        costs: Vec::new(),
        measured_on: Some(Basis { method: method(plan, last.rung as usize), data: data.digest }),
        twin_of: None,
    })
}

/// Returns the method by which a rung holds out records; only trials judged by one method can be compared.
fn method(plan: &TunePlan, rung: usize) -> String {
    let (spec, rung) = (&plan.spec, plan.rungs[rung]);
    let folds = match rung.folds == spec.folds {
        true => format!("{} folds", spec.folds),
        false => format!("{} of {} folds", rung.folds, spec.folds),
    };
    let share = match rung.share < 1.0 {
        true => format!(", {} of the records", rung.share),
        false => String::new(),
    };
    format!("cross_validation {folds}{share}, seed {}", spec.seed)
}

/// Records the search itself, with its report and the winner's configuration; returns the run's id.
///
/// As with trials, the record contains only values of the store, so every shard records the same run. `entries` are all
/// entries of the search.
pub(crate) async fn record_search(
    report: &SearchReport,
    winner: &str,
    entries: &[&Entry],
    services: &TuneServices<'_>,
) -> Result<String> {
    let setting = &report.setting;
    let mut params = BTreeMap::new();
    let spec = serde_json::to_value(&report.spec).expect("a spec is valid JSON");
    flatten("model", &spec, &mut params);
    params.insert("tune.search".to_owned(), setting.search.to_string().into());
    params.insert("tune.trials".to_owned(), report.trials.len().into());
    params.insert("tune.winner".to_owned(), report.winner.into());
    params.insert("tune.metric".to_owned(), setting.metric.name().into());
    let json = serde_json::to_vec_pretty(report).expect("a report is valid JSON");
    let files: Vec<(&str, bytes::Bytes)> =
        vec![("search.json", json.into()), ("winner.yaml", winner.to_owned().into())];
    // The machine and the code that judged the winner last stand for all.
    let last = entries.iter().rfind(|entry| entry.trial == report.winner);
    let last = last.expect("the winner was judged");
    let run = RunRecord {
        schema: String::new(),
        id: String::new(),
        kind: "tune".to_owned(),
        started_at: entries.iter().map(|entry| entry.started_at).min().unwrap_or(last.started_at),
        finished_at: entries
            .iter()
            .map(|entry| entry.finished_at)
            .max()
            .unwrap_or(last.finished_at),
        params,
        metrics: report.trial(report.winner).map(|trial| trial.metrics.clone()).unwrap_or_default(),
        data: BTreeMap::from([("train".to_owned(), setting.data_digest)]),
        code: last.code.clone(),
        environment: last.environment.clone(),
        artifacts: files.iter().map(|(name, bytes)| Artifact::of(name, bytes)).collect(),
        stages: BTreeMap::new(),
        sources: BTreeMap::new(),
        recipe: None,
        costs: Vec::new(),
        measured_on: Some(Basis {
            method: format!("cross_validation {} folds, seed {}", setting.n_folds, setting.seed),
            data: setting.data_digest,
        }),
        twin_of: None,
    };
    let files: Vec<bytes::Bytes> = files.into_iter().map(|(_, bytes)| bytes).collect();
    services.experiments.commit(run, &files).await
}
