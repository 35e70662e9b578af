//! The evaluation of a window: the log is read, compared with a reference, and the state follows.

use crate::{
    canary::{Canary, canary_accuracy, estimated},
    conclusion::conclude,
    judgements::Judgements,
    monitor_spec::MonitorSpec,
    monitored_model::MonitoredModel,
    reference::ReferenceProfile,
    report::{MONITOR_SCHEMA, MonitorReport, MonitorState, ReferenceSide, Unjudged},
    text_drift::{Actions, TextComparison, check_texts},
    text_sample::TextSample,
    window::Window,
    window_counts::WindowCounts,
};
use botops_drift::{
    DriftCheck, DriftReport, DriftVerdict, NotJudged, NotJudgedWhy, compare_profiles,
};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_models::IntentModel;
use botops_predictions::{HourKey, hours};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use std::{fmt, sync::Arc};

/// The lead of a clock over ours that is no skew.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// The most new words.
const MOST_WORDS: usize = 20;

/// The environment, and the model that is judged in it.
#[derive(Clone)]
pub struct Monitored {
    /// The environment.
    pub environment: String,
    /// The model.
    pub model: MonitoredModel,
    /// The model itself, for its reference profile and the words that it knows. Without it, only an earlier window is a
    /// reference.
    pub loaded: Option<Arc<IntentModel>>,
    /// The challenger of a rollout that is under way.
    pub canary: Option<Canary>,
}

impl fmt::Debug for Monitored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitored").field("model", &self.model).finish_non_exhaustive()
    }
}

/// A window that was judged.
#[derive(Debug)]
pub struct Evaluated {
    /// The report, as it is stored.
    pub report: MonitorReport,
    /// Words of the window that the reference lacks, with their counts. They are not stored.
    pub new_words: Vec<(String, u64)>,
    /// The terms that moved, and candidates for new intents, if the texts drifted. They are not stored.
    pub texts: Option<Actions>,
    /// The problems of the log, and the reasons of the state.
    pub findings: Vec<Finding>,
}

/// Judges one window of the log in `store`. `now` is the time of the report.
///
/// - the window is compared with the reference profile of the model, else with an earlier window, else not
/// - records of other models are counted and not compared; accuracies are by arm
/// - the state is inaccurate if an accuracy of the champion lies below the bound: its interval from verdicts, else that
///   of a reliable estimate; drift if a check drifts; insufficient if nothing could be judged
///
/// # Errors
/// `BOT-6250`, `BOT-4001` the settings; `BOT-2260` to `BOT-2263` the reference profile is damaged, newer, or that of
/// another model; those of the estimate, of the prediction log and of the store.
pub async fn evaluate(
    store: &Store,
    monitored: &Monitored,
    window: Window,
    spec: &MonitorSpec,
    now: DateTime<Utc>,
) -> Result<Evaluated> {
    spec.check()?;
    let Monitored { environment, model, loaded, canary } = monitored;
    let log = (store, environment.as_str());
    // First, because a wrong reference needs no reading of a week.
    let stored = match loaded {
        Some(loaded) => ReferenceProfile::of_model(loaded, model.parsed_digest()?)?,
        None => None,
    };
    let of_canary = match canary {
        Some(canary) => ReferenceProfile::of_model(&canary.loaded, canary.model.parsed_digest()?)?,
        None => None,
    };
    let named = (model, loaded.as_deref(), canary.as_ref());
    let sources = Judgements::reviewers();
    let (judgements, mut findings) = Judgements::read(store, environment, &sources).await?;
    let mut current = WindowCounts::read(log, window, named, &judgements).await?;
    findings.append(&mut current.findings);
    findings.extend(skew(store, environment, now).await?);
    let earlier = match spec.reference_window {
        Some(length) => {
            let earlier = window.before(length)?;
            let none = Judgements::default();
            let named = (named.0, named.1, None);
            let mut counts = WindowCounts::read(log, earlier, named, &none).await?;
            findings.append(&mut counts.findings);
            Some((earlier, counts))
        }
        None => None,
    };
    let reference = match (stored, earlier) {
        (Some(profile), earlier) => {
            let side = ReferenceSide::Profile { n: profile.columns.n_rows() };
            let texts = earlier.map(|(_, counts)| counts.texts.into_texts()).unwrap_or_default();
            Some(Reference { name: "reference profile".to_owned(), side, profile, texts })
        }
        (None, Some((earlier, counts))) => {
            let WindowCounts { profile, texts, volume, .. } = counts;
            let side = ReferenceSide::Window { window: earlier, n: volume.records };
            let (name, texts) = (earlier.to_string(), texts.into_texts());
            Some(Reference { name, side, profile, texts })
        }
        (None, None) => None,
    };
    let canary = canary.clone().map(|canary| (canary, of_canary));
    let work = Work { current, judgements, reference, canary, window, spec: spec.clone() };
    // Bootstraps take seconds: the threads of the store go on meanwhile.
    let done = tokio::task::spawn_blocking(move || work.judge()).await.map_err(|error| {
        Fault::internal("BOT-9001", "the judgement of a window ended early").caused_by(error)
    })??;
    let mut report = MonitorReport {
        schema: MONITOR_SCHEMA.to_owned(),
        environment: environment.clone(),
        model: model.clone(),
        window,
        at: now,
        state: MonitorState::Insufficient,
        reasons: Vec::new(),
        min_accuracy: spec.min_accuracy,
        false_alarms_a_year: Some(spec.level() * 365.0 * 86_400.0 / spec.window.as_secs_f64()),
        actions: Vec::new(),
        ..done.report
    };
    conclude(&mut report, spec);
    findings.extend(report.reasons.iter().map(crate::conclusion::finding));
    Ok(Evaluated { report, new_words: done.new_words, texts: done.texts, findings })
}

