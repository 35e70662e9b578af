//! `botops evaluate`.

pub(super) mod text;

use super::{Exit, Outcome, gate};
use crate::cli::{
    arguments::{
        data_args::DataArgs,
        data_source,
        model_arg::{self, Found},
    },
    session::context::{self, Context},
};
use botops_datasets::{Dataset, Presence};
use botops_evaluation::{self as evaluation, Comparison, EvaluationReport, GateReport, GateSpec};
use botops_findings::{Fault, Result};
use botops_report as report;
use botops_spec as spec;
use botops_text::shell_line;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Evaluate a model on a data set.
#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct Args {
    /// Model: a `.botops` file or a reference such as support@2; default: the workspace's champion
    model: Option<String>,
    /// Labelled data: CSV, TSV, JSONL or Parquet, or a file of a snapshot such as support@3:test.csv
    data: PathBuf,
    /// Compare with this model on the same records: a file or a reference
    #[arg(long, value_name = "MODEL")]
    against: Option<String>,
    /// Judge the evaluation by the rules of this file, in YAML
    #[arg(long, value_name = "FILE")]
    gates: Option<PathBuf>,
    /// Write a report page here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How many misclassified utterances to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    errors: usize,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a EvaluationReport,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'a Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<&'a GateReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let inputs = [Some(args.data.as_path()), args.gates.as_deref()];
    context::distinct(args.html.as_deref(), &inputs)?;
    let rules: Option<GateSpec> = args.gates.as_deref().map(spec::read).transpose()?;
    let judged =
        judge(context, args.model.as_deref(), &args.data, &args.columns, args.against.as_deref())?;
    let gate = match &rules {
        Some(rules) => Some(evaluation::gate(rules, &judged.report, judged.comparison())?),
        None => None,
    };
    let html = args.html.as_ref().filter(|_| !args.dry_run);
    if let Some(path) = html {
        context::write_file(
            path,
            report::evaluation_html(&judged.report, judged.comparison()).as_bytes(),
        )?;
    }
    let is_markdown = context.printer.is_markdown();
    let mut text = if is_markdown {
        report::evaluation_markdown(&judged.report, judged.comparison())
    } else {
        text::evaluation(&judged, args.errors)
    };
    if let Some(gate) = &gate {
        text.push('\n');
        text.push_str(&if is_markdown { report::gate_markdown(gate) } else { gate::text(gate) });
    }
    if let Some(path) = html.filter(|_| !is_markdown) {
        text.push_str(&format!("\nwrote {}\n", path.display()));
    }
    let answer = Answer {
        report: &judged.report,
        name: &judged.found.name,
        against: judged.against.as_ref().map(|(name, _)| name.as_str()),
        comparison: judged.comparison(),
        gate: gate.as_ref(),
        html: html.map(|path| path.display().to_string()),
    };
    let outcome = Outcome::done(&answer, text).next(next(args, &judged, gate.as_ref()));
    Ok(match &gate {
        Some(gate) if !gate.passed => outcome.exit(Exit::Gate).findings(gate::findings(gate)),
        _ => outcome,
    })
}

/// A model evaluated on data, and compared when asked for.
pub(super) struct Judged {
    /// The model.
    pub(super) found: Found,
    /// The data.
    pub(super) data: Dataset,
    /// Its evaluation.
    pub(super) report: EvaluationReport,
    /// What it was compared with, by name.
    pub(super) against: Option<(String, Comparison)>,
}

impl Judged {
    /// Returns the comparison, if there is one.
    pub(super) fn comparison(&self) -> Option<&Comparison> {
        self.against.as_ref().map(|(_, comparison)| comparison)
    }
}

/// Evaluates the model named (else the workspace's champion) on `data`, and compares it with `against`.
pub(super) fn judge(
    context: &Context,
    model: Option<&str>,
    data: &Path,
    columns: &DataArgs,
    against: Option<&str>,
) -> Result<Judged> {
    refuse_model_as_data(context, data)?;
    let data = data_source::dataset(context, data, &columns.options(Presence::Required))?;
    let found = model_arg::load_or_champion(context, model)?;
    let against = match against {
        Some(name) => Some(model_arg::load(context, name)?),
        None => None,
    };
    let report = evaluation::evaluate(&found.model, found.digest, &data)?;
    let against = match against {
        Some(rival) => {
            let champion = (&rival.model, rival.digest);
            Some((rival.name, evaluation::compare(champion, (&found.model, found.digest), &data)?))
        }
        None => None,
    };
    Ok(Judged { found, data, report, against })
}

/// Refuses a model where data is wanted: the likely slip, since the model may be left out.
fn refuse_model_as_data(context: &Context, data: &Path) -> Result<()> {
    let shown = data.display().to_string();
    if !model_arg::names_model(&shown) || (data.exists() && !shown.ends_with(".botops")) {
        return Ok(());
    }
    if data_source::is_stored(context, data)? {
        return Ok(());
    }
    Err(Fault::usage("BOT-1003", format!("`{shown}` is a model, and no data was named")).hint(
        format!(
            "name the data after it: `{}`",
            shell_line(["botops", "evaluate", &shown, "test.csv"])
        ),
    ))
}

/// Suggests what was not done yet.
fn next(args: &Args, judged: &Judged, gate: Option<&GateReport>) -> String {
    let (name, data) = (judged.found.name.as_str(), args.data.display().to_string());
    let mut words = vec!["botops"];
    match (gate, &args.gates) {
        (Some(gate), Some(rules)) if gate.passed && judged.found.version.is_none() => {
            let rules = rules.display().to_string();
            let words = ["botops", "push", name, "--test", &data, "--rules", &rules];
            return args.columns.line(words);
        }
        _ if args.html.is_none() => {
            words.extend(["evaluate", name, &data, "--html", "report.html"])
        }
        _ => words.extend(["gate", name, &data, "--min", "accuracy=0.9"]),
    }
    args.columns.line(words)
}
