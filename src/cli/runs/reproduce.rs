//! `botops runs reproduce`.

mod answer;
mod arguments;
mod inputs;
mod text;

pub(super) use arguments::Args;

use crate::cli::{
    Exit, Outcome,
    session::{
        context::Context,
        outputs, provenance,
        training_data::{UsableRecords, samples},
    },
    terminal::progress::Training,
};
use answer::{Answer, Circumstance, Predictions, Remeasured};
use botops_datasets::Dataset;
use botops_digest::Digest;
use botops_evaluation as evaluation;
use botops_experiments::{Retraced, RunRecord, retrace};
use botops_files::{Output, OutputKind, output_name};
use botops_findings::{Finding, Result, Severity};
use botops_models::{self as models, HeadKind, IntentModel, KnownTexts, Lineage, TrainingInput};
use botops_pipelines::{self as pipelines, Equipment};
use botops_spec::Spec as _;
use botops_text::shell_line;
use inputs::Inputs;
use std::path::Path;

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    outputs::distinct(args.out.as_deref(), &[args.data.as_deref()])?;
    let output = args.out.as_deref().map(|path| Output::new(path, OutputKind::Model, args.force));
    output.map_or(Ok(()), |output| output.check())?;
    let run = context.wait(context.experiments()?.find(&args.id))??;
    let inputs = inputs::gather(args, context, &run)?;
    let (again, bytes, accepted) = train(context, &run, &inputs)?;
    let digest = Digest::of(&bytes);
    let identical = digest == inputs.digest;
    let steps = pipelines::steps(&inputs.data, accepted.as_ref(), &bytes)?;
    let steps = retrace(&inputs.steps, &steps, &inputs::UNRECORDED);
    let diverges_at = steps.iter().find(|step| !step.is_same());
    let (predictions, metrics) = match identical {
        true => (None, None),
        false => compare_models(context, &run, &inputs, &again, digest)?,
    };
    let model = output.filter(|_| identical && !args.dry_run);
    if let Some(output) = model {
        output.write(&bytes)?;
    }
    let answer = Answer {
        run: run.id.clone(),
        identical,
        diverges_at: diverges_at.filter(|_| !identical).map(|step| step.name.clone()),
        recorded: inputs.digest,
        again: digest,
        predictions,
        metrics,
        circumstances: circumstances(&run),
        model: model.map(|output| output_name(output.path())),
        steps: steps.clone(),
    };
    let n = samples(accepted.as_ref().unwrap_or(&inputs.data)).len() as u64;
    let outcome = Outcome::done(&answer, text::text(&answer, &inputs.data, n));
    if identical {
        return Ok(outcome);
    }
    let at = diverges_at.map_or("the file", Retraced::words);
    let finding = Finding::new(
        "BOT-5037",
        Severity::Error,
        format!("run `{}` cannot be reproduced: {at} is the first to differ", run.id),
        match answer.circumstances.as_slice() {
            [] => "no recorded condition has changed: please report it".to_owned(),
            found => {
                let changed: Vec<String> = found
                    .iter()
                    .map(|found| {
                        format!("{} was {}, now {}", found.name, found.recorded, found.now)
                    })
                    .collect();
                format!("changed since then: {}", changed.join("; "))
            }
        },
    );
    Ok(outcome
        .exit(Exit::Gate)
        .findings(vec![finding])
        .next(shell_line(["botops", "runs", "show", &run.id])))
}

