//! Measures the entities that a model finds against the annotated spans.

use crate::{
    entity_report::{EntityError, EntityReport, EntityScores, SpanScores},
    metrics::estimate,
    outcome::guesser,
};
use botops_datasets::Dataset;
use botops_dialogue::{Dialogue, Moment};
use botops_findings::Result;
use botops_models::IntentModel;
use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    classification::scores,
};
use botops_text::Language;
use chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};

/// The entities whose intervals come from the same draws.
const ENTITIES_AT_ONCE: usize = 8;
/// The scores of one entity: precision, recall and F1, exact and partial.
const SCORES: usize = 6;

/// A span in code points, `start..end`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first code point.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// The entity.
    pub entity: String,
}

/// The annotated spans of a record, and those that a model found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSpans {
    /// The number of the record, from 1.
    pub record: u64,
    /// Its line in the file, from 1.
    pub line: u64,
    /// The annotated spans.
    pub truth: Vec<Span>,
    /// The spans found.
    pub found: Vec<Span>,
}

/// The counts of spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    truth: u64,
    found: u64,
    exact: u64,
    partial: u64,
}

impl Tally {
    fn add(&mut self, other: Self, times: u64) {
        self.truth += other.truth * times;
        self.found += other.found * times;
        self.exact += other.exact * times;
        self.partial += other.partial * times;
    }

    /// Returns the scores; NaN without any span.
    fn scores(self) -> [f64; SCORES] {
        if self.truth + self.found == 0 {
            return [f64::NAN; SCORES];
        }
        let exact = scores(self.exact, self.truth, self.found);
        let partial = scores(self.partial, self.truth, self.found);
        [exact.precision, exact.recall, exact.f1, partial.precision, partial.recall, partial.f1]
    }
}

/// The counts of one entity: the records that have a span of it, by index.
type Tallies = Vec<(usize, Tally)>;

/// Measures the entities that `model` finds in `data`, with its dialogue and its tagger. Returns `None` if `data` annotates
/// no span, or the model looks for no entity.
///
/// Dates are read as on 1 January 1970: where a span starts and ends does not depend on the day.
///
/// # Errors
/// A dialogue in the model that does not compile.
pub(crate) fn evaluate_entities(
    model: &IntentModel,
    data: &Dataset,
) -> Result<Option<EntityReport>> {
    let annotated = data.records.iter().any(|record| !record.entities.is_empty());
    if !annotated || (model.dialogue().entities.is_empty() && model.tagger().is_none()) {
        return Ok(None);
    }
    let dialogue = Dialogue::compile(model.dialogue())?;
    let guesser = guesser(data);
    let span = |entity: &str, start, end| Span { start, end, entity: entity.to_owned() };
    let records: Vec<RecordSpans> = data
        .records
        .iter()
        .map(|record| {
            let language = Language::of(record.lang.as_deref(), &record.text, &guesser);
            let moment = Moment::new(DateTime::UNIX_EPOCH, language.map(Language::tag));
            let found = dialogue.entities(&record.text, &moment, model.tag(&record.text));
            RecordSpans {
                record: record.record,
                line: record.line,
                truth: record.entities.iter().map(|e| span(&e.entity, e.start, e.end)).collect(),
                found: found.iter().map(|e| span(&e.entity, e.start, e.end)).collect(),
            }
        })
        .collect();
    Ok(measure_entities(&records))
}

/// Measures spans. Returns `None` if none is annotated.
#[must_use]
pub fn measure_entities(records: &[RecordSpans]) -> Option<EntityReport> {
    let annotated: BTreeSet<&str> =
        records.iter().flat_map(|record| &record.truth).map(|span| span.entity.as_str()).collect();
    if annotated.is_empty() {
        return None;
    }
    let found = records.iter().flat_map(|record| &record.found).map(|span| span.entity.as_str());
    let unannotated: BTreeSet<&str> = found.filter(|name| !annotated.contains(name)).collect();
    let mut errors = Vec::new();
    let mut tallies: BTreeMap<&str, Tallies> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        for &entity in &annotated {
            let of = |spans: &[Span]| -> BTreeSet<(usize, usize)> {
                let same = spans.iter().filter(|span| span.entity == entity);
                same.map(|span| (span.start, span.end)).collect()
            };
            let (truth, found) = (of(&record.truth), of(&record.found));
            if truth.is_empty() && found.is_empty() {
                continue;
            }
            let (tally, wrong) = compare(&truth, &found);
            tallies.entry(entity).or_default().push((at, tally));
            errors.extend(wrong.into_iter().map(|(truth, found)| EntityError {
                record: record.record,
                line: record.line,
                entity: entity.to_owned(),
                truth: truth.map(|(start, end)| [start, end]),
                found: found.map(|(start, end)| [start, end]),
            }));
        }
    }
    let tallies: Vec<(&str, Tallies)> = tallies.into_iter().collect();
    let resampling = Resampling::default();
    let mut per_entity = BTreeMap::new();
    for chunk in tallies.chunks(ENTITIES_AT_ONCE) {
        per_entity.extend(by_entity(chunk, records.len(), &resampling));
    }
    let (micro, macro_average) = averages(&tallies, records.len(), &resampling);
    Some(EntityReport {
        n: records.len() as u64,
        per_entity,
        micro,
        macro_average,
        unannotated: unannotated.into_iter().map(str::to_owned).collect(),
        errors,
    })
}

