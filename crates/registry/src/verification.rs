//! Verification of a registry: its logs, its manifests, and the blobs that they name.

use super::{
    Action, CHAMPION, Event, Manifest, Registry, Verification,
    move_rules::{VerifiedModel, about},
    state::{State, path_of},
    versions,
};
use botops_digest::Digest;
use botops_evaluation::{PassedGates, VersionSet};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_store::{Entry, blob_path, contradictions};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, BTreeSet};

/// Blobs that are read and hashed at a time. Each is held in memory.
const CONCURRENT_BLOBS: usize = 4;

/// The folders that hold no other logs: those of models and deployments are checked with their rules, the others have none.
const NO_LOGS: [&str; 5] = ["models", "deployments", "blobs", "probes", "sweeps"];

impl Verification {
    /// Moves the findings about files that were erased on purpose from the problems to [`Self::erased`].
    pub fn separate_erased(&mut self) {
        let (erased, problems): (Vec<Finding>, Vec<Finding>) =
            std::mem::take(&mut self.problems).into_iter().partition(|it| it.code == "BOT-5130");
        self.problems = problems;
        let information = |finding: Finding| Finding { severity: Severity::Info, ..finding };
        self.erased.extend(erased.into_iter().map(information));
    }
}

impl Registry {
    /// Checks every log, and every blob that the models name; with `model`, only those of that model and the logs that are
    /// not about models.
    ///
    /// - logs: the numbers have no gaps, the digest of each entry is right, and it links to the entry before. Aliases
    ///   move from where they were to a registered version, `champion` only with evidence about it
    /// - deployment logs: the champion of a model moves from where it was, to a registered version, with evidence that proves
    ///   it
    /// - each checkpoint of a log is the fold of the entries from 1 on; no checkpoint is trusted
    /// - manifests: they can be read, are of this model, and match their digest
    /// - files and evidence: they exist, match their digest, and have the length in the manifest
    ///
    /// # Errors
    /// Those of the store if it cannot be reached; `BOT-5011` no such model (exit 2).
    pub async fn verify(&self, model: Option<&str>) -> Result<Verification> {
        let models = match model {
            Some(model) => {
                let models = self.models().await?;
                if !models.iter().any(|known| known == model) {
                    return Err(self.no_model(model).await);
                }
                vec![model.to_owned()]
            }
            None => self.models().await?,
        };
        let mut verification = Verification::default();
        let mut seen = BTreeSet::new();
        let mut verified = BTreeMap::new();
        for model in models {
            let found = self.verify_model(&model, &mut seen, &mut verification).await?;
            verified.insert(model, found);
        }
        let checked = self.verify_deployment_logs(&verified, &mut seen).await?;
        verification.entries += checked.entries;
        verification.problems.extend(checked.problems);
        self.verify_other_logs(&mut verification).await?;
        verification.blobs = seen.len() as u64;
        self.verify_erased(&mut verification).await?;
        verification.separate_erased();
        Ok(verification)
    }

    /// Reports every blob that is marked as erased and still stored: its erasure was interrupted.
    async fn verify_erased(&self, verification: &mut Verification) -> Result<()> {
        for digest in self.store.erased_blobs().await? {
            if !self.store.has_blob(&digest).await? {
                continue;
            }
            let message = format!("blob `{digest}` is marked as erased, but it is still stored");
            let fault = Fault::data("BOT-5133", message)
                .file(self.store.object_url(&blob_path(&digest)))
                .hint("remove it: `botops registry gc --apply`");
            verification.problems.push(fault.as_finding());
        }
        Ok(())
    }

    /// Checks the numbers, the digests and the links of every log of another kind, such as those of data sets.
    async fn verify_other_logs(&self, verification: &mut Verification) -> Result<()> {
        for path in self.other_logs().await? {
            let log = self.store.log::<serde_json::Value>(&path);
            let inspection = log.inspect().await?;
            verification.entries += (inspection.entries.len() + inspection.problems.len()) as u64;
            verification.problems.extend(inspection.problems.iter().map(Fault::as_finding));
        }
        Ok(())
    }

