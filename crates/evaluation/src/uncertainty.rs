//! Bootstrap intervals of the metrics that are no plain proportion.

use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    classification::{Labeled, scores},
    ranking::Ranking,
    reliability::{BINS, bin_of, negative_log_likelihood},
};

/// What the bootstrap needs to know of one in-scope record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    /// Its class and the one it was given.
    pub(super) labeled: Labeled,
    /// Probability of the class it was given.
    pub(super) confidence: f64,
    /// Probability of its class.
    pub(super) probability_of_truth: f64,
}

/// Intervals over the same draws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intervals {
    pub(super) macro_f1: [f64; 2],
    pub(super) macro_recall: [f64; 2],
    pub(super) weighted_f1: [f64; 2],
    pub(super) ece: [f64; 2],
    pub(super) log_loss: [f64; 2],
}

/// Records of one cell of the confusion matrix: `start..end` of the sorted records.
struct Cell {
    labeled: Labeled,
    start: usize,
    end: usize,
}

/// Counts by class of one draw.
#[derive(Clone, Copy, Default)]
struct Tally {
    support: u64,
    predicted: u64,
    true_positives: u64,
}

/// Resamples the records and recomputes every metric on each draw.
pub(super) fn intervals(
    n_classes: usize,
    records: &[Judged],
    resampling: &Resampling,
) -> Intervals {
    // Sorted by cell, so that counts by class are sums over a few hundred runs rather than three
    // scattered additions a record.
    let mut sorted = records.to_vec();
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
        .map(|record| {
            let correct = record.labeled.truth == record.labeled.predicted;
            f64::from(u8::from(correct)) - record.confidence
        })
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

/// Resamples either side by itself, so that no draw is without one of them.
pub(super) fn auroc(in_scope: &[f64], oos: &[f64], resampling: &Resampling) -> (f64, [f64; 2]) {
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
