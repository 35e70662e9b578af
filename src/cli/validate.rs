//! `botops validate`.

mod reports;

use super::{Exit, Format, Outcome};
use crate::cli::{
    arguments::{
        data_args::DataArgs,
        data_source,
        out_path::{OutPath, named_path},
        output_args::RecordOutputArgs,
        report_arg::{ReportArg, ReportKind},
    },
    session::{context::Context, outputs, provenance},
    terminal::tables,
};
use botops_datasets::Presence;
use botops_expectations::Expectations;
use botops_files::{Output, OutputKind};
use botops_findings::{FaultKind, Result, Severity};
use botops_validation::{Baseline, Check, Keep, ValidateOptions, Validation};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The most findings of each kind in a report; all are counted.
const MOST_IN_REPORT: usize = 1_000;

/// Check a data set against expectations
///
/// The exit code is 0 when no error was found (warnings pass), and 3 when an error was found or the file is not data. With
/// `max_rejected_share` in the expectations, errors may reject that share of the records.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Data file: CSV, TSV, JSONL, JSON, Parquet or Rasa YAML, packed or not; a pattern in quotes; - for standard input; or
    /// a file of a snapshot such as support@3:train.csv
    data: PathBuf,
    /// Test data; its records that are also in the data are reported
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Expectations; default: expectations.yaml beside the data, if it exists
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Known findings, which are accepted; only new findings fail
    #[arg(long, value_name = "FILE", value_parser = named_path())]
    baseline: Option<PathBuf>,
    /// Write the current findings as the baseline
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
    /// Write rejected records to this file, with the reasons
    #[arg(long, value_name = "FILE")]
    quarantine: Option<OutPath>,
    /// Write a report page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<OutPath>,
    /// Write a report: sarif, junit, github, markdown or html; repeatable
    #[arg(long, value_name = "KIND=FILE", value_delimiter = ',')]
    report: Vec<ReportArg>,
    #[command(flatten)]
    output: RecordOutputArgs,
    #[command(flatten)]
    columns: DataArgs,
}

impl Args {
    fn quarantine_output<'a>(&self, path: &'a Path) -> Output<'a> {
        Output::new(path, OutputKind::Quarantine, self.output.force.force)
    }

    fn baseline_output<'a>(&self, path: &'a Path) -> Output<'a> {
        Output::new(path, OutputKind::Json("baseline"), self.output.force.force)
    }

    /// Returns every file to write.
    fn outputs(&self) -> Vec<Output<'_>> {
        let force = self.output.force;
        let quarantine = self.quarantine.as_deref().map(|path| self.quarantine_output(path));
        let baseline = self.baseline.as_deref().filter(|_| self.write_baseline);
        let page = |path| Output::new(path, OutputKind::Page, force.force);
        let mut outputs: Vec<Output<'_>> = quarantine.into_iter().collect();
        outputs.extend(baseline.map(|path| self.baseline_output(path)));
        outputs.extend(self.html.as_deref().map(page));
        outputs.extend(self.report.iter().map(|report| report.output(force)));
        outputs
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a str,
    records_in: u64,
    records_accepted: u64,
    records_rejected: u64,
    errors: u64,
    warnings: u64,
    known: u64,
    max_rejected_share: f64,
    checks: &'a [Check],
    intents: &'a std::collections::BTreeMap<String, u64>,
    languages: &'a std::collections::BTreeMap<String, u64>,
    quarantine: Option<String>,
    baseline: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let mut inputs =
        vec![Some(args.data.as_path()), args.test.as_deref(), args.expectations.as_deref()];
    let mut outputs = vec![args.quarantine.as_deref(), args.html.as_deref()];
    outputs.extend(args.report.iter().map(|report| Some(&*report.path)));
    let compared = if args.write_baseline { &mut outputs } else { &mut inputs };
    compared.push(args.baseline.as_deref());
    outputs::distinct_outputs(&outputs, &inputs)?;
    outputs::csv_named(args.quarantine.as_deref(), "a quarantine")?;
    for output in args.outputs() {
        output.check()?;
    }
    validate(args, context).inspect_err(|fault| {
        // Reports also list the fault of a file that is not data, because some people read only the report.
        if fault.kind() == FaultKind::Gate && !args.output.dry_run {
            let name = args.data.display().to_string();
            let validation = reports::of_fault(fault);
            for report in &args.report {
                if let Err(unwritten) =
                    reports::write(report, &validation, &name, args.output.force)
                {
                    context.printer.say(&format!("warning: {}", unwritten.message()));
                }
            }
        }
    })
}

