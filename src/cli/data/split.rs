//! `botops data split`.

use crate::cli::{
    Outcome,
    arguments::share::share,
    arguments::{data_args::DataArgs, data_source, out_path::named_path},
    session::{context::Context, outputs, table_output::TableOutput},
    terminal::tables,
};
use botops_datasets::{
    self as datasets, Dataset, Presence, ReadOptions, Rejected, Source as _, TableRows,
    formats::csv::SheetForm, table::Origin,
};
use botops_digest::Digest;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_spec::Spec as _;
use botops_splits::{LockedSplit, LockedSplitSpec, SplitLock, SplitSide};
use botops_text::{for_people, percent};
use botops_validation::quarantine::{Quarantine, QuarantinePlace};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Labelled data: CSV, TSV, JSONL or Parquet, or a file of a snapshot
    data: PathBuf,
    /// Share of each intent for the test side; default: the share in the lock, else 20%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    test: Option<f64>,
    /// Share of each intent for the validation side; default: the share in the lock, else none
    #[arg(long, value_name = "SHARE", value_parser = share)]
    validation: Option<f64>,
    /// Column whose equal values stay on the same side, such as a conversation
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// File with the side of each record, so that records do not move later; created if it does not exist
    #[arg(long, value_name = "FILE", value_parser = named_path())]
    lock: Option<PathBuf>,
    /// Random seed; default: the seed in the lock, else 17
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for the files of the sides; default: such as utterances-split
    #[arg(long, short, value_name = "FOLDER", value_parser = named_path())]
    out: Option<PathBuf>,
    /// Replace existing files that botops did not write, or that were edited since
    #[arg(long)]
    force: bool,
    /// Show the split, but write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

/// The default seed.
const SEED: u64 = 17;
/// The default share of the test side.
const TEST_SHARE: f64 = 0.2;

#[derive(Serialize)]
struct Answer<'a> {
    data: &'a str,
    dry_run: bool,
    /// The sides, by name.
    sides: BTreeMap<&'static str, Written>,
    left_out: Option<Written>,
    lock: Option<String>,
    records_locked: u64,
    records_following: u64,
    records_new: u64,
    intents: BTreeMap<String, BTreeMap<&'static str, u64>>,
}

/// A file of records.
#[derive(Serialize)]
struct Written {
    file: String,
    records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let out = args.out.clone().unwrap_or_else(|| own_folder(&args.data));
    let path = |name: &str| out.join(format!("{name}.csv"));
    let sides = ["train", "validation", "test", "left-out"].map(&path);
    let mut outputs: Vec<Option<&Path>> = sides.iter().map(|side| Some(side.as_path())).collect();
    outputs.push(args.lock.as_deref());
    outputs::distinct_outputs(&outputs, &[Some(&args.data)])?;
    let lock = args.lock.as_deref().map(SplitLock::read).transpose()?.flatten();
    let locked = lock.as_ref().map(SplitLock::spec);
    let spec = LockedSplitSpec {
        test_share: args.test.or(locked.map(|spec| spec.test_share)).unwrap_or(TEST_SHARE),
        validation_share: args
            .validation
            .or(locked.map(|spec| spec.validation_share))
            .unwrap_or(0.0),
        seed: args.seed.or(locked.map(|spec| spec.seed)).unwrap_or(SEED),
        group: args.group.clone().or_else(|| locked.and_then(|spec| spec.group.clone())),
    };
    let spec = spec.check()?;
    let options = args.columns.options(Presence::Required);
    // The data are read several times, and a pipe can be read only once.
    let held = match data_source::reference(&args.data).is_some() || is_pipe(&args.data) {
        true => Some(data_source::read(context, &args.data)?),
        false => None,
    };
    let read = |options: &ReadOptions| match &held {
        Some(source) => datasets::read_bytes(&source.bytes, &source.name, options),
        None => datasets::read(&args.data, options),
    };
    let data = read(&options)?;
    let groups = spec.group.as_deref().map(|group| groups(group, &options, read)).transpose()?;
    let split = botops_splits::split_locked(&data, groups.as_deref(), &spec, lock.as_ref())?;

