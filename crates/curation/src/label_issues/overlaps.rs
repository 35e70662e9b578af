//! Pairs of intents that a model confuses.

use botops_datasets::Dataset;
use botops_labels::Labels;
use botops_stats::intervals::{LEVEL, wilson};
use serde::Serialize;
use std::collections::BTreeMap;

/// Two intents that a model confuses on records it was not fitted on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// The two intents, in the order of the labels.
    pub intents: [String; 2],
    /// The number of records of each intent.
    pub n: [u64; 2],
    /// Records of the first predicted as the second, and of the second predicted as the first.
    pub taken: [u64; 2],
    /// The share of the records of both that are predicted as the other, in [0, 1].
    pub rate: f64,
    /// The 95 % Wilson interval of `rate`.
    pub ci95: [f64; 2],
    /// Whether the whole interval is at or above [`OVERLAP`], so that the two are reported.
    pub is_found: bool,
    /// The confused records with the highest confidence.
    pub examples: Vec<OverlapExample>,
}

/// A record predicted as another intent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OverlapExample {
    /// The file of the record.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts.
    pub line: u64,
    /// The intent of the record.
    pub intent: String,
    /// The probability of the predicted intent.
    pub confidence: f64,
    /// The text, without personal data.
    pub text: String,
}

/// A record with an intent, and the prediction of a model that was not fitted on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldOutRecord {
    /// The index of the record in the data set.
    pub(crate) record: usize,
    pub(crate) truth: usize,
    pub(crate) predicted: usize,
    pub(crate) confidence: f64,
}

/// The most examples of a pair.
const EXAMPLES: usize = 3;

/// The confusion rate from which two intents overlap; the lower end of the interval must reach it.
pub const OVERLAP: f64 = 0.05;

/// Returns every pair of intents with a confused record, the most confused (by the lower end of the interval) first.
///
/// Records in `doubted`, whose own label is likely wrong, are not used as examples.
pub(crate) fn overlaps(
    data: &Dataset,
    labels: &Labels,
    records: &[HeldOutRecord],
    doubted: &[bool],
) -> Vec<Overlap> {
    let mut n = vec![0_u64; labels.len()];
    let mut pairs: BTreeMap<(usize, usize), Vec<HeldOutRecord>> = BTreeMap::new();
    for one in records {
        n[one.truth] += 1;
        if one.truth != one.predicted {
            let pair = (one.truth.min(one.predicted), one.truth.max(one.predicted));
            pairs.entry(pair).or_default().push(*one);
        }
    }
    let mut overlaps: Vec<Overlap> = pairs
        .into_iter()
        .map(|((a, b), mut taken)| {
            let from =
                |intent: usize| taken.iter().filter(|one| one.truth == intent).count() as u64;
            let counts = [from(a), from(b)];
            let all = n[a] + n[b];
            let ci95 = wilson(counts[0] + counts[1], all, LEVEL);
            taken.retain(|one| !doubted[one.record]);
            taken.sort_by(|x, y| {
                y.confidence.total_cmp(&x.confidence).then(x.record.cmp(&y.record))
            });
            let example = |one: &HeldOutRecord| {
                let record = &data.records[one.record];
                let place = data.place(record);
                OverlapExample {
                    file: place.file.unwrap_or_default(),
                    record: record.record,
                    line: record.line,
                    intent: labels.name(one.truth).to_owned(),
                    confidence: one.confidence,
                    text: botops_text::redact(&record.text),
                }
            };
            Overlap {
                intents: [a, b].map(|intent| labels.name(intent).to_owned()),
                n: [n[a], n[b]],
                taken: counts,
                rate: (counts[0] + counts[1]) as f64 / all as f64,
                ci95,
                is_found: ci95[0] >= OVERLAP,
                examples: taken.iter().take(EXAMPLES).map(example).collect(),
            }
        })
        .collect();
    // The sort is stable, so that equal pairs stay in the order of their intents.
    overlaps.sort_by(|x, y| y.ci95[0].total_cmp(&x.ci95[0]));
    overlaps
}
