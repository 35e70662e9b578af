//! The evaluation of a window: the log is read, compared with a reference, and the state follows.

use crate::{
    report::{
        MONITOR_SCHEMA, MonitorReport, MonitorState, MonitoredModel, Reason, ReferenceSide,
        Unjudged,
    },
    window::Window,
    window_records::WindowRecords,
};
use botops_drift::{DriftReport, DriftSide, DriftSpec, DriftVerdict, compare};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_predictions::{HourKey, Verdicts, hours, read_verdicts};
use botops_spec::{Checked, Spec as _};
use botops_store::Store;
use botops_text::shell_line;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// The checks that need no text.
const WITHOUT_TEXT: [&str; 8] = [
    "intent",
    "confidence",
    "language",
    "oos_score",
    "language_guessed",
    "fallback",
    "entities",
    "chars",
];
/// The checks of texts, and of the latency.
const OF_TEXTS: [&str; 2] = ["length_words", "length_chars"];
/// The lead of a clock over ours that is no skew.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// How windows are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSpec {
    /// The length of a window: whole hours.
    pub window: Duration,
    /// The length of the earlier window that a window is compared with, if the model has no reference profile.
    pub reference_window: Option<Duration>,
    /// The fewest records of a side, and the fewest verdicts of an arm, that are judged.
    pub min_rows: usize,
    /// The least accuracy that is demanded, in [0, 1].
    pub min_accuracy: Option<f64>,
    /// The false discovery rate over the checks of a window.
    pub alpha: f64,
    /// The smallest PSI that counts as drift.
    pub min_psi: f64,
    /// The smallest Kolmogorov-Smirnov distance that counts as drift.
    pub min_ks: f64,
}

impl Default for MonitorSpec {
    fn default() -> Self {
        let DriftSpec { alpha, min_psi, min_ks, min_rows, .. } = DriftSpec::default();
        Self {
            window: Duration::from_secs(7 * 86_400),
            reference_window: None,
            min_rows,
            min_accuracy: None,
            alpha,
            min_psi,
            min_ks,
        }
    }
}

