//! The state of a rollout, as stored after every transition.

use crate::{
    approval::Approval,
    judge::{Evidence, JudgeState},
    limits::{LimitEvidence, LimitState},
    policy::{OnPause, RolloutPolicy},
    rounding::nine_decimals,
};
use botops_digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Phase of a rollout; each carries only its own data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Requested, not yet checked.
    Pending,
    /// The challenger is being loaded beside the primary and self-tested.
    Loading,
    /// Traffic is mirrored to the challenger at weight 0.
    Shadow {
        /// When the phase began.
        since: DateTime<Utc>,
        /// Conversations mirrored.
        units: u64,
    },
    /// The challenger answers its share of conversations.
    Ramping {
        /// Index of the step, from 0.
        step: usize,
        /// When the step began.
        since: DateTime<Utc>,
        /// Conversations on the challenger in this step.
        units: u64,
        /// The share in percent that a person set below the weight of the step; `None`: the weight of the step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manual_percent: Option<f64>,
    },
    /// Stopped by a person or by a check; the weight is kept or zero.
    Paused {
        /// The reason of the pause.
        reason: PauseReason,
        /// The step at which it resumes; `None` for the shadow stage.
        step: Option<usize>,
        /// The share that the challenger keeps, in [0, 1].
        weight: f64,
        /// When the pause began.
        since: DateTime<Utc>,
        /// Conversations on the challenger in the step that was paused.
        units: u64,
    },
    /// The plan is done; persons have to approve the promotion. The judge still runs.
    AwaitingApproval {
        /// Index of the last step; `None` in a blue-green plan, which has no steps.
        step: Option<usize>,
        /// The share that the challenger keeps, in [0, 1].
        weight: f64,
        /// When the phase began.
        since: DateTime<Utc>,
        /// Conversations on the challenger in the last step.
        units: u64,
    },
    /// The decision is to promote: the challenger is being made champion.
    Promoting,
    /// The challenger is the champion and answers everyone. The version before stays loaded, so that a rollback
    /// needs no download.
    Settling {
        /// When the phase began.
        since: DateTime<Utc>,
        /// Conversations in this phase.
        units: u64,
    },
    /// The decision is to roll back: the weight is already zero.
    RollingBack {
        /// The reason.
        reason: String,
        /// The id or version of the rollout that takes its place, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        superseded_by: Option<String>,
    },
    /// Over: the challenger serves.
    Promoted,
    /// Over: the primary serves.
    RolledBack {
        /// The reason.
        reason: String,
    },
    /// Over: the challenger could not be loaded or failed its self-test.
    Failed {
        /// The reason.
        reason: String,
    },
    /// Over: the rollout was not allowed to begin.
    Refused {
        /// The reason.
        reason: String,
    },
    /// Over: it was rolled back because another rollout took its place.
    Superseded {
        /// The id or version of the other rollout.
        by: String,
    },
    /// Over: the shadow run is done or aborted. The primary served all along, and nothing is taken back. Older versions wrote
    /// `RollingBack`, then `RolledBack`.
    Finished {
        /// The reason.
        reason: String,
        /// Conversations mirrored.
        units: u64,
    },
}

/// The reason of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A person requested it.
    Requested,
    /// The deadline passed with too few conversations.
    NoTraffic,
    /// The deadline passed with enough conversations, but without evidence.
    Inconclusive,
    /// The deadline passed, and a kind whose evidence is required was measured on too few conversations.
    Unmeasured,
    /// The router did not split traffic as configured.
    SampleRatioMismatch,
    /// Observations are stale; the weight is zero.
    Stale,
    /// The wall clock of the server that ticks jumped while it ran; the weight is zero.
    ClockJump,
    /// A freeze or a closed promotion window kept the challenger from its next step. The pause ends by itself when the
    /// hold ends.
    Held,
    /// Verdicts of end users came in a burst, were one-armed, or would have decided alone; the weight is zero.
    Feedback,
}