/// The side that a window is compared with.
struct Reference {
    name: String,
    side: ReferenceSide,
    profile: ReferenceProfile,
    /// Texts of an earlier window; none if none was read.
    texts: Vec<String>,
}

/// A window and its reference, read.
struct Work {
    current: WindowCounts,
    judgements: Judgements,
    reference: Option<Reference>,
    /// The canary with its reference profile.
    canary: Option<(Canary, Option<ReferenceProfile>)>,
    window: Window,
    spec: MonitorSpec,
}

/// The parts of a report that are computed.
struct Parts {
    report: MonitorReport,
    new_words: Vec<(String, u64)>,
    texts: Option<Actions>,
}

impl Work {
    /// Computes accuracies, the estimate and the comparison.
    fn judge(self) -> Result<Parts> {
        let Self { mut current, judgements, reference, canary, window, spec } = self;
        let texts = std::mem::replace(&mut current.texts, TextSample::new(0)).into_texts();
        let mut not_judged = Vec::new();
        let mut unjudged = |name: &str, reason: String| {
            not_judged.push(Unjudged { name: name.to_owned(), reason });
        };
        let accuracy = current.accuracy.finish(&judgements);
        let accuracy = (accuracy.all.labelled > 0).then_some(accuracy);
        let mut risk = None;
        if let (Some(least), Some(accuracy)) = (spec.min_accuracy, &accuracy) {
            match tolerated(least, accuracy.selection.weighted) {
                Ok(tolerated) => risk = current.verdicts.risk(tolerated, spec.level()),
                Err(reason) => unjudged("risk", reason.to_owned()),
            }
        }
        let compared = current.volume.records - current.volume.unknown_intents;
        let is_enough = compared >= spec.min_rows as u64;
        let canary = match &canary {
            Some((canary, profile)) if current.canary.n() > 0 => {
                Some(canary_accuracy(canary, profile.as_ref(), &current.canary)?)
            }
            _ => None,
        };
        let business = (current.volume.records + current.volume.other_models > 0)
            .then(|| current.business.finish());
        let (mut drift, mut estimate, mut new_words) = (None, None, Vec::new());
        let mut actions = None;
        match &reference {
            _ if !is_enough => unjudged(
                "drift",
                format!(
                    "{compared} predictions of the champion: at least {} are needed",
                    spec.min_rows
                ),
            ),
            None => unjudged(
                "drift",
                "the model has no reference profile, and no earlier window is named".to_owned(),
            ),
            Some(reference) => {
                let profile = &reference.profile;
                profile.check_comparable(&current.profile)?;
                let (report, words) = compare(reference, &current, window, &spec)?;
                let (report, moved) = with_texts(report, reference, &texts, &spec)?;
                (new_words, actions) = (words, moved);
                for item in &report.not_judged {
                    unjudged(&format!("drift.{}", item.name), item.reason.clone());
                }
                let new_input = actions
                    .is_some()
                    .then_some("the texts of the window drifted from those of the window before");
                match estimated(profile, &current.confidence, new_input)? {
                    Ok(value) => estimate = Some(value),
                    Err(reason) => unjudged("estimate", reason),
                }
                drift = Some(report);
            }
        }
        let report = MonitorReport {
            reference: reference.map(|reference| reference.side),
            business,
            volume: current.volume,
            accuracy,
            estimate,
            drift,
            not_judged,
            risk,
            canary,
            ..MonitorReport::empty(window)
        };
        Ok(Parts { report, new_words, texts: actions })
    }
}

