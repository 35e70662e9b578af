//! The state of a server that follows its deployment log, and the acts that are in effect before the log has them.

use super::{counting::Ticking, share::Share};
use crate::routing::Served;
use botops_access::{Identity, Policy};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_registry::{
    Champions, Deployed, Deployment, Environment, FormerChampion, RequestMark, RolloutStep,
};
use botops_rollout::{
    ClockJump, Effect, ReplicaObservation, Rollout, RolloutTime, Transition, Verdict,
};
use botops_store::Entry;
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

/// The author of a request, its reason, and the mark by which a repeated one is known.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    /// The author.
    pub(crate) by: Identity,
    /// The reason.
    pub(crate) reason: String,
    /// The mark of its `Idempotency-Key`.
    pub(crate) request: Option<RequestMark>,
}

impl Requester {
    /// Makes a request of `by`.
    pub(crate) fn new(by: Identity, reason: impl Into<String>) -> Self {
        Self { by, reason: reason.into(), request: None }
    }
}

/// The state of a [`Canary`](super::follow::Canary).
pub(super) struct State {
    /// The newest entry of the log.
    pub(super) tip: Option<Entry<Deployment>>,
    /// The fold of the log.
    pub(super) environment: Environment,
    /// The line of champions of the model.
    pub(super) champions: Champions,
    /// The share of the challenger on this server.
    pub(super) share: Share,
    /// The models in memory, by manifest.
    pub(super) resident: BTreeMap<Digest, Arc<Served>>,
    /// The models that are being loaded.
    pub(super) loading: BTreeSet<Digest>,
    /// The champion before the current one, which stays in memory so that a rollback needs no download.
    pub(super) previous: Option<Digest>,
    /// A champion of the log that its evidence does not prove.
    pub(super) rejected: Option<Digest>,
    /// The evidence of the open rollout, while this server ticks.
    pub(super) ticking: Option<Ticking>,
    /// The sign of life of the server that ticks.
    pub(super) sign: Sign,
    /// The number of the last observation of this server, and when it was published.
    pub(super) published: Published,
    /// A jump of the wall clock that the rollout has not been paused for yet.
    pub(super) jump: Option<ClockJump>,
    /// The time of the current or the last rollout.
    pub(super) time: Option<RolloutTime>,
    /// When the withdrawals of versions were last looked at.
    pub(super) withdrawals: Option<Instant>,
    /// The policy of the environment.
    pub(super) policy: KnownPolicy,
}

/// The policy of the environment, as far as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownPolicy {
    /// The digest that the log named when it was read.
    pub(super) named: Option<Digest>,
    /// The policy.
    pub(super) policy: Option<Policy>,
    /// Why it cannot be read.
    pub(super) problem: Option<String>,
}

/// The last sign of life of the server that ticks, as this server saw it.
#[derive(Debug, Clone)]
pub(super) struct Sign {
    /// The server.
    pub(super) of: String,
    /// The rollout.
    pub(super) rollout: String,
    /// The number of its last observation.
    pub(super) number: u64,
    /// When this server saw it, by its own monotonic clock.
    pub(super) at: Instant,
    /// Whether the server said that it stops.
    pub(super) leaves: bool,
}

/// The observations that this server published.
#[derive(Debug, Clone, Default)]
pub(super) struct Published {
    /// The rollout they are about.
    pub(super) rollout: String,
    /// The number of the last one.
    pub(super) number: u64,
    /// When it was published.
    pub(super) at: Option<Instant>,
    /// Those that could not be published yet, the oldest first.
    pub(super) waiting: Vec<ReplicaObservation>,
}

impl State {
    /// Makes the state of a server that knows `champions` and has read nothing.
    pub(super) fn new(champions: Champions) -> Self {
        Self {
            tip: None,
            environment: Environment::default(),
            champions,
            share: Share::ZERO,
            resident: BTreeMap::new(),
            loading: BTreeSet::new(),
            previous: None,
            rejected: None,
            ticking: None,
            sign: Sign {
                of: String::new(),
                rollout: String::new(),
                number: 0,
                at: Instant::now(),
                leaves: false,
            },
            published: Published::default(),
            jump: None,
            time: None,
            withdrawals: None,
            policy: KnownPolicy::default(),
        }
    }

