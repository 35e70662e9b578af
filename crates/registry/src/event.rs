//! An entry of a model's log as it is stored.

use super::{Action, Event};
use botops_store::newer_payload;
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The changes that this botops knows.
const ACTIONS: [&str; 8] = [
    "registered",
    "alias_moved",
    "alias_removed",
    "yanked",
    "unyanked",
    "deprecated",
    "undeprecated",
    "erased",
];

/// An entry of any version of botops.
#[derive(Deserialize)]
pub(super) struct Stored {
    at: DateTime<Utc>,
    actor: String,
    reason: String,
    action: serde_json::Value,
}

impl TryFrom<Stored> for Event {
    type Error = String;

    /// # Errors
    /// The problem, in words; [`newer_payload`] for a change that this botops does not know.
    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { at, actor, reason, action } = stored;
        match action.get("action").and_then(serde_json::Value::as_str) {
            Some(name) if !ACTIONS.contains(&name) => return Err(newer_payload(name)),
            _ => {}
        }
        let action: Action = serde_json::from_value(action).map_err(|error| error.to_string())?;
        Ok(Self { at, actor, reason, action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;

    fn event(action: serde_json::Value) -> serde_json::Result<Event> {
        let json = serde_json::json!({
            "at": "2026-11-20T10:00:00Z", "actor": "ada", "reason": "", "action": action,
        });
        serde_json::from_slice(&serde_json::to_vec(&json)?)
    }

    #[test]
    fn every_change_reads_back() {
        let manifest = Digest::of(b"manifest");
        let alias = || "beta".to_owned();
        for action in [
            Action::Registered { manifest },
            Action::AliasMoved { alias: alias(), from: None, to: manifest, evidence: None },
            Action::AliasRemoved { alias: alias(), from: manifest },
            Action::Yanked { manifest },
            Action::Unyanked { manifest },
            Action::Deprecated { manifest },
            Action::Undeprecated { manifest },
            Action::Erased { manifest, files: vec!["a".to_owned()], erasure: "e".to_owned() },
        ] {
            assert_eq!(event(serde_json::json!(action)).unwrap().action, action);
        }
    }

    #[test]
    fn an_unknown_change_is_newer_and_a_broken_one_is_not() {
        let problem = event(serde_json::json!({"action": "moved_away"})).unwrap_err().to_string();
        assert!(problem.contains(&newer_payload("moved_away")), "{problem}");
        let problem = event(serde_json::json!({"action": "yanked"})).unwrap_err().to_string();
        assert!(problem.contains("manifest") && !problem.contains("newer"), "{problem}");
    }
}
