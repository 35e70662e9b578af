//! The pairing of two evaluations, record by record, from their reports.
//!
//! A report names every misclassified record with its truth and its prediction, and counts the records
//! of each intent. So two reports on the same data give the truth and both predictions of each record
//! that either model misclassified, and the number of the other records by intent. No statistic here
//! needs more.

use botops_evaluation::{EvaluationReport, Misclassified};
use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    classification::{ConfusionMatrix, Labeled, scores},
    paired::mcnemar_exact,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Two evaluations of the same records: `other` compared with `base`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pairing {
    /// The number of in-scope records.
    pub n: u64,
    /// Records that are right in `base` and wrong in `other`.
    pub newly_wrong: u64,
    /// Records that are wrong in `base` and right in `other`.
    pub newly_right: u64,
    /// The exact two-sided McNemar p-value, in (0, 1].
    pub mcnemar_p: f64,
    /// The differences by metric.
    pub differences: BTreeMap<String, PairedDifference>,
}

/// The difference of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedDifference {
    /// `other` minus `base`.
    pub value: f64,
    /// The 95 % interval: percentile bootstrap over records (2,000 draws, seed 17), with the same draw for both.
    pub ci95: [f64; 2],
}

/// The records with the same truth and the same two predictions.
struct Cell {
    base: Labeled,
    other: Labeled,
    n: usize,
}

/// Pairs two evaluations record by record.
///
/// # Errors
/// The reason why they cannot be paired, as a clause.
pub fn pair(base: &EvaluationReport, other: &EvaluationReport) -> Result<Pairing, String> {
    let (n_classes, cells) = cells(base, other)?;
    let n: usize = cells.iter().map(|cell| cell.n).sum();
    let count = |matches: fn(&Cell) -> bool| -> u64 {
        cells.iter().filter(|cell| matches(cell)).map(|cell| cell.n as u64).sum()
    };
    let newly_wrong = count(|cell| is_right(cell.base) && !is_right(cell.other));
    let newly_right = count(|cell| !is_right(cell.base) && is_right(cell.other));
    let ends: Vec<usize> = cells
        .iter()
        .scan(0, |end, cell| {
            *end += cell.n;
            Some(*end)
        })
        .collect();
    let intervals: [[f64; 2]; METRICS.len()] = percentile_intervals(
        &[n],
        &Resampling::default(),
        || (vec![0_u64; cells.len()], vec![Tally::default(); n_classes]),
        |(weights, tallies), counts| {
            let mut start = 0;
            for (weight, &end) in weights.iter_mut().zip(&ends) {
                *weight = counts[start..end].iter().map(|&count| u64::from(count)).sum();
                start = end;
            }
            let base = averages(cells.iter().map(|cell| cell.base).zip(weights.iter()), tallies);
            let other = averages(cells.iter().map(|cell| cell.other).zip(weights.iter()), tallies);
            std::array::from_fn(|metric| other[metric] - base[metric])
        },
    );
    let values = |of: fn(&Cell) -> Labeled| {
        let samples = cells.iter().flat_map(|cell| std::iter::repeat_n(of(cell), cell.n));
        let matrix = ConfusionMatrix::of(n_classes, samples);
        [matrix.accuracy(), matrix.macro_average().f1, matrix.weighted_average().f1]
    };
    let (base, other) = (values(|cell| cell.base), values(|cell| cell.other));
    let differences = METRICS.iter().enumerate().map(|(i, name)| {
        let difference = PairedDifference { value: other[i] - base[i], ci95: intervals[i] };
        ((*name).to_owned(), difference)
    });
    Ok(Pairing {
        n: n as u64,
        newly_wrong,
        newly_right,
        mcnemar_p: mcnemar_exact(newly_wrong, newly_right),
        differences: differences.collect(),
    })
}

/// The metrics that depend on truth and prediction alone.
const METRICS: [&str; 3] = ["accuracy", "macro_f1", "weighted_f1"];

