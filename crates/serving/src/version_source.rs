//! The source of versions and the deployment log: a registry, or the two sides of a rehearsal.

use super::Side;
use crate::{
    presence::{Presence, Sign},
    routing::Served,
};
use async_trait::async_trait;
use botops_access::{Identity, IdentityKind};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_models::IntentModel;
use botops_registry::{
    Act, CHAMPION, ChampionMove, Change, Reference, Registry, RolloutStep, Version,
    deployment_log as registry_log,
};
use botops_rollout::{Phase, Rollout};
use botops_store::{Appended, Entry, Log, Store};
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::Mutex;

/// One entry of `deployments/<environment>/log`: the routing from then on, its author and the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "botops_registry::Deployment", into = "botops_registry::Deployment")]
pub struct Deployment {
    /// `botops.deployment/1`.
    pub schema: String,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Its author.
    pub actor: String,
    /// The reason, with the numbers that decided it; empty if a tick only counted.
    pub reason: String,
    /// The model's name.
    pub model: String,
    /// Manifest digest of the primary from then on.
    pub primary: Digest,
    /// The phase entered or kept, such as `ramping`; `none` without a rollout.
    pub phase: String,
    /// The share of the challenger in percent.
    pub weight_percent: f64,
    /// The state of the rollout, including the judge; `None` for a rollback of the model.
    pub rollout: Option<Rollout>,
    /// The duration beyond which an answer counts as slow, fixed when the rollout began.
    pub slow_bound_seconds: Option<f64>,
    /// The id of the server that wrote it, new at each start. Set when the entry is written; `None` in older entries.
    pub writer: Option<String>,
    /// The address of the admin listener of that server. Set when the entry is written; `None` in older entries, and of a
    /// server without one.
    pub admin: Option<String>,
}

/// The phase of an entry that is no step of a rollout and no rollback of a server.
const NO_STEP: &str = "no step";

impl From<botops_registry::Deployment> for Deployment {
    fn from(entry: botops_registry::Deployment) -> Self {
        let rollout = entry.rollout().cloned();
        let (primary, phase) = match (&rollout, &entry.change) {
            (Some(rollout), _) if rollout.phase == Phase::Promoted => {
                (rollout.challenger, rollout.phase.name())
            }
            (Some(rollout), _) => (rollout.champion, rollout.phase.name()),
            (None, Change::Served { primary }) => (*primary, "none"),
            (None, change) => {
                let moved = match change {
                    Change::Champion(moved) => moved.to(),
                    _ => Digest::of(b""),
                };
                (moved, NO_STEP)
            }
        };
        Self {
            phase: phase.to_owned(),
            primary,
            weight_percent: rollout.as_ref().map_or(0.0, Rollout::weight_percent),
            slow_bound_seconds: entry.step().and_then(|step| step.slow_bound_seconds),
            rollout,
            schema: entry.schema,
            at: entry.at,
            actor: entry.actor,
            reason: entry.reason,
            model: entry.model,
            writer: entry.writer,
            admin: entry.admin,
        }
    }
}

impl From<Deployment> for botops_registry::Deployment {
    fn from(deployment: Deployment) -> Self {
        let Deployment { at, actor, reason, model, primary, rollout, writer, admin, .. } =
            deployment;
        let change = match rollout {
            None => Change::Served { primary },
            Some(rollout) => Change::Rollout(Box::new(RolloutStep {
                rollout,
                champion: None,
                effective_at: None,
                slow_bound_seconds: deployment.slow_bound_seconds,
                counted: std::collections::BTreeMap::new(),
            })),
        };
        let by = Identity::new(IdentityKind::Claimed, actor);
        let entry = Self::new((by, reason), at, model, change);
        Self { writer, admin, ..entry }
    }
}

impl Deployment {
    /// Returns whether it is a step of a rollout, or a rollback of a server.
    pub(super) fn is_step(&self) -> bool {
        self.phase != NO_STEP
    }
}

/// Returns the deployment log of `environment` in the registry at `store`.
#[must_use]
pub fn deployment_log(store: &Store, environment: &str) -> Log<Deployment> {
    store.log(&format!("deployments/{environment}/log"))
}

