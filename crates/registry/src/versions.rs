//! Registration and resolution of versions.

use super::{
    Act, Action, CHAMPION, Champions, DEFAULT_ENVIRONMENT, Event, GATE_FILE, MODEL_FILE, Manifest,
    Reference, Registration, Registry, Selector, Version, knowledge_files, reference::is_name,
    standing::Standing, state::State,
};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::PassedGates;
use botops_findings::{Fault, Result};
use botops_spec as spec;
use botops_store::{Entry, SWEEP_PATIENCE, blob_path};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

const SCHEMA: &str = "botops.model/1";
/// Objects that are read or written at a time.
const CONCURRENT_OBJECTS: usize = 8;

impl Registry {
    /// Returns the names of the models, sorted.
    ///
    /// # Errors
    /// Those of the store, as in all methods below.
    pub async fn models(&self) -> Result<Vec<String>> {
        let folders = self.store.folders("models").await?;
        futures::stream::iter(folders)
            .map(|model| async move {
                // A folder whose first entry was never completed is not a model.
                let empty = !is_name(&model) || self.log(&model).is_empty().await?;
                Ok((!empty).then_some(model))
            })
            .buffered(CONCURRENT_OBJECTS)
            .try_filter_map(async |model| Ok(model))
            .try_collect()
            .await
    }

    /// Returns the versions of a model, by number. Their aliases have the names of the other environments whose champion
    /// they are.
    ///
    /// # Errors
    /// `BOT-5011` no such model (exit 2).
    pub async fn versions(&self, model: &str) -> Result<Vec<Version>> {
        let known = &self.known(model).await?;
        let mut versions: Vec<Version> =
            futures::stream::iter(1..=known.state.versions.len() as u64)
                .map(|number| self.load(model, known, number))
                .buffered(CONCURRENT_OBJECTS)
                .try_collect()
                .await?;
        self.name_environments(model, &mut versions).await?;
        Ok(versions)
    }

    /// Resolves a reference.
    ///
    /// # Errors
    /// `BOT-5011` no such model, `BOT-5012` no such version or alias (exit 2, with the nearest name as a hint).
    pub async fn resolve(&self, reference: &Reference) -> Result<Version> {
        let model = &reference.model;
        let known = self.known(model).await?;
        let number = self.number(&known, reference).await?;
        self.load(model, &known, number).await
    }