/// Returns the number of classes, and the table of truth and both predictions.
fn cells(base: &EvaluationReport, other: &EvaluationReport) -> Result<(usize, Vec<Cell>), String> {
    if base.data_digest != other.data_digest {
        return Err("they were evaluated on different data".to_owned());
    }
    let names: BTreeSet<&str> =
        base.intents.iter().chain(&other.intents).map(String::as_str).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let index = |name: &str| names.binary_search(&name).ok();
    let support = |report: &EvaluationReport, name: &str| {
        report.per_class.get(name).map_or(0, |class| class.support)
    };
    let same_records =
        base.n == other.n && names.iter().all(|name| support(base, name) == support(other, name));
    if !same_records {
        return Err(
            "they read the data differently: the number of records differs for some intent (was another intent column used?)"
                .to_owned(),
        );
    }
    let incomplete = || "an evaluation does not list all misclassified records".to_owned();
    fn in_scope(report: &EvaluationReport) -> impl Iterator<Item = &Misclassified> {
        report.errors.iter().filter(|error| !error.is_out_of_scope())
    }
    let wrong = |report: &'_ EvaluationReport| -> Result<BTreeMap<u64, Labeled>, String> {
        let labeled = |error: &Misclassified| {
            let truth = index(&error.truth)?;
            Some((error.record, Labeled { truth, predicted: index(&error.predicted)? }))
        };
        let found: BTreeMap<u64, Labeled> =
            in_scope(report).map(labeled).collect::<Option<_>>().ok_or_else(incomplete)?;
        let right: u64 = (0..report.confusion.len())
            .filter_map(|class| report.confusion.get(class)?.get(class))
            .sum();
        if found.len() as u64 + right == report.n { Ok(found) } else { Err(incomplete()) }
    };
    let (in_base, in_other) = (wrong(base)?, wrong(other)?);
    let mut left: Vec<u64> = names.iter().map(|name| support(base, name)).collect();
    let mut counted: BTreeMap<(usize, usize, usize), usize> = BTreeMap::new();
    let records: BTreeSet<&u64> = in_base.keys().chain(in_other.keys()).collect();
    for record in records {
        let (first, second) = (in_base.get(record), in_other.get(record));
        let truth = first.or(second).map(|labeled| labeled.truth).ok_or_else(incomplete)?;
        if first.zip(second).is_some_and(|(first, second)| first.truth != second.truth) {
            return Err(format!("record {record} has a different intent in each"));
        }
        let predicted =
            |labeled: Option<&Labeled>| labeled.map_or(truth, |labeled| labeled.predicted);
        left[truth] = left[truth].checked_sub(1).ok_or_else(incomplete)?;
        *counted.entry((truth, predicted(first), predicted(second))).or_default() += 1;
    }
    for (truth, &n) in left.iter().enumerate().filter(|(_, n)| **n > 0) {
        counted.insert((truth, truth, truth), n as usize);
    }
    let cells = counted.into_iter().map(|((truth, base, other), n)| Cell {
        base: Labeled { truth, predicted: base },
        other: Labeled { truth, predicted: other },
        n,
    });
    Ok((names.len(), cells.collect()))
}

/// Returns whether the prediction is the truth.
fn is_right(labeled: Labeled) -> bool {
    labeled.truth == labeled.predicted
}

/// The counts of one class in one draw.
#[derive(Clone, Copy, Default)]
struct Tally {
    support: u64,
    predicted: u64,
    true_positives: u64,
}