/// A source of versions with a deployment log.
#[async_trait]
pub(super) trait VersionSource: Send + Sync {
    /// Loads a version, verified and self-tested.
    async fn load(&self, manifest: &Digest) -> Result<Served>;
    /// Checks that an act can be recorded: the deployment log is not damaged. Called before an act takes effect.
    fn check_log(&self) -> Result<()> {
        Ok(())
    }
    /// Appends to the deployment log.
    async fn record(&self, deployment: Deployment) -> Result<()>;
    /// Moves `champion` from `expected` to `version`, and checks that it moved.
    async fn promote(&self, version: &Served, expected: Digest, act: &Act) -> Result<()>;
    /// Returns the manifest digest of the champion; `None` if this source has no champion that may move.
    async fn champion(&self) -> Result<Option<Digest>>;
    /// Returns why the version with this manifest may not serve as champion, although `champion` points to it; `None` if it
    /// may.
    async fn objection(&self, champion: &Digest) -> Result<Option<Fault>>;
    /// Finds the version of `reference`; without one, the champion before `current`.
    async fn find(&self, reference: Option<&str>, current: &Digest) -> Result<Version>;
    /// Checks that `version` may get traffic: it has the evidence that its promotion will need.
    async fn admit(&self, version: &Version) -> Result<()>;
    /// Returns the manifest of the former champion that `reference` names; without one, of the champion before `current`.
    async fn former(&self, reference: Option<&str>, current: &Digest) -> Result<Digest>;
    /// Moves `champion` from `expected` back to the former champion `to`.
    async fn go_back(&self, to: &Digest, expected: Digest, act: &Act) -> Result<()>;
    /// Writes a sign of life for the other servers.
    async fn beat(&self) -> Result<()> {
        Ok(())
    }
    /// Returns the newest sign of life of every other server.
    async fn others(&self) -> Result<Vec<Sign>> {
        Ok(Vec::new())
    }
    /// Returns whether another server counted this one as gone and removed its sign of life.
    async fn is_forgotten(&self) -> Result<bool> {
        Ok(false)
    }
    /// Returns whether another server wrote about the model since the last read. Reads on from the same place later.
    async fn is_overtaken(&self) -> Result<bool> {
        Ok(false)
    }
    /// Removes the signs of life of the server `id`, which is gone.
    async fn forget(&self, _id: &str) -> Result<()> {
        Ok(())
    }
    /// Removes the signs of life of this server, which stops.
    async fn leave(&self) -> Result<()> {
        Ok(())
    }
    /// Returns the entries about the model that other servers appended since the last read, and reads on from there.
    async fn newer(&self) -> Result<Vec<Deployment>> {
        Ok(Vec::new())
    }
}

/// A model of a registry, in one environment.
pub(super) struct RegistrySource {
    registry: Registry,
    model: String,
    log: Log<Deployment>,
    /// Marks the entries of this server: an append may succeed although its response is lost.
    writer: String,
    /// The address of the admin listener, which the entries name.
    admin: Option<String>,
    last: Mutex<Option<Entry<Deployment>>>,
    presence: Presence,
    /// The problem of a damaged log. Nothing can be appended to it.
    damage: Option<(&'static str, String)>,
}

impl RegistrySource {
    /// Opens the log, and returns it with its entries about `model`.
    ///
    /// Of a damaged log it returns no entries, and [`Self::damage`] names the problem.
    ///
    /// # Errors
    /// Those of the store: a server does not append to a log that it cannot read.
    pub(super) async fn open(
        registry: Registry,
        model: &str,
        environment: &str,
    ) -> Result<(Self, Vec<Deployment>)> {
        let log = deployment_log(registry.store(), environment);
        let (entries, damage) = match log.entries().await {
            Ok(entries) => (entries, None),
            Err(fault) if fault.kind() == FaultKind::Gate => {
                (Vec::new(), Some((fault.code(), fault.message().to_owned())))
            }
            Err(fault) => return Err(fault),
        };
        let ours = entries
            .iter()
            .filter(|entry| entry.payload.model == model && entry.payload.is_step())
            .map(|entry| entry.payload.clone())
            .collect();
        let last = Mutex::new(entries.into_iter().next_back());
        let writer = ulid::Ulid::generate().to_string();
        let presence = Presence::new(registry.store().clone(), environment, model, writer.clone());
        let model = model.to_owned();
        Ok((Self { registry, model, log, writer, admin: None, last, presence, damage }, ours))
    }

