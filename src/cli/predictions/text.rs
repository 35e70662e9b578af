//! The answers of `botops predictions` for people.

use super::answers::{Compacted, Counted, Forgotten, Recorded, Tail};
use crate::cli::terminal::tables;
use botops_findings::Finding;
use botops_predictions::{LabelDelay, Record, Row};
use botops_text::{display, percent};
use std::time::Duration;

/// The longest text that is shown.
const LONGEST: usize = 60;
/// The findings of each kind that are shown.
const SAMPLES: usize = 5;

/// Adds what was wrong with the log to a text.
pub(super) fn with_findings(mut text: String, findings: &[Finding]) -> String {
    text.push_str(&tables::findings(findings, SAMPLES));
    text
}

pub(super) fn tail(answer: &Tail<'_>) -> String {
    let row = |record: &Record| {
        let intent = display(&record.intent, 40);
        vec![
            tables::time(&record.time()),
            if record.fallback { format!("{intent} (fallback)") } else { intent },
            format!("{:.2}", record.confidence),
            record.any_language().unwrap_or("-").to_owned(),
            record.arm.clone(),
            record.text.as_deref().map_or_else(|| "-".to_owned(), |text| display(text, LONGEST)),
        ]
    };
    let head = ["time (UTC)", "intent", "confidence", "language", "arm", "text"];
    tables::table(&head, answer.records.iter().map(row), &[2])
}

pub(super) fn counted(answer: &Counted<'_>) -> String {
    let mut head = answer.by.clone();
    let n_keys = head.len();
    head.extend(["records", "fallback", "mean confidence", "mean latency", "judged", "accuracy"]);
    let rows = answer.rows.iter().map(|counted| {
        let row = &counted.row;
        let mut cells: Vec<String> = row.key.iter().map(|key| display(key, 40)).collect();
        cells.push(row.n.to_string());
        cells.push(percent(row.fallbacks as f64 / row.n as f64, 1));
        cells.push(format!("{:.3}", row.mean_confidence));
        cells.push(format!("{:.2} ms", row.mean_latency_ms));
        cells.push(row.judged.to_string());
        cells.push(match (counted.accuracy, counted.interval) {
            (Some(accuracy), Some([low, high])) => {
                format!("{} [{}, {}]", percent(accuracy, 1), percent(low, 1), percent(high, 1))
            }
            _ => "-".to_owned(),
        });
        cells
    });
    let right: Vec<usize> = (n_keys..n_keys + 5).collect();
    let mut text = tables::table(&head, rows, &right);
    let sum = |of: fn(&Row) -> u64| answer.rows.iter().map(|it| of(&it.row)).sum::<u64>();
    let out_of_scope = sum(|row| row.out_of_scope);
    if out_of_scope > 0 {
        text.push_str(&format!(
            "{} out of scope by verdict, and in no accuracy; the model declined {}\n",
            tables::counted(out_of_scope, "message is", "messages are"),
            tables::count(sum(|row| row.out_of_scope_declined))
        ));
    }
    if answer.contradicted > 0 {
        let n = tables::counted(answer.contradicted, "message has", "messages have");
        text.push_str(&format!(
            "{n} verdicts that differ: the most trusted source counts, then the latest\n"
        ));
    }
    if answer.not_counted > 0 {
        let n = tables::counted(answer.not_counted, "verdict", "verdicts");
        text.push_str(&format!("{n} of other sources not counted: see `--accuracy-of`\n"));
    }
    if let Some(LabelDelay { median_ms, p95_ms, .. }) = answer.label_delay {
        let [median, most] = [median_ms, p95_ms].map(shown);
        text.push_str(&format!("label delay: median {median}, 95 % within {most}\n"));
    }
    if let Some(unknown) = answer.unknown_verdicts.filter(|unknown| *unknown > 0) {
        let n =
            tables::counted(unknown, "message has a verdict, but", "messages have a verdict, but");
        text.push_str(&format!("{n} no record in the log\n"));
    }
    text
}

/// Returns a time in words, such as `2h 5m`.
fn shown(millis: u64) -> String {
    let time = Duration::from_millis(millis);
    let coarse = if millis < 60_000 { time } else { Duration::from_secs(millis / 60_000 * 60) };
    humantime::format_duration(coarse).to_string()
}

pub(super) fn compacted(answer: &Compacted<'_>) -> String {
    let mut text = String::new();
    let would = if answer.dry_run { " (dry run)" } else { "" };
    for hour in &answer.hours {
        let segments = tables::counted(hour.segments, "segment", "segments");
        text.push_str(&format!(
            "{}: {segments} -> {} records, {} duplicates{would}\n",
            hour.hour, hour.records, hour.duplicates
        ));
        for name in &hour.damaged {
            text.push_str(&format!(
                "  {name}: damaged, its readable records count; kept as it is\n"
            ));
        }
    }
    if let Some(expired) = answer.expired.as_ref().filter(|it| it.hours > 0) {
        let hours = tables::counted(expired.hours, "hour", "hours");
        text.push_str(&format!("{hours} past the retention removed{would}\n"));
    }
    if answer.elsewhere > 0 {
        let hours = tables::counted(answer.elsewhere, "hour", "hours");
        text.push_str(&format!("{hours} compacted by another process meanwhile\n"));
    }
    if text.is_empty() {
        text = format!("nothing to compact in the log of {}\n", answer.environment);
    }
    text
}

pub(super) fn recorded(answer: &Recorded<'_>) -> String {
    let n = tables::counted(answer.verdicts as u64, "verdict", "verdicts");
    match answer.dry_run {
        true => format!("{n} would be recorded (dry run)\n"),
        false => format!("{n} recorded\n"),
    }
}

pub(super) fn forgotten(answer: &Forgotten<'_>) -> String {
    let n = tables::counted(answer.records, "record", "records");
    let hours = tables::counted(answer.hours, "hour", "hours");
    match answer.dry_run {
        true => format!("{n} in {hours} would be erased (dry run)\n"),
        false => format!("{n} in {hours} erased\n"),
    }
}
