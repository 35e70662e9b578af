//! The inputs to train the model of a run again: from the record, the store, and the flags.

use super::{super::run_text::no_model, arguments::Args};
use crate::cli::{arguments::data_args::format, session::context::Context};
use botops_datasets::{
    self as datasets, Dataset, Encoding, Presence, ReadOptions, formats::csv::delimiter,
};
use botops_dialogue::DialogueSpec;
use botops_digest::Digest;
use botops_experiments::{Experiments, RunRecord, Source, Step};
use botops_findings::{Fault, Result};
use botops_models::{self as models, IntentModel, ModelSpec};
use botops_spec as spec;
use botops_text::shell_line;
use bytes::Bytes;

/// The steps that are missing in records made before recipes existed.
pub(super) const UNRECORDED: [&str; 2] = ["records", "accepted"];

/// The inputs to train a model again.
pub(super) struct Inputs {
    /// The training data.
    pub(super) data: Dataset,
    /// Whether the data was validated, and rejected records were left out.
    pub(super) validated: bool,
    /// The settings of the model.
    pub(super) spec: ModelSpec,
    /// The dialogue in the model.
    pub(super) dialogue: DialogueSpec,
    /// The digest of the recorded model file.
    pub(super) digest: Digest,
    /// The recorded model, if the store still has it.
    pub(super) model: Option<IntentModel>,
    /// The recorded steps.
    pub(super) steps: Vec<Step>,
}

/// Collects the inputs of `run`.
pub(super) fn gather(args: &Args, context: &Context, run: &RunRecord) -> Result<Inputs> {
    let experiments = context.experiments()?;
    let artifact = run.model().ok_or_else(|| no_model(run))?;
    let bytes = match context.wait(experiments.artifact(artifact))? {
        Err(fault) if fault.code() == "BOT-5004" => None,
        bytes => Some(bytes?),
    };
    let model = bytes.as_deref().map(IntentModel::from_bytes).transpose()?;
    let spec = match (&run.recipe, &model) {
        (Some(recipe), _) => recorded_spec(run, &recipe.spec)?,
        (None, Some(model)) => model.lineage().spec.clone(),
        (None, None) => {
            let message = format!(
                "the model of run `{}` is missing from the store, and with it the settings",
                run.id
            );
            return Err(Fault::internal("BOT-5004", message)
                .file(experiments.store().url())
                .hint("restore the store from a backup"));
        }
    };
    let train = run.recipe.as_ref().map_or("train", |recipe| recipe.train.as_str());
    let recorded = run.data.get(train).copied();
    let learned_from = recorded.or_else(|| model.as_ref()?.lineage().data).ok_or_else(|| {
        let message = format!("the record of run `{}` does not name its training data", run.id);
        Fault::usage("BOT-5034", message).hint("train again: `botops train train.csv --record`")
    })?;
    let stored = Stored { context, experiments: &experiments, run };
    let data = stored.training_data(args, train, learned_from)?;
    let steps = match (&run.recipe, &bytes) {
        (Some(recipe), _) => recipe.steps.clone(),
        (None, bytes) => older_steps(learned_from, artifact.digest, bytes.as_deref())?,
    };
    Ok(Inputs {
        data,
        validated: match &run.recipe {
            Some(recipe) => recipe.steps.iter().any(|step| step.name == "accepted"),
            None => run.stages.is_empty(),
        },
        spec,
        dialogue: stored.dialogue(model.as_ref())?,
        digest: artifact.digest,
        model,
        steps,
    })
}

fn recorded_spec(run: &RunRecord, spec: &serde_json::Value) -> Result<ModelSpec> {
    serde_json::from_value(spec.clone()).map_err(|error| {
        let message = format!(
            "run `{}` was made by botops {}, with settings that this one does not know: {error}",
            run.id, run.environment.botops
        );
        Fault::policy("BOT-5007", message).hint("use the version of botops that made the run")
    })
}

/// Returns the steps of a record without a recipe, from its data and its model.
fn older_steps(data: Digest, file: Digest, model: Option<&[u8]>) -> Result<Vec<Step>> {
    let parts = model.map(models::part_digests).transpose()?.unwrap_or_default();
    let steps = std::iter::once(("data".to_owned(), data))
        .chain(parts)
        .chain([("file".to_owned(), file)])
        .map(|(name, digest)| Step { name, digest });
    Ok(steps.collect())
}

/// The inputs of a run in the store.
struct Stored<'a> {
    context: &'a Context,
    experiments: &'a Experiments,
    run: &'a RunRecord,
}

