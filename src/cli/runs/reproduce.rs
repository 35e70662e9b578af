//! `botops runs reproduce`.

pub(crate) mod inputs;

mod text;

use crate::cli::{
    Exit, Outcome,
    arguments::data_args::DataArgs,
    session::context::{self, Context},
    terminal::progress::Training,
    train::samples,
};
use botops_datasets::Dataset;
use botops_digest::Digest;
use botops_evaluation as evaluation;
use botops_expectations::Expectations;
use botops_experiments::{Retraced, RunRecord, retrace};
use botops_findings::{Finding, Result, Severity};
use botops_models::{self as models, HeadKind, IntentModel, Lineage};
use botops_pipelines::{self as pipelines, Equipment};
use botops_text::shell_line;
use inputs::Material;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The run: its id, the unique beginning of one, or `latest`
    id: String,
    /// Its training data, where the store does not keep it: the very file
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Write the model here, if it came out the same to the byte
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Retrain and compare, but write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer {
    run: String,
    /// Whether the model came out the same to the byte.
    identical: bool,
    /// The first step that came out differently.
    diverges_at: Option<String>,
    /// Digest of the model file as recorded.
    recorded: Digest,
    /// Digest of the model file as it came out again.
    again: Digest,
    steps: Vec<Retraced>,
    /// Of a model that diverges: what both say of the same texts.
    predictions: Option<Predictions>,
    /// Of a model that diverges: metrics that are not what they were.
    metrics: Option<Vec<Remeasured>>,
    /// What is not as it was when the run was made.
    circumstances: Vec<Circumstance>,
    /// Where the model was written.
    model: Option<String>,
}

/// What two models say of the same texts.
#[derive(Serialize)]
struct Predictions {
    /// `test` or `train`.
    on: &'static str,
    n: u64,
    /// Texts that both give the same intent.
    same_intent: u64,
    /// The largest difference in confidence.
    max_confidence_difference: f64,
}

/// A metric that is not what it was.
#[derive(Serialize)]
struct Remeasured {
    name: String,
    recorded: Option<f64>,
    again: Option<f64>,
}

/// Something that was otherwise.
#[derive(Serialize)]
struct Circumstance {
    name: &'static str,
    recorded: String,
    now: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    context::distinct(args.out.as_deref(), &[args.data.as_deref()])?;
    let run = context.wait(context.experiments()?.find(&args.id))??;
    let material = inputs::gather(args, context, &run)?;
    let (again, bytes, accepted) = train(context, &run, &material)?;
    let digest = Digest::of(&bytes);
    let identical = digest == material.digest;
    let steps = pipelines::steps(&material.data, accepted.as_ref(), &bytes)?;
    let steps = retrace(&material.steps, &steps, &inputs::UNRECORDED);
    let diverges_at = steps.iter().find(|step| !step.is_same());
    let (predictions, metrics) = match identical {
        true => (None, None),
        false => look_closer(context, &run, &material, &again, digest)?,
    };
    let model = args.out.as_ref().filter(|_| identical && !args.dry_run);
    if let Some(path) = model {
        context::write_file(path, &bytes)?;
    }
    let answer = Answer {
        run: run.id.clone(),
        identical,
        diverges_at: diverges_at.filter(|_| !identical).map(|step| step.name.clone()),
        recorded: material.digest,
        again: digest,
        predictions,
        metrics,
        circumstances: circumstances(&run),
        model: model.map(|path| path.display().to_string()),
        steps: steps.clone(),
    };
    let n = samples(accepted.as_ref().unwrap_or(&material.data)).len() as u64;
    let outcome = Outcome::done(&answer, text::text(&answer, &material.data, n));
    if identical {
        return Ok(outcome);
    }
    let at = diverges_at.map_or("the file", Retraced::words);
    let finding = Finding::new(
        "BOT-5037",
        Severity::Error,
        format!("run `{}` does not come out again: {at} is the first thing to differ", run.id),
        match answer.circumstances.as_slice() {
            [] => "nothing that was recorded is otherwise now: please report it".to_owned(),
            found => {
                let changed: Vec<String> = found
                    .iter()
                    .map(|found| {
                        format!("{} was {}, now {}", found.name, found.recorded, found.now)
                    })
                    .collect();
                format!("otherwise than then: {}", changed.join("; "))
            }
        },
    );
    Ok(outcome
        .exit(Exit::Gate)
        .findings(vec![finding])
        .next(shell_line(["botops", "runs", "show", &run.id])))
}

/// Makes the model again; returns it with its file and, where some were left out, the records it learned from.
fn train(
    context: &Context,
    run: &RunRecord,
    material: &Material,
) -> Result<(IntentModel, Vec<u8>, Option<Dataset>)> {
    let accepted = material.validated.then(|| {
        let mut validation =
            botops_validation::validate(&material.data, &Expectations::default(), None);
        validation.accepted.take().expect("validation returns the accepted records")
    });
    let samples = samples(accepted.as_ref().unwrap_or(&material.data));
    let lineage = Lineage {
        data: Some(material.data.digest),
        n_samples: samples.len() as u64,
        spec: material.spec.clone(),
        // What the file says of its maker is no outcome of training: another version is told as a circumstance.
        botops: run.environment.botops.clone(),
    };
    // The encoder that the recorded model holds is the one it learned with, unless it was fine-tuned since.
    let kept = material.model.as_ref().and_then(|model| model.encoder());
    let equipment = match (kept, material.spec.head.kind) {
        (Some(encoder), kind) if kind != HeadKind::FineTuned => Equipment::with(Some(encoder)),
        _ => context.equipment(&material.spec)?,
    };
    let model = models::train(
        &samples,
        &material.spec,
        equipment.resources(),
        material.dialogue.clone(),
        lineage,
        &Training::new(&context.printer),
    )?;
    let bytes = model.to_bytes();
    Ok((model, bytes, accepted))
}

/// Compares predictions, then metrics, of a model that came out differently.
fn look_closer(
    context: &Context,
    run: &RunRecord,
    material: &Material,
    again: &IntentModel,
    digest: Digest,
) -> Result<(Option<Predictions>, Option<Vec<Remeasured>>)> {
    let test = inputs::test_data(context, run)?;
    let (on, data) = match &test {
        Some(test) => ("test", test),
        None => ("train", &material.data),
    };
    let predictions = material.model.as_ref().map(|model| predictions(on, data, model, again));
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

/// Lists what is not as it was when the run was made, and what of it nobody can know.
fn circumstances(run: &RunRecord) -> Vec<Circumstance> {
    let (code, machine) = (context::code_state(), context::environment());
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
            recorded: "some, which nobody kept".to_owned(),
            now: if code.git_dirty == Some(true) { "some" } else { "none" }.to_owned(),
        });
    }
    found
}
