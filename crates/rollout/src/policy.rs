//! The plan: as a person writes it, and checked.

use botops_findings::{Fault, Place, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// The plan, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSpec {
    /// Mirror traffic to the challenger before it answers anyone.
    pub shadow: Option<ShadowSpec>,
    /// Steps of rising weight.
    pub steps: Vec<StepSpec>,
    /// How evidence is judged.
    pub judge: JudgeSpec,
    /// Seconds between ticks, as a duration.
    pub interval: String,
    /// Observations older than this pause the rollout at weight zero.
    pub stale_after: String,
}

/// Shadow: every message also goes to the challenger, whose answer is only compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowSpec {
    /// Conversations to mirror before the first step.
    pub min_units: u64,
    /// Give up (pause) after this.
    pub deadline: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Share of conversations for the challenger, in percent (0-100].
    pub weight: f64,
    /// Stay at least this long.
    #[serde(default)]
    pub min_time: Option<String>,
    /// See at least this many conversations on the challenger at this step; at least one when left out.
    #[serde(default)]
    pub min_units: Option<u64>,
    /// Pause when it takes longer.
    pub deadline: String,
    /// `promote-evidence`: also wait until the promote side of the judge has its evidence.
    #[serde(default)]
    pub require: Option<Requirement>,
}

/// What a step may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// The relative risk is below the tolerated one, at level alpha, for every gating metric that has
    /// failures enough to tell (see [`Evidence`](super::Evidence)).
    PromoteEvidence,
}

/// How evidence is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeSpec {
    /// Chance of a false rollback over the whole rollout, divided over the gating metrics; and the chance
    /// of promote evidence for a challenger that is beyond the tolerated risk in any of them (undivided:
    /// all of them must agree).
    pub alpha: f64,
    /// Relative risk that must be excluded before `promote-evidence` is given.
    pub tolerated_risk: f64,
    /// Which failures gate: default `error`, `fallback`, `wrong` gate; `slow` and `disagreement` are only shown.
    pub metrics: BTreeMap<FailureKind, GatePolicy>,
}

/// Whether a failure kind gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatePolicy {
    /// Its evidence rolls back, and its evidence is wanted to promote.
    Gate,
    /// Counted and shown.
    Observe,
}

/// The ways a conversation can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The server answered with an error.
    Error,
    /// The bot did not understand.
    Fallback,
    /// Feedback said that the intent was wrong.
    Wrong,
    /// The answer took longer than a bound fixed before the canary.
    Slow,
    /// The challenger, mirrored, said otherwise than the champion.
    Disagreement,
}

impl Default for RolloutSpec {
    fn default() -> Self {
        let step = |weight, min_time: &str, require| StepSpec {
            weight,
            min_time: Some(min_time.to_owned()),
            min_units: Some(100),
            deadline: "7d".to_owned(),
            require,
        };
        Self {
            shadow: None,
            steps: vec![
                step(5.0, "12h", None),
                step(25.0, "24h", None),
                step(50.0, "24h", Some(Requirement::PromoteEvidence)),
            ],
            judge: JudgeSpec::default(),
            interval: "5m".to_owned(),
            stale_after: "6h".to_owned(),
        }
    }
}

impl Default for JudgeSpec {
    fn default() -> Self {
        use FailureKind::{Disagreement, Error, Fallback, Slow, Wrong};
        use GatePolicy::{Gate, Observe};
        Self {
            alpha: 0.05,
            tolerated_risk: 1.5,
            metrics: BTreeMap::from([
                (Error, Gate),
                (Fallback, Gate),
                (Wrong, Gate),
                (Slow, Observe),
                (Disagreement, Observe),
            ]),
        }
    }
}

/// A checked [`RolloutSpec`].
///
/// - there is at least one step; weights rise in (0, 100]
/// - durations are at most [`LONGEST_DURATION`]; a step's least time is within its deadline
/// - at least one failure kind gates
///
/// Made by [`RolloutSpec::check`], or read back from where a rollout was written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutPolicy {
    shadow: Option<ShadowPolicy>,
    steps: Vec<StepPolicy>,
    judge: JudgeSpec,
    #[serde(with = "readable")]
    interval: Duration,
    #[serde(with = "readable")]
    stale_after: Duration,
}

/// A checked [`ShadowSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowPolicy {
    /// Conversations to mirror before the first step; at least 1.
    pub min_units: u64,
    /// Pause after this.
    #[serde(with = "readable")]
    pub deadline: Duration,
}

