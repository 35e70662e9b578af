//! `botops gate`.

use super::{Exit, Outcome};
use crate::cli::{
    arguments::{judge_args::JudgeArgs, out_path::OutPath},
    session::{
        context::Context,
        judging::{Judged, judge},
        named_knowledge::{JudgedBase, Knowledge},
        outputs,
    },
    terminal::tables,
};
use botops_evaluation::{self as evaluation, Bound, GateReport, GateSpec, RelativeGate};
use botops_files::{Output, OutputKind};
use botops_findings::{Finding, Place, Result, Severity};
use botops_registry::CHAMPION;
use botops_spec::{self as spec, Checked, Spec as _};
use serde::Serialize;
use std::path::Path;

/// Judge a model by rules on its evaluation
#[derive(Debug, clap::Args)]
#[command(
    allow_missing_positional = true,
    group = clap::ArgGroup::new("judged by").required(true).multiple(true).args(["rules", "min", "max"])
)]
pub(crate) struct Args {
    #[command(flatten)]
    judge: JudgeArgs,
    /// Require a metric to be at least this, such as accuracy=0.9; repeatable, overrides the file
    #[arg(long, value_name = "METRIC=VALUE", value_parser = bound)]
    min: Vec<(String, f64)>,
    /// Require a metric to be at most this, such as ece=0.1; repeatable, overrides the file
    #[arg(long, value_name = "METRIC=VALUE", value_parser = bound)]
    max: Vec<(String, f64)>,
    /// Knowledge of the version, judged with the model: a name such as help or help@3, or a .knowledge file; repeatable
    #[arg(long, value_name = "NAME|FILE", requires_all = ["questions", "rules"])]
    knowledge: Vec<String>,
    /// Questions that judge the knowledge, JSONL or SQuAD; with several knowledge bases, NAME=FILE for each
    #[arg(long, value_name = "FILE", requires = "knowledge")]
    questions: Vec<String>,
    /// Write the gate report to this file, in JSON
    #[arg(long, short, value_name = "FILE")]
    out: Option<OutPath>,
    /// Replace an existing file that botops did not write
    #[arg(long, requires = "out")]
    force: bool,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    gate: &'a GateReport,
    name: &'a str,
    data: &'a str,
    n: u64,
    /// The number of records that were skipped, because they have no intent.
    #[serde(skip_serializing_if = "is_zero")]
    skipped_unlabelled: u64,
    against: Option<&'a str>,
    out: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero(n: &u64) -> bool {
    *n == 0
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let named = args.knowledge.iter().chain(&args.questions).map(|text| Some(Path::new(text)));
    let inputs: Vec<Option<&Path>> = args.judge.inputs().into_iter().chain(named).collect();
    outputs::distinct(args.out.as_deref(), &inputs)?;
    let output =
        args.out.as_deref().map(|path| Output::new(path, OutputKind::Json("gate"), args.force));
    output.map_or(Ok(()), |output| output.check())?;
    let rules = self::rules(args)?;
    let knowledge = match args.knowledge.is_empty() {
        true => None,
        false => Some(Knowledge::read((&args.knowledge, &args.questions), context, Some(&rules))?),
    };
    let mut judged = judge(context, &args.judge)?;
    let bases = match &knowledge {
        None => Vec::new(),
        Some(knowledge) => {
            let registry = context.registry()?;
            let at = (context, &registry);
            knowledge.judge(at, judged.against_version.as_ref(), &mut judged.warnings)?
        }
    };
    let evidence = JudgedBase::evidence(&bases);
    let gate = evaluation::gate_set(&rules, &judged.report, judged.comparison(), &evidence)?;
    let out = args.out.as_ref().filter(|_| !args.dry_run);
    if let Some(output) = output.filter(|_| !args.dry_run) {
        let mut bytes = serde_json::to_vec_pretty(&gate).expect("a report is valid JSON");
        bytes.push(b'\n');
        output.write(&bytes)?;
    }
    let against = judged.against.as_ref().map(|(name, _)| name.as_str());
    let text = match context.printer.is_markdown() {
        true => botops_report::gate_markdown(&gate),
        false => {
            let against = against.map_or(String::new(), |name| format!(", against {name}"));
            let wrote = out.map_or(String::new(), |path| format!("wrote {}\n", path.shown()));
            format!(
                "{} on {}{against}: {} utterances\n{}\n{}{}{wrote}",
                judged.found.name,
                judged.data.name,
                tables::count(judged.report.n),
                judged.skipped_text(),
                self::text(&gate),
                tables::findings(&judged.warnings, 3)
            )
        }
    };
    let answer = Answer {
        gate: &gate,
        name: &judged.found.name,
        data: &judged.data.name,
        n: judged.report.n,
        skipped_unlabelled: judged.n_unlabelled,
        against,
        out: out.map(OutPath::shown),
    };
    let outcome = Outcome::done(&answer, text);
    let next = next(args, context, &judged, &rules, &gate)?;
    let outcome = next.into_iter().fold(outcome, Outcome::next);
    let mut found = judged.warnings;
    Ok(match gate.passed {
        true => outcome.findings(found),
        false => {
            found.extend(findings(&gate));
            outcome.exit(Exit::Gate).findings(found)
        }
    })
}

/// Suggests the next command: the errors after a failure, the champion if relative rules had none, else `push`.
fn next<'a>(
    args: &'a Args,
    context: &Context,
    judged: &Judged,
    rules: &GateSpec,
    gate: &GateReport,
) -> Result<Option<String>> {
    let JudgeArgs { data, rules: file, .. } = &args.judge;
    let (name, data) = (judged.found.name.as_str(), data.display().to_string());
    let file = file.as_ref().map(|path| path.display().to_string());
    if !gate.passed {
        return Ok(Some(args.judge.line(["botops", "evaluate", name, &data, "--errors", "50"])));
    }
    let default = RelativeGate::default();
    let relative = rules.relative.as_ref().is_some_and(|relative| *relative != default);
    Ok(match (judged.comparison(), &file) {
        // Relative rules pass without a champion.
        (None, _) if relative => {
            let model = context.workspace()?.model.value.as_deref().unwrap_or("MODEL");
            let (file, champion) = (file.unwrap_or_default(), format!("{model}@{CHAMPION}"));
            let words = ["botops", "gate", name, &data, "--rules", &file, "--against", &champion];
            Some(args.judge.line(words))
        }
        (_, Some(file)) if judged.found.version.is_none() && judged.n_unlabelled == 0 => {
            let words = ["botops", "push", name, "--test", &data, "--rules", file];
            let flag = |flag: &'static str, values: &'a [String]| {
                values.iter().flat_map(move |value| [flag, value.as_str()])
            };
            let knowledge = flag("--knowledge", &args.knowledge);
            let questions = flag("--questions", &args.questions);
            Some(args.judge.line(words.into_iter().chain(knowledge).chain(questions)))
        }
        _ => None,
    })
}

