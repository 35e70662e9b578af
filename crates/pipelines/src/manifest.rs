//! What is said of a model to be registered, and of utterances to be compared.

use super::record::flatten;
use crate::resources::Equipment;
use botops_datasets::Dataset;
use botops_dialogue::{Dialogue, DialogueSpec};
use botops_digest::Digest;
use botops_drift::{self as drift, Row};
use botops_evaluation::Metric;
use botops_findings::{Fault, Result};
use botops_labels::OOS;
use botops_models::{
    self as models, FallbackSpec, HeadKind, IntentModel, ModelSpec, Sample, Silent,
    confidence::ScoreChoice,
};
use botops_registry::{Manifest, ManifestFile};
use botops_text as text;
use std::{collections::BTreeMap, path::Path};

/// What a manifest says that neither the model nor its files do.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The run that made it.
    pub run: Option<String>,
    /// Digest of the gate report, when gates were passed.
    pub gates: Option<Digest>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Git commit of the code.
    pub git_commit: Option<String>,
    /// Who made it.
    pub creator: String,
}

/// Describes `model`, to be registered as `name` with `files` (by path; `model.botops` is among them).
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

/// Describes utterances (text, declared language) for the drift checks; with a model, also by what it says of them:
/// its intent (or `fallback`), its confidence, and the share of words it never saw.
#[must_use]
pub fn rows<'a>(
    texts: &'a [(String, Option<String>)],
    model: Option<&'a IntentModel>,
) -> Vec<Row<'a>> {
    let judged = model.map(|model| {
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
    drift::rows(texts.iter().map(|(text, lang)| (text.as_str(), lang.as_deref())), judged)
}

/// As [`rows`], for the very records a model learned from.
///
/// A model knows every word of what it learned from, and is surer of it than of anything else, so held against that
/// every traffic would seem to have drifted. Each record is therefore judged by a model of the same spec that did
/// not see it: three are trained, each without a third of the records (alike texts in the same third).
///
/// # Errors
/// Those of [`models::train`], when a third cannot be spared; `BOT-7052` (exit 2) when the encoder was fine-tuned.
pub fn rows_out_of_fold<'a>(data: &'a Dataset, model: &'a IntentModel) -> Result<Vec<Row<'a>>> {
    const FOLDS: u8 = 3;
    if model.lineage().spec.head.kind == HeadKind::FineTuned {
        return Err(Fault::usage(
            "BOT-7052",
            "the model was trained on the reference, and its encoder cannot be fine-tuned anew without each third of it",
        )
        .hint("give records that it did not learn from as the reference, such as a test set"));
    }
    let equipment = Equipment::with(model.encoder());
    let fold = |text: &str| Digest::of(text::fold(text).as_bytes()).as_bytes()[0] % FOLDS;
    let folds: Vec<u8> = data.records.iter().map(|record| fold(&record.text)).collect();
    let mut judged: Vec<(&str, f64, f64)> = vec![("", 0.0, 0.0); data.records.len()];
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
        let (fallback, threshold) = same_line(model, &seen);
        let other = models::train(
            &seen,
            &ModelSpec { fallback, ..lineage.spec.clone() },
            equipment.resources(),
            DialogueSpec::default(),
            lineage.clone(),
            &Silent,
        )?;
        let held_out: Vec<usize> = (0..folds.len()).filter(|&i| folds[i] == fold).collect();
        let texts: Vec<&str> = held_out.iter().map(|&i| data.records[i].text.as_str()).collect();
        let (predictions, _) = other.predict_many(&texts);
        for ((&i, prediction), text) in held_out.iter().zip(&predictions).zip(&texts) {
            // What falls back above its own line is a text of which nothing is known.
            let unknown = prediction.fallback && prediction.score >= other.fallback().threshold;
            let falls_back = unknown || prediction.score < threshold;
            let intent = called(model, other.labels().name(prediction.intent), falls_back);
            judged[i] = (intent, prediction.confidence, other.unseen_word_rate(text));
        }
    }
    let texts = data.records.iter().map(|record| (record.text.as_str(), record.lang.as_deref()));
    Ok(drift::rows(texts, Some(judged)))
}

/// Returns the fallback of a model that learns from `seen` only, and the threshold to hold against its score: both as
/// `model` has them.
///
/// A part of the records may be too small to show the accuracy that was stated, or to learn what is out of scope. It
/// need not do the first, and where it cannot do the second, the confidence decides.
fn same_line(model: &IntentModel, seen: &[Sample<'_>]) -> (FallbackSpec, f64) {
    let (stated, rule) = (model.lineage().spec.fallback, model.fallback());
    let named = |score| FallbackSpec { score, target_accuracy: None, ..stated };
    let n_oos = seen.iter().filter(|sample| sample.intent == OOS).count();
    let fallback = named(rule.score.into());
    match fallback.learns_oos_class(n_oos) {
        Ok(_) => (fallback, rule.threshold),
        Err(_) => (named(ScoreChoice::MaxProbability), stated.threshold),
    }
}

/// Returns what the drift checks call a prediction: the model's own name of the intent, or `fallback`.
fn called<'a>(model: &'a IntentModel, intent: &str, fallback: bool) -> &'a str {
    match model.labels().index_of(intent) {
        Some(index) if !fallback => model.labels().name(index),
        _ => "fallback",
    }
}

/// Reads a dialogue and compiles it once, so that what is wrong is said, with its file, before anything is trained.
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
