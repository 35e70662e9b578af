//! `botops predictions compact`.

use super::{
    answers::{Compacted, CompactedHour, Expired},
    log::log,
    text,
};
use crate::cli::{
    Outcome,
    serve::predictions::retention,
    session::{context::Context, provenance},
};
use botops_findings::{Fault, FaultKind, Finding, Result};
use botops_predictions::{
    Hour, HourKey, Pass, compact, expire, hour_keys, stray_folders, wrong_clocks,
};
use botops_store::Store;
use chrono::TimeDelta;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct CompactArgs {
    /// Compact the hour under way, too
    #[arg(long)]
    all: bool,
    /// Remove the hours that ended longer ago than this; default: `predictions.retention`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    retention: Option<Duration>,
    /// Check, and show what would be done, but write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &CompactArgs, context: &Context) -> Result<Outcome> {
    let now = provenance::now()?;
    let (store, environment) = log(context)?;
    let by = context.claimed()?.label();
    // Records of the hour under way still come, so it would be compacted again.
    let until = (!args.all).then(|| HourKey::of(now));
    let age = match args.retention {
        Some(age) => age,
        None => retention(context.workspace()?)?,
    };
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    let before = now.checked_sub_signed(age).map(HourKey::of);
    let mut findings = Vec::new();
    let mut answer = Compacted {
        environment,
        hours: Vec::new(),
        elsewhere: 0,
        expired: None,
        dry_run: args.dry_run,
    };
    let failed = context.wait(async {
        if let Some(before) = before {
            let pass = Pass { at: now, by: &by, most: usize::MAX, dry_run: args.dry_run };
            let expired = expire(&store, environment, before, pass).await?;
            answer.expired = Some(Expired {
                hours: expired.hours,
                compacted: expired.records,
                days_of_verdicts: expired.days_of_verdicts,
            });
        }
        findings.extend(wrong_clocks(&store, environment, now).await?);
        findings.extend(stray_folders(&store, environment).await?);
        let (mut failed, mut failed_hours) = (None, Vec::new());
        // Hours of wrong clocks lie before the retention, and are kept.
        for key in hour_keys(&store, environment).await? {
            let is_expired = args.dry_run && before.is_some_and(|before| key < before);
            if is_expired || until.is_some_and(|until| key >= until) {
                continue;
            }
            match of_hour(&store, environment, key, args.dry_run).await {
                Ok(Folded::Now(done, found)) => {
                    answer.hours.push(done);
                    findings.extend(found);
                }
                Ok(Folded::Before) => {}
                Ok(Folded::Elsewhere) => answer.elsewhere += 1,
                // It concerns this hour alone.
                Err(fault) if matches!(fault.kind(), FaultKind::Gate | FaultKind::Policy) => {
                    failed_hours.push(format!("`{key}`"));
                    failed = failed.or(Some(fault));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok::<_, Fault>(failed.map(|fault| (fault, failed_hours)))
    })??;
    if let Some((fault, hours)) = failed {
        let (hours, done) = (hours.join(", "), answer.hours.len());
        return Err(fault.hint(format!("left as it was: {hours}; other hours compacted: {done}")));
    }
    let text = text::with_findings(text::compacted(&answer), &findings);
    Ok(Outcome::done(&answer, text).findings(findings))
}

/// The outcome of an hour.
enum Folded {
    Now(CompactedHour, Vec<Finding>),
    /// There was nothing to do.
    Before,
    /// Another process does it.
    Elsewhere,
}

/// Compacts an hour. If another process was faster, what that one left is compacted.
async fn of_hour(store: &Store, environment: &str, key: HourKey, dry_run: bool) -> Result<Folded> {
    for is_first in [true, false] {
        let hour = Hour::list(store, environment, key).await?;
        if hour.segments.is_empty() && hour.obsolete.is_empty() {
            return Ok(if is_first { Folded::Before } else { Folded::Elsewhere });
        }
        match compact(store, &hour, dry_run).await {
            Ok(done) => {
                let of_hour = CompactedHour {
                    hour: key.to_string(),
                    segments: done.segments,
                    records: done.records,
                    duplicates: done.duplicates,
                    refused: done.refused,
                    damaged: done.damaged,
                    removed: done.removed,
                };
                return Ok(Folded::Now(of_hour, done.findings));
            }
            Err(fault) if fault.kind() == FaultKind::Conflict => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(Folded::Elsewhere)
}
