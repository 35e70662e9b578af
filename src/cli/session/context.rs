//! The context of a verb: settings, stores, encoders, the runtime.

use super::{claimed, provenance};
use crate::cli::{
    global::Global,
    terminal::{printer::Printer, progress::Training},
};
use botops_access::Identity;
use botops_experiments::Experiments;
use botops_features::{Encoder, EncoderSpec, Hub, HubSource};
use botops_findings::{Fault, Finding, Result};
use botops_http::PlainHttp;
use botops_knowledge::store::KnowledgeStore;
use botops_models::ModelSpec;
use botops_monitoring::heartbeats;
use botops_pipelines::{Encoders, Equipment};
use botops_registry::{Act, Registry, check_author};
use botops_serving::AdminClient;
use botops_snapshots::Snapshots;
use botops_spec::Spec as _;
use botops_store::Store;
use botops_workspace::{Origin, Overrides, Workspace};
use std::{
    cell::{Cell, OnceCell},
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The time that work in the background has to end when the program ends.
const END: Duration = Duration::from_secs(1);
/// The longest time that a verb spends on looking for overdue runs.
const OVERDUE_PATIENCE: Duration = Duration::from_millis(500);

/// The most word pieces of a passage that an encoder reads; the rest is cut off.
const PASSAGE_PIECES: usize = 256;

/// Everything that a verb needs besides its own arguments; each part is made on first use.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) printer: Printer,
    workspace: OnceCell<Workspace>,
    runtime: OnceCell<tokio::runtime::Runtime>,
    /// Whether the verb opened the store of the registry.
    has_store: Cell<bool>,
}

impl Context {
    pub(crate) fn new(global: Global, printer: Printer) -> Self {
        Self {
            global,
            printer,
            workspace: OnceCell::new(),
            runtime: OnceCell::new(),
            has_store: Cell::new(false),
        }
    }

    /// Returns the settings in force.
    pub(crate) fn workspace(&self) -> Result<&Workspace> {
        if let Some(workspace) = self.workspace.get() {
            return Ok(workspace);
        }
        let workspace = Workspace::discover(&current_folder()?, &self.overrides())?;
        Ok(self.workspace.get_or_init(|| workspace))
    }

    /// Returns the settings of the workspace that the file at `path` belongs to, such as a pipeline. From now on they are in
    /// force.
    pub(crate) fn workspace_of(&self, path: &Path) -> Result<&Workspace> {
        let workspace = Workspace::discover_of_file(path, &current_folder()?, &self.overrides())?;
        Ok(self.workspace.get_or_init(|| workspace))
    }

