//! `botops data merge`.

use super::conversion;
use crate::cli::{
    Exit, Outcome,
    arguments::{
        data_args::DataArgs, data_source, out_path::OutPath, output_args::RecordOutputArgs,
    },
    session::{context::Context, outputs, table_output::TableOutput},
    terminal::tables,
};
use botops_curation::{Merging, NewIntents};
use botops_datasets::{
    self as datasets, Dataset, Format, Packing, Presence, ReadOptions, RecordWriter, Written,
};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Finding, Place, Result};
use botops_text::{display, shell_line};
use serde::Serialize;
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Add labelled utterances to a data set
///
/// The labelled file is one that `botops data suggest` wrote. Utterances that cannot be added are refused with the reason,
/// and the rest is written; the exit code is 3 when any was refused.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data set, a file or a file of a snapshot; all its records are kept
    base: PathBuf,
    /// Labelled utterances, with the columns `id`, `text` and `intent`
    labelled: PathBuf,
    /// Write the records to this file; the ending gives the format: .csv, .tsv, .jsonl, .json or .parquet, optionally
    /// followed by .gz or .zst; - writes CSV to standard output; the data set itself with `--force`
    #[arg(long, short, value_name = "FILE")]
    out: OutPath,
    /// Accept intents that the data set does not have
    #[arg(long)]
    new_intents: bool,
    /// Write the refused utterances to this file, with the reasons
    #[arg(long, value_name = "FILE")]
    refused: Option<OutPath>,
    #[command(flatten)]
    output: RecordOutputArgs,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    base: &'a str,
    labelled: &'a str,
    out: Option<String>,
    refused_file: Option<String>,
    #[serde(flatten)]
    merging: &'a Merging,
}

/// The column for ids in the file of `botops data suggest`.
const ID: &str = "id";

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let force = args.output.force.force;
    let data_set = Some(args.base.as_path());
    let written = [Some(&*args.out), args.refused.as_deref()];
    outputs::distinct_outputs(&written, &[Some(args.labelled.as_path())])?;
    outputs::distinct_outputs(&written[1..], &[data_set])?;
    // The data set is read before the first byte is written, and its file is replaced as a whole.
    if !force {
        outputs::distinct_outputs(&written[..1], &[data_set]).map_err(|fault| {
            fault.hint("or replace the data set by the merged one: add `--force`")
        })?;
    }
    outputs::csv_named(args.refused.as_deref(), "the list of refused lines")?;
    let output = TableOutput::new(&args.out, force);
    output.check()?;
    let refused =
        args.refused.as_deref().map(|path| Output::new(path, OutputKind::Quarantine, force));
    refused.map_or(Ok(()), |refused| refused.check())?;
    let format = match args.out.format() {
        Some(format) if format != Format::Rasa => format,
        _ => {
            return Err(Fault::usage(
                "BOT-1003",
                format!("the ending of `{}` is not that of a table format", args.out.display()),
            )
            .file(&args.out)
            .hint("use the ending .csv, .tsv, .jsonl, .json or .parquet"));
        }
    };
    let options = args.columns.options(Presence::Required);
    let base = data_source::dataset(context, &args.base, &options)?;
    let mut findings: Vec<Finding> =
        conversion::without_role(&other_columns(context, &args.base, &options)?, &base.name)
            .into_iter()
            .collect();
    let (labelled, ids) = labelled(args, context)?;
    let new_intents = if args.new_intents { NewIntents::Allowed } else { NewIntents::Refused };
    let merging = botops_curation::merge(&base, &labelled, &ids, new_intents);
    let written = if args.output.dry_run {
        write(&merging, format, &args.out, &mut io::sink(), &base)?
    } else {
        let mut file = output.create()?;
        let written = write(&merging, format, &args.out, &mut file, &base)?;
        if let Some(refused) = &refused {
            botops_validation::write_rejected(refused, &labelled.name, &merging.rejected)?;
        }
        output.publish(file)?;
        written
    };
    findings.extend(merging.findings.iter().cloned());
    findings.extend(written.findings);

    let out = (!args.output.dry_run).then(|| args.out.shown());
    let refused_file = args.refused.as_ref().filter(|_| !args.output.dry_run).map(OutPath::shown);
    let mut text = format!(
        "{}: {}; {}: {}: {} added, {} present already, {} not labelled yet, {} refused\n",
        display(&base.name, 200),
        tables::counted(merging.base, "record", "records"),
        display(&labelled.name, 200),
        tables::counted(merging.records_in, "utterance", "utterances"),
        tables::count(merging.added),
        tables::count(merging.already),
        tables::count(merging.unlabelled),
        tables::count(merging.refused)
    );
    text.push_str(&tables::findings(&findings, args.output.samples));
    text.push_str(&match &out {
        Some(out) => format!("wrote {out}: {} records\n", tables::count(merging.records_out)),
        None => "not written (dry run)\n".to_owned(),
    });
    if let Some(path) = &refused_file {
        text.push_str(&format!("wrote {path}: {} refused utterances\n", merging.refused));
    }
    let answer = Answer {
        base: &base.name,
        labelled: &labelled.name,
        out: out.clone(),
        refused_file,
        merging: &merging,
    };
    let exit = if merging.refused > 0 { Exit::Gate } else { Exit::Done };
    let mut outcome = Outcome::done(&answer, text).exit(exit).findings(findings);
    if let Some(out) = out {
        outcome = outcome.next(shell_line(["botops", "validate", &out]));
    }
    Ok(outcome)
}

/// Reads the labelled utterances, and the id of each.
fn labelled(args: &Args, context: &Context) -> Result<(Dataset, Vec<Option<String>>)> {
    let path = &args.labelled;
    let plain = ReadOptions { intent: Presence::Required, ..ReadOptions::default() };
    if !other_columns(context, path, &plain)?.iter().any(|name| name == ID) {
        return Err(Fault::data("BOT-2197", format!("there is no column `{ID}`"))
            .file(path)
            .hint("name the file that `botops data suggest` wrote, with the column `intent` filled in")
            .hint("to add new texts of your own, use `botops data import`"));
    }
    // A suggested utterance has no language, so its id is read in the place of the language.
    let options = ReadOptions { lang_column: Some(ID.to_owned()), ..plain };
    let mut labelled = data_source::dataset(context, path, &options)?;
    let ids = labelled.records.iter_mut().map(|record| record.lang.take()).collect();
    Ok((labelled, ids))
}

/// Returns the columns of the file that have no role.
fn other_columns(context: &Context, path: &Path, options: &ReadOptions) -> Result<Vec<String>> {
    let mut stream = data_source::stream(context, path, options)?;
    if let Some(records) = stream.next() {
        records?;
    }
    Ok(stream.other_columns())
}

/// Writes the merged records.
fn write(
    merging: &Merging,
    format: Format,
    out: &Path,
    file: &mut (dyn Write + Send),
    base: &Dataset,
) -> Result<Written> {
    let failed = |error: io::Error| conversion::unwritten(error, out);
    let packing = Packing::of_name(&out.to_string_lossy());
    let mut writer = RecordWriter::begin(format, packing, file).map_err(failed)?;
    let place = |record: &datasets::Record| -> Place { base.place(record) };
    writer.add(&merging.merged, place).map_err(failed)?;
    writer.finish().map_err(failed)
}
