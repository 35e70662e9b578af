//! `botops predictions export`.

use super::{
    answers::Exported,
    filter_args::FilterArgs,
    log::{log, nothing},
    text,
};
use crate::cli::{
    Outcome,
    arguments::{out_path::OutPath, output_args::ForceArg},
    session::{context::Context, provenance},
    terminal::tables,
};
use botops_datasets::Format;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_predictions::{ExportFormat, RecordExport};

/// The number of records after which the bytes so far are written.
const AT_ONCE: u64 = 4_096;

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Write the records to this file: JSONL, CSV or Parquet, by its name
    #[arg(long, short, value_name = "FILE", default_value = "predictions.jsonl")]
    out: OutPath,
    #[command(flatten)]
    force: ForceArg,
    /// Check, but write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &ExportArgs, context: &Context) -> Result<Outcome> {
    let format = match args.out.table_format(&[Format::Jsonl, Format::Csv, Format::Parquet])? {
        _ if args.out.is_standard_output() => ExportFormat::Jsonl,
        Format::Csv => ExportFormat::Csv,
        Format::Parquet => ExportFormat::Parquet,
        _ => ExportFormat::Jsonl,
    };
    let output = Output::new(&args.out, OutputKind::Other, args.force.force);
    output.check()?;
    let filter = args.filter.filter(provenance::now()?)?;
    let (store, environment) = log(context)?;
    let mut export = RecordExport::new(format)?;
    // The file appears once it is whole. A dry run only compares: an existing file with other content needs `--force`.
    let mut file = if args.dry_run { None } else { Some(output.create()?) };
    let (mut n, mut compared) = (0_u64, Vec::new());
    let mut written = Ok(());
    let mut write = |bytes: Vec<u8>| match &mut file {
        Some(file) => file.write(&bytes),
        None => {
            compared.extend(bytes);
            Ok(())
        }
    };
    let findings = context.wait(filter.records(&store, environment, |record| {
        n += 1;
        if written.is_ok() {
            written = export.add(record);
        }
        if written.is_ok() && n.is_multiple_of(AT_ONCE) {
            written = write(export.take());
        }
    }))??;
    written?;
    let (rest, records) = export.finish()?;
    if records == 0 {
        return Err(nothing(environment));
    }
    write(rest)?;
    match file {
        Some(file) => file.publish()?,
        None => output.check_content(&compared)?,
    }
    let answer = Exported { environment, out: args.out.shown(), records, dry_run: args.dry_run };
    let verb = if args.dry_run { "would write" } else { "wrote" };
    let text =
        format!("{}: {verb} {}\n", answer.out, tables::counted(records, "record", "records"));
    let text = text::with_findings(text, &findings);
    Ok::<_, Fault>(Outcome::done(&answer, text).findings(findings))
}
