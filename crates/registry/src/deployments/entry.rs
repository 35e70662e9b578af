//! One entry of a deployment log.

use super::ChampionMove;
use botops_access::{Identity, PolicyMode};
use botops_digest::Digest;
use botops_rollout::Rollout;
use botops_store::newer_payload;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of new entries.
const SCHEMA: &str = "botops.deployment/2";

/// One entry of `deployments/<environment>/log`: a change, its author and the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Stored")]
pub struct Deployment {
    /// `botops.deployment/2`; entries of version 1 are read as [`Change::Rollout`] or [`Change::Served`].
    pub schema: String,
    /// When it was decided, by the clock of the writer.
    pub at: DateTime<Utc>,
    /// Its author in words: `ada`, or `admin on behalf of ada`.
    pub actor: String,
    /// Who the author is, and how that is known; `None` in entries of version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Identity>,
    /// The reason, with the numbers that decided it; empty if a tick only counted.
    pub reason: String,
    /// The model; empty for a change of the whole environment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The change.
    pub change: Change,
    /// Whether it went past a freeze, a closed window or a missing approval. Only a rollback does.
    #[serde(skip_serializing_if = "is_false")]
    pub break_glass: bool,
    /// The request behind it, so that a repeated one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestMark>,
    /// The id of the server that wrote it, new at each start; `None` if no server did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// The address of the admin listener of that server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
}

/// The change of an entry.
///
/// It is tagged from the outside, such as `{"rollout":{…}}`: a tag inside would have to be searched, and the numbers that
/// are keys of maps in a rollout would become texts on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A rollout took a step, or counted.
    Rollout(Box<RolloutStep>),
    /// The champion moved outside a rollout.
    Champion(ChampionMove),
    /// The writer ticks the rollouts of the model from then on.
    Lease {
        /// The fingerprint of the key under which it names conversations. Servers with other keys cannot count together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
        /// The ids of the keys of its feedback tokens. Servers without a key in common cannot judge each other's answers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        token_keys: Vec<String>,
    },
    /// Nothing advances until the time, or without one until the freeze ends.
    Frozen {
        /// The end of the freeze.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The freeze ended.
    Unfrozen,
    /// The policy of the environment from then on.
    Policy {
        /// The policy, a blob.
        digest: Digest,
        /// How strictly it is applied.
        mode: PolicyMode,
    },
    /// A server of version 1 served `primary` after a rollback. The model's log moved the champion then.
    Served {
        /// The manifest that it served.
        primary: Digest,
    },
}

/// The state of a rollout after a step or a count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RolloutStep {
    /// The whole state, including the judge.
    pub rollout: Rollout,
    /// The move of the champion that the step makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<ChampionMove>,
    /// When a higher share takes effect; `None` for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<DateTime<Utc>>,
    /// The duration beyond which an answer counts as slow, fixed when the rollout began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_bound_seconds: Option<f64>,
    /// The number of the last observation of each server that the judge has counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<String, u64>,
}

/// A request with an `Idempotency-Key`. Neither the key nor the body can be read from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RequestMark {
    /// Digest of the key and of the identity that used it.
    pub key: Digest,
    /// Digest of method, path and body.
    pub body: Digest,
}

impl Deployment {
    /// Makes an entry about `model`, which is empty for a change of the whole environment.
    #[must_use]
    pub fn new(
        (by, reason): (Identity, impl Into<String>),
        at: DateTime<Utc>,
        model: impl Into<String>,
        change: Change,
    ) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            at,
            actor: by.label(),
            by: Some(by),
            reason: reason.into(),
            model: model.into(),
            change,
            break_glass: false,
            request: None,
            writer: None,
            admin: None,
        }
    }

    /// Returns the step of a rollout, if it is one.
    #[must_use]
    pub fn step(&self) -> Option<&RolloutStep> {
        match &self.change {
            Change::Rollout(step) => Some(step),
            _ => None,
        }
    }

    /// Returns the state of the rollout after it, if it is a step of one.
    #[must_use]
    pub fn rollout(&self) -> Option<&Rollout> {
        self.step().map(|step| &step.rollout)
    }

    /// Returns the move of the champion that it makes.
    #[must_use]
    pub fn champion(&self) -> Option<&ChampionMove> {
        match &self.change {
            Change::Rollout(step) => step.champion.as_ref(),
            Change::Champion(moved) => Some(moved),
            _ => None,
        }
    }
}

/// An entry of any version.
#[derive(Deserialize)]
struct Stored {
    schema: String,
    at: DateTime<Utc>,
    actor: String,
    by: Option<Identity>,
    reason: String,
    #[serde(default)]
    model: String,
    change: Option<Change>,
    #[serde(default)]
    break_glass: bool,
    request: Option<RequestMark>,
    writer: Option<String>,
    admin: Option<String>,
    /// Version 1.
    primary: Option<Digest>,
    /// Version 1.
    rollout: Option<Box<Rollout>>,
    /// Version 1.
    slow_bound_seconds: Option<f64>,
}

impl TryFrom<Stored> for Deployment {
    type Error = String;
    /// # Errors
    /// The entry is of a newer version, or holds no change.
    fn try_from(stored: Stored) -> Result<Self, String> {
        let version = stored.schema.strip_prefix("botops.deployment/").map(str::parse::<u32>);
        match version {
            Some(Ok(1 | 2)) => {}
            Some(Ok(_)) => return Err(newer_payload(&stored.schema)),
            _ => return Err(format!("`{}` is no format of a deployment", stored.schema)),
        }
        let Stored { schema, at, actor, by, reason, model, change, break_glass, .. } = stored;
        let Stored { request, writer, admin, primary, rollout, slow_bound_seconds, .. } = stored;
        let change = match (change, rollout, primary) {
            (Some(change), ..) => change,
            (None, Some(rollout), _) => Change::Rollout(Box::new(RolloutStep {
                rollout: *rollout,
                champion: None,
                effective_at: None,
                slow_bound_seconds,
                counted: BTreeMap::new(),
            })),
            (None, None, Some(primary)) => Change::Served { primary },
            (None, None, None) => return Err(format!("an entry of `{schema}` has no change")),
        };
        Ok(Self {
            schema,
            at,
            actor,
            by,
            reason,
            model,
            change,
            break_glass,
            request,
            writer,
            admin,
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
