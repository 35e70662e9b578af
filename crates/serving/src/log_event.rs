//! The events of an environment: its deployment log in one form for streams and webhooks.

use botops_digest::Digest;
use botops_registry::{Change, Deployment};
use botops_rollout::Rollout;
use botops_store::Entry;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// The kinds of events that an entry of the log makes.
pub(super) const KINDS: [&str; 5] = ["decision", "champion", "freeze", "unfreeze", "policy"];

/// The phases of a rollout, by name.
pub(super) const PHASES: [&str; 15] = [
    "pending",
    "loading",
    "shadow",
    "ramping",
    "paused",
    "awaiting_approval",
    "promoting",
    "settling",
    "rolling_back",
    "promoted",
    "rolled_back",
    "failed",
    "refused",
    "superseded",
    "finished",
];

/// One event: a change of an environment, or the state of a rollout at the begin of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(super) struct LogEvent {
    /// `botops.event/1`.
    schema: &'static str,
    /// The number of the entry of the deployment log.
    pub(super) number: u64,
    /// The environment.
    environment: String,
    /// The model; empty for a change of the whole environment.
    model: String,
    /// `decision` about a rollout, `champion`, `freeze`, `unfreeze`, `policy`; or `state` at the begin of a stream.
    pub(super) kind: &'static str,
    /// The rollout; absent for another change.
    #[serde(flatten)]
    pub(super) rollout: Option<RolloutState>,
    /// The manifest of the champion from then on; absent if it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    champion: Option<Digest>,
    /// The end of a freeze; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    /// The author; empty for a state.
    actor: String,
    /// The reason; empty for a state.
    reason: String,
    /// When it was decided; for a state, when the server read it.
    at: DateTime<Utc>,
}

/// The state of the rollout that an event is about.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub(super) struct RolloutState {
    /// The id of the rollout.
    rollout: String,
    /// The phase.
    pub(super) phase: &'static str,
    /// The revision.
    revision: u64,
    /// The share of the challenger in percent.
    weight_percent: f64,
}

impl RolloutState {
    fn of(rollout: &Rollout) -> Self {
        Self {
            rollout: rollout.id.clone(),
            phase: rollout.phase.name(),
            revision: rollout.revision,
            weight_percent: rollout.weight_percent(),
        }
    }
}

impl LogEvent {
    /// Returns the state of `rollout` after the entry `number`, as a server read it `at`.
    pub(super) fn state(
        environment: &str,
        number: u64,
        rollout: &Rollout,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            schema: "botops.event/1",
            number,
            environment: environment.to_owned(),
            model: rollout.model.clone(),
            kind: "state",
            rollout: Some(RolloutState::of(rollout)),
            champion: None,
            until: None,
            actor: String::new(),
            reason: String::new(),
            at,
        }
    }

    /// Returns the event of an entry; `None` if it only counts, or is a claim of the lease.
    pub(super) fn of(environment: &str, entry: &Entry<Deployment>) -> Option<Self> {
        let Deployment { actor, reason, at, model, change, .. } = &entry.payload;
        let (kind, rollout, until) = match change {
            Change::Rollout(step) => {
                let is_decided = !reason.is_empty() || step.rollout.revision == 0;
                ("decision", Some(is_decided.then(|| RolloutState::of(&step.rollout))?), None)
            }
            Change::Champion(_) => ("champion", None, None),
            Change::Frozen { until } => ("freeze", None, *until),
            Change::Unfrozen => ("unfreeze", None, None),
            Change::Policy { .. } => ("policy", None, None),
            Change::Lease { .. } | Change::Served { .. } => return None,
        };
        Some(Self {
            schema: "botops.event/1",
            number: entry.seq,
            environment: environment.to_owned(),
            model: model.clone(),
            kind,
            rollout,
            champion: entry.payload.champion().map(botops_registry::ChampionMove::to),
            until,
            actor: actor.clone(),
            reason: reason.clone(),
            at: *at,
        })
    }

    /// Returns whether it is about the rollout `id`.
    pub(super) fn is_of(&self, id: &str) -> bool {
        self.rollout.as_ref().is_some_and(|state| state.rollout == id)
    }

    /// Returns it as JSON: the same event gives the same bytes.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an event can be written as JSON")
    }
}
