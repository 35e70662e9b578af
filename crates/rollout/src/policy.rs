//! The checked plan of a rollout, the only form that decisions are made from.

use crate::failure::{FailureKind, GatePolicy};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// A checked [`crate::RolloutSpec`].
///
/// - there is at least one step, unless the strategy is blue-green or shadow, which have none; weights rise in (0, 100]
/// - a shadow plan has a shadow stage, and neither limits, nor a settling window, nor approvals
/// - a blue-green plan has limits and a settling window; limits are only in a plan that settles
/// - durations are at most [`LONGEST_DURATION`]; the least time of a step is within its deadline
/// - at least one failure kind gates
///
/// [`crate::RolloutSpec::check`] makes it; a stored rollout is read back into it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RolloutPolicy {
    pub(crate) shadow: Option<ShadowPolicy>,
    pub(crate) steps: Vec<StepPolicy>,
    pub(crate) judge: JudgeSpec,
    #[serde(with = "readable")]
    #[schema(value_type = String)]
    pub(crate) interval: Duration,
    #[serde(with = "readable")]
    #[schema(value_type = String)]
    pub(crate) stale_after: Duration,
    #[serde(default)]
    pub(crate) strategy: Strategy,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) limits: BTreeMap<FailureKind, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settle: Option<SettlePolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<ApprovalPolicy>,
    #[serde(default)]
    pub(crate) on_pause: OnPause,
    #[serde(default)]
    pub(crate) on_insufficient: OnInsufficient,
    #[serde(default, with = "readable_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) pause_deadline: Option<Duration>,
}

/// A checked [`crate::SettleSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SettlePolicy {
    /// The version before stays loaded for at least this long.
    #[serde(with = "readable")]
    #[schema(value_type = String)]
    pub window: Duration,
    /// Conversations that measure an absolute limit; at least 1.
    pub min_units: u64,
}

/// A checked [`crate::ApprovalSpec`], with the demands of the environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApprovalPolicy {
    /// Approvals by different persons that a promotion needs; 0: none.
    pub quorum: u32,
    /// Roll back when they are not complete, or nothing could be promoted, after this.
    #[serde(with = "readable")]
    #[schema(value_type = String)]
    pub expires: Duration,
    /// Whether the requester may approve; only the policy of an environment allows it, not a plan.
    #[serde(default)]
    pub allow_self_approval: bool,
}

/// The way that a challenger takes over the traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Its share rises in steps, and it is compared with the champion.
    #[default]
    Canary,
    /// It gets all traffic at once and is judged by `limits` alone, while the champion stays loaded.
    BlueGreen,
    /// It answers nobody: its answers to mirrored messages are compared with those of the champion until the shadow stage
    /// ends, and nothing is promoted.
    Shadow,
}

/// The share of the challenger during a pause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnPause {
    /// The share that it had; zero if the pause is for a broken split, stale observations or a jump of the clock.
    #[default]
    Keep,
    /// No conversation.
    Zero,
}

/// The decision when a deadline is reached and too little was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnInsufficient {
    /// Pause; while settling, keep the version before loaded.
    #[default]
    Pause,
    /// Roll back.
    Rollback,
    /// Take the next step with fewer conversations. A step that requires evidence and the last step pause: nothing is
    /// promoted on too few conversations.
    Advance,
}

/// The least conversations of a shadow run that ends with its deadline, however many it mirrored: more than come.
pub const UNTIL_DEADLINE: u64 = 1_000_000_000;

/// A checked [`crate::ShadowSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShadowPolicy {
    /// Conversations to mirror before the first step; at least 1.
    pub min_units: u64,
    /// Pause after this; a plan without steps ends.
    #[serde(with = "readable")]
    #[schema(value_type = String)]
    pub deadline: Duration,
    /// The share of conversations that are mirrored, in percent, in (0, 100], to four decimals.
    #[serde(default = "everything", skip_serializing_if = "is_everything")]
    pub mirror_percent: f64,
}

impl ShadowPolicy {
    /// Returns the conversations to mirror; `None` if the run ends with its deadline ([`UNTIL_DEADLINE`]).
    #[must_use]
    pub fn least_units(&self) -> Option<u64> {
        (self.min_units < UNTIL_DEADLINE).then_some(self.min_units)
    }
}

fn everything() -> f64 {
    100.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_everything(percent: &f64) -> bool {
    *percent >= 100.0
}

/// A checked [`crate::StepSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepPolicy {
    /// The challenger's share in percent, in (0, 100], to four decimals.
    pub weight_percent: f64,
    /// Stay at least this long.
    #[serde(with = "readable")]
    #[schema(value_type = String)]
    pub min_time: Duration,
    /// Wait for at least this many conversations on the challenger; at least 1.
    pub min_units: u64,
    /// Pause after this.
    #[serde(with = "readable")]
    #[schema(value_type = String)]
    pub deadline: Duration,
    /// The evidence to wait for, if any.
    pub require: Option<Requirement>,
}

/// The evidence that a step may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// The relative risk is below the tolerated one, at level alpha, for every gating kind that has
    /// enough failures to compare (see [`crate::Evidence`]). A kind that is unmeasured has no evidence.
    PromoteEvidence,
}

