//! What the numbers say: failures compared between the arms, and the split itself.
//!
//! **Worse.** Each failure kind has one relative-risk e-process (see [`botops_stats::evidence`])
//! against "the challenger fails at most as often". A gating kind rolls back at once when the largest
//! log e-value so far reaches ln(K / alpha), K the number of gating kinds: a challenger no worse in any
//! kind is rolled back with a chance of at most alpha over the whole rollout, however often one looks.
//!
//! **Not much worse.** Promote evidence needs, of every gating kind, the e-process against "the
//! challenger fails at least `tolerated_risk` times as often" to stand at ln(1 / alpha). Alpha is not
//! divided: all kinds must agree, so for a challenger beyond the tolerated risk in any kind judged, the
//! chance is at most alpha (an intersection-union test; Berger 1982).
//!
//! **Too rare to compare.** A kind is not waited for when it *could not* have told (with every failure
//! moved to the primary, the evidence would still be short of ln(1 / alpha)) and *shows no harm* (its
//! evidence for worse stands below half of what rolls back). A kind without any failure is the plainest
//! case. The guarantee above is then for the other kinds; for this one there is the bound that makes it
//! rare (a handful of failures at a weight of one half) and its rollback side, which keeps running.
//! The step's least conversations are wanted in every case, and the reason of the decision names each
//! kind that was too rare. Between too rare and enough, the step waits until its deadline and pauses
//! as inconclusive: then a person decides.
//!
//! **The split.** An e-process of its own watches conversations by arm; at [`SRM_ALPHA`] the rollout
//! is invalid and pauses. When a person resumes it, the split and all failure evidence begin anew,
//! because what was gathered rests on a broken split; the largest values so far are kept.

use super::{
    Observation,
    policy::{FailureKind, GatePolicy, JudgeSpec},
};
use botops_stats::evidence::{SplitCounts, log_e_better, log_e_sample_ratio, log_e_worse};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Chance of calling a sound split broken, over a whole rollout: one in a thousand, because it stops everything.
pub const SRM_ALPHA: f64 = 0.001;

/// Strength of the prior around the configured split, in conversations.
pub const SRM_CONCENTRATION: f64 = 100.0;

/// Evidence on one failure kind.
///
/// - a gating kind rolls back at once when `log_e_rollback` reaches `log_threshold`: alpha is divided
///   over the gating kinds, so an equal challenger is rolled back with a chance of at most alpha
/// - promote evidence is given when `log_e_promote` of every gating kind stands at
///   `log_threshold_promote`: alpha is undivided, because all must agree
/// - a gating kind is too rare to compare, and not waited for, when it could not have told (with every
///   failure moved to the primary, `log_e_promote` would still be short) and shows no harm (its current
///   evidence for worse is below half of `log_threshold`); one that never failed is the plainest case
/// - a kind in between keeps the step waiting until its deadline, which pauses it as inconclusive
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which failure.
    pub kind: FailureKind,
    /// Whether it gates.
    pub policy: GatePolicy,
    /// Failed conversations: `[primary, canary]`.
    pub failures: [u64; 2],
    /// Failed share of each arm's conversations: `[primary, canary]`; 0 without conversations.
    /// Disagreements are a share of the mirrored conversations.
    pub rates: [f64; 2],
    /// Largest log e-value so far for "worse".
    pub log_e_rollback: f64,
    /// Latest log e-value for "risk below the tolerated one".
    pub log_e_promote: f64,
    /// What [`Self::log_e_rollback`] has to reach: ln(gating kinds / alpha).
    pub log_threshold: f64,
    /// What [`Self::log_e_promote`] has to reach: ln(1 / alpha).
    pub log_threshold_promote: f64,
}

/// Evidence and counts so far: whole numbers by weight, from which e-values are computed, and the
/// largest e-values, to nine decimals. It survives JSON bit for bit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgeState {
    /// Conversations: `[primary, canary]`.
    units: [u64; 2],
    /// Conversations mirrored in shadow.
    shadow_units: u64,
    /// Conversations by weight, since the split was last vouched for.
    split: SplitCounts,
    /// Failures, by kind.
    kinds: BTreeMap<FailureKind, KindState>,
    /// When the observer last looked.
    observed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct KindState {
    /// Failed conversations: `[primary, canary]`.
    failures: [u64; 2],
    /// Those that tell something, by weight.
    split: SplitCounts,
    /// The largest log e-value for "worse" so far; an e-process starts at 1, so at least 0.
    max_log_e_rollback: f64,
}

/// Why promote evidence is or is not there, for one gating kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Promise {
    /// The evidence is there.
    Shown(f64),
    /// Too few failures to tell, and no harm in sight.
    TooRare,
    /// Not yet.
    Missing(f64),
}

/// Rounds to nine decimals, at most a million: few enough digits that any JSON reader gives back the same bits.
pub(super) fn kept(value: f64) -> f64 {
    (value.clamp(-1e6, 1e6) * 1e9).round() / 1e9
}

impl JudgeState {
    /// Returns conversations by arm: `[primary, canary]`.
    pub(super) fn units(&self) -> [u64; 2] {
        self.units
    }

    /// Returns when the observer last looked.
    pub(super) fn observed_at(&self) -> Option<DateTime<Utc>> {
        self.observed_at
    }

