//! Which labels of a data set are likely wrong, which intents overlap, and which records stand apart.
//!
//! Every record is judged by a model that never saw it nor a near duplicate of it: confident learning
//! ([`crate::stats::confident`]) on calibrated probabilities of a cross-validation.

mod oddities;
mod overlaps;

pub use oddities::{Oddities, Oddity, OddityKind};
pub use overlaps::{Overlap, OverlapExample};

use super::measurement::intents_of;
use crate::{
    datasets::{Dataset, Record},
    findings::{Finding, Place, Result, Severity},
    models::{
        CrossValidator, HeadKind, HeadSpec, ModelSpec, NeighborScratch, Progress, temperatures,
    },
    stats::confident::{Confident, normalised_margin},
    text,
};
use overlaps::Judged;
use rayon::prelude::*;
use serde::Serialize;

const SCHEMA: &str = "botops.label_issues/1";

/// How to look for wrong labels.
#[derive(Debug, Clone)]
pub struct LabelIssueSpec {
    /// The model that judges, fitted without the record.
    pub model: ModelSpec,
    /// How sure to be: a record is told when the margin by which another intent is likelier is at least this, in [0, 1).
    pub margin: f64,
    /// How many records that argue for the suggested intent to name.
    pub nearest: usize,
}

/// A record near another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NearRecord {
    /// Its file.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts.
    pub line: u64,
    /// The intent it is labelled with.
    pub intent: String,
    /// The cosine of their features, in (0, 1].
    pub cosine: f64,
    /// Its text.
    pub text: String,
}

/// A record whose label is likely wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelIssue {
    /// Its file.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts.
    pub line: u64,
    /// Its text.
    pub text: String,
    /// The intent it is labelled with.
    pub intent: String,
    /// The intent it more likely has.
    pub suggested: String,
    /// The probability of the given intent, by a model that never saw the record.
    pub self_confidence: f64,
    /// That of the suggested one.
    pub suggested_confidence: f64,
    /// How likely the label is wrong: (1 - normalised margin) / 2, in [0, 1]; the ranking.
    pub score: f64,
    /// The nearest records labelled with the suggested intent, the nearest first.
    pub nearest: Vec<NearRecord>,
    /// The nearest record labelled with the given intent, which argues against.
    pub nearest_of_given: Option<NearRecord>,
}

/// What was found about the labels of a data set.
#[derive(Debug, Clone, Serialize)]
pub struct LabelIssues {
    /// `botops.label_issues/1`.
    pub schema: String,
    /// The data.
    pub data: String,
    /// The model that judged.
    pub spec: ModelSpec,
    /// Folds of the cross-validation.
    pub n_folds: u32,
    /// Records with an intent, which were judged.
    pub n: u64,
    /// Their intents.
    pub n_intents: u64,
    /// Records out of scope, whose label was not judged.
    pub n_outside: u64,
    /// Share of records for which the model names the given intent.
    pub agreement: f64,
    /// Records with a wrong label, as the confident joint estimates them; some of them are not told apart one by one.
    pub estimated_errors: f64,
    /// The margin from which on a record is told.
    pub margin: f64,
    /// Records whose label is likely wrong, the likeliest first.
    pub issues: Vec<LabelIssue>,
    /// Pairs of intents that the model confuses, the most confused first.
    pub overlaps: Vec<Overlap>,
    /// Records that stand apart, or say nothing.
    pub oddities: Oddities,
}

/// The least share of two intents' records taken for the other, by the lower end of its interval, at which they overlap.
pub const OVERLAP: f64 = 0.05;

impl Default for LabelIssueSpec {
    fn default() -> Self {
        let head = HeadSpec { kind: HeadKind::LinearSvm, ..HeadSpec::default() };
        Self { model: ModelSpec { head, ..ModelSpec::default() }, margin: 0.0, nearest: 3 }
    }
}

