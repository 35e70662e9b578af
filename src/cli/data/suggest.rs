//! `botops data suggest`.

use crate::cli::{
    Outcome,
    arguments::{data_args::DataArgs, data_source, model_arg, out_path::OutPath},
    session::{context::Context, outputs},
    terminal::tables,
};
use botops_curation::{Suggestion, Suggestions};
use botops_datasets::{self as datasets, Dataset, Presence};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_text::{NearSpec, display, shell_line};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Choose the utterances of recorded traffic that are most useful to label
///
/// The model is unsure of these utterances, or they differ from its training data; and they differ from one another.
/// Personal data is replaced. `botops data merge` adds the labelled utterances to the data set.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Recorded traffic or other texts: JSONL, CSV, TSV or Parquet; records with an intent count as labelled (for traffic
    /// with known truth: --intent-column truth)
    logs: PathBuf,
    /// Model: a `.botops` file or a reference such as support@champion; default: the workspace's champion
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Training data of the model; its texts are not suggested, and texts unlike them are new. --text-column applies to
    /// the traffic and to this file, where they have such a column
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Choose at most N utterances
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Write the utterances to this CSV file, with an empty column `intent` to fill in
    #[arg(long, short, value_name = "FILE")]
    out: OutPath,
    /// Replace an existing file and the labels in it
    #[arg(long)]
    force: bool,
    /// Show at most N utterances
    #[arg(long, value_name = "N", default_value_t = 10)]
    samples: usize,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    logs: &'a str,
    model: &'a str,
    out: Option<String>,
    #[serde(flatten)]
    found: &'a Suggestions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let model = args.model.as_deref().map(Path::new);
    let inputs = [Some(args.logs.as_path()), args.data.as_deref(), model];
    outputs::distinct(Some(&args.out), &inputs)?;
    outputs::csv_named(Some(&args.out), "the list of suggestions")?;
    // People fill in the labels: an existing file is replaced only by the same content.
    let output = Output::new(&args.out, OutputKind::Other, args.force);
    output.check()?;
    let (traffic, learned, base) = read(args, context)?;
    let model = model_arg::load_or_champion(context, args.model.as_deref())?;
    let near = NearSpec::default();
    let found =
        botops_curation::suggest(&model.model, &traffic, learned.as_ref(), &near, args.limit)
            .map_err(|fault| fault.file(&args.logs))?;
    let bytes = csv(&found.suggestions);
    output.check_content(&bytes)?;
    if !args.dry_run {
        output.write(&bytes)?;
    }
    let out = (!args.dry_run).then(|| args.out.shown());
    let mut text = format!(
        "{}: {}: {} labelled, {} in the training data, {} empty, {} near duplicates of another; {} of {} are suggested\n\n",
        display(&traffic.name, 200),
        tables::counted(found.records, "record", "records"),
        tables::count(found.labelled),
        tables::count(found.known),
        tables::count(found.empty),
        tables::count(found.folded),
        tables::count(found.suggestions.len() as u64),
        tables::count(found.candidates)
    );
    let rows = found.suggestions.iter().take(args.samples).map(|one| {
        vec![
            format!("{:.2}", one.worth),
            one.reason.name().to_owned(),
            one.count.to_string(),
            one.suggested_intent.clone(),
            format!("{:.2}", one.confidence),
            display(&one.text, 80),
        ]
    });
    let header = ["worth", "why", "count", "suggested", "confidence", "text"];
    text.push_str(&tables::table(&header, rows, &[0, 2, 4]));
    if found.suggestions.len() > args.samples {
        text.push_str(&format!("and {} more\n", found.suggestions.len() - args.samples));
    }
    text.push_str(&match &out {
        Some(out) => format!("wrote {out}: fill in the column `intent`\n"),
        None => "not written (dry run)\n".to_owned(),
    });
    let answer =
        Answer { logs: &traffic.name, model: &model.name, out: out.clone(), found: &found };
    let outcome = Outcome::done(&answer, text);
    Ok(match out {
        Some(out) => match &args.data {
            Some(data) => {
                let data = data.display().to_string();
                let words = ["botops", "data", "merge", &data, &out, "--out", "merged.csv"];
                outcome.next(base.line(words))
            }
            // The data set to merge with is unknown.
            None => outcome,
        },
        None => outcome,
    })
}

/// Reads the traffic and the training data; also returns the flags with which the training data was read.
///
/// `--text-column` applies to both files. One of them must have this column; the other may have the usual names instead.
fn read(args: &Args, context: &Context) -> Result<(Dataset, Option<Dataset>, DataArgs)> {
    let base = DataArgs {
        text_column: args.columns.text_column.clone(),
        max_unpacked: args.columns.max_unpacked,
        ..DataArgs::default()
    };
    let by = |path: &Path, columns: &DataArgs| {
        data_source::dataset(context, path, &columns.options(Presence::Optional))
    };
    let usual = |columns: &DataArgs| DataArgs { text_column: None, ..columns.clone() };
    let lacks = |read: &Result<Dataset>| {
        base.text_column.is_some() && read.as_ref().is_err_and(|fault| fault.code() == "BOT-2101")
    };
    let traffic = by(&args.logs, &args.columns);
    let Some(path) = &args.data else { return Ok((traffic?, None, base)) };
    let learned = by(path, &base);
    match (lacks(&traffic), lacks(&learned)) {
        // Only the training data has the column. Standard input cannot be read a second time.
        (true, false) if args.logs != Path::new(datasets::STDIN) => {
            let learned = learned?;
            match by(&args.logs, &usual(&args.columns)) {
                Ok(traffic) => Ok((traffic, Some(learned), base)),
                Err(_) => Ok((traffic?, Some(learned), base)),
            }
        }
        (false, true) => {
            let (traffic, base) = (traffic?, usual(&base));
            let learned = by(path, &base).map_err(|fault| {
                if fault.code() != "BOT-2101" {
                    return fault;
                }
                let data = path.display().to_string();
                let out = path.with_extension("new.csv").display().to_string();
                let words = ["botops", "data", "import", &data, "--out", &out];
                Fault::usage("BOT-2101", fault.message())
                    .at(fault.place().clone())
                    .hint("`--text-column` names the column of the traffic, and the data has another one")
                    .hint(format!(
                        "convert the data to the usual column names: `{} --text-column …`, and name that file with `--data`",
                        shell_line(words)
                    ))
            })?;
            Ok((traffic, Some(learned), base))
        }
        _ => Ok((traffic?, Some(learned?), base)),
    }
}

/// Returns the suggestions as CSV that is safe to open in a spreadsheet.
fn csv(suggestions: &[Suggestion]) -> Vec<u8> {
    let header =
        ["id", "text", "suggested_intent", "confidence", "intent", "count", "worth", "reason"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(suggestions.iter().map(|one| {
        vec![
            one.id.clone(),
            one.text.clone(),
            one.suggested_intent.clone(),
            format!("{:.4}", one.confidence),
            String::new(),
            one.count.to_string(),
            format!("{:.4}", one.worth),
            one.reason.name().to_owned(),
        ]
    }));
    datasets::spreadsheet_csv(&rows)
}
