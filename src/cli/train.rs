//! `botops train`.

use super::{
    Outcome,
    context::{self, Context},
    data_args::DataArgs,
    progress::Training,
    tables,
};
use crate::{
    datasets::{self, Dataset, Expectations, Presence},
    dialogue::DialogueSpec,
    digest::Digest,
    evaluation::{self, EvaluationReport, Metric},
    experiments::RunRecord,
    findings::{FaultKind, Finding, Result},
    models::{
        self, HeadKind, IntentModel, Lineage, ModelSpec, Resources, Sample,
        confidence::{FallbackRule, OosScore, ScoreComparison},
    },
    pipelines, spec,
};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Train a model from a data set.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Training data: CSV, TSV, JSONL or Parquet
    data: PathBuf,
    /// Where to write the model
    #[arg(long, short, value_name = "FILE", default_value = "model.botops")]
    out: PathBuf,
    /// Evaluate on this data at once
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// What to train, in YAML (`features`, `head`, `fallback`, `conformal`, `seed`, `goldens`)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The classifier: overrides the configuration
    #[arg(long, value_enum, value_name = "KIND")]
    head: Option<Head>,
    /// Seed of everything random: overrides the configuration
    #[arg(long)]
    seed: Option<u64>,
    /// Entities and responses to put into the model, in YAML
    #[arg(long, value_name = "FILE")]
    dialogue: Option<PathBuf>,
    /// Record the run in the experiments store (a workspace always does)
    #[arg(long)]
    record: bool,
    /// Train, but write nothing
    #[arg(long)]
    dry_run: bool,
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
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let inputs = [
        Some(args.data.as_path()),
        args.test.as_deref(),
        args.config.as_deref(),
        args.dialogue.as_deref(),
    ];
    context::distinct(Some(&args.out), &inputs)?;
    let mut model_spec: ModelSpec = match &args.config {
        Some(path) => spec::read(path)?,
        None => ModelSpec::default(),
    };
    if let Some(head) = args.head {
        model_spec.head.kind = match head {
            Head::LinearSvm => HeadKind::LinearSvm,
            Head::LogisticRegression => HeadKind::LogisticRegression,
            Head::ComplementNaiveBayes => HeadKind::ComplementNaiveBayes,
            Head::RandomForest => HeadKind::RandomForest,
            Head::FineTuned => HeadKind::FineTuned,
        };
    }
    if let Some(seed) = args.seed {
        model_spec.seed = seed;
    }
    let dialogue: DialogueSpec = match &args.dialogue {
        Some(path) => pipelines::read_dialogue(path)?,
        None => DialogueSpec::default(),
    };
    let data = datasets::read(&args.data, &args.columns.options(Presence::Required))?;
    // What is no use to learn from is left out, and said to be.
    let mut validation = datasets::validate(&data, &Expectations::default(), None);
    let accepted = validation.accepted.take().expect("validation returns the accepted records");
    let left_out: Vec<Finding> =
        validation.rejected.iter().flat_map(|rejected| rejected.reasons.iter().cloned()).collect();
    let test = match &args.test {
        Some(path) => Some(datasets::read(path, &args.columns.options(Presence::Required))?),
        None => None,
    };
    let samples = samples(&accepted);
    let lineage = Lineage {
        data: Some(data.digest),
        n_samples: samples.len() as u64,
        spec: model_spec.clone(),
        botops: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let began = context::now()?;
    let model = models::train(
        &samples,
        &model_spec,
        Resources::default(),
        dialogue,
        lineage,
        &Training::new(&context.printer),
    )
    .map_err(
        |fault| if fault.kind() == FaultKind::Usage { fault } else { fault.file(&args.data) },
    )?;
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
    let in_workspace = context.workspace()?.root.join("botops.yaml").exists();
    let run = if !args.dry_run && (args.record || in_workspace) {
        let mut params = BTreeMap::new();
        pipelines::flatten(
            "model",
            &serde_json::to_value(&model_spec).expect("a spec is valid JSON"),
            &mut params,
        );
        let mut inputs = BTreeMap::from([("train".to_owned(), data.digest)]);
        if let Some(test) = &test {
            inputs.insert("test".to_owned(), test.digest);
        }
        let experiments = context.experiments()?;
        let (code, environment) = (context::code_state(), context::environment());
        let finished = context::now()?;
        let id = context.wait(async {
            let mut artifacts =
                vec![experiments.put_artifact("model.botops", bytes.clone().into()).await?];
            if let Some(report) = &evaluation {
                let report = serde_json::to_vec_pretty(report).expect("a report is valid JSON");
                artifacts.push(experiments.put_artifact("evaluation.json", report.into()).await?);
            }
            let record = RunRecord {
                schema: "botops.run/1".to_owned(),
                id: String::new(),
                kind: "train".to_owned(),
                started_at: began,
                finished_at: finished,
                params,
                metrics: metrics.clone(),
                data: inputs,
                code,
                environment,
                artifacts,
                stages: BTreeMap::new(),
            };
            experiments.record(record).await
        })??;
        Some(id)
    } else {
        None
    };
    let mut text = format!(
        "{}: {} intents from {} records, temperature {:.3}, {} kB, {}\n",
        if args.dry_run {
            "not written (dry run)".to_owned()
        } else {
            args.out.display().to_string()
        },
        model.labels().len(),
        tables::count(samples.len() as u64),
        model.temperature(),
        tables::count(bytes.len().div_ceil(1_000) as u64),
        digest.short()
    );
    text.push_str(&confidence(&model));
    if !validation.rejected.is_empty() {
        text.push_str(&format!(
            "left out {} of {} records:\n",
            validation.records_rejected, validation.records_in
        ));
        text.push_str(&tables::findings(&left_out, 3));
    }
    if let (Some(report), Some(test)) = (&evaluation, &test) {
        text.push_str(&format!("on {}: {} utterances\n", test.name, tables::count(report.n)));
        text.push_str(&tables::metrics(&report.metrics));
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
    };
    let findings = left_out.into_iter().chain(model.findings()).collect();
    let outcome = Outcome::done(&answer, text).findings(findings);
    if args.dry_run {
        return Ok(outcome);
    }
    Ok(outcome.next(match &args.test {
        Some(test) => {
            format!("botops evaluate {} {} --html report.html", args.out.display(), test.display())
        }
        None => format!("botops predict {} \"hello\"", args.out.display()),
    }))
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
            "answers where {} >= {threshold:.3}: of {} records kept aside {} are answered, {} of them wrongly; with {:.0} % \
             confidence {:.3} or more are right (target {})\n",
            score.name(),
            tables::count(shown.n_samples),
            tables::count(shown.n_answered),
            tables::count(shown.n_wrong),
            100.0 * shown.level,
            shown.accuracy_bound,
            shown.target_accuracy
        ));
    } else if score != OosScore::MaxProbability {
        out.push_str(&format!("answers where {} >= {threshold:.3}\n", score.name()));
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