/// Judges the label of every record of `data` that has an intent; the records are the samples of `validator`, in their
/// order.
///
/// A record is likely mislabelled when the confident joint counts it for another intent than its own, that intent is
/// also the likeliest one, and likelier than its own by `spec.margin` or more. They are ranked by the normalised margin.
/// Probabilities are those of a model that learned without the record's fold, at the temperature fitted on the other
/// folds; near duplicates are never in two folds.
///
/// # Errors
/// Those of [`CrossValidator::held_out`]; `BOT-3003` a record without an intent.
///
/// # Panics
/// When `data` has not one record for each sample: a bug of the caller.
pub fn label_issues(
    data: &Dataset,
    validator: &CrossValidator<'_>,
    spec: &LabelIssueSpec,
    at_once: usize,
    progress: &dyn Progress,
) -> Result<LabelIssues> {
    let n_outside = intents_of(data)?.len() - validator.n_samples();
    let labels = validator.labels();
    let n_folds = validator.n_folds();
    let held_out = validator.held_out(&spec.model, 0..n_folds, 1.0, at_once, progress)?;
    let temperatures = temperatures(&held_out);
    let n_classes = labels.len();
    let mut rows: Vec<(usize, usize, Vec<f64>)> = Vec::with_capacity(validator.n_samples());
    for (held, &temperature) in held_out.iter().zip(&temperatures) {
        for (i, &truth) in held.truth.iter().enumerate() {
            let (_, proba) = held.predict(i, temperature, 0.0);
            rows.push((held.samples[i] as usize, truth, proba));
        }
    }
    rows.sort_unstable_by_key(|(sample, ..)| *sample);
    let given: Vec<usize> = rows.iter().map(|(_, given, _)| *given).collect();
    let proba: Vec<f64> = rows.iter().flat_map(|(.., proba)| proba).copied().collect();
    let confident = Confident::count(&proba, n_classes, &given);
    let mut intents: Vec<Option<usize>> = vec![None; data.records.len()];
    let mut judged = Vec::with_capacity(rows.len());
    let mut doubted = vec![false; data.records.len()];
    let mut suspects: Vec<(usize, usize, usize, f64)> = Vec::new();
    for (row, (record, given, proba)) in rows.iter().enumerate() {
        let predicted = (0..n_classes)
            .max_by(|&a, &b| proba[a].total_cmp(&proba[b]).then(b.cmp(&a)))
            .expect("there are two intents at least");
        intents[*record] = Some(*given);
        let confidence = proba[predicted];
        judged.push(Judged { record: *record, truth: *given, predicted, confidence });
        let margin = normalised_margin(proba, *given);
        let is_issue = predicted != *given
            && confident.likely(row).is_some_and(|likely| likely != *given)
            && -margin >= spec.margin;
        if is_issue {
            doubted[*record] = true;
            suspects.push((row, *record, predicted, margin));
        }
    }
    suspects.sort_by(|a, b| a.3.total_cmp(&b.3).then(a.1.cmp(&b.1)));
    let near = validator.neighbors(&spec.model, progress)?;
    let nearest = |record: usize, intent: usize, k: usize, scratch: &mut NeighborScratch| {
        near.nearest(record, k, |other| intents[other] == Some(intent), scratch)
            .into_iter()
            .map(|one| near_record(data, one.row, one.cosine))
            .collect::<Vec<_>>()
    };
    let issues = suspects
        .par_iter()
        .with_min_len(8)
        .map_init(NeighborScratch::default, |scratch, &(row, record, suggested, margin)| {
            let (_, given, proba) = &rows[row];
            let Record { record: number, line, text, .. } = &data.records[record];
            LabelIssue {
                file: file_of(data, record),
                record: *number,
                line: *line,
                text: text::redact(text),
                intent: labels.name(*given).to_owned(),
                suggested: labels.name(suggested).to_owned(),
                self_confidence: proba[*given],
                suggested_confidence: proba[suggested],
                score: f64::midpoint(1.0, -margin),
                nearest: nearest(record, suggested, spec.nearest, scratch),
                nearest_of_given: nearest(record, *given, 1, scratch).pop(),
            }
        })
        .collect();
    let agreed = judged.iter().filter(|one| one.truth == one.predicted).count();
    Ok(LabelIssues {
        schema: SCHEMA.to_owned(),
        data: data.name.clone(),
        spec: spec.model.clone(),
        n_folds,
        n: rows.len() as u64,
        n_intents: n_classes as u64,
        n_outside: n_outside as u64,
        agreement: agreed as f64 / rows.len().max(1) as f64,
        estimated_errors: confident.estimated_errors(),
        margin: spec.margin,
        issues,
        overlaps: overlaps::overlaps(data, labels, &judged, &doubted),
        oddities: oddities::oddities(data, &intents, n_classes, &near),
    })
}

fn file_of(data: &Dataset, record: usize) -> String {
    data.place(&data.records[record]).file.unwrap_or_default()
}

fn near_record(data: &Dataset, i: usize, cosine: f64) -> NearRecord {
    let Record { record, line, text, intent, .. } = &data.records[i];
    NearRecord {
        file: file_of(data, i),
        record: *record,
        line: *line,
        intent: intent.clone().unwrap_or_default(),
        cosine,
        text: text::redact(text),
    }
}

impl LabelIssues {
    /// Returns what was found as findings: `BOT-2190` records likely mislabelled, `BOT-2191` intents that overlap,
    /// `BOT-2195` outliers, `BOT-2196` texts that say nothing.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let place = |file: &str, record: u64, line: u64| Place {
            file: Some(file.to_owned()),
            record: Some(record),
            line: Some(line),
            ..Place::default()
        };
        let shown = |text: &str| text::display(text, 60);
        let issues = self.issues.iter().map(|issue| {
            let near = match issue.nearest.first() {
                Some(near) => format!(
                    ", as record {} (line {}, cosine {:.2}) `{}` is",
                    near.record,
                    near.line,
                    near.cosine,
                    shown(&near.text)
                ),
                None => String::new(),
            };
            let message = format!(
                "the text `{}` is labelled `{}` ({:.3}) and is likelier `{}` ({:.3}){near}",
                shown(&issue.text),
                shown(&issue.intent),
                issue.self_confidence,
                shown(&issue.suggested),
                issue.suggested_confidence
            );
            let help = "read it, and label it again or leave it: the model may be wrong";
            Finding::new("BOT-2190", Severity::Warning, message, help)
                .at(place(&issue.file, issue.record, issue.line))
        });
        let overlaps = self.overlaps.iter().filter(|pair| pair.is_found).map(|pair| {
            let [first, second] = &pair.intents;
            let message = format!(
                "the intents `{}` and `{}` overlap: {} of {} and {} of {} records are taken for the other, {:.1} % [{:.1}, {:.1}]",
                shown(first),
                shown(second),
                pair.taken[0],
                pair.n[0],
                pair.taken[1],
                pair.n[1],
                100.0 * pair.rate,
                100.0 * pair.ci95[0],
                100.0 * pair.ci95[1]
            );
            let help = "say what tells them apart and label by it, add examples, or merge them";
            Finding::new("BOT-2191", Severity::Warning, message, help)
                .at(Place { file: Some(self.data.clone()), ..Place::default() })
        });
        let oddities = self.oddities.records.iter().map(|one| {
            let (code, message, help) = one.told();
            Finding::new(code, Severity::Warning, message, help)
                .at(place(&one.file, one.record, one.line))
        });
        issues.chain(overlaps).chain(oddities).collect()
    }
}