/// The rules by which evidence is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeSpec {
    /// The error level.
    ///
    /// It bounds the chance of a false rollback over the whole rollout, divided over the gating kinds.
    /// It also bounds the chance of promote evidence for a challenger that is beyond the tolerated risk
    /// in any kind; there it is not divided, because all kinds must agree.
    pub alpha: f64,
    /// The relative risk that must be excluded before `promote-evidence` is given.
    pub tolerated_risk: f64,
    /// The role of each failure kind: `gate`, `optional` (gates, and is not waited for while it is
    /// unmeasured) or `observe`. By default `error`, `fallback` and `wrong` gate; `slow` and
    /// `disagreement` are only reported.
    pub metrics: BTreeMap<FailureKind, GatePolicy>,
    /// The share of a decision by `wrong` that the verdicts of end users may contribute, in [0, 1]; by default half. The
    /// rest has to come from reviewers. At 1, end users decide alone, unless their verdicts come in a burst or are
    /// one-armed.
    #[serde(skip_serializing_if = "is_usual_share")]
    pub end_user_share: f64,
}

/// The default of [`JudgeSpec::end_user_share`].
const END_USER_SHARE: f64 = 0.5;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_usual_share(share: &f64) -> bool {
    share.to_bits() == END_USER_SHARE.to_bits()
}

/// The time that approvals have if the plan does not say: three days, which span a weekend.
pub(crate) const APPROVALS_EXPIRE: Duration = Duration::from_secs(72 * 60 * 60);

/// The longest duration of a plan: 366 days.
pub(crate) const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl RolloutPolicy {
    /// Returns the shadow stage, if there is one.
    #[must_use]
    pub fn shadow(&self) -> Option<&ShadowPolicy> {
        self.shadow.as_ref()
    }

    /// Returns the steps, by rising weight; none in a blue-green and in a shadow plan.
    #[must_use]
    pub fn steps(&self) -> &[StepPolicy] {
        &self.steps
    }

    /// Returns the rules by which evidence is judged.
    #[must_use]
    pub fn judge(&self) -> &JudgeSpec {
        &self.judge
    }

    /// Returns the time between ticks.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns the age of observations beyond which the rollout pauses at weight zero.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.stale_after
    }

    /// Returns the way that the challenger takes over the traffic.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Returns the absolute limits: the largest share of failed conversations in percent, by kind.
    #[must_use]
    pub fn limits(&self) -> &BTreeMap<FailureKind, f64> {
        &self.limits
    }

    /// Returns the settling window, if there is one. A window of zero is none.
    #[must_use]
    pub fn settle(&self) -> Option<&SettlePolicy> {
        self.settle.as_ref().filter(|settle| !settle.window.is_zero())
    }

    /// Returns the approvals that a promotion needs, if it needs any.
    #[must_use]
    pub fn approval(&self) -> Option<&ApprovalPolicy> {
        self.approval.as_ref().filter(|approval| approval.quorum > 0)
    }

    /// Returns the time after which a pause rolls back, if there is one.
    #[must_use]
    pub fn pause_deadline(&self) -> Option<Duration> {
        self.pause_deadline
    }

    /// Returns the plan with at least `quorum` approvals, as an environment demands; a plan that asks for more keeps its
    /// own number.
    #[must_use]
    pub fn with_required_approvals(mut self, quorum: u32) -> Self {
        if quorum > 0 && self.strategy != Strategy::Shadow {
            let approval = self.approval.get_or_insert_with(ApprovalPolicy::default);
            approval.quorum = approval.quorum.max(quorum);
        }
        self
    }

    /// Returns the plan with at most `most` time for its approvals, as an environment demands.
    #[must_use]
    pub fn with_approvals_within(mut self, most: Duration) -> Self {
        if let Some(approval) = &mut self.approval {
            approval.expires = approval.expires.min(most);
        }
        self
    }

    /// Returns the plan with the rule of the environment on approvals by the requester.
    #[must_use]
    pub fn allowing_self_approval(mut self, allowed: bool) -> Self {
        if let Some(approval) = &mut self.approval {
            approval.allow_self_approval = allowed;
        }
        self
    }
}

impl Default for ApprovalPolicy {
    fn default() -> Self {
        Self { quorum: 0, expires: APPROVALS_EXPIRE, allow_self_approval: false }
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
            end_user_share: END_USER_SHARE,
        }
    }
}

impl JudgeSpec {
    /// Iterates over the kinds that gate.
    pub(crate) fn gating(&self) -> impl Iterator<Item = FailureKind> + '_ {
        self.metrics.iter().filter(|(_, policy)| policy.gates()).map(|(kind, _)| *kind)
    }

    /// Returns the role of `kind`; a kind that is not named is observed.
    pub(crate) fn role(&self, kind: FailureKind) -> GatePolicy {
        self.metrics.get(&kind).copied().unwrap_or(GatePolicy::Observe)
    }

    /// Returns the log e-value at which a gating kind rolls back: ln(gating kinds / alpha).
    pub(crate) fn log_threshold_rollback(&self) -> f64 {
        (self.gating().count().max(1) as f64 / self.alpha).ln()
    }

    /// Returns the log e-value that every gating kind needs for promote evidence: ln(1 / alpha).
    pub(crate) fn log_threshold_promote(&self) -> f64 {
        (1.0 / self.alpha).ln()
    }
}

/// Reads and writes durations in words, such as `12h`.
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

/// Reads and writes an optional duration in words.
mod readable_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    #[derive(Serialize, Deserialize)]
    struct Readable(#[serde(with = "super::readable")] Duration);

    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(Readable).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Readable>::deserialize(deserializer)?.map(|readable| readable.0))
    }
}
