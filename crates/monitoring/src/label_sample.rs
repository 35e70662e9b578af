//! A bounded sample of the labelled records, by the hash of their conversations, for the bootstrap.

use crate::weights::Weights;
use botops_digest::Digest;
use botops_evaluation::Metric;
use botops_stats::bootstrap::{Resampling, percentile_intervals};
use std::collections::BTreeMap;

/// The most labelled records of the sample.
const MOST: usize = 20_000;

/// A labelled record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labelled {
    /// The true intent; `None` if it is out of scope.
    pub(crate) truth: Option<u32>,
    pub(crate) predicted: u32,
    pub(crate) stratum: u8,
    pub(crate) delay_ms: u64,
    pub(crate) day: i32,
    pub(crate) arm: u32,
    pub(crate) language: u32,
}

/// The labelled records of the conversations with the smallest hashes.
#[derive(Debug)]
pub(crate) struct LabelSample {
    /// By the hash of the conversation.
    clusters: BTreeMap<u64, Vec<Labelled>>,
    n: usize,
    /// Conversations from this hash on are left out.
    end: u64,
}

impl Default for LabelSample {
    fn default() -> Self {
        Self { clusters: BTreeMap::new(), n: 0, end: u64::MAX }
    }
}

/// Returns the hash of a name, by which samples are drawn: the first eight bytes of its SHA-256.
pub(crate) fn hash_of(name: &str) -> u64 {
    let digest = Digest::of(name.as_bytes());
    let first: [u8; 8] = std::array::from_fn(|i| digest.as_bytes()[i]);
    u64::from_be_bytes(first)
}

impl LabelSample {
    /// Adds a record of a conversation. The sample depends on the records, and not on their order.
    pub(crate) fn add(&mut self, conversation: &str, record: Labelled) {
        let hash = hash_of(conversation);
        if hash >= self.end {
            return;
        }
        self.clusters.entry(hash).or_default().push(record);
        self.n += 1;
        // The last conversation is left out, but for the only one.
        while self.n > MOST
            && self.clusters.len() > 1
            && let Some((hash, records)) = self.clusters.pop_last()
        {
            self.n -= records.len();
            self.end = hash;
        }
    }

    /// Returns the records of each conversation, in the order of the hashes.
    pub(crate) fn clusters(&self) -> Vec<Vec<Labelled>> {
        self.clusters
            .values()
            .map(|records| {
                let mut records = records.clone();
                records.sort_unstable();
                records
            })
            .collect()
    }
}

/// Returns the macro-F1 of the records that are `in_group`, in scope and out, with an interval from resampled conversations.
/// `None` without a record in scope.
pub(crate) fn macro_f1(
    clusters: &[Vec<Labelled>],
    weights: &Weights,
    is_in: &dyn Fn(&Labelled) -> bool,
    resampling: &Resampling,
) -> Option<Metric> {
    // Intents by number, closely packed.
    let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
    let mut cells: Vec<(usize, usize, usize, f64)> = Vec::new();
    let mut n_clusters = 0;
    for cluster in clusters {
        let mut has_any = false;
        for record in cluster.iter().filter(|it| is_in(it)) {
            let Some(truth) = record.truth else { continue };
            let next = numbers.len();
            let truth = *numbers.entry(truth).or_insert(next);
            let next = numbers.len();
            let predicted = *numbers.entry(record.predicted).or_insert(next);
            cells.push((n_clusters, truth, predicted, weights.weight(record.stratum)));
            has_any = true;
        }
        n_clusters += usize::from(has_any);
    }
    if cells.is_empty() {
        return None;
    }
    let f1 = |tallies: &mut Vec<[f64; 3]>, counts: &[u32]| {
        tallies.iter_mut().for_each(|tally| *tally = [0.0; 3]);
        for &(cluster, truth, predicted, weight) in &cells {
            let weight = weight * f64::from(counts[cluster]);
            tallies[truth][0] += weight;
            tallies[predicted][1] += weight;
            if truth == predicted {
                tallies[truth][2] += weight;
            }
        }
        let present = tallies.iter().filter(|tally| tally[0] + tally[1] > 0.0);
        let (sum, n) = present.fold((0.0, 0_u32), |(sum, n), [support, predicted, both]| {
            (sum + 2.0 * both / (support + predicted), n + 1)
        });
        [sum / f64::from(n)]
    };
    let mut tallies = vec![[0.0; 3]; numbers.len()];
    let [value] = f1(&mut tallies, &vec![1; n_clusters]);
    let [[lower, upper]] =
        percentile_intervals(&[n_clusters], resampling, || vec![[0.0; 3]; numbers.len()], f1);
    // Rare intents that a draw lacks make its score better or worse than that of the sample.
    Some(Metric { value, ci95: [lower.min(value), upper.max(value)], n: cells.len() as u64 })
}
