//! The line of champions, and the way back to one of them.

use super::{Act, CHAMPION, Reference, Registry, Version, state::State, versions::select};
use botops_digest::Digest;
use botops_findings::{Fault, Result};

/// The faults of a manifest that is lost or damaged, as opposed to a store that does not answer.
const UNREADABLE: [&str; 4] = ["BOT-5004", "BOT-5005", "BOT-5006", "BOT-5007"];

/// Proof that a version is or was champion. Only the fold of a verified log makes one, and [`Registry::go_back`] requires
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerChampion {
    model: String,
    number: u64,
    manifest: Digest,
    /// The evidence of its latest promotion.
    evidence: Option<Digest>,
}

impl FormerChampion {
    /// Returns the digest of its manifest.
    #[must_use]
    pub fn manifest(&self) -> Digest {
        self.manifest
    }

    /// Returns the evidence of its latest promotion.
    pub(super) fn evidence(&self) -> Option<Digest> {
        self.evidence
    }

    /// Returns `model@number`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.model, self.number)
    }

    /// Returns the version with this manifest in the log of `model`, if it was ever champion.
    fn of(model: &str, state: &State, manifest: Digest) -> Option<Self> {
        let evidence = *state.reigned.get(&manifest)?;
        let number = state.number(&manifest)?;
        Some(Self { model: model.to_owned(), number, manifest, evidence })
    }
}

impl Registry {
    /// Returns the version that `reference` names, which must be or have been champion. Reads the log and no blob.
    ///
    /// # Errors
    /// `BOT-5011` no such model, `BOT-5012` no such version or alias (exit 2); `BOT-5031` it was never champion (exit 6).
    pub async fn former_champion(&self, reference: &Reference) -> Result<FormerChampion> {
        let model = &reference.model;
        let state = self.known(model).await?;
        let number = select(&state, reference)?;
        let manifest = state.versions[number as usize - 1].manifest;
        FormerChampion::of(model, &state, manifest).ok_or_else(|| {
            let name = format!("{model}@{number}");
            let message = format!("{name} was never champion, so there is nothing to return to");
            Fault::policy("BOT-5031", message)
                .hint(format!("promote it through its canary: `botops promote {name}`"))
                .hint(format!("see the former champions: `botops registry log {model}`"))
        })
    }

    /// Returns the latest champion before `manifest` that holds another model file, if any.
    ///
    /// A move back to an earlier champion removes those after it from the line. A version with the same model file is
    /// skipped, because a return to it would change nothing. A manifest that is lost or damaged counts as another model.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn previous_champion(
        &self,
        model: &str,
        manifest: &Digest,
    ) -> Result<Option<FormerChampion>> {
        let Some(state) = self.state(model).await? else { return Ok(None) };
        self.previous(model, &state, manifest).await
    }

    /// Returns the version of [`Self::previous_champion`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn champion_before(&self, model: &str, manifest: &Digest) -> Result<Option<Version>> {
        let Some(state) = self.state(model).await? else { return Ok(None) };
        match self.previous(model, &state, manifest).await? {
            Some(former) => self.load(model, &state, former.number).await.map(Some),
            None => Ok(None),
        }
    }

    /// Moves `champion` back to a former champion, if it still points to the manifest `expected`. Reads no blob.
    ///
    /// The entry names the evidence of the latest promotion of that version. If `champion` already points to it, no entry
    /// is written.
    ///
    /// # Errors
    /// `BOT-5014` someone else moved it (exit 5); `BOT-5012` the version is not in this registry (exit 2).
    pub async fn go_back(
        &self,
        to: &FormerChampion,
        expected: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        self.point((CHAMPION, &to.model, to.manifest), expected, to.evidence, act).await
    }

    async fn previous(
        &self,
        model: &str,
        state: &State,
        manifest: &Digest,
    ) -> Result<Option<FormerChampion>> {
        let place = state.succession.iter().position(|champion| champion == manifest);
        let earlier = &state.succession[..place.unwrap_or(0)];
        for candidate in earlier.iter().rev() {
            if !self.have_same_model(model, state, [manifest, candidate]).await? {
                return Ok(FormerChampion::of(model, state, *candidate));
            }
        }
        Ok(None)
    }

    /// Returns whether two versions hold the same model file; false if a manifest is lost or damaged.
    async fn have_same_model(
        &self,
        model: &str,
        state: &State,
        manifests: [&Digest; 2],
    ) -> Result<bool> {
        let mut files = Vec::new();
        for manifest in manifests {
            match self.load_manifest(model, state, manifest).await {
                Ok(version) => files.push(version.model_digest()),
                Err(fault) if UNREADABLE.contains(&fault.code()) => return Ok(false),
                Err(fault) => return Err(fault),
            }
        }
        Ok(files[0].is_some() && files[0] == files[1])
    }
}
