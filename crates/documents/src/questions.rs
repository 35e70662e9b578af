//! Tables of questions and answers: CSV and JSON lines.

use crate::{
    document::{Block, BlockKind, Document},
    file::FileSource,
    format::DocumentFormat,
    limits::Limits,
    metadata::{access_tags, finish, time},
};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use std::collections::BTreeMap;

/// Names of the columns, each with others that are read as it.
const QUESTION: [&str; 4] = ["question", "title", "q", "prompt"];
const ANSWER: [&str; 5] = ["answer", "text", "body", "a", "response"];
const URL: [&str; 3] = ["url", "link", "source"];
const LANGUAGE: [&str; 3] = ["language", "lang", "locale"];

const ACCESS: [&str; 1] = ["access"];
const UPDATED: [&str; 3] = ["updated_at", "updated", "date"];
/// The most bytes of the name of another column and of a value in it, and the most of these columns: every row repeats them.
const NAME_BYTES: usize = 64;
const VALUE_BYTES: usize = 1_024;
const MOST_COLUMNS: usize = 32;
/// The most rows that are named because they are left out.
const MOST_NAMED: usize = 100;

/// The rows of one file, as documents.
pub(crate) struct Rows<'a> {
    source: &'a FileSource<'a>,
    limits: &'a Limits,
    documents: Vec<Document>,
    findings: Vec<Finding>,
    /// The rows that are left out.
    left_out: usize,
}

/// Reads a CSV file with a header; the delimiter is `,`, `;` or a tab, whichever the header has most.
pub(crate) fn csv(
    text: &str,
    source: &FileSource<'_>,
    limits: &Limits,
) -> Result<(Vec<Document>, Vec<Finding>)> {
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    let delimiter = *b",;\t".iter().rev().max_by_key(|it| count(it)).expect("there are three");
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let broken = |error: &csv::Error| {
        let place = Place {
            file: Some(source.name.to_owned()),
            line: error.position().map(csv::Position::line),
            ..Place::default()
        };
        Fault::data("BOT-7103", format!("the table cannot be read: {error}"))
            .at(place)
            .hint("save it as CSV with a header: question,answer,url")
    };
    let names: Vec<String> = reader
        .headers()
        .map_err(|error| broken(&error))?
        .iter()
        .map(|name| name.trim().trim_start_matches('\u{feff}').to_lowercase())
        .collect();
    let has = |known: &[&str]| names.iter().any(|name| known.contains(&name.as_str()));
    if !has(&QUESTION) || !has(&ANSWER) {
        let message = format!("`{}` has no columns `question` and `answer`", source.name);
        return Err(Fault::data("BOT-7103", message)
            .file(source.name)
            .hint("name the columns in the first line: question,answer,url"));
    }
    let mut rows = Rows::new(source, limits);
    for (n, record) in reader.records().enumerate() {
        let record = record.map_err(|error| broken(&error))?;
        let line = record.position().map(csv::Position::line);
        let values = names
            .iter()
            .zip(&record)
            .filter(|(name, _)| name.len() <= NAME_BYTES)
            .map(|(name, value)| (name.clone(), value.to_owned()));
        rows.add((n as u64 + 1, line), values.collect())?;
    }
    Ok(rows.finish())
}

/// Reads JSON lines with `question` and `answer`.
pub(crate) fn json_lines(
    text: &str,
    source: &FileSource<'_>,
    limits: &Limits,
) -> Result<(Vec<Document>, Vec<Finding>)> {
    let mut rows = Rows::new(source, limits);
    let mut n = 0;
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        n += 1;
        let number = i as u64 + 1;
        let parsed: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(line).map_err(|error| {
                let place = Place {
                    file: Some(source.name.to_owned()),
                    line: Some(number),
                    column: Some(error.column() as u64),
                    ..Place::default()
                };
                Fault::data("BOT-7103", "a line is not a JSON object")
                    .at(place)
                    .hint(r#"write one object a line: {"question": "…", "answer": "…"}"#)
            })?;
        let values = parsed.into_iter().filter_map(|(name, value)| {
            let value = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) => number.to_string(),
                serde_json::Value::Array(values) if name.eq_ignore_ascii_case("access") => {
                    let texts: Vec<&str> =
                        values.iter().filter_map(|value| value.as_str()).collect();
                    texts.join(",")
                }
                _ => return None,
            };
            Some((name.to_lowercase(), value))
        });
        let values = values.filter(|(name, _)| name.len() <= NAME_BYTES);
        rows.add((n, Some(number)), values.collect())?;
    }
    Ok(rows.finish())
}