/// Returns the tolerated share of wrong answers; the error is the reason why there is no risk to judge.
fn tolerated(min_accuracy: f64, weighted: bool) -> std::result::Result<f64, &'static str> {
    if weighted {
        return Err(
            "the messages with verdicts differ from the others in confidence: their share of wrong answers is not that of the model",
        );
    }
    let tolerated = 1.0 - min_accuracy;
    match tolerated > 0.0 && tolerated < 1.0 {
        true => Ok(tolerated),
        false => Err("a bound of 0 or 1 leaves nothing to tolerate"),
    }
}

/// Compares the window with the reference. Returns the words of the window that the reference lacks, too.
fn compare(
    Reference { name, profile, .. }: &Reference,
    current: &WindowCounts,
    window: Window,
    spec: &MonitorSpec,
) -> Result<(DriftReport, Vec<(String, u64)>)> {
    let now = window.to_string();
    let sides = [(name.as_str(), &profile.columns), (now.as_str(), &current.profile.columns)];
    let mut report = compare_profiles(sides[0], sides[1], &spec.drift()?)?;
    report.new_words.clear();
    let known = profile.words.counts();
    let mut words: Vec<(String, u64)> = current
        .profile
        .words
        .counts()
        .iter()
        .filter(|(word, _)| !known.contains_key(*word) && word.chars().any(char::is_alphabetic))
        .map(|(word, n)| (word.clone(), *n))
        .collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    words.truncate(MOST_WORDS);
    Ok((report, words))
}

/// Adds the check of texts, if an earlier window has some. Returns the actions, too, if the texts drifted.
fn with_texts(
    report: DriftReport,
    reference: &Reference,
    texts: &[String],
    spec: &MonitorSpec,
) -> Result<(DriftReport, Option<Actions>)> {
    if reference.texts.is_empty() || texts.is_empty() {
        let reason = match texts.is_empty() {
            true => "the log keeps no texts (`predictions.text`)",
            false => {
                "the profile of the model keeps no texts, only their words: name an earlier window to compare them with (`reference_window: 28d` of `monitoring:`, or `--reference-window 28d`)"
            }
        };
        let why = NotJudgedWhy::NoValue;
        let item = NotJudged { name: "text".to_owned(), why, reason: reason.to_owned() };
        return Ok((report.with(Vec::new(), vec![item]), None));
    }
    let before: Vec<&str> = reference.texts.iter().map(String::as_str).collect();
    let now: Vec<&str> = texts.iter().map(String::as_str).collect();
    let compared = TextComparison::new(&before, &now);
    let report = match check_texts(&compared, &*spec.drift()?) {
        Ok(check) => report.with(vec![check], Vec::new()),
        Err(item) => report.with(Vec::new(), vec![item]),
    };
    let is_drift =
        |check: &DriftCheck| check.name == "text" && check.verdict == DriftVerdict::Drift;
    let known: Vec<&str> = reference.profile.labels.iter().map(String::as_str).collect();
    let actions = match compared {
        Ok(compared) if report.checks.iter().any(is_drift) => Some(compared.actions(&known)),
        _ => None,
    };
    Ok((report, actions))
}

/// Returns the number of hours of the log, up to `now`, whose records came after `window`: they wait for a later one.
///
/// # Errors
/// Those of the prediction log.
pub async fn later_hours(
    store: &Store,
    environment: &str,
    window: Window,
    now: DateTime<Utc>,
) -> Result<usize> {
    let (since, until) = (HourKey::of(window.end), HourKey::of(now).next());
    Ok(hours(store, environment, Some(since), Some(until)).await?.len())
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
