//! A file of utterances, classified part by part: what is held does not grow with the file.

use super::{Args, Asked, Classified, classify};
use crate::cli::{
    Outcome,
    arguments::{data_source, model_arg::Found},
    session::context::Context,
    terminal::{progress::bar, tables},
};
use botops_datasets::{self as datasets, Presence};
use botops_digest::Digest;
use botops_files::Aside;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_text::utterance;
use serde::Serialize;
use std::{collections::BTreeMap, io, path::Path};

#[derive(Serialize)]
struct Answer {
    model: String,
    digest: Digest,
    /// Utterances classified.
    n: u64,
    /// Of these, how many fall back.
    n_fallback: u64,
    /// Of these, how many have no text: nothing is understood of them, and so they fall back.
    n_without_text: u64,
    /// Utterances by what was predicted, those that fall back apart.
    predicted: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    /// The predictions, unless they were written to `out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Classified>>,
}

/// Where predictions go, as they are made.
enum Sink<'a> {
    /// A file of CSV.
    Csv { file: Aside, labelled: Option<bool> },
    /// A file of JSONL.
    Jsonl(Aside),
    /// Standard output, a line each.
    Lines { printer: &'a crate::cli::Printer, width: usize, begun: bool },
    /// The answer, which is one document.
    Kept(Vec<Classified>),
    /// Nowhere.
    None,
}

/// Classifies the utterances of `path`.
pub(super) fn classify_file(
    args: &Args,
    context: &Context,
    found: &Found,
    path: &Path,
) -> Result<Outcome> {
    let out = args.out.as_deref().filter(|_| !args.dry_run);
    let mut stream = data_source::stream(context, path, &args.columns.options(Presence::Optional))?;
    let mut sink = match out {
        Some(out) if is_jsonl(out) => Sink::Jsonl(Aside::create(out)?),
        Some(out) => Sink::Csv { file: Aside::create(out)?, labelled: None },
        None if args.dry_run && args.out.is_some() => Sink::None,
        None if context.printer.is_json() => Sink::Kept(Vec::new()),
        None => Sink::Lines {
            printer: &context.printer,
            width: found.model.labels().iter().map(|name| name.chars().count()).max().unwrap_or(0),
            begun: false,
        },
    };
    let (size, _) = stream.progress();
    // Rows and a bar on one terminal would spoil each other.
    let quiet = matches!(sink, Sink::Lines { .. });
    let bar = bar(&context.printer, "bytes", if quiet { 0 } else { size });
    let mut predicted: BTreeMap<String, u64> = BTreeMap::new();
    let (mut n, mut n_fallback, mut n_without_text) = (0, 0, 0);
    let mut first_without_text = None;
    while let Some(records) = stream.next() {
        let labelled = stream.columns().contains_key("intent");
        let records = records?;
        for record in records.iter().filter(|record| record.text.trim().is_empty()) {
            n_without_text += 1;
            first_without_text.get_or_insert_with(|| Place {
                file: Some(stream.name().to_owned()),
                record: Some(record.record),
                line: Some(record.line),
                ..Place::default()
            });
        }
        let asked = records.into_iter().map(|record| Asked {
            record: Some(record.record),
            text: record.text,
            truth: record.intent,
        });
        let classified = classify(found, asked.collect(), args.top);
        for one in &classified {
            n += 1;
            n_fallback += u64::from(one.fallback);
            *predicted
                .entry(if one.fallback { "fallback".to_owned() } else { one.intent.clone() })
                .or_default() += 1;
        }
        bar.set_position(stream.progress().1);
        if !sink.take(classified, labelled)? {
            break;
        }
    }
    bar.finish_and_clear();
    let mut predictions = None;
    match sink {
        Sink::Csv { file, .. } | Sink::Jsonl(file) => file.publish()?,
        Sink::Kept(kept) => predictions = Some(kept),
        Sink::Lines { .. } | Sink::None => {}
    }
    let mut text = match (out, &args.out) {
        (Some(out), _) => format!(
            "{}: {} predictions\n{}",
            out.display(),
            tables::count(n),
            by_intent(&predicted, n)
        ),
        (None, Some(_)) => format!(
            "not written (dry run): {} predictions\n{}",
            tables::count(n),
            by_intent(&predicted, n)
        ),
        (None, None) => String::new(),
    };
    let findings: Vec<Finding> = first_without_text
        .map(|first| without_text(n_without_text, n).at(first))
        .into_iter()
        .collect();
    text.push_str(&tables::findings(&findings, 1));
    let answer = Answer {
        model: found.name.clone(),
        digest: found.digest,
        n,
        n_fallback,
        n_without_text,
        predicted,
        out: out.map(|out| out.display().to_string()),
        predictions,
    };
    Ok(Outcome::done(&answer, text).findings(findings))
}

