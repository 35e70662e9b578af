//! `botops drift`.

pub(super) mod profiles;
pub(super) mod text;

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
use botops_datasets::{
    self as datasets, Dataset, Presence, ReadOptions, Traffic, TrafficRecord,
    table::{Row as TableRow, Shape},
};
use botops_digest::Digest;
use botops_drift::{self as drift, DriftReport, DriftSide, DriftSpec, DriftVerdict, Row};
use botops_findings::{Finding, Place, Result, Severity};
use botops_models::{IntentModel, SeenTexts};
use botops_pipelines::{self as pipelines, DriftColumns, FoldModels};
use botops_registry::CHAMPION;
use botops_report as report;
use botops_spec::Spec as _;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The least share of the texts of a side that are training data for it to be said.
const LEAST_LEARNED: f64 = 0.2;

/// Compare current data with a reference
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Reference, such as the training data; CSV, TSV, JSONL, Parquet, recorded traffic, a file of a snapshot, or a
    /// `.profile.json`; with one file and `--model`, the reference is the training data of the model, and this is the
    /// current data
    reference: PathBuf,
    /// Current data; CSV, TSV, JSONL, Parquet, recorded traffic, a file of a snapshot, or a `.profile.json`
    current: Option<PathBuf>,
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
    /// Columns and checks to compare, separated by commas; default: all that both sides have
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a DriftReport,
    n_reference: u64,
    n_current: u64,
    model: Option<&'a str>,
    /// Whether the model was trained on the reference; then each text was judged by a model trained without it.
    trained_on_reference: bool,
    /// Whether the model was trained on the current data; then each text was judged by a model trained without it.
    trained_on_current: bool,
    html: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let spec = DriftSpec {
        alpha: args.alpha,
        min_psi: args.min_psi,
        min_ks: args.min_ks,
        min_auc: DriftSpec::default().min_auc,
        min_rows: args.min_rows,
        columns: (!args.columns.is_empty())
            .then(|| args.columns.iter().map(|name| name.trim().to_owned()).collect()),
    };
    let spec = spec.check()?;
    let Some(now) = args.current.as_deref().filter(|_| !profiles::are_named(args)) else {
        return profiles::run(args, context, &spec);
    };
    let model = args.model.as_deref().map(Path::new);
    let inputs = [Some(args.reference.as_path()), Some(now), model];
    args.page.check(&inputs)?;
    // A model needs texts. Without one, tables of other columns can be compared, too.
    let text = if model.is_some() { Presence::Required } else { Presence::Optional };
    let options = ReadOptions { text, ..args.data.options(Presence::Optional) };
    let reference = Side::read(context, &args.reference, &options)?;
    let current = Side::read(context, now, &options)?;
    let found = match &args.model {
        Some(name) => Some(model_arg::load(context, name)?),
        None => None,
    };
    let model = found.as_ref().map(|found| &found.model);
    let sides = [&reference, &current];
    let learned = sides.map(|side| model.and_then(|model| side.learned(model)));
    let (scorer, findings) = match model {
        Some(model) => scorer(model, sides, learned)?,
        None => (Scorer::Nobody, Vec::new()),
    };
    let is_retrained = matches!(scorer, Scorer::Folds(_));
    let [trained_on_reference, trained_on_current] =
        learned.map(|learned| is_retrained && learned.is_some_and(Learned::is_mostly));
    let (reference_rows, current_rows) = (reference.rows(&scorer), current.rows(&scorer));
    let report = drift::compare(
        &reference.of_rows(&reference_rows),
        &current.of_rows(&current_rows),
        &spec,
    )?;
    let html = args.page.write(|| report::drift_html(&report))?;
    let answer = Answer {
        n_reference: reference.n_rows,
        n_current: current.n_rows,
        model: found.as_ref().map(|found| found.name.as_str()),
        trained_on_reference,
        trained_on_current,
        html,
        report: &report,
    };
    let text = match context.printer.is_markdown() {
        true => report::drift_markdown(&report),
        false if findings.is_empty() => answer.text(),
        false => format!("{}\n{}", answer.text(), tables::findings(&findings, 3)),
    };
    let outcome = Outcome::done(&answer, text).findings(findings).exit(match report.verdict {
        DriftVerdict::NoDrift => Exit::Done,
        DriftVerdict::Drift => Exit::Gate,
        DriftVerdict::Insufficient => Exit::Insufficient,
    });
    let next = match report.verdict {
        DriftVerdict::Insufficient => None,
        _ => next((args, now), context, found.as_ref())?,
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
        if self.report.n_shared > 0 {
            text.push_str(&format!(
                "{} of {} rows of the current data have a text that stands in the reference, too\n",
                tables::count(self.report.n_shared),
                tables::count(self.n_current)
            ));
        }
        let learned = match (self.trained_on_reference, self.trained_on_current) {
            (true, true) => Some("both sides"),
            (true, false) => Some("the reference"),
            (false, true) => Some("the current data"),
            (false, false) => None,
        };
        if let Some(learned) = learned {
            text.push_str(&format!(
                "the model was trained on {learned}: each text was judged by a model of the same spec, trained \
                 without it\n"
            ));
        }
        if let Some(file) = &self.html {
            text.push_str(&format!("wrote {file}\n"));
        }
        text
    }
}

