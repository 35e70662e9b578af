//! The report of a window, as it is stored and printed: `botops.monitor/1`.

use crate::window::Window;
use botops_drift::DriftReport;
use botops_store::newer_payload;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

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

/// The model that is judged: the champion of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoredModel {
    /// The name in the registry.
    pub name: String,
    /// The number of the version.
    pub version: u64,
    /// The digest of the model file, as records name it.
    pub digest: String,
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
    /// The lines of segments that are no records.
    pub refused_lines: u64,
    /// The records of the model that are compared; fewer than `records` if a sample was drawn.
    pub compared: u64,
}

/// The accuracy of an arm from verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmAccuracy {
    /// The arm: `primary` or `canary`.
    pub arm: String,
    /// The records with a verdict.
    pub judged: u64,
    /// Those whose predicted intent is the true one.
    pub right: u64,
    /// The share of the judged records that are right, in [0, 1].
    pub accuracy: f64,
    /// Its 95 % Wilson interval.
    pub interval: [f64; 2],
}

/// The time from a message to its verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VerdictDelay {
    /// The records of the window with a verdict.
    pub judged: u64,
    /// The share of the records with a verdict, in [0, 1].
    pub share: f64,
    /// The median delay, in hours; `None` without a verdict.
    pub median_hours: Option<f64>,
    /// The delay that one verdict of ten exceeds, in hours.
    pub p90_hours: Option<f64>,
    /// The verdicts that are older than their message by the clocks of the servers; their delay counts as 0.
    pub before_message: u64,
    /// The messages on which verdicts differ.
    pub contradicted: u64,
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
    /// The accuracy by arm from verdicts; an arm without a verdict is left out.
    pub accuracy: Vec<ArmAccuracy>,
    /// The least accuracy that is demanded, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_accuracy: Option<f64>,
    /// The delay of verdicts.
    pub labels: VerdictDelay,
    /// The comparison with the reference; its `new_words` are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftReport>,
    /// The parts that could not be judged.
    pub not_judged: Vec<Unjudged>,
    /// Commands that follow from the state.
    pub actions: Vec<String>,
}

impl MonitorReport {
    /// Returns whether `other` says the same of the same window, whenever it was made.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let content = |report: &Self| {
            let same_time = Self { at: DateTime::UNIX_EPOCH, ..report.clone() };
            serde_json::to_value(same_time).expect("a report can be written as JSON")
        };
        content(self) == content(other)
    }

    /// Returns the accuracy of the primary arm, on which the champion answers.
    #[must_use]
    pub fn primary_accuracy(&self) -> Option<&ArmAccuracy> {
        self.accuracy.iter().find(|arm| arm.arm == "primary")
    }
}

fn known_schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let schema = String::deserialize(deserializer)?;
    match schema.strip_prefix("botops.monitor/").map(str::parse::<u32>) {
        Some(Ok(1)) => Ok(schema),
        Some(Ok(_)) => Err(D::Error::custom(newer_payload(&schema))),
        _ => Err(D::Error::custom("not a report of monitoring")),
    }
}
