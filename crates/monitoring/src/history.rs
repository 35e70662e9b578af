//! The stored reports of an environment: a log, whose newest entry is the state.

use crate::{
    folder::folder,
    monitored_model::MonitoredModel,
    report::{MonitorReport, MonitorState},
    window::Window,
};
use botops_findings::{Fault, Result};
use botops_store::{Appended, Entry, Log, Store};

/// The most times that an append is tried while others write.
const TRIES: u32 = 5;

/// The reports of an environment.
pub struct MonitorLog {
    log: Log<MonitorReport>,
    entries: Vec<Entry<MonitorReport>>,
}

/// An entry of the log, and whether it changed the state.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The number of the entry that says what the report says.
    pub number: u64,
    /// Whether this call wrote it.
    pub is_new: bool,
}

impl std::fmt::Debug for MonitorLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MonitorLog").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl MonitorLog {
    /// Reads the log of `environment`; one without a report is empty.
    ///
    /// # Errors
    /// `BOT-5006` (exit 3) the log is damaged, `BOT-5007` (exit 6) a newer botops wrote it; those of the store.
    pub async fn read(store: &Store, environment: &str) -> Result<Self> {
        let log: Log<MonitorReport> = store.log(&format!("{}/log", folder(environment)));
        let entries = log.entries().await?;
        Ok(Self { log, entries })
    }

    /// Returns the entries, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry<MonitorReport>] {
        &self.entries
    }

    /// Returns the newest report of each window of `model`, in the order of the windows.
    #[must_use]
    pub fn weeks(&self, model: &str) -> Vec<&MonitorReport> {
        let mut newest = std::collections::BTreeMap::new();
        for entry in &self.entries {
            if entry.payload.model.name == model {
                newest
                    .insert((entry.payload.window.end, entry.payload.window.start), &entry.payload);
            }
        }
        newest.into_values().collect()
    }

    /// Returns the newest report of `window` of this version.
    #[must_use]
    pub fn of_window(
        &self,
        window: Window,
        model: &MonitoredModel,
    ) -> Option<&Entry<MonitorReport>> {
        let is_it = |entry: &&Entry<MonitorReport>| {
            let known = &entry.payload.model;
            entry.payload.window == window && model.is_it(&known.digest, known.manifest.as_deref())
        };
        self.entries.iter().rev().find(is_it)
    }

    /// Reads the entries that others wrote since.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub async fn follow(&mut self) -> Result<()> {
        let newer = self.log.poll(self.entries.last()).await?;
        self.entries.extend(newer);
        Ok(())
    }

    /// Appends `report`, unless the newest report of its window says the same.
    ///
    /// # Errors
    /// `BOT-6255` (exit 5) others wrote each time; those of the log.
    pub async fn record(&mut self, report: &MonitorReport) -> Result<Recorded> {
        for _ in 0..TRIES {
            let known = self.of_window(report.window, &report.model);
            if let Some(known) = known.filter(|known| known.payload.says_as(report)) {
                return Ok(Recorded { number: known.seq, is_new: false });
            }
            match self.log.append(self.entries.last(), report.clone()).await? {
                Appended::Written(entry) => {
                    let number = entry.seq;
                    self.entries.push(entry);
                    return Ok(Recorded { number, is_new: true });
                }
                Appended::Conflict => self.follow().await?,
            }
        }
        Err(Fault::conflict(
            "BOT-6255",
            "other processes record reports of monitoring all the time",
        )
        .hint("run the command again"))
    }

    /// Returns the entries after number `passed` that change the state: it differs from that of the newest window before.
    /// A first report changes it unless it is healthy. A report of an earlier window, made later, does not count.
    #[must_use]
    pub fn changes_after(&self, passed: u64) -> Vec<&Entry<MonitorReport>> {
        let (mut state, mut end) = (MonitorState::Healthy, None);
        let mut changes = Vec::new();
        for entry in &self.entries {
            let report = &entry.payload;
            if end.is_some_and(|end| report.window.end < end) {
                continue;
            }
            end = Some(report.window.end);
            if std::mem::replace(&mut state, report.state) != report.state && entry.seq > passed {
                changes.push(entry);
            }
        }
        changes
    }
}
