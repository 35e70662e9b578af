//! Everything that a training reads, checked.

use super::{arguments::Args, configuration::Configuration};
use crate::cli::session::{
    context::Context, outputs, recording::Input, training_data::TrainingData,
};
use botops_datasets::Dataset;
use botops_dialogue::DialogueSpec;
use botops_findings::Result;
use botops_models::{KnownTexts, Lineage};
use botops_pipelines as pipelines;
use std::path::PathBuf;

/// Everything that a training reads, checked.
pub(super) struct Prepared {
    pub(super) configuration: Configuration,
    pub(super) dialogue: DialogueSpec,
    pub(super) training: TrainingData,
    pub(super) test: Option<(Input, Dataset)>,
    pub(super) dialogue_input: Option<Input>,
}

impl Prepared {
    pub(super) fn read(args: &Args, context: &Context) -> Result<Self> {
        let config = args.config.first().map(PathBuf::as_path);
        let data = Some(args.data.as_path());
        let inputs = [data, args.test.as_deref(), config, args.dialogue.as_deref()];
        outputs::distinct(Some(&args.out), &inputs)?;
        args.model_file().check()?;
        let configuration = Configuration::all(args, context)?.swap_remove(0);
        let dialogue = match &args.dialogue {
            Some(path) => pipelines::read_dialogue(path)?,
            None => DialogueSpec::default(),
        };
        let training = TrainingData::read(context, &args.data, &args.columns)?;
        let test = args.test.as_deref().map(|path| Input::data(context, path, &args.columns));
        let dialogue_input = args.dialogue.as_deref().map(Input::read);
        Ok(Self {
            configuration,
            dialogue,
            training,
            test: test.transpose()?,
            dialogue_input: dialogue_input.transpose()?,
        })
    }

    /// Returns the origin of the model, which its file keeps.
    pub(super) fn lineage(&self) -> Lineage {
        let samples = self.training.usable.samples();
        Lineage {
            data: Some(self.training.data.digest),
            texts: Some(KnownTexts::of(samples.iter().map(|sample| sample.text))),
            n_samples: samples.len() as u64,
            spec: (*self.configuration.spec).clone(),
            botops: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
