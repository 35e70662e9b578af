//! The outcome of a rollout, with its numbers and history.

use crate::{
    judge::Evidence,
    limits::LimitEvidence,
    numbers::{list, percent},
    policy::ShadowPolicy,
    promotion::ABORTED,
    state::{Phase, Rollout, Versions},
    transition::TransitionRecord,
    wording::comparison,
};
use botops_digest::Digest;
use serde::{Deserialize, Serialize};

/// The outcome of a rollout, with the numbers; `promote` prints and stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// `botops.decision/1`.
    pub schema: String,
    /// `promoted`, `rolled_back` (also when another rollout took its place), `insufficient` (paused for lack of traffic or
    /// evidence, awaiting approval, settling, or traffic ended; or a shadow run was aborted, or ended with fewer conversations
    /// than its plan asks for, or with none), `finished` (a shadow run that promotes nothing), `failed` or `refused`.
    pub verdict: String,
    /// The reason, in one sentence with the numbers.
    pub reason: String,
    /// The model's name.
    pub model: String,
    /// Manifest digest of the champion.
    pub champion: Digest,
    /// Manifest digest of the challenger.
    pub challenger: Digest,
    /// The references of both versions; `None` in a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
    /// Whether the rollout was rehearsed on recorded traffic, without a server.
    pub rehearsal: bool,
    /// Every transition, oldest first; in a rehearsal, times are those of the recorded traffic.
    pub transitions: Vec<TransitionRecord>,
    /// Evidence by failure kind.
    pub evidence: Vec<Evidence>,
    /// Evidence on each absolute limit of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitEvidence>,
    /// Conversations by arm: `[primary, canary]`.
    pub units: [u64; 2],
}

impl Decision {
    /// Summarizes `rollout`, over or not.
    ///
    /// `transitions` is its history, oldest first (see [`crate::Transition::record`]). A rollout that is
    /// not over is `insufficient`, unless it is rolling back.
    #[must_use]
    pub fn new(rollout: &Rollout, transitions: Vec<TransitionRecord>, rehearsal: bool) -> Self {
        let latest = |phase: &str| {
            transitions.iter().rev().find(|t| t.phase == phase).map(|t| t.reason.clone())
        };
        let (verdict, reason) = match &rollout.phase {
            Phase::Promoted => {
                let why = latest("promoting").unwrap_or_else(|| failure_counts(rollout));
                // After a window the record of the end says how it settled.
                let settled = latest("settling").and_then(|_| latest("promoted"));
                ("promoted", settled.map_or(why.clone(), |settled| format!("{why}; {settled}")))
            }
            Phase::RolledBack { reason } | Phase::RollingBack { reason, .. } => {
                ("rolled_back", reason.clone())
            }
            Phase::Finished { reason, units } => {
                let least = rollout.policy.shadow().and_then(ShadowPolicy::least_units);
                let is_enough = *units >= least.unwrap_or(1) && !reason.starts_with(ABORTED);
                (if is_enough { "finished" } else { "insufficient" }, reason.clone())
            }
            Phase::Failed { reason } => ("failed", reason.clone()),
            Phase::Refused { reason } => ("refused", reason.clone()),
            Phase::Paused { .. } => {
                ("insufficient", latest("paused").unwrap_or_else(|| failure_counts(rollout)))
            }
            Phase::Shadow { .. }
            | Phase::Ramping { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Settling { .. } => {
                let at = match rollout.phase {
                    Phase::Ramping { step, .. } => format!(
                        "step {} of {} ({})",
                        step + 1,
                        rollout.policy.steps().len(),
                        percent(rollout.weight_percent())
                    ),
                    Phase::AwaitingApproval { .. } => {
                        format!("approval ({})", percent(rollout.weight_percent()))
                    }
                    Phase::Settling { .. } => {
                        "settling (the challenger is the champion)".to_owned()
                    }
                    _ => "shadow".to_owned(),
                };
                let observed = rollout.judge.observed_at().unwrap_or(rollout.updated_at);
                let missing = rollout.waiting_for(observed.max(rollout.updated_at));
                let missing = match missing.as_slice() {
                    [] => "the next tick".to_owned(),
                    missing => list(missing),
                };
                ("insufficient", format!("the rollout is at {at}, waiting for {missing}"))
            }
            Phase::Superseded { by } => ("rolled_back", format!("superseded by {by}")),
            Phase::Pending | Phase::Loading | Phase::Promoting => {
                ("insufficient", format!("the rollout is still {}", rollout.phase.name()))
            }
        };
        Self {
            schema: "botops.decision/1".to_owned(),
            verdict: verdict.to_owned(),
            reason,
            model: rollout.model.clone(),
            champion: rollout.champion,
            challenger: rollout.challenger,
            versions: rollout.versions.clone(),
            rehearsal,
            transitions,
            evidence: rollout.evidence(),
            limits: rollout.limit_evidence(),
            units: rollout.units(),
        }
    }
}

/// Returns the failures of each kind, for a rollout without a recorded reason.
fn failure_counts(rollout: &Rollout) -> String {
    let lines: Vec<String> = rollout
        .evidence()
        .iter()
        .filter(|e| e.failures != [0, 0])
        .map(|e| format!("`{}` {}", e.kind.name(), comparison(e)))
        .collect();
    if lines.is_empty() { "no conversation failed".to_owned() } else { lines.join("; ") }
}
