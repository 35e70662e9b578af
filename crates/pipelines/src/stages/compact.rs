//! The stage that compacts the prediction log.

use super::{
    files::write_json,
    work::{Ended, Work},
};
use crate::{log_window::days, spec::CompactStage, state::StageVerdict};
use botops_findings::{Finding, Result};
use botops_predictions::{Hour, HourKey, Pass, compact as compact_hour, expire, hours};
use botops_text::counted;
use serde::Serialize;
use std::path::Path;

/// The outcome of a compaction, in `compact.json`.
#[derive(Debug, Default, Serialize)]
struct CompactReport {
    /// `botops.compact/1`.
    schema: &'static str,
    /// The hours that were compacted.
    hours: Vec<String>,
    /// The number of segments that were folded.
    segments: u64,
    /// The number of records that were there already.
    duplicates: u64,
    /// The number of lines that are no records.
    refused: u64,
    /// The number of hours that were removed because they are older than the retention.
    expired: u64,
}

/// Returns the hours that are over and have segments, or files that no reader needs.
async fn open_hours(work: &Work<'_>) -> Result<Vec<Hour>> {
    let registry = work.services.registry;
    // Records of the hour under way still come, so it would be compacted again.
    let until = Some(HourKey::of(work.started_at));
    let found = hours(registry.store(), registry.environment_name(), None, until).await?;
    Ok(found.into_iter().filter(|it| !it.segments.is_empty() || !it.obsolete.is_empty()).collect())
}

/// Returns the first hour that is kept.
fn kept_since(work: &Work<'_>, stage: &CompactStage) -> Result<Option<HourKey>> {
    let Some(retention) = &stage.retention else { return Ok(None) };
    let age = days("retention", retention)?;
    Ok(work.started_at.checked_sub_signed(age).map(HourKey::of))
}

fn pass<'w>(work: &'w Work<'_>, dry_run: bool) -> Pass<'w> {
    Pass { at: work.started_at, by: &work.services.actor, most: usize::MAX, dry_run }
}

/// Returns why the stage must run; `None` if there is nothing to compact and nothing to remove.
pub(crate) async fn due(work: &Work<'_>, stage: &CompactStage) -> Result<Option<String>> {
    let registry = work.services.registry;
    let open = open_hours(work).await?.len() as u64;
    let old = match kept_since(work, stage)? {
        Some(before) => {
            let pass = pass(work, true);
            expire(registry.store(), registry.environment_name(), before, pass).await?.hours
        }
        None => 0,
    };
    Ok(match (open, old) {
        (0, 0) => None,
        (open, 0) => Some(format!("{} of the log have segments", counted(open, "hour", "hours"))),
        (_, old) => {
            Some(format!("{} of the log are past the retention", counted(old, "hour", "hours")))
        }
    })
}

/// Makes one file of the segments of each hour that is over, and removes the hours past the retention.
pub(super) async fn compact(
    work: &Work<'_>,
    stage: &CompactStage,
    made: &Path,
) -> Result<(Ended, Vec<Finding>)> {
    let registry = work.services.registry;
    let (store, environment) = (registry.store(), registry.environment_name());
    let mut report = CompactReport { schema: "botops.compact/1", ..CompactReport::default() };
    let mut findings = Vec::new();
    if let Some(before) = kept_since(work, stage)? {
        report.expired = expire(store, environment, before, pass(work, false)).await?.hours;
    }
    for hour in open_hours(work).await? {
        let done = compact_hour(store, &hour, false).await?;
        findings.extend(done.findings);
        report.hours.push(hour.key.to_string());
        report.segments += done.segments;
        report.duplicates += done.duplicates;
        report.refused += done.refused;
    }
    write_json(made, "compact.json", &report)?;
    let summary = format!(
        "{} of {} compacted, {} left out, {} past the retention removed",
        counted(report.segments, "segment", "segments"),
        counted(report.hours.len() as u64, "hour", "hours"),
        counted(report.duplicates, "duplicate", "duplicates"),
        counted(report.expired, "hour", "hours"),
    );
    let verdict = match findings.is_empty() {
        true => StageVerdict::Passed,
        false => StageVerdict::Warned,
    };
    Ok(((verdict, summary), findings))
}
