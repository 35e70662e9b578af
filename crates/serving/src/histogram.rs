//! Histograms without locks.

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Upper bounds of the latency buckets, in seconds.
const SECONDS: [f64; 19] = [
    5e-6, 1e-5, 2e-5, 3e-5, 5e-5, 7.5e-5, 1e-4, 1.5e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2,
    2.5e-2, 5e-2, 0.1, 0.5, 2.5,
];
/// Upper bounds of the confidence buckets.
const CONFIDENCE: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// A histogram without a lock. An observation adds to one bucket, and to a sum in units of a fixed scale.
#[derive(Debug, Clone)]
pub(super) struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    /// The sum of the observations, in units of `1 / scale`.
    sum: AtomicU64,
    scale: f64,
}

impl Histogram {
    /// Makes one with these upper edges.
    pub(super) fn new(bounds: &'static [f64], scale: f64) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0), scale }))
    }

    /// Makes one of times in seconds.
    pub(super) fn seconds() -> Self {
        Self::new(&SECONDS, 1e9)
    }

    /// Makes one of probabilities.
    pub(super) fn confidence() -> Self {
        Self::new(&CONFIDENCE, 1e6)
    }

    /// Adds one observation, which is at least 0.
    pub(super) fn observe(&self, value: f64) {
        let buckets = &*self.0;
        let index = buckets.bounds.partition_point(|bound| *bound < value);
        buckets.counts[index].fetch_add(1, Ordering::Relaxed);
        buckets.sum.fetch_add((value * buckets.scale) as u64, Ordering::Relaxed);
    }

    /// Returns the upper edge of the bucket that holds the `q`-quantile; `None` with fewer than `least`
    /// observations, or if the quantile lies beyond the last edge.
    pub(super) fn quantile_bound(&self, q: f64, least: u64) -> Option<f64> {
        let counts: Vec<u64> =
            self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let n: u64 = counts.iter().sum();
        if n < least.max(1) {
            return None;
        }
        let rank = (q * n as f64).ceil() as u64;
        let mut seen = 0;
        for (count, bound) in counts.iter().zip(self.0.bounds) {
            seen += count;
            if seen >= rank {
                return Some(*bound);
            }
        }
        None
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            bounds.zip(self.0.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect();
        let n = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 / self.0.scale;
        encoder.encode_histogram::<[(&str, &str); 0]>(sum, n, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_the_upper_edge_of_its_bucket() {
        let histogram = Histogram::seconds();
        assert_eq!(histogram.quantile_bound(0.95, 1), None);
        for _ in 0..95 {
            histogram.observe(1.5e-5);
        }
        for _ in 0..5 {
            histogram.observe(0.3);
        }
        assert_eq!(histogram.quantile_bound(0.95, 100), Some(2e-5));
        assert_eq!(histogram.quantile_bound(0.96, 100), Some(0.5));
        assert_eq!(histogram.quantile_bound(0.95, 101), None);
        histogram.observe(2e-5);
        assert_eq!(histogram.0.counts[2].load(Ordering::Relaxed), 96, "edges are inclusive");
    }
}
