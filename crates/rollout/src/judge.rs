//! The judge: failures compared between the arms, and the traffic split itself.
//!
//! **Worse.** Each failure kind has one relative-risk e-process (see [`botops_stats::evidence::log_e_harm`])
//! against "the challenger fails at most as often". A gating kind rolls back as soon as its largest
//! log e-value so far reaches ln(K / alpha), where K is the number of gating kinds. A challenger that is
//! no worse in any kind is rolled back with a chance of at most alpha over the whole rollout, no matter
//! how often the judge looks.
//!
//! **Not much worse.** Promote evidence requires, for every gating kind, that the e-process against "the
//! challenger fails at least `tolerated_risk` times as often" has reached ln(1 / alpha). Alpha is not
//! divided, because all kinds must agree: for a challenger beyond the tolerated risk in any kind that is
//! judged, the chance is at most alpha (an intersection-union test; Berger 1982).
//!
//! **Too rare to compare.** The step does not wait for a kind that could not have shown evidence (with
//! every failure moved to the primary, the evidence would still be short of ln(1 / alpha)) and shows no
//! harm (its evidence for worse is below half of the rollback threshold). A kind without any failure is
//! the simplest case. The guarantee above then covers the other kinds. A rare kind is bounded by the
//! rule that makes it rare (a handful of failures at a weight of one half), and its rollback side
//! continues to run. The step still requires its least number of conversations, and the reason of the
//! decision names each kind that was too rare. With more failures than that but too little evidence, the
//! step waits until its deadline and pauses as inconclusive; then a person decides.
//!
//! **Unmeasured.** Too few failures say something only about conversations on which a failure would have been
//! seen. `wrong` is measured by feedback, `slow` by a latency bound, and `handed_off` and `unresolved` by conversations
//! that began half an hour ago; every conversation measures `error` and `fallback`. A kind that was measured on fewer conversations of the challenger than the step requires, or on
//! none of the primary, is unmeasured: the step waits for it until its deadline and pauses, unless its role is
//! `optional`.
//!
//! **Verdicts.** `wrong` is what people say. Verdicts of end users stop a rollout, and never decide it alone: see
//! `feedback_evidence.rs`.
//!
//! **The split.** A separate e-process watches conversations by arm, over all traffic and at each replica
//! (`replica_splits.rs`). At [`SRM_ALPHA`] the rollout is
//! invalid and pauses. When a person resumes it, the split and all failure evidence start over, because
//! the earlier counts come from a broken split. The largest values so far are kept.

use crate::{
    failure::{FailureKind, GatePolicy},
    feedback_evidence::{FeedbackState, SourceEvidence},
    observation::Observation,
    policy::JudgeSpec,
    replica_splits::{BrokenSplit, ReplicaSplits, broken},
    rounding::nine_decimals,
};
use botops_stats::evidence::{SplitCounts, log_e_better, log_e_harm, log_e_worse};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The chance of pausing a sound split as broken over a whole rollout: 1 in 1,000, because a pause stops everything.
const SRM_ALPHA: f64 = 0.001;

/// Strength of the prior around the configured split, in conversations.
const SRM_CONCENTRATION: f64 = 100.0;

