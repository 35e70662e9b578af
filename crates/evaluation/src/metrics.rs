//! Metrics: their names, their directions, and numbers with 95 % intervals.

use botops_stats::intervals::{LEVEL, wilson};
use serde::{Deserialize, Serialize};

/// The direction in which a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher is better, as for accuracy.
    Higher,
    /// Lower is better, as for an error.
    Lower,
}

/// The names of [`crate::EvaluationReport::metrics`], and the direction in which each is better.
pub const METRICS: [(&str, Better); 21] = [
    ("accuracy", Better::Higher),
    ("macro_f1", Better::Higher),
    ("weighted_f1", Better::Higher),
    ("micro_f1", Better::Higher),
    ("ece", Better::Lower),
    ("log_loss", Better::Lower),
    ("fallback_rate", Better::Lower),
    ("oos_auroc", Better::Higher),
    ("oos_fpr95", Better::Lower),
    ("oos_declined", Better::Higher),
    ("oos_answered", Better::Lower),
    ("answered_share", Better::Higher),
    ("answered_accuracy", Better::Higher),
    ("aurc", Better::Lower),
    ("set_coverage", Better::Higher),
    ("set_size", Better::Lower),
    ("entity_precision", Better::Higher),
    ("entity_recall", Better::Higher),
    ("entity_f1", Better::Higher),
    ("entity_macro_f1", Better::Higher),
    ("entity_partial_f1", Better::Higher),
];

/// An estimate with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The estimate.
    pub value: f64,
    /// The 95 % interval: Wilson for proportions, percentile bootstrap (2,000 draws, seed 17) for the rest. It is
    /// extended to include the estimate where the bootstrap is biased, as for calibration error.
    pub ci95: [f64; 2],
    /// The number of samples.
    pub n: u64,
}

/// Returns the proportion `part / n` with its Wilson interval; 0 for `n` = 0.
pub(crate) fn proportion(part: u64, n: u64) -> Metric {
    let value = if n == 0 { 0.0 } else { part as f64 / n as f64 };
    Metric { value, ci95: wilson(part, n, LEVEL), n }
}

/// Returns an estimate with an interval that includes it.
pub(crate) fn estimate(value: f64, interval: [f64; 2], n: u64) -> Metric {
    Metric { value, ci95: include(value, interval), n }
}

/// Extends `interval` to include `value`. Resampling makes calibration error larger on average than it is in the sample,
/// so that all its percentiles may lie above the estimate.
pub(crate) fn include(value: f64, [lower, upper]: [f64; 2]) -> [f64; 2] {
    [lower.min(value), upper.max(value)]
}
