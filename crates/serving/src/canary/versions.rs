//! The source of versions: a registry, or the two sides of a rehearsal.

use crate::{KnowledgeFile, Side, outgoing::Outgoing, routing::Served};
use async_trait::async_trait;
use botops_access::Policy;
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result};
use botops_models::IntentModel;
use botops_registry::{
    ChampionMove, Environment, FormerChampion, Reference, Registry, Version, knowledge_path,
};
use botops_rollout::RolloutPolicy;
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use std::{sync::Arc, time::Duration};

/// The longest time of a small request with its retries.
const REQUEST: Duration = Duration::from_secs(8);
/// The longest time of the download and the self-test of a model.
const LOAD: Duration = Duration::from_secs(120);

/// A source of versions. Every answer comes in bounded time.
#[async_trait]
pub(crate) trait Versions: Send + Sync {
    /// Loads a version, verified and self-tested.
    async fn load(&self, manifest: &Digest) -> Result<Served>;
    /// Finds the version of `reference`.
    async fn find(&self, reference: &str) -> Result<Version>;
    /// Checks that `version` may get traffic: it has the evidence that its promotion will need.
    async fn admit(&self, version: &Version) -> Result<()>;
    /// Checks that a rollout of `version` by `plan` may start at `at`: the environment is not frozen, and its policy allows
    /// it. Returns the plan with the approvals that the policy demands, and the rules that it only warns of.
    async fn permit(
        &self,
        _version: &Version,
        plan: RolloutPolicy,
        _at: DateTime<Utc>,
    ) -> Result<(RolloutPolicy, Vec<Finding>)> {
        Ok((plan, Vec::new()))
    }
    /// Reads the policy that `environment` names.
    async fn policy(&self, _environment: &Environment) -> Result<Option<Policy>> {
        Ok(None)
    }
    /// Checks that the policy of the environment lets `name` approve.
    async fn check_approver(&self, _name: &str) -> Result<()> {
        Ok(())
    }
    /// Returns the move that makes `challenger` champion after `from`, and stores the evidence behind it; `None` in a
    /// rehearsal, which moves nothing.
    async fn promotion(&self, challenger: &Digest, from: Digest) -> Result<Option<ChampionMove>>;
    /// Returns the former champion that `reference` names; without one, the champion before `current`.
    async fn former(&self, reference: Option<&str>, current: &Digest) -> Result<FormerChampion>;
    /// Returns why the version with this manifest may not serve as champion, although the log says so; `None` if it may.
    async fn objection(&self, champion: &Digest) -> Result<Option<Fault>>;
    /// Returns why the version with this manifest was withdrawn; `None` if it was not.
    async fn withdrawn(&self, manifest: &Digest) -> Result<Option<String>>;
}

/// A model of a registry, in the environment of that registry.
pub(crate) struct RegistryVersions {
    registry: Registry,
    model: String,
    outgoing: Arc<Outgoing>,
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let message = format!("the store did not answer within {} s", limit.as_secs());
        Err(Fault::unreachable("BOT-5003", message).hint("check the disk or the network"))
    })
}

/// Reads, verifies and tests the model file and the knowledge of `version`.
///
/// # Errors
/// Those of the registry, of the model file and of the knowledge files; `BOT-6011`; `BOT-6176`; `BOT-6151` its dialogue calls an address that is not allowed.
pub(crate) async fn load_version(
    registry: &Registry,
    version: Version,
    outgoing: &Arc<Outgoing>,
) -> Result<Served> {
    let outgoing = Arc::clone(outgoing);
    let bytes = registry.file(&version, "model.botops").await?;
    let digest = Digest::of(&bytes);
    let (reference, manifest) = (version.reference(), version.manifest_digest);
    let files = knowledge_files(registry, &version).await?;
    // Parsing and testing take milliseconds of CPU, so they do not run on a thread that answers requests.
    tokio::task::spawn_blocking(move || {
        let model = Arc::new(IntentModel::from_bytes(&bytes)?);
        outgoing.check(model.dialogue())?;
        Served::prepare(model, digest, reference, Some(manifest), Some(version))?
            .with_knowledge(&files)
    })
    .await
    .map_err(|_| Fault::internal("BOT-6018", "the model could not be loaded: loading panicked"))?
}

/// Reads the knowledge of `version`, in the order of the names.
///
/// # Errors
/// Those of the registry.
pub async fn knowledge_files(registry: &Registry, version: &Version) -> Result<Vec<KnowledgeFile>> {
    let mut files = Vec::new();
    for (name, _) in version.knowledge() {
        let path = knowledge_path(&name);
        let bytes = registry.file(version, &path).await?;
        files.push(KnowledgeFile { name: path, bytes });
    }
    Ok(files)
}

impl RegistryVersions {
    /// Makes the source of `model`.
    pub(crate) fn new(registry: Registry, model: &str, outgoing: Arc<Outgoing>) -> Self {
        Self { registry, model: model.to_owned(), outgoing }
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

    async fn of_manifest(&self, manifest: &Digest) -> Result<Version> {
        let reference: Reference = format!("{}@{manifest}", self.model).parse()?;
        self.registry.resolve(&reference).await
    }
}

#[async_trait]
impl Versions for RegistryVersions {
    async fn load(&self, manifest: &Digest) -> Result<Served> {
        within(LOAD, async {
            let version = self.of_manifest(manifest).await?;
            load_version(&self.registry, version, &self.outgoing).await
        })
        .await
    }

