//! `botops drift`.

use super::{Exit, Outcome};
use crate::cli::{
    arguments::{
        data_args::DataArgs,
        data_source::{self, Source},
        model_arg,
    },
    session::context::{self, Context},
    terminal::tables,
};
use botops_datasets::{self as datasets, Dataset, Presence, Traffic};
use botops_digest::Digest;
use botops_drift::{self as drift, DriftCheck, DriftReport, DriftSpec, DriftVerdict, Row};
use botops_findings::Result;
use botops_pipelines as pipelines;
use botops_registry::CHAMPION;
use botops_report as report;
use botops_text::shell_line;
use serde::Serialize;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Most changes listed of one check.
const MOST_CHANGES: usize = 5;
/// Most new words listed.
const MOST_WORDS: usize = 20;

/// Compare current data with a reference.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Reference: what the model was trained on; CSV, TSV, JSONL, Parquet, recorded traffic, or a file of a snapshot
    reference: PathBuf,
    /// Current: what people say now; CSV, TSV, JSONL, Parquet, recorded traffic, or a file of a snapshot
    current: PathBuf,
    /// Also compare what this model says: intents, confidence, unseen words
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    /// False discovery rate over all checks
    #[arg(long, value_name = "RATE", default_value_t = DriftSpec::default().alpha)]
    alpha: f64,
    /// Smallest PSI that counts, beside significance
    #[arg(long, value_name = "PSI", default_value_t = DriftSpec::default().min_psi)]
    min_psi: f64,
    /// Smallest Kolmogorov-Smirnov distance that counts, beside significance
    #[arg(long, value_name = "DISTANCE", default_value_t = DriftSpec::default().min_ks)]
    min_ks: f64,
    /// Fewest rows on either side to judge by
    #[arg(long, value_name = "N", default_value_t = DriftSpec::default().min_rows)]
    min_rows: usize,
    /// Write a report page here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a DriftReport,
    n_reference: u64,
    n_current: u64,
    model: Option<&'a str>,
    /// Whether the model was trained on the reference: then each record was judged by one that had not seen it.
    trained_on_reference: bool,
    html: Option<String>,
}

