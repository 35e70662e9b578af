//! What is said of a model to be registered, and of utterances to be compared.

use super::run::flatten;
use crate::{
    digest::Digest,
    drift::{self, Row},
    evaluation::Metric,
    models::IntentModel,
    registry::{Manifest, ManifestFile},
};
use std::collections::BTreeMap;

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
                let intent = if prediction.fallback {
                    "fallback"
                } else {
                    model.labels().name(prediction.intent)
                };
                (intent, prediction.confidence, model.unseen_word_rate(text))
            })
            .collect()
    });
    drift::rows(texts.iter().map(|(text, lang)| (text.as_str(), lang.as_deref())), judged)
}