impl Stored<'_> {
    /// Reads the training data, which is the input `name`: the file of `--data` if it has this digest, else the stored one.
    fn training_data(&self, args: &Args, name: &str, digest: Digest) -> Result<Dataset> {
        let source = self.run.sources.get(name);
        let flags = args.columns.options(Presence::Required);
        let Some(path) = &args.data else {
            return read(&self.bytes(name, digest)?, source, None, flags);
        };
        let bytes = Bytes::from(datasets::bytes(path)?);
        let found = Digest::of(&bytes);
        if found != digest {
            let message = format!(
                "`{}` is not the training data of run `{}`: its digest is {}, not {}",
                path.display(),
                self.run.id,
                found.short(),
                digest.short()
            );
            let fault = Fault::data("BOT-5036", message).file(path);
            return Err(match self.run.stages.is_empty() {
                true => fault.hint("find the original file: every byte must be the same"),
                false => fault.hint(
                    "a pipeline trains on one side of its split: `.botops/pipelines/NAME/split/train.csv`",
                ),
            });
        }
        read(&bytes, source, Some(&path.display().to_string()), flags)
    }

    /// Returns the bytes of the input `name` from the store.
    ///
    /// # Errors
    /// `BOT-5035` (exit 2) when the store does not have them.
    fn bytes(&self, name: &str, digest: Digest) -> Result<Bytes> {
        let Self { run, experiments, .. } = self;
        let missing = |why: &str| {
            let command = ["botops", "runs", "reproduce", &run.id, "--data", "FILE"];
            Fault::usage("BOT-5035", format!("the data of run `{}` {why}", run.id)).hint(format!(
                "name the file whose digest begins with {}: `{}`",
                digest.short(),
                shell_line(command)
            ))
        };
        if !run.sources.get(name).is_some_and(|source| source.kept) {
            return Err(missing("was not stored"));
        }
        match self.context.wait(experiments.store().blob(&digest))? {
            Err(fault) if fault.code() == "BOT-5004" => {
                Err(missing("is missing from the store").file(experiments.store().url()))
            }
            bytes => bytes,
        }
    }

    /// Returns the dialogue: from the stored file, else from the model.
    fn dialogue(&self, model: Option<&IntentModel>) -> Result<DialogueSpec> {
        let run = self.run;
        let name = run.recipe.as_ref().and_then(|recipe| recipe.dialogue.as_deref());
        let Some((name, digest)) = name.and_then(|name| Some((name, run.data.get(name)?))) else {
            return Ok(model.map(|model| model.dialogue().clone()).unwrap_or_default());
        };
        match (self.bytes(name, *digest), model) {
            (Ok(bytes), _) => {
                let file = run.sources.get(name).map_or(name, |source| source.file.as_str());
                spec::parse(&String::from_utf8_lossy(&bytes), file)
            }
            (Err(fault), Some(model)) if fault.code() == "BOT-5035" => Ok(model.dialogue().clone()),
            (Err(fault), _) => Err(fault),
        }
    }
}

/// Reads records with the columns of the record; flags override them.
fn read(
    bytes: &[u8],
    source: Option<&Source>,
    given: Option<&str>,
    flags: ReadOptions,
) -> Result<Dataset> {
    let known = source.cloned().unwrap_or_default();
    let options = ReadOptions {
        text_column: flags.text_column.or(known.text_column),
        intent_column: flags.intent_column.or(known.intent_column),
        lang_column: flags.lang_column.or(known.lang_column),
        intent: Presence::Required,
        format: flags.format.or_else(|| format(known.format.as_deref()?).ok()),
        delimiter: flags.delimiter.or_else(|| delimiter(known.delimiter.as_deref()?).ok()),
        encoding: match known.encoding.as_deref().and_then(Encoding::of_name) {
            Some(encoding) if flags.encoding == Encoding::default() => encoding,
            _ => flags.encoding,
        },
        ..flags
    };
    let name = if known.file.is_empty() { given.unwrap_or_default() } else { &known.file };
    datasets::read_bytes(bytes, name, &options)
}

/// Returns the test data of `run`, if the store keeps it.
pub(super) fn test_data(context: &Context, run: &RunRecord) -> Result<Option<Dataset>> {
    let (Some(digest), Some(source)) = (run.data.get("test"), run.sources.get("test")) else {
        return Ok(None);
    };
    let experiments = context.experiments()?;
    match (Stored { context, experiments: &experiments, run }).bytes("test", *digest) {
        Err(fault) if fault.code() == "BOT-5035" => Ok(None),
        bytes => read(&bytes?, Some(source), None, ReadOptions::default()).map(Some),
    }
}