/// Returns accuracy, macro F1 and weighted F1 of weighted samples.
fn averages<'a>(
    samples: impl Iterator<Item = (Labeled, &'a u64)>,
    tallies: &mut [Tally],
) -> [f64; METRICS.len()] {
    tallies.fill(Tally::default());
    let mut n = 0;
    for (labeled, &weight) in samples {
        n += weight;
        tallies[labeled.truth].support += weight;
        tallies[labeled.predicted].predicted += weight;
        if is_right(labeled) {
            tallies[labeled.truth].true_positives += weight;
        }
    }
    let (mut right, mut f1, mut weighted, mut present) = (0, 0.0, 0.0, 0_u64);
    for tally in tallies.iter().filter(|tally| tally.support + tally.predicted > 0) {
        let scores = scores(tally.true_positives, tally.support, tally.predicted);
        right += tally.true_positives;
        f1 += scores.f1;
        weighted += scores.f1 * tally.support as f64;
        present += 1;
    }
    let n = n as f64;
    [right as f64 / n, f1 / present as f64, weighted / n]
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_datasets::Record;
    use botops_digest::Digest;
    use botops_evaluation::{Outcome, Subject, measure};
    use botops_models::Prediction;

    const INTENTS: [&str; 3] = ["a", "b", "c"];

    /// Returns the evaluation of records with the intents `truths` and the predictions `predicted`, both as indices.
    fn report(truths: &[usize], predicted: &[usize]) -> EvaluationReport {
        let records: Vec<Record> = truths
            .iter()
            .enumerate()
            .map(|(i, truth)| Record {
                text: format!("text {i}"),
                intent: Some(INTENTS[*truth].to_owned()),
                lang: None,
                entities: Vec::new(),
                record: i as u64 + 1,
                line: i as u64 + 2,
                file: None,
            })
            .collect();
        let outcomes: Vec<Outcome<'_>> = records
            .iter()
            .zip(truths.iter().zip(predicted))
            .map(|(record, (truth, predicted))| Outcome {
                record,
                truth: Some(*truth),
                prediction: Prediction {
                    intent: *predicted,
                    confidence: 0.9,
                    logit: 1.0,
                    score: 0.9,
                    fallback: false,
                },
                probability_of_truth: 0.5,
                language: None,
            })
            .collect();
        let subject = Subject {
            model: Digest::of(b"model"),
            intents: INTENTS.map(str::to_owned).to_vec(),
            n_known: 3,
            data: "test.csv".to_owned(),
            data_digest: Digest::of(b"test"),
        };
        measure(&subject, &outcomes).unwrap()
    }

    fn truths() -> Vec<usize> {
        [[0; 10], [1; 10], [2; 10]].concat()
    }

    /// Returns `truths()` with `class` predicted for the records at `at`.
    fn except(at: &[usize], class: usize) -> Vec<usize> {
        let mut predicted = truths();
        for &i in at {
            predicted[i] = class;
        }
        predicted
    }

    #[test]
    fn changes_and_differences_are_those_of_the_records() {
        let truths = truths();
        let (base, other) = (except(&[0, 1, 2, 3, 10], 2), except(&[0, 11, 12], 2));
        let found = pair(&report(&truths, &base), &report(&truths, &other)).unwrap();
        // Record 0 is wrong in both; 1, 2, 3 and 10 became right; 11 and 12 became wrong.
        assert_eq!((found.n, found.newly_wrong, found.newly_right), (30, 2, 4));
        // By hand: 2 P(X <= 2), X ~ Binomial(6, 1/2) = 2 * 22/64.
        assert!((found.mcnemar_p - 44.0 / 64.0).abs() < 1e-12);
        let accuracy = found.differences["accuracy"];
        assert!((accuracy.value - 2.0 / 30.0).abs() < 1e-12);
        assert!(accuracy.ci95[0] < accuracy.value && accuracy.value < accuracy.ci95[1]);
        // sklearn 1.9: f1_score(truths, other, average="macro") - f1_score(truths, base, average="macro"), by hand:
        // base: a 2*6/(10+6), b 2*9/(10+9), c 2*10/(10+15); other: a 18/19, b 16/18, c 20/23.
        let base = (12.0 / 16.0 + 18.0 / 19.0 + 20.0 / 25.0) / 3.0;
        let other = (18.0 / 19.0 + 16.0 / 18.0 + 20.0 / 23.0) / 3.0;
        assert!((found.differences["macro_f1"].value - (other - base)).abs() < 1e-12);
    }

    #[test]
    fn a_model_compared_with_itself_has_no_difference() {
        let report = report(&truths(), &except(&[3, 14], 0));
        let found = pair(&report, &report).unwrap();
        assert_eq!((found.newly_wrong, found.newly_right, found.mcnemar_p), (0, 0, 1.0));
        for difference in found.differences.values() {
            assert_eq!(*difference, PairedDifference { value: 0.0, ci95: [0.0, 0.0] });
        }
    }

    #[test]
    fn the_interval_is_that_of_resampled_records() {
        // 40 records became right and none became wrong, so the difference in a draw is Binomial(n, 40/n) / n.
        let truths: Vec<usize> = (0..400).map(|i| i % 2).collect();
        let base: Vec<usize> =
            truths.iter().enumerate().map(|(i, t)| t ^ usize::from(i < 40)).collect();
        let found = pair(&report(&truths, &base), &report(&truths, &truths)).unwrap();
        let PairedDifference { value, ci95 } = found.differences["accuracy"];
        assert!((value - 0.1).abs() < 1e-12);
        // scipy 1.17: binom.ppf([.025, .975], 400, .1) / 400 = 0.0725, 0.13; percentiles of 2,000 draws are close.
        assert!((ci95[0] - 0.0725).abs() < 0.005 && (ci95[1] - 0.13).abs() < 0.005, "{ci95:?}");
    }

    #[test]
    fn evaluations_that_cannot_be_paired_name_the_reason() {
        let truths = truths();
        let good = report(&truths, &truths);
        let mut elsewhere = good.clone();
        elsewhere.data_digest = Digest::of(b"other");
        assert_eq!(pair(&good, &elsewhere).unwrap_err(), "they were evaluated on different data");
        let relabeled: Vec<usize> = truths.iter().map(|t| if *t == 2 { 1 } else { *t }).collect();
        let why = pair(&good, &report(&relabeled, &relabeled)).unwrap_err();
        assert!(why.starts_with("they read the data differently"), "{why}");
        let mut cut = report(&truths, &except(&[1, 2], 1));
        cut.errors.pop();
        let why = pair(&good, &cut).unwrap_err();
        assert_eq!(why, "an evaluation does not list all misclassified records");
        // The counts by intent are the same, but two records exchanged their intents.
        let mut exchanged = truths.clone();
        exchanged.swap(0, 10);
        let wrong: Vec<usize> =
            exchanged.iter().enumerate().map(|(i, t)| if i == 0 { 2 } else { *t }).collect();
        let why =
            pair(&report(&truths, &except(&[0], 1)), &report(&exchanged, &wrong)).unwrap_err();
        assert_eq!(why, "record 1 has a different intent in each");
    }
}
