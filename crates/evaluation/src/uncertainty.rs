//! Bootstrap intervals of metrics that are not plain proportions.

use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    classification::{Labeled, scores},
    ranking::Ranking,
    reliability::{BINS, bin_of, negative_log_likelihood},
};

/// The values of one in-scope record that the bootstrap uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The true and the predicted class.
    pub(crate) labeled: Labeled,
    /// The probability of the predicted class.
    pub(crate) confidence: f64,
    /// The probability of the true class.
    pub(crate) probability_of_truth: f64,
}

impl Sample {
    /// Returns whether the prediction is right.
    #[inline]
    pub(crate) fn is_right(self) -> bool {
        self.labeled.truth == self.labeled.predicted
    }
}

/// 95 % intervals of several metrics, from the same draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intervals {
    pub(crate) macro_f1: [f64; 2],
    pub(crate) macro_recall: [f64; 2],
    pub(crate) weighted_f1: [f64; 2],
    pub(crate) ece: [f64; 2],
    pub(crate) log_loss: [f64; 2],
}

/// The records of one cell of the confusion matrix: `start..end` of the sorted records.
struct Cell {
    labeled: Labeled,
    start: usize,
    end: usize,
}

/// The counts of one class in one draw.
#[derive(Clone, Copy, Default)]
struct Tally {
    support: u64,
    predicted: u64,
    true_positives: u64,
}

/// Resamples the records and recomputes every metric on each draw.
pub(crate) fn intervals(
    n_classes: usize,
    samples: &[Sample],
    resampling: &Resampling,
) -> Intervals {
    // Sorted by cell, so that counts by class are sums over a few hundred runs instead of three scattered additions for
    // each record.
    let mut sorted = samples.to_vec();
    sorted.sort_by_key(|record| (record.labeled.truth, record.labeled.predicted));
    let mut cells: Vec<Cell> = Vec::new();
    for (at, record) in sorted.iter().enumerate() {
        match cells.last_mut().filter(|cell| cell.labeled == record.labeled) {
            Some(cell) => cell.end = at + 1,
            None => cells.push(Cell { labeled: record.labeled, start: at, end: at + 1 }),
        }
    }
    let bins: Vec<usize> = sorted.iter().map(|record| bin_of(record.confidence, BINS)).collect();
    let gaps: Vec<f64> = sorted
        .iter()
        .map(|record| f64::from(u8::from(record.is_right())) - record.confidence)
        .collect();
    let losses: Vec<f64> =
        sorted.iter().map(|record| negative_log_likelihood(record.probability_of_truth)).collect();

    let n = sorted.len();
    let [macro_f1, macro_recall, weighted_f1, ece, log_loss] = percentile_intervals(
        &[n],
        resampling,
        || vec![Tally::default(); n_classes],
        |tallies, counts| {
            tallies.fill(Tally::default());
            for Cell { labeled, start, end } in &cells {
                let count = u64::from(counts[*start..*end].iter().sum::<u32>());
                tallies[labeled.truth].support += count;
                tallies[labeled.predicted].predicted += count;
                if labeled.truth == labeled.predicted {
                    tallies[labeled.truth].true_positives += count;
                }
            }
            let (mut bin_gaps, mut loss) = ([0.0; BINS], 0.0);
            for (((&count, &bin), gap), one_loss) in
                counts.iter().zip(&bins).zip(&gaps).zip(&losses)
            {
                let count = f64::from(count);
                bin_gaps[bin] += count * gap;
                loss += count * one_loss;
            }
            let (mut f1, mut recall, mut weighted, mut present) = (0.0, 0.0, 0.0, 0_u64);
            for tally in tallies.iter().filter(|tally| tally.support + tally.predicted > 0) {
                let scores = scores(tally.true_positives, tally.support, tally.predicted);
                f1 += scores.f1;
                recall += scores.recall;
                weighted += scores.f1 * tally.support as f64;
                present += 1;
            }
            let (n, present) = (n as f64, present as f64);
            let ece = bin_gaps.iter().map(|gap| gap.abs()).sum::<f64>() / n;
            [f1 / present, recall / present, weighted / n, ece, loss / n]
        },
    );
    Intervals { macro_f1, macro_recall, weighted_f1, ece, log_loss }
}

/// Returns the AUROC with its interval. Each side is resampled by itself, so that every draw has both sides.
pub(crate) fn auroc(in_scope: &[f64], oos: &[f64], resampling: &Resampling) -> (f64, [f64; 2]) {
    let ranking = Ranking::of(in_scope, oos);
    let value = ranking.auroc(&vec![1; in_scope.len() + oos.len()]);
    let [interval] = percentile_intervals(
        &[in_scope.len(), oos.len()],
        resampling,
        || (),
        |(), counts| [ranking.auroc(counts)],
    );
    (value, interval)
}
