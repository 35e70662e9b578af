//! Canary decisions, pure: `advance(&Rollout, &Observation, now) -> Transition`.
//!
//! No store, no tokio, no clock: the caller observes, asks, writes the transition down, and acts.

use crate::{digest::Digest, findings::Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod assignment;
pub use assignment::{Arm, assign};

/// The plan, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSpec {
    /// Mirror traffic to the challenger before it answers anyone.
    pub shadow: Option<ShadowSpec>,
    /// Steps of rising weight.
    pub steps: Vec<StepSpec>,
    /// How evidence is judged.
    pub judge: JudgeSpec,
    /// Seconds between ticks, as a duration.
    pub interval: String,
    /// Observations older than this pause the rollout at weight zero.
    pub stale_after: String,
}

/// Shadow: every message also goes to the challenger, whose answer is only compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowSpec {
    /// Conversations to mirror before the first step.
    pub min_units: u64,
    /// Give up (pause) after this.
    pub deadline: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Share of conversations for the challenger, in percent (0-100].
    pub weight: f64,
    /// Stay at least this long.
    #[serde(default)]
    pub min_time: Option<String>,
    /// See at least this many conversations on the challenger at this step.
    #[serde(default)]
    pub min_units: Option<u64>,
    /// Pause when it takes longer.
    pub deadline: String,
    /// `promote-evidence`: also wait until the promote side of the judge has its evidence.
    #[serde(default)]
    pub require: Option<Requirement>,
}

/// What a step may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// The relative risk is below the tolerated one, at level alpha, for every gating metric.
    PromoteEvidence,
}

/// How evidence is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeSpec {
    /// Chance of a false rollback over the whole rollout, divided over the gating metrics.
    pub alpha: f64,
    /// Relative risk that must be excluded before `promote-evidence` is given.
    pub tolerated_risk: f64,
    /// Which failures gate: default `error`, `fallback`, `wrong` gate; `slow` and `disagreement` are only shown.
    pub metrics: BTreeMap<FailureKind, GatePolicy>,
}

/// Whether a failure kind gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatePolicy {
    /// Its evidence rolls back, and its evidence is wanted to promote.
    Gate,
    /// Counted and shown.
    Observe,
}

/// The ways a conversation can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The server answered with an error.
    Error,
    /// The bot did not understand.
    Fallback,
    /// Feedback said that the intent was wrong.
    Wrong,
    /// The answer took longer than a bound fixed before the canary.
    Slow,
    /// The challenger, mirrored, said otherwise than the champion.
    Disagreement,
}

/// Failed conversations of one kind that began at one weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FailureCount {
    /// What failed.
    pub kind: FailureKind,
    /// The challenger's share, in (0, 1), when those conversations began.
    pub weight: f64,
    /// Failed on the challenger.
    pub canary: u64,
    /// Failed on the primary.
    pub primary: u64,
}

/// What was seen since the previous tick. One unit is one conversation, counted when it begins; it fails at most once a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Conversations that began on the challenger.
    pub canary_units: u64,
    /// Conversations that began on the primary.
    pub primary_units: u64,
    /// Conversations mirrored, in shadow.
    pub shadow_units: u64,
    /// New failures.
    pub failures: Vec<FailureCount>,
    /// When the newest observation was made; `None`: nothing was seen.
    pub observed_at: Option<DateTime<Utc>>,
}

/// Phase of a rollout; each carries only its own data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Asked for, not yet checked.
    Pending,
    /// The challenger is loaded beside the primary and self-tested.
    Loading,
    /// Mirrored, weight 0.
    Shadow {
        /// Since when.
        since: DateTime<Utc>,
        /// Conversations mirrored.
        units: u64,
    },
    /// Answers its share.
    Ramping {
        /// Index of the step.
        step: usize,
        /// Since when.
        since: DateTime<Utc>,
        /// Conversations on the challenger in this step.
        units: u64,
    },
    /// Stopped by a person or by doubt; its weight is kept or zero.
    Paused {
        /// Why.
        reason: PauseReason,
        /// Where it goes on; `None`: in shadow.
        step: Option<usize>,
        /// The share it keeps, in [0, 1).
        weight: f64,
        /// Since when.
        since: DateTime<Utc>,
        /// Conversations on the challenger in the step it left.
        units: u64,
    },
    /// Decided for: the alias is being moved.
    Promoting,
    /// Decided against: weight zero already.
    RollingBack {
        /// Why.
        reason: String,
    },
    /// Done: it serves.
    Promoted,
    /// Done: the primary serves.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// It could not be loaded or failed its self-test.
    Failed {
        /// Why.
        reason: String,
    },
    /// Not allowed to begin.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Why a rollout is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A person asked.
    Requested,
    /// The deadline came with too few conversations.
    NoTraffic,
    /// The deadline came with conversations enough, but no evidence.
    Inconclusive,
    /// The router did not split as configured.
    SampleRatioMismatch,
    /// Observations went stale: weight zero.
    Stale,
}

/// A rollout as persisted after every transition: the whole state, judge included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `botops.rollout/1`.
    pub schema: String,
    /// Its id.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// Manifest digest of the version that serves.
    pub champion: Digest,
    /// Manifest digest of the version on trial.
    pub challenger: Digest,
    /// Salt of the traffic split; the rollout's id, so that each rollout draws other conversations first.
    pub salt: String,
    /// The checked plan.
    pub policy: RolloutPolicy,
    /// Where it stands.
    pub phase: Phase,
    /// Evidence so far.
    pub judge: JudgeState,
    /// Rises by one with every transition.
    pub revision: u64,
    /// When it was asked for.
    pub started_at: DateTime<Utc>,
    /// When the latest transition was made.
    pub updated_at: DateTime<Utc>,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// A checked [`RolloutSpec`]: steps rise, durations are parsed, numbers are in range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutPolicy {
    _todo: (),
}

