//! An entry of the log of a job.

use crate::JobAction;
use botops_store::newer_payload;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "botops.job/1";

/// An entry of the log of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct JobEvent {
    /// `botops.job/1`.
    schema: String,
    /// The time, by the clock of the writer.
    pub at: DateTime<Utc>,
    /// The person, the program or the worker that acted.
    pub by: String,
    /// The action.
    pub action: JobAction,
}

impl JobEvent {
    /// Makes an entry.
    #[must_use]
    pub fn new(at: DateTime<Utc>, by: impl Into<String>, action: JobAction) -> Self {
        Self { schema: SCHEMA.to_owned(), at, by: by.into(), action }
    }
}

/// An entry of any version of botops.
#[derive(Deserialize)]
struct Stored {
    schema: String,
    at: DateTime<Utc>,
    by: String,
    action: serde_json::Value,
}

impl TryFrom<Stored> for JobEvent {
    type Error = String;

    /// # Errors
    /// The problem, in words; [`newer_payload`] for a schema or an action that this botops does not know.
    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { schema, at, by, action } = stored;
        if schema != SCHEMA {
            let version = schema.strip_prefix("botops.job/").map(str::parse::<u32>);
            return Err(match version {
                Some(Ok(version)) if version > 1 => newer_payload(&schema),
                _ => format!("`{}` is not the schema of a job", botops_text::display(&schema, 80)),
            });
        }
        match action.get("action").and_then(serde_json::Value::as_str) {
            Some(name) if !JobAction::NAMES.contains(&name) => return Err(newer_payload(name)),
            _ => {}
        }
        let action: JobAction =
            serde_json::from_value(action).map_err(|error| error.to_string())?;
        Ok(Self { schema, at, by, action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(schema: &str, action: &serde_json::Value) -> Result<JobEvent, String> {
        let json =
            json!({"schema": schema, "at": "2026-11-20T10:00:00Z", "by": "ada", "action": action});
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_newer_schema_or_action_is_told_from_damage() {
        let cancelled = json!({"action": "cancelled", "reason": "a typo"});
        assert_eq!(read(SCHEMA, &cancelled).unwrap().action.name(), "cancelled");
        assert!(read("botops.job/2", &cancelled).unwrap_err().contains("newer format"));
        let paused = json!({"action": "paused"});
        assert!(read(SCHEMA, &paused).unwrap_err().contains("newer format"));
        assert!(!read("botops.jobs", &cancelled).unwrap_err().contains("newer format"));
        assert!(!read(SCHEMA, &json!({"action": "claimed"})).unwrap_err().contains("newer"));
    }
}
