//! The ranking of runs by a metric, among those that can be compared.

use super::{
    Basis, RunRecord,
    metric_direction::{direction, direction_name, overlap},
};
use botops_digest::Digest;
use botops_evaluation::{Better, Metric};
use botops_findings::{Fault, Result};
use botops_spec as spec;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The kind of a run that is one trial of a search.
const TRIAL: &str = "tune_trial";

/// The query of a ranking.
#[derive(Debug, Clone)]
pub struct RankQuery<'a> {
    /// The metric.
    pub metric: &'a str,
    /// The direction of the metric; `None` for the declared one.
    pub better: Option<Better>,
    /// Only runs of this kind, if given.
    pub kind: Option<&'a str>,
    /// The basis of the runs to compare.
    pub on: RankedOn<'a>,
}

/// The basis of the runs to compare.
#[derive(Debug, Clone)]
pub enum RankedOn<'a> {
    /// The basis of the newest run with the metric. A search stands for its trials.
    Newest,
    /// The data whose digest begins with this text; `sha256:` may be omitted.
    Data(&'a str),
    /// The basis of this run.
    SameAs(&'a RunRecord),
}

/// The standing of a run relative to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The run is the best; among equals, the oldest is.
    Best,
    /// The run has the same value as the best.
    Tied,
    /// The intervals overlap, so they do not tell the two runs apart.
    Overlaps,
    /// The intervals do not overlap.
    Worse,
}

/// A run in a ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// The id of the run.
    pub id: String,
    /// The kind of the run.
    pub kind: String,
    /// The end time.
    pub finished_at: DateTime<Utc>,
    /// The metric.
    pub metric: Metric,
    /// The standing relative to the best.
    pub standing: Standing,
}

/// Runs ranked by a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// The metric.
    pub metric: String,
    /// `higher` or `lower`.
    pub better: &'static str,
    /// The basis of all ranked runs.
    pub basis: Basis,
    /// The runs, the best first.
    pub ranked: Vec<Ranked>,
    /// The number of runs with the metric on another basis. They are not ranked.
    pub on_other_data: u64,
    /// The number of runs with the metric that record no basis. They are not ranked.
    pub on_unknown_data: u64,
}

/// Ranks `runs`, which are listed newest first.
///
/// # Errors
/// `BOT-5038` (exit 2) no run has the metric, or its direction is not declared; `BOT-5032` (exit 4) no run can be
/// compared; `BOT-5039` (exit 2) `on` matches no data that a run was measured on, or several.
pub fn rank(runs: &[RunRecord], query: &RankQuery<'_>) -> Result<Ranking> {
    let of_kind: Vec<&RunRecord> =
        runs.iter().filter(|run| query.kind.is_none_or(|kind| run.kind == kind)).collect();
    check_kind(runs, &of_kind, query)?;
    let better = metric_direction(&of_kind, query)?;
    let with: Vec<(&RunRecord, Metric)> = of_kind
        .iter()
        .filter_map(|run| Some((*run, *run.metrics.get(query.metric)?)))
        .filter(|(_, metric)| metric.value.is_finite())
        .collect();
    let basis = basis(&with, query)?;
    let is_comparable = |run: &RunRecord| run.basis().as_ref() == Some(&basis);
    let mut ranked: Vec<(&RunRecord, Metric)> =
        with.iter().copied().filter(|(run, _)| is_comparable(run)).collect();
    // The list is newest first. Reversed, equal values keep the oldest run first.
    ranked.reverse();
    ranked.sort_by(|(_, a), (_, b)| match better {
        Better::Higher => b.value.total_cmp(&a.value),
        Better::Lower => a.value.total_cmp(&b.value),
    });
    let Some((_, best)) = ranked.first().copied() else {
        return Err(not_comparable(format!(
            "no run with `{}` was measured on {}",
            query.metric,
            basis.data.short()
        )));
    };
    let unknown = with.iter().filter(|(run, _)| run.basis().is_none()).count();
    Ok(Ranking {
        metric: query.metric.to_owned(),
        better: direction_name(better),
        on_other_data: (with.len() - ranked.len() - unknown) as u64,
        on_unknown_data: unknown as u64,
        basis,
        ranked: ranked
            .into_iter()
            .enumerate()
            .map(|(place, (run, metric))| Ranked {
                id: run.id.clone(),
                kind: run.kind.clone(),
                finished_at: run.finished_at,
                metric,
                standing: match place {
                    0 => Standing::Best,
                    _ if metric.value == best.value => Standing::Tied,
                    _ if overlap(&best, &metric) => Standing::Overlaps,
                    _ => Standing::Worse,
                },
            })
            .collect(),
    })
}

/// The fault of runs that cannot be compared.
fn not_comparable(message: String) -> Fault {
    Fault::insufficient("BOT-5032", message)
        .hint("record runs with an evaluation: `botops train train.csv --test test.csv --record`")
}