/// Evidence and counts so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgeState {
    _todo: (),
}

/// What the judge says at a tick (`reference`: fail, pass, hold, insufficient, inconclusive, invalid).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A gating metric is worse on the challenger.
    Fail,
    /// The step is done.
    Pass,
    /// Neither yet.
    Hold,
    /// Too few conversations by the deadline.
    Insufficient,
    /// Enough conversations, no evidence by the deadline.
    Inconclusive,
    /// The split is not as configured, or observations are stale.
    Invalid,
}

/// What the caller has to do after writing the transition down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    None,
    /// Load and self-test the challenger, then report [`Command::Loaded`] or [`Command::LoadFailed`].
    Load,
    /// Route by [`Rollout::weight`] and [`Rollout::mirrors`].
    Route,
    /// Move the alias, serve the challenger, read it back, then report [`Command::Confirmed`].
    Promote,
    /// Weight zero at once (before writing anything down), then report [`Command::Drained`].
    RollBack,
    /// Forget the challenger: the rollout is over.
    Finish,
}

/// One decision: the state after it, what to do, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The state after it. Equal in phase to the state before when nothing was decided (counts and evidence may have grown).
    pub next: Rollout,
    /// What to do.
    pub effect: Effect,
    /// What the judge said.
    pub verdict: Verdict,
    /// Why, with the numbers that decided it; empty when nothing was decided.
    pub reason: String,
}

/// What a person, or the caller after an effect, asks of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The challenger is loaded and passed its self-test.
    Loaded,
    /// It could not be loaded, or failed its self-test.
    LoadFailed {
        /// Why.
        reason: String,
    },
    /// The alias moved and the server was seen to serve the challenger.
    Confirmed,
    /// No request is left on the challenger.
    Drained,
    /// Stop, keep the weight.
    Pause,
    /// Go on.
    Resume,
    /// Promote now (refused when the judge says fail or invalid).
    Promote,
    /// Roll back now; always allowed before the end.
    Abort {
        /// Why.
        reason: String,
    },
}

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

/// Evidence on one failure kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which failure.
    pub kind: FailureKind,
    /// Whether it gates.
    pub policy: GatePolicy,
    /// Failed conversations: `[primary, canary]`.
    pub failures: [u64; 2],
    /// Failed share of each arm's conversations: `[primary, canary]`.
    pub rates: [f64; 2],
    /// Largest log e-value so far for "worse".
    pub log_e_rollback: f64,
    /// Latest log e-value for "risk below the tolerated one".
    pub log_e_promote: f64,
    /// ln(1/alpha) that either has to reach.
    pub log_threshold: f64,
}

impl Default for RolloutSpec {
    fn default() -> Self {
        let step = |weight, min_time: &str, require| StepSpec {
            weight,
            min_time: Some(min_time.to_owned()),
            min_units: Some(100),
            deadline: "7d".to_owned(),
            require,
        };
        Self {
            shadow: None,
            steps: vec![
                step(5.0, "12h", None),
                step(25.0, "24h", None),
                step(50.0, "24h", Some(Requirement::PromoteEvidence)),
            ],
            judge: JudgeSpec::default(),
            interval: "5m".to_owned(),
            stale_after: "6h".to_owned(),
        }
    }
}

impl Default for JudgeSpec {
    fn default() -> Self {
        use FailureKind::{Disagreement, Error, Fallback, Slow, Wrong};
        use GatePolicy::{Gate, Observe};
        Self {
            alpha: 0.05,
            tolerated_risk: 1.5,
            metrics: BTreeMap::from([
                (Error, Gate),
                (Fallback, Gate),
                (Wrong, Gate),
                (Slow, Observe),
                (Disagreement, Observe),
            ]),
        }
    }
}

impl RolloutSpec {
    /// Checks the plan.
    ///
    /// # Errors
    /// `BOT-6001` (exit 2) with the key: no steps, weights that do not rise in (0, 100], a duration that does not parse, alpha or risk out of range.
    pub fn check(&self) -> Result<RolloutPolicy> {
        todo!()
    }
}

impl Rollout {
    /// Asks for a rollout: phase `Pending`.
    #[must_use]
    pub fn request(
        id: String,
        model: String,
        champion: Digest,
        challenger: Digest,
        policy: RolloutPolicy,
        actor: String,
        reason: String,
        now: DateTime<Utc>,
    ) -> Self {
        let _ = (id, model, champion, challenger, policy, actor, reason, now);
        todo!()
    }
    /// Returns the challenger's share of conversations, in [0, 1].
    #[must_use]
    pub fn weight(&self) -> f64 {
        todo!()
    }
    /// Returns whether messages are mirrored to the challenger.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        todo!()
    }
    /// Returns whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        todo!()
    }
    /// Returns the evidence so far, by kind.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        todo!()
    }
}

/// Decides at most one step from what was seen since the previous tick.
#[must_use]
pub fn advance(rollout: &Rollout, observation: &Observation, now: DateTime<Utc>) -> Transition {
    let _ = (rollout, observation, now);
    todo!()
}

/// Applies a command.
///
/// # Errors
/// `BOT-6002` (exit 5) when the phase does not allow it: the phase and what it allows are named.
pub fn command(rollout: &Rollout, command: &Command, now: DateTime<Utc>) -> Result<Transition> {
    let _ = (rollout, command, now);
    todo!()
}
