//! The best run by a metric, among those that can be compared, and which others it cannot be told from.

use super::{Basis, RunRecord, comparison::overlap};
use botops_digest::Digest;
use botops_evaluation::{Better, METRICS, Metric};
use botops_findings::{Fault, Result};
use botops_spec as spec;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Metrics beside those of [`METRICS`], and which way each is better.
const MORE_METRICS: [(&str, Better); 1] = [("brier", Better::Lower)];

/// Returns which way `metric` is better, where that is declared.
#[must_use]
pub fn direction(metric: &str) -> Option<Better> {
    let mut known = METRICS.iter().chain(&MORE_METRICS);
    known.find(|(name, _)| *name == metric).map(|(_, better)| *better)
}

/// What to look for.
#[derive(Debug, Clone)]
pub struct RankQuery<'a> {
    /// The metric.
    pub metric: &'a str,
    /// Which way it is better, where the caller says so.
    pub better: Option<Better>,
    /// Only runs of this kind.
    pub kind: Option<&'a str>,
    /// On what.
    pub on: RankedOn<'a>,
}

/// Runs of which basis are compared.
#[derive(Debug, Clone)]
pub enum RankedOn<'a> {
    /// That of the newest run that has the metric.
    Newest,
    /// The data whose digest begins so (`sha256:` may be left out).
    Data(&'a str),
    /// That of this run.
    SameAs(&'a RunRecord),
}

/// How a run stands to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is the best; of equals, the oldest.
    Best,
    /// It has the very same value.
    Tied,
    /// The intervals overlap: by them, the two cannot be told apart.
    Overlaps,
    /// The intervals do not overlap.
    Worse,
}

/// A run in its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// The run.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// The metric.
    pub metric: Metric,
    /// How it stands to the best.
    pub standing: Standing,
}

/// Runs by a metric, the best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// The metric.
    pub metric: String,
    /// `higher` or `lower`.
    pub better: &'static str,
    /// What it was measured on.
    pub basis: Basis,
    /// The runs, the best first.
    pub ranked: Vec<Ranked>,
    /// Runs with the metric that were left out because it was measured on something else.
    pub on_other_data: u64,
    /// Runs with the metric that were left out because they do not say on what.
    pub on_unknown_data: u64,
}

/// Ranks `runs` (the newest first, as listed).
///
/// # Errors
/// `BOT-5038` (exit 2) a metric that no run has, or that has no declared direction; `BOT-5032` (exit 4) no run can be
/// compared; `BOT-5039` (exit 2) `on` names no data that any run was measured on, or several.
pub fn rank(runs: &[RunRecord], query: &RankQuery<'_>) -> Result<Ranking> {
    let of_kind: Vec<&RunRecord> =
        runs.iter().filter(|run| query.kind.is_none_or(|kind| run.kind == kind)).collect();
    check_kind(runs, &of_kind, query)?;
    let better = known(&of_kind, query)?;
    let with: Vec<(&RunRecord, Metric)> = of_kind
        .iter()
        .filter_map(|run| Some((*run, *run.metrics.get(query.metric)?)))
        .filter(|(_, metric)| metric.value.is_finite())
        .collect();
    let basis = basis(&with, query)?;
    let is_comparable = |run: &RunRecord| run.basis().as_ref() == Some(&basis);
    let mut ranked: Vec<(&RunRecord, Metric)> =
        with.iter().copied().filter(|(run, _)| is_comparable(run)).collect();
    // Listed newest first: reversed, equals stand the oldest first.
    ranked.reverse();
    ranked.sort_by(|(_, a), (_, b)| match better {
        Better::Higher => b.value.total_cmp(&a.value),
        Better::Lower => a.value.total_cmp(&b.value),
    });
    let Some((_, best)) = ranked.first().copied() else {
        return Err(nothing(format!(
            "no run with `{}` was measured on {}",
            query.metric,
            basis.data.short()
        )));
    };
    let unknown = with.iter().filter(|(run, _)| run.basis().is_none()).count();
    Ok(Ranking {
        metric: query.metric.to_owned(),
        better: match better {
            Better::Higher => "higher",
            Better::Lower => "lower",
        },
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

fn nothing(message: String) -> Fault {
    Fault::insufficient("BOT-5032", message)
        .hint("record runs that are judged: `botops train train.csv --test test.csv --record`")
}

fn check_kind(runs: &[RunRecord], of_kind: &[&RunRecord], query: &RankQuery<'_>) -> Result<()> {
    let Some(kind) = query.kind.filter(|_| of_kind.is_empty()) else {
        return if runs.is_empty() {
            Err(nothing("there is no run yet".to_owned()))
        } else {
            Ok(())
        };
    };
    let kinds: BTreeSet<&str> = runs.iter().map(|run| run.kind.as_str()).collect();
    let fault = nothing(format!("no run is of the kind `{kind}`"));
    Err(match spec::nearest(kind, kinds.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None if kinds.is_empty() => fault,
        None => fault.hint(format!("the kinds there are: {}", listed(kinds))),
    })
}

/// Returns which way the metric is better, once it is known to be one.
fn known(runs: &[&RunRecord], query: &RankQuery<'_>) -> Result<Better> {
    let metric = query.metric;
    let recorded: BTreeSet<&str> =
        runs.iter().flat_map(|run| run.metrics.keys().map(String::as_str)).collect();
    if recorded.is_empty() {
        return Err(nothing("no run has a metric".to_owned()));
    }
    if !recorded.contains(metric) {
        let shown = botops_text::display(metric, 60);
        if direction(metric).is_some() {
            return Err(nothing(format!("no run has the metric `{shown}`"))
                .hint(format!("the metrics there are: {}", listed(recorded))));
        }
        let fault = Fault::usage("BOT-5038", format!("no run has a metric called `{shown}`"));
        return Err(match spec::nearest(metric, recorded.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("the metrics there are: {}", listed(recorded))),
        });
    }
    query.better.or_else(|| direction(metric)).ok_or_else(|| {
        Fault::usage(
            "BOT-5038",
            format!("nothing says whether more or less of `{metric}` is better"),
        )
        .hint("say it: `--better higher` or `--better lower`")
    })
}

fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns what the runs to be compared were measured on.
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
        RankedOn::Newest => with.iter().find_map(|(run, _)| run.basis()).ok_or_else(|| {
            nothing(format!("no run says on what its `{}` was measured", query.metric))
        }),
        RankedOn::SameAs(run) => run.basis().ok_or_else(|| {
            Fault::usage(
                "BOT-5039",
                format!("run `{}` was not measured on anything that it names", run.id),
            )
            .hint("name a run that has metrics: `botops runs list`")
        }),
        RankedOn::Data(wanted) => {
            let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
            let named = |data: &Digest| !hex.is_empty() && data.hex().starts_with(hex);
            let found: BTreeSet<Digest> =
                bases.keys().map(|basis| basis.data).filter(named).collect();
            // On one data set in several ways: the way of the newest run.
            let newest =
                with.iter().filter_map(|(run, _)| run.basis()).find(|basis| named(&basis.data));
            match (found.len(), newest) {
                (1, Some(basis)) => Ok(basis),
                (n, _) => {
                    let shown = botops_text::display(wanted, 80);
                    let what = if n == 0 { "nothing" } else { "several data sets" };
                    let fault = Fault::usage(
                        "BOT-5039",
                        format!("`{shown}` names {what} that `{}` was measured on", query.metric),
                    );
                    Err(described().into_iter().fold(fault, Fault::hint))
                }
            }
        }
    }
}