impl MonitorSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-6250` (exit 2) a window, or the least accuracy; `BOT-4001` (exit 2) a threshold of drift.
    pub fn check(&self) -> Result<()> {
        Window::last(self.window, DateTime::UNIX_EPOCH + TimeDelta::days(36_500))?;
        if let Some(length) = self.reference_window {
            Window::last(length, DateTime::UNIX_EPOCH + TimeDelta::days(36_500))?;
        }
        if self.min_accuracy.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            let message = "the least accuracy is not between 0 and 1";
            return Err(Fault::usage("BOT-6250", message).hint("write `min_accuracy: 0.85`"));
        }
        self.drift(true).map(drop)
    }

    /// Returns the thresholds of a comparison.
    fn drift(&self, has_texts: bool) -> Result<Checked<DriftSpec>> {
        let names = WITHOUT_TEXT.iter().chain(OF_TEXTS.iter().filter(|_| has_texts));
        DriftSpec {
            alpha: self.alpha,
            min_psi: self.min_psi,
            min_ks: self.min_ks,
            min_rows: self.min_rows,
            columns: Some(names.map(|name| (*name).to_owned()).collect()),
            ..DriftSpec::default()
        }
        .check()
    }
}

/// The log, and the model that is judged.
#[derive(Debug, Clone)]
pub struct Monitored {
    /// The environment.
    pub environment: String,
    /// The model.
    pub model: MonitoredModel,
}

/// A window that was judged.
#[derive(Debug)]
pub struct Evaluated {
    /// The report, as it is stored.
    pub report: MonitorReport,
    /// Words of the window that the reference lacks, with their counts. They are not stored.
    pub new_words: Vec<(String, u64)>,
    /// The problems of the log, and the reasons of the state.
    pub findings: Vec<Finding>,
}

/// Judges one window of the log in `store`. `now` is the time of the report.
///
/// - the window is compared with the reference of the model, else with an earlier window, else not
/// - records of other models are counted and not compared
/// - the state is drift if a check drifts, or inaccurate if the interval of the accuracy of the primary arm lies below
///   the bound; insufficient if nothing could be judged
///
/// # Errors
/// `BOT-6250`, `BOT-4001` the settings; those of the prediction log and of the store.
pub async fn evaluate(
    store: &Store,
    monitored: &Monitored,
    window: Window,
    spec: &MonitorSpec,
    now: DateTime<Utc>,
) -> Result<Evaluated> {
    spec.check()?;
    let Monitored { environment, model } = monitored;
    let log = (store, environment.as_str());
    let mut verdicts = read_verdicts(store, environment).await?;
    let current = WindowRecords::read(log, window, &model.digest, &verdicts).await?;
    let mut findings = std::mem::take(&mut verdicts.findings);
    findings.extend(skew(store, environment, now).await?);
    let mut judged = Judged { current, unjudged: Vec::new(), reasons: Vec::new() };
    findings.append(&mut judged.current.findings);
    let mut reference = None;
    let mut drift = None;
    if judged.current.volume.records < spec.min_rows as u64 {
        judged.too_few(window, spec);
    } else if let Some(length) = spec.reference_window {
        let earlier = window.before(length)?;
        let no_verdicts = Verdicts::default();
        let mut records = WindowRecords::read(log, earlier, &model.digest, &no_verdicts).await?;
        findings.append(&mut records.findings);
        reference = Some(ReferenceSide::Window { window: earlier, n: records.volume.records });
        let spec = spec.clone();
        let compared = tokio::task::spawn_blocking(move || {
            let report = judged.compare(&records, &spec, (window, earlier));
            report.map(|report| (report, judged))
        });
        let compared = compared.await.map_err(|error| {
            Fault::internal("BOT-9001", "the comparison of a window ended early").caused_by(error)
        })?;
        let (report, of_window) = compared?;
        (drift, judged) = (Some(report), of_window);
    } else {
        judged.unjudged(
            "drift",
            "the model has no reference profile, and no earlier window is named",
        );
    }
    let new_words = drift.as_mut().map(|drift| std::mem::take(&mut drift.new_words));
    let accuracy = judged.current.accuracy();
    let mut report = MonitorReport {
        schema: MONITOR_SCHEMA.to_owned(),
        environment: environment.clone(),
        model: model.clone(),
        window,
        at: now,
        state: MonitorState::Insufficient,
        reasons: Vec::new(),
        reference,
        labels: judged.current.label_delay(verdicts.contradicted),
        volume: judged.current.volume,
        accuracy,
        min_accuracy: spec.min_accuracy,
        drift,
        not_judged: judged.unjudged,
        actions: Vec::new(),
    };
    conclude(&mut report, judged.reasons, spec);
    findings.extend(report.reasons.iter().map(finding));
    Ok(Evaluated { report, new_words: new_words.unwrap_or_default(), findings })
}

/// A window on its way to a state.
struct Judged {
    current: WindowRecords,
    unjudged: Vec<Unjudged>,
    reasons: Vec<Reason>,
}

impl Judged {
    fn unjudged(&mut self, name: &str, reason: impl Into<String>) {
        self.unjudged.push(Unjudged { name: name.to_owned(), reason: reason.into() });
    }

    fn too_few(&mut self, window: Window, spec: &MonitorSpec) {
        let volume = &self.current.volume;
        let others = match volume.other_models {
            0 => String::new(),
            n => format!(", and {n} of other models"),
        };
        let message = format!(
            "{window} has {} predictions of the champion{others}: at least {} are needed",
            volume.records, spec.min_rows
        );
        self.unjudged("drift", message.clone());
        self.reasons.push(Reason { code: "BOT-6251".to_owned(), message });
    }

    fn compare(
        &mut self,
        reference: &WindowRecords,
        spec: &MonitorSpec,
        (window, earlier): (Window, Window),
    ) -> Result<DriftReport> {
        let has_texts = self.current.has_texts() && reference.has_texts();
        if !has_texts {
            self.unjudged("drift.text", "the log keeps no texts (`predictions.text`)");
        }
        let [rows, before] = [&self.current, reference].map(WindowRecords::rows);
        let [columns, columns_before] = [&self.current, reference].map(WindowRecords::columns);
        let report = compare(
            &DriftSide { name: &earlier.to_string(), rows: &before, columns: &columns_before },
            &DriftSide { name: &window.to_string(), rows: &rows, columns: &columns },
            &spec.drift(has_texts)?,
        )?;
        let unjudged = report.not_judged.iter().map(|item| Unjudged {
            name: format!("drift.{}", item.name),
            reason: item.reason.clone(),
        });
        self.unjudged.extend(unjudged);
        Ok(report)
    }
}

/// Sets the state of `report`, its reasons, and the commands that follow.
fn conclude(report: &mut MonitorReport, mut reasons: Vec<Reason>, spec: &MonitorSpec) {
    let drift = report.drift.as_ref().map(|drift| drift.verdict);
    let of_primary = report.primary_accuracy().cloned();
    let accuracy = of_primary.as_ref().filter(|arm| arm.judged >= spec.min_rows as u64);
    let is_low = |least: f64| accuracy.is_some_and(|arm| arm.interval[1] < least);
    let is_low = report.min_accuracy.is_some_and(is_low);
    match &of_primary {
        Some(arm) if arm.judged < spec.min_rows as u64 => report.not_judged.push(Unjudged {
            name: "accuracy".to_owned(),
            reason: format!("{} verdicts: at least {} are needed", arm.judged, spec.min_rows),
        }),
        Some(_) => {}
        None => report.not_judged.push(Unjudged {
            name: "accuracy".to_owned(),
            reason: "no message of the window has a verdict".to_owned(),
        }),
    }
    let mut gravest = Vec::new();
    if let (true, Some(arm), Some(least)) = (is_low, accuracy, report.min_accuracy) {
        let message = format!(
            "the accuracy of the champion is {:.3} [{:.3}, {:.3}] from {} verdicts, below {least:.3}",
            arm.accuracy, arm.interval[0], arm.interval[1], arm.judged
        );
        gravest.push(Reason { code: "BOT-6252".to_owned(), message });
    }
    if drift == Some(DriftVerdict::Drift) {
        let drifted = report.drift.iter().flat_map(|drift| &drift.checks);
        let names: Vec<&str> = drifted
            .filter(|check| check.verdict == DriftVerdict::Drift)
            .map(|check| check.name.as_str())
            .collect();
        let message = format!("{} drifted from the reference", names.join(", "));
        gravest.push(Reason { code: "BOT-6253".to_owned(), message });
    }
    let is_judged = drift == Some(DriftVerdict::NoDrift)
        || (accuracy.is_some() && report.min_accuracy.is_some());
    report.state = match (is_low, drift) {
        (true, _) => MonitorState::InaccurateModel,
        (false, Some(DriftVerdict::Drift)) => MonitorState::Drift,
        (false, _) if is_judged => MonitorState::Healthy,
        (false, _) => MonitorState::Insufficient,
    };
    if report.state == MonitorState::Insufficient && reasons.is_empty() {
        let parts: Vec<String> =
            report.not_judged.iter().map(|it| format!("{}: {}", it.name, it.reason)).collect();
        let message = format!("nothing could be judged: {}", parts.join("; "));
        reasons.push(Reason { code: "BOT-6251".to_owned(), message });
    }
    if report.state != MonitorState::Healthy {
        gravest.append(&mut reasons);
    }
    report.reasons = gravest;
    report.actions = actions(report);
}

/// Returns the commands that follow from the state.
fn actions(report: &MonitorReport) -> Vec<String> {
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%MZ").to_string();
    let (since, until) = (time(report.window.start), time(report.window.end));
    let environment = ["--environment", &report.environment];
    let line = |words: &[&str]| shell_line(words.iter().chain(&environment).copied());
    let within = ["--since", &since, "--until", &until];
    match report.state {
        MonitorState::Healthy => Vec::new(),
        MonitorState::Insufficient => {
            let query = ["botops", "predictions", "query", "--by", "day,model"];
            vec![line(&[&query[..], &within].concat())]
        }
        MonitorState::Drift | MonitorState::InaccurateModel => {
            let query = ["botops", "predictions", "query", "--by", "intent,language"];
            let export = ["botops", "predictions", "export", "--out", "window.jsonl"];
            vec![line(&[&query[..], &within].concat()), line(&[&export[..], &within].concat())]
        }
    }
}

fn finding(reason: &Reason) -> Finding {
    let severity = match reason.code.as_str() {
        "BOT-6251" => Severity::Warning,
        _ => Severity::Error,
    };
    let help = "see the report: `botops monitor --html monitor.html`";
    Finding { code: reason.code.clone(), ..Finding::new("", severity, &*reason.message, help) }
}

/// Returns a warning if the log has hours that have not begun: the clock of a server is ahead.
async fn skew(store: &Store, environment: &str, now: DateTime<Utc>) -> Result<Option<Finding>> {
    let first = HourKey::of(now + SKEW).next();
    let ahead = hours(store, environment, Some(first), None).await?;
    let Some(hour) = ahead.first() else { return Ok(None) };
    let message = format!(
        "the log has {} hours that have not begun, from {}: the clock of a server is ahead, or that of this machine behind",
        ahead.len(),
        hour.key
    );
    let help = "set the clocks; records of the future are judged when their time has come";
    Ok(Some(Finding::new("BOT-6254", Severity::Warning, message, help)))
}
