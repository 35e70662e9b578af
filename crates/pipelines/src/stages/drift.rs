//! The stage that compares current data with the training data.

use super::{
    files::{read_model, write_json, write_text},
    work::{Ended, Work},
};
use crate::{
    drift_input::{DriftColumns, rows},
    input_files,
    plan::Stage,
    spec::{DriftStage, OnDrift},
    state::StageVerdict,
};
use botops_datasets::{
    self as datasets, Presence, ReadOptions,
    table::{Row as TableRow, Shape},
};
use botops_drift::{self as drift, Column, DriftReport, DriftSide, DriftVerdict, Role, Row};
use botops_findings::{Finding, Result, Severity};
use botops_models::IntentModel;
use botops_monitoring::model_drift::{with_embeddings, with_label_shift, with_texts};
use botops_report as report;
use botops_spec::Spec as _;
use botops_text as text;
use std::{collections::HashSet, path::Path};

type Texts = Vec<(String, Option<String>)>;

pub(super) fn drift(
    work: &mut Work<'_>,
    at: &Stage,
    stage: &DriftStage,
    made: &Path,
) -> Result<Ended> {
    let mut columns = DriftColumns::default();
    let mut side = |file: &str| -> Result<(Texts, Vec<Option<String>>)> {
        let path = work.folder.file(&stage.reference, file);
        let mut see = |shape: &Shape, row: TableRow<'_>| columns.add(shape, row);
        let data = datasets::read_with_rows(&path, &ReadOptions::default(), &mut see)?;
        let records = data.records.into_iter();
        Ok(records.map(|record| ((record.text, record.lang), record.intent)).unzip())
    };
    let (reference, _) = side("train.csv")?;
    let (current, current_columns) = read_current(work, stage)?;
    let model = match &stage.model {
        Some(name) => Some(read_model(work, name)?.0),
        None => None,
    };
    // The training side is the reference for lengths and languages, the test side for the predictions of the model,
    // which is more confident on its training data.
    let (held_out, truths) = match &model {
        Some(_) => side("test.csv")?,
        None => (Vec::new(), Vec::new()),
    };
    columns.leave_out_no_entities();
    let mut reference_rows = rows(&borrowed(&reference), None);
    reference_rows.extend(rows(&borrowed(&held_out), model.as_ref()));
    let mut current_rows = rows(&borrowed(&current), model.as_ref());
    let n_learned = match &model {
        Some(_) => leave_out_predictions(&mut current_rows, &reference),
        None => 0,
    };
    let name = current_name(stage);
    let report = drift::compare(
        &DriftSide { name: &stage.reference, rows: &reference_rows, columns: columns.get() },
        &DriftSide { name: &name, rows: &current_rows, columns: current_columns.get() },
        &stage.rules.clone().check()?,
    )?;
    let [before, now] = [&reference, &current]
        .map(|side| side.iter().map(|(text, _)| text.as_str()).collect::<Vec<&str>>());
    let names: Vec<&str> = [columns.get(), current_columns.get()]
        .into_iter()
        .flatten()
        .filter(|column| column.role() == Role::Text)
        .map(Column::name)
        .collect();
    let (report, compared) = with_texts(report, &names, &before, &now);
    let report = match (&compared, model.as_ref().and_then(IntentModel::encoder)) {
        (Some(compared), Some(encoder)) => with_embeddings(report, compared, encoder),
        _ => report,
    };
    let report = match &model {
        Some(model) => {
            let spec = &model.lineage().spec;
            let held = truths.iter().zip(&reference_rows[reference.len()..]);
            let pairs = held
                .filter_map(|(truth, row)| Some((spec.intent_of(truth.as_deref()?), row.intent?)));
            let predicted = current_rows.iter().filter_map(|row| row.intent);
            with_label_shift(report, pairs, predicted).0
        }
        None => report,
    };
    write_json(made, "drift.json", &report)?;
    write_text(made, "drift.html", &report::drift_html(&report))?;
    write_text(made, "drift.md", &report::drift_markdown(&report))?;
    let (verdict, mut summary) = outcome(&report, [reference_rows.len(), current_rows.len()]);
    if n_learned > 0 {
        summary.push_str(&format!(
            "; {n_learned} of {} rows are training data, and their predictions are left out",
            text::count(current_rows.len() as u64)
        ));
    }
    let verdict = match stage.on_drift {
        OnDrift::Warn if !verdict.goes_on() => StageVerdict::Warned,
        _ => verdict,
    };
    if verdict == StageVerdict::Warned {
        work.findings.push(Finding::new(
            "BOT-8022",
            Severity::Warning,
            summary.clone(),
            format!("see {}", work.folder.file(&at.name, "drift.html").display()),
        ));
    }
    Ok((verdict, summary))
}

fn borrowed(texts: &Texts) -> Vec<(&str, Option<&str>)> {
    texts.iter().map(|(text, lang)| (text.as_str(), lang.as_deref())).collect()
}

/// Returns the name of the current data: a file, or that of a window stage.
fn current_name(stage: &DriftStage) -> String {
    match (&stage.window, &stage.current) {
        (Some(window), _) => format!("{window}/traffic.jsonl"),
        (None, Some(current)) => current.display().to_string(),
        (None, None) => String::new(),
    }
}

