//! `botops drift`.

mod text;

use super::{Exit, Outcome};
use crate::cli::{
    arguments::{
        data_args::DataArgs,
        data_source::{self, Source},
        model_arg::{self, Found},
        output_args::PageArgs,
    },
    session::context::Context,
    terminal::tables,
};
use botops_datasets::{self as datasets, Dataset, Presence, Traffic};
use botops_digest::Digest;
use botops_drift::{self as drift, DriftReport, DriftSpec, DriftVerdict, Row};
use botops_findings::Result;
use botops_models::IntentModel;
use botops_pipelines as pipelines;
use botops_registry::CHAMPION;
use botops_report as report;
use botops_spec::Spec as _;
use botops_text::shell_line;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Compare current data with a reference
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Reference, such as the training data; CSV, TSV, JSONL, Parquet, recorded traffic, or a file of a snapshot
    reference: PathBuf,
    /// Current data; CSV, TSV, JSONL, Parquet, recorded traffic, or a file of a snapshot
    current: PathBuf,
    /// Also compare the predictions of this model: intents, confidence, unseen words
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    /// False discovery rate over all checks
    #[arg(long, value_name = "RATE", default_value_t = DriftSpec::default().alpha)]
    alpha: f64,
    /// Smallest PSI that counts as drift, in addition to significance
    #[arg(long, value_name = "PSI", default_value_t = DriftSpec::default().min_psi)]
    min_psi: f64,
    /// Smallest Kolmogorov-Smirnov distance that counts as drift, in addition to significance
    #[arg(long, value_name = "DISTANCE", default_value_t = DriftSpec::default().min_ks)]
    min_ks: f64,
    /// Fewest rows on each side
    #[arg(long, value_name = "N", default_value_t = DriftSpec::default().min_rows)]
    min_rows: usize,
    #[command(flatten)]
    page: PageArgs,
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
    /// Whether the model was trained on the reference; then each record was judged by a model trained without it.
    trained_on_reference: bool,
    html: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let spec = DriftSpec {
        alpha: args.alpha,
        min_psi: args.min_psi,
        min_ks: args.min_ks,
        min_rows: args.min_rows,
    };
    let spec = spec.check()?;
    let model = args.model.as_deref().map(Path::new);
    let inputs = [Some(args.reference.as_path()), Some(args.current.as_path()), model];
    args.page.check(&inputs)?;
    let reference = Content::read(context, &args.reference, &args.columns)?;
    let current = Content::read(context, &args.current, &args.columns)?;
    let found = match &args.model {
        Some(name) => Some(model_arg::load(context, name)?),
        None => None,
    };
    let model = found.as_ref().map(|found| &found.model);
    let lineage = model.and_then(|model| model.lineage().data);
    let trained_on_reference = lineage == Some(reference.digest());
    let reference = Side::of(reference, model.filter(|_| trained_on_reference));
    let current = Side::of(current, None);
    let mut reference_rows = reference.rows(model)?;
    let mut current_rows = current.rows(model)?;
    if let (None, Some(before), Some(now)) = (model, reference.intents(), current.intents()) {
        set_intents(&mut reference_rows, before);
        set_intents(&mut current_rows, now);
    }
    let report =
        drift::compare((&reference.name, &reference_rows), (&current.name, &current_rows), &spec);
    let html = args.page.write(|| report::drift_html(&report))?;
    let answer = Answer {
        n_reference: reference_rows.len() as u64,
        n_current: current_rows.len() as u64,
        model: found.as_ref().map(|found| found.name.as_str()),
        trained_on_reference,
        html,
        report: &report,
    };
    let text = match context.printer.is_markdown() {
        true => report::drift_markdown(&report),
        false => answer.text(),
    };
    let outcome = Outcome::done(&answer, text).exit(match report.verdict {
        DriftVerdict::NoDrift => Exit::Done,
        DriftVerdict::Drift => Exit::Gate,
        DriftVerdict::Insufficient => Exit::Insufficient,
    });
    let next = match report.verdict {
        DriftVerdict::Insufficient => None,
        _ => next(args, context, found.as_ref())?,
    };
    Ok(next.into_iter().fold(outcome, Outcome::next))
}

impl Answer<'_> {
    fn text(&self) -> String {
        let model = self.model.map_or(String::new(), |name| format!(", as {name} sees them"));
        let mut text = format!(
            "{} ({} rows) -> {} ({} rows){model}\n\n{}",
            self.report.reference,
            tables::count(self.n_reference),
            self.report.current,
            tables::count(self.n_current),
            text::report(self.report)
        );
        if self.trained_on_reference {
            text.push_str(
                "the model was trained on the reference: each record was judged by a model of the same spec, \
                 trained without it\n",
            );
        }
        if let Some(file) = &self.html {
            text.push_str(&format!("wrote {file}\n"));
        }
        text
    }
}

