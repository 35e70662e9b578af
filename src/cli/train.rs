//! `botops train`.

mod cross_validation;
mod seeds;

use super::Outcome;
use crate::cli::{
    arguments::data_args::DataArgs,
    session::{
        context::{self, Context},
        recording::{self, Input, Recording},
    },
    terminal::{progress::Training, tables},
};
use botops_datasets::Dataset;
use botops_dialogue::DialogueSpec;
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, EvaluationReport, Metric, SeedSpread};
use botops_expectations::Expectations;
use botops_experiments::Recipe;
use botops_features::{EncoderSpec, FeatureKind, HubSource};
use botops_findings::{Fault, FaultKind, Finding, Result};
use botops_models::{
    self as models, HeadKind, IntentModel, Lineage, ModelSpec, Sample,
    confidence::{FallbackRule, OosScore, ScoreComparison},
};
use botops_pipelines as pipelines;
use botops_text::shell_line;
use cross_validation::Measuring;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Train a model from a data set.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Training data: CSV, TSV, JSONL or Parquet, or a file of a snapshot such as support@3:train.csv
    data: PathBuf,
    /// Where to write the model
    #[arg(long, short, value_name = "FILE", default_value = "model.botops")]
    out: PathBuf,
    /// Evaluate on this data at once
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// What to train, in YAML (`features`, `head`, `fallback`, `conformal`, `seed`, `goldens`); several to be compared
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// The classifier: overrides the configuration
    #[arg(long, value_enum, value_name = "KIND")]
    head: Option<Head>,
    /// The encoder whose embeddings to learn from, a folder or `hf://owner/name`: overrides the configuration
    #[arg(long, value_name = "SOURCE")]
    encoder: Option<String>,
    /// Seed of everything random: overrides the configuration
    #[arg(long)]
    seed: Option<u64>,
    /// Entities and responses to put into the model, in YAML
    #[arg(long, value_name = "FILE")]
    dialogue: Option<PathBuf>,
    /// Record the run in the experiments store, with its data (a workspace always does)
    #[arg(long)]
    record: bool,
    /// Train, but write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    columns: DataArgs,
}

/// The classifiers.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Head {
    /// One-vs-rest linear SVM
    LinearSvm,
    /// Multinomial logistic regression
    LogisticRegression,
    /// Complement naive Bayes
    ComplementNaiveBayes,
    /// Bagged decision trees
    RandomForest,
    /// A linear layer learned together with the encoder
    FineTuned,
}

#[derive(Serialize)]
struct Answer {
    model: Option<String>,
    digest: Digest,
    size_bytes: u64,
    n_samples: u64,
    intents: Vec<String>,
    temperature: f64,
    fallback: FallbackRule,
    /// How the scores did from which the deciding one was chosen, where one was.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scores: Vec<ScoreComparison>,
    run: Option<String>,
    metrics: BTreeMap<String, Metric>,
    evaluation: Option<EvaluationReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<SeedSpread>,
}