    /// Adds what was seen while the challenger's share was `weight`.
    pub(super) fn absorb(&mut self, observation: &Observation, weight: f64, now: DateTime<Utc>) {
        // An observer whose clock runs ahead must not look fresh for longer than it is.
        self.observed_at = self.observed_at.max(observation.observed_at.map(|at| at.min(now)));
        let [primary, canary] = &mut self.units;
        *primary = primary.saturating_add(observation.primary_units);
        *canary = canary.saturating_add(observation.canary_units);
        self.shadow_units = self.shadow_units.saturating_add(observation.shadow_units);
        self.split.add(weight, observation.canary_units, observation.primary_units);
        let mut touched = Vec::new();
        for failure in &observation.failures {
            let state = self.kinds.entry(failure.kind).or_default();
            let [primary, canary] = &mut state.failures;
            *primary = primary.saturating_add(failure.primary);
            *canary = canary.saturating_add(failure.canary);
            state.split.add(failure.weight, failure.canary, failure.primary);
            touched.push(failure.kind);
        }
        touched.sort_unstable();
        touched.dedup();
        for kind in touched {
            let state = self.kinds.entry(kind).or_default();
            let log_e = kept(log_e_worse(&state.split, 1.0));
            state.max_log_e_rollback = state.max_log_e_rollback.max(log_e);
        }
    }

    /// Begins the split and the evidence anew, after a broken split was repaired.
    pub(super) fn renew(&mut self) {
        self.split = SplitCounts::default();
        for state in self.kinds.values_mut() {
            state.split = SplitCounts::default();
        }
    }

    /// Returns the gating kind that is worse on the challenger, if any: the one with most evidence.
    pub(super) fn worse(&self, spec: &JudgeSpec) -> Option<Evidence> {
        let threshold = spec.log_threshold_rollback();
        let log_e = |kind: FailureKind| self.kinds.get(&kind).map_or(0.0, |s| s.max_log_e_rollback);
        let kind = spec
            .gating()
            .filter(|&kind| log_e(kind) >= threshold)
            .max_by(|&a, &b| log_e(a).total_cmp(&log_e(b)))?;
        Some(self.evidence_on(kind, GatePolicy::Gate, spec))
    }

    /// Returns the log e-value of a broken split and what it has to reach, when it does.
    pub(super) fn broken_split(&self) -> Option<[f64; 2]> {
        let threshold = (1.0 / SRM_ALPHA).ln();
        let log_e = log_e_sample_ratio(&self.split, SRM_CONCENTRATION);
        (log_e >= threshold).then_some([log_e, threshold])
    }

    /// Returns conversations on the challenger since the split was last vouched for: seen, expected, of all.
    pub(super) fn split_numbers(&self) -> [u64; 3] {
        let [canary, primary] = self.split.totals();
        let expected: f64 =
            self.split.iter().map(|(weight, c, p)| weight * (c as f64 + p as f64)).sum();
        [canary, expected.round() as u64, canary.saturating_add(primary)]
    }

    /// Returns where each gating kind stands on its way to promote evidence.
    pub(super) fn promises(&self, spec: &JudgeSpec) -> Vec<(Evidence, Promise)> {
        let empty = KindState::default();
        spec.gating()
            .map(|kind| {
                let state = self.kinds.get(&kind).unwrap_or(&empty);
                let evidence = self.evidence_on(kind, GatePolicy::Gate, spec);
                let threshold = spec.log_threshold_promote();
                let best = log_e_better(&state.split.all_on_primary(), spec.tolerated_risk);
                let harm = log_e_worse(&state.split, 1.0);
                let promise = if evidence.log_e_promote >= threshold {
                    Promise::Shown(evidence.log_e_promote)
                } else if best < threshold && harm < spec.log_threshold_rollback() / 2.0 {
                    Promise::TooRare
                } else {
                    Promise::Missing(evidence.log_e_promote)
                };
                (evidence, promise)
            })
            .collect()
    }

    /// Returns the evidence on every kind of the plan, and any other seen.
    pub(super) fn evidence(&self, spec: &JudgeSpec) -> Vec<Evidence> {
        let mut kinds = spec.metrics.clone();
        for &kind in self.kinds.keys() {
            kinds.entry(kind).or_insert(GatePolicy::Observe);
        }
        kinds.into_iter().map(|(kind, policy)| self.evidence_on(kind, policy, spec)).collect()
    }

    fn evidence_on(&self, kind: FailureKind, policy: GatePolicy, spec: &JudgeSpec) -> Evidence {
        let empty = KindState::default();
        let state = self.kinds.get(&kind).unwrap_or(&empty);
        let rate = |failures: u64, units: u64| {
            if units == 0 { 0.0 } else { failures as f64 / units as f64 }
        };
        let [primary_units, canary_units] = match kind {
            FailureKind::Disagreement => [0, self.shadow_units],
            _ => self.units,
        };
        Evidence {
            kind,
            policy,
            failures: state.failures,
            rates: [rate(state.failures[0], primary_units), rate(state.failures[1], canary_units)],
            log_e_rollback: state.max_log_e_rollback,
            log_e_promote: kept(log_e_better(&state.split, spec.tolerated_risk)),
            log_threshold: spec.log_threshold_rollback(),
            log_threshold_promote: spec.log_threshold_promote(),
        }
    }
}