/// Checks that there are runs, and runs of the kind in the query.
fn check_kind(runs: &[RunRecord], of_kind: &[&RunRecord], query: &RankQuery<'_>) -> Result<()> {
    let Some(kind) = query.kind.filter(|_| of_kind.is_empty()) else {
        return if runs.is_empty() {
            Err(not_comparable("no run has been recorded yet".to_owned()))
        } else {
            Ok(())
        };
    };
    let kinds: BTreeSet<&str> = runs.iter().map(|run| run.kind.as_str()).collect();
    let fault = not_comparable(format!("no run has the kind `{kind}`"));
    Err(match spec::nearest(kind, kinds.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None if kinds.is_empty() => fault,
        None => fault.hint(format!("the recorded kinds are: {}", listed(kinds))),
    })
}

/// Returns the direction of the metric, after checking that a run has it.
fn metric_direction(runs: &[&RunRecord], query: &RankQuery<'_>) -> Result<Better> {
    let metric = query.metric;
    let recorded: BTreeSet<&str> =
        runs.iter().flat_map(|run| run.metrics.keys().map(String::as_str)).collect();
    if recorded.is_empty() {
        return Err(not_comparable("no run has a metric".to_owned()));
    }
    if !recorded.contains(metric) {
        let name = botops_text::display(metric, 60);
        if direction(metric).is_some() {
            return Err(not_comparable(format!("no run has the metric `{name}`"))
                .hint(format!("the recorded metrics are: {}", listed(recorded))));
        }
        let fault = Fault::usage("BOT-5038", format!("no run has a metric named `{name}`"));
        return Err(match spec::nearest(metric, recorded.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("the recorded metrics are: {}", listed(recorded))),
        });
    }
    query.better.or_else(|| direction(metric)).ok_or_else(|| {
        Fault::usage(
            "BOT-5038",
            format!("it is not declared whether a higher or a lower `{metric}` is better"),
        )
        .hint("declare it: `--better higher` or `--better lower`")
    })
}

/// Returns the names in backticks, separated by commas.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns the basis of the newest of `runs`, which are listed newest first.
///
/// Trials of a search are judged on parts of the data until the last rung, so a trial decides only if there are no other
/// runs: then one of the last rung of its search does.
fn newest_basis<'a>(runs: impl Iterator<Item = &'a RunRecord> + Clone) -> Option<Basis> {
    let with_basis = runs.filter_map(|run| Some((run, run.basis()?)));
    if let Some((_, basis)) = with_basis.clone().find(|(run, _)| run.kind != TRIAL) {
        return Some(basis);
    }
    let (newest, _) = with_basis.clone().next()?;
    let search = newest.params.get("tune.search");
    let rung = |run: &RunRecord| run.params.get("tune.rung").and_then(|rung| rung.as_u64());
    let of_search = with_basis.filter(|(run, _)| run.params.get("tune.search") == search);
    // Of equal rungs, the maximum is the last one, so the order is reversed.
    let trials: Vec<_> = of_search.collect();
    trials.into_iter().rev().max_by_key(|(run, _)| rung(run)).map(|(_, basis)| basis)
}

/// Returns the basis of the runs to compare.
fn basis(with: &[(&RunRecord, Metric)], query: &RankQuery<'_>) -> Result<Basis> {
    let mut bases: BTreeMap<Basis, u64> = BTreeMap::new();
    for basis in with.iter().filter_map(|(run, _)| run.basis()) {
        *bases.entry(basis).or_default() += 1;
    }
    let described = || -> Vec<String> {
        let runs = |n: u64| if n == 1 { "1 run".to_owned() } else { format!("{n} runs") };
        bases
            .iter()
            .map(|(basis, n)| {
                format!("`--data {}` ({}, {})", basis.data.short(), basis.method, runs(*n))
            })
            .collect()
    };
    match &query.on {
        RankedOn::Newest => newest_basis(with.iter().map(|(run, _)| *run)).ok_or_else(|| {
            not_comparable(format!("no run records what its `{}` was measured on", query.metric))
        }),
        RankedOn::SameAs(run) => run.basis().ok_or_else(|| {
            Fault::usage(
                "BOT-5039",
                format!("run `{}` does not record what it was measured on", run.id),
            )
            .hint("name a run that has metrics: `botops runs list`")
        }),
        RankedOn::Data(prefix) => {
            let hex = prefix.strip_prefix("sha256:").unwrap_or(prefix);
            let matches = |data: &Digest| !hex.is_empty() && data.hex().starts_with(hex);
            let found: BTreeSet<Digest> =
                bases.keys().map(|basis| basis.data).filter(matches).collect();
            // If one data set was used in several ways, the newest run decides.
            let is_match = |run: &&RunRecord| run.basis().is_some_and(|b| matches(&b.data));
            let newest = newest_basis(with.iter().map(|(run, _)| *run).filter(is_match));
            match (found.len(), newest) {
                (1, Some(basis)) => Ok(basis),
                (n, _) => {
                    let prefix = botops_text::display(prefix, 80);
                    let found = if n == 0 { "no data set" } else { "several data sets" };
                    let fault = Fault::usage(
                        "BOT-5039",
                        format!(
                            "`{prefix}` matches {found} that `{}` was measured on",
                            query.metric
                        ),
                    );
                    Err(described().into_iter().fold(fault, Fault::hint))
                }
            }
        }
    }
}
