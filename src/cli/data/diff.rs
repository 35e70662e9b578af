//! `botops data diff`.

use crate::cli::{
    Outcome, arguments::data_args::DataArgs, session::context::Context, terminal::tables,
};
use botops_curation::{Change, IntentChange, Review, ReviewedRecord, Side};
use botops_datasets::{self as datasets, Dataset, Presence, ReadOptions};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_snapshots::{SnapshotReference, Snapshots};
use botops_spec as spec;
use serde::Serialize;
use std::{
    fs::File,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data before: a snapshot such as support@2, one of its files, a file or a folder
    before: PathBuf,
    /// Data after, in the same forms
    after: PathBuf,
    /// Show at most N records of each kind of change of each intent
    #[arg(long, value_name = "N", default_value_t = 3)]
    samples: usize,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    before: &'a str,
    after: &'a str,
    #[serde(flatten)]
    review: &'a Review,
}

/// The most intents listed; the rest is counted.
const MOST_INTENTS: usize = 60;
/// The most files listed; the rest is counted.
const MOST_FILES: usize = 20;

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let options = args.columns.options(Presence::Optional);
    let (before_name, before) = side(context, &args.before, &options)?;
    let (after_name, after) = side(context, &args.after, &options)?;
    let review = botops_curation::review(&before, &after, args.samples);
    let answer = Answer { before: &before_name, after: &after_name, review: &review };
    Ok(Outcome::done(&answer, text(&answer)))
}

/// Reads one side: the records of its data files, and the digests of the others.
fn side(context: &Context, path: &Path, options: &ReadOptions) -> Result<(String, Side)> {
    let mut side = Side::default();
    let reference = match path.exists() {
        true => None,
        // A bare name is a reference if there is no such file.
        false => path.to_str().and_then(|text| text.parse::<SnapshotReference>().ok()),
    };
    let Some(reference) = reference else {
        if path.is_dir() {
            for file in botops_snapshots::files_under(path)? {
                let whole = path.join(&file);
                let data = match is_data(&file) {
                    true => {
                        let name = whole.display().to_string();
                        records(&datasets::bytes(&whole)?, &name, options)?
                    }
                    false => None,
                };
                if let Some(data) = data {
                    side.data.push(data);
                } else {
                    let digest = File::open(&whole)
                        .and_then(Digest::of_reader)
                        .map_err(|error| spec::unreadable(&whole, &error))?;
                    side.other.insert(file, digest);
                }
            }
        } else {
            side.data.push(datasets::read(path, options)?);
        }
        return Ok((path.display().to_string(), side));
    };
    let snapshots = Snapshots::open(context.registry()?.store().clone());
    context.wait(async {
        let snapshot = snapshots.resolve(&reference).await?;
        let name = match &reference.file {
            Some(file) => format!("{}:{file}", snapshot.reference()),
            None => snapshot.reference(),
        };
        for file in &snapshot.manifest.files {
            let is_selected = reference.file.as_ref().is_none_or(|path| *path == file.path);
            if !is_selected {
                continue;
            }
            let is_named = reference.file.is_some() || snapshot.manifest.files.len() == 1;
            if !is_named && !is_data(&file.path) {
                side.other.insert(file.path.clone(), file.digest);
                continue;
            }
            let bytes = snapshots.bytes(&snapshot, file).await?;
            let name = format!("{}:{}", snapshot.reference(), file.path);
            let data = match is_named {
                true => Some(datasets::read_bytes(&bytes, &name, options)?),
                false => records(&bytes, &name, options)?,
            };
            match data {
                Some(data) => side.data.push(data),
                None => drop(side.other.insert(file.path.clone(), file.digest)),
            }
        }
        Ok::<_, Fault>((name, side))
    })?
}

