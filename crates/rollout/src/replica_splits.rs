//! The traffic split of each replica: one that routes wrongly hides among many that do not.
//!
//! Each replica has an e-process of its own, and alpha is divided by the replicas ever seen: a replica is broken at
//! ln(K / alpha), where K counts them. The first [`SEPARATE`] replicas have counts of their own; all later ones are
//! pooled and count as one. Replicas join one after the other, so the chance of pausing a sound rollout is at most
//! alpha (1 + ln K): the k-th replica is never held to less than ln(k / alpha).

use botops_stats::evidence::{SplitCounts, log_e_sample_ratio};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The replicas with counts of their own.
const SEPARATE: usize = 64;

/// The name of all pooled replicas together: none of the separate ones, whose ids have no space.
const POOLED: &str = "pooled replicas";

/// Units by weight, for each replica.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ReplicaSplits {
    /// By replica; the counts of a replica that was reset are empty, so that it is still counted as seen.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, [u64; 2]>>)]
    own: BTreeMap<String, SplitCounts>,
    /// The replicas after the first [`SEPARATE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, [u64; 2]>>)]
    pooled: Option<SplitCounts>,
}

/// A traffic split that is not as configured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BrokenSplit {
    /// The replica; `None` for all of them together, or for those that are pooled.
    pub(crate) replica: Option<String>,
    /// Conversations on the challenger.
    pub(crate) canary: u64,
    /// Conversations expected there.
    pub(crate) expected: u64,
    /// Conversations on both arms.
    pub(crate) all: u64,
    pub(crate) log_e: f64,
    pub(crate) threshold: f64,
}

/// Returns the evidence that `units` were not split as configured; `None` below the `threshold`.
pub(crate) fn broken(
    units: &SplitCounts,
    replica: Option<&str>,
    concentration: f64,
    threshold: f64,
) -> Option<BrokenSplit> {
    let log_e = log_e_sample_ratio(units, concentration);
    if log_e < threshold {
        return None;
    }
    let [canary, primary] = units.totals();
    let expected: f64 = units.iter().map(|(weight, c, p)| weight * (c as f64 + p as f64)).sum();
    Some(BrokenSplit {
        replica: replica.map(str::to_owned),
        canary,
        expected: expected.round() as u64,
        all: canary.saturating_add(primary),
        log_e,
        threshold,
    })
}

impl ReplicaSplits {
    /// Returns whether no replica has been seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Adds units that began at `replica` while the challenger's share was `weight`.
    pub(crate) fn add(&mut self, replica: &str, weight: f64, canary: u64, primary: u64) {
        let counts = if self.own.len() < SEPARATE || self.own.contains_key(replica) {
            self.own.entry(replica.to_owned()).or_default()
        } else {
            self.pooled.get_or_insert_default()
        };
        counts.add(weight, canary, primary);
    }

    /// Iterates over the replicas and their counts. Those that are pooled have the name [`POOLED`], which adds to the pool.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &SplitCounts)> {
        let own = self.own.iter().map(|(id, counts)| (id.as_str(), counts));
        own.chain(self.pooled.iter().map(|counts| (POOLED, counts)))
    }

    /// Clears the counts; the replicas stay counted as seen.
    pub(crate) fn reset(&mut self) {
        self.own
            .values_mut()
            .chain(&mut self.pooled)
            .for_each(|counts| *counts = SplitCounts::default());
    }

    /// Returns the replica whose split is the most broken, at `alpha` divided by the replicas ever seen; `None` if all are
    /// sound.
    pub(crate) fn most_broken(&self, alpha: f64, concentration: f64) -> Option<BrokenSplit> {
        let n_replicas = self.own.len() + usize::from(self.pooled.is_some());
        let threshold = (n_replicas as f64 / alpha).ln();
        let own = self.own.iter().map(|(id, counts)| (Some(id.as_str()), counts));
        own.chain(self.pooled.iter().map(|counts| (None, counts)))
            .filter_map(|(id, counts)| broken(counts, id, concentration, threshold))
            .max_by(|a, b| a.log_e.total_cmp(&b.log_e))
    }
}
