//! The answer of `botops monitor`, for programs and for people.

use crate::cli::{drift, terminal::tables};
use botops_findings::Finding;
use botops_monitoring::{
    AccuracyEstimate, MonitorReport, MonitorState, ReferenceSide, alarms::Decision,
    text_drift::Actions,
};
use botops_text::percent;
use serde::Serialize;

/// The most windows that are shown in full; of more, there is one line each.
const IN_FULL: usize = 1;
/// The findings of one code that are shown.
const SAMPLES: usize = 3;

/// A window that was judged, and the entry that says so.
#[derive(Serialize)]
pub(super) struct Judged {
    #[serde(flatten)]
    pub(super) report: MonitorReport,
    /// Words of the window that the reference lacks, with their counts. They are not stored.
    pub(super) new_words: Vec<(String, u64)>,
    /// The terms that moved, and candidates for new intents, if the texts drifted. They are not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) texts: Option<Actions>,
    /// The hours with records after the window, which wait for a later one; `None` for windows before the last. They are not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) later_hours: Option<usize>,
    /// The number of the entry in the log; `None` in a dry run.
    pub(super) entry: Option<u64>,
    /// Whether this call wrote the entry; if not, it says the same already.
    pub(super) recorded: bool,
}

#[derive(Serialize)]
pub(super) struct Answer {
    pub(super) windows: Vec<Judged>,
    pub(super) html: Option<String>,
    pub(super) dry_run: bool,
}

/// Renders the answer.
pub(super) fn answer(answer: &Answer, findings: &[Finding]) -> String {
    let mut text = String::new();
    if answer.windows.len() > IN_FULL {
        text.push_str(&lines(&answer.windows));
        text.push('\n');
    }
    if let Some(last) = answer.windows.last() {
        text.push_str(&in_full(last));
        text.push_str(match (last.entry, last.recorded) {
            (Some(_), true) => "recorded\n",
            (Some(_), false) => "recorded before: nothing has changed\n",
            (None, _) => "dry run: nothing was recorded\n",
        });
    }
    if let Some(file) = &answer.html {
        text.push_str(&format!("wrote {file}\n"));
    }
    // The reasons of the state stand above.
    let shown = answer.windows.iter().flat_map(|judged| &judged.report.reasons);
    let shown: Vec<&str> = shown.map(|reason| reason.code.as_str()).collect();
    let others: Vec<Finding> =
        findings.iter().filter(|it| !shown.contains(&it.code.as_ref())).cloned().collect();
    text.push_str(&tables::findings(&others, SAMPLES));
    text
}

/// Renders one line for each window.
fn lines(windows: &[Judged]) -> String {
    let rows = windows.iter().map(|judged| {
        let report = &judged.report;
        vec![
            report.window.to_string(),
            state(report.state).to_owned(),
            tables::count(report.volume.records),
            accuracy(report),
            drifted(report).join(", "),
        ]
    });
    tables::table(&["window (UTC)", "state", "records", "accuracy", "drift"], rows, &[2])
}

/// Returns the name of a state.
pub(super) fn state(state: MonitorState) -> &'static str {
    match state {
        MonitorState::Healthy => "healthy",
        MonitorState::Drift => "drift",
        MonitorState::InaccurateModel => "inaccurate",
        MonitorState::Insufficient => "insufficient",
    }
}

fn drifted(report: &MonitorReport) -> Vec<&str> {
    let checks = report.drift.iter().flat_map(|drift| &drift.checks);
    let drifted = checks.filter(|check| check.verdict == botops_drift::DriftVerdict::Drift);
    drifted.map(|check| check.name.as_str()).collect()
}

fn share(value: f64, [low, high]: [f64; 2]) -> String {
    format!("{} [{}, {}]", percent(value, 1), percent(low, 1), percent(high, 1))
}

/// Returns the accuracy of the champion from verdicts, else its estimate.
fn accuracy(report: &MonitorReport) -> String {
    match (report.primary_accuracy(), &report.estimate) {
        (Some(it), _) => share(it.value, it.ci95),
        (None, Some(it)) => format!("{} (estimated)", share(it.expected, it.interval)),
        (None, None) => "-".to_owned(),
    }
}

