//! The answers of `botops monitor` for people.

use super::{Answer, Judged};
use crate::cli::{drift, terminal::tables};
use botops_monitoring::{MonitorReport, MonitorState, ReferenceSide};
use botops_text::percent;

/// The most windows that are shown in full; of more, there is one line each.
const IN_FULL: usize = 1;

pub(super) fn answer(answer: &Answer) -> String {
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

fn accuracy(report: &MonitorReport) -> String {
    report.primary_accuracy().map_or_else(
        || "-".to_owned(),
        |arm| {
            let [low, high] = arm.interval;
            format!("{} [{}, {}]", percent(arm.accuracy, 1), percent(low, 1), percent(high, 1))
        },
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
    if volume.compared < volume.records {
        text.push_str(&format!(", {} of them compared", tables::count(volume.compared)));
    }
    text.push('\n');
    for arm in &report.accuracy {
        let [low, high] = arm.interval;
        text.push_str(&format!(
            "accuracy of the {} arm {} [{}, {}] from {}\n",
            arm.arm,
            percent(arm.accuracy, 1),
            percent(low, 1),
            percent(high, 1),
            tables::counted(arm.judged, "verdict", "verdicts")
        ));
    }
    if let (Some(median), Some(p90)) = (report.labels.median_hours, report.labels.p90_hours) {
        text.push_str(&format!(
            "verdicts came after {median:.1} h in the median, nine of ten within {p90:.1} h\n"
        ));
    }
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
    }
    let others = report.not_judged.iter().filter(|item| !item.name.starts_with("drift."));
    for item in others {
        text.push_str(&format!("not judged: {}: {}\n", item.name, item.reason));
    }
    text
}
