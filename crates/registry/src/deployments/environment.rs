//! The fold of a deployment log.

use super::{ChampionMove, Deployment, RequestMark, RolloutStep, entry::Change};
use botops_access::{Identity, PolicyMode};
use botops_digest::Digest;
use botops_rollout::TransitionRecord;
use botops_store::{Entry, Fold};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a request with an `Idempotency-Key` is known.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// The state of an environment: the fold of its deployment log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    models: BTreeMap<String, Deployed>,
    freeze: Option<Freeze>,
    policy: Option<PolicyRecord>,
    /// The requests with an `Idempotency-Key` of the last 24 hours, the oldest first.
    requests: Vec<Request>,
}

/// One model in an environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// The moves of the champion, the current one last.
    pub reigns: Vec<Reign>,
    /// The latest step of the latest rollout.
    pub step: Option<RolloutStep>,
    /// The number of the entry of [`Self::step`].
    pub step_seq: u64,
    /// The decisions about the latest rollout, the oldest first.
    pub decisions: Vec<TransitionRecord>,
    /// The server that ticks.
    pub lease: Option<Lease>,
}

/// A reign: a move of the champion, with its author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reign {
    /// The number of the entry.
    pub seq: u64,
    /// The time.
    pub at: DateTime<Utc>,
    /// The name of the author.
    pub actor: String,
    /// The reason.
    pub reason: String,
    /// The move.
    pub moved: ChampionMove,
}

/// The server that ticks the rollouts of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The id of the server.
    pub holder: String,
    /// The number of the entry that took it.
    pub seq: u64,
    /// When it was taken, by the clock of the server.
    pub at: DateTime<Utc>,
    /// The address of its admin listener.
    pub admin: Option<String>,
    /// The fingerprint of the key under which it names conversations.
    pub identity: Option<String>,
    /// The ids of the keys of its feedback tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_keys: Vec<String>,
}

/// A freeze: nothing advances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Freeze {
    /// The end; `None` until somebody ends it.
    pub until: Option<DateTime<Utc>>,
    /// The name of the author.
    pub actor: String,
    /// Who the author is.
    pub by: Option<Identity>,
    /// The reason.
    pub reason: String,
    /// When it began.
    pub at: DateTime<Utc>,
}

/// The policy of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// The policy, a blob.
    pub digest: Digest,
    /// How strictly it is applied.
    pub mode: PolicyMode,
    /// The name of the author.
    pub actor: String,
    /// When it was recorded.
    pub at: DateTime<Utc>,
}

/// A request with an `Idempotency-Key`, and the entry that it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Request {
    mark: RequestMark,
    seq: u64,
    at: DateTime<Utc>,
}

impl Environment {
    /// Folds `entries`.
    #[must_use]
    pub fn of(entries: &[Entry<Deployment>]) -> Self {
        let mut environment = Self::default();
        entries.iter().for_each(|entry| environment.apply(entry));
        environment
    }

    /// Adds the next entry.
    pub fn apply(&mut self, entry: &Entry<Deployment>) {
        let Deployment { at, actor, by, reason, model, change, request, writer, admin, .. } =
            &entry.payload;
        if let Some(mark) = request {
            self.requests.retain(|known| known.at + KEPT > *at);
            self.requests.push(Request { mark: mark.clone(), seq: entry.seq, at: *at });
        }
        if let Some(moved) = entry.payload.champion() {
            let (actor, reason) = (actor.clone(), reason.clone());
            let reign = Reign { seq: entry.seq, at: *at, actor, reason, moved: moved.clone() };
            self.models.entry(model.clone()).or_default().reigns.push(reign);
        }
        match change {
            Change::Rollout(step) => {
                let deployed = self.models.entry(model.clone()).or_default();
                let before = deployed.step.as_ref().map(|before| &before.rollout.id);
                if before != Some(&step.rollout.id) {
                    deployed.decisions.clear();
                }
                if !reason.is_empty() {
                    let record = TransitionRecord::new(&step.rollout, reason).by(actor);
                    deployed.decisions.push(record);
                }
                deployed.step = Some(RolloutStep::clone(step));
                deployed.step_seq = entry.seq;
            }
            Change::Lease { identity, token_keys } => {
                let Some(holder) = writer.clone() else { return };
                let (admin, identity) = (admin.clone(), identity.clone());
                let (token_keys, seq) = (token_keys.clone(), entry.seq);
                self.models.entry(model.clone()).or_default().lease =
                    Some(Lease { holder, seq, at: *at, admin, identity, token_keys });
            }
            Change::Frozen { until } => {
                self.freeze = Some(Freeze {
                    until: *until,
                    actor: actor.clone(),
                    by: by.clone(),
                    reason: reason.clone(),
                    at: *at,
                });
            }
            Change::Unfrozen => self.freeze = None,
            Change::Policy { digest, mode } => {
                let (digest, mode) = (*digest, *mode);
                self.policy = Some(PolicyRecord { digest, mode, actor: actor.clone(), at: *at });
            }
            Change::Champion(_) | Change::Served { .. } => {}
        }
    }

    /// Returns the models that the log is about, by name.
    #[must_use]
    pub fn models(&self) -> &BTreeMap<String, Deployed> {
        &self.models
    }

    /// Returns the state of `model`; `None` if no entry is about it.
    #[must_use]
    pub fn model(&self, model: &str) -> Option<&Deployed> {
        self.models.get(model)
    }

    /// Returns the freeze that is in force at `now`.
    #[must_use]
    pub fn freeze(&self, now: DateTime<Utc>) -> Option<&Freeze> {
        self.freeze.as_ref().filter(|freeze| freeze.until.is_none_or(|until| now < until))
    }

    /// Returns the policy that was recorded last.
    #[must_use]
    pub fn policy(&self) -> Option<&PolicyRecord> {
        self.policy.as_ref()
    }

    /// Returns the request with the key of `mark` in the 24 hours before `now`, and the number of its entry.
    #[must_use]
    pub fn request(&self, key: &Digest, now: DateTime<Utc>) -> Option<(&RequestMark, u64)> {
        let known = self.requests.iter().rev().find(|known| known.mark.key == *key)?;
        (known.at + KEPT > now).then_some((&known.mark, known.seq))
    }
}

impl Fold<Deployment> for Environment {
    const SCHEMA: &'static str = "botops.environment/1";

    fn apply(&mut self, entry: &Entry<Deployment>) {
        Self::apply(self, entry);
    }
}

impl Deployed {
    /// Returns the champion; `None` if no entry moved it.
    #[must_use]
    pub fn champion(&self) -> Option<Digest> {
        self.reigns.last().map(|reign| reign.moved.to())
    }

    /// Returns the latest step of the rollout that is under way.
    #[must_use]
    pub fn open(&self) -> Option<&RolloutStep> {
        self.step.as_ref().filter(|step| !step.rollout.is_over())
    }
}
