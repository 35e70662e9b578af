//! Training: features, head, calibration out of fold, goldens.

use super::{
    calibration::{Calibrated, CalibrationPlan, calibrate, fit_all},
    context::TrainingContext,
    feature_table::FeatureTable,
    goldens,
    out_of_fold::OosRole,
    unseen_records::UnseenRecords,
};
use crate::{
    Lineage, ModelSpec, Progress, Resources, Sample,
    confidence::storable,
    heads::{fitted::Fitted, fitting::steps},
    intent_model::{Golden, IntentModel, ModelParts},
    tagger::{self, Annotated},
};
use botops_dialogue::{DialogueSpec, EntitySpec};
use botops_findings::Result;
use botops_spec::Checked;
use std::collections::BTreeMap;

/// The input of [`train`].
#[derive(Debug)]
pub struct TrainingInput<'a> {
    /// The utterances with their intents.
    pub samples: &'a [Sample<'a>],
    /// The settings of the model.
    pub spec: &'a Checked<ModelSpec>,
    /// The encoder and the folders that training may use.
    pub resources: Resources<'a>,
    /// Entities and responses; they do not influence the classifier.
    pub dialogue: DialogueSpec,
    /// The origin of the samples.
    pub lineage: Lineage,
    /// Utterances with annotated spans, from which the tagger learns; they do not influence the classifier.
    pub annotated: &'a [Annotated<'a>],
    /// Lists of texts that are an entity, by its name, besides those of the dialogue: the tagger learns from them.
    pub lookups: BTreeMap<String, Vec<String>>,
}

impl<'a> TrainingInput<'a> {
    /// Makes an input without resources, dialogue and lineage.
    #[must_use]
    pub fn new(samples: &'a [Sample<'a>], spec: &'a Checked<ModelSpec>) -> Self {
        Self {
            samples,
            spec,
            resources: Resources::default(),
            dialogue: DialogueSpec::default(),
            lineage: Lineage::default(),
            annotated: &[],
            lookups: BTreeMap::new(),
        }
    }
}

/// Trains a model. The same samples, spec and seed give the same bytes, on any number of threads.
///
/// Out-of-scope rows do not contribute terms. They form a class only if the fallback spec uses one, and that class is
/// never an answer. Confidence (temperature, fallback threshold, prediction sets) is fitted on scores of rows by models
/// that never saw them. For linear heads these come from 5-fold cross-fitting: stratified, near duplicates never in two
/// folds, document frequencies counted within the training folds. As many folds are fitted as give 2,000 such rows, and
/// all folds if a threshold is sought or scores are compared. For a forest they are out-of-bag scores.
///
/// # Errors
/// `BOT-2110` fewer than two intents (exit 3); `BOT-7011` fewer than 2 records of an intent or 10 in all (exit 4);
/// `BOT-7012` no term is left to learn from (exit 3);
/// `BOT-7050` the features need an encoder, and `resources` has none (exit 2); `BOT-7060` no threshold reaches the
/// target accuracy (exit 4); `BOT-7061` too few out-of-scope records to learn from (exit 4); those of fitting the head;
/// `BOT-1140` too few annotated spans (exit 4) with `entities: { learn: true }`; `BOT-1141` too many combinations of kind,
/// role and group (exit 3).
pub fn train(input: TrainingInput<'_>, progress: &dyn Progress) -> Result<IntentModel> {
    train_and_judge(input, progress).map(|(model, _)| model)
}

/// Trains a model as [`train`] does, and returns the records that calibration judged by models that did not see them.
///
/// Nothing is fitted for them.
///
/// # Errors
/// Those of [`train`].
pub fn train_and_judge(
    input: TrainingInput<'_>,
    progress: &dyn Progress,
) -> Result<(IntentModel, UnseenRecords)> {
    let TrainingInput { samples, spec, resources, dialogue, lineage, annotated, lookups } = input;
    // The tagger comes first: it takes less time than the classifier, and its faults come early.
    let lists = lists(&dialogue, lookups);
    let tagger = tagger::learn(annotated, &lists, &spec.entities, spec.seed)?;
    let samples = spec.intents_of(samples);
    let mut table = FeatureTable::fit(&samples, spec, resources, progress)?;
    let context = TrainingContext { table: &table, spec, resources, progress };
    let (calibrated, fitted) = fit_and_calibrate(context)?;

    let encoder = fitted.encoder.or_else(|| table.encoder().cloned());
    let embeddings = table.take_embeddings();
    let unseen = UnseenRecords::in_order(calibrated.predicted, embeddings, &samples);
    let FeatureTable { samples, tfidf, .. } = table;
    let golden_texts = goldens::draw(&samples, spec);
    let lineage = Lineage {
        n_samples: samples.n_in_scope() as u64,
        spec: (**spec).clone(),
        botops: match lineage.botops.is_empty() {
            true => env!("CARGO_PKG_VERSION").to_owned(),
            false => lineage.botops.clone(),
        },
        ..lineage
    };
    let mut model = IntentModel::new(ModelParts {
        labels: samples.labels,
        tfidf,
        encoder,
        head: fitted.head,
        confidence: calibrated.confidence,
        centroids: calibrated.centroids,
        dialogue,
        lineage,
        tagger,
        reference: None,
        goldens: Vec::new(),
    });
    let goldens = golden_texts
        .into_iter()
        .map(|text| {
            let prediction = model.predict(text);
            Golden {
                text: text.to_owned(),
                intent: model.labels().name(prediction.intent).to_owned(),
                confidence: storable(prediction.confidence),
            }
        })
        .collect();
    model.set_goldens(goldens);
    Ok((model, unseen))
}

/// Returns the names of each lookup list of `dialogue`, with their synonyms, each followed by those of `lookups`.
fn lists(
    dialogue: &DialogueSpec,
    lookups: BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    let names = |entity: &EntitySpec| match entity {
        EntitySpec::Rule(rule) => rule.lookup.as_ref().map(|lookup| {
            let names =
                lookup.iter().flat_map(|(name, others)| std::iter::once(name).chain(others));
            names.cloned().collect()
        }),
        EntitySpec::Pattern(_) => None,
    };
    let lists = dialogue.entities.iter();
    let mut lists: BTreeMap<String, Vec<String>> =
        lists.filter_map(|(kind, entity)| Some((kind.clone(), names(entity)?))).collect();
    for (kind, names) in lookups {
        lists.entry(kind).or_default().extend(names);
    }
    lists
}

/// Fits the head on all records, and its confidence on scores of records that it did not see.
fn fit_and_calibrate(context: TrainingContext<'_>) -> Result<(Calibrated, Fitted)> {
    let TrainingContext { table, spec, progress, .. } = context;
    let plan = CalibrationPlan::new(spec, table.samples.out_of_scope().len())?;
    let fit = |role: OosRole| {
        let n_scores = role.n_scores(table.samples.n_classes());
        progress.begin("fit", steps(spec, n_scores, role.n_rows(&table.samples)));
        let fitted = fit_all(role, context)?;
        progress.finish();
        Ok(fitted)
    };
    if spec.holds_out() {
        let first = fit(plan.first())?;
        let (calibrated, refitted) = calibrate(plan, Some(&first), context)?;
        return Ok((calibrated, refitted.unwrap_or(first)));
    }
    // The models of the folds are fitted first, so memory never holds one of them beside the final model.
    let (calibrated, _) = calibrate(plan, None, context)?;
    let fitted = fit(calibrated.oos_role)?;
    Ok((calibrated, fitted))
}
