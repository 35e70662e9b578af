//! The input of a drift comparison: the columns of a data file, and utterances as a model sees them.

use crate::resources::Equipment;
use botops_datasets::{
    Dataset,
    table::{Row as TableRow, Shape},
};
use botops_digest::Digest;
use botops_drift::{self as drift, Column, Role, Row};
use botops_findings::{Fault, Result};
use botops_labels::OOS;
use botops_models::{
    self as models, FallbackSpec, HeadKind, IntentModel, LearnEntities, ModelSpec, Sample, Silent,
    TaggerSpec, TrainingInput, confidence::ScoreChoice,
};
use botops_spec::Spec as _;
use botops_text as text;

/// The number of models that score the training data of a model, each trained without its part.
const FOLDS: u8 = 3;

/// The columns of a data file, collected row by row.
#[derive(Debug, Default)]
pub struct DriftColumns(Vec<Column>);

impl DriftColumns {
    /// Adds a row of a table with these columns. An unnamed column is called by its number.
    pub fn add(&mut self, shape: &Shape, row: TableRow<'_>) {
        if self.0.is_empty() {
            self.0 = columns_of(shape);
        }
        for (at, column) in self.0.iter_mut().enumerate() {
            column.add(row.cell(at));
        }
    }

    /// Removes a column of entities without an entity, which every file of a stage has.
    pub(crate) fn leave_out_no_entities(&mut self) {
        self.0.retain(|column| column.role() != Role::Entities || !column.is_empty());
    }

    /// Returns the columns.
    #[must_use]
    pub fn get(&self) -> &[Column] {
        &self.0
    }
}

fn columns_of(shape: &Shape) -> Vec<Column> {
    let role = |at: usize| {
        let Some(roles) = &shape.roles else { return Role::Other };
        match at {
            at if at == roles.text => Role::Text,
            at if roles.intent == Some(at) => Role::Intent,
            at if roles.lang == Some(at) => Role::Language,
            at if roles.entities == Some(at) => Role::Entities,
            _ => Role::Other,
        }
    };
    let named = |(at, name): (usize, &String)| match name.trim() {
        "" => Column::new(format!("column {}", at + 1), role(at)),
        _ => Column::new(name.clone(), role(at)),
    };
    shape.names.iter().enumerate().map(named).collect()
}

/// Returns the rows of a drift comparison for utterances (text, declared language).
///
/// With a model, each row also has the predicted intent (or `fallback`), the confidence, and the share of words that
/// the model did not see in training.
#[must_use]
pub fn rows<'a>(
    texts: &[(&'a str, Option<&'a str>)],
    model: Option<&'a IntentModel>,
) -> Vec<Row<'a>> {
    let predicted = model.map(|model| {
        let texts: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
        let (predictions, _) = model.predict_many(&texts);
        predictions
            .iter()
            .zip(&texts)
            .map(|(prediction, text)| {
                let intent =
                    called(model, model.labels().name(prediction.intent), prediction.fallback);
                (intent, prediction.confidence, model.unseen_word_rate(text))
            })
            .collect()
    });
    drift::rows(texts.iter().copied(), predicted)
}

/// Models of the same spec as one model, each trained without a part of its training data.
///
/// A model knows every word of its training data and is more confident on it than on other texts, so any traffic would
/// seem to have drifted from it. So if one side of a comparison is the training data, both sides are scored by these
/// models: each text by the model whose training data has no text that is equal after folding.
#[derive(Debug)]
pub struct FoldModels<'a> {
    model: &'a IntentModel,
    /// A model for each part, with the threshold of its score.
    parts: Vec<(IntentModel, f64)>,
}