impl<'a> Rows<'a> {
    fn new(source: &'a FileSource<'a>, limits: &'a Limits) -> Self {
        Self { source, limits, documents: Vec::new(), findings: Vec::new(), left_out: 0 }
    }

    fn finish(mut self) -> (Vec<Document>, Vec<Finding>) {
        let more = self.left_out.saturating_sub(MOST_NAMED);
        if more > 0 {
            let place = Place { file: Some(self.source.name.to_owned()), ..Place::default() };
            let message = format!("{more} more rows without a question or an answer are left out");
            let help = "fill both, or remove the rows";
            self.findings
                .push(Finding::new("BOT-7109", Severity::Warning, message, help).at(place));
        }
        (self.documents, self.findings)
    }

    fn add(
        &mut self,
        (n, line): (u64, Option<u64>),
        mut values: BTreeMap<String, String>,
    ) -> Result<()> {
        let mut take = |known: &[&str]| {
            let name = known
                .iter()
                .find(|name| values.get(**name).is_some_and(|it| !it.trim().is_empty()));
            name.and_then(|name| values.remove(*name))
        };
        let (question, answer) = (take(&QUESTION), take(&ANSWER));
        let (url, language) = (take(&URL), take(&LANGUAGE));
        let (access, updated) = (take(&ACCESS), take(&UPDATED));
        let place = Place {
            file: Some(self.source.name.to_owned()),
            record: Some(n),
            line,
            ..Place::default()
        };
        let (Some(question), Some(answer)) = (question, answer) else {
            self.left_out += 1;
            if self.left_out > MOST_NAMED {
                return Ok(());
            }
            let message = "a row without a question or an answer is left out";
            let finding = Finding::new(
                "BOT-7109",
                Severity::Warning,
                message,
                "fill both, or remove the row",
            );
            self.findings.push(finding.at(place));
            return Ok(());
        };
        if self.documents.len() == self.limits.documents {
            let most = self.limits.documents;
            let message = format!("`{}` has more than {most} rows", self.source.name);
            return Err(Fault::data("BOT-7102", message)
                .file(self.source.name)
                .hint("split it into several files"));
        }
        let paragraphs = answer.split("\n\n").map(crate::builder::one_line);
        let blocks: Vec<Block> = paragraphs
            .filter(|text| !text.is_empty())
            .map(|text| Block { kind: BlockKind::Paragraph, text, page: None })
            .take(self.limits.blocks + 1)
            .collect();
        if blocks.len() > self.limits.blocks {
            let most = self.limits.blocks;
            let message = format!("an answer has more than {most} paragraphs");
            return Err(Fault::data("BOT-7102", message)
                .at(place)
                .hint("split it into several answers"));
        }
        let mut document = Document {
            id: format!("{}#{n}", self.source.name),
            title: crate::builder::one_line(&question),
            url: url.map(|url| url.trim().to_owned()),
            language: language.map(|language| language.trim().to_lowercase()),
            updated_at: updated.as_deref().and_then(time),
            blocks,
            ..Document::default()
        };
        document.access.extend(access.as_deref().into_iter().flat_map(access_tags));
        values.retain(|_, value| !value.trim().is_empty() && value.len() <= VALUE_BYTES);
        document.metadata = values.into_iter().take(MOST_COLUMNS).collect();
        finish(&mut document, self.source, DocumentFormat::Questions);
        self.documents.push(document);
        Ok(())
    }
}
