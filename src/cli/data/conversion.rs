//! The conversion of files of one format to a file of another: the common part of `import` and `export`.

use crate::cli::{
    Exit, Outcome,
    arguments::data_args::DataArgs,
    session::{context::Context, outputs, table_output::TableOutput},
    terminal::{progress::bar, tables},
};
use botops_datasets::{
    self as datasets, Format, NonRecords, Packing, Presence, RecordWriter, Term, Written,
};
use botops_files::output_name;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The files to read, and the file to write.
pub(super) struct Conversion<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) format: Format,
    pub(super) out: &'a Path,
    /// The file for the synonyms, lookups and patterns of Rasa, which tables cannot hold.
    pub(super) terms: Option<&'a Path>,
    pub(super) samples: usize,
    pub(super) force: bool,
    pub(super) dry_run: bool,
    pub(super) columns: &'a DataArgs,
}

impl Conversion<'_> {
    fn output<'a>(&self, path: &'a Path) -> TableOutput<'a> {
        TableOutput::new(path, self.force)
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    files: Vec<Source>,
    out: String,
    format: &'static str,
    records_in: u64,
    records_out: u64,
    records_left_out: u64,
    terms: u64,
    terms_file: Option<String>,
    intents: &'a BTreeMap<String, u64>,
    dry_run: bool,
}

/// A file, or a pattern of files.
#[derive(Serialize)]
struct Source {
    file: String,
    records: u64,
}

/// The result of reading.
#[derive(Default)]
struct ReadSoFar {
    files: Vec<Source>,
    records: u64,
    intents: BTreeMap<String, u64>,
    terms: Vec<Term>,
    findings: Vec<Finding>,
}

pub(super) fn run(conversion: &Conversion<'_>, context: &Context) -> Result<Outcome> {
    let Conversion { out, terms, .. } = *conversion;
    for path in conversion.files {
        for input in datasets::expand(path)? {
            outputs::distinct(Some(out), &[Some(&input)])?;
            outputs::distinct(terms, &[Some(&input)])?;
        }
    }
    outputs::distinct_outputs(&[Some(out), terms], &[])?;
    conversion.output(out).check()?;
    terms.map_or(Ok(()), |terms| conversion.output(terms).check())?;
    let packing = Packing::of_name(&out.to_string_lossy());
    if conversion.format == Format::Parquet && packing != Packing::Plain {
        return Err(Fault::usage(
            "BOT-1003",
            "a Parquet file cannot be packed again: its columns are compressed already",
        )
        .file(out)
        .hint("remove the ending `.gz` or `.zst`"));
    }
    let mut seen = ReadSoFar::default();
    let written = if conversion.dry_run {
        convert(conversion, packing, &mut io::sink(), &mut seen, context)?
    } else {
        let output = conversion.output(out);
        let mut file = output.create()?;
        let written = convert(conversion, packing, &mut file, &mut seen, context)?;
        output.publish(file)?;
        written
    };
    // Each record must be written, or counted and reported as left out.
    if seen.records != written.records_out + written.records_left_out {
        return Err(Fault::internal(
            "BOT-9001",
            format!(
                "{} records were read, but only {} were counted",
                seen.records, written.records_out
            ),
        ));
    }
    Ok(outcome(conversion, seen, written))
}

