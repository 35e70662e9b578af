//! Tables of questions and answers: CSV and JSON lines.

use crate::{
    document::{Block, BlockKind, Document},
    file::FileSource,
    format::DocumentFormat,
    limits::Limits,
    metadata::finish,
};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use std::collections::BTreeMap;

/// Names of the columns, each with others that are read as it.
const QUESTION: [&str; 4] = ["question", "title", "q", "prompt"];
const ANSWER: [&str; 5] = ["answer", "text", "body", "a", "response"];
const URL: [&str; 3] = ["url", "link", "source"];
const LANGUAGE: [&str; 3] = ["language", "lang", "locale"];

/// The rows of one file, as documents.
pub(crate) struct Rows<'a> {
    source: &'a FileSource<'a>,
    limits: &'a Limits,
    documents: Vec<Document>,
    findings: Vec<Finding>,
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
    let mut rows = Rows { source, limits, documents: Vec::new(), findings: Vec::new() };
    for (n, record) in reader.records().enumerate() {
        let record = record.map_err(|error| broken(&error))?;
        let line = record.position().map(csv::Position::line);
        let values =
            names.iter().zip(&record).map(|(name, value)| (name.clone(), value.to_owned()));
        rows.add((n as u64 + 1, line), values.collect())?;
    }
    Ok((rows.documents, rows.findings))
}

/// Reads JSON lines with `question` and `answer`.
pub(crate) fn json_lines(
    text: &str,
    source: &FileSource<'_>,
    limits: &Limits,
) -> Result<(Vec<Document>, Vec<Finding>)> {
    let mut rows = Rows { source, limits, documents: Vec::new(), findings: Vec::new() };
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
                _ => return None,
            };
            Some((name.to_lowercase(), value))
        });
        rows.add((n, Some(number)), values.collect())?;
    }
    Ok((rows.documents, rows.findings))
}

impl Rows<'_> {
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
        let place = Place {
            file: Some(self.source.name.to_owned()),
            record: Some(n),
            line,
            ..Place::default()
        };
        let (Some(question), Some(answer)) = (question, answer) else {
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
        let blocks = paragraphs
            .filter(|text| !text.is_empty())
            .map(|text| Block { kind: BlockKind::Paragraph, text, page: None })
            .collect();
        let mut document = Document {
            id: format!("{}#{n}", self.source.name),
            title: crate::builder::one_line(&question),
            url: url.map(|url| url.trim().to_owned()),
            language: language.map(|language| language.trim().to_lowercase()),
            blocks,
            ..Document::default()
        };
        values.retain(|_, value| !value.trim().is_empty() && value.len() <= 1_024);
        document.metadata = values;
        finish(&mut document, self.source, DocumentFormat::Questions);
        self.documents.push(document);
        Ok(())
    }
}