/// Evidence on one failure kind.
///
/// - a gating kind rolls back as soon as `log_e_rollback` reaches `log_threshold`; alpha is divided over
///   the gating kinds, so an equal challenger is rolled back with a chance of at most alpha
/// - promote evidence is given when `log_e_promote` of every gating kind has reached
///   `log_threshold_promote`; alpha is not divided, because all kinds must agree
/// - a gating kind is too rare to compare, and the step does not wait for it, when it could not have
///   shown evidence (with every failure moved to the primary, `log_e_promote` would still be short) and
///   shows no harm (its current evidence for worse is below half of `log_threshold`)
/// - a kind that was measured on too few conversations is unmeasured, and keeps the step waiting unless its
///   role is `optional`
/// - any other kind keeps the step waiting until its deadline, when the rollout pauses as inconclusive
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    /// The kind of failure.
    pub kind: FailureKind,
    /// The role of the kind.
    pub policy: GatePolicy,
    /// Failed conversations: `[primary, canary]`.
    pub failures: [u64; 2],
    /// Conversations on which the kind was measured: `[primary, canary]`; `None` in what older versions wrote.
    ///
    /// `wrong` is measured by feedback, `slow` by a latency bound, `disagreement` by mirroring.
    #[serde(default)]
    pub measured: Option<[u64; 2]>,
    /// Failed share of the measured conversations, in [0, 1]: `[primary, canary]`; `None` if there are none.
    pub rates: [Option<f64>; 2],
    /// Largest log e-value so far for "worse".
    pub log_e_rollback: f64,
    /// Latest log e-value for "risk below the tolerated one".
    pub log_e_promote: f64,
    /// The threshold of [`Self::log_e_rollback`]: ln(gating kinds / alpha).
    pub log_threshold: f64,
    /// The threshold of [`Self::log_e_promote`]: ln(1 / alpha).
    pub log_threshold_promote: f64,
    /// The verdicts behind `wrong`, by source; empty for other kinds, and in what older versions wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceEvidence>,
}

/// Counts and evidence so far.
///
/// It holds whole numbers by weight, from which e-values are computed, and the largest log e-values, to
/// nine decimals. JSON keeps it bit for bit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JudgeState {
    /// Conversations: `[primary, canary]`.
    pub(crate) units: [u64; 2],
    /// Conversations mirrored in the shadow stage.
    pub(crate) shadow_units: u64,
    /// Conversations by weight, since the rollout began or a broken split was repaired.
    #[schema(value_type = BTreeMap<String, [u64; 2]>)]
    pub(crate) split: SplitCounts,
    /// The same for each replica, if there are several.
    #[serde(default, skip_serializing_if = "ReplicaSplits::is_empty")]
    pub(crate) replicas: ReplicaSplits,
    /// Failures, by kind.
    pub(crate) kinds: BTreeMap<FailureKind, KindState>,
    /// The time of the observer's latest look.
    pub(crate) observed_at: Option<DateTime<Utc>>,
    /// Verdicts by source; `None` before the first one of a known source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) feedback: Option<FeedbackState>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct KindState {
    /// Failed conversations: `[primary, canary]`.
    pub(crate) failures: [u64; 2],
    /// Conversations on which the kind was measured, if not on every one. `None` in what older versions wrote, which
    /// counted failures of measured conversations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) measured: Option<Measured>,
    /// The failures that the e-values are computed from, by weight.
    #[schema(value_type = BTreeMap<String, [u64; 2]>)]
    pub(crate) split: SplitCounts,
    /// The largest log e-value for "worse" so far; at least 0, because an e-process starts at 1.
    max_log_e_rollback: f64,
}

/// Conversations on which a kind was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Measured {
    /// All of them: `[primary, canary]`.
    pub(crate) units: [u64; 2],
    /// Those since the evidence was last reset: `[primary, canary]`.
    since_reset: [u64; 2],
}

/// The state of promote evidence for one gating kind; a number is the log e-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PromoteEvidence {
    /// The log e-value has reached its threshold.
    Sufficient(f64),
    /// Too few failures to compare, and no sign of harm.
    TooRare,
    /// The log e-value is below its threshold.
    Missing(f64),
    /// Measured on too few conversations, `[primary, canary]`, to say anything.
    Unmeasured([u64; 2]),
    /// Given by end users alone: reviewers judged these conversations, `[primary, canary]`, and have to judge that many on
    /// the challenger.
    Unsupported([u64; 2], u64),
}

impl PromoteEvidence {
    /// Returns whether a step that requires promote evidence waits for a kind of this role.
    pub(crate) fn is_waited_for(self, policy: GatePolicy) -> bool {
        match self {
            Self::Sufficient(_) | Self::TooRare => false,
            Self::Missing(_) => true,
            Self::Unmeasured(_) | Self::Unsupported(..) => policy != GatePolicy::Optional,
        }
    }
}

