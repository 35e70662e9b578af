//! The `tune` block of a pipeline: the search space and the rungs of `botops tune`.

use botops_evaluation::{MetricName, Rung, SettingKind};
use botops_findings::{Fault, Place, Result};
use botops_spec::Outline;
use botops_stats::random::Random;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The block `tune:` of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuneSpec {
    /// The train stage whose model settings are the base; default: the only one.
    #[serde(default)]
    pub stage: Option<String>,
    /// The metric that ranks the trials.
    #[serde(default)]
    pub metric: MetricName,
    /// The number of configurations to try, including the base.
    #[serde(default = "default_trials")]
    pub trials: u32,
    /// The number of folds.
    #[serde(default = "default_folds")]
    pub folds: u32,
    /// The seed of the folds and of the drawn settings.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The rule that drops trials during the search.
    #[serde(default)]
    pub halving: Halving,
    /// Model settings (dotted keys, such as `head.c`) and the values of each.
    pub space: BTreeMap<String, Dimension>,
}

/// Successive halving: the best `1 / factor` of the trials of a rung go to the next one, which uses `factor` times as
/// many folds or records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Halving {
    /// The factor by which trials decrease and folds or records increase from rung to rung; 2 or more.
    pub factor: u32,
    /// The share of folds or records in the first rung, in (0, 1]. With 1 there is one rung, and no trial is dropped.
    pub first_share: f64,
    /// Whether rungs differ in folds or in records.
    pub of: RungKind,
}

impl Default for Halving {
    fn default() -> Self {
        Self { factor: 3, first_share: 0.2, of: RungKind::Folds }
    }
}

/// The quantity that increases from rung to rung.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungKind {
    /// Folds. Models train on as many records as in the last rung, and the next rung reuses the scores of earlier folds.
    #[default]
    Folds,
    /// Records. Every rung scores all folds, with models trained on a part of the records. Cheaper if one training is
    /// expensive.
    Records,
}

/// The values of one setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Dimension {
    /// One of these values.
    Choice(Vec<Value>),
    /// A number between these two, uniformly distributed.
    Uniform([f64; 2]),
    /// A number between these two (above 0), uniformly distributed on a logarithmic scale.
    LogUniform([f64; 2]),
    /// An integer from the first to the second, uniformly distributed.
    Integer([i64; 2]),
    /// An integer from the first (above 0) to the second, uniformly distributed on a logarithmic scale.
    LogInteger([i64; 2]),
}

fn default_trials() -> u32 {
    40
}

fn default_folds() -> u32 {
    5
}

fn default_seed() -> u64 {
    17
}

/// The largest number of trials.
const MOST_TRIALS: u32 = 10_000;

impl TuneSpec {
    /// Returns the rungs of a search that starts with `trials` trials.
    ///
    /// Shares of folds are rounded to whole folds, and each rung has at least one fold more than the one before.
    #[must_use]
    pub fn rungs(&self, trials: u32) -> Vec<Rung> {
        let mut rungs: Vec<Rung> = Vec::new();
        let (mut share, mut left) = (self.halving.first_share, trials);
        loop {
            let share_now = share.min(1.0);
            let rung = match self.halving.of {
                RungKind::Folds => {
                    let folds = (share_now * f64::from(self.folds)).round() as u32;
                    let least = rungs.last().map_or(1, |last| last.folds + 1);
                    Rung { folds: folds.clamp(least, self.folds), share: 1.0, trials: left }
                }
                RungKind::Records => Rung { folds: self.folds, share: share_now, trials: left },
            };
            rungs.push(rung);
            if rung.folds == self.folds && rung.share >= 1.0 {
                return rungs;
            }
            share *= f64::from(self.halving.factor);
            // At least 3: two besides the base, so that the winner can be compared with a runner-up.
            left = left.div_ceil(self.halving.factor).max(left.min(3));
        }
    }

    /// Checks every number of the block. The settings of the space are checked against the base elsewhere.
    ///
    /// # Errors
    /// `BOT-8042` and `BOT-8043` (exit 2), with the place in the file.
    pub fn check(&self, places: &Places<'_>) -> Result<()> {
        let wrong = |key: &str, message: String, hint: &str| {
            Err(Fault::usage("BOT-8042", message).at(places.of(key)).hint(hint))
        };
        let Halving { factor, first_share, .. } = self.halving;
        if !(2..=MOST_TRIALS).contains(&self.trials) {
            return wrong(
                "trials",
                format!("`trials` is {}", self.trials),
                "from 2 to 10000 can be made, the base among them; 40 is a start",
            );
        }
        if !(2..=100).contains(&self.folds) {
            return wrong(
                "folds",
                format!("`folds` is {}", self.folds),
                "5 folds are usual; from 2 to 100 are possible",
            );
        }
        if !(2..=100).contains(&factor) {
            return wrong(
                "halving.factor",
                format!("`halving.factor` is {factor}"),
                "write a whole number from 2 to 100; 3 keeps the best third",
            );
        }
        if !(first_share > 0.0 && first_share <= 1.0) {
            return wrong(
                "halving.first_share",
                format!("`halving.first_share` is {first_share}"),
                "write a share above 0 and at most 1; 1 drops no trial",
            );
        }
        if self.space.is_empty() {
            return wrong(
                "space",
                "the space has no setting to try".to_owned(),
                "name one: `head.c: { log_uniform: [0.1, 30] }`",
            );
        }
        for (setting, dimension) in &self.space {
            dimension.check(&format!("space.{setting}"), places)?;
        }
        Ok(())
    }
}

