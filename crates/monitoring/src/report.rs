//! The report of a window, as it is stored and printed: `botops.monitor/1`.

use crate::{
    accuracy::WindowAccuracy,
    alarms::Decision,
    business::Business,
    canary::{CANARY, CanaryAccuracy},
    estimate::AccuracyEstimate,
    monitored_model::MonitoredModel,
    risk::Risk,
    window::Window,
};
use botops_drift::{DriftReport, DriftVerdict};
use botops_evaluation::Metric;
use botops_store::newer_payload;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The arm of the champion.
pub(crate) const PRIMARY: &str = "primary";

/// The schema of a report.
pub const MONITOR_SCHEMA: &str = "botops.monitor/1";

/// The state of a model in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorState {
    /// Something was judged, and nothing is wrong.
    Healthy,
    /// The traffic has moved away from the reference.
    Drift,
    /// The accuracy is below its bound.
    InaccurateModel,
    /// Too little to judge.
    Insufficient,
}

impl MonitorState {
    /// Every state.
    pub const ALL: [Self; 4] =
        [Self::Healthy, Self::Drift, Self::InaccurateModel, Self::Insufficient];

    /// Returns the name, as in reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Drift => "drift",
            Self::InaccurateModel => "inaccurate_model",
            Self::Insufficient => "insufficient",
        }
    }
}

/// The side that the window is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ReferenceSide {
    /// The reference profile that training stored in the model file.
    Profile {
        /// The number of utterances in it.
        n: u64,
    },
    /// An earlier window of the same model.
    Window {
        /// The window.
        window: Window,
        /// The number of records in it.
        n: u64,
    },
}

/// The messages of a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// The records of the model that is judged.
    pub records: u64,
    /// The different conversations among them.
    pub conversations: u64,
    /// The records that the model declined.
    pub fallbacks: u64,
    /// The records of other models.
    pub other_models: u64,
    /// The records of the model whose text was not kept.
    pub without_text: u64,
    /// The lines of segments that are no records, as far as they are listed: at most 100 of a segment.
    pub refused_lines: u64,
    /// The records of the model with an intent that it does not know: they are among `records`, and not compared.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_intents: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A part that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unjudged {
    /// The part: `drift`, `accuracy`, or a check such as `drift.intent`.
    pub name: String,
    /// The reason, in words.
    pub reason: String,
}

/// A reason for the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The code, which `botops explain` explains.
    pub code: String,
    /// The reason, in words without texts of users.
    pub message: String,
}

/// The report of a window.
///
/// It holds ids, digests, names of intents and numbers, and no word of a user: it is stored for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MonitorReport {
    /// `botops.monitor/1`.
    #[serde(deserialize_with = "known_schema")]
    pub schema: String,
    /// The environment.
    pub environment: String,
    /// The model that is judged.
    pub model: MonitoredModel,
    /// The window.
    pub window: Window,
    /// The time of the evaluation.
    pub at: DateTime<Utc>,
    /// The state.
    pub state: MonitorState,
    /// The reasons for the state, the gravest first; none for a healthy model.
    pub reasons: Vec<Reason>,
    /// The side that the window is compared with; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceSide>,
    /// The messages.
    pub volume: Volume,
    /// The accuracy from the verdicts of reviewers; `None` without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<WindowAccuracy>,
    /// The accuracy of the champion estimated from its confidence; `None` if there is nothing to estimate it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<AccuracyEstimate>,
    /// Conversations, hand-offs, resolved ones and satisfaction; `None` for an empty window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<Business>,
    /// The least accuracy that is demanded, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_accuracy: Option<f64>,
    /// The expected number of false alarms of drift in a year of such windows without any change; `None` in a report of an
    /// older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarms_a_year: Option<f64>,
    /// The comparison with the reference; its `new_words` are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftReport>,
    /// The parts that could not be judged.
    pub not_judged: Vec<Unjudged>,
    /// Commands that follow from the state.
    pub actions: Vec<String>,
    /// The share of wrong answers of the champion against the tolerated one, 1 - `min_accuracy`; `None` without a bound,
    /// without verdicts, or if they are not like the other records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// Whether the drift of the window holds over all windows of the environment together (LORD++); `None` if nothing was
    /// compared, or the window overlaps one that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Decision>,
    /// The accuracy of the canary estimated from its confidence; `None` without a rollout that is under way, or without a record
    /// of its challenger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryAccuracy>,
}

