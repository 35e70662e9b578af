//! `botops runs export`.

use super::run_text::{no_model, params};
use crate::cli::{
    Outcome,
    arguments::{out_path::OutPath, output_args::ForceArg},
    session::context::Context,
    terminal::tables,
};
use botops_experiments::{
    Experiments, RunRecord,
    mlflow::{self, Credentials, Exported, Mlflow, MlflowRun, translate},
};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_models::IntentModel;
use botops_report::{CardData, CardSubject, model_card};
use botops_workspace::Secret;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the unique beginning of an id, or `latest`
    id: String,
    /// Target
    #[arg(long, value_enum)]
    to: To,
    /// Address of the MLflow tracking server; credentials come from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME
    /// and MLFLOW_TRACKING_PASSWORD
    #[arg(long, value_name = "URL", env = "MLFLOW_TRACKING_URI", hide_env_values = true)]
    url: Option<String>,
    /// Experiment on the server; default: the workspace's model, else botops
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
    /// Do not send the files of the run
    #[arg(long)]
    no_files: bool,
    /// Write the model card to this file
    #[arg(long, short, value_name = "FILE", default_value = "MODEL_CARD.md")]
    out: OutPath,
    #[command(flatten)]
    force: ForceArg,
    /// Name of the model on its card; default: the workspace's model, else the id of the run
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// License on the card, such as apache-2.0; there is no default
    #[arg(long, value_name = "ID")]
    license: Option<String>,
    /// Show the content, but write and send nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// An MLflow tracking server
    Mlflow,
    /// A model card in Markdown, for the Hugging Face hub
    ModelCard,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let experiments = context.experiments()?;
    let run = context.wait(experiments.find(&args.id))??;
    match args.to {
        To::Mlflow => to_mlflow(args, context, &experiments, &run),
        To::ModelCard => to_card(args, context, &experiments, &run),
    }
}

#[derive(Serialize)]
struct MlflowAnswer<'a> {
    run: &'a str,
    to: &'static str,
    dry_run: bool,
    server: &'a str,
    experiment: &'a str,
    content: &'a MlflowRun,
    exported: Option<&'a Exported>,
}

fn to_mlflow(
    args: &Args,
    context: &Context,
    experiments: &Experiments,
    run: &RunRecord,
) -> Result<Outcome> {
    let url = args.url.as_deref().filter(|url| !url.is_empty()).ok_or_else(|| {
        Fault::usage("BOT-5040", "no tracking server is configured")
            .hint("name it: `--url http://127.0.0.1:5000`, or `MLFLOW_TRACKING_URI`")
    })?;
    let server = Mlflow::new(context.plain_http(), url, credentials()?)?;
    let workspace = context.workspace()?;
    let model = workspace.model.value.as_deref();
    let experiment = args.experiment.as_deref().or(model).unwrap_or("botops");
    let mut content = translate(run, &workspace.actor.value);
    if args.no_files {
        content.artifacts.clear();
    }
    let exported = match args.dry_run {
        true => None,
        false => {
            let printer = context.printer;
            let sent = move |file: &str| printer.say(&format!("sent {file}"));
            Some(context.wait(server.export(&content, experiment, experiments, &sent))??)
        }
    };
    let answer = MlflowAnswer {
        run: &run.id,
        to: "mlflow",
        dry_run: args.dry_run,
        server: server.url(),
        experiment,
        content: &content,
        exported: exported.as_ref(),
    };
    Ok(Outcome::done(&answer, mlflow_text(&answer)).findings(left_out(&answer)))
}

/// Reads the credentials from the environment; a user without a password, or the reverse, is an error.
fn credentials() -> Result<Credentials> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (user, password) =
        (variable("MLFLOW_TRACKING_USERNAME"), variable("MLFLOW_TRACKING_PASSWORD"));
    match (user, password, variable("MLFLOW_TRACKING_TOKEN")) {
        // As in the MLflow client, a user and a password take precedence over a token.
        (Some(user), Some(password), _) => {
            Ok(Credentials::Basic { user, password: Secret::new(password) })
        }
        (_, _, Some(token)) => Ok(Credentials::Token(Secret::new(token))),
        (None, None, None) => Ok(Credentials::None),
        (user, ..) => {
            let lacks = if user.is_some() { "PASSWORD" } else { "USERNAME" };
            let message = format!("`MLFLOW_TRACKING_{lacks}` is not set, but its counterpart is");
            Err(Fault::usage("BOT-5040", message).hint("set both, or neither"))
        }
    }
}

fn left_out(answer: &MlflowAnswer<'_>) -> Vec<Finding> {
    let Some(scheme) = answer.exported.and_then(|exported| exported.files_elsewhere.as_ref())
    else {
        return Vec::new();
    };
    vec![Finding::new(
        "BOT-5044",
        Severity::Warning,
        format!(
            "{} files were not exported: the experiment `{}` stores files in `{scheme}`, not on the server",
            answer.content.artifacts.len(),
            answer.experiment
        ),
        "name an experiment of a server that stores artifacts, or skip the files: `--no-files`",
    )]
}

