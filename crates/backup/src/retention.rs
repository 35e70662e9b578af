//! The removal of old backups: a plan first, then headers, then the chunks that no backup needs any more.

use crate::{
    chunk_reader::headers,
    format::{CHUNKS, Header},
    marks::{CREATING, Mark, PRUNING},
    person_keys,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::Store;
use chrono::Datelike as _;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many backups are kept: the newest one of each of the last days, weeks and months that have one, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days.
    pub daily: u32,
    /// Weeks, from Monday on.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
}

/// A backup that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its name.
    pub id: String,
    /// The reasons: `newest`, `daily`, `weekly`, `monthly`.
    pub because: Vec<&'static str>,
}

/// The backups that a removal keeps, and those that it removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetentionPlan {
    /// The backups to keep, the oldest first.
    pub keep: Vec<Kept>,
    /// The names of those to remove, the oldest first.
    pub remove: Vec<String>,
}

/// The extent of a removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The number of backups.
    pub backups: u64,
    /// The number of chunks, also of those that interrupted commands left.
    pub chunks: u64,
    /// Their stored size in bytes.
    pub bytes: u64,
}

/// Decides which of `headers`, the oldest first, are kept.
///
/// # Errors
/// `BOT-5114` (exit 2) the retention keeps nothing.
pub fn plan(headers: &[Header], retention: Retention) -> Result<RetentionPlan> {
    let Retention { daily, weekly, monthly } = retention;
    if daily == 0 && weekly == 0 && monthly == 0 {
        return Err(Fault::usage("BOT-5114", "no backup would be kept but the newest one")
            .hint("say how many to keep, such as `--keep-daily 7` and `--keep-weekly 4`"));
    }
    let mut because: BTreeMap<usize, Vec<&'static str>> = BTreeMap::new();
    if let Some(newest) = headers.len().checked_sub(1) {
        because.entry(newest).or_default().push("newest");
    }
    let day = |header: &Header| header.created_at.format("%Y-%m-%d").to_string();
    let week = |header: &Header| {
        let week = header.created_at.iso_week();
        format!("{}-{:02}", week.year(), week.week())
    };
    let month = |header: &Header| header.created_at.format("%Y-%m").to_string();
    let mut keep_newest_of = |most: u32, name: &'static str, period: &dyn Fn(&Header) -> String| {
        let mut seen = BTreeSet::new();
        for (at, header) in headers.iter().enumerate().rev() {
            if seen.len() < most as usize && seen.insert(period(header)) {
                because.entry(at).or_default().push(name);
            }
        }
    };
    keep_newest_of(daily, "daily", &day);
    keep_newest_of(weekly, "weekly", &week);
    keep_newest_of(monthly, "monthly", &month);
    let kept = |at: &usize| because.contains_key(at);
    let remove = (0..headers.len()).filter(|at| !kept(at)).map(|at| headers[at].id.clone());
    let keep = because
        .iter()
        .map(|(at, because)| Kept { id: headers[*at].id.clone(), because: because.clone() });
    Ok(RetentionPlan { keep: keep.collect(), remove: remove.collect() })
}

/// Removes the backups `remove` from `target`, then every chunk that no remaining backup names. Counts only, with `dry_run`.
///
/// Headers go first: a crash leaves chunks that nobody needs, which the next removal takes. `id` names this command.
///
/// # Errors
/// `BOT-5107` (exit 5) a backup is being made; `BOT-5100` (exit 3), `BOT-5101` (exit 6) the header of a remaining backup
/// cannot be read, so that nobody knows which chunks it needs. Nothing is removed then.
pub async fn prune(
    target: &Store,
    remove: &[String],
    (id, dry_run): (&str, bool),
) -> Result<Pruned> {
    if dry_run {
        return sweep(target, remove, true).await;
    }
    let mark = Mark::set(target, PRUNING, id).await?;
    let swept = match mark.others(CREATING).await {
        Ok(others) if others.is_empty() => sweep(target, remove, false).await,
        Ok(_) => Err(Fault::conflict("BOT-5107", "a backup is being made: nothing was removed")
            .file(target.object_url(CREATING))
            .hint("run the command again when that has ended")),
        Err(fault) => Err(fault),
    };
    let cleared = mark.clear().await;
    swept.and_then(|swept| cleared.map(|()| swept))
}

async fn sweep(target: &Store, remove: &[String], dry_run: bool) -> Result<Pruned> {
    // Listed before the headers are read: a chunk that is stored later is not among them.
    let listed = target.list(CHUNKS).await?;
    let mut needed: BTreeSet<Digest> = BTreeSet::new();
    let (mut gone, mut remaining) = (Vec::new(), Vec::new());
    for (id, header) in headers(target).await? {
        if remove.contains(&id) {
            gone.push(id);
            continue;
        }
        let header = header?;
        remaining.push(id);
        needed.extend(header.chunks);
        needed.extend(header.table_chunks);
    }
    let mut pruned = Pruned { backups: gone.len() as u64, ..Pruned::default() };
    if !dry_run {
        for id in &gone {
            target.remove(&Header::path(id)).await?;
        }
        person_keys::prune(target, &remaining).await?;
    }
    for chunk in listed {
        let name = chunk.path.rsplit('/').next().unwrap_or_default();
        let Ok(name) = format!("sha256:{name}").parse::<Digest>() else { continue };
        if needed.contains(&name) {
            continue;
        }
        pruned.chunks += 1;
        pruned.bytes += chunk.size_bytes;
        if !dry_run {
            target.remove(&chunk.path).await?;
        }
    }
    Ok(pruned)
}