/// Suggests to add the workspace's champion or a report page, whichever was not requested yet.
fn next(
    (args, now): (&Args, &Path),
    context: &Context,
    found: Option<&Found>,
) -> Result<Option<String>> {
    let (before, now) = (args.reference.display().to_string(), now.display().to_string());
    let model = context.workspace()?.model.value.as_ref();
    let champion = model.map(|model| format!("{model}@{CHAMPION}"));
    let mut words: Vec<String> = ["botops", "drift"].map(str::to_owned).into();
    words.extend([before, now]);
    words.extend(settings(args));
    let added: &[&str] = match (found, &champion) {
        (Some(found), _) if args.page.html.is_none() => {
            &["--model", &found.name, "--html", "drift.html"]
        }
        (None, Some(champion)) => &["--model", champion],
        (None, None) if args.page.html.is_none() => &["--html", "drift.html"],
        _ => return Ok(None),
    };
    let words = words.iter().map(String::as_str).chain(added.iter().copied());
    Ok(Some(args.data.line(words)))
}

/// Returns the flags that choose and judge the checks, as they were given.
fn settings(args: &Args) -> Vec<String> {
    let default = DriftSpec::default();
    let numbers = [
        ("--alpha", args.alpha, default.alpha),
        ("--min-psi", args.min_psi, default.min_psi),
        ("--min-ks", args.min_ks, default.min_ks),
    ];
    let mut words = Vec::new();
    if !args.columns.is_empty() {
        words.push(format!("--columns={}", args.columns.join(",")));
    }
    for (flag, value, _) in numbers.into_iter().filter(|(_, value, default)| value != default) {
        words.extend([flag.to_owned(), value.to_string()]);
    }
    if args.min_rows != default.min_rows {
        words.extend(["--min-rows".to_owned(), args.min_rows.to_string()]);
    }
    words
}

/// The part of a side that is training data of the model.
#[derive(Debug, Clone, Copy)]
enum Learned {
    /// The file itself.
    File,
    /// Some texts.
    Texts(SeenTexts),
}

impl Learned {
    /// Returns whether most of the side is training data.
    fn is_mostly(self) -> bool {
        match self {
            Self::File => true,
            Self::Texts(seen) => seen.are_mostly_known(),
        }
    }
}

/// Chooses the scorer: if a side is training data, models that are trained on it without the text that they score.
///
/// Returns a warning for each side with training data that the model itself has to score.
///
/// # Errors
/// Those of [`FoldModels::train`] on the training data itself.
fn scorer<'a>(
    model: &'a IntentModel,
    sides: [&'a Side; 2],
    learned: [Option<Learned>; 2],
) -> Result<(Scorer<'a>, Vec<Finding>)> {
    let of_kind = |is_file: bool| {
        let mut known = sides.into_iter().zip(learned);
        known.find_map(|(side, learned)| {
            let learned = learned.filter(|learned| learned.is_mostly())?;
            side.data().filter(|_| matches!(learned, Learned::File) == is_file)
        })
    };
    if let Some(data) = of_kind(true) {
        return Ok((Scorer::Folds(FoldModels::train(data, model)?), Vec::new()));
    }
    // Texts of the training data may come without intents, or with too few to train on.
    if let Some(Ok(models)) = of_kind(false).map(|data| FoldModels::train(data, model)) {
        return Ok((Scorer::Folds(models), Vec::new()));
    }
    let warned = sides.into_iter().zip(learned).filter_map(|(side, learned)| match learned {
        Some(Learned::Texts(seen)) => Some(side.warning(seen)),
        _ => None,
    });
    Ok((Scorer::Model(model), warned.collect()))
}