impl<'a> FoldModels<'a> {
    /// Trains the models; `data` is the training data of `model`.
    ///
    /// # Errors
    /// Those of [`models::train`], if two thirds of the records are too few; `BOT-7052` (exit 2) if the encoder was
    /// fine-tuned.
    pub fn train(data: &Dataset, model: &'a IntentModel) -> Result<Self> {
        if model.lineage().spec.head.kind == HeadKind::FineTuned {
            return Err(Fault::usage(
                "BOT-7052",
                "the model was trained on one side, and its fine-tuned encoder cannot be trained again on parts of it",
            )
            .hint("compare records that the model was not trained on, such as a test set"));
        }
        let equipment = Equipment::with(model.encoder());
        let folds: Vec<u8> = data.records.iter().map(|record| fold_of(&record.text)).collect();
        let train = |fold: u8| {
            let seen: Vec<Sample<'_>> = data
                .records
                .iter()
                .zip(&folds)
                .filter(|(_, other)| **other != fold)
                .filter_map(|(record, _)| {
                    Some(Sample { text: &record.text, intent: record.intent.as_deref()? })
                })
                .collect();
            let lineage = model.lineage();
            let (fallback, threshold) = fold_fallback(model, &seen);
            // Drift compares intents and confidence, to which entities add nothing.
            let entities = TaggerSpec { learn: LearnEntities::Never, ..TaggerSpec::default() };
            let spec = ModelSpec { fallback, entities, ..lineage.spec.clone() }.check()?;
            let input = TrainingInput {
                resources: equipment.resources(),
                lineage: lineage.clone(),
                ..TrainingInput::new(&seen, &spec)
            };
            Ok((models::train(input, &Silent)?, threshold))
        };
        Ok(Self { model, parts: (0..FOLDS).map(train).collect::<Result<_>>()? })
    }

    /// Returns the rows of [`rows`], scored by these models.
    #[must_use]
    pub fn rows<'t>(&self, texts: &[(&'t str, Option<&'t str>)]) -> Vec<Row<'t>>
    where
        'a: 't,
    {
        let mut predicted: Vec<(&str, f64, f64)> = vec![("", 0.0, 0.0); texts.len()];
        let folds: Vec<u8> = texts.iter().map(|(text, _)| fold_of(text)).collect();
        for (fold, (other, threshold)) in (0..FOLDS).zip(&self.parts) {
            let held_out: Vec<usize> = (0..folds.len()).filter(|&i| folds[i] == fold).collect();
            let texts: Vec<&str> = held_out.iter().map(|&i| texts[i].0).collect();
            let (predictions, _) = other.predict_many(&texts);
            for ((&i, prediction), text) in held_out.iter().zip(&predictions).zip(&texts) {
                // A text that falls back with a score above the threshold has no known feature.
                let unknown = prediction.fallback && prediction.score >= other.fallback().threshold;
                let falls_back = unknown || prediction.score < *threshold;
                let intent = called(self.model, other.labels().name(prediction.intent), falls_back);
                predicted[i] = (intent, prediction.confidence, other.unseen_word_rate(text));
            }
        }
        drift::rows(texts.iter().copied(), Some(predicted))
    }
}

/// Returns the part of the training data that `text` belongs to. Texts that are equal after folding are in one part.
fn fold_of(text: &str) -> u8 {
    Digest::of(text::fold(text).as_bytes()).as_bytes()[0] % FOLDS
}

/// Returns the fallback of a model that is trained on `seen` only, and the threshold for its score: those of `model`.
///
/// A part of the records may be too small to prove the target accuracy or to learn the out-of-scope class. So the
/// target accuracy is dropped, and without enough out-of-scope records the score is the confidence.
fn fold_fallback(model: &IntentModel, seen: &[Sample<'_>]) -> (FallbackSpec, f64) {
    let (stated, rule) = (model.lineage().spec.fallback, model.fallback());
    let named = |score| stated.fixed(score);
    let spec = &model.lineage().spec;
    let n_oos = seen.iter().filter(|sample| spec.intent_of(sample.intent) == OOS).count();
    let fallback = named(rule.score.into());
    match fallback.learns_oos_class(n_oos) {
        Ok(_) => (fallback, rule.threshold),
        Err(_) => (named(ScoreChoice::MaxProbability), stated.threshold),
    }
}

/// Returns the name of a prediction in the drift checks: the model's own name of the intent, or `fallback`.
fn called<'a>(model: &'a IntentModel, intent: &str, fallback: bool) -> &'a str {
    match model.labels().index_of(intent) {
        Some(index) if !fallback => model.labels().name(index),
        _ => "fallback",
    }
}
