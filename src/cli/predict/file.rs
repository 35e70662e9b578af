//! A file of utterances, classified in parts: the memory in use does not grow with the file.

use super::{
    arguments::Args,
    classification::{Classified, Request, Wanted, classify},
    rows::{Origin, Rows},
};
use crate::cli::{
    Outcome,
    arguments::{data_source, model_arg::Found},
    session::context::Context,
    terminal::{progress::bar, tables},
};
use botops_datasets::{self as datasets, Format, Presence};
use botops_digest::Digest;
use botops_files::{AtomicFile, Output, OutputKind, is_standard_output, output_name};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_text::{percent, spreadsheet_safe};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

#[derive(Serialize)]
struct Answer {
    model: String,
    digest: Digest,
    /// The number of utterances.
    n: u64,
    /// The number of utterances that fall back.
    n_fallback: u64,
    /// The number of utterances without text; they fall back, too.
    n_without_text: u64,
    /// The number of utterances by predicted intent; those that fall back count as `fallback`.
    predicted: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    /// The predictions, unless they were written to `out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Classified>>,
}

/// The destination of the predictions.
enum Sink<'a> {
    /// A CSV or TSV file.
    Table(TableFile),
    /// A JSONL file.
    Jsonl(AtomicFile),
    /// Standard output, one line for each.
    Lines(Rows<'a>),
    /// The answer, which is one JSON document.
    Kept(Vec<Classified>),
    /// None: a dry run.
    None,
}

/// The formats of predictions.
const FORMATS: [Format; 3] = [Format::Csv, Format::Tsv, Format::Jsonl];

/// Returns the format of the predictions to write, if any.
///
/// # Errors
/// `BOT-1003` (exit 2) for the ending of another format, and for flags that the output cannot express.
pub(super) fn check(args: &Args, context: &Context) -> Result<Option<Format>> {
    let format = args.out.as_ref().map(|out| out.table_format(&FORMATS)).transpose()?;
    check_flags(args, format, context)?;
    Ok(format)
}

/// Classifies the utterances of `path`; `format` is that of the file to write.
pub(super) fn classify_file(
    args: &Args,
    context: &Context,
    found: &Found,
    path: &Path,
    format: Option<Format>,
) -> Result<Outcome> {
    let output =
        args.out.as_deref().map(|path| Output::new(path, OutputKind::Predictions, args.force));
    output.map_or(Ok(()), |output| output.check())?;
    let output = output.filter(|_| !args.dry_run);
    let out = output.map(|output| output.path());
    let mut stream = data_source::stream(context, path, &args.columns.options(Presence::Optional))?;
    let mut sink = match output {
        Some(output) if format == Some(Format::Jsonl) => Sink::Jsonl(output.create()?),
        Some(output) => Sink::Table(TableFile {
            file: output.create()?,
            is_tsv: format == Some(Format::Tsv),
            labelled: None,
            classes: match args.probabilities {
                true => found.model.labels().iter().map(str::to_owned).collect(),
                false => Vec::new(),
            },
            is_for_spreadsheets: args.spreadsheet,
        }),
        None if args.dry_run && args.out.is_some() => Sink::None,
        None if context.printer.is_json() => Sink::Kept(Vec::new()),
        None => Sink::Lines(Rows::begin(&context.printer, &found.model, Origin::File, false)),
    };
    let (size, _) = stream.progress();
    // A bar would be mixed with the rows on a terminal.
    let quiet = matches!(sink, Sink::Lines(_));
    let bar = bar(&context.printer, "bytes", if quiet { 0 } else { size });
    let mut predicted: BTreeMap<String, u64> = BTreeMap::new();
    let (mut n, mut n_fallback, mut n_without_text) = (0, 0, 0);
    let mut first_without_text = None;
    while let Some(records) = stream.next() {
        let labelled = stream.columns().contains_key("intent");
        let is_shown = matches!(sink, Sink::Lines(_)) || out.is_some_and(is_standard_output);
        let records = records.map_err(|fault| if is_shown { after(fault, n) } else { fault })?;
        for record in records.iter().filter(|record| record.text.trim().is_empty()) {
            n_without_text += 1;
            first_without_text.get_or_insert_with(|| {
                datasets::record_place(stream.name(), record.record, record.line)
            });
        }
        let requests = records.into_iter().map(|record| Request {
            record: Some(record.record),
            text: record.text,
            truth: record.intent,
        });
        let classified = classify(found, requests.collect(), Wanted::of(args, found));
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
        Sink::Table(TableFile { file, .. }) | Sink::Jsonl(file) => file.publish()?,
        Sink::Kept(kept) => predictions = Some(kept),
        Sink::Lines(_) | Sink::None => {}
    }
    let mut text = match (out, &args.out) {
        (Some(out), _) => format!(
            "{}: {} predictions\n{}",
            output_name(out),
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
        out: out.map(output_name),
        predictions,
    };
    Ok(Outcome::done(&answer, text).findings(findings))
}

/// Adds the number of predictions that were written to standard output before `fault`, where they cannot be taken back.
fn after(fault: Fault, n: u64) -> Fault {
    match n {
        0 => fault.hint("no prediction was written"),
        _ => fault.hint(format!(
            "{} written before it, to standard output",
            tables::counted(n, "prediction was", "predictions were")
        )),
    }
}

/// Returns a warning about records without text, and describes their rows.
fn without_text(n_without_text: u64, n: u64) -> Finding {
    let message = format!(
        "of {} records, {} {} no text: each such row falls back, with an empty text and the intent that is most likely \
         without evidence",
        tables::count(n),
        tables::count(n_without_text),
        if n_without_text == 1 { "has" } else { "have" }
    );
    let help = "remove these records, or name the column with the text with `--text-column`";
    Finding::new("BOT-7067", Severity::Warning, message, help)
}

/// Refuses flags that the output cannot express.
fn check_flags(args: &Args, format: Option<Format>, context: &Context) -> Result<()> {
    let refuse = |message: &str, hint: &str| Err(Fault::usage("BOT-1003", message).hint(hint));
    let is_csv = matches!(format, Some(Format::Csv | Format::Tsv));
    if args.top.is_some() && is_csv {
        return refuse(
            "`--top` has no place in CSV, which has one row for each utterance",
            "write JSONL (`--out predictions.jsonl`), or a column for each intent: `--probabilities`",
        );
    }
    if args.spreadsheet && !is_csv {
        return refuse("`--spreadsheet` is for CSV", "leave it out: JSONL has no formulas");
    }
    let is_table = args.out.is_none() && !context.printer.is_json();
    if is_table && (args.top.is_some() || args.probabilities) {
        let flag = if args.probabilities { "--probabilities" } else { "--top" };
        return refuse(
            &format!("`{flag}` has no place in the table, which has one row for each utterance"),
            "add `--format json`, or write a file: `--out predictions.jsonl`",
        );
    }
    Ok(())
}

impl Sink<'_> {
    /// Writes the next predictions; returns whether more can be written.
    fn take(&mut self, predictions: Vec<Classified>, has_truth: bool) -> Result<bool> {
        match self {
            Self::Table(table) => {
                table.add(predictions, has_truth)?;
                return Ok(!table.file.is_closed());
            }
            Self::Jsonl(file) => {
                for one in &predictions {
                    let mut line = serde_json::to_vec(one).expect("a prediction is valid JSON");
                    line.push(b'\n');
                    file.write(&line)?;
                }
                file.show()?;
                return Ok(!file.is_closed());
            }
            Self::Lines(rows) => return rows.print(&predictions),
            Self::Kept(kept) => kept.extend(predictions),
            Self::None => {}
        }
        Ok(true)
    }
}