    /// Returns the paths of the logs of other kinds.
    async fn other_logs(&self) -> Result<BTreeSet<String>> {
        let mut logs = BTreeSet::new();
        for top in self.store.folders("").await? {
            if NO_LOGS.contains(&top.as_str()) {
                continue;
            }
            for object in self.store.objects(&top, None).await? {
                let Some((folder, entry)) = object.rsplit_once('/') else { continue };
                let is_entry = entry.strip_suffix(".json").is_some_and(|number| {
                    number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit())
                });
                if is_entry && folder.ends_with("/log") {
                    logs.insert(folder.to_owned());
                }
            }
        }
        Ok(logs)
    }

    /// Checks one model, and adds the digests of its blobs to `seen`.
    async fn verify_model(
        &self,
        model: &str,
        seen: &mut BTreeSet<Digest>,
        verification: &mut Verification,
    ) -> Result<VerifiedModel> {
        let inspection = self.log(model).inspect().await?;
        let problems = &mut verification.problems;
        verification.entries += (inspection.entries.len() + inspection.problems.len()) as u64;
        let is_complete = inspection.problems.is_empty();
        problems.extend(inspection.problems.iter().map(Fault::as_finding));

        let mut manifests = BTreeMap::new();
        let state = State::of(&inspection.entries);
        for (number, registered) in (1_u64..).zip(&state.versions) {
            let digest = registered.manifest;
            seen.insert(digest);
            let place = self.store.object_url(&blob_path(&digest));
            match Fault::unless_unreachable(self.store.blob(&digest).await)? {
                Err(fault) => {
                    problems.push(about(&fault, &format!("manifest of `{model}@{number}`")))
                }
                Ok(bytes) => match versions::parse(&bytes, model, &digest, &place) {
                    Err(fault) => problems.push(fault.as_finding()),
                    Ok(manifest) => {
                        manifests.insert(digest, (number, manifest));
                    }
                },
            }
        }
        // After a gap or an altered entry, intact later entries contradict the rest.
        if is_complete {
            self.check_moves(model, &inspection.entries, problems);
            let (path, entries) = (path_of(model), &inspection.entries);
            let wrong = contradictions::<_, State>(&self.store, &path, entries).await?;
            problems.extend(wrong.iter().map(Fault::as_finding));
        }
        self.verify_files(model, &manifests, seen, problems).await?;
        self.verify_evidence(model, &inspection.entries, &manifests, seen, problems).await?;
        let sets = manifests.iter().map(|(digest, (_, manifest))| (*digest, manifest.set()));
        Ok(VerifiedModel { sets: sets.collect(), state, is_complete })
    }

    /// Checks that every alias moved from where it was to a version that had been registered.
    fn check_moves(&self, model: &str, entries: &[Entry<Event>], problems: &mut Vec<Finding>) {
        let mut state = State::default();
        for entry in entries {
            let mut report = |problem: String| {
                let place = format!("models/{model}/log/{:020}.json", entry.seq);
                problems.push(
                    Finding::new(
                        "BOT-5006",
                        Severity::Error,
                        format!("entry {} of the log of `{model}` {problem}", entry.seq),
                        "another program wrote to this log: find out which one writes to the store",
                    )
                    .at(Place { file: Some(self.store.object_url(&place)), ..Place::default() }),
                );
            };
            match &entry.payload.action {
                Action::Registered { manifest } if state.number(manifest).is_some() => {
                    report(format!("registers `{}` again", state.name(model, manifest)));
                }
                Action::Registered { .. } => {}
                Action::AliasMoved { alias, from, to, evidence } => {
                    if state.number(to).is_none() {
                        report(format!("moves `{alias}` to a version that was not registered"));
                    }
                    if *from != state.alias(alias) {
                        report(format!("moves `{alias}` from a version that it did not point to"));
                    }
                    if alias == CHAMPION && evidence.is_none() {
                        report("moves `champion` without evidence".to_owned());
                    }
                }
                Action::AliasRemoved { alias, from } => {
                    if Some(*from) != state.alias(alias) {
                        report(format!(
                            "removes `{alias}` from a version that it did not point to"
                        ));
                    }
                }
                Action::Yanked { manifest }
                | Action::Unyanked { manifest }
                | Action::Deprecated { manifest }
                | Action::Undeprecated { manifest }
                | Action::Erased { manifest, .. } => {
                    if state.number(manifest).is_none() {
                        report("is about a version that was not registered".to_owned());
                    }
                }
            }
            state.apply(&entry.payload);
        }
    }

    /// Checks the files of all manifests, each blob once.
    async fn verify_files(
        &self,
        model: &str,
        manifests: &BTreeMap<Digest, (u64, Manifest)>,
        seen: &mut BTreeSet<Digest>,
        problems: &mut Vec<Finding>,
    ) -> Result<()> {
        let mut files = Vec::new();
        for (number, manifest) in manifests.values() {
            for file in &manifest.files {
                if seen.insert(file.digest) {
                    files.push((format!("`{}` of `{model}@{number}`", file.path), file));
                }
            }
        }
        let read: Vec<_> = futures::stream::iter(files)
            .map(|(name, file)| async move {
                let bytes = Fault::unless_unreachable(self.store.blob(&file.digest).await)?;
                Ok::<_, Fault>((name, file, bytes.map(|bytes: Bytes| bytes.len() as u64)))
            })
            .buffered(CONCURRENT_BLOBS)
            .try_collect()
            .await?;
        for (name, file, size) in read {
            match size {
                Err(fault) => problems.push(about(&fault, &name)),
                Ok(size) if size == file.size_bytes => {}
                Ok(size) => {
                    let fault = Fault::data(
                        "BOT-5006",
                        format!("it has {size} bytes, but the manifest says {}", file.size_bytes),
                    )
                    .file(self.store.object_url(&blob_path(&file.digest)));
                    problems.push(about(&fault, &name));
                }
            }
        }
        Ok(())
    }

    /// Checks that the evidence of each promotion is about the promoted model.
    async fn verify_evidence(
        &self,
        model: &str,
        entries: &[Entry<Event>],
        manifests: &BTreeMap<Digest, (u64, Manifest)>,
        seen: &mut BTreeSet<Digest>,
        problems: &mut Vec<Finding>,
    ) -> Result<()> {
        for entry in entries {
            let Action::AliasMoved { to, evidence: Some(evidence), .. } = &entry.payload.action
            else {
                continue;
            };
            seen.insert(*evidence);
            let name = format!("evidence of entry {} of the log of `{model}`", entry.seq);
            let promoted = manifests.get(to).and_then(|(_, manifest)| manifest.set());
            if let Err(fault) = self.check_evidence(evidence, promoted).await? {
                problems.push(about(&fault, &name));
            }
        }
        Ok(())
    }

    /// Checks that `evidence` is stored, and that it proves that the model and the knowledge of `promoted` passed their gates. Without `promoted`, its
    /// content is not checked. The inner result is the problem of the evidence.
    ///
    /// # Errors
    /// Those of the store if it cannot be reached.
    pub(super) async fn check_evidence(
        &self,
        evidence: &Digest,
        promoted: Option<VersionSet>,
    ) -> Result<Result<()>> {
        let bytes = match Fault::unless_unreachable(self.store.blob(evidence).await)? {
            Ok(bytes) => bytes,
            Err(fault) => return Ok(Err(fault)),
        };
        let Some(promoted) = promoted else { return Ok(Ok(())) };
        let place = self.store.object_url(&blob_path(evidence));
        let proof = PassedGates::from_evidence(&bytes, *evidence, promoted);
        Ok(proof.map(drop).map_err(|fault| fault.file(place)))
    }
}