/// A checked [`StepSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepPolicy {
    /// The challenger's share in percent, in (0, 100], to four decimals.
    pub weight_percent: f64,
    /// Stay at least this long.
    #[serde(with = "readable")]
    pub min_time: Duration,
    /// See at least this many conversations on the challenger; at least 1.
    pub min_units: u64,
    /// Pause after this.
    #[serde(with = "readable")]
    pub deadline: Duration,
    /// What else it waits for.
    pub require: Option<Requirement>,
}

/// The longest duration of a plan: 366 days.
pub const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl RolloutPolicy {
    /// Returns the shadow stage, if there is one.
    #[must_use]
    pub fn shadow(&self) -> Option<&ShadowPolicy> {
        self.shadow.as_ref()
    }

    /// Returns the steps, by rising weight.
    #[must_use]
    pub fn steps(&self) -> &[StepPolicy] {
        &self.steps
    }

    /// Returns how evidence is judged.
    #[must_use]
    pub fn judge(&self) -> &JudgeSpec {
        &self.judge
    }

    /// Returns the time between ticks.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns how old observations may be before the rollout pauses at weight zero.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.stale_after
    }
}

impl JudgeSpec {
    /// Iterates over the kinds that gate.
    pub fn gating(&self) -> impl Iterator<Item = FailureKind> + '_ {
        self.metrics.iter().filter(|(_, gate)| **gate == GatePolicy::Gate).map(|(kind, _)| *kind)
    }

    /// Returns the log e-value at which a gating kind rolls back: ln(gating kinds / alpha).
    #[must_use]
    pub fn log_threshold_rollback(&self) -> f64 {
        (self.gating().count().max(1) as f64 / self.alpha).ln()
    }

    /// Returns the log e-value that every gating kind needs before promote evidence is given: ln(1 / alpha).
    #[must_use]
    pub fn log_threshold_promote(&self) -> f64 {
        (1.0 / self.alpha).ln()
    }
}

impl FailureKind {
    /// Returns its name, as in YAML, JSON and metrics: `wrong`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Fallback => "fallback",
            Self::Wrong => "wrong",
            Self::Slow => "slow",
            Self::Disagreement => "disagreement",
        }
    }
}

impl RolloutSpec {
    /// Checks the plan.
    ///
    /// # Errors
    /// `BOT-6001` (exit 2) with the key: no steps, weights that do not rise in (0, 100], a duration that
    /// does not parse, is zero where it may not be, or exceeds [`LONGEST_DURATION`], a least time beyond its
    /// deadline, least conversations of zero, `stale_after` within `interval`, alpha not in (0, 0.5],
    /// tolerated risk not in (1, 16], no metric that gates, or `disagreement` gating.
    pub fn check(&self) -> Result<RolloutPolicy> {
        let interval = duration("interval", &self.interval)?;
        let stale_after = duration("stale_after", &self.stale_after)?;
        if stale_after <= interval {
            return Err(complaint(
                "stale_after",
                format!(
                    "`stale_after` (`{}`) is not longer than `interval` (`{}`): every observation would be stale",
                    self.stale_after, self.interval
                ),
            )
            .hint("let `stale_after` be several times `interval`"));
        }
        let shadow = self.shadow.as_ref().map(ShadowSpec::check).transpose()?;
        if self.steps.is_empty() {
            return Err(complaint("steps", "a rollout needs at least one step")
                .hint("add one under `steps:`, such as `- { weight: 5, deadline: 7d }`"));
        }
        let mut steps: Vec<StepPolicy> = Vec::with_capacity(self.steps.len());
        for (i, step) in self.steps.iter().enumerate() {
            let step = step.check(&format!("steps[{i}]"))?;
            if let Some(before) = steps.last().filter(|b| b.weight_percent >= step.weight_percent) {
                return Err(complaint(
                    &format!("steps[{i}].weight"),
                    format!(
                        "step {} has weight {} after {}: weights must rise",
                        i + 1,
                        step.weight_percent,
                        before.weight_percent
                    ),
                ));
            }
            steps.push(step);
        }
        Ok(RolloutPolicy { shadow, steps, judge: self.judge.check()?, interval, stale_after })
    }
}

