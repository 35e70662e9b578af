//! Absolute limits: conversations that began while the challenger had all of them, and their failures.
//!
//! At a weight of 100 % there is no champion to compare with, so the judge learns nothing. Each limit has one e-process
//! against "at most this share of conversations fails" (see [`botops_stats::evidence::log_e_above`]). A rollout rolls back
//! as soon as the largest log e-value so far of any limit reaches ln(K / alpha), where K is the number of limits. A
//! challenger within all of them is rolled back with a chance of at most alpha, no matter how often one looks. That comes
//! on top of the alpha of the judge, which compares the arms before.
//!
//! A limit that was measured on fewer conversations than the plan asks for is unmeasured: it is not exceeded, and the
//! rollout does not settle.

use crate::{
    failure::FailureKind,
    observation::{FeedbackCount, Observation},
    policy::RolloutPolicy,
    rounding::nine_decimals,
    verdict::VerdictSource,
};
use botops_stats::evidence::{log_e_above, log_e_below};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts by limit.
///
/// It holds whole numbers, from which e-values are computed, and the largest log e-values, to nine decimals. JSON keeps it
/// bit for bit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct LimitState(BTreeMap<FailureKind, LimitCount>);

/// Conversations measured against one limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
struct LimitCount {
    /// Conversations on which the kind was measured.
    units: u64,
    /// Failed conversations.
    failures: u64,
    /// The largest log e-value for "above the limit" so far; at least 0, because an e-process starts at 1.
    max_log_e_above: f64,
}

/// Evidence on one absolute limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LimitEvidence {
    /// The kind of failure.
    pub kind: FailureKind,
    /// The largest share of failed conversations, in percent.
    pub limit_percent: f64,
    /// Conversations on which the kind was measured while the challenger had all of them.
    pub units: u64,
    /// Failed conversations.
    pub failures: u64,
    /// Failed share, in [0, 1]; `None` if nothing was measured.
    pub rate: Option<f64>,
    /// Largest log e-value so far for "above the limit".
    pub log_e_above: f64,
    /// Latest log e-value for "below the limit", for information: failures seen late make it too large until then.
    pub log_e_below: f64,
    /// The threshold of [`Self::log_e_above`]: ln(limits / alpha).
    pub log_threshold: f64,
}

impl LimitEvidence {
    /// Returns whether the share of failures is shown to be above the limit.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.log_e_above >= self.log_threshold
    }
}

impl LimitState {
    /// Returns whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the failed conversations of `kind`.
    pub(crate) fn failures(&self, kind: FailureKind) -> u64 {
        self.0.get(&kind).map_or(0, |count| count.failures)
    }

    /// Adds an observation made while the challenger had the share `weight`; below 1 it adds nothing.
    pub(crate) fn add(&mut self, observation: &Observation, weight: f64, policy: &RolloutPolicy) {
        if weight < 1.0 {
            return;
        }
        // Of a limit on `wrong`, end users do not decide alone either.
        let by_source = !observation.feedback.is_empty() && policy.judge().end_user_share < 1.0;
        let trusted = || {
            let is_trusted =
                |f: &&FeedbackCount| f.source != VerdictSource::EndUser && f.weight >= 1.0;
            observation.feedback.iter().filter(is_trusted)
        };
        for (&kind, &percent) in policy.limits() {
            let units = match kind {
                FailureKind::Wrong if by_source => sum(trusted().map(|f| f.judged[1])),
                // Every conversation measures these kinds.
                FailureKind::Error | FailureKind::Fallback => observation.canary_units_at(weight),
                _ => sum(observation.measured.iter().filter(|m| m.kind == kind).map(|m| m.canary)),
            };
            // A failure of a conversation that began at a lower weight belongs to the judge.
            let failures = sum(observation
                .failures
                .iter()
                .filter(|failure| failure.kind == kind && failure.weight >= 1.0)
                .map(|failure| failure.canary));
            let failures = match kind {
                FailureKind::Wrong if by_source => sum(trusted().map(|f| f.wrong[1])),
                _ => failures,
            };
            if units == 0 && failures == 0 {
                continue;
            }
            let count = self.0.entry(kind).or_default();
            count.units = count.units.saturating_add(units);
            count.failures = count.failures.saturating_add(failures);
            let log_e = log_e_above(count.failures, count.units, percent / 100.0);
            count.max_log_e_above = count.max_log_e_above.max(nine_decimals(log_e));
        }
    }

    /// Returns the evidence on each limit of the plan.
    pub(crate) fn evidence(&self, policy: &RolloutPolicy) -> Vec<LimitEvidence> {
        let n_limits = policy.limits().len().max(1) as f64;
        let empty = LimitCount::default();
        let one = |(&kind, &limit_percent): (&FailureKind, &f64)| {
            let count = self.0.get(&kind).unwrap_or(&empty);
            let units = count.units.max(count.failures);
            LimitEvidence {
                kind,
                limit_percent,
                units,
                failures: count.failures,
                rate: (units > 0).then(|| count.failures as f64 / units as f64),
                log_e_above: count.max_log_e_above,
                log_e_below: nine_decimals(log_e_below(
                    count.failures,
                    units,
                    limit_percent / 100.0,
                )),
                log_threshold: (n_limits / policy.judge().alpha).ln(),
            }
        };
        policy.limits().iter().map(one).collect()
    }

    /// Returns the limits that were measured on fewer conversations than the plan asks for.
    pub(crate) fn unmeasured(&self, policy: &RolloutPolicy) -> Vec<LimitEvidence> {
        let min_units = policy.settle().map_or(1, |settle| settle.min_units);
        let mut limits = self.evidence(policy);
        limits.retain(|limit| limit.units < min_units);
        limits
    }
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