    async fn find(&self, reference: &str) -> Result<Version> {
        within(REQUEST, async { self.registry.resolve(&self.reference(reference)?).await }).await
    }

    async fn admit(&self, version: &Version) -> Result<()> {
        within(REQUEST, self.registry.proof(version)).await.map(drop)
    }

    async fn permit(
        &self,
        version: &Version,
        plan: RolloutPolicy,
        at: DateTime<Utc>,
    ) -> Result<(RolloutPolicy, Vec<Finding>)> {
        within(REQUEST, async {
            let warnings = self.registry.admit(version, None, Some(&plan), at).await?;
            let plan = match self.registry.policy().await? {
                Some(policy) => policy.with_approvals(plan),
                None => plan,
            };
            Ok((plan, warnings))
        })
        .await
    }

    async fn policy(&self, environment: &Environment) -> Result<Option<Policy>> {
        within(REQUEST, self.registry.policy_of(environment)).await
    }

    async fn check_approver(&self, name: &str) -> Result<()> {
        match within(REQUEST, self.registry.policy()).await? {
            Some(policy) if !policy.may_approve(name) => {
                let name = botops_text::display(name, 80);
                let message = format!("the policy does not let `{name}` approve");
                Err(Fault::policy("BOT-6055", message)
                    .hint("ask one of its `approvals.approvers`: `botops policy explain`"))
            }
            _ => Ok(()),
        }
    }

    async fn promotion(&self, challenger: &Digest, from: Digest) -> Result<Option<ChampionMove>> {
        within(REQUEST, async {
            let version = self.of_manifest(challenger).await?;
            self.registry.prepare_promotion(&version, Some(from)).await.map(Some)
        })
        .await
    }

    async fn former(&self, reference: Option<&str>, current: &Digest) -> Result<FormerChampion> {
        within(REQUEST, async {
            match reference {
                Some(reference) => self.registry.former_champion(&self.reference(reference)?).await,
                None => {
                    let before = self.registry.previous_champion(&self.model, current).await?;
                    before.ok_or_else(|| no_champion_before(&self.model))
                }
            }
        })
        .await
    }

    async fn objection(&self, champion: &Digest) -> Result<Option<Fault>> {
        within(REQUEST, self.registry.champion_objection(&self.model, champion)).await
    }

    async fn withdrawn(&self, manifest: &Digest) -> Result<Option<String>> {
        let refused = within(REQUEST, self.registry.refuse_yanked(&self.model, manifest)).await;
        match refused {
            Ok(()) => Ok(None),
            Err(fault) if fault.code() == "BOT-5022" => Ok(Some(fault.message().to_owned())),
            Err(fault) => Err(fault),
        }
    }
}

/// The two sides of a rehearsal.
pub(crate) struct RehearsedVersions {
    /// The model's name.
    pub(crate) model: String,
    /// The challenger.
    pub(crate) challenger: Side,
}

impl RehearsedVersions {
    /// Makes one side ready to answer, with its knowledge.
    ///
    /// # Errors
    /// `BOT-6011`; `BOT-6176`; those of a knowledge file.
    pub(crate) fn prepare(model: &str, side: &Side) -> Result<Served> {
        Served::prepare(
            Arc::clone(&side.model),
            side.digest,
            format!("{model}@{}", side.manifest),
            Some(side.manifest),
            None,
        )?
        .with_knowledge(&side.knowledge)
    }
}

#[async_trait]
impl Versions for RehearsedVersions {
    async fn load(&self, _: &Digest) -> Result<Served> {
        Self::prepare(&self.model, &self.challenger)
    }

    async fn find(&self, _: &str) -> Result<Version> {
        Err(no_rollouts("a rehearsal"))
    }

    async fn admit(&self, _: &Version) -> Result<()> {
        Err(no_rollouts("a rehearsal"))
    }

    async fn promotion(&self, _: &Digest, _: Digest) -> Result<Option<ChampionMove>> {
        Ok(None)
    }

    async fn former(&self, _: Option<&str>, _: &Digest) -> Result<FormerChampion> {
        Err(no_rollouts("a rehearsal"))
    }

    async fn objection(&self, _: &Digest) -> Result<Option<Fault>> {
        Ok(None)
    }

    async fn withdrawn(&self, _: &Digest) -> Result<Option<String>> {
        Ok(None)
    }
}

/// The fault of a rollback without an earlier champion.
fn no_champion_before(model: &str) -> Fault {
    Fault::usage("BOT-6024", format!("`{model}` had no other champion before this one"))
        .hint(format!("see the versions and their history: `botops registry log {model}`"))
}

/// The fault of a rollout request to `server`, which has no rollouts.
pub(crate) fn no_rollouts(server: &str) -> Fault {
    no_rollouts_of(server, "MODEL")
}

/// As [`no_rollouts`], for a server of a version of `model`.
pub(crate) fn no_rollouts_of(server: &str, model: &str) -> Fault {
    Fault::conflict("BOT-6023", format!("{server} has no rollouts")).hint(format!(
        "serve the champion of a registry: `{}`",
        shell_line(["botops", "serve", model])
    ))
}
