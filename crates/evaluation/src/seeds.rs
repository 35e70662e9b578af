//! The spread of metrics over trainings that differ only in their seed.

use crate::metrics::Metric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The metrics of trainings that differ only in their seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedSpread {
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// The spread of each metric.
    pub metrics: BTreeMap<String, Spread>,
}

/// The spread of a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Its values, in the order of the seeds.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n - 1); 0 for one.
    pub standard_deviation: f64,
    /// The smallest.
    pub lowest: f64,
    /// The largest.
    pub highest: f64,
}

/// Returns the spread of each metric over trainings with `seeds`. A metric that one training lacks is left out.
///
/// # Panics
/// When `metrics` does not have one map for each seed.
#[must_use]
pub fn seed_spread(seeds: &[u64], metrics: &[&BTreeMap<String, Metric>]) -> SeedSpread {
    assert_eq!(seeds.len(), metrics.len(), "every training has metrics");
    let names = metrics.first().into_iter().flat_map(|first| first.keys());
    let spread = |name: &String| {
        let values: Option<Vec<f64>> =
            metrics.iter().map(|metrics| metrics.get(name).map(|metric| metric.value)).collect();
        Some((name.clone(), spread(values?)))
    };
    SeedSpread { seeds: seeds.to_vec(), metrics: names.filter_map(spread).collect() }
}

fn spread(values: Vec<f64>) -> Spread {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Spread {
        mean,
        standard_deviation: if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 },
        lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
        highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_deviation_is_that_of_a_sample() {
        let of = |accuracy: f64| {
            let metric = Metric { value: accuracy, ci95: [0.0, 1.0], n: 10 };
            BTreeMap::from([("accuracy".to_owned(), metric)])
        };
        let all = [of(0.9), of(0.8), of(0.7)];
        let found = seed_spread(&[1, 2, 3], &all.iter().collect::<Vec<_>>());
        let accuracy = &found.metrics["accuracy"];
        assert!((accuracy.mean - 0.8).abs() < 1e-12);
        // statistics.stdev([0.9, 0.8, 0.7]) is 0.1
        assert!((accuracy.standard_deviation - 0.1).abs() < 1e-12);
        assert_eq!((accuracy.lowest, accuracy.highest), (0.7, 0.9));
        assert_eq!(accuracy.values, [0.9, 0.8, 0.7]);
    }
}