    /// Returns the version that `alias` points to; `None` if it is not set or the model is unknown. `champion` is the
    /// champion of this environment, and the name of an environment the champion of that one.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` the deployment log is damaged (exit 3).
    pub async fn alias(&self, model: &str, alias: &str) -> Result<Option<Version>> {
        let Some(known) = self.standing(model).await? else { return Ok(None) };
        match self.pointed(model, &known, alias).await? {
            Some(manifest) => self.load_manifest(model, &known, &manifest).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns the champion of `model` in this environment.
    ///
    /// # Errors
    /// Those of [`Self::alias`].
    pub async fn champion(&self, model: &str) -> Result<Option<Version>> {
        self.alias(model, CHAMPION).await
    }

    /// Returns the manifest that `alias` points to. The champion of an environment comes before a free alias of its name,
    /// which older versions of botops may have set.
    async fn pointed(&self, model: &str, known: &Standing, alias: &str) -> Result<Option<Digest>> {
        let name = if alias == CHAMPION { &*self.environment } else { alias };
        let champion = match known.damage.is_none() && *name == *self.environment {
            true => known.champions.current(),
            false => self.champions_in(name, model, &known.state).await?.current(),
        };
        let free = || known.state.alias(alias).filter(|_| alias != CHAMPION);
        Ok(champion.or_else(free))
    }

    /// Returns the number of the version that `reference` names.
    pub(super) async fn number(&self, known: &Standing, reference: &Reference) -> Result<u64> {
        let pointed = match &reference.selector {
            Selector::Alias(alias) => self.pointed(&reference.model, known, alias).await?,
            _ => None,
        };
        select(&known.state, reference, pointed, &self.environment)
    }

    /// Returns the log of a model.
    ///
    /// # Errors
    /// `BOT-5011`.
    pub async fn history(&self, model: &str) -> Result<Vec<Entry<Event>>> {
        let entries = if is_name(model) { self.log(model).entries().await? } else { Vec::new() };
        if entries.is_empty() { Err(self.no_model(model).await) } else { Ok(entries) }
    }

    /// Registers a version: stores the files, then the manifest, then the log entry.
    ///
    /// - if the manifest is registered already, its version is returned
    /// - else, if the champion holds the same model file and the same knowledge, the champion is returned: another version of
    ///   it would be canaried against itself, and a rollback would return to the same answers. The same model with other
    ///   documents is a new version
    /// - in both cases no entry is written, and each blob of that version that is missing in the store is written again if
    ///   `files` has its bytes
    ///
    /// The files of the manifest are sorted by path; a file that is not in `files` must be in the store.
    ///
    /// # Errors
    /// `BOT-5013` the model has an invalid name (exit 2); `BOT-5019` manifest and files disagree; `BOT-5004` (exit 1) the
    /// champion holds the same model, and one of its files is missing and not in `files`; those of the store.
    pub async fn register(
        &self,
        mut manifest: Manifest,
        files: Vec<(String, Bytes)>,
        act: &Act,
    ) -> Result<Registration> {
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        let files: BTreeMap<String, Bytes> = files.into_iter().collect();
        self.check(&manifest, &files).await?;
        let model = manifest.model.clone();
        let bytes = Bytes::from(canonical_json(&manifest));
        let digest = Digest::of(&bytes);
        parse(&bytes, &model, &digest, "").map_err(|fault| {
            let message = format!("the manifest could not be read back: {fault}");
            Fault::internal("BOT-5019", message)
        })?;
        let mut blobs: Vec<Bytes> = files.into_values().collect();
        blobs.push(bytes);
        if let Some(version) = self.same_as_champion(&manifest, &digest).await? {
            let known = version.manifest.files.iter().map(|file| file.digest);
            let known: BTreeSet<Digest> = known.chain([version.manifest_digest]).collect();
            blobs.retain(|blob| known.contains(&Digest::of(blob)));
            let restored = self.put_missing(blobs).await?;
            self.check_files(&version).await?;
            return Ok(Registration { version, is_new: false, restored });
        }

        let restored = self.put_missing(blobs.clone()).await?;
        let is_new = AtomicBool::new(false);
        self.commit(&model, |state| {
            let event = || act.event(Action::Registered { manifest: digest });
            let absent = state.number(&digest).is_none();
            is_new.store(absent, Ordering::Relaxed);
            Ok(absent.then(event))
        })
        .await?;
        self.outlast_sweep(blobs).await?;
        let known = self.known(&model).await?;
        let version = self.load_manifest(&model, &known, &digest).await?;
        let is_new = is_new.into_inner();
        Ok(Registration { version, is_new, restored: if is_new { 0 } else { restored } })
    }

    /// Checks that [`Self::register`] would accept the version. Writes nothing.
    ///
    /// # Errors
    /// Those of [`Self::register`].
    pub async fn check_registration(
        &self,
        manifest: &Manifest,
        files: &[(String, Vec<u8>)],
    ) -> Result<()> {
        let files = files.iter().map(|(path, bytes)| (path.clone(), Bytes::from(bytes.clone())));
        self.check(manifest, &files.collect()).await
    }

    /// Returns the digests of the manifests of a model by number, from its log alone; none for an unknown model.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn manifests(&self, model: &str) -> Result<Vec<Digest>> {
        let state = self.state(model).await?.unwrap_or_default();
        Ok(state.versions.iter().map(|version| version.manifest).collect())
    }

    /// Checks that the store has every file of `version`.
    async fn check_files(&self, version: &Version) -> Result<()> {
        for file in &version.manifest.files {
            if !self.store.has_blob(&file.digest).await? {
                let reference = version.reference();
                let message = format!("`{}` of `{reference}` is missing in the store", file.path);
                return Err(Fault::internal("BOT-5004", message)
                    .file(self.store.object_url(&blob_path(&file.digest)))
                    .hint("restore the object from a backup")
                    .hint("see all problems: `botops registry verify`"));
            }
        }
        Ok(())
    }

    /// Waits until no sweep removes blobs, then stores those of `blobs` again that one removed before an entry named them.
    pub(super) async fn outlast_sweep(&self, blobs: Vec<Bytes>) -> Result<()> {
        self.store.outlast_sweeps(SWEEP_PATIENCE).await?;
        self.put_missing(blobs).await.map(drop)
    }

    /// Stores each blob that is missing. Returns how many were.
    async fn put_missing(&self, blobs: Vec<Bytes>) -> Result<u64> {
        let stored: Vec<bool> = futures::stream::iter(blobs)
            .map(|bytes| async move {
                let missing = !self.store.has_blob(&Digest::of(&bytes)).await?;
                self.store.put_blob(bytes).await?;
                Ok::<_, Fault>(missing)
            })
            .buffer_unordered(CONCURRENT_OBJECTS)
            .try_collect()
            .await?;
        Ok(stored.into_iter().filter(|missing| *missing).count() as u64)
    }

    /// Returns the champion if it holds the model file and the knowledge of `manifest`, which is not registered under `digest`.
    async fn same_as_champion(
        &self,
        manifest: &Manifest,
        digest: &Digest,
    ) -> Result<Option<Version>> {
        let Some(known) = self.standing(&manifest.model).await? else { return Ok(None) };
        if known.state.number(digest).is_some() {
            return Ok(None);
        }
        let Some(champion) = self.pointed(&manifest.model, &known, CHAMPION).await? else {
            return Ok(None);
        };
        let champion = self.load_manifest(&manifest.model, &known, &champion).await?;
        Ok(Some(champion).filter(|champion| champion.set() == manifest.set()))
    }

    /// Returns the bytes of a file of a version, verified.
    ///
    /// # Errors
    /// `BOT-5018` no such file (exit 2); those of the store.
    pub async fn file(&self, version: &Version, path: &str) -> Result<Bytes> {
        let Some(file) = version.manifest.file(path) else {
            let paths: Vec<_> =
                version.manifest.files.iter().map(|file| format!("`{}`", file.path)).collect();
            let message = format!("`{}` has no file `{path}`", version.reference());
            return Err(
                Fault::usage("BOT-5018", message).hint(format!("it has {}", paths.join(", ")))
            );
        };
        self.store.blob(&file.digest).await
    }

    /// Returns the proof that a version passed its gates: from its stored gate report, or from the evidence of an
    /// earlier promotion, in this environment or else in another one. A yanked version has none.
    ///
    /// # Errors
    /// `BOT-5022` it is yanked, `BOT-5017` there is no evidence (exit 6); those of [`PassedGates::from_evidence`].
    pub async fn proof(&self, version: &Version) -> Result<PassedGates> {
        self.refuse_yanked(&version.model, &version.manifest_digest).await?;
        let evidence = match version.manifest.gates {
            Some(evidence) => Some(evidence),
            None => self.evidence(version).await?,
        };
        let (Some(evidence), Some(set)) = (evidence, version.set()) else {
            let message = format!("`{}` was registered without a gate report", version.reference());
            return Err(Fault::policy("BOT-5017", message)
                .hint("evaluate and gate it, then push it with its gate report")
                .hint(format!("see what it has: `botops registry show {}`", version.reference())));
        };
        let report = self.store.blob(&evidence).await?;
        PassedGates::from_evidence(&report, evidence, set)
    }

    /// Returns the evidence of the latest promotion of a version, in this environment or else in another one.
    async fn evidence(&self, version: &Version) -> Result<Option<Digest>> {
        let Some(known) = self.standing(&version.model).await? else { return Ok(None) };
        let of = |champions: &Champions| {
            champions.reigned().get(&version.manifest_digest).copied().flatten()
        };
        let known = known.sound()?;
        if let Some(evidence) = of(&known.champions) {
            return Ok(Some(evidence));
        }
        for name in self.environments().await? {
            let champions = self.champions_in(&name, &version.model, &known.state).await?;
            if let Some(evidence) = of(&champions) {
                return Ok(Some(evidence));
            }
        }
        Ok(None)
    }

    /// Returns a model in this environment.
    ///
    /// # Errors
    /// `BOT-5011` no such model (exit 2).
    pub(super) async fn known(&self, model: &str) -> Result<Standing> {
        match self.standing(model).await? {
            Some(known) => Ok(known),
            None => Err(self.no_model(model).await),
        }
    }

    /// Returns the fault of an unknown model.
    pub(super) async fn no_model(&self, model: &str) -> Fault {
        let message = format!("`{}` has no model `{model}`", self.store.url());
        let fault = Fault::usage("BOT-5011", message);
        let models = self.models().await.unwrap_or_default();
        let fault = match spec::nearest(model, models.iter().map(String::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault,
        };
        if models.is_empty() {
            fault.hint(format!("no model is registered yet: `botops push FILE --name {model}`"))
        } else {
            fault.hint("see the models: `botops registry list`")
        }
    }

    /// Returns the version with this manifest.
    pub(super) async fn load_manifest(
        &self,
        model: &str,
        known: &Standing,
        manifest: &Digest,
    ) -> Result<Version> {
        let number = known.state.number(manifest).ok_or_else(|| {
            let message = format!(
                "an alias of `{model}` was moved to `{}`, which was never registered",
                manifest.short()
            );
            Fault::data("BOT-5006", message).hint("see all problems: `botops registry verify`")
        })?;
        self.load(model, known, number).await
    }

    /// Returns the version with this number, which must be in `known`.
    pub(super) async fn load(&self, model: &str, known: &Standing, number: u64) -> Result<Version> {
        let registered = &known.state.versions[number as usize - 1];
        let digest = registered.manifest;
        let bytes = self.store.blob(&digest).await?;
        let place = self.store.object_url(&blob_path(&digest));
        let marks = known.state.marks.get(&digest).cloned().unwrap_or_default();
        Ok(Version {
            model: model.to_owned(),
            number,
            manifest_digest: digest,
            registered_at: registered.at,
            actor: registered.actor.clone(),
            aliases: known.aliases(&digest),
            yanked: marks.yanked,
            deprecated: marks.deprecated,
            erased: marks.erased,
            manifest: parse(&bytes, model, &digest, &place)?,
        })
    }

    /// Checks that a manifest is complete and agrees with the files.
    async fn check(&self, manifest: &Manifest, files: &BTreeMap<String, Bytes>) -> Result<()> {
        let model = &manifest.model;
        if !is_name(model) {
            return Err(Fault::usage(
                "BOT-5013",
                format!("`{model}` cannot be the name of a model"),
            )
            .hint("use lowercase letters, digits, `-` and `_`, such as `support-bot`"));
        }
        let invalid = |problem: String| {
            Fault::internal("BOT-5019", format!("a version of `{model}` {problem}"))
        };
        if manifest.schema != SCHEMA {
            return Err(invalid(format!(
                "has the schema `{}` instead of `{SCHEMA}`",
                manifest.schema
            )));
        }
        if manifest.file(MODEL_FILE).is_none() {
            return Err(invalid(format!("has no `{MODEL_FILE}`")));
        }
        if let Some(defect) = manifest.files.iter().find_map(knowledge_files::defect) {
            return Err(invalid(defect));
        }
        if manifest.gates != manifest.gates.and(manifest.file(GATE_FILE).map(|file| file.digest)) {
            return Err(invalid(format!("names gates that are not its `{GATE_FILE}`")));
        }
        if let Some(twice) = manifest.files.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(invalid(format!("has `{}` twice", twice[0].path)));
        }
        if let Some(stray) = files.keys().find(|path| manifest.file(path).is_none()) {
            return Err(invalid(format!("does not name the file `{stray}`")));
        }
        for file in &manifest.files {
            let agrees = match files.get(&file.path) {
                Some(bytes) => {
                    bytes.len() as u64 == file.size_bytes && Digest::of(bytes) == file.digest
                }
                None => self.store.has_blob(&file.digest).await?,
            };
            if !agrees {
                return Err(invalid(format!(
                    "names other bytes for `{}` than those it was given",
                    file.path
                )));
            }
        }
        Ok(())
    }
}

impl Act {
    /// Returns the event of `action`.
    pub(super) fn event(&self, action: Action) -> Event {
        Event { at: self.at, actor: self.actor.clone(), reason: self.reason.clone(), action }
    }
}

/// Reads the manifest of a version of `model`.
pub(super) fn parse(bytes: &[u8], model: &str, digest: &Digest, place: &str) -> Result<Manifest> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let broken = |problem: String| {
        let message = format!("the manifest `{}` of `{model}` {problem}", digest.short());
        Fault::data("BOT-5006", message).file(place)
    };
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    if head.schema != SCHEMA {
        let version = head.schema.strip_prefix("botops.model/").map(str::parse::<u32>);
        return Err(match version {
            Some(Ok(version)) if version > 1 => Fault::policy(
                "BOT-5007",
                format!(
                    "the manifest of `{model}` has the format `{}`, newer than this botops",
                    head.schema
                ),
            )
            .file(place)
            .hint("install a newer botops"),
            _ => broken(format!("has the format `{}`, which botops never wrote", head.schema)),
        });
    }
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    if manifest.model == model {
        Ok(manifest)
    } else {
        Err(broken(format!("belongs to the model `{}`", manifest.model)))
    }
}

