//! Trains the model of a stage, with checkpoints and progress.

use super::work::Work;
use crate::{
    annotations::annotated,
    events::{Event, Listener},
    manifest::read_dialogue,
    resources::Equipment,
    training::train_with_profile,
};
use botops_datasets::Dataset;
use botops_dialogue::DialogueSpec;
use botops_findings::Result;
use botops_models::{IntentModel, KnownTexts, Lineage, ModelSpec, Progress, Sample, TrainingInput};
use botops_spec::Spec as _;
use std::path::Path;

/// The name of the checkpoint folder, beside the folders of the stages. No stage can have this name: it contains a dot.
const CHECKPOINTS: &str = "checkpoints.d";

/// Reports the progress of a training as events of its stage.
struct StageProgress<'a> {
    listener: &'a dyn Listener,
    stage: &'a str,
}

impl Progress for StageProgress<'_> {
    fn begin(&self, phase: &'static str, total: u64) {
        let stage = self.stage.to_owned();
        self.listener.hear(&Event::Phase { stage, phase: phase.to_owned(), total });
    }

    fn advance(&self, done: u64) {
        self.listener.hear(&Event::Advanced { stage: self.stage.to_owned(), steps: done });
    }

    fn finish(&self) {}

    fn note(&self, message: &str) {
        self.listener.hear(&Event::Note { message: message.to_owned() });
    }
}

/// Trains a model on `data` and reports the progress to the listener.
///
/// Also returns the equipment of the training: call [`Equipment::finish`] once the model is written.
pub(super) async fn fit(
    work: &Work<'_>,
    stage: &str,
    data: &Dataset,
    model: &ModelSpec,
    dialogue: Option<&Path>,
) -> Result<(IntentModel, Equipment)> {
    let dialogue: DialogueSpec = match dialogue {
        Some(path) => read_dialogue(&work.services.root.join(path))?,
        None => DialogueSpec::default(),
    };
    let spec = model.clone().check()?;
    let samples = samples(data);
    let lineage = Lineage {
        data: Some(data.digest),
        texts: Some(KnownTexts::of(samples.iter().map(|sample| sample.text))),
        n_samples: samples.len() as u64,
        spec: model.clone(),
        botops: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let progress = StageProgress { listener: work.services.listener, stage };
    let checkpoints = work.folder.own(CHECKPOINTS);
    let equipment = work.services.encoders.prepare(model, &progress).await?;
    let equipment = equipment.with_checkpoints(&checkpoints, data.digest, model);
    let resources = equipment.resources();
    let annotated = annotated(data);
    let input = TrainingInput {
        samples: &samples,
        spec: &spec,
        resources,
        dialogue,
        lineage,
        annotated: &annotated,
        lookups: data.lookups.clone(),
    };
    let trained = train_with_profile(input, data, &progress)?;
    Ok((trained, equipment))
}

/// Returns the records of `data` that have an intent, as training samples.
fn samples(data: &Dataset) -> Vec<Sample<'_>> {
    data.records
        .iter()
        .filter_map(|record| Some(Sample { text: &record.text, intent: record.intent.as_deref()? }))
        .collect()
}