/// Utterances of one side.
struct Side {
    name: String,
    digest: Digest,
    texts: Vec<(String, Option<String>)>,
    /// The declared intents, by utterance; none in recorded traffic.
    intents: Option<Vec<Option<String>>>,
    is_traffic: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let rules = DriftSpec {
        alpha: args.alpha,
        min_psi: args.min_psi,
        min_ks: args.min_ks,
        min_rows: args.min_rows,
    };
    let inputs = [Some(args.reference.as_path()), Some(args.current.as_path())];
    context::distinct(args.html.as_deref(), &inputs)?;
    let reference = read(context, &args.reference, &args.columns)?;
    let current = read(context, &args.current, &args.columns)?;
    let found = match &args.model {
        Some(name) => Some(model_arg::load(context, name)?),
        None => None,
    };
    let model = found.as_ref().map(|found| &found.model);
    let trained_on_reference =
        model.is_some_and(|model| model.lineage().data == Some(reference.digest));
    // Read again, whole: folds are trained from records, not from texts.
    let learned_from = match (trained_on_reference, reference.is_traffic) {
        (true, false) => {
            let options = args.columns.options(Presence::Optional);
            Some(data_source::dataset(context, &args.reference, &options)?)
        }
        _ => None,
    };
    let mut reference_rows = match (&learned_from, model) {
        (Some(data), Some(model)) => pipelines::rows_out_of_fold(data, model)?,
        _ => pipelines::rows(&reference.texts, model),
    };
    let mut current_rows = pipelines::rows(&current.texts, model);
    if let (None, Some(before), Some(now)) = (model, &reference.intents, &current.intents) {
        declare(&mut reference_rows, before);
        declare(&mut current_rows, now);
    }
    let report =
        drift::compare((&reference.name, &reference_rows), (&current.name, &current_rows), &rules)?;
    let html = args.html.as_ref().filter(|_| !args.dry_run);
    if let Some(path) = html {
        context::write_file(path, report::drift_html(&report).as_bytes())?;
    }
    let (n_reference, n_current) = (reference.texts.len() as u64, current.texts.len() as u64);
    let name = found.as_ref().map(|found| found.name.as_str());
    let mut text = format!(
        "{} ({} rows) -> {} ({} rows){}\n\n",
        report.reference,
        tables::count(n_reference),
        report.current,
        tables::count(n_current),
        name.map_or(String::new(), |name| format!(", as {name} sees them")),
    );
    text.push_str(&checks(&report));
    text.push_str(&changes(&report));
    text.push_str(&new_words(&report));
    text.push_str(&format!("\n{}\n", verdict(&report)));
    if trained_on_reference {
        text.push_str(
            "the model was trained on the reference: each record was judged by a model of the same \
             spec that had not seen it\n",
        );
    }
    if let Some(path) = html {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    if context.printer.is_markdown() {
        text = report::drift_markdown(&report);
    }
    let answer = Answer {
        report: &report,
        n_reference,
        n_current,
        model: name,
        trained_on_reference,
        html: html.map(|path| path.display().to_string()),
    };
    let outcome = Outcome::done(&answer, text).exit(match report.verdict {
        DriftVerdict::NoDrift => Exit::Done,
        DriftVerdict::Drift => Exit::Gate,
        DriftVerdict::Insufficient => Exit::Insufficient,
    });
    let (before, now) = (args.reference.display().to_string(), args.current.display().to_string());
    let champion =
        context.workspace()?.model.value.as_ref().map(|model| format!("{model}@{CHAMPION}"));
    let mut words = vec!["botops", "drift", &before, &now];
    match (name, &champion) {
        (Some(name), _) if args.html.is_none() => {
            words.extend(["--model", name, "--html", "drift.html"])
        }
        (None, Some(champion)) => words.extend(["--model", champion]),
        (None, None) if args.html.is_none() => words.extend(["--html", "drift.html"]),
        _ => return Ok(outcome),
    }
    Ok(if report.verdict == DriftVerdict::Insufficient {
        outcome
    } else {
        outcome.next(shell_line(words))
    })
}

/// Reads one side: recorded traffic, or a data file whose intents are optional.
fn read(context: &Context, path: &Path, columns: &DataArgs) -> Result<Side> {
    let options = columns.options(Presence::Optional);
    if data_source::reference(path).is_none() {
        // A file that cannot be opened is said by the reader.
        let recorded = File::open(path).is_ok_and(|file| is_traffic(path, BufReader::new(file)));
        return match recorded {
            true => Ok(of_traffic(datasets::read_traffic(path)?)),
            false => Ok(of_data(datasets::read(path, &options)?)),
        };
    }
    let Source { bytes, name, .. } = data_source::read(context, path)?;
    match is_traffic(Path::new(&name), &bytes[..]) {
        true => Ok(of_traffic(datasets::read_traffic_bytes(&bytes, &name)?)),
        false => Ok(of_data(datasets::read_bytes(&bytes, &name, &options)?)),
    }
}

fn of_traffic(traffic: Traffic) -> Side {
    let texts = traffic.records.into_iter().map(|record| (record.text, None)).collect();
    let Traffic { name, digest, .. } = traffic;
    Side { name, digest, texts, intents: None, is_traffic: true }
}

fn of_data(data: Dataset) -> Side {
    let declared = data.columns.contains_key("intent");
    let (texts, intents): (Vec<_>, Vec<_>) =
        data.records.into_iter().map(|record| ((record.text, record.lang), record.intent)).unzip();
    let intents = declared.then_some(intents);
    Side { name: data.name, digest: data.digest, texts, intents, is_traffic: false }
}

/// Returns whether what is called `name` is recorded traffic: JSONL whose first object has `at` and `conversation_id`.
fn is_traffic(name: &Path, content: impl BufRead) -> bool {
    if name.extension().is_none_or(|extension| extension != "jsonl") {
        return false;
    }
    content.lines().map_while(|line| line.ok()).find(|line| !line.trim().is_empty()).is_some_and(
        |line| {
            let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            ["at", "conversation_id"].iter().all(|key| value.get(key).is_some())
        },
    )
}

/// Takes the declared intents as those of the rows.
fn declare<'a>(rows: &mut [Row<'a>], intents: &'a [Option<String>]) {
    for (row, intent) in rows.iter_mut().zip(intents) {
        row.intent = intent.as_deref();
    }
}