/// Returns `spec` with what the flags set.
fn overridden(args: &Args, mut spec: ModelSpec, context: &Context) -> Result<ModelSpec> {
    if let Some(head) = args.head {
        spec.head.kind = match head {
            Head::LinearSvm => HeadKind::LinearSvm,
            Head::LogisticRegression => HeadKind::LogisticRegression,
            Head::ComplementNaiveBayes => HeadKind::ComplementNaiveBayes,
            Head::RandomForest => HeadKind::RandomForest,
            Head::FineTuned => HeadKind::FineTuned,
        };
    }
    if let Some(source) = &args.encoder {
        let source = &from_root(source, context)?;
        let features = &mut spec.features;
        match &mut features.encoder {
            Some(encoder) => encoder.source.clone_from(source),
            None => features.encoder = Some(EncoderSpec::new(source)),
        }
        if features.kind == FeatureKind::Tfidf {
            features.kind = FeatureKind::Encoder;
        }
    }
    if let Some(seed) = args.seed {
        spec.seed = seed;
    }
    Ok(spec)
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if let Some(n_folds) = args.measuring.cross_validate {
        return cross_validation::run(args, n_folds, context);
    }
    if args.config.len() > 1 {
        let message =
            format!("{} configurations, and nothing to compare them on", args.config.len());
        return Err(Fault::usage("BOT-3032", message)
            .hint("compare them on the data itself: add `--cross-validate 5`"));
    }
    if args.measuring.repeat.is_some() && args.test.is_none() {
        return Err(Fault::usage("BOT-3032", "several seeds, and nothing to measure them on")
            .hint("add `--test test.csv`, or `--cross-validate 5`"));
    }
    let inputs = [
        Some(args.data.as_path()),
        args.test.as_deref(),
        args.config.first().map(PathBuf::as_path),
        args.dialogue.as_deref(),
    ];
    context::distinct(Some(&args.out), &inputs)?;
    let (_, model_spec) = cross_validation::configurations(args, context)?.swap_remove(0);
    let dialogue: DialogueSpec = match &args.dialogue {
        Some(path) => pipelines::read_dialogue(path)?,
        None => DialogueSpec::default(),
    };
    let (train_input, data) = Input::data(context, &args.data, &args.columns)?;
    // What is no use to learn from is left out, and said to be.
    let mut validation = botops_validation::validate(&data, &Expectations::default(), None);
    let accepted = validation.accepted.take().expect("validation returns the accepted records");
    let mut left_out: Vec<Finding> =
        validation.rejected.iter().flat_map(|rejected| rejected.reasons.iter().cloned()).collect();
    let (test_input, test) = match &args.test {
        Some(path) => Some(Input::data(context, path, &args.columns)?).unzip(),
        None => (None, None),
    };
    let dialogue_input = args.dialogue.as_deref().map(Input::read).transpose()?;
    let samples = samples(&accepted);
    let lineage = Lineage {
        data: Some(data.digest),
        n_samples: samples.len() as u64,
        spec: model_spec.clone(),
        botops: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let began = context::now()?;
    let root = &context.workspace()?.root;
    let mut equipment = context.equipment(&model_spec)?;
    if !args.dry_run {
        let folder = root.join(".botops").join("checkpoints");
        equipment = equipment.with_checkpoints(&folder, data.digest, &model_spec);
    }
    let training = Training::new(&context.printer);
    let resources = equipment.resources();
    let model =
        models::train(&samples, &model_spec, resources, dialogue, lineage.clone(), &training)
            .map_err(|fault| {
                if fault.kind() == FaultKind::Usage { fault } else { fault.file(&args.data) }
            })?;
    let bytes = model.to_bytes();
    let digest = Digest::of(&bytes);
    if !args.dry_run {
        context::write_file(&args.out, &bytes)?;
    }
    let evaluation = match &test {
        Some(test) => Some(evaluation::evaluate(&model, digest, test)?),
        None => None,
    };
    let metrics = evaluation.as_ref().map(|report| report.metrics.clone()).unwrap_or_default();
    let seeds = match (args.measuring.repeat, &test) {
        (Some(n), Some(test)) => Some(seeds::on_test(
            &samples,
            resources,
            (&model_spec, &lineage),
            (&metrics, test),
            n,
            &Training::new(&context.printer),
        )?),
        _ => None,
    };
    equipment.finish()?;
    let run = if !args.dry_run && recording::is_wanted(context, args.record)? {
        let mut params = BTreeMap::new();
        let spec = serde_json::to_value(&model_spec).expect("a spec is valid JSON");
        pipelines::flatten("model", &spec, &mut params);
        let mut artifacts = vec![("model.botops", bytes.clone().into())];
        if let Some(report) = &evaluation {
            let report = serde_json::to_vec_pretty(report).expect("a report is valid JSON");
            artifacts.push(("evaluation.json", report.into()));
        }
        if let Some(seeds) = &seeds {
            let seeds = serde_json::to_vec_pretty(seeds).expect("a spread is valid JSON");
            artifacts.push(("seeds.json", seeds.into()));
        }
        let recipe = Recipe {
            model: "model.botops".to_owned(),
            train: "train".to_owned(),
            dialogue: dialogue_input.as_ref().map(|_| "dialogue".to_owned()),
            spec,
            steps: pipelines::steps(&data, Some(&accepted), &bytes)?,
        };
        let inputs = [
            Some(("train", train_input)),
            test_input.map(|input| ("test", input)),
            dialogue_input.map(|input| ("dialogue", input)),
        ];
        Some(recording::record(
            context,
            Recording {
                kind: "train",
                began,
                params,
                metrics: metrics.clone(),
                measured_on: None,
                inputs: inputs.into_iter().flatten().collect(),
                artifacts,
                recipe: Some(recipe),
                costs: training.costs(),
            },
        )?)
    } else {
        None
    };
    let mut text = format!(
        "{}: {} on {} features, {} intents from {} records, temperature {:.3}, {} kB, {}\n",
        if args.dry_run {
            "not written (dry run)".to_owned()
        } else {
            args.out.display().to_string()
        },
        model_spec.head.kind.name(),
        model_spec.features.kind.name(),
        model.labels().len(),
        tables::count(samples.len() as u64),
        model.temperature(),
        tables::count(bytes.len().div_ceil(1_000) as u64),
        digest.short()
    );
    text.push_str(&confidence(&model));
    // What a moment costs is no part of the answer, which the same data give again.
    context.printer.say(&format!("took {}", tables::costs(&training.costs())));
    if !validation.rejected.is_empty() {
        text.push_str(&format!(
            "left out {} of {} records:\n",
            validation.records_rejected, validation.records_in
        ));
        text.push_str(&tables::findings(&left_out, 3));
    }
    let mut set_up = cross_validation::unused(args)?;
    set_up.extend(equipment.findings());
    text.push_str(&tables::findings(&set_up, 3));
    left_out.extend(set_up);
    if let (Some(report), Some(test)) = (&evaluation, &test) {
        text.push_str(&format!("on {}: {} utterances\n", test.name, tables::count(report.n)));
        text.push_str(&tables::metrics(&report.metrics));
    }
    if let Some(seeds) = &seeds {
        text.push_str(&seeds::text(seeds, "the model kept is that of the first"));
    }
    if let Some(run) = &run {
        text.push_str(&format!("run {run}\n"));
    }
    let answer = Answer {
        model: (!args.dry_run).then(|| args.out.display().to_string()),
        digest,
        size_bytes: bytes.len() as u64,
        n_samples: samples.len() as u64,
        intents: model.labels().iter().map(str::to_owned).collect(),
        temperature: model.temperature(),
        fallback: model.fallback(),
        scores: model.confidence().comparison().to_vec(),
        run,
        metrics,
        evaluation,
        seeds,
    };
    let findings = left_out.into_iter().chain(model.findings()).collect();
    let outcome = Outcome::done(&answer, text).findings(findings);
    if args.dry_run {
        return Ok(outcome);
    }
    let model = args.out.display().to_string();
    Ok(outcome.next(match &args.test {
        Some(test) => {
            let test = test.display().to_string();
            args.columns.line(["botops", "evaluate", &model, &test, "--html", "report.html"])
        }
        None => shell_line(["botops", "predict", &model, "hello"]),
    }))
}

/// Returns an encoder's source, given from the current folder, as the spec has it: from the workspace's root.
fn from_root(source: &str, context: &Context) -> Result<String> {
    let path = Path::new(source);
    if HubSource::is_hub_source(source) || path.is_absolute() {
        return Ok(source.to_owned());
    }
    let full = context::current_folder()?.join(path);
    let path = full.strip_prefix(&context.workspace()?.root).unwrap_or(&full);
    Ok(path.display().to_string())
}

/// Says what decides whether the bot answers, where that was found rather than stated.
fn confidence(model: &IntentModel) -> String {
    let FallbackRule { score, threshold, guarantee } = model.fallback();
    let compared = model.confidence().comparison();
    let mut out = String::new();
    if !compared.is_empty() {
        out.push_str("scores out of fold, in scope against out of scope:\n");
        out.push_str(&tables::scores(compared, score));
    }
    if let Some(shown) = guarantee {
        out.push_str(&format!(
            "answers where {} >= {threshold:.3}: of {} records kept aside {} ({:.1} %) are answered, {} of them wrongly; \
             with {:.0} % confidence {:.3} or more are right (target {})\n",
            score.name(),
            tables::count(shown.n_samples),
            tables::count(shown.n_answered),
            100.0 * shown.n_answered as f64 / shown.n_samples as f64,
            tables::count(shown.n_wrong),
            100.0 * shown.level,
            shown.accuracy_bound,
            shown.target_accuracy
        ));
    } else if score != OosScore::MaxProbability {
        out.push_str(&format!("answers where {} >= {threshold:.3}\n", score.name()));
    }
    if let Some(sets) = model.confidence().sets() {
        out.push_str(&format!(
            "sets of intents ({}) hold the truth of {:.1} % of in-scope utterances{}; fitted on {}\n",
            sets.method.name(),
            100.0 * (1.0 - sets.alpha),
            if sets.is_class_conditional() { ", of each intent" } else { "" },
            tables::count(sets.n_samples)
        ));
    }
    let findings = model.findings();
    if !findings.is_empty() {
        out.push_str(&tables::findings(&findings, 1));
    }
    out
}

/// Returns what `data` has to learn from.
pub(crate) fn samples(data: &Dataset) -> Vec<Sample<'_>> {
    data.records
        .iter()
        .filter_map(|record| Some(Sample { text: &record.text, intent: record.intent.as_deref()? }))
        .collect()
}