impl Evidence {
    /// Returns the conversations on which the kind was measured, `[primary, canary]`, of the `units` in each arm.
    #[must_use]
    pub fn measured_of(&self, units: [u64; 2]) -> [u64; 2] {
        self.measured.unwrap_or(units)
    }

    /// Returns whether the kind was measured in an arm. If not, its log e-values are 0 and say nothing.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.measured.is_none_or(|arms| arms != [0, 0])
    }
}

impl KindState {
    /// Returns the state of `kind` before its first measurement.
    fn of(kind: FailureKind) -> Self {
        Self { measured: kind.is_measured_in_part().then(Measured::default), ..Self::default() }
    }
}

impl JudgeState {
    /// Returns conversations by arm: `[primary, canary]`.
    pub(crate) fn units(&self) -> [u64; 2] {
        self.units
    }

    /// Returns the time of the observer's latest look.
    pub(crate) fn observed_at(&self) -> Option<DateTime<Utc>> {
        self.observed_at
    }

    /// Adds an observation made while the challenger's share was `weight`; units counted by weight keep their own.
    pub(crate) fn add(&mut self, observation: &Observation, weight: f64, now: DateTime<Utc>) {
        // Limited to `now`: with a clock that runs ahead, stale observations would look fresh.
        self.observed_at = self.observed_at.max(observation.observed_at.map(|at| at.min(now)));
        if !observation.feedback.is_empty() && self.feedback.is_none() {
            self.feedback = Some(self.unnamed_feedback());
        }
        if let Some(feedback) = &mut self.feedback {
            feedback.add(observation, now);
        }
        let [primary, canary] = &mut self.units;
        *primary = primary.saturating_add(observation.primary_units);
        *canary = canary.saturating_add(observation.canary_units);
        self.shadow_units = self.shadow_units.saturating_add(observation.shadow_units);
        if observation.units.is_empty() {
            self.split.add(weight, observation.canary_units, observation.primary_units);
        }
        for count in &observation.units {
            self.split.add(count.weight, count.canary, count.primary);
            if let Some(replica) = &count.replica {
                self.replicas.add(replica, count.weight, count.canary, count.primary);
            }
        }
        for measured in &observation.measured {
            let state =
                self.kinds.entry(measured.kind).or_insert_with(|| KindState::of(measured.kind));
            let Some(Measured { units, since_reset }) = &mut state.measured else { continue };
            for [primary, canary] in [units, since_reset] {
                *primary = primary.saturating_add(measured.primary);
                *canary = canary.saturating_add(measured.canary);
            }
        }
        let mut changed = Vec::new();
        for failure in &observation.failures {
            let state =
                self.kinds.entry(failure.kind).or_insert_with(|| KindState::of(failure.kind));
            let [primary, canary] = &mut state.failures;
            *primary = primary.saturating_add(failure.primary);
            *canary = canary.saturating_add(failure.canary);
            state.split.add(failure.weight, failure.canary, failure.primary);
            changed.push(failure.kind);
        }
        if observation.feedback.iter().any(|count| count.wrong != [0, 0]) {
            // A source may find wrong what another one has counted.
            changed.push(FailureKind::Wrong);
        }
        changed.sort_unstable();
        changed.dedup();
        for kind in changed {
            let Some(state) = self.kinds.get_mut(&kind) else { continue };
            let log_e = log_e_harm(&state.split);
            let log_e = nine_decimals(match (kind, &self.feedback) {
                (FailureKind::Wrong, Some(feedback)) => feedback.log_e_worse(log_e),
                _ => log_e,
            });
            state.max_log_e_rollback = state.max_log_e_rollback.max(log_e);
        }
    }

    /// Returns the verdicts so far as those of unknown source.
    pub(crate) fn unnamed_feedback(&self) -> FeedbackState {
        let empty = KindState::default();
        let wrong = self.kinds.get(&FailureKind::Wrong).unwrap_or(&empty);
        let judged = self.comparable(FailureKind::Wrong);
        FeedbackState::after(judged, wrong.failures, &wrong.split, wrong.max_log_e_rollback)
    }

