//! Rollouts, as the server shows them or, without one, as the deployment log has them.

use super::{context::Context, provenance};
use botops_findings::{Fault, Result};
use botops_registry::{
    Deployment, Environment, Freeze, Lease, Registry, RolloutStep, deployment_log,
};
use botops_rollout::{Decision, Rollout, TransitionRecord};
use botops_serving::{AdminClient, RolloutStatus};
use botops_store::Entry;
use botops_text::{display, shell_line};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// The place from which the state of a rollout is read.
pub(crate) enum RolloutSource {
    /// The server at `server.admin_url`.
    Server(AdminClient),
    /// The deployment log of the environment in force.
    Log(Registry),
}

/// A rollout as it was seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    #[serde(flatten)]
    pub(crate) status: RolloutStatus,
    /// The conditions that it waits for, one item each.
    pub(crate) missing: Vec<String>,
    /// The seconds until they can be met at the rate so far, if a rate is known.
    pub(crate) reachable_in_seconds: Option<u64>,
    /// When a higher share takes effect; only from the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effective_at: Option<DateTime<Utc>>,
    /// The server that ticks; only from the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Lease>,
    /// The freeze in force; only from the log. `held` of the rollout is what its last tick knew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) freeze: Option<Freeze>,
    /// Whether the answer is from the log, and not from a server.
    pub(crate) from_log: bool,
}

impl RolloutSource {
    /// Returns the server that is configured, or else the log.
    pub(crate) fn of(context: &Context) -> Result<Self> {
        Ok(match &context.workspace()?.admin_url.value {
            Some(url) => Self::Server(context.admin_client(url)?),
            None => Self::Log(context.registry()?),
        })
    }

    /// Returns the rollout `id` of `model`; without one, the current or the last one.
    ///
    /// # Errors
    /// `BOT-6034` (exit 2) there is no such rollout; those of the server or of the store.
    pub(crate) async fn look(&self, model: &str, id: Option<&str>) -> Result<Seen> {
        let now = provenance::now()?;
        match self {
            Self::Server(client) => Ok(Seen::of(client.rollout(model, id).await?, now)),
            Self::Log(registry) => {
                let environment = registry.environment().await?;
                let deployed = environment.model(model);
                let latest = deployed.and_then(|deployed| deployed.step.as_ref());
                let latest = latest.filter(|step| id.is_none_or(|id| step.rollout.id == id));
                if let (Some(deployed), Some(step)) = (deployed, latest) {
                    let seen = Seen::in_log(step, deployed.decisions.clone(), now);
                    return Ok(seen.beside((&environment, deployed.lease.clone()), now));
                }
                let recorded = named(registry, model, id).await?;
                Ok(Seen::in_log(recorded.latest(), recorded.decisions(), now))
            }
        }
    }
}

impl Seen {
    fn of(status: RolloutStatus, now: DateTime<Utc>) -> Self {
        let rollout = &status.rollout;
        let now = now.max(rollout.updated_at);
        Self {
            missing: rollout.waiting_for(now),
            reachable_in_seconds: rollout.reachable_in(now).map(|left| left.as_secs()),
            effective_at: None,
            lease: None,
            freeze: None,
            from_log: false,
            status,
        }
    }

    /// Renders the missing conditions, with the time in which they can be met.
    pub(crate) fn waiting_for(&self) -> String {
        let missing = match self.missing.as_slice() {
            [] => "the next tick".to_owned(),
            missing => missing.join(", "),
        };
        match self.reachable_in_seconds {
            None | Some(0) => missing,
            Some(seconds) => {
                let left = humantime::format_duration(Duration::from_secs(seconds));
                format!("{missing} (at this rate in {left})")
            }
        }
    }

    fn in_log(step: &RolloutStep, decisions: Vec<TransitionRecord>, now: DateTime<Utc>) -> Self {
        let rollout = step.rollout.clone();
        let status = RolloutStatus {
            weight_percent: rollout.weight_percent(),
            decision: Decision::new(&rollout, decisions, false),
            rollout,
            durable: true,
            driven: true,
            lost: BTreeMap::new(),
        };
        let effective_at = step.effective_at.filter(|at| *at > now);
        Self { effective_at, from_log: true, ..Self::of(status, now) }
    }

