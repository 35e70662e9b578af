//! A store as it was at a time: logs without their later entries.
//!
//! Only logs that say what is served are cut: those of deployments and of models. The logs of keys and of erasures are
//! restored to their end: a key that was revoked stays revoked, and what was erased stays erased.

use crate::listing::{log_entry, numbered};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The folders whose logs are cut.
const CUT: [&str; 2] = ["deployments/", "models/"];

/// The last entries that are kept, by the folder of the log.
#[derive(Debug, Default)]
pub(crate) struct Cuts(BTreeMap<String, u64>);

/// Returns whether the log that `path` belongs to is cut.
pub(crate) fn is_cut(path: &str) -> bool {
    CUT.iter().any(|folder| path.starts_with(folder)) && log_entry(path).is_some()
}

impl Cuts {
    /// Notes an entry of a log that is cut at `at`.
    ///
    /// # Errors
    /// `BOT-5100` (exit 3) the time of the entry cannot be read.
    pub(crate) fn note(&mut self, path: &str, bytes: &[u8], at: DateTime<Utc>) -> Result<()> {
        #[derive(Deserialize)]
        struct Timed {
            payload: Payload,
        }
        #[derive(Deserialize)]
        struct Payload {
            at: DateTime<Utc>,
        }
        let Some((folder, number)) = log_entry(path) else { return Ok(()) };
        let timed: Timed = serde_json::from_slice(bytes).map_err(|error| {
            Fault::data(
                "BOT-5100",
                format!("the entry `{path}` in the backup has no time that can be read"),
            )
            .hint("restore the whole backup, without `--as-of`")
            .caused_by(error)
        })?;
        if timed.payload.at > at {
            // Every entry after the first one that is later goes, too, whatever the clock of its writer said.
            let last = self.0.entry(folder.to_owned()).or_insert(u64::MAX);
            *last = (*last).min(number - 1);
        }
        Ok(())
    }

    /// Returns whether the object is kept: entries after the cut of their log go, and the checkpoints of such entries.
    pub(crate) fn keeps(&self, path: &str) -> bool {
        let Some((folder, number)) = numbered(path) else { return true };
        let log = match folder.strip_suffix("checkpoints") {
            Some(above) => format!("{above}log"),
            None => folder.to_owned(),
        };
        self.0.get(&log).is_none_or(|last| number <= *last)
    }

    /// Returns the number of logs that are cut.
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_ends_before_its_first_later_entry_with_its_checkpoints() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let path = |n: u64| format!("deployments/production/log/{n:020}.json");
        let mut cuts = Cuts::default();
        for (n, hour) in [(1, 7), (2, 9), (3, 8), (4, 12)] {
            let entry =
                format!(r#"{{"payload":{{"at":"2026-11-30T{hour:02}:00:00Z"}},"seq":{n}}}"#);
            cuts.note(&path(n), entry.as_bytes(), at("2026-11-30T08:30:00Z")).unwrap();
        }
        let kept: Vec<u64> = (1..=4).filter(|n| cuts.keeps(&path(*n))).collect();
        assert_eq!((kept, cuts.len()), (vec![1], 1));
        assert!(cuts.keeps(&format!("deployments/production/checkpoints/{:020}.json", 1)));
        assert!(!cuts.keeps(&format!("deployments/production/checkpoints/{:020}.json", 2)));
        assert!(cuts.keeps(&format!("deployments/staging/log/{:020}.json", 9)));
        assert!(is_cut(&path(1)) && !is_cut("access/production/log/00000000000000000001.json"));
        assert!(cuts.note(&path(5), b"{}", at("2026-11-30T08:30:00Z")).is_err());
    }
}
