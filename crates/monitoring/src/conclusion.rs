//! The state that follows from the parts of a report, its reasons, and the commands to go on with.

use crate::{
    monitor_spec::MonitorSpec,
    report::{MonitorReport, MonitorState, Reason, Unjudged},
    risk::Risk,
};
use botops_drift::DriftVerdict;
use botops_findings::{Finding, Severity};
use botops_text::shell_line;
use chrono::{DateTime, Utc};

/// Sets the state of `report`, its reasons, and the commands that follow.
pub(crate) fn conclude(report: &mut MonitorReport, spec: &MonitorSpec) {
    let accuracy = Accuracy::of(report, spec);
    if let Accuracy::Unjudged(reason) = &accuracy {
        let reason = reason.clone();
        report.not_judged.push(Unjudged { name: "accuracy".to_owned(), reason });
    }
    let drift = report.drift.as_ref().map(|drift| drift.verdict);
    let mut reasons = Vec::new();
    if let Accuracy::Low(message) = &accuracy {
        reasons.push(Reason { code: "BOT-6252".to_owned(), message: message.clone() });
    }
    let harmful = report.risk.as_ref().filter(|risk| risk.is_harmful);
    if let Some(risk) = harmful {
        reasons.push(Reason { code: "BOT-6260".to_owned(), message: harm(risk) });
    }
    if drift == Some(DriftVerdict::Drift) {
        let drifted = report.drift.iter().flat_map(|drift| &drift.checks);
        let names: Vec<&str> = drifted
            .filter(|check| check.verdict == DriftVerdict::Drift)
            .map(|check| check.name.as_str())
            .collect();
        let message = format!("{} drifted from the reference", names.join(", "));
        reasons.push(Reason { code: "BOT-6253".to_owned(), message });
    }
    report.state = match (&accuracy, drift) {
        _ if harmful.is_some() => MonitorState::InaccurateModel,
        (Accuracy::Low(_), _) => MonitorState::InaccurateModel,
        (_, Some(DriftVerdict::Drift)) => MonitorState::Drift,
        (Accuracy::Fine, _) | (_, Some(DriftVerdict::NoDrift)) => MonitorState::Healthy,
        _ => MonitorState::Insufficient,
    };
    if report.state == MonitorState::Insufficient {
        reasons.push(Reason { code: "BOT-6251".to_owned(), message: insufficient(report) });
    }
    report.reasons = reasons;
    report.actions = actions(report);
}

/// Says that the share of wrong answers exceeded the tolerated one.
fn harm(risk: &Risk) -> String {
    format!(
        "{:.3} of the answers with a verdict are wrong, at least {:.3} with every verdict that may still come; {:.3} are tolerated (seen at verdict {} of {})",
        risk.risk,
        risk.lower,
        risk.tolerated,
        risk.since.unwrap_or(risk.n),
        risk.n
    )
}

/// The accuracy of the champion against its bound.
enum Accuracy {
    Low(String),
    Fine,
    /// There is no bound.
    Unbounded,
    Unjudged(String),
}

impl Accuracy {
    /// Judges the accuracy from verdicts if there are enough, else the estimate if it can be relied on.
    fn of(report: &MonitorReport, spec: &MonitorSpec) -> Self {
        let realised = report.primary_accuracy();
        let enough = realised.filter(|it| it.n >= spec.min_rows as u64);
        let estimate = report.estimate.as_ref().filter(|estimate| estimate.reliable);
        let few = match realised {
            Some(it) => format!("{} verdicts: at least {} are needed", it.n, spec.min_rows),
            None => "no message of the window has a verdict of a reviewer".to_owned(),
        };
        let (value, [low, high], by) = match (enough, estimate) {
            (Some(it), _) => (it.value, it.ci95, format!("from {} verdicts", it.n)),
            (None, Some(it)) => (it.expected, it.interval, "estimated from confidence".to_owned()),
            (None, None) => return Self::Unjudged(few),
        };
        let Some(least) = spec.min_accuracy else { return Self::Unbounded };
        match high < least {
            true => Self::Low(format!(
                "the accuracy of the champion is {value:.3} [{low:.3}, {high:.3}], {by}, below {least:.3}"
            )),
            false => Self::Fine,
        }
    }
}

/// Returns the reason why nothing was judged.
fn insufficient(report: &MonitorReport) -> String {
    let others = match report.volume.other_models {
        0 => String::new(),
        n => format!("; {n} predictions are of other models"),
    };
    let parts = report.not_judged.iter().filter(|item| !item.name.starts_with("drift."));
    let parts: Vec<String> = parts.map(|item| format!("{}: {}", item.name, item.reason)).collect();
    format!("{} cannot be judged: {}{others}", report.window, parts.join("; "))
}

/// Returns the commands that follow from the state.
fn actions(report: &MonitorReport) -> Vec<String> {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%MZ").to_string();
    let (since, until) = (time(report.window.start), time(report.window.end));
    let end = ["--since", &since, "--until", &until, "--environment", &report.environment];
    let line = |words: &[&str]| shell_line(words.iter().chain(&end).copied());
    match report.state {
        MonitorState::Healthy => Vec::new(),
        MonitorState::Insufficient => {
            vec![line(&["botops", "predictions", "query", "--by", "day,model"])]
        }
        MonitorState::Drift | MonitorState::InaccurateModel => {
            let champion = format!("{}@champion", report.model.name);
            let suggest = ["botops", "data", "suggest", "window.csv", "--model", &champion];
            let query = ["botops", "predictions", "query", "--by", "intent,language"];
            let export = ["botops", "predictions", "export", "--out", "window.csv"];
            vec![
                line(&query),
                line(&export),
                shell_line(suggest.into_iter().chain(["--out", "to-label.csv"])),
            ]
        }
    }
}

/// Returns a reason as a finding.
pub(crate) fn finding(reason: &Reason) -> Finding {
    let (code, severity) = match reason.code.as_str() {
        "BOT-6252" => ("BOT-6252", Severity::Error),
        "BOT-6253" => ("BOT-6253", Severity::Error),
        "BOT-6260" => ("BOT-6260", Severity::Error),
        _ => ("BOT-6251", Severity::Warning),
    };
    let help = "see the report: `botops monitor --html monitor.html`";
    Finding::new(code, severity, reason.message.clone(), help)
}