fn validate(args: &Args, context: &Context) -> Result<Outcome> {
    let expectations = data_source::expectations(&args.data, args.expectations.as_deref())?;
    let options = args.columns.options_with(&expectations);
    let test = match &args.test {
        Some(path) => {
            Some(data_source::dataset(context, path, &args.columns.options(Presence::Required))?)
        }
        None => None,
    };
    let baseline = match &args.baseline {
        Some(path) if !args.write_baseline => Some(Baseline::read(path)?),
        _ => None,
    };
    let keep = match &args.quarantine {
        Some(path) if !args.output.dry_run => Keep::Quarantine(args.quarantine_output(path)),
        _ => Keep::Counts,
    };
    let how = ValidateOptions {
        name: None,
        test: test.as_ref(),
        now: provenance::now()?,
        samples: args.output.samples.max(MOST_IN_REPORT),
        baseline: baseline.as_ref(),
        notes_baseline: args.write_baseline,
        profiles: !args.output.dry_run
            && (args.html.is_some() || args.report.iter().any(ReportArg::is_page)),
        spill: Some(&std::env::temp_dir()),
    };
    let mut name = args.data.display().to_string();
    let mut validation = match data_source::reference(&args.data) {
        None => botops_validation::validate_file(&args.data, &options, &expectations, &how, keep)?,
        Some(_) => {
            let source = data_source::read(context, &args.data)?;
            name = source.name;
            botops_validation::validate_bytes(
                source.bytes,
                &name,
                &options,
                &expectations,
                &how,
                keep,
            )?
        }
    };
    let mut written = Written::default();
    if let (Some(path), Some(baseline)) = (&args.baseline, validation.baseline.take()) {
        if !args.output.dry_run {
            baseline.write(&args.baseline_output(path))?;
        }
        written.baseline = Some((path.display().to_string(), baseline.n_findings()));
    }
    if !args.output.dry_run {
        if let Some(path) = &args.html {
            reports::write(&ReportArg::html(path), &validation, &name, args.output.force)?;
        }
        for report in &args.report {
            reports::write(report, &validation, &name, args.output.force)?;
        }
    }
    let quarantine = args.quarantine.as_ref().filter(|_| !args.output.dry_run);
    written.quarantine = quarantine.map(OutPath::shown);
    let text = match ReportKind::of(context.printer.format()) {
        Some(kind) => reports::render(kind, &validation, &name)?,
        None => text(&validation, &name, args, &expectations, &written),
    };
    let answer = Answer {
        file: &name,
        records_in: validation.records_in,
        records_accepted: validation.records_accepted,
        records_rejected: validation.records_rejected,
        errors: validation.errors,
        warnings: validation.warnings,
        known: validation.known,
        max_rejected_share: validation.max_rejected_share,
        checks: &validation.checks,
        intents: &validation.intents,
        languages: &validation.languages,
        quarantine: written.quarantine.clone(),
        baseline: written.baseline.as_ref().map(|(path, _)| path.clone()),
    };
    // Findings that were just written to the baseline do not fail.
    let exit =
        if validation.passes() || written.baseline.is_some() { Exit::Done } else { Exit::Gate };
    // They are findings of the validation, unless a rule turns them off.
    drop(botops_datasets::take_notices());
    let outcome = Outcome::done(&answer, text).exit(exit);
    let has_next = context.printer.format() == Format::Table || context.printer.is_json();
    let next = next(args, &name, &validation, written.baseline.is_some()).filter(|_| has_next);
    Ok(next.into_iter().fold(outcome, Outcome::next).findings(validation.findings))
}