/// Says that records have no text, and what stands in their rows.
fn without_text(n_without_text: u64, n: u64) -> Finding {
    let message = format!(
        "of {} records, {} {} no text: nothing is understood there, and each such row falls back, with the intent that \
         leads without evidence and an empty text",
        tables::count(n),
        tables::count(n_without_text),
        if n_without_text == 1 { "has" } else { "have" }
    );
    let help =
        "leave such records out, or name the column that holds the text with `--text-column`";
    Finding::new("BOT-7067", Severity::Warning, message, help)
}

fn is_jsonl(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["jsonl", "ndjson"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

impl Sink<'_> {
    /// Takes the next predictions; returns whether more are wanted.
    fn take(&mut self, predictions: Vec<Classified>, has_truth: bool) -> Result<bool> {
        match self {
            Self::Csv { file, labelled } => {
                let mut rows = Vec::with_capacity(predictions.len() + 1);
                // Whether there is a column of truth is settled by the first part.
                let first = labelled.is_none();
                let labelled = *labelled.get_or_insert(has_truth);
                if first {
                    let names = ["record", "text", "truth", "intent", "confidence", "fallback"];
                    let kept = names.iter().filter(|name| labelled || **name != "truth");
                    rows.push(kept.map(|name| (*name).to_owned()).collect());
                }
                rows.extend(predictions.into_iter().map(|one| row(one, labelled)));
                file.write(&datasets::spreadsheet_csv(&rows))?;
            }
            Self::Jsonl(file) => {
                for one in &predictions {
                    let mut line = serde_json::to_vec(one).expect("a prediction is valid JSON");
                    line.push(b'\n');
                    file.write(&line)?;
                }
            }
            Self::Lines { printer, width, begun } => {
                let mut text = String::new();
                if !std::mem::replace(begun, true) {
                    text.push_str(&line(
                        *width,
                        ["record", "intent", "confidence", "fallback", "text"],
                    ));
                }
                for one in &predictions {
                    text.push_str(&line(
                        *width,
                        [
                            &one.record.unwrap_or_default().to_string(),
                            &one.intent,
                            &format!("{:.3}", one.confidence),
                            if one.fallback { "yes" } else { "" },
                            &utterance(&one.text, 80),
                        ],
                    ));
                }
                match printer.part(&text) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                    Err(error) => {
                        return Err(Fault::internal(
                            "BOT-1008",
                            format!("the answer cannot be written: {error}"),
                        ));
                    }
                }
            }
            Self::Kept(kept) => kept.extend(predictions),
            Self::None => {}
        }
        Ok(true)
    }
}

fn row(one: Classified, labelled: bool) -> Vec<String> {
    let mut row = Vec::with_capacity(6);
    row.push(one.record.map(|record| record.to_string()).unwrap_or_default());
    row.push(one.text);
    if labelled {
        row.push(one.truth.unwrap_or_default());
    }
    row.extend([one.intent, format!("{:.6}", one.confidence), one.fallback.to_string()]);
    row
}

/// Draws a row: columns as wide as they can get, since what follows is not known yet.
fn line(width: usize, [record, intent, confidence, fallback, text]: [&str; 5]) -> String {
    let width = width.max("intent".len());
    let row = format!("{record:>8}  {intent:<width$}  {confidence:>10}  {fallback:<8}  {text}");
    format!("{}\n", row.trim_end())
}

/// Draws how often what was predicted.
fn by_intent(predicted: &BTreeMap<String, u64>, n: u64) -> String {
    let mut counts: Vec<(&String, u64)> = predicted.iter().map(|(name, n)| (name, *n)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let rows = counts.into_iter().map(|(intent, count)| {
        vec![
            intent.clone(),
            tables::count(count),
            format!("{:.1} %", 100.0 * count as f64 / n as f64),
        ]
    });
    tables::table(&["predicted", "n", "share"], rows, &[1, 2])
}
