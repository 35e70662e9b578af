//! The state of the rollout under way, and of a rollback of the model that is not recorded yet.

use crate::{clock::Jump, routing::Served, version_source::Deployment};
use botops_access::Identity;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_registry::Act;
use botops_rollout::{Effect, Observation, Rollout, Transition, TransitionRecord, Verdict};
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use std::{sync::Arc, time::Duration};

/// The current rollout, or the last one: it is kept after its end so that its status can be read.
pub(crate) struct Active {
    /// Its state.
    pub(crate) rollout: Rollout,
    /// Its transitions so far.
    pub(super) transitions: Vec<TransitionRecord>,
    /// The challenger, once it is loaded.
    pub(super) challenger: Option<Arc<Served>>,
    /// The duration beyond which an answer counts as slow, fixed when the rollout began.
    pub(super) slow_bound: Option<Duration>,
    /// Observations that no tick could record, because the store failed. The next tick adds them.
    pub(super) unrecorded: Observation,
    /// Entries of rollbacks that took effect while the store could not record them.
    pub(super) unwritten: Vec<Deployment>,
    /// The author of its next log entry: of a command and its effects the person who gave it, else [`AUTOMATIC`].
    pub(super) actor: String,
    /// Whether another server drives it now.
    pub(super) lost: bool,
}

/// The author of a decision that no person took.
pub(super) const AUTOMATIC: &str = "botops";

/// The author of a request, and the reason that it gives.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    /// The author in words, as logs of version 0.1 name it.
    pub(crate) actor: String,
    /// The author.
    pub(crate) by: Identity,
    /// The reason.
    pub(crate) reason: String,
}

impl Requester {
    /// Makes the author of a request, and its reason.
    pub(crate) fn new(by: Identity, reason: impl Into<String>) -> Self {
        Self { actor: by.label(), by, reason: reason.into() }
    }
}

/// The state of a [`Canary`](super::driver::Canary).
#[derive(Default)]
pub(super) struct State {
    /// The current or last rollout.
    pub(super) active: Option<Active>,
    /// The champion before the current one in the registry, kept in memory so that a rollback needs no download.
    pub(super) previous: Option<Arc<Served>>,
    /// A champion that was rolled back here, or that its evidence does not prove, while the alias may still point to it.
    pub(super) rejected: Option<Digest>,
    /// A rollback of the model that took effect and is not recorded completely.
    pub(super) pending: Option<Pending>,
    /// Whether the registry or the log refused to record the last rollback, and this server has not followed the champion
    /// of the registry since.
    pub(super) refused: bool,
    /// A jump of the wall clock that the rollout under way has not been paused for yet.
    pub(super) jump: Option<Jump>,
}

/// The result of a rollback of the model.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
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
    /// Whether the registry and the deployment log record it; if not, the server keeps trying.
    #[serde(default = "recorded")]
    pub durable: bool,
}

/// The servers of version 0.1 answered after the record.
fn recorded() -> bool {
    true
}

/// A rollout that a rollback of the model ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EndedRollout {
    /// Its id.
    pub id: String,
    /// Reference of its challenger.
    pub challenger: String,
}

/// A rollback of the model that took effect and is not recorded completely.
pub(super) struct Pending {
    /// Its result.
    pub(super) restored: Restored,
    /// The model that serves again.
    pub(super) served: Arc<Served>,
    /// The manifest that `champion` points to until it is moved.
    pub(super) expected: Digest,
    /// The move of `champion`.
    pub(super) act: Act,
    /// Whether `champion` was moved.
    pub(super) moved: bool,
    /// The entry for the deployment log.
    pub(super) deployment: Deployment,
    /// The entries of the rollbacks that it superseded before they were recorded. They come first.
    pub(super) earlier: Vec<Deployment>,
}

impl Pending {
    /// Returns it as the one that replaces `superseded`, whose entry is kept.
    pub(super) fn superseding(mut self, superseded: Option<Self>) -> Self {
        if let Some(Self { mut earlier, deployment, .. }) = superseded {
            earlier.push(deployment);
            self.earlier = earlier;
        }
        self
    }
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
    /// A rollout of the same version is under way, or was the last one and made it champion.
    Joined,
}

impl Active {
    /// Begins with a rollout whose log entries `actor` writes.
    pub(super) fn new(rollout: Rollout, actor: String) -> Self {
        Self {
            rollout,
            transitions: Vec::new(),
            challenger: None,
            slow_bound: None,
            unrecorded: Observation::default(),
            unwritten: Vec::new(),
            actor,
            lost: false,
        }
    }

    /// Returns whether it is under way and driven by this server.
    pub(super) fn is_driven(&self) -> bool {
        !self.lost && !self.rollout.is_over()
    }

    /// Returns the time between its ticks.
    pub(crate) fn interval(&self) -> Duration {
        self.rollout.policy.interval()
    }

    /// Returns the log entry of a transition to `next`.
    pub(super) fn entry(&self, next: &Rollout, reason: &str, at: DateTime<Utc>) -> Deployment {
        Deployment {
            schema: "botops.deployment/1".to_owned(),
            at,
            actor: self.actor.clone(),
            reason: reason.to_owned(),
            model: next.model.clone(),
            primary: next.primary(),
            phase: next.phase.name().to_owned(),
            weight_percent: next.weight_percent(),
            rollout: Some(next.clone()),
            slow_bound_seconds: self.slow_bound.map(|bound| bound.as_secs_f64()),
            writer: None,
            admin: None,
        }
    }
}

/// Returns `active` if `id` names it; `latest` names any.
///
/// # Errors
/// `BOT-6034`.
pub(super) fn find<'a>(
    active: Option<&'a mut Active>,
    id: &str,
    model: &str,
) -> Result<&'a mut Active> {
    let named = active.filter(|active| id == "latest" || active.rollout.id == id);
    named.ok_or_else(|| no_such_rollout(id, model))
}

/// The fault of a rollout that this server of `model` does not know.
pub(super) fn no_such_rollout(id: &str, model: &str) -> Fault {
    match id {
        "latest" => Fault::usage("BOT-6034", "no rollout has been started yet").hint(format!(
            "start one with the newest version: `{}`",
            shell_line(["botops", "promote", model])
        )),
        id => Fault::usage("BOT-6034", format!("this server has no rollout `{id}`"))
            .hint("`latest` names the current or the last one"),
    }
}

/// The fault of a state without a rollout where one must be.
pub(super) fn no_active() -> Fault {
    Fault::internal("BOT-6018", "the rollout is missing from the state")
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

/// Returns the observation of a tick that saw no message.
pub(super) fn no_messages(now: DateTime<Utc>) -> Observation {
    Observation { observed_at: Some(now), ..Observation::default() }
}
