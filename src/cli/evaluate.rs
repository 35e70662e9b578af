//! `botops evaluate`.

pub(super) mod text;

use super::{Exit, Outcome, gate};
use crate::cli::{
    arguments::{judge_args::JudgeArgs, output_args::PageArgs},
    session::{
        context::Context,
        judging::{Judged, judge},
    },
    terminal::tables,
};
use botops_evaluation::{self as evaluation, Comparison, EvaluationReport, GateReport};
use botops_findings::Result;
use botops_report as report;
use serde::Serialize;

/// Evaluate a model on a data set
#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct Args {
    #[command(flatten)]
    judge: JudgeArgs,
    /// Show at most N misclassified utterances
    #[arg(long, value_name = "N", default_value_t = 10)]
    errors: usize,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a EvaluationReport,
    name: &'a str,
    /// The number of records that were skipped, because they have no intent.
    #[serde(skip_serializing_if = "gate::is_zero")]
    skipped_unlabelled: u64,
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
    let rules = args.judge.rules.as_deref();
    args.page.check(&args.judge.inputs())?;
    let rules = rules.map(gate::read_rules).transpose()?;
    let judged = judge(context, &args.judge)?;
    let comparison = judged.comparison();
    let gate = match &rules {
        Some(rules) => Some(evaluation::gate(rules, &judged.report, comparison)?),
        None => None,
    };
    let html = args.page.write(|| report::evaluation_html(&judged.report, comparison))?;
    let is_markdown = context.printer.is_markdown();
    let mut text = match is_markdown {
        true => report::evaluation_markdown(&judged.report, comparison),
        false => text::evaluation(&judged, args.errors),
    };
    if is_markdown && judged.n_unlabelled > 0 {
        text.push_str(&format!("\n{}", judged.skipped_text()));
    }
    if !is_markdown && !judged.warnings.is_empty() {
        text.push('\n');
        text.push_str(&tables::findings(&judged.warnings, 3));
    }
    if let Some(gate) = &gate {
        text.push('\n');
        text.push_str(&if is_markdown { report::gate_markdown(gate) } else { gate::text(gate) });
    }
    if let Some(file) = html.as_ref().filter(|_| !is_markdown) {
        text.push_str(&format!("\nwrote {file}\n"));
    }
    let answer = Answer {
        report: &judged.report,
        name: &judged.found.name,
        skipped_unlabelled: judged.n_unlabelled,
        against: judged.against.as_ref().map(|(name, _)| name.as_str()),
        comparison,
        gate: gate.as_ref(),
        html,
    };
    let outcome = Outcome::done(&answer, text).next(next(args, &judged, gate.as_ref()));
    let mut findings = judged.warnings;
    Ok(match &gate {
        Some(gate) if !gate.passed => {
            findings.extend(gate::findings(gate));
            outcome.exit(Exit::Gate).findings(findings)
        }
        _ => outcome.findings(findings),
    })
}

/// Suggests the next command: `push` after passed gates, else the page or the gates that were not requested yet.
fn next(args: &Args, judged: &Judged, gate: Option<&GateReport>) -> String {
    let (name, data) = (judged.found.name.as_str(), args.judge.data.display().to_string());
    match (gate, &args.judge.rules) {
        (Some(gate), Some(rules))
            if gate.passed && judged.found.version.is_none() && judged.n_unlabelled == 0 =>
        {
            let rules = rules.display().to_string();
            args.judge.line(["botops", "push", name, "--test", &data, "--rules", &rules])
        }
        _ if args.page.html.is_none() => {
            args.judge.line(["botops", "evaluate", name, &data, "--html", "report.html"])
        }
        _ => args.judge.line(["botops", "gate", name, &data, "--min", "accuracy=0.9"]),
    }
}
