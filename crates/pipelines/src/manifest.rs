//! The manifest of a model to register, and the rows of a drift comparison.

use super::params::flatten;
use crate::resources::Equipment;
use botops_datasets::Dataset;
use botops_dialogue::{Dialogue, DialogueSpec};
use botops_digest::Digest;
use botops_drift::{self as drift, Row};
use botops_evaluation::Metric;
use botops_findings::{Fault, Result};
use botops_labels::OOS;
use botops_models::{
    self as models, FallbackSpec, HeadKind, IntentModel, ModelSpec, Sample, Silent, TrainingInput,
    confidence::ScoreChoice,
};
use botops_registry::{Manifest, ManifestFile};
use botops_spec::Spec as _;
use botops_text as text;
use std::{collections::BTreeMap, path::Path};

/// The origin of a model: the part of a manifest that neither the model nor its files contain.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The run that trained the model.
    pub run: Option<String>,
    /// Digest of the gate report, if the model passed its gates.
    pub gates: Option<Digest>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Git commit of the code.
    pub git_commit: Option<String>,
    /// The person or program that registers it.
    pub creator: String,
}

/// Returns the manifest that registers `model` as `name` with `files`: pairs of path and content, among them
/// `model.botops`.
#[must_use]
pub fn manifest(
    name: &str,
    model: &IntentModel,
    files: &[(String, Vec<u8>)],
    provenance: Provenance,
) -> Manifest {
    let lineage = model.lineage();
    let mut params = BTreeMap::new();
    flatten(
        "model",
        &serde_json::to_value(&lineage.spec).expect("a spec is valid JSON"),
        &mut params,
    );
    let mut files: Vec<ManifestFile> = files
        .iter()
        .map(|(path, bytes)| ManifestFile {
            path: path.clone(),
            digest: Digest::of(bytes),
            size_bytes: bytes.len() as u64,
            media_type: if path.ends_with(".json") {
                "application/json"
            } else {
                "application/vnd.botops.model"
            }
            .to_owned(),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Manifest {
        schema: "botops.model/1".to_owned(),
        model: name.to_owned(),
        files,
        run: provenance.run,
        data: lineage.data,
        params,
        metrics: provenance.metrics,
        gates: provenance.gates,
        botops: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: provenance.git_commit,
        creator: provenance.creator,
        intents: model.labels().iter().map(str::to_owned).collect(),
    }
}

/// Returns the rows of a drift comparison for utterances (text, declared language).
///
/// With a model, each row also has the predicted intent (or `fallback`), the confidence, and the share of words that
/// the model did not see in training.
#[must_use]
pub fn rows<'a>(
    texts: &'a [(String, Option<String>)],
    model: Option<&'a IntentModel>,
) -> Vec<Row<'a>> {
    let predicted = model.map(|model| {
        let texts: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
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
    drift::rows(texts.iter().map(|(text, lang)| (text.as_str(), lang.as_deref())), predicted)
}

/// Returns the rows of [`rows`] for the training data of `model`.
///
/// A model knows every word of its training data and is more confident on it than on other texts, so any traffic would
/// seem to have drifted from it. Each record is therefore predicted by a model of the same spec that did not see it:
/// three models are trained, each without a third of the records. Texts that are equal after folding are in the same
/// third.
///
/// # Errors
/// Those of [`models::train`], if two thirds of the records are too few; `BOT-7052` (exit 2) if the encoder was
/// fine-tuned.
pub fn rows_out_of_fold<'a>(data: &'a Dataset, model: &'a IntentModel) -> Result<Vec<Row<'a>>> {
    const FOLDS: u8 = 3;
    if model.lineage().spec.head.kind == HeadKind::FineTuned {
        return Err(Fault::usage(
            "BOT-7052",
            "the model was trained on the reference, and its fine-tuned encoder cannot be trained again on parts of it",
        )
        .hint("use records that the model was not trained on as the reference, such as a test set"));
    }
    let equipment = Equipment::with(model.encoder());
    let fold = |text: &str| Digest::of(text::fold(text).as_bytes()).as_bytes()[0] % FOLDS;
    let folds: Vec<u8> = data.records.iter().map(|record| fold(&record.text)).collect();
    let mut predicted: Vec<(&str, f64, f64)> = vec![("", 0.0, 0.0); data.records.len()];
    for fold in 0..FOLDS {
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
        let spec = ModelSpec { fallback, ..lineage.spec.clone() }.check()?;
        let input = TrainingInput {
            resources: equipment.resources(),
            lineage: lineage.clone(),
            ..TrainingInput::new(&seen, &spec)
        };
        let other = models::train(input, &Silent)?;
        let held_out: Vec<usize> = (0..folds.len()).filter(|&i| folds[i] == fold).collect();
        let texts: Vec<&str> = held_out.iter().map(|&i| data.records[i].text.as_str()).collect();
        let (predictions, _) = other.predict_many(&texts);
        for ((&i, prediction), text) in held_out.iter().zip(&predictions).zip(&texts) {
            // A text that falls back with a score above the threshold has no known feature.
            let unknown = prediction.fallback && prediction.score >= other.fallback().threshold;
            let falls_back = unknown || prediction.score < threshold;
            let intent = called(model, other.labels().name(prediction.intent), falls_back);
            predicted[i] = (intent, prediction.confidence, other.unseen_word_rate(text));
        }
    }
    let texts = data.records.iter().map(|record| (record.text.as_str(), record.lang.as_deref()));
    Ok(drift::rows(texts, Some(predicted)))
}

/// Returns the fallback of a model that is trained on `seen` only, and the threshold for its score: those of `model`.
///
/// A part of the records may be too small to prove the target accuracy or to learn the out-of-scope class. So the
/// target accuracy is dropped, and without enough out-of-scope records the score is the confidence.
fn fold_fallback(model: &IntentModel, seen: &[Sample<'_>]) -> (FallbackSpec, f64) {
    let (stated, rule) = (model.lineage().spec.fallback, model.fallback());
    let named = |score| FallbackSpec { score, target_accuracy: None, ..stated };
    let n_oos = seen.iter().filter(|sample| sample.intent == OOS).count();
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

/// Reads a dialogue and compiles it once, so that its errors are reported, with the file, before a training starts.
///
/// # Errors
/// Those of [`botops_spec::read`] and [`Dialogue::compile`].
pub fn read_dialogue(path: &Path) -> Result<DialogueSpec> {
    let dialogue: DialogueSpec = botops_spec::read(path)?;
    match Dialogue::compile(&dialogue) {
        Ok(_) => Ok(dialogue),
        Err(fault) => {
            let file = Some(path.display().to_string());
            let place = botops_findings::Place { file, ..fault.place().clone() };
            Err(fault.at(place))
        }
    }
}
