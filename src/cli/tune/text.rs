//! The plan and the report of a search as text.

use crate::cli::terminal::tables;
use botops_evaluation::{Importance, JudgedTrial, MetricName, Rival, SearchReport};
use botops_text::{interval, percent, signed_interval};
use botops_tuning::{Shard, TunePlan};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Renders the plan of a search: the rungs, then the first `most` trials of `shard`.
pub(super) fn plan(plan: &TunePlan, shard: Shard, most: usize) -> String {
    let mut out = format!(
        "stage `{}`: {} trials, at most {} fits, by {}\n\n",
        plan.stage,
        plan.trials.len(),
        tables::count(plan.fits()),
        plan.spec.metric.name()
    );
    if plan.is_exhausted {
        out.push_str(&format!(
            "the space has only this many trials, fewer than the {} requested\n\n",
            plan.spec.trials
        ));
    }
    let rungs = (1..).zip(&plan.rungs).map(|(number, rung): (u32, _)| {
        vec![
            number.to_string(),
            rung.trials.to_string(),
            rung.folds.to_string(),
            percent(rung.share, 0),
        ]
    });
    out.push_str(&tables::table(&["rung", "trials", "folds", "records"], rungs, &[0, 1, 2, 3]));
    let own: Vec<(u32, &BTreeMap<String, Value>)> = (0..)
        .zip(plan.trials.iter().map(|trial| &trial.params))
        .filter(|(number, _)| number % shard.count == shard.index)
        .collect();
    let settings: Vec<&String> = plan.spec.space.keys().collect();
    let mut header = vec!["trial"];
    header.extend(settings.iter().map(|key| key.as_str()));
    let rows = own.iter().take(most).map(|(number, params)| {
        let mut row = vec![name(*number)];
        row.extend(settings.iter().map(|key| params.get(*key).map_or("-".to_owned(), value_text)));
        row
    });
    let of = if shard == Shard::ALL {
        String::new()
    } else {
        format!(" of shard {}/{}, which it runs first", shard.index, shard.count)
    };
    out.push_str(&format!("\n{} trials{of}:\n{}", own.len(), tables::table(&header, rows, &[])));
    if own.len() > most {
        out.push_str(&format!("and {} more\n", own.len() - most));
    }
    out
}

/// Renders a report with the best `most` trials.
pub(super) fn report(report: &SearchReport, most: usize) -> String {
    let setting = &report.setting;
    let metric = setting.metric;
    let mut out = format!(
        "{}: {} records in {} groups of near duplicates, {} intents, {} folds\n\n",
        setting.data,
        tables::count(setting.n_samples),
        tables::count(setting.n_groups),
        setting.n_intents,
        setting.n_folds
    );
    out.push_str(&trials(report, most));
    out.push_str(&format!(
        "\nwinner: {}, {} {}",
        name(report.winner),
        metric.name(),
        tables::metric(&report.score)
    ));
    if let Some(unchosen) = report.unchosen {
        out.push_str(&format!("; {unchosen:.3} corrected for choosing the best"));
    }
    out.push('\n');
    for (role, rival) in [("runner-up", &report.runner_up), ("base", &report.base)] {
        if let Some(rival) = rival {
            out.push_str(&against(role, rival, metric));
        }
    }
    let equals = report.within_one_error.len();
    if equals > 1 {
        let base = match report.winner != 0 && report.within_one_error.contains(&0) {
            true => ", the base among them",
            false => "",
        };
        out.push_str(&format!(
            "  {equals} of the trials in the last rung lie within one standard error{base}: no clear difference\n"
        ));
    }
    out.push_str(&self::importance(&report.importance, metric));
    for note in &report.notes {
        out.push_str(&format!("note: {note}\n"));
    }
    out
}

fn trials(report: &SearchReport, most: usize) -> String {
    let metric = report.setting.metric.name();
    let settings: BTreeSet<&String> =
        report.trials.iter().flat_map(|trial| trial.params.keys()).collect();
    let mut header = vec!["trial", "rung", metric, "95 % interval", "folds", "spread"];
    header.extend(settings.iter().map(|key| key.as_str()));
    let rows = report.trials.iter().take(most.max(1)).map(|trial| {
        let mut row = row(trial, metric);
        row.extend(
            settings.iter().map(|key| trial.params.get(*key).map_or("-".to_owned(), value_text)),
        );
        row
    });
    let mut out = tables::table(&header, rows, &[1, 2, 4, 5]);
    if report.trials.len() > most.max(1) {
        out.push_str(&format!("and {} more\n", report.trials.len() - most.max(1)));
    }
    for trial in &report.trials {
        if let Some(failed) = &trial.failed {
            out.push_str(&format!("{} failed: {failed}\n", name(trial.trial)));
        }
    }
    out
}

fn row(trial: &JudgedTrial, metric: &str) -> Vec<String> {
    let judged = trial.metrics.get(metric);
    vec![
        name(trial.trial),
        trial.rung.to_string(),
        judged.map_or("-".to_owned(), |metric| format!("{:.4}", metric.value)),
        judged.map_or("-".to_owned(), |metric| interval(metric.ci95, 4)),
        trial.folds.len().to_string(),
        spread(&trial.folds).map_or("-".to_owned(), |spread| format!("{spread:.4}")),
    ]
}

/// Returns the standard deviation of the folds' scores.
fn spread(folds: &[f64]) -> Option<f64> {
    let n = folds.len() as f64;
    let mean = folds.iter().sum::<f64>() / n;
    let squares = folds.iter().map(|score| (score - mean).powi(2)).sum::<f64>();
    (folds.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

fn against(role: &str, rival: &Rival, metric: MetricName) -> String {
    let difference = &rival.comparison.difference;
    let of = if rival.trial == 0 { String::new() } else { format!(" (trial {})", rival.trial) };
    format!(
        "  against the {role}{of}: {} {:+.4} {}, corrected resampled t-test p {}\n",
        metric.name(),
        difference.mean,
        signed_interval(difference.ci95, 4),
        tables::p_value(difference.p)
    )
}

fn importance(importance: &[Importance], metric: MetricName) -> String {
    if importance.is_empty() {
        return String::new();
    }
    let rows = importance.iter().map(|setting| {
        let gain = |mean: f64| metric.gain(mean);
        let best = setting.groups.iter().max_by(|a, b| gain(a.mean).total_cmp(&gain(b.mean)));
        vec![
            setting.setting.clone(),
            percent(setting.share, 0),
            tables::p_value(setting.p_adjusted),
            setting.rank_correlation.map_or("-".to_owned(), |r| format!("{r:+.2}")),
            best.map_or(String::new(), |group| {
                format!("{} ({:.4}, {} trials)", group.values, group.mean, group.n)
            }),
        ]
    });
    format!(
        "\nimportance of each setting in the first rung:\n{}",
        tables::table(
            &["setting", "variance", "p", "rank correlation", "best values (mean)"],
            rows,
            &[1, 2, 3]
        )
    )
}

/// Returns the name of a trial.
fn name(number: u32) -> String {
    if number == 0 { "base".to_owned() } else { format!("trial {number}") }
}

/// Returns a value as text: strings without quotes, other values in JSON.
fn value_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