fn mlflow_text(answer: &MlflowAnswer<'_>) -> String {
    let MlflowRun { params, metrics, tags, artifacts, shortened, .. } = answer.content;
    let mut out = match answer.exported {
        Some(exported) => {
            let action = match exported.outcome {
                mlflow::Outcome::Created => "exported to",
                mlflow::Outcome::Completed => "completed in",
                mlflow::Outcome::Unchanged => "is unchanged in",
            };
            format!(
                "run {} {action} experiment {}: {}\n",
                answer.run, answer.experiment, exported.page
            )
        }
        None => {
            let rows = [("tag", tags), ("param", params)]
                .into_iter()
                .flat_map(|(kind, members)| members.iter().map(move |(k, v)| (kind, k, v.clone())))
                .map(|(kind, name, value)| vec![kind.to_owned(), name.clone(), value])
                .chain(metrics.iter().map(|metric| {
                    vec!["metric".to_owned(), metric.key.clone(), format!("{:.6}", metric.value)]
                }))
                .chain(artifacts.iter().map(|(path, artifact)| {
                    let size = format!("{} bytes", tables::count(artifact.size_bytes));
                    vec!["file".to_owned(), path.clone(), size]
                }));
            format!(
                "run {} would go to experiment {} of {}: nothing was sent (dry run)\n\n{}",
                answer.run,
                answer.experiment,
                answer.server,
                tables::table(&["", "name", "value"], rows, &[])
            )
        }
    };
    if let Some(exported) = answer.exported.filter(|e| e.outcome != mlflow::Outcome::Unchanged) {
        out.push_str(&format!(
            "{} params, {} metrics, {} tags, {} of {} files\n",
            params.len(),
            metrics.len(),
            tags.len(),
            exported.files_sent,
            artifacts.len()
        ));
    }
    if !shortened.is_empty() {
        out.push_str(&format!("shortened to the limits of MLflow: {}\n", shortened.join(", ")));
    }
    for finding in left_out(answer) {
        out.push_str(&format!("warning[{}]: {}\n", finding.code, finding.message));
    }
    out
}

#[derive(Serialize)]
struct CardAnswer<'a> {
    run: &'a str,
    to: &'static str,
    dry_run: bool,
    /// The file that was written.
    file: Option<String>,
    card: &'a str,
}

fn to_card(
    args: &Args,
    context: &Context,
    experiments: &Experiments,
    run: &RunRecord,
) -> Result<Outcome> {
    let artifact = run.model().ok_or_else(|| no_model(run))?;
    let bytes = context.wait(experiments.artifact(artifact))??;
    let model = IntentModel::from_bytes(&bytes)?;
    let evaluation = match context.wait(experiments.evaluation(run))?? {
        Ok(report) => Some(report),
        Err(why) => {
            context.printer.say(&format!("note: {why}"));
            None
        }
    };
    let workspace = context.workspace()?;
    let name = args.name.as_deref().or(workspace.model.value.as_deref()).unwrap_or(&run.id);
    let train = run.recipe.as_ref().map_or("train", |recipe| recipe.train.as_str());
    let source = run.sources.get(train);
    let learned_from = run.data.get(train).copied().or(model.lineage().data);
    let card = model_card(&CardSubject {
        name,
        run: &run.id,
        day: run.finished_at.format("%Y-%m-%d").to_string(),
        botops: &run.environment.botops,
        platform: &run.environment.platform,
        git_commit: run.code.git_commit.as_deref(),
        git_dirty: run.code.git_dirty == Some(true),
        license: args.license.as_deref(),
        digest: artifact.digest.to_string(),
        size_bytes: artifact.size_bytes,
        intents: model.labels().iter().collect(),
        n_samples: model.lineage().n_samples,
        temperature: model.temperature(),
        fallback: model.fallback(),
        sets: model.confidence().sets(),
        has_dialogue: *model.dialogue() != Default::default(),
        settings: params(&run.params),
        head: run.params.get("model.head.kind").and_then(serde_json::Value::as_str),
        training_data: learned_from.map(|digest| CardData {
            file: source.map_or("", |source| source.file.as_str()),
            digest: digest.to_string(),
            kept: source.is_some_and(|source| source.kept),
        }),
        evaluation: evaluation.as_ref(),
    });
    let file = (!args.dry_run).then_some(&args.out);
    // A card is edited by hand: an existing one is replaced only by the same content.
    let output = Output::new(&args.out, OutputKind::Other, args.force.force);
    output.check_content(card.as_bytes())?;
    if file.is_some() {
        output.write(card.as_bytes())?;
    }
    let answer = CardAnswer {
        run: &run.id,
        to: "model-card",
        dry_run: args.dry_run,
        file: file.map(|path| path.shown()),
        card: &card,
    };
    let text = match file {
        Some(path) => format!("the model card of run {} is {}\n", run.id, path.shown()),
        None => card.clone(),
    };
    Ok(Outcome::done(&answer, text))
}