    /// Adds what the log says beside the rollout, unless that is over.
    fn beside(
        self,
        (environment, lease): (&Environment, Option<Lease>),
        now: DateTime<Utc>,
    ) -> Self {
        if self.status.rollout.is_over() {
            return self;
        }
        Self { lease, freeze: environment.freeze(now).cloned(), ..self }
    }
}

/// A rollout in the entries of a log.
pub(crate) struct Recorded {
    /// Its entries, the oldest first; at least one.
    pub(crate) entries: Vec<Entry<Deployment>>,
    /// The step of the last one.
    latest: RolloutStep,
}

impl Recorded {
    /// Returns its latest step.
    pub(crate) fn latest(&self) -> &RolloutStep {
        &self.latest
    }

    /// Returns its latest state.
    pub(crate) fn rollout(&self) -> &Rollout {
        &self.latest.rollout
    }

    /// Returns the entries that decided, each with its step; the others only counted.
    pub(crate) fn decided(&self) -> impl Iterator<Item = (&Entry<Deployment>, &RolloutStep)> {
        let steps = self.entries.iter().filter_map(|entry| Some((entry, entry.payload.step()?)));
        steps.filter(|(entry, _)| !entry.payload.reason.is_empty())
    }

    /// Returns its decisions, the oldest first.
    pub(crate) fn decisions(&self) -> Vec<TransitionRecord> {
        let record = |(entry, step): (&Entry<Deployment>, &RolloutStep)| {
            TransitionRecord::new(&step.rollout, &entry.payload.reason).by(&entry.payload.actor)
        };
        self.decided().map(record).collect()
    }
}

/// Returns the rollouts of `model` in `entries`, the oldest first.
pub(crate) fn rollouts_in(entries: Vec<Entry<Deployment>>, model: &str) -> Vec<Recorded> {
    let mut rollouts: Vec<Recorded> = Vec::new();
    for entry in entries {
        if entry.payload.model != model {
            continue;
        }
        let Some(step) = entry.payload.step().cloned() else { continue };
        match rollouts.last_mut().filter(|last| last.latest.rollout.id == step.rollout.id) {
            Some(last) => {
                last.entries.push(entry);
                last.latest = step;
            }
            None => rollouts.push(Recorded { entries: vec![entry], latest: step }),
        }
    }
    rollouts
}

/// Returns every rollout of `model` in the environment of `registry`, the oldest first.
///
/// # Errors
/// Those of the store; `BOT-5006` (exit 3) the log is damaged; `BOT-5011` (exit 2) there is no such model.
pub(crate) async fn rollouts(registry: &Registry, model: &str) -> Result<Vec<Recorded>> {
    let log = deployment_log(registry.store(), registry.environment_name());
    let rollouts = rollouts_in(log.entries().await?, model);
    if rollouts.is_empty() {
        registry.champions(model).await?;
    }
    Ok(rollouts)
}

/// Returns the rollout `id` of `model` from the log; without one, the latest.
///
/// # Errors
/// `BOT-6034` (exit 2) there is none; those of [`rollouts`].
pub(crate) async fn named(registry: &Registry, model: &str, id: Option<&str>) -> Result<Recorded> {
    let place = format!("environment `{}`", registry.environment_name());
    choose(rollouts(registry, model).await?, (model, id), &place)
}

/// Returns the rollout `id` of `rollouts`; without one, the latest. `place` says where they are from.
///
/// # Errors
/// `BOT-6034` (exit 2) there is none.
pub(crate) fn choose(
    mut rollouts: Vec<Recorded>,
    (model, id): (&str, Option<&str>),
    place: &str,
) -> Result<Recorded> {
    let last = rollouts.pop();
    let found = match id {
        None => last,
        Some(id) => rollouts.into_iter().chain(last).find(|recorded| recorded.rollout().id == id),
    };
    found.ok_or_else(|| {
        let message = match id {
            Some(id) => format!("{place} has no rollout `{}` of `{model}`", display(id, 80)),
            None => format!("{place} has no rollout of `{model}` yet"),
        };
        let list = shell_line(["botops", "rollout", "list", model]);
        Fault::usage("BOT-6034", message).hint(format!("see all of them: `{list}`"))
    })
}