/// A rollout as stored after every transition: the whole state, including the judge's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rollout {
    /// `botops.rollout/1`.
    pub schema: String,
    /// The id of the rollout.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// Manifest digest of the version that serves.
    pub champion: Digest,
    /// Manifest digest of the version on trial.
    pub challenger: Digest,
    /// The references of both versions; `None` in a rehearsal and in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
    /// Salt of the traffic split: the rollout's id, so that each rollout draws other conversations first.
    pub salt: String,
    /// The checked plan.
    pub policy: RolloutPolicy,
    /// The current phase.
    pub phase: Phase,
    /// Evidence so far.
    pub judge: JudgeState,
    /// The number of decisions so far; a tick without a decision leaves it unchanged.
    pub revision: u64,
    /// The time of the request.
    pub started_at: DateTime<Utc>,
    /// The time of the latest transition.
    pub updated_at: DateTime<Utc>,
    /// The person or program that requested the rollout.
    pub actor: String,
    /// The authenticated name of the requester; `None`: that of `actor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// The reason given with the request.
    pub reason: String,
    /// Approvals of the promotion, oldest first; at most one by each person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// The freeze or closed window that held the rollout at its latest tick or command, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Conversations that began while the challenger had all of them, by absolute limit.
    #[serde(default, skip_serializing_if = "LimitState::is_empty")]
    pub limits: LimitState,
    /// The rules of a policy in mode `warn` that the rollout broke when it was requested, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The references of the two versions of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Versions {
    /// The version that serves, such as `support@1`.
    pub champion: String,
    /// The version on trial, such as `support@2`.
    pub challenger: String,
}

/// The request for a rollout: the fields of [`Rollout`] that the caller decides.
#[derive(Debug, Clone)]
pub struct RolloutRequest {
    /// The id of the rollout.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// Manifest digest of the version that serves.
    pub champion: Digest,
    /// Manifest digest of the version on trial.
    pub challenger: Digest,
    /// The checked plan.
    pub policy: RolloutPolicy,
    /// The person or program that requests the rollout.
    pub actor: String,
    /// The reason of the request.
    pub reason: String,
}

/// The effect that the caller carries out after storing the transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing to do.
    None,
    /// Load and self-test the challenger, then report [`crate::Command::Loaded`] or
    /// [`crate::Command::LoadFailed`].
    Load,
    /// Route by [`Rollout::primary`], [`Rollout::weight`] and [`Rollout::mirrors`].
    Route,
    /// Check the evidence of the challenger once more, then report [`crate::Command::Confirmed`]: the transition that
    /// follows makes it the champion.
    Promote,
    /// Serve the champion alone at once (before storing anything), then report [`crate::Command::Drained`].
    RollBack,
    /// Drop the challenger: the rollout is over.
    Finish,
}

impl Phase {
    /// Returns the phase of a step that begins at `since`.
    pub(crate) fn step(step: usize, since: DateTime<Utc>) -> Self {
        Self::Ramping { step, since, units: 0, manual_percent: None }
    }

    /// Returns the phase of a rollback for `reason`.
    pub(crate) fn rolling_back(reason: &str) -> Self {
        Self::RollingBack { reason: reason.to_owned(), superseded_by: None }
    }

    /// Returns the name, as in JSON, metrics and messages: `ramping`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Loading => "loading",
            Self::Shadow { .. } => "shadow",
            Self::Ramping { .. } => "ramping",
            Self::Paused { .. } => "paused",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Promoting => "promoting",
            Self::Settling { .. } => "settling",
            Self::RollingBack { .. } => "rolling_back",
            Self::Promoted => "promoted",
            Self::RolledBack { .. } => "rolled_back",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Superseded { .. } => "superseded",
            Self::Finished { .. } => "finished",
        }
    }

    /// Returns the number of the phase for a gauge, from 1 to 15.
    #[must_use]
    pub fn number(&self) -> u8 {
        match self {
            Self::Pending => 1,
            Self::Loading => 2,
            Self::Shadow { .. } => 3,
            Self::Ramping { .. } => 4,
            Self::Paused { .. } => 5,
            Self::AwaitingApproval { .. } => 6,
            Self::Promoting => 7,
            Self::Settling { .. } => 8,
            Self::RollingBack { .. } => 9,
            Self::Promoted => 10,
            Self::RolledBack { .. } => 11,
            Self::Failed { .. } => 12,
            Self::Refused { .. } => 13,
            Self::Superseded { .. } => 14,
            Self::Finished { .. } => 15,
        }
    }

    /// Returns whether the phase is never left.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Promoted
                | Self::RolledBack { .. }
                | Self::Failed { .. }
                | Self::Refused { .. }
                | Self::Superseded { .. }
                | Self::Finished { .. }
        )
    }
}

impl Rollout {
    /// Starts a rollout in phase `Pending`.
    #[must_use]
    pub fn request(request: RolloutRequest, now: DateTime<Utc>) -> Self {
        let RolloutRequest { id, model, champion, challenger, policy, actor, reason } = request;
        Self {
            schema: "botops.rollout/1".to_owned(),
            salt: id.clone(),
            id,
            model,
            champion,
            challenger,
            versions: None,
            policy,
            phase: Phase::Pending,
            judge: JudgeState::default(),
            revision: 0,
            started_at: now,
            updated_at: now,
            actor,
            requester: None,
            reason,
            approvals: Vec::new(),
            held: None,
            limits: LimitState::default(),
            warnings: Vec::new(),
        }
    }