/// Joins the rules of the file with those of the command line, which override the file.
fn rules(args: &Args) -> Result<Checked<GateSpec>> {
    let mut rules: GateSpec =
        args.judge.rules.as_deref().map(spec::read).transpose()?.unwrap_or_default();
    bound_by(&mut rules, &args.min, |bound, value| bound.min = Some(value));
    bound_by(&mut rules, &args.max, |bound, value| bound.max = Some(value));
    rules.check()
}

/// Reads the rules at `path` and checks them.
pub(super) fn read_rules(path: &Path) -> Result<Checked<GateSpec>> {
    spec::read::<GateSpec>(path)?.check().map_err(|fault| fault.file(path))
}

fn bound_by(rules: &mut GateSpec, bounds: &[(String, f64)], set: fn(&mut Bound, f64)) {
    for (metric, value) in bounds {
        set(rules.metrics.entry(metric.clone()).or_default(), *value);
    }
}

/// Parses `accuracy=0.9`.
fn bound(text: &str) -> Result<(String, f64), String> {
    let (metric, value) =
        text.split_once('=').ok_or("write a metric and its bound, such as `accuracy=0.9`")?;
    let metric = metric.trim();
    if metric.is_empty() {
        return Err("no metric before the `=`, as in `accuracy=0.9`".to_owned());
    }
    match value.trim().parse::<f64>() {
        Ok(bound) if bound.is_finite() => Ok((metric.to_owned(), bound)),
        _ => Err(format!("`{}` is not a number, as in `{metric}=0.9`", value.trim())),
    }
}