/// A span as `(start, end)`.
type Ends = (usize, usize);
/// The annotated span and the one found, of which one may be missing.
type WrongPair = (Option<Ends>, Option<Ends>);

/// Compares the spans of one entity in one record. Returns their counts, and the pairs that are wrong: overlapping spans
/// with other ends, then spans without a partner.
///
/// Spans that overlap are paired from the left, each at most once.
fn compare(truth: &BTreeSet<Ends>, found: &BTreeSet<Ends>) -> (Tally, Vec<WrongPair>) {
    let exact = truth.intersection(found).count() as u64;
    let mut tally =
        Tally { truth: truth.len() as u64, found: found.len() as u64, exact, partial: exact };
    let mut wrong = Vec::new();
    let mut truths = truth.difference(found).copied().peekable();
    let mut founds = found.difference(truth).copied().peekable();
    loop {
        match (truths.peek().copied(), founds.peek().copied()) {
            (Some(t), Some(f)) if t.0 < f.1 && f.0 < t.1 => {
                tally.partial += 1;
                wrong.push((truths.next(), founds.next()));
            }
            (Some(t), Some(f)) if t.1 <= f.0 => wrong.push((truths.next(), None)),
            (Some(_), None) => wrong.push((truths.next(), None)),
            (_, Some(_)) => wrong.push((None, founds.next())),
            (None, None) => return (tally, wrong),
        }
    }
}

fn total(tallies: &Tallies) -> Tally {
    tallies.iter().fold(Tally::default(), |mut sum, (_, tally)| {
        sum.add(*tally, 1);
        sum
    })
}

/// Returns the counts in a draw, which holds each record `counts` times.
fn drawn(tallies: &Tallies, counts: &[u32]) -> Tally {
    tallies.iter().fold(Tally::default(), |mut sum, (at, tally)| {
        sum.add(*tally, u64::from(counts[*at]));
        sum
    })
}

/// Returns scores with their intervals.
fn with_intervals(tally: Tally, values: [f64; SCORES], intervals: &[[f64; 2]]) -> EntityScores {
    let metric = |at: usize, n: u64| estimate(values[at], intervals[at], n);
    let spans = |from: usize| SpanScores {
        precision: metric(from, tally.found),
        recall: metric(from + 1, tally.truth),
        f1: metric(from + 2, tally.truth),
    };
    EntityScores {
        support: tally.truth,
        n_found: tally.found,
        exact: spans(0),
        partial: spans(SCORES / 2),
    }
}

/// Returns the scores of at most 8 entities.
fn by_entity(
    chunk: &[(&str, Tallies)],
    n_records: usize,
    resampling: &Resampling,
) -> Vec<(String, EntityScores)> {
    let intervals = percentile_intervals::<_, { SCORES * ENTITIES_AT_ONCE }>(
        &[n_records],
        resampling,
        || (),
        |(), counts| {
            let mut out = [f64::NAN; SCORES * ENTITIES_AT_ONCE];
            for ((_, tallies), out) in chunk.iter().zip(out.chunks_exact_mut(SCORES)) {
                out.copy_from_slice(&drawn(tallies, counts).scores());
            }
            out
        },
    );
    let scored = chunk.iter().zip(intervals.chunks_exact(SCORES));
    scored
        .map(|((name, tallies), intervals)| {
            let tally = total(tallies);
            ((*name).to_owned(), with_intervals(tally, tally.scores(), intervals))
        })
        .collect()
}

/// Returns the micro and the macro average.
fn averages(
    tallies: &[(&str, Tallies)],
    n_records: usize,
    resampling: &Resampling,
) -> (EntityScores, EntityScores) {
    // The mean is over the entities that occur: in a draw, a rare one may have no span.
    let both = |of: &dyn Fn(&Tallies) -> Tally| -> (Tally, [f64; 2 * SCORES]) {
        let (mut all, mut sums, mut present) = (Tally::default(), [0.0; SCORES], 0.0);
        for (_, tallies) in tallies {
            let tally = of(tallies);
            all.add(tally, 1);
            if tally.truth + tally.found > 0 {
                present += 1.0;
                for (sum, score) in sums.iter_mut().zip(tally.scores()) {
                    *sum += score;
                }
            }
        }
        let mut out = [0.0; 2 * SCORES];
        out[..SCORES].copy_from_slice(&all.scores());
        out[SCORES..].copy_from_slice(&sums.map(|sum| sum / present));
        (all, out)
    };
    let intervals = percentile_intervals::<_, { 2 * SCORES }>(
        &[n_records],
        resampling,
        || (),
        |(), counts| both(&|tallies| drawn(tallies, counts)).1,
    );
    let (all, values) = both(&total);
    let part = |from: usize| -> [f64; SCORES] { std::array::from_fn(|i| values[from + i]) };
    (
        with_intervals(all, part(0), &intervals[..SCORES]),
        with_intervals(all, part(SCORES), &intervals[SCORES..]),
    )
}