    /// Treats the log as damaged: its entries do not follow from each other.
    pub(super) fn distrust(&mut self, problem: String) {
        self.damage = Some(("BOT-5006", problem));
    }

    /// Returns the code and the problem of a damaged log.
    pub(super) fn damage(&self) -> Option<(&'static str, &str)> {
        self.damage.as_ref().map(|(code, problem)| (*code, problem.as_str()))
    }

    /// Returns the entries after `last`; without one, all.
    async fn entries_after(
        &self,
        last: Option<&Entry<Deployment>>,
    ) -> Result<Vec<Entry<Deployment>>> {
        match last {
            Some(last) => self.log.entries_after(last).await,
            None => self.log.entries().await,
        }
    }

    /// Returns whether `entry` is about this model, and another server wrote it.
    fn is_by_another(&self, entry: &Entry<Deployment>) -> bool {
        entry.payload.model == self.model
            && entry.payload.is_step()
            && entry.payload.writer.as_ref() != Some(&self.writer)
    }

    /// Appends a move of the champion to the deployment log of the registry's environment.
    async fn move_champion(&self, moved: ChampionMove, act: &Act) -> Result<()> {
        let log = registry_log(self.registry.store(), self.registry.environment_name());
        loop {
            let entries = log.entries().await?;
            let now = self.registry.champions(&self.model).await?.current();
            if now == Some(moved.to()) {
                return Ok(());
            }
            if now != moved.from() {
                let message = format!("`champion` of `{}` is not where it was", self.model);
                return Err(Fault::conflict("BOT-5014", message));
            }
            let by = (act.by.clone(), act.reason.clone());
            let change = Change::Champion(moved.clone());
            let mut entry = botops_registry::Deployment::new(by, act.at, &self.model, change);
            entry.writer = Some(self.writer.clone());
            entry.admin.clone_from(&self.admin);
            if let Appended::Written(_) = log.append(entries.last(), entry).await? {
                return Ok(());
            }
        }
    }

    /// Sets the address of the admin listener, which the entries of this server name.
    pub(super) fn with_admin(self, admin: Option<SocketAddr>) -> Self {
        Self { admin: admin.map(|at| at.to_string()), ..self }
    }

    /// Reads a reference to a version of this model.
    ///
    /// # Errors
    /// `BOT-5010`, `BOT-6036`.
    fn reference(&self, text: &str) -> Result<Reference> {
        let reference: Reference = text.parse()?;
        if reference.model == self.model {
            return Ok(reference);
        }
        let message = format!("this server serves `{}`, not `{}`", self.model, reference.model);
        Err(Fault::usage("BOT-6036", message))
    }
}

/// Reads, verifies and tests the model file of `version`.
///
/// # Errors
/// Those of the registry and of the model file; `BOT-6011`.
pub(super) async fn load_version(registry: &Registry, version: Version) -> Result<Served> {
    let bytes = registry.file(&version, "model.botops").await?;
    let digest = Digest::of(&bytes);
    let (reference, manifest) = (version.reference(), version.manifest_digest);
    // Parsing and testing take milliseconds of CPU, so they do not run on a thread that answers requests.
    tokio::task::spawn_blocking(move || {
        let model = Arc::new(IntentModel::from_bytes(&bytes)?);
        Served::prepare(model, digest, reference, Some(manifest), Some(version))
    })
    .await
    .map_err(|_| Fault::internal("BOT-6018", "the model could not be loaded: loading panicked"))?
}

#[async_trait]
impl VersionSource for RegistrySource {
    async fn load(&self, manifest: &Digest) -> Result<Served> {
        let reference: Reference = format!("{}@{manifest}", self.model).parse()?;
        let version = self.registry.resolve(&reference).await?;
        load_version(&self.registry, version).await
    }