/// Returns the number of the version that `reference` names; `pointed` is the manifest that its alias points to in
/// `environment`.
pub(super) fn select(
    state: &State,
    reference: &Reference,
    pointed: Option<Digest>,
    environment: &str,
) -> Result<u64> {
    let model = &reference.model;
    let newest = state.versions.len() as u64;
    let absent = |message: String| {
        Fault::usage("BOT-5012", message)
            .hint(format!("see versions and aliases: `botops registry list {model}`"))
    };
    match &reference.selector {
        Selector::Latest if newest == 0 => Err(absent(format!("`{model}` has no version"))),
        Selector::Latest => {
            let is_sound = |number: &u64| {
                let manifest = &state.versions[*number as usize - 1].manifest;
                state.yanked(manifest).is_none() && state.unusable(manifest).is_none()
            };
            (1..=newest).rev().find(is_sound).ok_or_else(|| {
                Fault::policy("BOT-5022", format!("every version of `{model}` is yanked or erased"))
                    .hint(format!("push a sound one: `botops push FILE --name {model}`"))
                    .hint(format!("or name one by its number: `{model}@{newest}`"))
            })
        }
        Selector::Number(number) if (1..=newest).contains(number) => Ok(*number),
        Selector::Number(number) => {
            Err(absent(format!("`{model}` has no version {number}: its newest is {newest}")))
        }
        Selector::Alias(alias) => match pointed {
            Some(manifest) => state
                .number(&manifest)
                .ok_or_else(|| absent(format!("`{model}@{alias}` is not a registered version"))),
            None if alias == CHAMPION && environment == DEFAULT_ENVIRONMENT => {
                Err(absent(format!("`{model}` has no champion yet"))
                    .hint(format!("promote a version: `botops promote {model}@{newest}`")))
            }
            None if alias == CHAMPION => Err(absent(format!(
                "`{model}` has no champion in `{environment}` yet"
            ))
            .hint(format!(
                "promote a version: `botops promote {model}@{newest} --environment {environment}`"
            ))),
            None => {
                let fault = absent(format!("`{model}` has no alias `{alias}`"));
                let set = state.set_aliases().map(|(alias, _)| alias);
                Err(match spec::nearest(alias, set.chain(["latest"])) {
                    Some(near) => fault.hint(format!("did you mean `{model}@{near}`?")),
                    None => fault,
                })
            }
        },
        Selector::Digest(hex) => {
            let matches = |manifest: &Digest| manifest.hex().starts_with(hex.as_str());
            let mut found: Vec<u64> = (1..=newest)
                .filter(|number| matches(&state.versions[*number as usize - 1].manifest))
                .collect();
            match found.len() {
                1 => Ok(found.remove(0)),
                0 => Err(absent(format!("`{model}` has no version `sha256:{hex}`"))),
                _ => {
                    let all: Vec<_> = found.iter().map(|n| format!("`{model}@{n}`")).collect();
                    Err(absent(format!(
                        "`{reference}` is ambiguous: it may be {}",
                        all.join(" or ")
                    ))
                    .hint("give more digits"))
                }
            }
        }
    }
}