    /// Notes that the observer looked at `at`, and saw nothing.
    pub(crate) fn looked_at(&mut self, at: Option<DateTime<Utc>>) {
        self.observed_at = self.observed_at.max(at);
    }

    /// Forgets when the observer looked, because the clock jumped.
    pub(crate) fn forget_time(&mut self) {
        self.observed_at = None;
        if let Some(feedback) = &mut self.feedback {
            feedback.forget_time();
        }
    }

    /// Clears the split counts and the evidence, after a broken split was repaired.
    pub(crate) fn reset_evidence(&mut self) {
        self.split = SplitCounts::default();
        self.replicas.reset();
        if let Some(feedback) = &mut self.feedback {
            feedback.restart();
        }
        for state in self.kinds.values_mut() {
            state.split = SplitCounts::default();
            if let Some(measured) = &mut state.measured {
                measured.since_reset = [0, 0];
            }
        }
    }

    /// Drops the verdicts of end users, after they stopped the rollout: those of reviewers stay.
    pub(crate) fn reset_end_users(&mut self) {
        let Some(feedback) = &mut self.feedback else { return };
        feedback.forget_end_users();
        if let Some(state) = self.kinds.get_mut(&FailureKind::Wrong) {
            state.split = feedback.trusted_wrong();
            state.max_log_e_rollback = feedback.max_log_e_trusted();
            if let Some(measured) = &mut state.measured {
                measured.since_reset = feedback.trusted_judged();
            }
        }
    }

    /// Returns whether `kind` has the evidence to roll back, whoever it is from.
    fn is_worse(&self, kind: FailureKind, spec: &JudgeSpec) -> bool {
        let log_e = self.kinds.get(&kind).map_or(0.0, |state| state.max_log_e_rollback);
        log_e >= spec.log_threshold_rollback()
    }

    /// Returns the evidence that would roll back and is from end users alone, if there is any.
    pub(crate) fn worse_by_end_users(&self, spec: &JudgeSpec) -> Option<Evidence> {
        let feedback = self.feedback.as_ref()?;
        let kind = FailureKind::Wrong;
        let is_alone = self.is_worse(kind, spec) && !feedback.may_roll_back(spec);
        is_alone.then(|| self.evidence_on(kind, spec.role(kind), spec))
    }

    /// Returns the gating kind with the most evidence among those that are worse on the challenger, if any.
    pub(crate) fn worse(&self, spec: &JudgeSpec) -> Option<Evidence> {
        let log_e = |kind: FailureKind| self.kinds.get(&kind).map_or(0.0, |s| s.max_log_e_rollback);
        let may = |kind: FailureKind| match (kind, &self.feedback) {
            (FailureKind::Wrong, Some(feedback)) => feedback.may_roll_back(spec),
            _ => true,
        };
        let kind = spec
            .gating()
            .filter(|&kind| self.is_worse(kind, spec) && may(kind))
            .max_by(|&a, &b| log_e(a).total_cmp(&log_e(b)))?;
        Some(self.evidence_on(kind, spec.role(kind), spec))
    }

    /// Returns the conversations on which `kind` was measured: `[primary, canary]`.
    fn measured(&self, kind: FailureKind) -> [u64; 2] {
        let state = self.kinds.get(&kind);
        let units = match (kind, state) {
            (FailureKind::Disagreement, _) => [0, self.shadow_units],
            (FailureKind::Error | FailureKind::Fallback, _) => self.units,
            (_, None) => [0, 0],
            (_, Some(state)) => {
                state.measured.as_ref().map_or(self.units, |measured| measured.units)
            }
        };
        // A conversation that began between a decision and its routing is no unit, but its failures are counted.
        let failures = state.map_or([0, 0], |state| state.failures);
        [units[0].max(failures[0]), units[1].max(failures[1])]
    }