    /// Names the requester as authenticated, where that is not the actor.
    #[must_use]
    pub fn with_requester(self, requester: String) -> Self {
        Self { requester: Some(requester), ..self }
    }

    /// Keeps the rules that a policy only warns of.
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// Names both versions by their references.
    #[must_use]
    pub fn with_versions(self, versions: Versions) -> Self {
        Self { versions: Some(versions), ..self }
    }

    /// Returns the challenger's share of conversations, in [0, 1].
    ///
    /// It is 1 while promoting and while settling; in the latter the challenger is the primary ([`Self::primary`]), and
    /// there is no split. It is 0 before the first step, while rolling back, and in every terminal phase: a rollout that
    /// is over routes nothing (after a promotion, the challenger is the champion).
    #[must_use]
    pub fn weight(&self) -> f64 {
        nine_decimals(self.weight_percent() / 100.0)
    }

    /// Returns [`Self::weight`] in percent, as the plan gives it.
    #[must_use]
    pub fn weight_percent(&self) -> f64 {
        match self.phase {
            Phase::Ramping { step, manual_percent, .. } => {
                let planned = self.policy.steps().get(step).map_or(0.0, |step| step.weight_percent);
                manual_percent.map_or(planned, |percent| percent.min(planned))
            }
            // Nine decimals of a share are seven of a percentage.
            Phase::Paused { weight, .. } | Phase::AwaitingApproval { weight, .. } => {
                nine_decimals(weight * 100.0)
            }
            Phase::Promoting | Phase::Settling { .. } => 100.0,
            _ => 0.0,
        }
    }

    /// Returns the manifest digest of the version that is the primary in this phase: the challenger while settling and
    /// once promoted, else the champion, also while rolling back out of settling.
    #[must_use]
    pub fn primary(&self) -> Digest {
        match self.phase {
            Phase::Settling { .. } | Phase::Promoted => self.challenger,
            _ => self.champion,
        }
    }

    /// Returns the name of the requester, who cannot approve the promotion.
    #[must_use]
    pub fn requester(&self) -> &str {
        self.requester.as_deref().unwrap_or(&self.actor)
    }

    /// Returns whether messages are mirrored to the challenger.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        matches!(self.phase, Phase::Shadow { .. })
    }

    /// Returns the share of conversations whose messages are mirrored to the challenger, in [0, 1].
    #[must_use]
    pub fn mirror_share(&self) -> f64 {
        match self.phase {
            Phase::Shadow { .. } => {
                self.policy.shadow().map_or(1.0, |plan| nine_decimals(plan.mirror_percent / 100.0))
            }
            _ => 0.0,
        }
    }

    /// Returns whether the rollout is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase.is_terminal()
    }

    /// Returns the evidence so far, by kind: every kind of the plan, then any other kind observed.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        self.judge.evidence(self.policy.judge())
    }

    /// Returns the evidence on each absolute limit of the plan.
    #[must_use]
    pub fn limit_evidence(&self) -> Vec<LimitEvidence> {
        self.limits.evidence(&self.policy)
    }

    /// Returns the approvals that the promotion still needs; 0 if it needs none.
    #[must_use]
    pub fn missing_approvals(&self) -> u32 {
        let given = u32::try_from(self.approvals.len()).unwrap_or(u32::MAX);
        self.policy.approval().map_or(0, |approval| approval.quorum.saturating_sub(given))
    }

    /// Returns the share that the challenger keeps in a pause that is not for an invalid verdict, in [0, 1].
    pub(crate) fn weight_in_pause(&self) -> f64 {
        match self.policy.on_pause {
            OnPause::Keep => self.weight(),
            OnPause::Zero => 0.0,
        }
    }

    /// Returns conversations by arm: `[primary, canary]`.
    #[must_use]
    pub fn units(&self) -> [u64; 2] {
        self.judge.units()
    }

    /// Returns the effect that the current phase requires.
    ///
    /// After a restart, load the challenger and then repeat this effect.
    #[must_use]
    pub fn pending_effect(&self) -> Effect {
        match self.phase {
            Phase::Loading => Effect::Load,
            Phase::Shadow { .. }
            | Phase::Ramping { .. }
            | Phase::Paused { .. }
            | Phase::AwaitingApproval { .. }
            | Phase::Settling { .. } => Effect::Route,
            Phase::Promoting => Effect::Promote,
            Phase::RollingBack { .. } => Effect::RollBack,
            _ => Effect::None,
        }
    }
}
