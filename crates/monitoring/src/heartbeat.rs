//! Heartbeats of scheduled runs: each leaves the time of its next one, so that a missed run is noticed.
//!
//! A heartbeat is an object whose name holds its times: one listing finds every overdue run, and nothing is read.

use crate::folder::folder;
use botops_findings::{Finding, Result, Severity};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// The schema of a heartbeat.
const SCHEMA: &str = "botops.heartbeat/1";
/// The name of the runs of `botops monitor`.
pub const MONITOR_RUNS: &str = "monitor";
/// The heartbeats of one schedule that are kept.
const KEPT: usize = 8;
/// The lead of a clock over ours that is no skew.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// The most schedules that are listed.
const MOST: usize = 50;

/// The last run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heartbeat {
    /// The name of the schedule, such as `pipeline-weekly`.
    pub name: String,
    /// The time of the run.
    pub at: DateTime<Utc>,
    /// The time at which the next run is due.
    pub next_due: DateTime<Utc>,
    /// The time from which it is overdue.
    pub overdue_at: DateTime<Utc>,
}

/// Returns the name of the runs of a pipeline.
#[must_use]
pub fn pipeline_runs(pipeline: &str) -> String {
    format!("pipeline-{pipeline}")
}

fn root(environment: &str) -> String {
    format!("{}/heartbeats", folder(environment))
}

impl Heartbeat {
    /// Returns the heartbeat of a run that is repeated after `every`; a run that is late by half of that, and at least 5
    /// minutes, is overdue.
    #[must_use]
    pub fn repeated(name: &str, at: DateTime<Utc>, every: TimeDelta) -> Self {
        let next_due = at.checked_add_signed(every).unwrap_or(at);
        let grace = (every / 2).max(TimeDelta::minutes(5));
        let overdue_at = next_due.checked_add_signed(grace).unwrap_or(next_due);
        Self { name: name.to_owned(), at, next_due, overdue_at }
    }

    /// Stores the heartbeat; `outcome` says how the run ended, in a word. Old ones of the schedule are removed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn leave(&self, store: &Store, environment: &str, outcome: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Stored<'a> {
            schema: &'static str,
            #[serde(flatten)]
            heartbeat: &'a Heartbeat,
            outcome: &'a str,
        }
        let stored = Stored { schema: SCHEMA, heartbeat: self, outcome };
        let bytes = serde_json::to_vec(&stored).expect("a heartbeat can be written as JSON");
        let folder = format!("{}/{}", root(environment), self.name);
        store.create(&format!("{folder}/{}", self.file()), bytes.into()).await?;
        let old = store.objects(&folder, None).await?;
        for path in old.iter().rev().skip(KEPT) {
            store.remove(path).await?;
        }
        Ok(())
    }

    /// The name of its object: its times in seconds since 1970.
    fn file(&self) -> String {
        let [at, due, overdue] =
            [self.at, self.next_due, self.overdue_at].map(|time| time.timestamp().max(0));
        format!("{at:012}-{due:012}-{overdue:012}.json")
    }

    /// Reads the path of a heartbeat below `root`.
    fn of_path(path: &str) -> Option<Self> {
        let (name, file) = path.split_once('/')?;
        let mut times = file
            .strip_suffix(".json")?
            .split('-')
            .map(|part| DateTime::from_timestamp(part.parse().ok()?, 0));
        let (at, next_due, overdue_at) = (times.next()??, times.next()??, times.next()??);
        times.next().is_none().then(|| Self { name: name.to_owned(), at, next_due, overdue_at })
    }

    /// Returns the warning that the next run is overdue at `now`; `None` if it is not.
    #[must_use]
    pub fn overdue(&self, now: DateTime<Utc>) -> Option<Finding> {
        if now < self.overdue_at {
            return None;
        }
        let form = "%Y-%m-%d %H:%M";
        let message = format!(
            "the run `{}` was due at {} UTC and is missing; the last one was at {} UTC",
            self.name,
            self.next_due.format(form),
            self.at.format(form)
        );
        let help =
            format!("start it, or end its schedule: `botops monitor --end-schedule {}`", self.name);
        Some(Finding::new("BOT-6257", Severity::Warning, message, help))
    }
}