/// Suggests the next command: validate by the new baseline, quarantine, repair, or explain the first finding.
fn next(args: &Args, data: &str, validation: &Validation, wrote_baseline: bool) -> Option<String> {
    let name_of = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let test = name_of(&args.test);
    let expectations = name_of(&args.expectations);
    let baseline = name_of(&args.baseline);
    let test = ("--test", test.as_deref());
    let expectations = ("--expectations", expectations.as_deref());
    let baseline = ("--baseline", baseline.as_deref());
    let command = |words: &[&'static str], flags: &[(&'static str, Option<&str>)]| {
        let flags = flags.iter().filter_map(|&(flag, value)| Some([flag, value?]));
        let words = ["botops"].iter().chain(words).copied().chain([data]);
        args.columns.line(words.chain(flags.flatten()))
    };
    if wrote_baseline {
        let is_written = !args.output.dry_run;
        return is_written.then(|| command(&["validate"], &[test, expectations, baseline]));
    }
    if validation.records_rejected > 0 && args.quarantine.is_none() {
        let quarantine = ("--quarantine", Some("quarantine.csv"));
        return Some(command(&["validate"], &[test, expectations, baseline, quarantine]));
    }
    if validation.records_rejected > 0 && is_repairable(&args.data) {
        let patch = ("--patch", Some("repairs.csv"));
        return Some(command(&["data", "repair"], &[expectations, patch]));
    }
    validation.findings.first().map(|finding| format!("botops explain {}", finding.code))
}

/// Returns whether `data repair` supports this data: a single file in a text format.
fn is_repairable(data: &Path) -> bool {
    let name = data.to_string_lossy().to_lowercase();
    let other = [".parquet", ".pq", ".yml", ".yaml"];
    data.is_file() && !other.iter().any(|end| name.ends_with(end))
}

/// The files that a validation wrote, besides reports.
#[derive(Default)]
struct Written {
    quarantine: Option<String>,
    /// The baseline and its number of findings; in a dry run, those that it would have.
    baseline: Option<(String, u64)>,
}

/// Renders the counts, the findings and the verdict.
fn text(
    validation: &Validation,
    name: &str,
    args: &Args,
    expectations: &Expectations,
    written: &Written,
) -> String {
    let intents = match validation.intents.keys().filter(|key| !expectations.is_oos(key)).count() {
        0 if !validation.checks.iter().any(|check| check.code == "BOT-2123") => String::new(),
        n => format!("{}, ", tables::counted(n as u64, "intent", "intents")),
    };
    let mut text = format!(
        "{name}: {}, {intents}{} accepted, {} rejected\n",
        tables::counted(validation.records_in, "record", "records"),
        tables::count(validation.records_accepted),
        tables::count(validation.records_rejected)
    );
    text.push_str(&tables::checks(validation, args.output.samples));
    let verdict = match (validation.passes(), &written.baseline) {
        (_, Some(_)) => "accepted",
        (true, None) => "passed",
        (false, None) => "failed",
    };
    text.push_str(&format!(
        "{verdict}: {}, {}",
        tables::counted(validation.errors, "error", "errors"),
        tables::counted(validation.warnings, "warning", "warnings")
    ));
    if validation.known > 0 {
        text.push_str(&format!(", {} known", tables::count(validation.known)));
    }
    let is_below = |check: &&Check| check.severity == Severity::Info && check.rule.is_some();
    let n_infos: u64 = validation.checks.iter().filter(is_below).map(|check| check.findings).sum();
    if n_infos > 0 {
        text.push_str(&format!(", {} below their thresholds", tables::count(n_infos)));
    }
    text.extend(validation.share_text().map(|share| format!("; {share}")));
    text.push('\n');
    if let Some(path) = &written.quarantine {
        let n = tables::counted(validation.records_rejected, "record", "records");
        text.push_str(&format!("quarantined {n} in {path}\n"));
    }
    if let Some((path, n)) = &written.baseline {
        let verb = if args.output.dry_run { "would write" } else { "wrote" };
        let n = tables::counted(*n, "finding", "findings");
        text.push_str(&format!("{verb} {n} to the baseline {path}\n"));
    }
    text
}
