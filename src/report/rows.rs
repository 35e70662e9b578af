//! Results as rows of plain text, for a table on a terminal: every cell is one visible line.

use super::{
    decision, drift,
    matrix::confused,
    wording::{count, line, number, p_value, percent},
};
use crate::{
    drift::DriftReport,
    evaluation::{Comparison, EvaluationReport, Flip, GateReport, METRICS},
    rollout::{Decision, GatePolicy},
};

/// A confusion matrix of more classes than this is shown as its most confused pairs.
pub const MOST_CLASSES: usize = 12;

/// The longest utterance in a row.
const MOST_CHARS: usize = 72;

/// Headings and rows; each row has as many cells as there are headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The headings.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

fn rows(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Rows {
    Rows {
        header: header.iter().map(|&name| name.to_owned()).collect(),
        rows: rows.into_iter().collect(),
    }
}

/// Returns the confusion matrix up to [`MOST_CLASSES`] intents (rows truth, columns predicted, `.` for
/// none), else the `most` pairs confused most often.
#[must_use]
pub fn confusion(report: &EvaluationReport, most: usize) -> Rows {
    if report.intents.len() > MOST_CLASSES {
        let pairs = confused(report).into_iter().take(most).map(|pair| {
            vec![
                line(pair.truth, 40),
                line(pair.predicted, 40),
                count(pair.n),
                percent(pair.n as f64 / pair.support.max(1) as f64),
            ]
        });
        return rows(&["truth", "predicted", "records", "of the intent"], pairs);
    }
    let name = |name: &String| line(name, 24);
    let mut header = vec!["truth \\ predicted".to_owned()];
    header.extend(report.intents.iter().map(name));
    let rows = report.intents.iter().zip(&report.confusion).map(|(truth, row)| {
        let cell = |n: &u64| if *n == 0 { ".".to_owned() } else { count(*n) };
        std::iter::once(name(truth)).chain(row.iter().map(cell)).collect()
    });
    Rows { rows: rows.collect(), header }
}

/// Returns the metrics: name, value, interval, records.
#[must_use]
pub fn metrics(report: &EvaluationReport) -> Rows {
    let found = METRICS.iter().filter_map(|(name, _)| {
        let metric = report.metrics.get(*name)?;
        let [lower, upper] = metric.ci95;
        Some(vec![
            (*name).to_owned(),
            number(metric.value),
            format!("[{}, {}]", number(lower), number(upper)),
            count(metric.n),
        ])
    });
    rows(&["metric", "value", "95 % interval", "records"], found)
}

/// Returns the intents, the lowest F1 first: precision, recall, F1, records.
#[must_use]
pub fn intents(report: &EvaluationReport) -> Rows {
    let mut intents: Vec<_> = report.per_class.iter().collect();
    intents.sort_by(|a, b| a.1.f1.total_cmp(&b.1.f1).then(a.0.cmp(b.0)));
    let found = intents.into_iter().map(|(name, metrics)| {
        vec![
            line(name, 40),
            number(metrics.precision),
            number(metrics.recall),
            number(metrics.f1),
            count(metrics.support),
        ]
    });
    rows(&["intent", "precision", "recall", "f1", "records"], found)
}

/// Returns the languages: accuracy, interval, records.
#[must_use]
pub fn languages(report: &EvaluationReport) -> Rows {
    let found = report.per_language.iter().map(|(name, metric)| {
        let [lower, upper] = metric.ci95;
        vec![
            line(name, 24),
            number(metric.value),
            format!("[{}, {}]", number(lower), number(upper)),
            count(metric.n),
        ]
    });
    rows(&["language", "accuracy", "95 % interval", "records"], found)
}

/// Returns the `most` surest mistakes.
#[must_use]
pub fn errors(report: &EvaluationReport, most: usize) -> Rows {
    let found = report.errors.iter().take(most).map(|error| {
        vec![
            error.record.to_string(),
            line(&error.text, MOST_CHARS),
            line(&error.truth, 32),
            line(&error.predicted, 32),
            number(error.confidence),
        ]
    });
    rows(&["record", "utterance", "truth", "predicted", "confidence"], found)
}

/// Returns up to `most` flips of either kind, the newly wrong first.
#[must_use]
pub fn flips(comparison: &Comparison, most: usize) -> Rows {
    let found = |kind: &'static str, flips: &[Flip]| -> Vec<Vec<String>> {
        let row = |flip: &Flip| {
            vec![
                kind.to_owned(),
                flip.record.to_string(),
                line(&flip.text, MOST_CHARS),
                line(&flip.truth, 32),
                line(&flip.champion, 32),
                line(&flip.challenger, 32),
            ]
        };
        flips.iter().take(most).map(row).collect()
    };
    let mut all = found("newly wrong", &comparison.newly_wrong);
    all.extend(found("newly right", &comparison.newly_right));
    rows(&["flip", "record", "utterance", "truth", "champion", "challenger"], all)
}

/// Returns the gates: verdict, rule, what was observed.
#[must_use]
pub fn gates(report: &GateReport) -> Rows {
    let found = report.results.iter().map(|result| {
        let verdict = if result.passed { "passed" } else { "failed" };
        vec![verdict.to_owned(), line(&result.rule, 120), line(&result.observed, 200)]
    });
    rows(&["verdict", "gate", "observed"], found)
}

/// Returns the checks of a drift report.
#[must_use]
pub fn checks(report: &DriftReport) -> Rows {
    let found = report.checks.iter().map(|check| {
        let (value, least, unit) = drift::effect(check, report);
        vec![
            line(&check.name, 32),
            drift::tone(check.verdict).1.to_owned(),
            format!("{unit} {}", number(value)),
            number(least),
            p_value(check.p_adjusted),
            format!("{} / {}", count(check.n_reference), count(check.n_current)),
        ]
    });
    rows(&["check", "verdict", "effect", "least", "p corrected", "rows"], found)
}

/// Returns the evidence of a rollout, by failure.
#[must_use]
pub fn evidence(decision: &Decision) -> Rows {
    let found = decision.evidence.iter().map(|evidence| {
        let gates = evidence.policy == GatePolicy::Gate;
        vec![
            decision::kind(evidence.kind).to_owned(),
            if gates { "gates" } else { "observed" }.to_owned(),
            percent(evidence.rates[0]),
            percent(evidence.rates[1]),
            format!("{:.2}", evidence.log_e_rollback),
            format!("{:.2}", evidence.log_e_promote),
            format!("{:.2}", evidence.log_threshold),
            decision::finding(evidence).1.to_owned(),
        ]
    });
    rows(
        &[
            "failure",
            "role",
            "champion",
            "challenger",
            "log e worse",
            "log e not worse",
            "threshold",
            "finding",
        ],
        found,
    )
}