    /// Returns the flags and the environment variables that decide on settings.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut flags = Vec::new();
        let named = [
            ("registry", &self.global.registry),
            ("experiments", &self.global.experiments),
            ("environment", &self.global.environment),
            ("actor", &self.global.actor),
        ];
        for (name, flag) in named {
            if let Some(value) = flag {
                flags.push((name, value.clone()));
            }
        }
        Overrides {
            profile: self.global.profile.clone(),
            flags,
            environment: environment_variables(),
        }
    }

    /// Opens the registry in force, in the environment in force.
    pub(crate) fn registry(&self) -> Result<Registry> {
        let workspace = self.workspace()?;
        Registry::open(self.store(&workspace.registry.value)?)
            .in_environment(&workspace.environment.value)
    }

    /// Opens the experiments in force.
    pub(crate) fn experiments(&self) -> Result<Experiments> {
        Ok(Experiments::open(self.store(&self.workspace()?.experiments.value)?))
    }

    /// Opens the store at `location` with the `AWS_*` variables of the process, and the home folder, in which the AWS
    /// profiles are; an empty variable counts as unset,
    /// because CI sets a missing secret to an empty string.
    pub(crate) fn store(&self, location: &str) -> Result<Store> {
        let mut environment = environment_variables();
        let is_for_stores =
            |name: &str| name.starts_with("AWS_") || ["HOME", "USERPROFILE"].contains(&name);
        environment.retain(|name, value| is_for_stores(name) && !value.is_empty());
        if self.workspace.get().is_some_and(|it| it.registry.value == location) {
            self.has_store.set(true);
        }
        Store::open(location, &environment)
    }

    /// Returns the warnings of scheduled runs that are overdue, if the verb opened the store of the registry. A store that
    /// does not answer at once is not waited for.
    pub(crate) fn overdue_runs(&self) -> Vec<Finding> {
        let found = || {
            let workspace = self.workspace.get().filter(|_| self.has_store.get())?;
            let store = self.store(&workspace.registry.value).ok()?;
            let now = provenance::now().ok()?;
            let listed = async {
                let listing = heartbeats(&store, &workspace.environment.value, now);
                tokio::time::timeout(OVERDUE_PATIENCE, listing).await
            };
            let listed = self.wait(listed).ok()?.ok()?.ok()?;
            Some(listed.iter().filter_map(|heartbeat| heartbeat.overdue(now)).collect())
        };
        found().unwrap_or_default()
    }

    /// Returns the servers to which a secret may be sent over `http://`.
    pub(crate) fn plain_http(&self) -> PlainHttp {
        if self.global.insecure { PlainHttp::Anywhere } else { PlainHttp::Loopback }
    }

    /// Makes a client of the admin API at `url`, with the token in force.
    pub(crate) fn admin_client(&self, url: &str) -> Result<AdminClient> {
        let token = self.workspace()?.admin_token.value.resolve()?;
        AdminClient::over(self.plain_http(), url, token.as_ref())
    }

    /// Returns the sources of encoders: folders, and the hub at `HF_ENDPOINT` with the token in `HF_TOKEN`. With
    /// `HF_HUB_OFFLINE` set, nothing is downloaded.
    pub(crate) fn encoders(&self) -> Result<Encoders> {
        let root = &self.workspace()?.root;
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let offline = set("HF_HUB_OFFLINE").is_some_and(|value| {
            !["0", "false", "no", "off"].contains(&value.trim().to_lowercase().as_str())
        });
        let caches = root.join(".botops");
        let endpoint = set("HF_ENDPOINT");
        let hub = Hub::new(caches.join("encoders"), endpoint.as_deref(), set("HF_TOKEN"), offline)
            .over(self.plain_http());
        Ok(Encoders::new(root.clone(), hub, caches.join("embeddings")))
    }

    /// Finds and reads the resources that a training by `spec` needs besides records.
    pub(crate) fn equipment(&self, spec: &ModelSpec) -> Result<Equipment> {
        if spec.features.encoder.is_none() {
            spec.check_ranges()?;
            return Ok(Equipment::default());
        }
        let encoders = self.encoders()?;
        self.wait(encoders.prepare(spec, &Training::new(&self.printer)))?
    }

    /// Returns the actor, the reason and the time, for the audit trail.
    pub(crate) fn act(&self, reason: impl Into<String>) -> Result<Act> {
        let (actor, reason) = (self.workspace()?.actor.value.clone(), reason.into());
        check_author(&actor, &reason)?;
        Ok(Act { actor, by: self.claimed()?, reason, at: provenance::now()? })
    }

    /// Returns who a command on bare storage says it is: the job of CI or `user@host`, and the actor that the user named.
    pub(crate) fn claimed(&self) -> Result<Identity> {
        let variables = environment_variables();
        let actor = &self.workspace()?.actor;
        let is_named = match &actor.origin {
            Origin::Default => false,
            Origin::Environment(name) => name == "BOTOPS_ACTOR",
            Origin::File(_) | Origin::Profile(_) | Origin::Flag(_) => true,
        };
        let host = claimed::host(&variables);
        let actor = is_named.then_some(actor.value.as_str());
        Ok(claimed::claimed(&variables, host.as_deref(), actor))
    }

    /// Opens the data sets of the registry in force.
    pub(crate) fn snapshots(&self) -> Result<Snapshots> {
        Ok(Snapshots::open(self.registry()?.store().clone()))
    }

    /// Opens the knowledge bases of the registry in force.
    pub(crate) fn knowledge(&self) -> Result<KnowledgeStore> {
        Ok(KnowledgeStore::open(self.registry()?.store().clone()))
    }

    /// Reads the encoder of passages at `source`, a folder relative to the current one or `hf://owner/name`. Returns it with its source
    /// as settings write it: relative to the root of the workspace.
    pub(crate) fn passage_encoder(&self, source: &str) -> Result<(String, Arc<Encoder>)> {
        let source = self.encoder_source(source)?;
        let spec = EncoderSpec { max_tokens: PASSAGE_PIECES, ..EncoderSpec::new(&source) };
        let encoders = self.encoders()?;
        let encoder = self.wait(encoders.encoder(&spec, &Training::new(&self.printer)))??;
        Ok((source, Arc::new(encoder)))
    }

    /// Returns the source of an encoder relative to the root of the workspace, as a spec has it; the command line gives it
    /// relative to the current folder.
    pub(crate) fn encoder_source(&self, source: &str) -> Result<String> {
        let path = Path::new(source);
        if HubSource::is_hub_source(source) || path.is_absolute() {
            return Ok(source.to_owned());
        }
        let full = current_folder()?.join(path);
        let path = full.strip_prefix(&self.workspace()?.root).unwrap_or(&full);
        Ok(path.display().to_string())
    }

    /// Runs `future` to its end.
    pub(crate) fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        if self.runtime.get().is_none() {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| {
                    Fault::internal("BOT-9001", "the asynchronous runtime could not be started")
                        .caused_by(error)
                })?;
            let _ = self.runtime.set(runtime);
        }
        Ok(self.runtime.get().expect("the runtime is set above").block_on(future))
    }
}

impl Drop for Context {
    /// Ends the runtime without waiting for a read of a disk that hangs.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(END);
        }
    }
}

/// Returns the environment variables; those that are not UTF-8 are skipped.
fn environment_variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Returns the current folder.
pub(crate) fn current_folder() -> Result<PathBuf> {
    std::env::current_dir().map_err(|error| {
        Fault::internal("BOT-9001", "the current folder cannot be read").caused_by(error)
    })
}
