//! The schedule of a pipeline: when its runs are due, and what a run leaves behind.

use crate::{Plan, spec::PipelineSpec};
use botops_findings::{Fault, Place, Result};
use botops_monitoring::{Heartbeat, Schedule, pipeline_runs};
use chrono::{DateTime, Utc};
use std::path::Path;

impl PipelineSpec {
    /// Returns the schedule, checked; `None` without one. `file` is for faults.
    ///
    /// # Errors
    /// `BOT-6256` (exit 2) with the file and the key.
    pub(crate) fn checked_schedule(&self, file: &Path) -> Result<Option<Schedule>> {
        let checked = self.schedule.as_ref().map(botops_monitoring::ScheduleSpec::check);
        checked.transpose().map_err(|fault| {
            let place = Place { file: Some(file.display().to_string()), ..fault.place().clone() };
            fault.at(place)
        })
    }
}

impl Plan {
    /// Returns the heartbeat of a run that ended at `now`; `None` if the pipeline has no schedule.
    ///
    /// # Errors
    /// Those of a schedule, which [`Plan::read`] has checked.
    pub fn heartbeat(&self, now: DateTime<Utc>) -> Result<Option<Heartbeat>, Fault> {
        let schedule = self.spec.checked_schedule(&self.file)?;
        Ok(schedule.map(|schedule| {
            let next_due = schedule.next_due(now);
            Heartbeat {
                name: pipeline_runs(&self.spec.name),
                at: now,
                next_due,
                overdue_at: schedule.overdue_at(next_due),
            }
        }))
    }
}
