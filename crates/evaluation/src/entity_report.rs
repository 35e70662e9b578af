//! The entities of an evaluation report.

use crate::metrics::Metric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Precision, recall and F1 of spans, with bootstrap intervals over records.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpanScores {
    /// The share of the spans found that are right; 0 if none was found. `n` is their number.
    pub precision: Metric,
    /// The share of the annotated spans that were found; 0 if none is annotated. `n` is their number.
    pub recall: Metric,
    /// The harmonic mean of both; 0 if both are 0. `n` is the number of annotated spans.
    pub f1: Metric,
}

/// The scores of one entity, or an average of entities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EntityScores {
    /// The number of annotated spans.
    pub support: u64,
    /// The number of spans found.
    pub n_found: u64,
    /// A span is right if entity, start and end agree, as in the CoNLL 2003 shared task.
    pub exact: SpanScores,
    /// A span is right if it overlaps an annotated one of the same entity; each counts once.
    pub partial: SpanScores,
}

/// A span that was missed, found too much, or found with other ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityError {
    /// The number of the record, from 1.
    pub record: u64,
    /// Its line in the file, from 1.
    pub line: u64,
    /// The entity.
    pub entity: String,
    /// The annotated code points, `[start, end)`; `None` if there is no such span.
    pub truth: Option<[usize; 2]>,
    /// The code points that were found; `None` if the span was missed.
    pub found: Option<[usize; 2]>,
}

/// The entities that a model finds, against the annotated spans.
///
/// Entities that no record annotates are not counted: nothing tells whether they are right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntityReport {
    /// The number of records.
    pub n: u64,
    /// The scores of every annotated entity.
    pub per_entity: BTreeMap<String, EntityScores>,
    /// The scores of all spans together.
    pub micro: EntityScores,
    /// The mean of the scores of the entities, each with the same weight.
    #[serde(rename = "macro")]
    pub macro_average: EntityScores,
    /// Entities that the model found and no record annotates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unannotated: Vec<String>,
    /// The spans that are wrong by the exact rule, in the order of the records.
    pub errors: Vec<EntityError>,
}

impl EntityReport {
    /// Returns the metrics that gates can bound, by their names in [`crate::METRICS`].
    pub(crate) fn metrics(&self) -> impl Iterator<Item = (String, Metric)> + '_ {
        [
            ("entity_precision", self.micro.exact.precision),
            ("entity_recall", self.micro.exact.recall),
            ("entity_f1", self.micro.exact.f1),
            ("entity_macro_f1", self.macro_average.exact.f1),
            ("entity_partial_f1", self.micro.partial.f1),
        ]
        .into_iter()
        .map(|(name, metric)| (name.to_owned(), metric))
    }
}
