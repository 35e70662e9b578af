//! The way back in the line of champions.

use super::{FormerChampion, Reference, Registry, Version, standing::Standing};
use botops_digest::Digest;
use botops_findings::{Fault, Result};

/// The faults of a manifest that is lost or damaged, as opposed to a store that does not answer.
const UNREADABLE: [&str; 4] = ["BOT-5004", "BOT-5005", "BOT-5006", "BOT-5007"];

impl Registry {
    /// Returns the version that `reference` names, which must be the champion, or have been champion and not be yanked.
    /// Reads the log and no blob.
    ///
    /// # Errors
    /// `BOT-5011` no such model, `BOT-5012` no such version or alias (exit 2); `BOT-5031` it was never champion, `BOT-5022`
    /// it is yanked (exit 6).
    pub async fn former_champion(&self, reference: &Reference) -> Result<FormerChampion> {
        let model = &reference.model;
        let known = self.known(model).await?.sound()?;
        let number = self.number(&known, reference).await?;
        let manifest = known.state.versions[number as usize - 1].manifest;
        let former = known.champions.former(&manifest).ok_or_else(|| {
            let name = format!("{model}@{number}");
            let message = format!("{name} was never champion, so there is nothing to return to");
            Fault::policy("BOT-5031", message)
                .hint(format!("promote it through its canary: `botops promote {name}`"))
                .hint(format!("see the former champions: `botops registry log {model}`"))
        })?;
        // The way away from a champion stays open, whatever happened to it.
        if known.champions.current() != Some(manifest) {
            known.state.refuse_yanked(model, &manifest, "gone back to")?;
        }
        Ok(former)
    }

    /// Returns the latest champion before `manifest` that holds another model file or other knowledge, if any.
    ///
    /// A move back to an earlier champion removes those after it from the line. A version with the same files is
    /// skipped, because a return to it would change nothing, and so is a yanked one. A manifest that is lost or damaged counts as another model.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn previous_champion(
        &self,
        model: &str,
        manifest: &Digest,
    ) -> Result<Option<FormerChampion>> {
        let Some(known) = self.standing(model).await? else { return Ok(None) };
        self.previous(model, &known.sound()?, manifest).await
    }

    /// Returns the version of [`Self::previous_champion`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn champion_before(&self, model: &str, manifest: &Digest) -> Result<Option<Version>> {
        let Some(known) = self.standing(model).await? else { return Ok(None) };
        let known = known.sound()?;
        match self.previous(model, &known, manifest).await? {
            Some(former) => self.load(model, &known, former.number).await.map(Some),
            None => Ok(None),
        }
    }

    async fn previous(
        &self,
        model: &str,
        known: &Standing,
        manifest: &Digest,
    ) -> Result<Option<FormerChampion>> {
        for candidate in known.champions.before(manifest) {
            if known.state.yanked(&candidate.manifest()).is_some() {
                continue;
            }
            if !self.have_same_set(model, known, [manifest, &candidate.manifest()]).await? {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// Returns whether two versions hold the same model file and the same knowledge; false if a manifest is lost or damaged.
    async fn have_same_set(
        &self,
        model: &str,
        known: &Standing,
        manifests: [&Digest; 2],
    ) -> Result<bool> {
        let mut sets = Vec::new();
        for manifest in manifests {
            match self.load_manifest(model, known, manifest).await {
                Ok(version) => sets.push(version.set()),
                Err(fault) if UNREADABLE.contains(&fault.code()) => return Ok(false),
                Err(fault) => return Err(fault),
            }
        }
        Ok(sets[0].is_some() && sets[0] == sets[1])
    }
}
