//! Estimated accuracy without labels: the report.

use crate::reference::{Judged, ReferenceProfile};
use botops_drift::Category;
use botops_evaluation::Metric;
use serde::{Deserialize, Serialize};

/// The assumption of the estimate, which no data without labels can show.
pub const ASSUMPTION: &str = "the estimate assumes that messages of one intent are as they were in the reference, and that only the shares of the intents moved; if the meaning of messages changed (concept drift), it is wrong, and nothing but labels shows it";

/// The part of a reference that an estimate needs.
#[derive(Debug, Clone, Copy)]
pub struct EstimateReference<'a> {
    /// The intents of the model, in the order of their indices.
    pub intents: &'a [String],
    /// Predictions with their truths.
    pub judged: &'a [Judged],
    /// The number of records of the reference that the model declined, and the number of all; `None` if it is not known.
    pub declined: Option<[u64; 2]>,
}

impl<'a> EstimateReference<'a> {
    /// Takes the parts of a reference profile.
    #[must_use]
    pub fn of(profile: &'a ReferenceProfile) -> Self {
        let declined = profile.columns.names(Category::Fallback).and_then(|names| {
            let declined = names.counts()?.get("fallback").copied().unwrap_or(0);
            Some([declined, names.n()])
        });
        Self { intents: &profile.labels, judged: &profile.judged, declined }
    }
}

/// The settings of an estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EstimateSpec {
    /// The level of the intervals, in (0, 1).
    pub level: f64,
    /// The number of draws of the bootstrap.
    pub draws: usize,
    /// The seed of all draws.
    pub seed: u64,
    /// The fewest records of a window with a reliable estimate.
    pub least_records: u64,
    /// The fewest records of the reference with a reliable estimate.
    pub least_judged: u64,
    /// The fewest labels to which an estimate is compared.
    pub least_labels: u64,
}

impl Default for EstimateSpec {
    fn default() -> Self {
        Self {
            level: 0.95,
            draws: 1_000,
            seed: 17,
            least_records: 100,
            least_judged: 200,
            least_labels: 30,
        }
    }
}

/// The accuracy of a model in a window, expected from its confidence (CBPE), and the realised one beside it.
///
/// Both count a message whose true intent is out of scope as wrong if the reference has such messages. Otherwise both are
/// about messages in scope, as far as labels tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccuracyEstimate {
    /// The number of records.
    pub n: u64,
    /// The expected share of records whose predicted intent is the true one.
    pub expected: f64,
    /// The interval that holds the share of right predictions among these records with a probability of `level`, if the
    /// assumption holds. It includes the uncertainty of the calibration (refitted on resampled records of the reference),
    /// that of the shares of the intents, and chance.
    pub interval: [f64; 2],
    /// The level of the intervals.
    pub level: f64,
    /// The mean confidence, as the model said it.
    pub mean_confidence: f64,
    /// The shares of the intents that moved most.
    pub moved: Vec<MovedShare>,
    /// The share of messages out of scope in the reference, and the interval of that of the window; `None` if the reference
    /// has no record out of scope.
    pub out_of_scope: Option<OutOfScopeShare>,
    /// The realised accuracy; `None` without labels.
    pub realised: Option<RealisedAccuracy>,
    /// Whether nothing speaks against the estimate.
    pub reliable: bool,
    /// Everything that speaks against it.
    pub reasons: Vec<Unreliable>,
    /// The assumption: [`ASSUMPTION`].
    pub assumption: String,
}

/// An intent whose share moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MovedShare {
    /// The intent.
    pub intent: String,
    /// Its share in the reference.
    pub reference: f64,
    /// Its estimated share in the window.
    pub current: f64,
}

/// The share of messages out of scope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OutOfScopeShare {
    /// In the reference.
    pub reference: f64,
    /// The estimate for the window.
    pub current: f64,
    /// The interval of `current`.
    pub interval: [f64; 2],
}

/// The realised accuracy of labelled records, beside the expected one of the same records.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RealisedAccuracy {
    /// The share of labelled records whose predicted intent is the true one, with its Wilson interval.
    pub accuracy: Metric,
    /// The expected share of these very records, so that a choice of unsure ones for labelling does not matter.
    pub expected: f64,
    /// The interval of the expected share.
    pub interval: [f64; 2],
    /// The realised accuracy minus the expected one.
    pub error: f64,
    /// Whether the realised accuracy is within the interval; `None` with too few labels to say.
    pub within: Option<bool>,
}

/// A reason not to rely on an estimate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreliable {
    /// Its kind.
    pub reason: UnreliableReason,
    /// The observation, in a sentence.
    pub text: String,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreliableReason {
    /// The window has too few records.
    FewRecords,
    /// The reference has too few records with a truth.
    FewJudged,
    /// The realised accuracy is outside the interval.
    Realised,
    /// The shares of the intents are too far from those of the reference to be corrected.
    Shares,
    /// The model is less sure than the reference explains, whatever the shares of the intents.
    Confidence,
    /// The model declines more messages than in the reference.
    Declined,
    /// More messages are out of scope than in the reference.
    OutOfScope,
    /// The text drifted: the input is new.
    NewInput,
}
