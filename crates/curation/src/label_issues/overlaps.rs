//! Intents that a model confuses.

use botops_datasets::Dataset;
use botops_labels::Labels;
use botops_stats::intervals::{LEVEL, wilson};
use serde::Serialize;
use std::collections::BTreeMap;

/// Two intents that a model which never saw the records takes for one another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// The two, sorted by name.
    pub intents: [String; 2],
    /// Records of each of them.
    pub n: [u64; 2],
    /// Records of the first taken for the second, and of the second taken for the first.
    pub taken: [u64; 2],
    /// Share of the records of both that was taken for the other, in [0, 1].
    pub rate: f64,
    /// Its 95 % interval (Wilson).
    pub ci95: [f64; 2],
    /// Whether the whole interval is at or above [`super::OVERLAP`]: the two are found to overlap.
    pub is_found: bool,
    /// The records that were taken most surely.
    pub examples: Vec<OverlapExample>,
}

/// A record taken for another intent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OverlapExample {
    /// Its file.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts.
    pub line: u64,
    /// The intent it has.
    pub intent: String,
    /// The probability of the intent it was taken for.
    pub confidence: f64,
    /// Its text.
    pub text: String,
}

/// A record with an intent, and what a model that never saw it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    /// Its index among the records.
    pub(crate) record: usize,
    pub(crate) truth: usize,
    pub(crate) predicted: usize,
    pub(crate) confidence: f64,
}

/// Examples of each pair.
const EXAMPLES: usize = 3;

/// Counts every pair of intents with a record taken for the other, the most confused (by the lower end of the interval)
/// first; `examples` are none of `doubted`, records whose own label is likely wrong.
pub(crate) fn overlaps(
    data: &Dataset,
    labels: &Labels,
    judged: &[Judged],
    doubted: &[bool],
) -> Vec<Overlap> {
    let mut n = vec![0_u64; labels.len()];
    let mut pairs: BTreeMap<(usize, usize), Vec<Judged>> = BTreeMap::new();
    for one in judged {
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
            let example = |one: &Judged| {
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
                is_found: ci95[0] >= super::OVERLAP,
                examples: taken.iter().take(EXAMPLES).map(example).collect(),
            }
        })
        .collect();
    // Stable: of equals, the one whose intents come first.
    overlaps.sort_by(|x, y| y.ci95[0].total_cmp(&x.ci95[0]));
    overlaps
}
