//! When the bot falls back and how its sets of intents are made, as written in YAML.

use super::score::OosScore;
use botops_findings::{Fault, Result};
use botops_stats::conformal::Nonconformity;
use serde::{Deserialize, Serialize};

/// When the bot falls back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackSpec {
    /// Below this confidence, in [0, 1]. Another score than the confidence declines as many in-scope messages. Not
    /// used with a target.
    pub threshold: f64,
    /// Of the messages answered, this share is right with 95 % confidence, in (0, 1): the threshold is the lowest
    /// that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_accuracy: Option<f64>,
    /// Which score is held against the threshold.
    #[serde(skip_serializing_if = "ScoreChoice::is_default")]
    pub score: ScoreChoice,
}

impl Default for FallbackSpec {
    fn default() -> Self {
        Self { threshold: 0.35, target_accuracy: None, score: ScoreChoice::MaxProbability }
    }
}

/// Which score is held against the threshold.
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
    /// The one that does best on out-of-scope records of the training data.
    Auto,
}

impl ScoreChoice {
    /// Returns the score that is named; `None` for the best.
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

    /// Returns whether it is the one that is used when none is named.
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

/// How sets of intents that hold the truth with a stated probability are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConformalSpec {
    /// The share of in-scope messages whose intent the set may miss, in (0, 1).
    pub alpha: f64,
    /// How strange an intent is.
    pub method: ConformalMethod,
    /// Whether every intent has a quantile of its own, so that rare ones are held as often as frequent ones.
    pub class_conditional: bool,
    /// RAPS: what a rank above `k_reg` costs, 0 or more.
    pub lambda: f64,
    /// RAPS: ranks up to this one are free.
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

/// How strange an intent is, given the probabilities of all.
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
    /// Returns the score that is used.
    #[must_use]
    pub fn nonconformity(&self) -> Nonconformity {
        match self.method {
            ConformalMethod::Lac => Nonconformity::Lac,
            ConformalMethod::Aps => Nonconformity::Aps,
            ConformalMethod::Raps => Nonconformity::Raps { lambda: self.lambda, k_reg: self.k_reg },
        }
    }

    /// Returns whether nothing was asked for.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key.
    pub fn check(&self) -> Result<()> {
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

impl FallbackSpec {
    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key.
    pub fn check(&self) -> Result<()> {
        within(
            (0.0..=1.0).contains(&self.threshold),
            "fallback.threshold",
            "a confidence from 0 to 1",
        )?;
        within(
            self.target_accuracy.is_none_or(|target| target > 0.0 && target < 1.0),
            "fallback.target_accuracy",
            "a share above 0 and below 1, such as 0.9",
        )
    }
}

fn within(good: bool, key: &str, wanted: &str) -> Result<()> {
    if good {
        return Ok(());
    }
    Err(Fault::usage("BOT-7010", format!("`{key}` is out of range"))
        .hint(format!("`{key}` may be {wanted}")))
}