    let LockedSplit { train, validation, test, left_out, .. } = &split;
    let mut sides: Vec<(SplitSide, &Dataset)> = vec![(SplitSide::Train, train)];
    sides.extend(validation.as_ref().map(|validation| (SplitSide::Validation, validation)));
    sides.push((SplitSide::Test, test));
    let origin = match &held {
        Some(source) => Origin::held(source.bytes.clone(), &source.name),
        None => Origin::of(&args.data)?,
    };
    let mut rows = TableRows::open(origin, &options, None)?;
    let names: Vec<SplitSide> = sides.iter().map(|(side, _)| *side).collect();
    let whole = whole_rows(&mut rows, &split, &names)?;
    let left_out_file = path("left-out");
    // The file of an earlier run is replaced even by an empty one, so that it does not seem to belong to this run.
    let has_left_out_file = !left_out.is_empty() || left_out_file.exists();
    for (side, bytes) in names.iter().zip(&whole.sides) {
        let file = path(side.name());
        TableOutput::new(&file, args.force).check_content(bytes)?;
    }
    let left_out_output = Output::new(&left_out_file, OutputKind::Quarantine, args.force);
    if has_left_out_file {
        left_out_output.check()?;
    }
    if !args.dry_run {
        fs::create_dir_all(&out).map_err(|error| {
            let why = outputs::plain(&error);
            let message = format!("the folder `{}` cannot be created: {why}", out.display());
            Fault::internal("BOT-1002", message).file(&out).hint("name another with `--out`")
        })?;
        // The lock is written first: if a later write fails, the same command repeats the same split.
        if let Some(path) = &args.lock {
            split.lock.write(path, lock.as_ref())?;
        }
        for (side, bytes) in names.iter().zip(&whole.sides) {
            let file = path(side.name());
            TableOutput::new(&file, args.force).write(bytes)?;
        }
        if has_left_out_file {
            whole.write_left_out(&left_out_output, left_out, &data.name)?;
        }
    }
    let written = |name: &str, records: usize, digest| Written {
        file: path(name).display().to_string(),
        records: records as u64,
        digest,
    };
    let answer = Answer {
        data: &data.name,
        dry_run: args.dry_run,
        left_out: has_left_out_file.then(|| written("left-out", left_out.len(), None)),
        lock: args.lock.as_ref().map(|path| path.display().to_string()),
        records_locked: split.records_locked,
        records_following: split.records_following,
        records_new: split.records_new,
        intents: intents(&sides),
        sides: sides
            .iter()
            .zip(&whole.sides)
            .map(|((side, data), bytes)| {
                let digest = Some(Digest::of(bytes));
                (side.name(), written(side.name(), data.records.len(), digest))
            })
            .collect(),
    };
    let mut text = text(&answer, data.records.len());
    text.push_str(&tables::findings(&split.findings, 5));
    let outcome = Outcome::done(&answer, text).findings(split.findings);
    if args.dry_run {
        return Ok(outcome);
    }
    let (train, test) = (path("train").display().to_string(), path("test").display().to_string());
    // The files of the sides have the columns of the data, but they are CSV with commas in UTF-8.
    let columns = DataArgs {
        input_format: None,
        delimiter: None,
        encoding: None,
        max_unpacked: None,
        ..args.columns.clone()
    };
    Ok(outcome.next(columns.line(["botops", "train", &train, "--test", &test])))
}

/// Returns whether `path` can be read only once: standard input, or a pipe.
fn is_pipe(path: &Path) -> bool {
    let is_special = |metadata: fs::Metadata| !metadata.is_file() && !metadata.is_dir();
    path == Path::new(datasets::STDIN) || fs::metadata(path).is_ok_and(is_special)
}

/// The rows of the data with all of their columns.
struct WholeRows {
    names: Vec<String>,
    /// The form of the list of those left out: that of the data.
    form: SheetForm,
    /// The CSV of each side.
    sides: Vec<Vec<u8>>,
    /// The cells of each row that was left out, safe to show.
    left_out: Vec<Vec<String>>,
}

/// Divides `rows` between the `sides`, as the `split` of their records did.
///
/// # Errors
/// `BOT-2218` (exit 5) when the file changed since the records were read.
fn whole_rows(rows: &mut TableRows, split: &LockedSplit, sides: &[SplitSide]) -> Result<WholeRows> {
    let changed = |name: &str| {
        Fault::conflict("BOT-2218", "the file changed while it was read")
            .file(name)
            .hint("wait until the file is complete, then split it again")
    };
    let (file, names) = (rows.name().to_owned(), rows.shape().names.clone());
    let form = SheetForm::of_data(rows.shape().delimiter);
    let (mut n, mut left_out) = (0, Vec::new());
    let parts = datasets::csv_parts(rows, sides.len(), &mut |position, row| {
        n += 1;
        let side = split.sides.get(position).ok_or_else(|| changed(&file))?;
        if side.is_none() {
            let cells = (0..names.len()).map(|column| for_people(row.cell(column)));
            left_out.push(cells.collect());
        }
        Ok(side.and_then(|side| sides.iter().position(|other| *other == side)))
    })?;
    if n != split.sides.len() {
        return Err(changed(&file));
    }
    Ok(WholeRows { names, form, sides: parts, left_out })
}

