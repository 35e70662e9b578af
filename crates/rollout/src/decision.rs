//! How a rollout ended, and its history.

use super::{
    Evidence, Phase, Rollout,
    wording::{comparison, listed, percent, waiting_for},
};
use botops_digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How a rollout ended, with the numbers: what `promote` prints, stores and cites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `botops.decision/1`.
    pub schema: String,
    /// `promoted`, `rolled_back`, `insufficient` (paused for want of traffic or evidence, or traffic ended), `failed`, `refused`.
    pub verdict: String,
    /// Why, in one sentence with the numbers.
    pub reason: String,
    /// The model's name.
    pub model: String,
    /// Manifest digest of the champion.
    pub champion: Digest,
    /// Manifest digest of the challenger.
    pub challenger: Digest,
    /// Whether it was rehearsed on recorded traffic (no server was at hand).
    pub rehearsal: bool,
    /// Every transition: when (the traffic's clock in a rehearsal), phase name, weight in percent, reason.
    pub transitions: Vec<TransitionRecord>,
    /// Evidence by failure kind.
    pub evidence: Vec<Evidence>,
    /// Conversations by arm: `[primary, canary]`.
    pub units: [u64; 2],
}

/// One line of a rollout's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransitionRecord {
    /// When.
    pub at: DateTime<Utc>,
    /// The phase entered, such as `ramping`.
    pub phase: String,
    /// The challenger's share in percent.
    pub weight_percent: f64,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// Sums up `rollout`, over or not.
    ///
    /// `transitions` is its history, oldest first (see [`super::Transition::record`]). A rollout that is
    /// not over is `insufficient`, except one that is rolling back.
    #[must_use]
    pub fn new(rollout: &Rollout, transitions: Vec<TransitionRecord>, rehearsal: bool) -> Self {
        let latest = |phase: &str| {
            transitions.iter().rev().find(|t| t.phase == phase).map(|t| t.reason.clone())
        };
        let (verdict, reason) = match &rollout.phase {
            Phase::Promoted => {
                ("promoted", latest("promoting").unwrap_or_else(|| standing(rollout)))
            }
            Phase::RolledBack { reason } | Phase::RollingBack { reason } => {
                ("rolled_back", reason.clone())
            }
            Phase::Failed { reason } => ("failed", reason.clone()),
            Phase::Refused { reason } => ("refused", reason.clone()),
            Phase::Paused { .. } => {
                ("insufficient", latest("paused").unwrap_or_else(|| standing(rollout)))
            }
            Phase::Shadow { .. } | Phase::Ramping { .. } => {
                let at = match rollout.phase {
                    Phase::Ramping { step, .. } => format!(
                        "step {} of {} ({})",
                        step + 1,
                        rollout.policy.steps().len(),
                        percent(rollout.weight_percent())
                    ),
                    _ => "shadow".to_owned(),
                };
                let looked = rollout.judge.observed_at().unwrap_or(rollout.updated_at);
                let missing = waiting_for(rollout, looked.max(rollout.updated_at));
                ("insufficient", format!("it stands at {at}, waiting for {}", listed(&missing)))
            }
            Phase::Pending | Phase::Loading | Phase::Promoting => {
                ("insufficient", format!("it is still {}", rollout.phase.name()))
            }
        };
        Self {
            schema: "botops.decision/1".to_owned(),
            verdict: verdict.to_owned(),
            reason,
            model: rollout.model.clone(),
            champion: rollout.champion,
            challenger: rollout.challenger,
            rehearsal,
            transitions,
            evidence: rollout.evidence(),
            units: rollout.units(),
        }
    }
}

/// The numbers, when no history tells more.
fn standing(rollout: &Rollout) -> String {
    let lines: Vec<String> = rollout
        .evidence()
        .iter()
        .filter(|e| e.failures != [0, 0])
        .map(|e| format!("`{}` {}", e.kind.name(), comparison(e, rollout.units())))
        .collect();
    if lines.is_empty() { "no conversation failed".to_owned() } else { lines.join("; ") }
}

impl TransitionRecord {
    /// Writes down that `rollout` entered its phase for `reason`.
    ///
    /// The weight of a promoted rollout is shown as 100: its challenger serves everyone.
    #[must_use]
    pub fn new(rollout: &Rollout, reason: &str) -> Self {
        Self {
            at: rollout.updated_at,
            phase: rollout.phase.name().to_owned(),
            weight_percent: match rollout.phase {
                Phase::Promoted => 100.0,
                _ => rollout.weight_percent(),
            },
            reason: reason.to_owned(),
        }
    }
}