/// The places of the keys of a `tune` block in its file.
pub struct Places<'a> {
    /// The name of the pipeline file.
    pub file: &'a str,
    /// The outline of the pipeline file.
    pub outline: Outline,
}

impl Places<'_> {
    /// Returns the place of `key` below `tune`, or of the innermost enclosing block that is in the file.
    pub fn of(&self, key: &str) -> Place {
        let key = format!("tune.{key}");
        let mut known = key.as_str();
        let place = loop {
            match (self.outline.place(known), known.rfind(['.', '['])) {
                (Some(place), _) => break Some(place),
                (None, Some(end)) => known = &known[..end],
                (None, None) => break None,
            }
        };
        Place {
            file: Some(self.file.to_owned()),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            key: Some(key),
            ..Place::default()
        }
    }
}

impl Dimension {
    /// Returns the name of the dimension in YAML.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Choice(_) => "choice",
            Self::Uniform(_) => "uniform",
            Self::LogUniform(_) => "log_uniform",
            Self::Integer(_) => "integer",
            Self::LogInteger(_) => "log_integer",
        }
    }

    /// Returns whether its values are choices or numbers.
    pub fn kind(&self) -> SettingKind {
        match self {
            Self::Choice(_) => SettingKind::Choice,
            _ => SettingKind::Number,
        }
    }

    /// Returns the values to check: every choice, or the two ends of a range; each with its key, such as `choice[1]`.
    pub fn ends(&self) -> Vec<(String, Value)> {
        let at = |i: usize| format!("{}[{i}]", self.name());
        match self {
            Self::Choice(values) => {
                values.iter().enumerate().map(|(i, value)| (at(i), value.clone())).collect()
            }
            Self::Uniform(ends) | Self::LogUniform(ends) => {
                ends.iter().enumerate().map(|(i, end)| (at(i), json!(end))).collect()
            }
            Self::Integer(ends) | Self::LogInteger(ends) => {
                ends.iter().enumerate().map(|(i, end)| (at(i), json!(end))).collect()
            }
        }
    }

    fn check(&self, key: &str, places: &Places<'_>) -> Result<()> {
        let wrong = |message: String, hint: &str| {
            let at = places.of(&format!("{key}.{}", self.name()));
            Err(Fault::usage("BOT-8043", message).at(at).hint(hint))
        };
        let name = self.name();
        match self {
            Self::Choice(values) => {
                if values.is_empty() {
                    return wrong(
                        "there is nothing to choose from".to_owned(),
                        "list at least two values: `choice: [linear_svm, logistic_regression]`",
                    );
                }
                let twice = (1..values.len()).find(|&i| values[..i].contains(&values[i]));
                if let Some(i) = twice {
                    return wrong(
                        format!("{} is listed twice", values[i]),
                        "list every value once: each is as likely as the others",
                    );
                }
            }
            Self::Uniform([low, high]) | Self::LogUniform([low, high]) => {
                if !(low.is_finite() && high.is_finite()) || low >= high {
                    return wrong(
                        format!("`{name}: [{low}, {high}]` is not a range"),
                        "write two numbers, the smaller first",
                    );
                }
                if matches!(self, Self::LogUniform(_)) && *low <= 0.0 {
                    return wrong(
                        format!(
                            "`{name}: [{low}, {high}]` begins at or below 0, where ratios mean nothing"
                        ),
                        "begin above 0, such as at 0.01, or use `uniform`",
                    );
                }
            }
            Self::Integer([low, high]) | Self::LogInteger([low, high]) => {
                // A wider range overflows `i64`.
                if low >= high || high.checked_sub(*low).is_none() {
                    return wrong(
                        format!("`{name}: [{low}, {high}]` is not a range"),
                        "write two whole numbers, the smaller first",
                    );
                }
                if matches!(self, Self::LogInteger(_)) && *low <= 0 {
                    return wrong(
                        format!(
                            "`{name}: [{low}, {high}]` begins at or below 0, where ratios mean nothing"
                        ),
                        "begin at 1 or more, or use `integer`",
                    );
                }
            }
        }
        Ok(())
    }

    /// Draws a value. Numbers are rounded to four significant digits, which is precise enough and easy to read.
    pub fn draw(&self, random: &mut Random) -> Value {
        match self {
            Self::Choice(values) => values[random.below(values.len())].clone(),
            Self::Uniform([low, high]) => {
                json!(rounded(low + random.unit() * (high - low)).clamp(*low, *high))
            }
            Self::LogUniform([low, high]) => {
                let drawn = (low.ln() + random.unit() * (high.ln() - low.ln())).exp();
                json!(rounded(drawn).clamp(*low, *high))
            }
            Self::Integer([low, high]) => {
                let steps = usize::try_from(high - low).unwrap_or(usize::MAX - 1);
                json!(low + random.below(steps + 1) as i64)
            }
            Self::LogInteger([low, high]) => {
                // Each integer n covers the interval [n, n + 1).
                let (from, to) = ((*low as f64).ln(), (*high as f64 + 1.0).ln());
                let drawn = (from + random.unit() * (to - from)).exp().floor() as i64;
                json!(drawn.clamp(*low, *high))
            }
        }
    }
}

/// Rounds to four significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
