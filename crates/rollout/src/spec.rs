//! The plan of a rollout as written in YAML, and its checks.

use crate::{
    failure::{FailureKind, GatePolicy, RESOLUTION_WINDOW},
    policy::{
        APPROVALS_EXPIRE, ApprovalPolicy, JudgeSpec, LONGEST_DURATION, OnInsufficient, OnPause,
        Requirement, RolloutPolicy, SettlePolicy, ShadowPolicy, StepPolicy, Strategy,
    },
    rounding::nine_decimals,
};
use botops_findings::{Fault, Place, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// The shortest time between ticks.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Conversations that measure a limit if the plan does not say.
const SETTLING_CONVERSATIONS: u64 = 100;

/// The most approvals that a promotion may need.
const MOST_APPROVALS: u32 = 100;

/// The plan, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSpec {
    /// The shadow stage: mirror traffic to the challenger before it answers anyone.
    pub shadow: Option<ShadowSpec>,
    /// Steps of rising weight.
    pub steps: Vec<StepSpec>,
    /// The rules by which evidence is judged. A kind that `metrics` leaves out keeps its default role.
    #[serde(deserialize_with = "with_default_roles")]
    pub judge: JudgeSpec,
    /// The time between ticks, such as `5m`; at least 10 ms.
    pub interval: String,
    /// The age of observations beyond which the rollout pauses at weight zero, such as `6h`.
    pub stale_after: String,
    /// The way that the challenger takes over the traffic: `canary` or `blue-green`; or `shadow` if it does not. A blue-green
    /// plan has no `steps`, and needs `limits` and `settle`. A shadow plan has only `shadow`.
    pub strategy: Strategy,
    /// The largest share of failed conversations while the challenger has all traffic.
    pub limits: LimitsSpec,
    /// Keep the version before loaded after the promotion, so that a rollback needs no download. Without it the rollout
    /// ends with the promotion.
    pub settle: Option<SettleSpec>,
    /// Approvals that the promotion needs. The policy of an environment can demand more.
    pub approval: Option<ApprovalSpec>,
    /// The share of the challenger during a pause: `keep` or `zero`.
    pub on_pause: OnPause,
    /// The decision when a deadline is reached and too little was measured: `pause`, `rollback` or `advance`.
    pub on_insufficient: OnInsufficient,
    /// Roll back when a pause lasts longer than this, such as `7d`.
    pub pause_deadline: Option<String>,
}

/// Absolute limits, judged by an always-valid test against the stated share: `error: 1` rolls back once the share of
/// conversations with an error is shown to be above 1 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// The largest share of conversations with an error, in percent.
    pub error: Option<f64>,
    /// The largest share of conversations with a slow answer, in percent.
    pub slow: Option<f64>,
    /// The largest share of conversations that the bot did not understand, in percent.
    pub fallback: Option<f64>,
}

/// The time after the promotion in which the version before stays loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleSpec {
    /// The shortest time, such as `24h`; `0s`: end with the promotion.
    pub window: String,
    /// Wait for this many conversations that measure each of `limits`; 100 if left out.
    #[serde(default)]
    pub min_units: Option<u64>,
}

/// Approvals of a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalSpec {
    /// Approvals by different persons, none of them the requester.
    pub quorum: u32,
    /// Roll back when they are not complete after this; `72h` if left out.
    #[serde(default)]
    pub expires: Option<String>,
}

/// The shadow stage: every message also goes to the challenger, whose answer is only compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowSpec {
    /// Conversations to mirror before the first step.
    pub min_units: u64,
    /// Pause when the stage takes longer than this; a plan with the strategy `shadow` ends.
    pub deadline: String,
    /// The share of conversations to mirror, in percent, in (0, 100]; 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<f64>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// The challenger's share of conversations in percent, in (0, 100].
    #[schema(exclusive_minimum = 0, maximum = 100)]
    pub weight: f64,
    /// Stay at least this long.
    #[serde(default)]
    pub min_time: Option<String>,
    /// Wait for at least this many conversations on the challenger at this step; 1 if left out.
    #[serde(default)]
    pub min_units: Option<u64>,
    /// Pause when the step takes longer than this.
    pub deadline: String,
    /// `promote-evidence`: also wait for promote evidence.
    #[serde(default)]
    pub require: Option<Requirement>,
}

