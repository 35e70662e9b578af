//! The fallback rule and the prediction sets, as written in YAML.

use super::score::OosScore;
use botops_findings::{Fault, Result};
use botops_spec::Spec;
use botops_stats::conformal::Nonconformity;
use serde::{Deserialize, Serialize};

/// The fallback rule, as written in YAML.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackSpec {
    /// The bot falls back below this confidence, in [0, 1]. With another score than the confidence, as many in-scope
    /// messages fall back. It is not used with a target accuracy.
    pub threshold: f64,
    /// The share of answers that must be right with 95 % confidence, in (0, 1); the threshold is the lowest that
    /// guarantees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_accuracy: Option<f64>,
    /// The share of messages that are out of scope in traffic, from 0 to below 1, if it differs from that of the training
    /// data. The target accuracy then holds for such traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oos_share: Option<f64>,
    /// The share of out-of-scope messages to decline, in (0, 1); the threshold is the lowest that declines as many of the
    /// out-of-scope records. It takes the place of a target accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_oos_declined: Option<f64>,
    /// The score that is compared with the threshold.
    #[serde(skip_serializing_if = "ScoreChoice::is_default")]
    pub score: ScoreChoice,
}

impl Default for FallbackSpec {
    fn default() -> Self {
        Self {
            threshold: 0.35,
            target_accuracy: None,
            oos_share: None,
            min_oos_declined: None,
            score: ScoreChoice::MaxProbability,
        }
    }
}

/// The choice of the score that is compared with the threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreChoice {
    /// [`OosScore::MaxProbability`].
    #[default]
    MaxProbability,
    /// [`OosScore::MaxLogit`].
    MaxLogit,
    /// [`OosScore::Energy`].
    Energy,
    /// [`OosScore::Centroid`].
    Centroid,
    /// [`OosScore::OosClass`].
    OosClass,
    /// The score that is best on the out-of-scope records of the training data.
    Auto,
}

impl ScoreChoice {
    /// Returns the named score; `None` for [`Self::Auto`].
    #[must_use]
    pub fn named(self) -> Option<OosScore> {
        match self {
            Self::MaxProbability => Some(OosScore::MaxProbability),
            Self::MaxLogit => Some(OosScore::MaxLogit),
            Self::Energy => Some(OosScore::Energy),
            Self::Centroid => Some(OosScore::Centroid),
            Self::OosClass => Some(OosScore::OosClass),
            Self::Auto => None,
        }
    }

    /// Returns whether this is the default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<OosScore> for ScoreChoice {
    fn from(score: OosScore) -> Self {
        match score {
            OosScore::MaxProbability => Self::MaxProbability,
            OosScore::MaxLogit => Self::MaxLogit,
            OosScore::Energy => Self::Energy,
            OosScore::Centroid => Self::Centroid,
            OosScore::OosClass => Self::OosClass,
        }
    }
}

/// Prediction sets: sets of intents that contain the true intent with a stated probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConformalSpec {
    /// The share of in-scope messages whose intent the set may miss, in (0, 1).
    pub alpha: f64,
    /// The nonconformity score of an intent.
    pub method: ConformalMethod,
    /// Whether every intent has its own quantile, so rare intents are covered as often as frequent ones.
    pub class_conditional: bool,
    /// RAPS: the penalty of each rank above `k_reg`, 0 or more.
    pub lambda: f64,
    /// RAPS: the last rank without penalty.
    pub k_reg: usize,
}

impl Default for ConformalSpec {
    fn default() -> Self {
        Self {
            alpha: 0.1,
            method: ConformalMethod::Lac,
            class_conditional: false,
            lambda: 0.01,
            k_reg: 5,
        }
    }
}

/// The nonconformity score of an intent, given the probabilities of all intents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConformalMethod {
    /// [`Nonconformity::Lac`].
    #[default]
    Lac,
    /// [`Nonconformity::Aps`].
    Aps,
    /// [`Nonconformity::Raps`].
    Raps,
}

impl ConformalMethod {
    /// Returns the name as written in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lac => "lac",
            Self::Aps => "aps",
            Self::Raps => "raps",
        }
    }
}

impl ConformalSpec {
    /// Returns the nonconformity score with its parameters.
    #[must_use]
    pub fn nonconformity(&self) -> Nonconformity {
        match self.method {
            ConformalMethod::Lac => Nonconformity::Lac,
            ConformalMethod::Aps => Nonconformity::Aps,
            ConformalMethod::Raps => Nonconformity::Raps { lambda: self.lambda, k_reg: self.k_reg },
        }
    }

    /// Returns whether all values are the defaults.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Spec for ConformalSpec {
    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key.
    fn check_ranges(&self) -> Result<()> {
        within(
            self.alpha > 0.0 && self.alpha < 1.0,
            "conformal.alpha",
            "a share above 0 and below 1, such as 0.1",
        )?;
        within(
            self.lambda.is_finite() && self.lambda >= 0.0,
            "conformal.lambda",
            "a number of 0 or more",
        )
    }
}

impl Spec for FallbackSpec {
    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key.
    fn check_ranges(&self) -> Result<()> {
        within(
            (0.0..=1.0).contains(&self.threshold),
            "fallback.threshold",
            "a confidence from 0 to 1",
        )?;
        within(
            self.target_accuracy.is_none_or(|target| target > 0.0 && target < 1.0),
            "fallback.target_accuracy",
            "a share above 0 and below 1, such as 0.9",
        )?;
        within(
            self.oos_share.is_none_or(|share| (0.0..1.0).contains(&share)),
            "fallback.oos_share",
            "a share from 0 to below 1, such as 0.15",
        )?;
        within(
            self.min_oos_declined.is_none_or(|share| share > 0.0 && share < 1.0),
            "fallback.min_oos_declined",
            "a share above 0 and below 1, such as 0.8",
        )?;
        self.check_together()
    }
}

impl FallbackSpec {
    /// Checks that one rule determines the threshold.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the keys.
    fn check_together(&self) -> Result<()> {
        if self.min_oos_declined.is_some() && self.target_accuracy.is_some() {
            let message = "`fallback.target_accuracy` and `fallback.min_oos_declined` each determine the threshold";
            return Err(Fault::usage("BOT-7010", message).hint("keep one of them"));
        }
        if self.oos_share.is_some() && self.target_accuracy.is_none() {
            let message = "`fallback.oos_share` has no effect without `fallback.target_accuracy`";
            return Err(Fault::usage("BOT-7010", message)
                .hint("add `target_accuracy`, such as 0.9, or remove `oos_share`"));
        }
        Ok(())
    }

    /// Returns the spec with a fixed threshold of `score`.
    #[must_use]
    pub fn fixed(self, score: ScoreChoice) -> Self {
        Self { score, target_accuracy: None, oos_share: None, min_oos_declined: None, ..self }
    }
}

/// Returns the fault of a number out of range, unless `valid`; `range` completes the sentence "`key` must be ...".
fn within(valid: bool, key: &str, range: &str) -> Result<()> {
    if valid {
        return Ok(());
    }
    Err(Fault::usage("BOT-7010", format!("`{key}` is out of range"))
        .hint(format!("`{key}` must be {range}")))
}