/// Reads the records of a file in a folder; `None` if it has no text column, because then it is another kind of file.
fn records(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Option<Dataset>> {
    match datasets::read_bytes(bytes, name, options) {
        Err(fault) if fault.code() == "BOT-2101" && options.text_column.is_none() => Ok(None),
        data => data.map(Some),
    }
}

/// Returns whether a file of this name may hold records.
fn is_data(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    ["csv", "tsv", "tab", "jsonl", "ndjson", "parquet", "pq"]
        .iter()
        .any(|ending| name.ends_with(&format!(".{ending}")))
}

fn text(answer: &Answer<'_>) -> String {
    format!(
        "{} -> {}: {}",
        botops_text::display(answer.before, 200),
        botops_text::display(answer.after, 200),
        changes(answer.review)
    )
}

/// Renders the numbers of records, and the changes with their samples.
pub(in crate::cli) fn changes(review: &Review) -> String {
    let mut out = format!(
        "{} -> {}\n",
        tables::count(review.records_before),
        tables::counted(review.records_after, "record", "records")
    );
    if review.is_empty() {
        out.push_str("nothing changed\n");
        return out;
    }
    let IntentChange { added, removed, moved_in, reworded, annotated, .. } = &review.total;
    let counted: Vec<String> = [
        (review.unchanged, "unchanged"),
        (*added, "added"),
        (*removed, "removed"),
        (*moved_in, "moved to another intent"),
        (*reworded, "reworded"),
        (*annotated, "with other entities or language"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, change)| format!("{} {change}", tables::count(*n)))
    .collect();
    out.push_str(&format!("{}\n", counted.join(", ")));
    if review.truncated > 0 {
        out.push_str(&format!(
            "note: {} texts have more near duplicates than were compared; some reworded records may count as removed and added\n",
            tables::count(review.truncated)
        ));
    }
    if !review.intents.is_empty() {
        out.push('\n');
        out.push_str(&intents(review));
    }
    if !review.samples.is_empty() {
        out.push('\n');
        out.push_str(&samples(review));
    }
    if !review.files.is_empty() {
        out.push_str("\nother files\n");
        for file in review.files.iter().take(MOST_FILES) {
            out.push_str(&format!("    {}: {}\n", file.change, file.path));
        }
        if review.files.len() > MOST_FILES {
            out.push_str(&format!("    and {} more\n", review.files.len() - MOST_FILES));
        }
    }
    out
}

fn intents(review: &Review) -> String {
    let or_blank = |n: u64, sign: &str| match n {
        0 => String::new(),
        n => format!("{sign}{}", tables::count(n)),
    };
    let rows = review.intents.iter().take(MOST_INTENTS).map(|(name, change)| {
        vec![
            named(Some(name.as_str())),
            tables::count(change.before),
            tables::count(change.after),
            or_blank(change.added, "+"),
            or_blank(change.removed, "-"),
            or_blank(change.moved_in, "+"),
            or_blank(change.moved_out, "-"),
            or_blank(change.reworded, "~"),
        ]
    });
    let header =
        ["intent", "before", "after", "added", "removed", "moved in", "moved out", "reworded"];
    let mut out = tables::table(&header, rows, &[1, 2, 3, 4, 5, 6, 7]);
    if review.intents.len() > MOST_INTENTS {
        out.push_str(&format!(
            "and {} more intents (`--format json` has all)\n",
            review.intents.len() - MOST_INTENTS
        ));
    }
    out
}

fn named(intent: Option<&str>) -> String {
    match intent {
        None | Some("") => "(no intent)".to_owned(),
        Some(intent) => intent.to_owned(),
    }
}

/// Lists samples as a diff: removed text with `-`, added text with `+`.
fn samples(review: &Review) -> String {
    let mut out = String::new();
    let mut last = None;
    for sample in &review.samples {
        let ReviewedRecord { change, intent_before, intent_after, .. } = sample;
        let title = match change {
            Change::Added => format!("added to {}", named(intent_after.as_deref())),
            Change::Removed => format!("removed from {}", named(intent_before.as_deref())),
            Change::Moved => format!(
                "moved from {} to {}",
                named(intent_before.as_deref()),
                named(intent_after.as_deref())
            ),
            Change::Reworded => format!("reworded in {}", named(intent_after.as_deref())),
            Change::Annotated => {
                format!("other entities or language in {}", named(intent_after.as_deref()))
            }
        };
        if last.as_ref() != Some(&title) {
            out.push_str(&format!("{title}\n"));
            last = Some(title);
        }
        let place = format!("{}, record {} (line {})", sample.file, sample.record, sample.line);
        match (&sample.text_before, &sample.text_after) {
            (Some(before), Some(after)) => {
                out.push_str(&format!("  - {before}\n  + {after}\n      {place}\n"));
            }
            (Some(text), None) => {
                let sign = if *change == Change::Removed { '-' } else { ' ' };
                out.push_str(&format!("  {sign} {text}\n      {place}\n"));
            }
            (None, Some(text)) => out.push_str(&format!("  + {text}\n      {place}\n")),
            (None, None) => {}
        }
    }
    out
}
