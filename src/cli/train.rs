//! `botops train`.

mod arguments;
mod configuration;
mod cross_validation;
mod prepared;
mod seeds;
mod text;
mod trained;

pub(crate) use arguments::Args;

use super::Outcome;
use crate::cli::{
    session::{
        context::Context,
        provenance,
        recording::{self, Recording},
        training_data::{TrainingData, named},
    },
    terminal::{progress::Training, tables},
};
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, EvaluationReport, Metric, SeedSpread};
use botops_experiments::{Recipe, Recorded};
use botops_findings::{Fault, Result};
use botops_models::{
    TaggedKind, TrainingInput,
    confidence::{FallbackRule, ScoreComparison},
};
use botops_pipelines::{self as pipelines, Equipment};
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use prepared::Prepared;
use serde::Serialize;
use std::collections::BTreeMap;
use trained::Trained;

#[derive(Serialize)]
struct Answer {
    model: Option<String>,
    digest: Digest,
    size_bytes: u64,
    n_samples: u64,
    /// The records out of scope, if there are any or the configuration declares labels for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    n_oos: Option<u64>,
    intents: Vec<String>,
    /// The kinds of entities that the tagger learned.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entities: Vec<TaggedKind>,
    temperature: f64,
    fallback: FallbackRule,
    /// The comparison of the scores from which the deciding one was chosen, if there was a choice.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scores: Vec<ScoreComparison>,
    run: Option<String>,
    /// The newest earlier run with the same data, settings, code and result.
    #[serde(skip_serializing_if = "Option::is_none")]
    twin_of: Option<String>,
    metrics: BTreeMap<String, Metric>,
    evaluation: Option<EvaluationReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<SeedSpread>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    recording::check(context, args.record)?;
    if let Some(n_folds) = args.measuring.cross_validate {
        return cross_validation::run(args, n_folds, context);
    }
    check_flags(args)?;
    let prepared = Prepared::read(args, context)?;
    let began = provenance::now()?;
    let equipment = equipment(args, &prepared, context)?;
    let trained = train(args, &prepared, &equipment, context)?;
    let run = match !args.dry_run && recording::is_recorded(context, args.record)? {
        true => Some(record(&prepared, &trained, began, context)?),
        false => None,
    };
    // The cost differs from run to run, so it is not part of the answer.
    context.printer.say(&format!("took {}", tables::costs(&trained.costs)));
    let mut set_up = prepared.configuration.unused.clone();
    set_up.extend(equipment.findings());
    let (usable, spec) = (&prepared.training.usable, &prepared.configuration.spec);
    set_up.extend(pipelines::annotation_findings(&usable.accepted, &trained.model));
    let mut warnings = usable.unmatched_oos(spec);
    warnings.extend(usable.undeclared_oos(spec));
    if let Some((_, test)) = &prepared.test {
        warnings.extend(evaluation::data_warnings(&trained.model, test));
    }
    let notes = [set_up.as_slice(), &warnings].concat();
    let text = text::training(args, &prepared, &trained, &notes, run.as_ref());
    let left_out = &prepared.training.usable.left_out;
    let findings = [left_out.as_slice(), &notes, &trained.model.findings()].concat();
    Ok(outcome(args, &prepared, trained, run, text).findings(findings))
}

/// Refuses several configurations or seeds without data to measure them on.
fn check_flags(args: &Args) -> Result<()> {
    if args.config.len() > 1 {
        let message =
            format!("there is no data to compare {} configurations on", args.config.len());
        return Err(Fault::usage("BOT-3032", message)
            .hint("compare them on the training data: add `--cross-validate 5`"));
    }
    if args.measuring.repeat.is_some() && args.test.is_none() {
        return Err(Fault::usage("BOT-3032", "there is no data to compare several seeds on")
            .hint("add `--test test.csv`, or `--cross-validate 5`"));
    }
    Ok(())
}

/// Reads the encoder, and chooses the folder for checkpoints unless nothing is to be written.
fn equipment(args: &Args, prepared: &Prepared, context: &Context) -> Result<Equipment> {
    let spec = &prepared.configuration.spec;
    let equipment = context.equipment(spec)?;
    if args.dry_run {
        return Ok(equipment);
    }
    let folder = context.workspace()?.root.join(".botops").join("checkpoints");
    Ok(equipment.with_checkpoints(&folder, prepared.training.data.digest, spec))
}