    fn check_log(&self) -> Result<()> {
        match &self.damage {
            None => Ok(()),
            Some((code, problem)) => {
                Err(Fault::of_code(code, format!("the deployment log is damaged: {problem}"))
                    .hint("see all problems: `botops registry verify`")
                    .hint("restore the entry from a backup, then restart the server"))
            }
        }
    }

    async fn record(&self, mut deployment: Deployment) -> Result<()> {
        self.check_log()?;
        deployment.writer = Some(self.writer.clone());
        deployment.admin.clone_from(&self.admin);
        let mut last = self.last.lock().await;
        loop {
            match self.log.append(last.as_ref(), deployment.clone()).await? {
                Appended::Written(entry) => {
                    *last = Some(entry);
                    return Ok(());
                }
                Appended::Conflict => {
                    for entry in self.entries_after(last.as_ref()).await? {
                        if entry.payload.writer.as_ref() == Some(&self.writer) {
                            // An append of this server that seemed to fail: of this entry, or of an
                            // earlier one that has been decided again since.
                            let done = botops_registry::Deployment::from(deployment.clone())
                                == entry.payload.clone().into();
                            *last = Some(entry);
                            if done {
                                return Ok(());
                            }
                        } else if self.is_by_another(&entry) {
                            return Err(driven_elsewhere(&entry));
                        } else {
                            // An entry of another model: this one goes after it.
                            *last = Some(entry);
                        }
                    }
                }
            }
        }
    }

    async fn promote(&self, version: &Served, expected: Digest, act: &Act) -> Result<()> {
        let version = version.version.as_ref().expect("a model of a registry has its version");
        let promoted = match self.registry.prepare_promotion(version, Some(expected)).await {
            Ok(moved) => self.move_champion(moved, act).await,
            Err(fault) => Err(fault),
        };
        let now = self.registry.alias(&self.model, CHAMPION).await?;
        match now {
            Some(now) if now.manifest_digest == version.manifest_digest => Ok(()),
            _ => Err(promoted.err().unwrap_or_else(|| {
                Fault::conflict(
                    "BOT-6026",
                    format!("`champion` of `{}` was moved again in the meantime", self.model),
                )
            })),
        }
    }

    async fn champion(&self) -> Result<Option<Digest>> {
        let champion = self.registry.alias(&self.model, CHAMPION).await?;
        Ok(champion.map(|version| version.manifest_digest))
    }

    async fn objection(&self, champion: &Digest) -> Result<Option<Fault>> {
        self.registry.champion_objection(&self.model, champion).await
    }

    async fn find(&self, reference: Option<&str>, current: &Digest) -> Result<Version> {
        match reference {
            Some(reference) => self.registry.resolve(&self.reference(reference)?).await,
            None => {
                let before = self.registry.champion_before(&self.model, current).await?;
                before.ok_or_else(|| no_champion_before(&self.model))
            }
        }
    }

    async fn admit(&self, version: &Version) -> Result<()> {
        self.registry.proof(version).await.map(drop)
    }

    async fn former(&self, reference: Option<&str>, current: &Digest) -> Result<Digest> {
        let former = match reference {
            Some(reference) => self.registry.former_champion(&self.reference(reference)?).await?,
            None => {
                let before = self.registry.previous_champion(&self.model, current).await?;
                before.ok_or_else(|| no_champion_before(&self.model))?
            }
        };
        Ok(former.manifest())
    }

    async fn go_back(&self, to: &Digest, expected: Digest, act: &Act) -> Result<()> {
        let reference = self.reference(&format!("{}@{to}", self.model))?;
        let former = self.registry.former_champion(&reference).await?;
        self.move_champion(ChampionMove::back(&former, Some(expected)), act).await
    }

    async fn beat(&self) -> Result<()> {
        self.presence.beat().await
    }

    async fn others(&self) -> Result<Vec<Sign>> {
        self.presence.others().await
    }

    async fn is_forgotten(&self) -> Result<bool> {
        self.presence.is_forgotten().await
    }