fn checks(report: &DriftReport) -> String {
    let rows = report.checks.iter().map(|check| {
        vec![
            check.name.clone(),
            format!("{:.3}", check.psi),
            format!("{:.3}", check.psi_noise95),
            format!("{:.3}", check.js_distance),
            format!("{} {:.3}", check.test, check.statistic),
            tables::p_value(check.p_adjusted),
            verdict_name(check.verdict).to_owned(),
        ]
    });
    tables::table(
        &["check", "PSI", "noise", "JS", "test", "p adjusted", "verdict"],
        rows,
        &[1, 2, 3, 5],
    )
}

fn verdict_name(verdict: DriftVerdict) -> &'static str {
    match verdict {
        DriftVerdict::Drift => "drift",
        DriftVerdict::NoDrift => "no drift",
        DriftVerdict::Insufficient => "insufficient",
    }
}

/// Lists the largest changes of the checks that drifted.
fn changes(report: &DriftReport) -> String {
    let drifted = report.checks.iter().filter(|check| check.verdict == DriftVerdict::Drift);
    let rows: Vec<Vec<String>> = drifted.flat_map(change).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\nlargest changes\n{}",
        tables::table(&["check", "of", "reference", "current", "change"], rows, &[2, 3, 4])
    )
}

fn change(check: &DriftCheck) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if let Some([before, now]) = check.means {
        let cell = |value: f64| format!("{value:.3}");
        rows.push(vec![
            check.name.clone(),
            "mean".to_owned(),
            cell(before),
            cell(now),
            format!("{:+.3}", now - before),
        ]);
    }
    let mut top: Vec<&(String, f64, f64)> = check.top.iter().collect();
    top.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()).then(a.0.cmp(&b.0)));
    for (name, before, now) in top.into_iter().take(MOST_CHANGES) {
        let share = |share: f64| format!("{:.1} %", 100.0 * share);
        let change = format!("{:+.1}", 100.0 * (now - before));
        rows.push(vec![check.name.clone(), name.clone(), share(*before), share(*now), change]);
    }
    rows
}

fn new_words(report: &DriftReport) -> String {
    if report.new_words.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = report
        .new_words
        .iter()
        .take(MOST_WORDS)
        .map(|(word, n)| format!("{} ({})", botops_text::display(word, 40), tables::count(*n)))
        .collect();
    let more = match report.new_words.len().saturating_sub(MOST_WORDS) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("\nnew words: {}{more}\n", shown.join(", "))
}

/// Says what it all comes to.
fn verdict(report: &DriftReport) -> String {
    let drifted: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.verdict == DriftVerdict::Drift)
        .map(|check| check.name.as_str())
        .collect();
    match report.verdict {
        DriftVerdict::Drift => format!("drift in {}", drifted.join(", ")),
        DriftVerdict::NoDrift => format!("no drift in {} checks", report.checks.len()),
        DriftVerdict::Insufficient => {
            format!(
                "insufficient: fewer than {} rows on a side",
                tables::count(report.spec.min_rows as u64)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_told_from_data_by_its_keys() {
        let is_traffic =
            |name: &str, text: &str| super::is_traffic(Path::new(name), text.as_bytes());
        let message = r#"{"at":"2026-01-05T08:00:00Z","conversation_id":"c1","text":"hello"}"#;
        assert!(is_traffic("a.jsonl", message));
        assert!(is_traffic("b.jsonl", &format!("\n{message}\n")));
        assert!(!is_traffic("c.jsonl", r#"{"text":"hello","intent":"greeting"}"#));
        assert!(!is_traffic("d.jsonl", "not JSON"));
        assert!(!is_traffic("e.jsonl", ""));
        assert!(!is_traffic("f.csv", message));
    }

    #[test]
    fn the_largest_changes_come_first_with_their_sign() {
        let check = DriftCheck {
            name: "intent".to_owned(),
            kind: "categorical".to_owned(),
            n_reference: 200,
            n_current: 200,
            psi: 0.4,
            psi_noise95: 0.02,
            js_distance: 0.1,
            test: "chi2_homogeneity".to_owned(),
            statistic: 12.0,
            p_value: 0.001,
            p_adjusted: 0.002,
            means: None,
            top: vec![("billing".to_owned(), 0.1, 0.15), ("refund".to_owned(), 0.3, 0.1)],
            verdict: DriftVerdict::Drift,
        };
        let rows = change(&check);
        assert_eq!(rows[0], ["intent", "refund", "30.0 %", "10.0 %", "-20.0"]);
        assert_eq!(rows[1], ["intent", "billing", "10.0 %", "15.0 %", "+5.0"]);
    }
}