/// Suggests to add the workspace's champion or a report page, whichever was not requested yet.
fn next(args: &Args, context: &Context, found: Option<&Found>) -> Result<Option<String>> {
    let (before, now) = (args.reference.display().to_string(), args.current.display().to_string());
    let model = context.workspace()?.model.value.as_ref();
    let champion = model.map(|model| format!("{model}@{CHAMPION}"));
    let mut words = vec!["botops", "drift", &before, &now];
    match (found, &champion) {
        (Some(found), _) if args.page.html.is_none() => {
            words.extend(["--model", &found.name, "--html", "drift.html"]);
        }
        (None, Some(champion)) => words.extend(["--model", champion]),
        (None, None) if args.page.html.is_none() => words.extend(["--html", "drift.html"]),
        _ => return Ok(None),
    }
    Ok(Some(shell_line(words)))
}

/// The content of a file, read once.
enum Content {
    Traffic(Traffic),
    Records(Dataset),
}

impl Content {
    /// Reads recorded traffic, or records with optional intents. Only the content of a JSONL file tells one from the
    /// other, so its bytes are read first: a pipe cannot be read twice.
    fn read(context: &Context, path: &Path, columns: &DataArgs) -> Result<Self> {
        let options = columns.options(Presence::Optional);
        let is_file = data_source::reference(path).is_none();
        if is_file && !(is_jsonl(path) && datasets::expand(path)? == [path]) {
            return Ok(Self::Records(datasets::read(path, &options)?));
        }
        let Source { bytes, name, .. } = data_source::read(context, path)?;
        Ok(match is_jsonl(Path::new(&name)) && is_traffic(&bytes) {
            true => Self::Traffic(datasets::read_traffic_bytes(&bytes, &name)?),
            false => Self::Records(datasets::read_bytes(&bytes, &name, &options)?),
        })
    }

    fn digest(&self) -> Digest {
        match self {
            Self::Traffic(traffic) => traffic.digest,
            Self::Records(data) => data.digest,
        }
    }
}

/// The utterances of one side.
struct Side<'a> {
    name: String,
    utterances: Utterances<'a>,
}

enum Utterances<'a> {
    /// Texts with their languages, and the declared intents if the data has any.
    Texts { texts: Vec<(String, Option<String>)>, intents: Option<Vec<Option<String>>> },
    /// The records that the model was trained on; each is judged by a model trained without it.
    Learned(Dataset, &'a IntentModel),
}

impl<'m> Side<'m> {
    /// Takes the utterances of a file; `trained` is the model if it was trained on this file.
    fn of(content: Content, trained: Option<&'m IntentModel>) -> Self {
        let data = match content {
            Content::Traffic(Traffic { name, records, .. }) => {
                let texts = records.into_iter().map(|record| (record.text, None)).collect();
                return Self { name, utterances: Utterances::Texts { texts, intents: None } };
            }
            Content::Records(data) => data,
        };
        let name = data.name.clone();
        if let Some(model) = trained {
            return Self { name, utterances: Utterances::Learned(data, model) };
        }
        let has_intents = data.columns.contains_key("intent");
        let records = data.records.into_iter();
        let (texts, intents): (Vec<_>, Vec<_>) =
            records.map(|record| ((record.text, record.lang), record.intent)).unzip();
        let intents = has_intents.then_some(intents);
        Self { name, utterances: Utterances::Texts { texts, intents } }
    }

    /// Describes each utterance for the checks.
    fn rows<'a>(&'a self, model: Option<&'a IntentModel>) -> Result<Vec<Row<'a>>> {
        match (&self.utterances, model) {
            (Utterances::Learned(data, model), _) => pipelines::rows_out_of_fold(data, model),
            (Utterances::Texts { texts, .. }, model) => Ok(pipelines::rows(texts, model)),
        }
    }

    /// Returns the declared intent of each utterance; `None` for recorded traffic and data without intents.
    fn intents(&self) -> Option<&[Option<String>]> {
        match &self.utterances {
            Utterances::Texts { intents, .. } => intents.as_deref(),
            Utterances::Learned(..) => None,
        }
    }
}

/// Returns whether the name of a file ends in `.jsonl`.
fn is_jsonl(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "jsonl")
}

/// Returns whether JSONL is recorded traffic: its first object has `at` and `conversation_id`.
fn is_traffic(content: &[u8]) -> bool {
    let lines = content.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.into_iter().find(|line| !line.is_empty()).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(first).unwrap_or_default();
    ["at", "conversation_id"].iter().all(|key| value.get(key).is_some())
}

/// Sets the intents of the rows to the declared ones.
fn set_intents<'a>(rows: &mut [Row<'a>], intents: &'a [Option<String>]) {
    for (row, intent) in rows.iter_mut().zip(intents) {
        row.intent = intent.as_deref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_recognized_by_its_keys() {
        let message = r#"{"at":"2026-01-05T08:00:00Z","conversation_id":"c1","text":"hello"}"#;
        assert!(is_traffic(message.as_bytes()));
        assert!(is_traffic(format!("\n{message}\r\n").as_bytes()));
        assert!(!is_traffic(br#"{"text":"hello","intent":"greeting"}"#));
        assert!(!is_traffic(b"not JSON"));
        assert!(!is_traffic(b""));
        assert!(is_jsonl(Path::new("a.jsonl")) && !is_jsonl(Path::new("f.csv")));
    }
}