impl ShadowSpec {
    fn check(&self) -> Result<ShadowPolicy> {
        Ok(ShadowPolicy {
            min_units: units("shadow.min_units", self.min_units)?,
            deadline: duration("shadow.deadline", &self.deadline)?,
        })
    }
}

impl StepSpec {
    fn check(&self, key: &str) -> Result<StepPolicy> {
        // Four decimals of a percentage are kept exactly when written down.
        let weight_percent = (self.weight * 1e4).round() / 1e4;
        if !(weight_percent > 0.0 && weight_percent <= 100.0) {
            return Err(complaint(
                &format!("{key}.weight"),
                format!("weight `{}` is not a percentage above 0 and up to 100", self.weight),
            )
            .hint("a weight of 5 gives the challenger 5 of 100 conversations"));
        }
        let deadline = duration(&format!("{key}.deadline"), &self.deadline)?;
        let min_time_key = format!("{key}.min_time");
        let min_time = match &self.min_time {
            None => Duration::ZERO,
            Some(text) => parsed(&min_time_key, text)?,
        };
        if min_time > deadline {
            return Err(complaint(
                &min_time_key,
                format!(
                    "`min_time` ({}) is longer than `deadline` ({}): the step could never be passed",
                    humantime::format_duration(min_time),
                    humantime::format_duration(deadline)
                ),
            ));
        }
        Ok(StepPolicy {
            weight_percent,
            min_time,
            min_units: units(&format!("{key}.min_units"), self.min_units.unwrap_or(1))?,
            deadline,
            require: self.require,
        })
    }
}

impl JudgeSpec {
    fn check(&self) -> Result<Self> {
        if !(self.alpha > 0.0 && self.alpha <= 0.5) {
            return Err(complaint(
                "judge.alpha",
                format!("alpha is `{}`: a chance above 0 and up to 0.5 is wanted", self.alpha),
            ));
        }
        if !(self.tolerated_risk > 1.0 && self.tolerated_risk <= 16.0) {
            return Err(complaint(
                "judge.tolerated_risk",
                format!(
                    "tolerated risk is `{}`: a ratio above 1 and up to 16 is wanted",
                    self.tolerated_risk
                ),
            )
            .hint("1.5 means: promote once it is shown to fail less than 1.5 times as often"));
        }
        if self.gating().next().is_none() {
            return Err(complaint("judge.metrics", "no metric gates: nothing could roll back")
                .hint("let at least one gate, such as `error: gate`"));
        }
        if self.metrics.get(&FailureKind::Disagreement) == Some(&GatePolicy::Gate) {
            return Err(complaint(
                "judge.metrics.disagreement",
                "`disagreement` cannot gate: it is counted in shadow, where no traffic is split",
            )
            .hint("write `disagreement: observe`"));
        }
        // Kept to nine decimals, which survive being written down.
        Ok(Self {
            alpha: super::judge::kept(self.alpha).max(1e-9),
            tolerated_risk: super::judge::kept(self.tolerated_risk),
            metrics: self.metrics.clone(),
        })
    }
}

fn complaint(key: &str, message: impl Into<String>) -> Fault {
    Fault::usage("BOT-6001", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}

fn units(key: &str, units: u64) -> Result<u64> {
    if units == 0 {
        return Err(complaint(key, "`min_units` is `0`: at least one conversation must be seen"));
    }
    Ok(units)
}

/// Parses a duration that is at most [`LONGEST_DURATION`].
fn parsed(key: &str, text: &str) -> Result<Duration> {
    let wrong = |why: &str| {
        complaint(key, format!("`{text}` is not a duration for `{key}`: {why}"))
            .hint("write one such as `90s`, `30m`, `12h` or `7d`")
    };
    let duration = humantime::parse_duration(text.trim())
        .map_err(|error| wrong(&error.to_string()).caused_by(error))?;
    if duration > LONGEST_DURATION {
        Err(wrong("it is longer than 366 days"))
    } else {
        Ok(duration)
    }
}

/// Parses a duration that is not zero.
fn duration(key: &str, text: &str) -> Result<Duration> {
    let duration = parsed(key, text)?;
    if duration.is_zero() {
        return Err(complaint(key, format!("`{key}` is zero"))
            .hint("write a duration such as `90s`, `30m`, `12h` or `7d`"));
    }
    Ok(duration)
}

/// Durations as people write them, such as `12h`.
mod readable {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(de::Error::custom)
    }
}
