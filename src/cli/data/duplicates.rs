//! `botops data duplicates`.

use crate::cli::arguments::share::share_up_to_one;
use crate::cli::{
    Exit, Outcome,
    arguments::{data_args::DataArgs, data_source},
    session::context::Context,
    terminal::tables,
};
use botops_curation::{DuplicateGroup, Duplicates};
use botops_datasets::Presence;
use botops_findings::{Fault, Result};
use botops_text::{NearSpec, percent, utterance};
use serde::Serialize;
use std::path::PathBuf;

/// Find duplicates and near duplicates within files, across intents and across files
///
/// The exit code is 3 when one text has two intents, or when more than --fail-if of the records are redundant.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data files: CSV, TSV, JSONL or Parquet, or files of a snapshot such as support@3:train.csv; duplicates across
    /// files are leakage
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Smallest Jaccard similarity of the three-letter sequences of near duplicates, from 0.5 to 1
    #[arg(long, value_name = "T", default_value = "0.8", value_parser = threshold)]
    threshold: f64,
    /// Show at most N groups
    #[arg(long, value_name = "N", default_value_t = 10)]
    samples: usize,
    /// Fail (exit code 3) if a larger share of the records than this is redundant, such as 5%
    #[arg(long, value_name = "SHARE", value_parser = share_up_to_one)]
    fail_if: Option<f64>,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    files: Vec<String>,
    #[serde(flatten)]
    duplicates: &'a Duplicates,
    /// The share of redundant records.
    share: f64,
    fail_if: Option<f64>,
}

/// The most records of a group that are shown.
const MEMBERS: usize = 5;

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let options = args.columns.options(Presence::Optional);
    let data = args
        .files
        .iter()
        .map(|path| data_source::dataset(context, path, &options))
        .collect::<Result<Vec<_>>>()?;
    let spec = NearSpec::new(args.threshold, NearSpec::default().shingle())
        .ok_or_else(|| Fault::usage("BOT-1003", "`--threshold` is out of range"))?;
    let found = botops_curation::duplicates(&data, &spec);
    let share = found.redundant as f64 / found.records.max(1) as f64;
    let is_failed = args.fail_if.is_some_and(|limit| share > limit);
    let mut text = text(&found, args);
    if let Some(limit) = args.fail_if {
        text.push_str(&format!(
            "{}: {} of the records are redundant, at most {} are allowed\n",
            if is_failed { "failed" } else { "passed" },
            percent(share, 2),
            percent(limit, 2)
        ));
    }
    let files = data.iter().map(|data| data.name.clone()).collect();
    let answer = Answer { files, duplicates: &found, share, fail_if: args.fail_if };
    let exit = if is_failed || found.conflicts > 0 { Exit::Gate } else { Exit::Done };
    let mut outcome = Outcome::done(&answer, text).exit(exit);
    if let Some(finding) = found.findings.first() {
        outcome = outcome.next(format!("botops explain {}", finding.code));
    }
    Ok(outcome.findings(found.findings.clone()))
}

/// Parses a threshold in [0.5, 1]; below 0.5, most pairs of texts would have to be compared.
fn threshold(word: &str) -> std::result::Result<f64, String> {
    let threshold = word.parse::<f64>().ok().filter(|t| (0.5..=1.0).contains(t));
    threshold.ok_or_else(|| "write a number from 0.5 to 1, such as `0.8`".to_owned())
}

fn text(found: &Duplicates, args: &Args) -> String {
    let mut out = format!(
        "{}: {} the same, {} that nearly do (Jaccard {}); {} redundant\n",
        tables::counted(found.records, "record", "records"),
        tables::counted(found.exact_groups, "group that says", "groups that say"),
        tables::count(found.near_groups),
        found.threshold,
        tables::counted(found.redundant, "record is", "records are")
    );
    for (n, content) in [
        (found.conflicts, "one text under two intents"),
        (found.across_intents, "several intents"),
        (found.across_files, "records of several files"),
    ] {
        if n > 0 {
            out.push_str(&format!(
                "{} {content}\n",
                tables::counted(n, "group has", "groups have")
            ));
        }
    }
    if found.truncated > 0 {
        out.push_str(&format!(
            "note: {} texts have more near duplicates than were compared; some groups may be incomplete\n",
            tables::count(found.truncated)
        ));
    }
    for group in found.groups.iter().take(args.samples) {
        out.push('\n');
        out.push_str(&self::group(group));
    }
    if found.groups.len() > args.samples {
        out.push_str(&format!(
            "\nand {} more groups (`--samples` shows more, `--format json` all)\n",
            tables::count((found.groups.len() - args.samples) as u64)
        ));
    }
    out
}

fn group(group: &DuplicateGroup) -> String {
    let title = match (group.conflict, group.intents.len() > 1, group.files.len() > 1) {
        (true, ..) => "one text, two intents",
        (false, true, true) => "several intents and files",
        (false, true, false) => "several intents",
        (false, false, true) => "several files",
        (false, false, false) => "one intent",
    };
    let rows = group.members.iter().take(MEMBERS).map(|member| {
        vec![
            member.file.clone(),
            member.record.to_string(),
            member.line.to_string(),
            utterance(member.intent.as_deref().unwrap_or_default(), 80),
            member.jaccard.map_or_else(String::new, |jaccard| format!("{jaccard:.2}")),
            utterance(&member.text, 80),
        ]
    });
    let header = ["file", "record", "line", "intent", "Jaccard", "text"];
    let mut out = format!(
        "{title}, {} records\n{}",
        group.members.len(),
        tables::table(&header, rows, &[1, 2, 4])
    );
    if group.members.len() > MEMBERS {
        out.push_str(&format!("and {} more\n", group.members.len() - MEMBERS));
    }
    out
}