/// Trains, writes the model, evaluates it, and repeats the training with other seeds if `--repeat` is set.
fn train(
    args: &Args,
    prepared: &Prepared,
    equipment: &Equipment,
    context: &Context,
) -> Result<Trained> {
    let progress = Training::new(&context.printer);
    let resources = equipment.resources();
    let input = TrainingInput {
        samples: &prepared.training.usable.samples(),
        spec: &prepared.configuration.spec,
        resources,
        dialogue: prepared.dialogue.clone(),
        lineage: prepared.lineage(),
        annotated: &pipelines::annotated(&prepared.training.usable.accepted),
        lookups: prepared.training.usable.accepted.lookups.clone(),
    };
    let model = pipelines::train_with_profile(input, &prepared.training.usable.accepted, &progress)
        .map_err(|fault| named(fault, &args.data))?;
    let bytes = model.to_bytes();
    let digest = Digest::of(&bytes);
    if !args.dry_run {
        args.model_file().write(&bytes)?;
    }
    let test = prepared.test.as_ref().map(|(_, test)| test);
    let evaluation = test.map(|test| evaluation::evaluate(&model, digest, test)).transpose()?;
    let costs = progress.costs();
    let mut trained = Trained { model, bytes, digest, evaluation, seeds: None, costs };
    if let (Some(n), Some(test)) = (args.measuring.repeat, test) {
        let first = (&trained.metrics(), test);
        let progress = Training::new(&context.printer);
        trained.seeds = Some(seeds::on_test(prepared, resources, first, n, &progress)?);
    }
    equipment.finish()?;
    Ok(trained)
}

/// Records the run with its data and its files.
fn record(
    prepared: &Prepared,
    trained: &Trained,
    began: DateTime<Utc>,
    context: &Context,
) -> Result<Recorded> {
    let spec = serde_json::to_value(&*prepared.configuration.spec).expect("a spec is valid JSON");
    let mut params = BTreeMap::new();
    pipelines::flatten("model", &spec, &mut params);
    let mut artifacts = vec![("model.botops", trained.bytes.clone().into())];
    if let Some(report) = &trained.evaluation {
        let report = serde_json::to_vec_pretty(report).expect("a report is valid JSON");
        artifacts.push(("evaluation.json", report.into()));
    }
    if let Some(seeds) = &trained.seeds {
        let seeds = serde_json::to_vec_pretty(seeds).expect("a spread is valid JSON");
        artifacts.push(("seeds.json", seeds.into()));
    }
    let TrainingData { input, data, usable } = &prepared.training;
    let recipe = Recipe {
        model: "model.botops".to_owned(),
        train: "train".to_owned(),
        dialogue: prepared.dialogue_input.as_ref().map(|_| "dialogue".to_owned()),
        spec,
        steps: pipelines::steps(data, Some(&usable.accepted), &trained.bytes)?,
    };
    let inputs = [
        Some(("train", input.clone())),
        prepared.test.as_ref().map(|(input, _)| ("test", input.clone())),
        prepared.dialogue_input.as_ref().map(|input| ("dialogue", input.clone())),
    ];
    let recording = Recording {
        kind: "train",
        began,
        params,
        metrics: trained.metrics(),
        measured_on: None,
        inputs: inputs.into_iter().flatten().collect(),
        artifacts,
        recipe: Some(recipe),
        costs: trained.costs.clone(),
    };
    recording::record(context, recording)
}

fn outcome(
    args: &Args,
    prepared: &Prepared,
    trained: Trained,
    run: Option<Recorded>,
    text: String,
) -> Outcome {
    let spec = &prepared.configuration.spec;
    let n_oos = prepared.training.usable.n_oos(spec);
    let metrics = trained.metrics();
    let Trained { model, bytes, digest, evaluation, seeds, .. } = trained;
    let file = args.out.shown();
    let answer = Answer {
        model: (!args.dry_run).then(|| file.clone()),
        digest,
        size_bytes: bytes.len() as u64,
        n_samples: prepared.training.usable.samples().len() as u64,
        n_oos: Some(n_oos).filter(|n| *n > 0 || !spec.oos_labels.is_empty()),
        intents: model.labels().iter().map(str::to_owned).collect(),
        entities: model.tagger().map_or_else(Vec::new, |tagger| tagger.kinds().to_vec()),
        temperature: model.temperature(),
        fallback: model.fallback(),
        scores: model.confidence().comparison().to_vec(),
        twin_of: run.as_ref().and_then(|run| run.twin_of.clone()),
        run: run.map(|run| run.id),
        metrics,
        evaluation,
        seeds,
    };
    let outcome = Outcome::done(&answer, text);
    match &args.test {
        _ if args.dry_run => outcome,
        Some(test) => {
            let test = test.display().to_string();
            let words = ["botops", "evaluate", &file, &test, "--html", "report.html"];
            outcome.next(args.columns.line(words))
        }
        None => outcome.next(shell_line(["botops", "predict", &file, "hello"])),
    }
}
