//! `botops data label-issues`.

use crate::cli::arguments::share::share_up_to_one;
use crate::cli::{
    Exit, Outcome,
    arguments::{data_args::DataArgs, data_source, out_path::OutPath},
    session::{
        context::Context,
        outputs,
        table_output::TableOutput,
        training_data::{UsableRecords, named},
    },
    terminal::{progress::Training, tables},
};
use botops_curation::{LabelIssue, LabelIssueSpec, LabelIssues, NearRecord, OddityKind};
use botops_datasets::{self as datasets, Presence};
use botops_findings::{Fault, Result};
use botops_models::{CrossValidator, ModelSpec};
use botops_spec::Spec as _;
use botops_text::{display, interval, percent, redact};
use serde::Serialize;
use std::path::PathBuf;

/// The default number of folds.
const FOLDS: usize = 5;

/// Find likely mislabelled records, overlapping intents, outliers and gibberish
///
/// Each record is judged by a model trained without it and its near duplicates. The exit code is 3 when more than
/// --fail-if of the records are likely mislabelled.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data file: CSV, TSV, JSONL or Parquet, or a file of a snapshot such as support@3:train.csv
    data: PathBuf,
    /// Settings of the judging model, in YAML (`features`, `head`, `seed`); default: settings chosen for this task
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number of folds; each record is judged by a model trained on the other folds
    #[arg(long, value_name = "K", default_value_t = FOLDS)]
    folds: usize,
    /// Report records whose label is wrong with at least this probability; default: 0.8
    #[arg(long, value_name = "P", value_parser = probability)]
    at_least: Option<f64>,
    /// Show at most N records and intents of each kind
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Fail (exit code 3) if a larger share of the records than this is likely mislabelled, such as 2%
    #[arg(long, value_name = "SHARE", value_parser = share_up_to_one)]
    fail_if: Option<f64>,
    /// Write the likely mislabelled records to this CSV file, for review
    #[arg(long, short, value_name = "FILE")]
    out: Option<OutPath>,
    /// Replace an existing file that botops did not write, or that was edited since
    #[arg(long, requires = "out")]
    force: bool,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    issues: &'a LabelIssues,
    /// The share of the judged records that are likely mislabelled.
    share: f64,
    fail_if: Option<f64>,
    left_out: u64,
    out: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let inputs = [Some(args.data.as_path()), args.config.as_deref()];
    outputs::distinct(args.out.as_deref(), &inputs)?;
    outputs::csv_named(args.out.as_deref(), "the list of label issues")?;
    let output = args.out.as_deref().map(|path| TableOutput::new(path, args.force));
    // People note their decisions in the list: one that was edited is refused before the work.
    output.map_or(Ok(()), |output| output.check_content(b""))?;
    let (mut spec, mut unused) = (LabelIssueSpec::default(), Vec::new());
    if let Some(path) = &args.config {
        let model: ModelSpec = botops_spec::read(path)?;
        spec.model = model.check().map_err(|fault| fault.file(path))?;
        unused = ModelSpec::unused(path)?;
    }
    spec.at_least = args.at_least.unwrap_or(spec.at_least);
    let options = args.columns.options(Presence::Required);
    let mut usable = UsableRecords::of(&data_source::dataset(context, &args.data, &options)?);
    usable.relabel(&spec.model);
    let samples = usable.samples();
    let named = |fault: Fault| named(fault, &args.data);
    let equipment = context.equipment(&spec.model)?;
    let validator =
        CrossValidator::new(&samples, args.folds, spec.model.seed, equipment.resources())
            .map_err(named)?;
    let progress = Training::new(&context.printer);
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let found =
        botops_curation::label_issues(&usable.accepted, &validator, &spec, at_once, &progress)
            .map_err(named)?;
    let output = output.filter(|_| !args.dry_run);
    let out = args.out.as_ref().filter(|_| !args.dry_run);
    if let Some(output) = output {
        output.write(&csv(&found.issues))?;
    }

    let share = found.issues.len() as f64 / found.n.max(1) as f64;
    let is_failed = args.fail_if.is_some_and(|limit| share > limit);
    let mut text = text(&found, share, args.top);
    text.push_str(&usable.left_out_text());
    text.push_str(&tables::findings(&unused, 3));
    if let Some(path) = out {
        text.push_str(&format!("wrote {}\n", path.shown()));
    }
    if let Some(limit) = args.fail_if {
        text.push_str(&format!(
            "{}: {} of the records are likely mislabelled, at most {} are allowed\n",
            if is_failed { "failed" } else { "passed" },
            percent(share, 2),
            percent(limit, 2)
        ));
    }
    let mut findings = usable.left_out.clone();
    findings.extend(found.findings());
    findings.extend(unused);
    findings.extend(equipment.findings());
    let answer = Answer {
        issues: &found,
        share,
        fail_if: args.fail_if,
        left_out: usable.n_left_out,
        out: out.map(OutPath::shown),
    };
    let exit = if is_failed { Exit::Gate } else { Exit::Done };
    let mut outcome = Outcome::done(&answer, text).exit(exit);
    if args.out.is_none() && !found.issues.is_empty() {
        let data = args.data.display().to_string();
        let config = args.config.as_ref().map(|path| path.display().to_string());
        let folds = args.folds.to_string();
        let at_least = args.at_least.map(|least| least.to_string());
        let mut words = vec!["botops", "data", "label-issues", &data];
        words.extend(config.iter().flat_map(|path| ["--config", path.as_str()]));
        if args.folds != FOLDS {
            words.extend(["--folds", &folds]);
        }
        words.extend(at_least.iter().flat_map(|least| ["--at-least", least.as_str()]));
        words.extend(["--out", "review.csv"]);
        outcome = outcome.next(args.columns.line(words));
    }
    Ok(outcome.findings(findings))
}