    /// Returns the state of `model` in the log.
    pub(super) fn deployed(&self, model: &str) -> Option<&Deployed> {
        self.environment.model(model)
    }

    /// Returns the latest step of the open rollout of `model`.
    pub(super) fn open(&self, model: &str) -> Option<&RolloutStep> {
        self.deployed(model)?.open()
    }

    /// Returns the latest step of the current or the last rollout of `model`.
    pub(super) fn step(&self, model: &str) -> Option<&RolloutStep> {
        self.deployed(model)?.step.as_ref()
    }

    /// Returns the server that holds the lease of `model`.
    pub(super) fn holder(&self, model: &str) -> Option<&str> {
        Some(self.deployed(model)?.lease.as_ref()?.holder.as_str())
    }
}

/// An act that is in effect on this server, and that the log does not have yet.
#[derive(Clone)]
pub(super) struct InEffect {
    /// Its number on this server.
    pub(super) number: u64,
    /// The act.
    pub(super) act: Reverted,
    /// The author and the reason.
    pub(super) requester: Requester,
    /// When it took effect.
    pub(super) at: DateTime<Utc>,
}

/// An act that takes effect before it is recorded.
#[derive(Clone)]
pub(super) enum Reverted {
    /// The rollout is rolled back.
    Abort {
        /// Its id.
        id: String,
        /// The reason for the log.
        reason: String,
    },
    /// A former champion serves again.
    Return {
        /// The champion that it replaces.
        from: Digest,
        /// The former champion.
        to: FormerChampion,
        /// Its model.
        served: Arc<Served>,
        /// The result.
        restored: Box<Restored>,
    },
}

/// The result of a rollback of the model.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Restored {
    /// Reference of the champion before.
    pub from: String,
    /// Reference of the champion that serves now; equal to `from` if only a rollout ended.
    pub to: String,
    /// Digest of its model file.
    pub digest: Digest,
    /// The rollout that the rollback ended, if one was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndedRollout>,
    /// Whether the deployment log records it; if not, the server keeps trying.
    #[serde(default = "recorded")]
    pub durable: bool,
}

/// The servers of version 0.1 answered after the record.
fn recorded() -> bool {
    true
}

/// A rollout that a rollback of the model ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct EndedRollout {
    /// Its id.
    pub id: String,
    /// Reference of its challenger.
    pub challenger: String,
}

/// Whether a command takes effect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// It takes effect.
    Real,
    /// It is checked and changes nothing.
    Dry,
}

/// The result of a request for a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// A rollout began.
    New,
    /// A request with the same `Idempotency-Key` began it before.
    Repeated,
    /// A rollout of the same version is under way, or was the last one and made it champion.
    Joined,
}

/// The fault of a rollout that this server of `model` does not know.
pub(super) fn no_such_rollout(id: &str, model: &str) -> Fault {
    match id {
        "latest" => Fault::usage("BOT-6034", "no rollout has been started yet").hint(format!(
            "start one with the newest version: `{}`",
            shell_line(["botops", "promote", model])
        )),
        id => Fault::usage("BOT-6034", format!("this environment has no rollout `{id}`"))
            .hint("`latest` names the current or the last one"),
    }
}

/// The fault of a rollout that cannot begin before another one, `id`, ends.
pub(crate) fn under_way(id: &str) -> Fault {
    Fault::conflict("BOT-6032", format!("rollout `{id}` of another version is under way"))
        .hint("wait for its end, or end it with `botops rollout abort --reason TEXT`")
}

/// Returns a transition that keeps the state and asks for `effect`.
pub(super) fn unchanged(rollout: &Rollout, effect: Effect) -> Transition {
    Transition { next: rollout.clone(), effect, verdict: Verdict::Hold, reason: String::new() }
}

/// Returns the step of the rollout `id`; `latest` names any.
///
/// # Errors
/// `BOT-6034`.
pub(super) fn named<'a>(
    step: Option<&'a RolloutStep>,
    id: &str,
    model: &str,
) -> Result<&'a RolloutStep> {
    let named = step.filter(|step| id == "latest" || step.rollout.id == id);
    named.ok_or_else(|| no_such_rollout(id, model))
}
