//! The manifest of a model to register.

use super::params::flatten;
use botops_dialogue::{DIALOGUE_VERSION, Dialogue, DialogueSpec};
use botops_digest::Digest;
use botops_evaluation::Metric;
use botops_findings::Result;
use botops_models::IntentModel;
use botops_registry::{Manifest, ManifestFile};
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
            } else if botops_registry::knowledge_name(path).is_some() {
                botops_registry::KNOWLEDGE_MEDIA_TYPE
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

/// Reads a dialogue and compiles it once, so that its errors are reported, with the file, before a training starts.
///
/// # Errors
/// Those of [`botops_spec::read_versioned`] (`BOT-1015`, exit 6, for the file of a newer botops), [`Dialogue::compile`] and
/// [`Dialogue::check_stories`].
pub fn read_dialogue(path: &Path) -> Result<DialogueSpec> {
    let mut dialogue: DialogueSpec = botops_spec::read_versioned(path, DIALOGUE_VERSION)?;
    // It describes the file, and a model has a version of its own.
    dialogue.version = None;
    let checked =
        Dialogue::compile(&dialogue).and_then(|compiled| compiled.check_stories(&dialogue.tests));
    match checked {
        Ok(()) => Ok(dialogue),
        Err(fault) => {
            let file = Some(path.display().to_string());
            let place = botops_findings::Place { file, ..fault.place().clone() };
            Err(fault.at(place))
        }
    }
}
