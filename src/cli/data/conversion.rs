//! Files of one format become a file of another: what `import` and `export` have in common.

use crate::cli::{
    Exit, Outcome,
    arguments::data_args::DataArgs,
    session::context::{self, Context},
    terminal::{progress::bar, tables},
};
use botops_datasets::{
    self as datasets, Format, NonRecords, Packing, Presence, RecordWriter, Term, Written,
};
use botops_files::Aside;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// What is read, and what becomes of it.
pub(super) struct Conversion<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) format: Format,
    pub(super) out: &'a Path,
    /// Where terms go that the format has no place for.
    pub(super) terms: Option<&'a Path>,
    pub(super) samples: usize,
    pub(super) dry_run: bool,
    pub(super) columns: &'a DataArgs,
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

/// One of the files, or what a pattern names.
#[derive(Serialize)]
struct Source {
    file: String,
    records: u64,
}

/// What was read.
#[derive(Default)]
struct Seen {
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
            context::distinct(Some(out), &[Some(&input)])?;
            context::distinct(terms, &[Some(&input)])?;
        }
    }
    context::distinct_outputs(&[Some(out), terms], &[])?;
    let packing = Packing::of_name(&out.to_string_lossy());
    if conversion.format == Format::Parquet && packing != Packing::Plain {
        return Err(Fault::usage("BOT-1003", "a Parquet file is packed by itself")
            .file(out)
            .hint("leave the ending `.gz` or `.zst` out"));
    }
    let mut seen = Seen::default();
    let written = if conversion.dry_run {
        convert(conversion, packing, &mut io::sink(), &mut seen, context)?
    } else {
        let mut file = Aside::create(out)?;
        let written = convert(conversion, packing, &mut file, &mut seen, context)?;
        file.publish()?;
        written
    };
    // Nothing is ever dropped unsaid.
    if seen.records != written.records_out + written.records_left_out {
        return Err(Fault::internal(
            "BOT-9001",
            format!(
                "{} records were read, and {} accounted for",
                seen.records, written.records_out
            ),
        ));
    }
    Ok(outcome(conversion, seen, written))
}

/// Reads the files, and writes them to `file`.
fn convert(
    conversion: &Conversion<'_>,
    packing: Packing,
    file: &mut (dyn Write + Send),
    seen: &mut Seen,
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
            let place = |record: &datasets::Record| Place {
                file: Some(file.clone()),
                record: Some(record.record),
                line: Some(record.line),
                ..Place::default()
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
            let mut file = Aside::create(path)?;
            let mut terms = RecordWriter::begin(Format::Rasa, Packing::Plain, &mut file)
                .map_err(|error| unwritten(error, path))?;
            terms.add_terms(seen.terms.clone());
            terms.finish().map_err(|error| unwritten(error, path))?;
            file.publish()?;
        }
        Some(_) => {}
    }
    writer.finish().map_err(failed)
}

/// Tells of the columns of `file` whose cells no record holds.
pub(super) fn without_role(columns: &[String], file: &str) -> Option<Finding> {
    const SHOWN: usize = 10;
    if columns.is_empty() {
        return None;
    }
    let shown =
        columns.iter().take(SHOWN).map(|name| format!("`{}`", botops_text::display(name, 40)));
    let mut shown: Vec<String> = shown.collect();
    if columns.len() > SHOWN {
        shown.push(format!("and {} more", columns.len() - SHOWN));
    }
    let (what, verb) = if columns.len() == 1 { ("column", "is") } else { ("columns", "are") };
    let message = format!("the {what} {} {verb} not carried over", shown.join(", "));
    let place = Place { file: Some(file.to_owned()), ..Place::default() };
    let help = "a record has a text, an intent, a language and entities: name their columns with `--text-column` and its like";
    Some(Finding::new("BOT-2166", Severity::Warning, message, help).at(place))
}

fn outcome(conversion: &Conversion<'_>, seen: Seen, written: Written) -> Outcome {
    let Conversion { out, format, dry_run, .. } = *conversion;
    let Written { records_out, records_left_out, findings } = written;
    let shown = out.display().to_string();
    let place = if dry_run { "not written (dry run)" } else { shown.as_str() };
    let mut text = format!(
        "{place}: {} in, {} out as {}, {} left out, {}\n",
        tables::counted(seen.records, "record", "records"),
        tables::count(records_out),
        format.name(),
        tables::count(records_left_out),
        tables::counted(seen.intents.len() as u64, "intent", "intents")
    );
    let terms_file = conversion.terms.filter(|_| !dry_run).map(|path| path.display().to_string());
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
        out: shown,
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

/// Takes the fault out of what a writer could not do.
pub(super) fn unwritten(error: io::Error, path: &Path) -> Fault {
    error.downcast::<Fault>().unwrap_or_else(|error| {
        Fault::internal("BOT-1002", format!("the file cannot be written: {error}"))
            .file(path)
            .hint("check that the folder exists, its permissions and its free space")
    })
}
