//! `botops validate`.

use super::{
    Exit, Outcome,
    context::{self, Context},
    data_args::DataArgs,
    data_source, tables,
};
use crate::{
    datasets::{self, Expectations, Presence},
    findings::Result,
    report,
};
use serde::Serialize;
use std::path::PathBuf;

/// Check a data set against expectations.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Data file: CSV, TSV, JSONL, JSON, Parquet or Rasa YAML, packed or not; a pattern in quotes; - for standard input; or
    /// a file of a snapshot such as support@3:train.csv
    data: PathBuf,
    /// Test data: records of it that are also in the data are reported
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Expectations; default: expectations.yaml beside the data, if there
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Write rejected records here, with the reasons
    #[arg(long, value_name = "FILE")]
    quarantine: Option<PathBuf>,
    /// Write a report page here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How many findings of each kind to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    samples: usize,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a str,
    records_in: u64,
    records_accepted: u64,
    records_rejected: u64,
    errors: u64,
    warnings: u64,
    intents: &'a std::collections::BTreeMap<String, u64>,
    languages: &'a std::collections::BTreeMap<String, u64>,
    quarantine: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let inputs = [Some(args.data.as_path()), args.test.as_deref(), args.expectations.as_deref()];
    context::distinct(args.quarantine.as_deref(), &inputs)?;
    context::distinct(args.html.as_deref(), &inputs)?;
    let beside = args.data.with_file_name("expectations.yaml");
    let expectations = match &args.expectations {
        Some(path) => Expectations::read(path)?,
        // Beside a file of a snapshot lies what is stored, not what is here.
        None if data_source::reference(&args.data).is_none() && beside.exists() => {
            Expectations::read(&beside)?
        }
        None => Expectations::default(),
    };
    let mut options = args.columns.options(Presence::Required);
    let declared = |role: &str| expectations.columns.get(role).cloned();
    options.text_column = options.text_column.or_else(|| declared("text"));
    options.intent_column = options.intent_column.or_else(|| declared("intent"));
    options.lang_column = options.lang_column.or_else(|| declared("lang"));
    let data = data_source::dataset(context, &args.data, &options)?;
    let test = match &args.test {
        Some(path) => {
            Some(data_source::dataset(context, path, &args.columns.options(Presence::Required))?)
        }
        None => None,
    };
    let validation = datasets::validate(&data, &expectations, test.as_ref());
    if let Some(path) = &args.quarantine
        && !args.dry_run
    {
        datasets::write_quarantine(path, &validation.rejected)?;
    }
    if let Some(path) = &args.html
        && !args.dry_run
    {
        context::write_file(path, report::validation_html(&validation, &data.name).as_bytes())?;
    }
    let quarantine =
        args.quarantine.as_ref().filter(|_| !args.dry_run).map(|path| path.display().to_string());
    let mut text = format!(
        "{}: {} records, {} intents, {} accepted, {} rejected\n",
        data.name,
        tables::count(validation.records_in),
        validation.intents.keys().filter(|name| **name != expectations.oos).count(),
        tables::count(validation.records_accepted),
        tables::count(validation.records_rejected)
    );
    text.push_str(&tables::findings(&validation.findings, args.samples));
    let verdict = if validation.errors > 0 { "failed" } else { "passed" };
    text.push_str(&format!(
        "{verdict}: {} errors, {} warnings\n",
        tables::count(validation.errors),
        tables::count(validation.warnings)
    ));
    if let Some(path) = &quarantine {
        text.push_str(&format!("quarantined {} records in {path}\n", validation.records_rejected));
    }
    let answer = Answer {
        file: &data.name,
        records_in: validation.records_in,
        records_accepted: validation.records_accepted,
        records_rejected: validation.records_rejected,
        errors: validation.errors,
        warnings: validation.warnings,
        intents: &validation.intents,
        languages: &validation.languages,
        quarantine,
    };
    let exit = if validation.errors > 0 { Exit::Gate } else { Exit::Done };
    let mut outcome = Outcome::done(&answer, text).exit(exit);
    if validation.records_rejected > 0 && args.quarantine.is_none() {
        outcome = outcome
            .next(format!("botops validate {} --quarantine quarantine.csv", args.data.display()));
    } else if let Some(code) = validation.findings.first().map(|finding| finding.code.clone()) {
        outcome = outcome.next(format!("botops explain {code}"));
    }
    Ok(outcome.findings(validation.findings))
}