/// Reads the current data: recorded traffic, or a data file.
fn read_current(work: &Work<'_>, stage: &DriftStage) -> Result<(Texts, DriftColumns)> {
    let current = match (&stage.window, &stage.current) {
        (Some(window), _) => work.folder.file(window, "traffic.jsonl"),
        (None, Some(current)) => current.clone(),
        (None, None) => unreachable!("`Plan::check` requires current data"),
    };
    let path = work.services.root.join(&current);
    let options = ReadOptions { intent: Presence::Optional, ..ReadOptions::default() };
    let mut columns = DriftColumns::default();
    let mut see = |shape: &Shape, row: TableRow<'_>| columns.add(shape, row);
    let is_traffic = current.extension().is_some_and(|extension| extension == "jsonl");
    let is_file = input_files::expand(&work.services.root, &current)?.len() == 1;
    let texts = if is_traffic && !is_file {
        let traffic = datasets::read_traffic(&path)?;
        datasets::read_with_rows(&path, &options, &mut see)?;
        traffic.records.into_iter().map(|record| (record.text, None)).collect()
    } else if is_traffic {
        let (bytes, name) = (datasets::bytes(&path)?, path.display().to_string());
        let traffic = datasets::read_traffic_bytes(&bytes, &name)?;
        datasets::read_bytes_with_rows(&bytes, &name, &options, &mut see)?;
        traffic.records.into_iter().map(|record| (record.text, None)).collect()
    } else {
        let data = datasets::read_with_rows(&path, &options, &mut see)?;
        data.records.into_iter().map(|record| (record.text, record.lang)).collect()
    };
    Ok((texts, columns))
}

/// Removes the predictions of the rows whose text the model was trained on: it is more confident on them than on the
/// held-out records. Returns the number of these rows.
fn leave_out_predictions(rows: &mut [Row<'_>], learned: &Texts) -> usize {
    let learned: HashSet<String> = learned.iter().map(|(text, _)| text::fold(text)).collect();
    let known = rows.iter_mut().filter(|row| learned.contains(&text::fold(row.text)));
    known
        .map(|row| {
            (row.intent, row.confidence, row.unseen_word_rate) = (None, None, None);
        })
        .count()
}

/// Returns the verdict of the stage and its summary; `n_rows` are those of the reference and of the current data.
fn outcome(report: &DriftReport, n_rows: [usize; 2]) -> (StageVerdict, String) {
    let drifted: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict == DriftVerdict::Drift)
        .map(|check| {
            let name = text::display(&check.name, 40);
            match check.deciding() {
                Some(score) if check.kind == "sample" => {
                    format!(
                        "{name} ({} {:.3}, noise {:.3})",
                        score.name, score.value, score.noise95
                    )
                }
                _ => format!("{name} (PSI {:.3}, noise {:.3})", check.psi, check.psi_noise95),
            }
        })
        .collect();
    let (verdict, mut summary) = match report.verdict {
        DriftVerdict::NoDrift => {
            (StageVerdict::Passed, format!("no drift in {} checks", report.n_judged()))
        }
        DriftVerdict::Insufficient => {
            let [reference, current] = n_rows;
            let summary = match uncompared(report) {
                Some(columns) if report.checks.is_empty() => {
                    format!("nothing can be compared: {columns}")
                }
                columns => format!(
                    "too few rows to decide: {reference} reference, {current} current{}",
                    columns.map_or_else(String::new, |it| format!("; not compared: {it}"))
                ),
            };
            return (StageVerdict::Insufficient, summary);
        }
        DriftVerdict::Drift => (StageVerdict::Failed, format!("drift in {}", drifted.join(", "))),
    };
    if let Some(unjudged) = report.unjudged_checks() {
        summary.push_str(&format!("; not judged: {unjudged}"));
    }
    if let Some(columns) = uncompared(report) {
        summary.push_str(&format!("; not compared: {columns}"));
    }
    (verdict, summary)
}

/// Returns the columns that the user chose and that cannot be compared, with the reasons.
fn uncompared(report: &DriftReport) -> Option<String> {
    report.spec.columns.as_ref().and_then(|_| report.uncompared_columns())
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_drift::DriftSpec;

    #[test]
    fn a_chosen_column_of_one_side_is_the_reason() {
        let rows = drift::rows((0..200).map(|_| ("where is my order", None)), None);
        let column = |name: &str, role| {
            let mut column = Column::new(name, role);
            (0..200).for_each(|i| column.add(&(100 + i * 37 % 101).to_string()));
            column
        };
        let said = |chosen: &[&str]| {
            let reference = [column("text", Role::Text)];
            let current = [column("text", Role::Text), column("latency_ms", Role::Other)];
            let chosen = chosen.iter().map(|name| (*name).to_owned()).collect();
            let spec = DriftSpec { columns: Some(chosen), ..DriftSpec::default() };
            let report = drift::compare(
                &DriftSide { name: "a", rows: &rows, columns: &reference },
                &DriftSide { name: "b", rows: &rows, columns: &current },
                &spec.check().unwrap(),
            );
            outcome(&report.unwrap(), [200, 200])
        };
        let (verdict, summary) = said(&["latency_ms"]);
        assert_eq!(verdict, StageVerdict::Insufficient);
        assert_eq!(summary, "nothing can be compared: latency_ms (only in the current data)");
        let (verdict, summary) = said(&["text", "latency_ms"]);
        assert_eq!(verdict, StageVerdict::Passed);
        assert!(summary.ends_with("; not compared: latency_ms (only in the current data)"));
    }
}
