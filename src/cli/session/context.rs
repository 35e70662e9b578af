//! What verbs share: settings, stores, the runtime, the clock.

use crate::cli::{Global, Printer, terminal::progress::Training};
use botops_experiments::Experiments;
use botops_features::Hub;
use botops_files::AtomicFile;
use botops_findings::{Fault, Result};
use botops_models::ModelSpec;
use botops_pipelines::{Encoders, Equipment};
use botops_registry::{Act, Registry};
use botops_store::Store;
use botops_workspace::{Overrides, Workspace};
use chrono::{DateTime, Utc};
use std::{
    cell::OnceCell,
    fs,
    future::Future,
    path::{Path, PathBuf},
};

/// Everything a verb needs besides its own arguments; each part is made when first asked for.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) printer: Printer,
    workspace: OnceCell<Workspace>,
    runtime: OnceCell<tokio::runtime::Runtime>,
}

impl Context {
    pub(crate) fn new(global: Global, printer: Printer) -> Self {
        Self { global, printer, workspace: OnceCell::new(), runtime: OnceCell::new() }
    }

    /// Returns the settings in force.
    pub(crate) fn workspace(&self) -> Result<&Workspace> {
        if let Some(workspace) = self.workspace.get() {
            return Ok(workspace);
        }
        let mut flags = Vec::new();
        let named = [
            ("registry", &self.global.registry),
            ("experiments", &self.global.experiments),
            ("actor", &self.global.actor),
        ];
        for (name, flag) in named {
            if let Some(value) = flag {
                flags.push((name, value.clone()));
            }
        }
        let overrides = Overrides {
            profile: self.global.profile.clone(),
            flags,
            environment: environment_variables(),
        };
        let workspace = Workspace::discover(&current_folder()?, &overrides)?;
        Ok(self.workspace.get_or_init(|| workspace))
    }

    /// Opens the registry in force.
    pub(crate) fn registry(&self) -> Result<Registry> {
        Ok(Registry::open(self.store(&self.workspace()?.registry.value)?))
    }

    /// Opens the experiments in force.
    pub(crate) fn experiments(&self) -> Result<Experiments> {
        Ok(Experiments::open(self.store(&self.workspace()?.experiments.value)?))
    }

    /// Opens the store at `location` with the process's `AWS_*` variables; an empty one counts as unset, as CI leaves
    /// them where a secret is not there.
    pub(crate) fn store(&self, location: &str) -> Result<Store> {
        let mut environment = environment_variables();
        environment.retain(|name, value| name.starts_with("AWS_") && !value.is_empty());
        Store::open(location, &environment)
    }

    /// Returns where encoders come from: folders, and the hub of `HF_ENDPOINT` with the token of `HF_TOKEN`, which is not
    /// asked for anything where `HF_HUB_OFFLINE` is set.
    pub(crate) fn encoders(&self) -> Result<Encoders> {
        let root = &self.workspace()?.root;
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let offline = set("HF_HUB_OFFLINE").is_some_and(|value| {
            !["0", "false", "no", "off"].contains(&value.trim().to_lowercase().as_str())
        });
        let caches = root.join(".botops");
        let endpoint = set("HF_ENDPOINT");
        let hub = Hub::new(caches.join("encoders"), endpoint.as_deref(), set("HF_TOKEN"), offline);
        Ok(Encoders::new(root.clone(), hub, caches.join("embeddings")))
    }

    /// Finds and reads what trainings by `spec` need besides records.
    pub(crate) fn equipment(&self, spec: &ModelSpec) -> Result<Equipment> {
        if spec.features.encoder.is_none() {
            spec.check()?;
            return Ok(Equipment::default());
        }
        let encoders = self.encoders()?;
        self.wait(encoders.prepare(spec, &Training::new(&self.printer)))?
    }

    /// Returns who acts now, and why.
    pub(crate) fn act(&self, reason: impl Into<String>) -> Result<Act> {
        Ok(Act { actor: self.workspace()?.actor.value.clone(), reason: reason.into(), at: now()? })
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
        Ok(self.runtime.get().expect("the runtime was just set").block_on(future))
    }
}

