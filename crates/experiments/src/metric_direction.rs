//! Metrics: their direction, and whether two values can be told apart.

use botops_evaluation::{Better, METRICS, Metric};

/// Metrics that are not in [`METRICS`], with their directions.
const MORE_METRICS: [(&str, Better); 1] = [("brier", Better::Lower)];

/// Returns whether a higher or a lower value of `metric` is better; `None` if that is not declared.
#[must_use]
pub fn direction(metric: &str) -> Option<Better> {
    let mut known = METRICS.iter().chain(&MORE_METRICS);
    known.find(|(name, _)| *name == metric).map(|(_, better)| *better)
}

/// Returns `higher` or `lower`.
pub(super) fn direction_name(better: Better) -> &'static str {
    match better {
        Better::Higher => "higher",
        Better::Lower => "lower",
    }
}

/// Returns whether the intervals of two metrics have a point in common.
pub(super) fn overlap(a: &Metric, b: &Metric) -> bool {
    a.ci95[0] <= b.ci95[1] && b.ci95[0] <= a.ci95[1]
}