    /// Returns the conversations that measured `kind` since the evidence was last reset: `[primary, canary]`.
    fn comparable(&self, kind: FailureKind) -> [u64; 2] {
        let counted = self.kinds.get(&kind).map(|state| state.measured.as_ref());
        match (kind, counted) {
            (kind, Some(Some(measured))) if kind.is_measured_in_part() => measured.since_reset,
            (kind, None) if kind.is_measured_in_part() => [0, 0],
            // Every conversation measures these kinds. At a weight of 100 % there is no primary to compare with.
            _ => {
                let [canary, primary] = self.split.totals();
                [primary, if canary == 0 { 0 } else { self.units[1] }]
            }
        }
    }

    /// Returns the broken split: that of all traffic, else that of the replica with the most evidence; `None` if all are
    /// as configured.
    pub(crate) fn broken_split(&self) -> Option<BrokenSplit> {
        broken(&self.split, None, SRM_CONCENTRATION, (1.0 / SRM_ALPHA).ln())
            .or_else(|| self.replicas.most_broken(SRM_ALPHA, SRM_CONCENTRATION))
    }

    /// Returns the state of promote evidence for each gating kind in a step that requires `min_units` conversations.
    pub(crate) fn promote_evidence(
        &self,
        spec: &JudgeSpec,
        min_units: u64,
    ) -> Vec<(Evidence, PromoteEvidence)> {
        let empty = KindState::default();
        spec.gating()
            .map(|kind| {
                let state = self.kinds.get(&kind).unwrap_or(&empty);
                let evidence = self.evidence_on(kind, spec.role(kind), spec);
                let comparable = self.comparable(kind);
                let threshold = spec.log_threshold_promote();
                let best = log_e_better(&state.split.all_on_primary(), spec.tolerated_risk);
                let harm = log_e_worse(&state.split, 1.0);
                let status = if evidence.log_e_promote >= threshold {
                    PromoteEvidence::Sufficient(evidence.log_e_promote)
                } else if comparable[0] == 0 || comparable[1] < min_units {
                    PromoteEvidence::Unmeasured(comparable)
                } else if best < threshold && harm < spec.log_threshold_rollback() / 2.0 {
                    PromoteEvidence::TooRare
                } else {
                    PromoteEvidence::Missing(evidence.log_e_promote)
                };
                let support = self.feedback.as_ref().map(|it| it.support(spec, min_units));
                let is_given =
                    matches!(status, PromoteEvidence::Sufficient(_) | PromoteEvidence::TooRare);
                let status = match support {
                    Some(Err((judged, needed))) if kind == FailureKind::Wrong && is_given => {
                        PromoteEvidence::Unsupported(judged, needed)
                    }
                    _ => status,
                };
                (evidence, status)
            })
            .collect()
    }

    /// Returns the evidence on every kind of the plan, and on any other kind observed.
    pub(crate) fn evidence(&self, spec: &JudgeSpec) -> Vec<Evidence> {
        let mut kinds = spec.metrics.clone();
        for &kind in self.kinds.keys() {
            kinds.entry(kind).or_insert(GatePolicy::Observe);
        }
        kinds.into_iter().map(|(kind, policy)| self.evidence_on(kind, policy, spec)).collect()
    }

    fn evidence_on(&self, kind: FailureKind, policy: GatePolicy, spec: &JudgeSpec) -> Evidence {
        let empty = KindState::default();
        let state = self.kinds.get(&kind).unwrap_or(&empty);
        let measured = self.measured(kind);
        let rate = |arm: usize| {
            (measured[arm] > 0).then(|| state.failures[arm] as f64 / measured[arm] as f64)
        };
        Evidence {
            kind,
            policy,
            failures: state.failures,
            measured: Some(measured),
            rates: [rate(0), rate(1)],
            log_e_rollback: state.max_log_e_rollback,
            log_e_promote: nine_decimals(log_e_better(&state.split, spec.tolerated_risk)),
            log_threshold: spec.log_threshold_rollback(),
            log_threshold_promote: spec.log_threshold_promote(),
            sources: match (kind, &self.feedback) {
                (FailureKind::Wrong, Some(feedback)) => feedback.evidence(),
                _ => Vec::new(),
            },
        }
    }
}