/// Returns the time: `SOURCE_DATE_EPOCH` (seconds since 1970) when set, so that what is written can be reproduced; else now.
pub(crate) fn now() -> Result<DateTime<Utc>> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            text.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or_else(
                || {
                    Fault::usage(
                        "BOT-1004",
                        format!("`SOURCE_DATE_EPOCH` is `{text}`, not a number of seconds"),
                    )
                    .hint("unset SOURCE_DATE_EPOCH")
                },
            )
        }
        Err(_) => Ok(Utc::now()),
    }
}

/// Returns the environment, as far as it is text.
fn environment_variables() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Returns the current folder.
pub(crate) fn current_folder() -> Result<std::path::PathBuf> {
    std::env::current_dir().map_err(|error| {
        Fault::internal("BOT-9001", "the current folder cannot be read").caused_by(error)
    })
}

/// Returns an I/O error in plain words.
pub(crate) fn plain(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// Refuses an output that is also an input: what is read is never written over.
pub(crate) fn distinct(output: Option<&Path>, inputs: &[Option<&Path>]) -> Result<()> {
    let Some(output) = output else { return Ok(()) };
    let Ok(real) = output.canonicalize() else { return Ok(()) };
    let clash =
        inputs.iter().flatten().any(|input| input.canonicalize().is_ok_and(|input| input == real));
    if clash {
        return Err(Fault::usage(
            "BOT-1009",
            format!("`{}` is read, so it cannot be written as well", output.display()),
        )
        .file(output)
        .hint("name another file to write"));
    }
    Ok(())
}

/// Refuses outputs that are also inputs, and two outputs that go to one file. What is no regular file, such as
/// `/dev/null`, takes several.
pub(crate) fn distinct_outputs(outputs: &[Option<&Path>], inputs: &[Option<&Path>]) -> Result<()> {
    let mut taken: Vec<PathBuf> = Vec::new();
    for output in outputs.iter().flatten() {
        distinct(Some(output), inputs)?;
        let Some(place) = place_of(output) else { continue };
        if taken.contains(&place) {
            let message =
                format!("two outputs cannot go to one file, and both go to `{}`", output.display());
            return Err(Fault::usage("BOT-1009", message)
                .file(output)
                .hint("name another file for one of them"));
        }
        taken.push(place);
    }
    Ok(())
}

/// Returns where what is written to `path` goes, if that is a regular file, also when it is not there yet.
fn place_of(path: &Path) -> Option<PathBuf> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return None;
    }
    let real = std::path::absolute(botops_files::resolve_links(path).ok()?).ok()?;
    let folder = real.parent()?;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Some(folder.join(real.file_name()?))
}

/// Refuses to write `bytes` over a file with anything else in it, which somebody may have edited, unless `force` is given.
pub(crate) fn unedited(path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    if force || !path.is_file() {
        return Ok(());
    }
    match fs::read(path) {
        Ok(there) if there.is_empty() || there == bytes => Ok(()),
        _ => Err(there_already(path)),
    }
}

/// The fault of writing over a file that somebody may have edited.
pub(crate) fn there_already(path: &Path) -> Fault {
    Fault::usage("BOT-2219", format!("`{}` is there already", path.display()))
        .file(path)
        .hint("name another file, or add `--force` to replace it")
}

/// Writes `bytes` to `path`: aside, synced, then renamed, so that it is complete or absent. A link is followed; a device
/// or pipe is written to as it is.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write(bytes)?;
    file.publish()
}

/// Returns the git commit and whether tracked files differ from it; unknown outside a repository.
pub(crate) fn code_state() -> botops_experiments::CodeState {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .args(arguments)
            .stderr(std::process::Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    botops_experiments::CodeState {
        git_commit: git(&["rev-parse", "HEAD"]),
        git_dirty: git(&["status", "--porcelain", "--untracked-files=no"])
            .map(|changes| !changes.is_empty()),
    }
}

/// Returns the machine this runs on.
pub(crate) fn environment() -> botops_experiments::Environment {
    botops_experiments::Environment {
        botops: env!("CARGO_PKG_VERSION").to_owned(),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
        ci: std::env::var_os("CI").is_some(),
    }
}