/// One side, read once.
struct Side {
    name: String,
    digest: Digest,
    n_rows: u64,
    columns: DriftColumns,
    content: Content,
}

/// The utterances of one side.
enum Content {
    Traffic(Vec<TrafficRecord>),
    Records(Dataset),
}

/// The model that scores the utterances.
enum Scorer<'a> {
    Nobody,
    Model(&'a IntentModel),
    /// One side is the training data of the model, so both sides are scored by models that did not see the text.
    Folds(FoldModels<'a>),
}

impl Side {
    /// Reads recorded traffic, or records with optional intents. Only the content of a JSONL file tells one from the
    /// other, so its bytes are read first: a pipe cannot be read twice.
    fn read(context: &Context, path: &Path, options: &ReadOptions) -> Result<Self> {
        let mut columns = DriftColumns::default();
        let mut n_rows = 0;
        let mut see = |shape: &Shape, row: TableRow<'_>| {
            columns.add(shape, row);
            n_rows += 1;
        };
        let is_file = data_source::reference(path).is_none();
        if is_file && !(is_jsonl(path) && datasets::expand(path)? == [path]) {
            let data = datasets::read_with_rows(path, options, &mut see)?;
            return Ok(Self::of_records(data, columns, n_rows));
        }
        let Source { bytes, name, .. } = data_source::read(context, path)?;
        if !is_jsonl(Path::new(&name)) || !is_traffic(&bytes) {
            let data = datasets::read_bytes_with_rows(&bytes, &name, options, &mut see)?;
            return Ok(Self::of_records(data, columns, n_rows));
        }
        let traffic = datasets::read_traffic_bytes(&bytes, &name)?;
        let of_traffic = ReadOptions {
            text_column: Some("text".to_owned()),
            intent: Presence::Optional,
            ..ReadOptions::default()
        };
        datasets::read_bytes_with_rows(&bytes, &name, &of_traffic, &mut see)?;
        let Traffic { digest, name, records } = traffic;
        Ok(Self { name, digest, n_rows, columns, content: Content::Traffic(records) })
    }

    fn of_records(data: Dataset, columns: DriftColumns, n_rows: u64) -> Self {
        let (name, digest) = (data.name.clone(), data.digest);
        Self { name, digest, n_rows, columns, content: Content::Records(data) }
    }

    /// Returns the part of this side that is training data of `model`, if it is large enough to matter.
    fn learned(&self, model: &IntentModel) -> Option<Learned> {
        if model.lineage().data == Some(self.digest) {
            return Some(Learned::File);
        }
        let seen = model.lineage().seen(self.texts().iter().map(|(text, _)| *text))?;
        (seen.share()? >= LEAST_LEARNED).then_some(Learned::Texts(seen))
    }

    /// Returns the warning that the model knows texts of this side.
    fn warning(&self, seen: SeenTexts) -> Finding {
        let message = format!(
            "the model was trained on {} of {} different texts of `{}` that could be compared, so it is more \
             confident on them",
            tables::count(seen.n_known),
            tables::count(seen.n_compared),
            self.name
        );
        let help = "compare data that the model was not trained on, or name its training data with the intents";
        let place = Place { file: Some(self.name.clone()), ..Place::default() };
        Finding::new("BOT-3056", Severity::Warning, message, help).at(place)
    }

    /// Returns the utterances with their declared languages.
    fn texts(&self) -> Vec<(&str, Option<&str>)> {
        match &self.content {
            Content::Traffic(records) => {
                records.iter().map(|record| (record.text.as_str(), None)).collect()
            }
            Content::Records(data) => {
                let records = data.records.iter();
                records.map(|record| (record.text.as_str(), record.lang.as_deref())).collect()
            }
        }
    }

    /// Returns the records; `None` for recorded traffic.
    fn data(&self) -> Option<&Dataset> {
        match &self.content {
            Content::Records(data) => Some(data),
            Content::Traffic(_) => None,
        }
    }

    /// Describes each utterance for the checks.
    fn rows<'a>(&'a self, scorer: &Scorer<'a>) -> Vec<Row<'a>> {
        let texts = self.texts();
        match scorer {
            Scorer::Nobody => pipelines::rows(&texts, None),
            Scorer::Model(model) => pipelines::rows(&texts, Some(model)),
            Scorer::Folds(models) => models.rows(&texts),
        }
    }

    fn of_rows<'a>(&'a self, rows: &'a [Row<'a>]) -> DriftSide<'a> {
        DriftSide { name: &self.name, rows, columns: self.columns.get() }
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