    async fn is_overtaken(&self) -> Result<bool> {
        if self.damage.is_some() {
            return Ok(false);
        }
        let last = self.last.lock().await;
        let entries = self.entries_after(last.as_ref()).await?;
        Ok(entries.iter().any(|entry| self.is_by_another(entry)))
    }

    async fn forget(&self, id: &str) -> Result<()> {
        self.presence.forget(id).await
    }

    async fn leave(&self) -> Result<()> {
        self.presence.leave().await
    }

    async fn newer(&self) -> Result<Vec<Deployment>> {
        if self.damage.is_some() {
            return Ok(Vec::new());
        }
        let mut last = self.last.lock().await;
        let entries = self.entries_after(last.as_ref()).await?;
        if let Some(newest) = entries.last() {
            *last = Some(newest.clone());
        }
        let by_others = entries.into_iter().filter(|entry| self.is_by_another(entry));
        Ok(by_others.map(|entry| entry.payload).collect())
    }
}

/// The two sides of a rehearsal. Nothing is recorded.
pub(super) struct RehearsalSource {
    /// The model's name.
    pub(super) model: String,
    /// The challenger.
    pub(super) challenger: Side,
}

impl RehearsalSource {
    /// Makes one side ready to answer.
    ///
    /// # Errors
    /// `BOT-6011`.
    pub(super) fn prepare(model: &str, side: &Side) -> Result<Served> {
        Served::prepare(
            Arc::clone(&side.model),
            side.digest,
            format!("{model}@{}", side.manifest),
            Some(side.manifest),
            None,
        )
    }
}

#[async_trait]
impl VersionSource for RehearsalSource {
    async fn load(&self, _: &Digest) -> Result<Served> {
        Self::prepare(&self.model, &self.challenger)
    }

    async fn record(&self, _: Deployment) -> Result<()> {
        Ok(())
    }

    async fn promote(&self, _: &Served, _: Digest, _: &Act) -> Result<()> {
        Ok(())
    }

    async fn champion(&self) -> Result<Option<Digest>> {
        Ok(None)
    }

    async fn objection(&self, _: &Digest) -> Result<Option<Fault>> {
        Ok(None)
    }

    async fn find(&self, _: Option<&str>, _: &Digest) -> Result<Version> {
        Err(no_rollouts("a rehearsal"))
    }

    async fn admit(&self, _: &Version) -> Result<()> {
        Err(no_rollouts("a rehearsal"))
    }

    async fn former(&self, _: Option<&str>, _: &Digest) -> Result<Digest> {
        Err(no_rollouts("a rehearsal"))
    }

    async fn go_back(&self, _: &Digest, _: Digest, _: &Act) -> Result<()> {
        Err(no_rollouts("a rehearsal"))
    }
}

/// The fault of a rollback without an earlier champion.
fn no_champion_before(model: &str) -> Fault {
    Fault::usage("BOT-6024", format!("`{model}` had no other champion before this one"))
        .hint(format!("see the versions and their history: `botops registry log {model}`"))
}

/// The fault of an entry that another server wrote.
fn driven_elsewhere(other: &Entry<Deployment>) -> Fault {
    Fault::conflict(
        "BOT-6026",
        format!(
            "another server controls the traffic of `{}`: `{}` wrote entry {} of its log at {}",
            other.payload.model,
            other.payload.actor,
            other.seq,
            other.payload.at.to_rfc3339(),
        ),
    )
    .hint("run one server per environment, or start this one with `--environment`")
}

/// The fault of a rollout request to `server`, which has no rollouts.
pub(super) fn no_rollouts(server: &str) -> Fault {
    no_rollouts_of(server, "MODEL")
}

/// As [`no_rollouts`], for a server of a version of `model`.
pub(super) fn no_rollouts_of(server: &str, model: &str) -> Fault {
    Fault::conflict("BOT-6023", format!("{server} has no rollouts")).hint(format!(
        "serve the champion of a registry: `{}`",
        shell_line(["botops", "serve", model])
    ))
}

#[cfg(test)]
mod tests;