/// Reads the files and writes their records to `file`.
fn convert(
    conversion: &Conversion<'_>,
    packing: Packing,
    file: &mut (dyn Write + Send),
    seen: &mut ReadSoFar,
    context: &Context,
) -> Result<Written> {
    let failed = |error: io::Error| unwritten(error, conversion.out);
    let options = conversion.columns.options(Presence::Optional);
    let mut writer = RecordWriter::begin(conversion.format, packing, file).map_err(failed)?;
    for path in conversion.files {
        let mut stream = datasets::stream(path, &options)?;
        let bar = bar(&context.printer, "bytes", stream.progress().0);
        let (mut n, mut file) = (0, String::new());
        while let Some(records) = stream.next() {
            let records = records?;
            if stream.name() != file {
                file = stream.name().to_owned();
                seen.findings.extend(without_role(&stream.other_columns(), &file));
            }
            n += records.len() as u64;
            for intent in records.iter().filter_map(|record| record.intent.as_ref()) {
                match seen.intents.get_mut(intent) {
                    Some(n) => *n += 1,
                    None => drop(seen.intents.insert(intent.clone(), 1)),
                }
            }
            let place = |record: &datasets::Record| {
                datasets::record_place(&file, record.record, record.line)
            };
            writer.add(&records, place).map_err(failed)?;
            bar.set_position(stream.progress().1);
        }
        bar.finish_and_clear();
        let NonRecords { terms, findings } = stream.take_non_records();
        seen.terms.extend(terms);
        seen.findings.extend(findings);
        seen.records += n;
        seen.files.push(Source { file: path.display().to_string(), records: n });
    }
    match conversion.terms {
        None => writer.add_terms(seen.terms.clone()),
        Some(path) if !conversion.dry_run => {
            let output = conversion.output(path);
            let mut file = output.create()?;
            let mut terms = RecordWriter::begin(Format::Rasa, Packing::Plain, &mut file)
                .map_err(|error| unwritten(error, path))?;
            terms.add_terms(seen.terms.clone());
            terms.finish().map_err(|error| unwritten(error, path))?;
            output.publish(file)?;
        }
        Some(_) => {}
    }
    writer.finish().map_err(failed)
}

/// Returns a warning about the columns of `file` that records cannot hold; `None` without such columns.
pub(super) fn without_role(columns: &[String], file: &str) -> Option<Finding> {
    const MOST_COLUMNS: usize = 10;
    if columns.is_empty() {
        return None;
    }
    let names = columns
        .iter()
        .take(MOST_COLUMNS)
        .map(|name| format!("`{}`", botops_text::display(name, 40)));
    let mut names: Vec<String> = names.collect();
    if columns.len() > MOST_COLUMNS {
        names.push(format!("and {} more", columns.len() - MOST_COLUMNS));
    }
    let (noun, verb) = if columns.len() == 1 { ("column", "is") } else { ("columns", "are") };
    let message = format!("the {noun} {} {verb} not carried over", names.join(", "));
    let place = Place { file: Some(file.to_owned()), ..Place::default() };
    let help = "a record has a text, an intent, a language and entities: name their columns with `--text-column`, `--intent-column` and `--lang-column`";
    Some(Finding::new("BOT-2166", Severity::Warning, message, help).at(place))
}

fn outcome(conversion: &Conversion<'_>, seen: ReadSoFar, written: Written) -> Outcome {
    let Conversion { out, format, dry_run, .. } = *conversion;
    let Written { records_out, records_left_out, findings } = written;
    let file = output_name(out);
    let place = if dry_run { "not written (dry run)" } else { file.as_str() };
    let mut text = format!(
        "{place}: {} in, {} out as {}, {} left out, {}\n",
        tables::counted(seen.records, "record", "records"),
        tables::count(records_out),
        format.name(),
        tables::count(records_left_out),
        tables::counted(seen.intents.len() as u64, "intent", "intents")
    );
    let terms_file = conversion.terms.filter(|_| !dry_run).map(output_name);
    if let Some(file) = &terms_file {
        text.push_str(&format!(
            "{file}: {}\n",
            tables::counted(seen.terms.len() as u64, "term", "terms")
        ));
    }
    let mut all = seen.findings;
    all.extend(findings);
    text.push_str(&tables::findings(&all, conversion.samples));
    let answer = Answer {
        files: seen.files,
        out: file,
        format: format.name(),
        records_in: seen.records,
        records_out,
        records_left_out,
        terms: seen.terms.len() as u64,
        terms_file,
        intents: &seen.intents,
        dry_run,
    };
    let exit = if records_left_out > 0 { Exit::Gate } else { Exit::Done };
    Outcome::done(&answer, text).exit(exit).findings(all)
}

/// Returns the fault inside the error of a writer, or makes one.
pub(super) fn unwritten(error: io::Error, path: &Path) -> Fault {
    error.downcast::<Fault>().unwrap_or_else(|error| {
        Fault::internal("BOT-1002", format!("the file cannot be written: {error}"))
            .file(path)
            .hint("check that the folder exists, its permissions and its free space")
    })
}