/// Trains the model again; returns it with its file and, if records were left out, the records it was trained on.
fn train(
    context: &Context,
    run: &RunRecord,
    inputs: &Inputs,
) -> Result<(IntentModel, Vec<u8>, Option<Dataset>)> {
    let accepted = inputs.validated.then(|| UsableRecords::of(&inputs.data).accepted);
    let samples = samples(accepted.as_ref().unwrap_or(&inputs.data));
    let lineage = Lineage {
        data: Some(inputs.data.digest),
        // A model of an earlier version has no sample of the texts, and is made as it was.
        texts: inputs
            .model
            .as_ref()
            .is_none_or(|model| model.lineage().texts.is_some())
            .then(|| KnownTexts::of(samples.iter().map(|sample| sample.text))),
        n_samples: samples.len() as u64,
        spec: inputs.spec.clone(),
        // The version in the file is not a result of training; a different version is listed as a condition.
        botops: run.environment.botops.clone(),
    };
    // A model of an earlier version has no tagger, and is made as it was.
    let has_tagger = inputs.model.as_ref().is_none_or(|model| model.tagger().is_some());
    let learned_from = accepted.as_ref().unwrap_or(&inputs.data);
    let annotated = if has_tagger { pipelines::annotated(learned_from) } else { Vec::new() };
    // An earlier version did not learn from the lookup tables of a Rasa file.
    let mut lookups = learned_from.lookups.clone();
    if let Some(tagger) = inputs.model.as_ref().and_then(|model| model.tagger()) {
        lookups.retain(|name, _| tagger.lists().contains(name));
    }
    // The recorded model holds the encoder it was trained with, unless training fine-tuned the encoder.
    let kept = inputs.model.as_ref().and_then(|model| model.encoder());
    let equipment = match (kept, inputs.spec.head.kind) {
        (Some(encoder), kind) if kind != HeadKind::FineTuned => Equipment::with(Some(encoder)),
        _ => context.equipment(&inputs.spec)?,
    };
    let input = TrainingInput {
        samples: &samples,
        spec: &inputs.spec.clone().check()?,
        resources: equipment.resources(),
        dialogue: inputs.dialogue.clone(),
        lineage,
        annotated: &annotated,
        lookups,
    };
    let progress = Training::new(&context.printer);
    // A model of an earlier version has no reference profile, and is made as it was.
    let has_profile = inputs.model.as_ref().is_none_or(|model| model.reference().is_some());
    let model = match has_profile {
        true => pipelines::train_with_profile(input, learned_from, &progress)?,
        false => models::train(input, &progress)?,
    };
    let bytes = model.to_bytes();
    Ok((model, bytes, accepted))
}

/// Compares the predictions, then the metrics, of a model that differs.
fn compare_models(
    context: &Context,
    run: &RunRecord,
    inputs: &Inputs,
    again: &IntentModel,
    digest: Digest,
) -> Result<(Option<Predictions>, Option<Vec<Remeasured>>)> {
    let test = inputs::test_data(context, run)?;
    let (on, data) = match &test {
        Some(test) => ("test", test),
        None => ("train", &inputs.data),
    };
    let predictions = inputs.model.as_ref().map(|model| predictions(on, data, model, again));
    let metrics = match test.filter(|_| !run.metrics.is_empty()) {
        Some(test) => {
            let now = evaluation::evaluate(again, digest, &test)?.metrics;
            let names: std::collections::BTreeSet<&String> =
                run.metrics.keys().chain(now.keys()).collect();
            let value = |metrics: &std::collections::BTreeMap<_, evaluation::Metric>, name| {
                metrics.get(name).map(|metric| metric.value)
            };
            let remeasured = names.into_iter().map(|name| Remeasured {
                name: name.clone(),
                recorded: value(&run.metrics, name),
                again: value(&now, name),
            });
            Some(remeasured.filter(|metric| metric.recorded != metric.again).collect())
        }
        None => None,
    };
    Ok((predictions, metrics))
}

fn predictions(
    on: &'static str,
    data: &Dataset,
    before: &IntentModel,
    again: &IntentModel,
) -> Predictions {
    let texts: Vec<&str> = data.records.iter().map(|record| record.text.as_str()).collect();
    let (first, _) = before.predict_many(&texts);
    let (second, _) = again.predict_many(&texts);
    let pairs = || first.iter().zip(&second);
    let alike = pairs().filter(|(first, second)| {
        before.labels().name(first.intent) == again.labels().name(second.intent)
    });
    Predictions {
        on,
        n: texts.len() as u64,
        same_intent: alike.count() as u64,
        max_confidence_difference: pairs()
            .map(|(first, second)| (first.confidence - second.confidence).abs())
            .fold(0.0, f64::max),
    }
}

/// Lists the conditions that differ from those of the run, and uncommitted changes, which nobody recorded.
fn circumstances(run: &RunRecord) -> Vec<Circumstance> {
    let (code, machine) = (provenance::code_state(Path::new(".")), provenance::environment());
    let then = &run.environment;
    let commit = |commit: &Option<String>| commit.clone().unwrap_or_else(|| "none".to_owned());
    let all = [
        ("botops", then.botops.clone(), machine.botops),
        ("platform", then.platform.clone(), machine.platform),
        ("cores", then.cores.to_string(), machine.cores.to_string()),
        ("git_commit", commit(&run.code.git_commit), commit(&code.git_commit)),
    ];
    let mut found: Vec<Circumstance> = all
        .into_iter()
        .filter(|(_, recorded, now)| recorded != now)
        .map(|(name, recorded, now)| Circumstance { name, recorded, now })
        .collect();
    if run.code.git_dirty == Some(true) {
        found.push(Circumstance {
            name: "uncommitted changes",
            recorded: "some, not recorded".to_owned(),
            now: if code.git_dirty == Some(true) { "some" } else { "none" }.to_owned(),
        });
    }
    found
}