/// Renders the accuracy of each arm, and the estimate.
fn accuracies(report: &MonitorReport) -> String {
    let mut text = String::new();
    for arm in report.accuracy.iter().flat_map(|accuracy| &accuracy.by_arm) {
        let Some(it) = arm.accuracy else { continue };
        let n = tables::counted(it.n, "verdict", "verdicts");
        text.push_str(&format!(
            "accuracy of the {} arm {} from {n}\n",
            arm.group,
            share(it.value, it.ci95)
        ));
    }
    if report.accuracy.as_ref().is_some_and(|accuracy| accuracy.selection.weighted) {
        text.push_str(
            "  weighted: the messages with verdicts differ from the others in confidence\n",
        );
    }
    if let Some(it) = &report.estimate {
        text.push_str(&estimate("accuracy", it));
    }
    if let Some(canary) = &report.canary {
        let (name, n) = (&canary.model, tables::counted(canary.n, "prediction", "predictions"));
        let of = format!("accuracy of the canary {}@{} ({n})", name.name, name.version);
        text.push_str(&match (&canary.estimate, &canary.reason) {
            (Some(it), _) => estimate(&of, it),
            (None, reason) => {
                format!("{of} not estimated: {}\n", reason.as_deref().unwrap_or("no reason"))
            }
        });
    }
    if let Some(it) = &report.risk {
        text.push_str(&format!(
            "wrong answers {}, at least {} at every look; {} are tolerated; {} for a verdict\n",
            percent(it.risk, 1),
            percent(it.lower, 1),
            percent(it.tolerated, 1),
            tables::counted(it.n_waiting, "message waits", "messages wait")
        ));
    }
    if let Some(delay) = report.accuracy.as_ref().and_then(|it| it.label_delay) {
        let hours = |ms: u64| ms as f64 / 3_600_000.0;
        text.push_str(&format!(
            "verdicts came after {:.1} h in the median, 95 of 100 within {:.1} h\n",
            hours(delay.median_ms),
            hours(delay.p95_ms)
        ));
    }
    text
}

/// Renders an estimate with the reasons against it.
fn estimate(of: &str, it: &AccuracyEstimate) -> String {
    let word = if it.reliable { "" } else { ", not reliable" };
    let shown = share(it.expected, it.interval);
    let mut text = format!("{of} estimated from confidence {shown}{word}\n");
    for reason in &it.reasons {
        text.push_str(&format!("  {}\n", reason.text));
    }
    text
}

/// Says whether a drift holds over all windows together.
fn in_series(series: &Decision) -> String {
    let word = if series.alarm { "drift" } else { "no drift" };
    format!(
        "{word} (LORD++: p {:.2e} against a level of {:.2e}, test {})",
        series.p_value, series.level, series.week
    )
}

fn in_full(judged: &Judged) -> String {
    let report = &judged.report;
    let volume = &report.volume;
    let model = &report.model;
    let mut text = format!(
        "{}@{} in {}, {}: {}\n",
        model.name,
        model.version,
        report.environment,
        report.window,
        state(report.state)
    );
    for reason in &report.reasons {
        text.push_str(&format!("  {}: {}\n", reason.code, reason.message));
    }
    let n = volume.records.max(1) as f64;
    text.push_str(&format!(
        "\n{} predictions of {}, fallback {}",
        tables::count(volume.records),
        tables::counted(volume.conversations, "conversation", "conversations"),
        percent(volume.fallbacks as f64 / n, 1)
    ));
    if volume.other_models > 0 {
        text.push_str(&format!(", {} of other models", tables::count(volume.other_models)));
    }
    text.push('\n');
    if let Some(business) = report.business.as_ref().filter(|it| it.all.conversations > 0) {
        text.push_str(&format!(
            "{} of the conversations ended without an unresolved message, a person took over {}\n",
            percent(business.all.resolved.value, 1),
            percent(business.all.handed_off.value, 1)
        ));
    }
    text.push_str(&accuracies(report));
    if let Some(reference) = &report.reference {
        let side = match reference {
            ReferenceSide::Profile { n } => {
                format!(
                    "the reference profile of the model ({})",
                    tables::counted(*n, "utterance", "utterances")
                )
            }
            ReferenceSide::Window { window, n } => {
                format!("{window} ({})", tables::counted(*n, "prediction", "predictions"))
            }
        };
        text.push_str(&format!("compared with {side}\n"));
    }
    if let Some(drift) = &report.drift {
        let mut shown = drift.clone();
        shown.new_words.clone_from(&judged.new_words);
        text.push_str(&format!("\n{}", drift::text::report(&shown)));
        if let Some(alarms) = report.false_alarms_a_year {
            text.push_str(&format!(
                "without any change, such windows alarm {alarms:.1} times a year\n"
            ));
        }
    }
    if let Some(series) = &report.series {
        text.push_str(&format!("over all windows: {}\n", in_series(series)));
    }
    for candidate in judged.texts.iter().flat_map(|texts| &texts.candidates) {
        text.push_str(&format!(
            "new: perhaps an intent `{}`: {} ({})\n",
            candidate.name,
            tables::counted(candidate.n_texts, "text", "texts"),
            candidate.terms.join(", ")
        ));
    }
    if let Some(later) = judged.later_hours.filter(|hours| *hours > 0) {
        text.push_str(&format!(
            "newer records, of {} since {} UTC, wait for a later window\n",
            tables::counted(later as u64, "hour", "hours"),
            report.window.end.format("%Y-%m-%d %H:%M")
        ));
    }
    let others = report.not_judged.iter().filter(|item| !item.name.starts_with("drift."));
    for item in others {
        text.push_str(&format!("not judged: {}: {}\n", item.name, item.reason));
    }
    text
}