/// Reads the rules of a judge, in which a kind that is left out has its default role.
///
/// A plan that changes the role of `wrong` still gates on `error`. Stored policies are complete and are read as they are.
fn with_default_roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JudgeSpec, D::Error> {
    let mut judge = JudgeSpec::deserialize(deserializer)?;
    for (kind, policy) in JudgeSpec::default().metrics {
        judge.metrics.entry(kind).or_insert(policy);
    }
    Ok(judge)
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
            strategy: Strategy::Canary,
            limits: LimitsSpec::default(),
            settle: None,
            approval: None,
            on_pause: OnPause::Keep,
            on_insufficient: OnInsufficient::Pause,
            pause_deadline: None,
        }
    }
}

impl RolloutSpec {
    /// Checks the plan.
    ///
    /// # Errors
    /// `BOT-6001` (exit 2) with the key:
    /// - no steps, or weights that do not rise in (0, 100]
    /// - a duration that does not parse, is zero where it may not be, or exceeds 366 days
    /// - an `interval` below 10 ms
    /// - a least time beyond its deadline, least conversations of zero, or `stale_after` within `interval`
    /// - alpha not in (0, 0.5], or tolerated risk not in (1, 16]
    /// - no failure kind with the role `gate`, or `disagreement` gating
    ///
    /// `BOT-6240` (exit 2): `handed_off` or `unresolved` gates, and a step can pass before a conversation of it measures that.
    pub fn check(&self) -> Result<RolloutPolicy> {
        let interval = non_zero_duration("interval", &self.interval)?;
        if interval < SHORTEST_INTERVAL {
            return Err(fault(
                "interval",
                format!(
                    "`interval` is `{}`: expected at least {}",
                    self.interval,
                    humantime::format_duration(SHORTEST_INTERVAL)
                ),
            )
            .hint("minutes are usual: each tick reads the deployment log, and may write to it"));
        }
        let stale_after = non_zero_duration("stale_after", &self.stale_after)?;
        if stale_after <= interval {
            return Err(fault(
                "stale_after",
                format!(
                    "`stale_after` (`{}`) is not longer than `interval` (`{}`): every observation would be stale",
                    self.stale_after, self.interval
                ),
            )
            .hint("set `stale_after` to several times `interval`"));
        }
        let shadow = self.shadow.as_ref().map(ShadowSpec::check).transpose()?;
        let settle = self.settle.as_ref().map(SettleSpec::check).transpose()?;
        let settles = settle.as_ref().is_some_and(|settle| !settle.window.is_zero());
        let limits = self.limits.check(settles || self.strategy == Strategy::BlueGreen)?;
        let approval = self.approval.as_ref().map(ApprovalSpec::check).transpose()?;
        let pause_deadline = self
            .pause_deadline
            .as_ref()
            .map(|text| non_zero_duration("pause_deadline", text))
            .transpose()?;
        if self.strategy == Strategy::BlueGreen {
            self.check_blue_green(&limits, settle.as_ref())?;
        } else if self.strategy == Strategy::Shadow {
            self.check_shadow_plan()?;
        } else if self.steps.is_empty() {
            return Err(fault("steps", "a rollout needs at least one step")
                .hint("add one under `steps:`, such as `- { weight: 5, deadline: 7d }`"));
        }
        let mut steps: Vec<StepPolicy> = Vec::with_capacity(self.steps.len());
        let planned = match self.strategy {
            Strategy::Canary => self.steps.as_slice(),
            Strategy::BlueGreen | Strategy::Shadow => &[],
        };
        for (i, step) in planned.iter().enumerate() {
            let step = step.check(&format!("steps[{i}]"))?;
            if let Some(before) = steps.last().filter(|b| b.weight_percent >= step.weight_percent) {
                return Err(fault(
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
        let judge = checked_judge(&self.judge)?;
        check_windows(&judge, &steps)?;
        Ok(RolloutPolicy {
            shadow,
            steps,
            judge,
            interval,
            stale_after,
            strategy: self.strategy,
            limits,
            settle,
            approval,
            on_pause: self.on_pause,
            on_insufficient: self.on_insufficient,
            pause_deadline,
        })
    }

    /// Refuses a shadow plan without a shadow stage, or with a part of another stage.
    fn check_shadow_plan(&self) -> Result<()> {
        if self.shadow.is_none() {
            return Err(fault("shadow", "a shadow plan needs `shadow`")
                .hint("such as `shadow: { min_units: 1000, deadline: 24h }`"));
        }
        // A plan that names no steps has the default ones.
        let has_steps = !self.steps.is_empty() && self.steps != Self::default().steps;
        let others = [
            ("steps", has_steps),
            ("settle", self.settle.is_some()),
            ("approval", self.approval.is_some()),
        ];
        match others.into_iter().find(|(_, is_there)| *is_there) {
            None => Ok(()),
            Some((key, _)) => {
                Err(fault(key, format!("a shadow plan promotes nothing: it has no `{key}`"))
                    .hint("leave it out, or use the strategy `canary`"))
            }
        }
    }

    /// Refuses a blue-green plan with steps, or without limits and a time to settle.
    fn check_blue_green(
        &self,
        limits: &BTreeMap<FailureKind, f64>,
        settle: Option<&SettlePolicy>,
    ) -> Result<()> {
        // A plan that names no steps has the default ones.
        let at_once = match self.steps.as_slice() {
            [] => true,
            [only] => {
                only.weight == 100.0
                    && only.min_time.is_none()
                    && only.min_units.is_none()
                    && only.require.is_none()
            }
            steps => steps == Self::default().steps,
        };
        if !at_once {
            return Err(fault(
                "steps",
                "a blue-green plan gives the challenger all traffic at once: it has no `steps`",
            )
            .hint("leave `steps` out, and set the least time and conversations under `settle`"));
        }
        let missing = match (limits.is_empty(), settle.is_none_or(|settle| settle.window.is_zero()))
        {
            (false, false) => return Ok(()),
            (true, true) => "`limits` and `settle`",
            (true, false) => "`limits`",
            (false, true) => "`settle`",
        };
        let key = if limits.is_empty() { "limits" } else { "settle" };
        Err(Fault::usage("BOT-6003", format!("a blue-green plan needs {missing}"))
            .at(Place { key: Some(key.to_owned()), ..Place::default() })
            .hint("at 100 % there is no champion to compare with: set `limits: { error: 1 }` and `settle: { window: 24h }`"))
    }
}

impl LimitsSpec {
    /// Checks the limits of a plan that settles, or not.
    fn check(&self, settles: bool) -> Result<BTreeMap<FailureKind, f64>> {
        let given = [
            (FailureKind::Error, self.error),
            (FailureKind::Fallback, self.fallback),
            (FailureKind::Slow, self.slow),
        ];
        let mut limits = BTreeMap::new();
        for (kind, percent) in given {
            let Some(given) = percent else { continue };
            let key = format!("limits.{}", kind.name());
            // JSON keeps four decimals of a percentage exactly.
            let percent = (given * 1e4).round() / 1e4;
            if !(percent > 0.0 && percent < 100.0) {
                return Err(fault(
                    &key,
                    format!("`{key}` is `{given}`: expected a percentage above 0 and below 100"),
                )
                .hint("a limit of 1 allows 1 of 100 conversations to fail"));
            }
            if !settles {
                return Err(fault(&key, format!("`{key}` has no effect without `settle`"))
                    .hint("limits are judged while the challenger has all traffic: add `settle: { window: 24h }`"));
            }
            limits.insert(kind, percent);
        }
        Ok(limits)
    }
}

impl SettleSpec {
    fn check(&self) -> Result<SettlePolicy> {
        Ok(SettlePolicy {
            window: duration("settle.window", &self.window)?,
            min_units: at_least_one(
                "settle.min_units",
                self.min_units.unwrap_or(SETTLING_CONVERSATIONS),
            )?,
        })
    }
}

impl ApprovalSpec {
    fn check(&self) -> Result<ApprovalPolicy> {
        if self.quorum > MOST_APPROVALS {
            return Err(fault(
                "approval.quorum",
                format!("`quorum` is `{}`: expected at most {MOST_APPROVALS}", self.quorum),
            ));
        }
        Ok(ApprovalPolicy {
            quorum: self.quorum,
            expires: match &self.expires {
                None => APPROVALS_EXPIRE,
                Some(text) => non_zero_duration("approval.expires", text)?,
            },
            allow_self_approval: false,
        })
    }
}

impl ShadowSpec {
    /// Returns the share of conversations to mirror, in percent.
    fn mirrored(&self) -> Result<f64> {
        let Some(given) = self.mirror else { return Ok(100.0) };
        // JSON keeps four decimals of a percentage exactly.
        let percent = (given * 1e4).round() / 1e4;
        if percent > 0.0 && percent <= 100.0 {
            return Ok(percent);
        }
        let message =
            format!("`mirror` is `{given}`: expected a percentage above 0 and at most 100");
        Err(fault("shadow.mirror", message).hint("a share of 10 mirrors 10 of 100 conversations"))
    }

    fn check(&self) -> Result<ShadowPolicy> {
        Ok(ShadowPolicy {
            min_units: at_least_one("shadow.min_units", self.min_units)?,
            deadline: non_zero_duration("shadow.deadline", &self.deadline)?,
            mirror_percent: self.mirrored()?,
        })
    }
}

impl StepSpec {
    /// Checks the step at `key`, such as `steps[0]`.
    fn check(&self, key: &str) -> Result<StepPolicy> {
        // JSON keeps four decimals of a percentage exactly.
        let weight_percent = (self.weight * 1e4).round() / 1e4;
        if !(weight_percent > 0.0 && weight_percent <= 100.0) {
            return Err(fault(
                &format!("{key}.weight"),
                format!(
                    "`weight` is `{}`: expected a percentage above 0 and at most 100",
                    self.weight
                ),
            )
            .hint("a weight of 5 gives the challenger 5 of 100 conversations"));
        }
        let deadline = non_zero_duration(&format!("{key}.deadline"), &self.deadline)?;
        let min_time_key = format!("{key}.min_time");
        let min_time = match &self.min_time {
            None => Duration::ZERO,
            Some(text) => duration(&min_time_key, text)?,
        };
        if min_time > deadline {
            return Err(fault(
                &min_time_key,
                format!(
                    "`min_time` ({}) is longer than `deadline` ({}): the step could never pass",
                    humantime::format_duration(min_time),
                    humantime::format_duration(deadline)
                ),
            ));
        }
        Ok(StepPolicy {
            weight_percent,
            min_time,
            min_units: at_least_one(&format!("{key}.min_units"), self.min_units.unwrap_or(1))?,
            deadline,
            require: self.require,
        })
    }
}

/// Returns `spec` with its numbers checked and rounded to nine decimals, which JSON keeps.
fn checked_judge(spec: &JudgeSpec) -> Result<JudgeSpec> {
    if !(spec.alpha > 0.0 && spec.alpha <= 0.5) {
        return Err(fault(
            "judge.alpha",
            format!("`alpha` is `{}`: expected a probability above 0 and at most 0.5", spec.alpha),
        ));
    }
    if !(spec.tolerated_risk > 1.0 && spec.tolerated_risk <= 16.0) {
        return Err(fault(
            "judge.tolerated_risk",
            format!(
                "`tolerated_risk` is `{}`: expected a ratio above 1 and at most 16",
                spec.tolerated_risk
            ),
        )
        .hint("1.5 promotes once the challenger is shown to fail less than 1.5 times as often"));
    }
    if !spec.metrics.values().any(|policy| *policy == GatePolicy::Gate) {
        return Err(fault(
            "judge.metrics",
            "no metric has the role `gate`: nothing would have to be measured",
        )
        .hint("set at least one to `gate`, such as `error: gate`"));
    }
    if spec.metrics.get(&FailureKind::Disagreement).is_some_and(|policy| policy.gates()) {
        return Err(fault(
            "judge.metrics.disagreement",
            "`disagreement` cannot gate: it is counted in the shadow stage, where traffic is not split",
        )
        .hint("write `disagreement: observe`"));
    }
    if !(0.0..=1.0).contains(&spec.end_user_share) {
        return Err(fault(
            "judge.end_user_share",
            format!("`end_user_share` is `{}`: expected a share from 0 to 1", spec.end_user_share),
        )
        .hint(
            "0.5 lets end users contribute half of a decision by `wrong`; reviewers give the rest",
        ));
    }
    Ok(JudgeSpec {
        alpha: nine_decimals(spec.alpha).max(1e-9),
        tolerated_risk: nine_decimals(spec.tolerated_risk),
        metrics: spec.metrics.clone(),
        end_user_share: nine_decimals(spec.end_user_share),
    })
}

/// Refuses a step that can pass before the window of a kind that gates is over for any of its conversations.
fn check_windows(judge: &JudgeSpec, steps: &[StepPolicy]) -> Result<()> {
    let gates = |kind: &FailureKind| judge.metrics.get(kind).is_some_and(|policy| policy.gates());
    let kind = FailureKind::ALL.into_iter().find(|kind| kind.has_window() && gates(kind));
    let early = steps.iter().position(|step| step.min_time < RESOLUTION_WINDOW);
    let (Some(kind), Some(index)) = (kind, early) else { return Ok(()) };
    let (name, window) = (kind.name(), humantime::format_duration(RESOLUTION_WINDOW));
    let message = format!(
        "step {} can pass after {}, and `{name}` gates: a conversation measures it {window} after its begin",
        index + 1,
        humantime::format_duration(steps[index].min_time)
    );
    let key = Some(format!("steps[{index}].min_time"));
    Err(Fault::usage("BOT-6240", message)
        .at(Place { key, ..Place::default() })
        .hint(format!("set `min_time: {window}` or more, with conversations to spare"))
        .hint(format!("or only count it: `judge: {{ metrics: {{ {name}: observe }} }}`")))
}

fn fault(key: &str, message: impl Into<String>) -> Fault {
    Fault::usage("BOT-6001", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}

fn at_least_one(key: &str, units: u64) -> Result<u64> {
    if units == 0 {
        return Err(fault(key, "`min_units` is `0`: expected at least one conversation"));
    }
    Ok(units)
}

/// Parses a duration that is at most [`LONGEST_DURATION`].
fn duration(key: &str, text: &str) -> Result<Duration> {
    let invalid = |reason: &str| {
        fault(key, format!("`{text}` is not a duration for `{key}`: {reason}"))
            .hint("write a duration such as `90s`, `30m`, `12h` or `7d`")
    };
    let duration = humantime::parse_duration(text.trim())
        .map_err(|error| invalid(&error.to_string()).caused_by(error))?;
    if duration > LONGEST_DURATION {
        Err(invalid("it is longer than 366 days"))
    } else {
        Ok(duration)
    }
}

/// Parses a duration that is above zero and at most [`LONGEST_DURATION`].
fn non_zero_duration(key: &str, text: &str) -> Result<Duration> {
    let duration = duration(key, text)?;
    if duration.is_zero() {
        return Err(fault(key, format!("`{key}` is zero"))
            .hint("write a duration such as `90s`, `30m`, `12h` or `7d`"));
    }
    Ok(duration)
}