/// Returns the last heartbeat of each schedule of `environment`, by name, at most 50.
///
/// One that a clock ahead of ours left counts only if there is no other.
///
/// # Errors
/// Those of the store.
pub async fn heartbeats(
    store: &Store,
    environment: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Heartbeat>> {
    let root = root(environment);
    let mut last: BTreeMap<String, Heartbeat> = BTreeMap::new();
    for path in store.objects(&root, None).await? {
        let inner = path.strip_prefix(&root).and_then(|path| path.strip_prefix('/'));
        let Some(heartbeat) = inner.and_then(Heartbeat::of_path) else { continue };
        // The paths of a schedule are in the order of its runs.
        let is_ahead = heartbeat.at > now + SKEW;
        if !is_ahead || !last.contains_key(&heartbeat.name) {
            last.insert(heartbeat.name.clone(), heartbeat);
        }
    }
    Ok(last.into_values().take(MOST).collect())
}

/// Ends the schedule `name`: removes its heartbeats. Returns how many there were.
///
/// # Errors
/// Those of the store.
pub async fn end_schedule(store: &Store, environment: &str, name: &str) -> Result<usize> {
    let paths = store.objects(&format!("{}/{name}", root(environment)), None).await?;
    for path in &paths {
        store.remove(path).await?;
    }
    Ok(paths.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn the_last_heartbeat_counts_and_old_ones_are_removed() {
        let store = Store::in_memory();
        let begin = at("2026-11-02T06:00:00Z");
        for week in 0..12 {
            let heartbeat = Heartbeat::repeated(
                &pipeline_runs("weekly"),
                begin + TimeDelta::days(7 * week),
                TimeDelta::days(7),
            );
            heartbeat.leave(&store, "production", "ok").await.unwrap();
        }
        let hourly = Heartbeat::repeated(MONITOR_RUNS, begin, TimeDelta::hours(1));
        hourly.leave(&store, "production", "ok").await.unwrap();
        let now = begin + TimeDelta::days(7 * 11);
        let found = heartbeats(&store, "production", now).await.unwrap();
        let names: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.at)).collect();
        assert_eq!(names, [("monitor", begin), ("pipeline-weekly", now)]);
        let overdue: Vec<_> = found.iter().filter_map(|it| it.overdue(now)).collect();
        assert_eq!(overdue.len(), 1);
        assert!(overdue[0].message.contains("`monitor` was due at 2026-11-02 07:00 UTC"));
        assert_eq!(store.objects("monitoring/production/heartbeats", None).await.unwrap().len(), 9);
        assert!(heartbeats(&store, "staging", now).await.unwrap().is_empty());
        assert_eq!(end_schedule(&store, "production", MONITOR_RUNS).await.unwrap(), 1);
        assert_eq!(heartbeats(&store, "production", now).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_hides_no_missed_run() {
        let store = Store::in_memory();
        let begin = at("2026-11-02T06:00:00Z");
        let run = |days: i64| {
            Heartbeat::repeated("nightly", begin + TimeDelta::days(days), TimeDelta::days(1))
        };
        run(0).leave(&store, "e", "ok").await.unwrap();
        run(400).leave(&store, "e", "ok").await.unwrap();
        let now = begin + TimeDelta::days(3);
        let found = heartbeats(&store, "e", now).await.unwrap();
        assert_eq!(found[0].at, begin);
        assert!(found[0].overdue(now).is_some() && found[0].overdue(begin).is_none());
        // Foreign objects in the folder are left alone.
        store.create("monitoring/e/heartbeats/nightly/notes.txt", Vec::new().into()).await.unwrap();
        store.create("monitoring/e/heartbeats/x", Vec::new().into()).await.unwrap();
        assert_eq!(heartbeats(&store, "e", now).await.unwrap().len(), 1);
    }
}