/// Renders each rule with the observed value, then the verdict.
pub(super) fn text(gate: &GateReport) -> String {
    let verdict = |passed: bool| if passed { "passed" } else { "failed" }.to_owned();
    let rows = gate
        .results
        .iter()
        .map(|result| vec![result.rule.clone(), result.observed.clone(), verdict(result.passed)]);
    let mut out = tables::table(&["rule", "observed", "verdict"], rows, &[]);
    let failed = gate.results.iter().filter(|result| !result.passed).count();
    let all = gate.results.len();
    out.push_str(&match failed {
        0 if gate.passed && all == 1 => "passed: the rule holds\n".to_owned(),
        0 if gate.passed => format!("passed: all {all} rules hold\n"),
        _ => format!("failed: {failed} of {all} rules\n"),
    });
    out
}

/// Returns a finding for each rule that failed.
pub(super) fn findings(gate: &GateReport) -> Vec<Finding> {
    let failed = gate.results.iter().filter(|result| !result.passed);
    failed
        .map(|result| Finding {
            code: "BOT-3020".to_owned(),
            severity: Severity::Error,
            place: Place::default(),
            message: format!("gate `{}` failed: {}", result.rule, result.observed),
            help: "look at the misclassified utterances, add examples of the confused intents, and train again".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;
    use botops_evaluation::GateResult;

    #[test]
    fn a_bound_is_a_metric_and_a_number() {
        assert_eq!(bound("accuracy=0.9"), Ok(("accuracy".to_owned(), 0.9)));
        assert_eq!(bound(" ece = 1e-1 "), Ok(("ece".to_owned(), 0.1)));
        assert_eq!(
            bound("accuracy").unwrap_err(),
            "write a metric and its bound, such as `accuracy=0.9`"
        );
        assert_eq!(bound("=0.9").unwrap_err(), "no metric before the `=`, as in `accuracy=0.9`");
        assert_eq!(
            bound("accuracy=high").unwrap_err(),
            "`high` is not a number, as in `accuracy=0.9`"
        );
        assert_eq!(
            bound("accuracy=NaN").unwrap_err(),
            "`NaN` is not a number, as in `accuracy=0.9`"
        );
    }

    #[test]
    fn bounds_of_the_command_line_win_over_the_file_and_keep_the_other_end() {
        let mut rules = GateSpec::default();
        rules.metrics.insert("ece".to_owned(), Bound { min: Some(0.0), max: Some(0.1) });
        bound_by(
            &mut rules,
            &[("ece".to_owned(), 0.05), ("log_loss".to_owned(), 1.0)],
            |bound, value| {
                bound.max = Some(value);
            },
        );
        assert_eq!(rules.metrics["ece"], Bound { min: Some(0.0), max: Some(0.05) });
        assert_eq!(rules.metrics["log_loss"], Bound { min: None, max: Some(1.0) });
    }

    #[test]
    fn only_failed_rules_are_findings_and_counted() {
        let result = |rule: &str, passed| GateResult {
            rule: rule.to_owned(),
            observed: "0.5".to_owned(),
            passed,
        };
        let gate = GateReport {
            schema: "botops.gate/1".to_owned(),
            model: Digest::of(b"model"),
            evidence: "evaluation".to_owned(),
            results: vec![result("accuracy >= 0.900", false), result("ece <= 0.600", true)],
            passed: false,
            knowledge: std::collections::BTreeMap::new(),
            basis: None,
        };
        let found = findings(&gate);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "gate `accuracy >= 0.900` failed: 0.5");
    }
}