/// Parses a probability above 0.
fn probability(word: &str) -> std::result::Result<f64, String> {
    let probability = word.parse::<f64>().ok().filter(|p| *p > 0.0 && *p <= 1.0);
    probability.ok_or_else(|| "write a probability above 0, such as `0.8`".to_owned())
}

/// Returns the issues as CSV that is safe to open in a spreadsheet.
fn csv(issues: &[LabelIssue]) -> Vec<u8> {
    let header = [
        "file",
        "record",
        "line",
        "text",
        "intent",
        "suggested_intent",
        "self_confidence",
        "suggested_confidence",
        "score",
        "nearest_record",
        "nearest_cosine",
        "nearest_text",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(issues.iter().map(|issue| {
        let (nearest, cosine, text) = match issue.nearest.first() {
            Some(near) => {
                (near.record.to_string(), format!("{:.3}", near.cosine), near.text.clone())
            }
            None => Default::default(),
        };
        vec![
            issue.file.clone(),
            issue.record.to_string(),
            issue.line.to_string(),
            issue.text.clone(),
            redact(&issue.intent),
            redact(&issue.suggested),
            format!("{:.4}", issue.self_confidence),
            format!("{:.4}", issue.suggested_confidence),
            format!("{:.4}", issue.score),
            nearest,
            cosine,
            text,
        ]
    }));
    datasets::spreadsheet_csv(&rows)
}

fn text(found: &LabelIssues, share: f64, top: usize) -> String {
    let mut out = format!(
        "{}: {} records of {} intents, {} folds of {}; the model agrees with {} of the labels\n",
        display(&found.data, 200),
        tables::count(found.n),
        found.n_intents,
        found.n_folds,
        found.spec.head.kind.name(),
        percent(found.agreement, 1)
    );
    if found.n_outside > 0 {
        out.push_str(&format!(
            "{} not judged\n",
            tables::counted(
                found.n_outside,
                "record out of scope was",
                "records out of scope were"
            )
        ));
    }
    out.push_str(&format!(
        "{} likely mislabelled ({}){}; {} of the labels are estimated to be wrong at random\n",
        tables::counted(found.issues.len() as u64, "record is", "records are"),
        percent(share, 2),
        found.expected_precision.map_or_else(String::new, |share| format!(
            ", {} of them expected to be",
            percent(share, 0)
        )),
        percent(found.noise_rate, 2)
    ));
    if !found.issues.is_empty() {
        out.push('\n');
        out.push_str(&issues(&found.issues, top));
    }
    out.push_str(&overlaps(found, top));
    out.push_str(&oddities(found, top));
    out
}

fn issues(issues: &[LabelIssue], top: usize) -> String {
    let near = |near: Option<&NearRecord>| {
        near.map_or_else(
            || "none".to_owned(),
            |near| {
                format!("{:.2} record {}: {}", near.cosine, near.record, display(&near.text, 50))
            },
        )
    };
    let rows = issues.iter().take(top).map(|issue| {
        vec![
            format!("{:.3}", issue.score),
            issue.record.to_string(),
            issue.line.to_string(),
            redact(&issue.intent),
            redact(&issue.suggested),
            display(&issue.text, 60),
            near(issue.nearest.first()),
        ]
    });
    let header = ["score", "record", "line", "intent", "suggested", "text", "nearest of suggested"];
    let mut out = tables::table(&header, rows, &[0, 1, 2]);
    out.push_str(&more(issues.len(), top));
    out
}

fn overlaps(found: &LabelIssues, top: usize) -> String {
    let overlaps: Vec<_> = found.overlaps.iter().filter(|pair| pair.is_found).collect();
    if overlaps.is_empty() {
        return "\nno two intents overlap\n".to_owned();
    }
    let rows = overlaps.iter().take(top).map(|pair| {
        let [first, second] = &pair.intents;
        vec![
            redact(first),
            redact(second),
            format!("{} of {}", pair.taken[0], pair.n[0]),
            format!("{} of {}", pair.taken[1], pair.n[1]),
            format!("{:.3} {}", pair.rate, interval(pair.ci95, 3)),
            pair.examples.first().map_or_else(String::new, |example| {
                format!("record {}: {}", example.record, display(&example.text, 50))
            }),
        ]
    });
    let header = ["intent", "overlaps with", "taken for it", "back", "rate", "example"];
    let mut out = format!("\n{}", tables::table(&header, rows, &[2, 3]));
    out.push_str(&more(overlaps.len(), top));
    out
}

fn oddities(found: &LabelIssues, top: usize) -> String {
    let records = &found.oddities.records;
    let mut out = String::new();
    if !found.oddities.letters_compared {
        out.push_str("\nnote: there are too few texts to find unusual sequences of letters\n");
    }
    if records.is_empty() {
        return out;
    }
    let rows = records.iter().take(top).map(|one| {
        let kind = match one.kind {
            OddityKind::Outlier => "far from its intent",
            OddityKind::UnseenLetters => "letters seen nowhere else",
            OddityKind::KeyboardRun => "run over the keyboard",
            OddityKind::RepeatedLetter => "one letter repeated",
            OddityKind::NoWords => "no words",
        };
        vec![
            kind.to_owned(),
            format!("{:.3}", one.value),
            one.record.to_string(),
            one.line.to_string(),
            redact(&one.intent),
            display(&one.text, 60),
        ]
    });
    let header = ["odd", "value", "record", "line", "intent", "text"];
    out.push_str(&format!("\n{}", tables::table(&header, rows, &[1, 2, 3])));
    out.push_str(&more(records.len(), top));
    out
}

/// Returns the number of items that are not shown; empty if all are.
fn more(n: usize, shown: usize) -> String {
    match n.saturating_sub(shown) {
        0 => String::new(),
        rest => format!(
            "and {} more (`--top` shows more, `--format json` all)\n",
            tables::count(rest as u64)
        ),
    }
}