impl WholeRows {
    /// Writes the records that were left out of `data`, with the reasons. It is a list for people: without fingerprints,
    /// nothing is merged back from it.
    fn write_left_out(&self, output: &Output<'_>, records: &[Rejected], data: &str) -> Result<()> {
        let mut list = Quarantine::create(output, &self.names, self.form)?;
        for (Rejected { record, reasons }, cells) in records.iter().zip(&self.left_out) {
            let place = QuarantinePlace {
                file: record.file.as_deref().unwrap_or(data),
                record: record.record,
                line: record.line,
                fingerprint: String::new(),
            };
            list.write(&place, reasons, cells.iter().cloned())?;
        }
        list.publish()
    }
}

/// Returns the group of each record.
fn groups(
    group: &str,
    options: &ReadOptions,
    read: impl Fn(&ReadOptions) -> Result<Dataset>,
) -> Result<Vec<Option<String>>> {
    // The second pass reads the column in the place of the language.
    let options = ReadOptions { lang_column: Some(group.to_owned()), ..options.clone() };
    let data = read(&options).map_err(|fault| {
        if fault.code() != "BOT-2101" {
            return fault;
        }
        let mut named = Fault::usage("BOT-2101", fault.message()).at(fault.place().clone());
        for hint in fault.hints() {
            named = named.hint(hint.replace("--lang-column", "--group"));
        }
        named
    })?;
    Ok(data.records.into_iter().map(|record| record.lang).collect())
}

/// Returns `utterances-split` for `data/utterances.csv` and for `support@3:utterances.csv`.
fn own_folder(data: &Path) -> PathBuf {
    let name = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.rsplit(':').next().unwrap_or_default();
    let stem = name.split(['.', '@']).next().filter(|stem| !stem.is_empty()).unwrap_or("data");
    PathBuf::from(format!("{stem}-split"))
}

fn intents(sides: &[(SplitSide, &Dataset)]) -> BTreeMap<String, BTreeMap<&'static str, u64>> {
    let mut intents: BTreeMap<String, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for (side, data) in sides {
        for record in &data.records {
            let counts = intents.entry(record.intent.clone().unwrap_or_default()).or_default();
            *counts.entry(side.name()).or_default() += 1;
        }
    }
    intents
}

fn text(answer: &Answer<'_>, n: usize) -> String {
    let would = if answer.dry_run { " (dry run: nothing was written)" } else { "" };
    let mut out = format!(
        "{}: {}{would}\n",
        botops_text::display(answer.data, 200),
        tables::counted(n as u64, "record", "records")
    );
    let order = ["train", "validation", "test"];
    let rows = order.iter().filter_map(|name| Some((name, answer.sides.get(name)?)));
    let rows = rows.map(|(name, side)| {
        let share = side.records as f64 / n.max(1) as f64;
        let n_intents =
            answer.intents.values().filter(|counts| counts.contains_key(name)).count() as u64;
        vec![
            (*name).to_owned(),
            tables::count(side.records),
            percent(share, 1),
            tables::count(n_intents),
            side.file.clone(),
        ]
    });
    out.push_str(&tables::table(
        &["side", "records", "share", "intents", "file"],
        rows,
        &[1, 2, 3],
    ));
    if let Some(left_out) = &answer.left_out {
        out.push_str(&format!(
            "left out of both sides: {} ({})\n",
            tables::count(left_out.records),
            left_out.file
        ));
    }
    match &answer.lock {
        Some(lock) => out.push_str(&format!(
            "{lock}: {} in place, {} near duplicates, {} new\n",
            tables::counted(answer.records_locked, "record stays", "records stay"),
            tables::counted(answer.records_following, "follows", "follow"),
            tables::counted(answer.records_new, "is", "are")
        )),
        None => out.push_str(
            "not locked: records may change sides when the data grows; `--lock split.lock.json` prevents that\n",
        ),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_named_after_the_data() {
        for (data, folder) in [
            ("data/utterances.csv", "utterances-split"),
            ("a.b.csv.gz", "a-split"),
            ("support@3:sub/train.csv", "train-split"),
            ("support@3", "support-split"),
        ] {
            assert_eq!(own_folder(Path::new(data)), Path::new(folder));
        }
    }
}