impl MonitorReport {
    /// Makes a report that says nothing.
    pub(crate) fn empty(window: Window) -> Self {
        Self {
            schema: MONITOR_SCHEMA.to_owned(),
            environment: String::new(),
            model: MonitoredModel::default(),
            window,
            at: DateTime::UNIX_EPOCH,
            state: MonitorState::Insufficient,
            reasons: Vec::new(),
            reference: None,
            volume: Volume::default(),
            accuracy: None,
            estimate: None,
            business: None,
            min_accuracy: None,
            false_alarms_a_year: None,
            drift: None,
            not_judged: Vec::new(),
            actions: Vec::new(),
            risk: None,
            series: None,
            canary: None,
        }
    }

    /// Returns whether `other` says the same of the same window, whenever it was made.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let content = |report: &Self| {
            let same_time = Self { at: DateTime::UNIX_EPOCH, ..report.clone() };
            serde_json::to_value(same_time).expect("a report can be written as JSON")
        };
        content(self) == content(other)
    }

    /// Returns the accuracy of an arm from verdicts; `None` without a verdict in scope.
    #[must_use]
    pub fn accuracy_of(&self, arm: &str) -> Option<Metric> {
        let by_arm = self.accuracy.iter().flat_map(|accuracy| &accuracy.by_arm);
        by_arm.filter(|group| group.group == arm).find_map(|group| group.accuracy)
    }

    /// Returns the name, the deciding score and the verdict of each check: KS distance of numbers, PSI of shares; 1 for
    /// drift, 0 for none, -1 for insufficient.
    #[must_use]
    pub fn scores(&self) -> Vec<(&str, f64, i64)> {
        let checks = self.drift.iter().flat_map(|drift| &drift.checks);
        checks
            .map(|check| {
                let is_number = check.kind == "numeric";
                let score = if is_number { check.statistic } else { check.psi };
                let verdict = match check.verdict {
                    DriftVerdict::Drift => 1,
                    DriftVerdict::NoDrift => 0,
                    DriftVerdict::Insufficient => -1,
                };
                (check.name.as_str(), score, verdict)
            })
            .collect()
    }

    /// Returns the accuracy of an arm estimated from confidence.
    #[must_use]
    pub fn estimate_of(&self, arm: &str) -> Option<&AccuracyEstimate> {
        match arm {
            PRIMARY => self.estimate.as_ref(),
            CANARY => self.canary.as_ref()?.estimate.as_ref(),
            _ => None,
        }
    }

    /// Returns the accuracy of the primary arm, on which the champion answers.
    #[must_use]
    pub fn primary_accuracy(&self) -> Option<Metric> {
        self.accuracy_of(PRIMARY)
    }

    /// Returns the number of messages with a verdict.
    #[must_use]
    pub fn n_labelled(&self) -> u64 {
        self.accuracy.as_ref().map_or(0, |accuracy| accuracy.all.labelled)
    }

    /// Returns the median delay of verdicts, in hours.
    #[must_use]
    pub fn median_delay_hours(&self) -> Option<f64> {
        let delay = self.accuracy.as_ref()?.label_delay?;
        Some(delay.median_ms as f64 / 3_600_000.0)
    }
}

fn known_schema<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<String, D::Error> {
    let schema = String::deserialize(deserializer)?;
    match schema.strip_prefix("botops.monitor/").map(str::parse::<u32>) {
        Some(Ok(1)) => Ok(schema),
        Some(Ok(_)) => Err(D::Error::custom(newer_payload(&schema))),
        _ => Err(D::Error::custom("not a report of monitoring")),
    }
}
