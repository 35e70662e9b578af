//! One side of a comparison: data or recorded traffic, read once.

use crate::cli::{
    arguments::data_source::{self, Source},
    session::context::Context,
    terminal::tables,
};
use botops_datasets::{
    self as datasets, Dataset, Presence, ReadOptions, Traffic, TrafficRecord,
    table::{Row as TableRow, Shape},
};
use botops_digest::Digest;
use botops_drift::{DriftSide, Row};
use botops_findings::{Finding, Place, Result, Severity};
use botops_models::{IntentModel, SeenTexts};
use botops_pipelines::{self as pipelines, DriftColumns, FoldModels};
use std::path::Path;

/// The least share of the texts of a side that are training data for it to be said.
const LEAST_LEARNED: f64 = 0.2;

/// The part of a side that is training data of the model.
#[derive(Debug, Clone, Copy)]
pub(super) enum Learned {
    /// The file itself.
    File,
    /// Some texts.
    Texts(SeenTexts),
}

impl Learned {
    /// Returns whether most of the side is training data.
    pub(super) fn is_mostly(self) -> bool {
        match self {
            Self::File => true,
            Self::Texts(seen) => seen.are_mostly_known(),
        }
    }
}

/// One side, read once.
pub(super) struct Side {
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) n_rows: u64,
    pub(super) columns: DriftColumns,
    pub(super) content: Content,
}

/// The utterances of one side.
pub(super) enum Content {
    Traffic(Vec<TrafficRecord>),
    Records(Dataset),
}

/// The model that scores the utterances.
pub(super) enum Scorer<'a> {
    Nobody,
    Model(&'a IntentModel),
    /// One side is the training data of the model, so both sides are scored by models that did not see the text.
    Folds(FoldModels<'a>),
}

impl Side {
    /// Reads recorded traffic, or records with optional intents. Only the content of a JSONL file tells one from the
    /// other, so its bytes are read first: a pipe cannot be read twice.
    pub(super) fn read(context: &Context, path: &Path, options: &ReadOptions) -> Result<Self> {
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
    pub(super) fn learned(&self, model: &IntentModel) -> Option<Learned> {
        if model.lineage().data == Some(self.digest) {
            return Some(Learned::File);
        }
        let seen = model.lineage().seen(self.texts().iter().map(|(text, _)| *text))?;
        (seen.share()? >= LEAST_LEARNED).then_some(Learned::Texts(seen))
    }

    /// Returns the warning that the model knows texts of this side.
    pub(super) fn warning(&self, seen: SeenTexts) -> Finding {
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
    pub(super) fn texts(&self) -> Vec<(&str, Option<&str>)> {
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

    /// Returns the utterances.
    pub(super) fn only_texts(&self) -> Vec<&str> {
        self.texts().into_iter().map(|(text, _)| text).collect()
    }

    /// Returns whether utterance `at` has no intent.
    pub(super) fn is_unlabelled(&self, at: usize) -> bool {
        self.data().is_none_or(|data| data.records[at].intent.is_none())
    }

    /// Returns the records; `None` for recorded traffic.
    pub(super) fn data(&self) -> Option<&Dataset> {
        match &self.content {
            Content::Records(data) => Some(data),
            Content::Traffic(_) => None,
        }
    }

    /// Describes each utterance for the checks.
    pub(super) fn rows<'a>(&'a self, scorer: &Scorer<'a>) -> Vec<Row<'a>> {
        let texts = self.texts();
        match scorer {
            Scorer::Nobody => pipelines::rows(&texts, None),
            Scorer::Model(model) => pipelines::rows(&texts, Some(model)),
            Scorer::Folds(models) => models.rows(&texts),
        }
    }

    pub(super) fn of_rows<'a>(&'a self, rows: &'a [Row<'a>]) -> DriftSide<'a> {
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