/// A CSV or TSV file of predictions.
struct TableFile {
    file: AtomicFile,
    /// Whether tabs separate the cells.
    is_tsv: bool,
    /// Whether there is a column for the truth; the first part decides.
    labelled: Option<bool>,
    /// The intents with a column for their probability.
    classes: Vec<String>,
    /// Whether cells are made safe for spreadsheets, which changes the texts of some.
    is_for_spreadsheets: bool,
}

impl TableFile {
    fn add(&mut self, predictions: Vec<Classified>, has_truth: bool) -> Result<()> {
        let mut rows = Vec::with_capacity(predictions.len() + 1);
        let is_first = self.labelled.is_none();
        let labelled = *self.labelled.get_or_insert(has_truth);
        if is_first {
            let names = ["record", "text", "truth", "intent", "confidence", "fallback"];
            let kept = names.iter().filter(|name| labelled || **name != "truth");
            let mut header: Vec<String> = kept.map(|name| (*name).to_owned()).collect();
            header.extend(self.classes.iter().map(|class| format!("p_{class}")));
            rows.push(header);
        }
        rows.extend(predictions.into_iter().map(|one| row(one, labelled)));
        if self.is_for_spreadsheets {
            for cell in rows.iter_mut().flatten() {
                *cell = spreadsheet_safe(cell).into_owned();
            }
        }
        let bytes = match self.is_tsv {
            true => datasets::rows_tsv(&rows),
            false => datasets::rows_csv(&rows),
        };
        self.file.write(&bytes)?;
        self.file.show()
    }
}

fn row(one: Classified, labelled: bool) -> Vec<String> {
    let mut row = Vec::with_capacity(6 + one.proba.len());
    row.push(one.record.map(|record| record.to_string()).unwrap_or_default());
    row.push(one.text);
    if labelled {
        row.push(one.truth.unwrap_or_default());
    }
    row.extend([one.intent, format!("{:.6}", one.confidence), one.fallback.to_string()]);
    row.extend(one.proba.iter().map(|proba| format!("{proba:.6}")));
    row
}

/// Renders the number of predictions of each intent.
fn by_intent(predicted: &BTreeMap<String, u64>, n: u64) -> String {
    let mut counts: Vec<(&String, u64)> = predicted.iter().map(|(name, n)| (name, *n)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let rows = counts.into_iter().map(|(intent, count)| {
        vec![intent.clone(), tables::count(count), percent(count as f64 / n as f64, 1)]
    });
    tables::table(&["predicted", "n", "share"], rows, &[1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_how_many_predictions_were_written_before_it() {
        let fault = |n| after(Fault::data("BOT-2104", "not UTF-8"), n);
        assert_eq!(
            fault(60_000).hints(),
            ["60,000 predictions were written before it, to standard output"]
        );
        assert_eq!(fault(1).hints(), ["1 prediction was written before it, to standard output"]);
        assert_eq!(fault(0).hints(), ["no prediction was written"]);
    }
}
