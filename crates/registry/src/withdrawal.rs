//! Versions that are no longer to be used: yanked, or deprecated.

use super::{
    Act, Action, GATE_FILE, MODEL_FILE, Registry, Version,
    state::State,
    withdrawn::{ErasedVersion, Marks, Withdrawn},
};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result, Severity};

/// A way to withdraw a version. Each can be taken back, and a version can be both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// Nothing makes the version champion or gives it traffic, and `latest` passes it over. It can be read by its number.
    Yanked,
    /// The version can be used, with a warning.
    Deprecated,
}

impl Withdrawal {
    /// Returns `yanked` or `deprecated`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Yanked => "yanked",
            Self::Deprecated => "deprecated",
        }
    }

    fn begins(self, manifest: Digest) -> Action {
        match self {
            Self::Yanked => Action::Yanked { manifest },
            Self::Deprecated => Action::Deprecated { manifest },
        }
    }

    fn ends(self, manifest: Digest) -> Action {
        match self {
            Self::Yanked => Action::Unyanked { manifest },
            Self::Deprecated => Action::Undeprecated { manifest },
        }
    }
}

impl ErasedVersion {
    /// Returns whether the version can no longer be served or promoted: its model or its gate report was erased.
    #[must_use]
    pub fn is_unusable(&self) -> bool {
        self.files.iter().any(|file| file == MODEL_FILE || file == GATE_FILE)
    }
}

impl Marks {
    fn of(&self, withdrawal: Withdrawal) -> Option<&Withdrawn> {
        match withdrawal {
            Withdrawal::Yanked => self.yanked.as_ref(),
            Withdrawal::Deprecated => self.deprecated.as_ref(),
        }
    }
}

impl Version {
    /// Returns the withdrawal of that kind, if it is in force.
    #[must_use]
    pub fn withdrawn(&self, withdrawal: Withdrawal) -> Option<&Withdrawn> {
        match withdrawal {
            Withdrawal::Yanked => self.yanked.as_ref(),
            Withdrawal::Deprecated => self.deprecated.as_ref(),
        }
    }

    /// Returns a warning for each withdrawal that is in force: `BOT-5024` yanked, `BOT-5025` deprecated; and `BOT-5132` if
    /// files were erased.
    #[must_use]
    pub fn warnings(&self) -> Vec<Finding> {
        let name = self.reference();
        let warning = |code: &'static str, word: &str, withdrawn: &Withdrawn, hint: &str| {
            let message = format!("{name} is {word}: {}", words(withdrawn));
            Finding::new(code, Severity::Warning, message, hint)
        };
        let yanked = self.yanked.as_ref().map(|withdrawn| {
            let hint = format!("see the other versions: `botops registry list {}`", self.model);
            warning("BOT-5024", "yanked", withdrawn, &hint)
        });
        let deprecated = self.deprecated.as_ref().map(|withdrawn| {
            let hint = format!(
                "see if a newer version replaces it: `botops registry list {}`",
                self.model
            );
            warning("BOT-5025", "deprecated", withdrawn, &hint)
        });
        let erased = self.erased.as_ref().map(|erased| {
            let message = format!("files of {name} were erased: {}", erased_words(erased));
            let hint = format!("see the other versions: `botops registry list {}`", self.model);
            Finding::new("BOT-5132", Severity::Warning, message, hint)
        });
        yanked.into_iter().chain(deprecated).chain(erased).collect()
    }
}

/// Returns the reason, the author and the time in words.
fn words(withdrawn: &Withdrawn) -> String {
    let Withdrawn { at, actor, reason } = withdrawn;
    format!("{reason} (`{actor}`, {})", at.format("%Y-%m-%d %H:%M:%S UTC"))
}

/// Returns the files, the reason, the author and the time in words.
fn erased_words(erased: &ErasedVersion) -> String {
    let ErasedVersion { at, actor, reason, files, .. } = erased;
    let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
    format!("{}, {reason} (`{actor}`, {})", files.join(", "), at.format("%Y-%m-%d %H:%M:%S UTC"))
}

impl State {
    /// Returns the yank of the version with this manifest, if it is in force.
    pub(super) fn yanked(&self, manifest: &Digest) -> Option<&Withdrawn> {
        self.marks.get(manifest)?.yanked.as_ref()
    }

    /// Refuses a version whose model or gate report was erased.
    ///
    /// # Errors
    /// `BOT-5132` (exit 6).
    fn refuse_erased(&self, model: &str, manifest: &Digest, deed: &str) -> Result<()> {
        let Some(erased) = self.unusable(manifest) else { return Ok(()) };
        let name = self.name(model, manifest);
        let message = format!("{name} was erased, so it is not {deed}: {}", erased_words(erased));
        Err(Fault::policy("BOT-5132", message)
            .hint(format!("choose another version: `botops registry list {model}`"))
            .hint("it cannot be restored: train without the erased utterance, and push"))
    }

    /// Returns the erasure of the version with this manifest, if its model or its gate report was erased.
    pub(super) fn unusable(&self, manifest: &Digest) -> Option<&ErasedVersion> {
        self.marks.get(manifest)?.erased.as_ref().filter(|erased| erased.is_unusable())
    }

    /// Refuses a yanked version, and an erased one. `deed` is what is not done, such as `promoted`.
    ///
    /// # Errors
    /// `BOT-5022`, `BOT-5132` (exit 6).
    pub(super) fn refuse_yanked(&self, model: &str, manifest: &Digest, deed: &str) -> Result<()> {
        self.refuse_erased(model, manifest, deed)?;
        let Some(yanked) = self.yanked(manifest) else { return Ok(()) };
        let name = self.name(model, manifest);
        let message = format!("{name} is yanked, so it is not {deed}: {}", words(yanked));
        Err(Fault::policy("BOT-5022", message)
            .hint(format!("choose another version: `botops registry list {model}`"))
            .hint(format!(
                "if it is sound again, take the yank back: `botops registry yank {name} --undo --reason TEXT`"
            )))
    }
}

impl Registry {
    /// Returns whether the version of `model` with this manifest is yanked; false if the model or the version is unknown.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` the log is damaged (exit 3), `BOT-5007` it is newer than this botops (exit 6).
    pub async fn is_yanked(&self, model: &str, manifest: &Digest) -> Result<bool> {
        let state = self.state(model).await?;
        Ok(state.is_some_and(|state| state.yanked(manifest).is_some()))
    }

    /// Refuses to give traffic to a yanked version, or to promote it. A server calls it before a rollout starts and before
    /// it ends in a promotion; [`Self::proof`] and [`Self::promote`] do too.
    ///
    /// # Errors
    /// `BOT-5022` it is yanked (exit 6); those of [`Self::is_yanked`].
    pub async fn refuse_yanked(&self, model: &str, manifest: &Digest) -> Result<()> {
        let state = self.state(model).await?.unwrap_or_default();
        state.refuse_yanked(model, manifest, "promoted, and gets no traffic")
    }

    /// Checks that `version` can be withdrawn. Returns whether it is not already. Changes nothing.
    ///
    /// # Errors
    /// `BOT-5023` it would be yanked, and is the champion of an environment (exit 6); those of [`Self::is_yanked`].
    pub async fn check_withdrawal(
        &self,
        version: &Version,
        withdrawal: Withdrawal,
    ) -> Result<bool> {
        if withdrawal == Withdrawal::Yanked {
            self.refuse_champion_yank(version).await?;
        }
        let state = self.state(&version.model).await?.unwrap_or_default();
        let marks = state.marks.get(&version.manifest_digest);
        Ok(marks.is_none_or(|marks| marks.of(withdrawal).is_none()))
    }

    /// Withdraws `version`. Returns false, and writes nothing, if it is withdrawn in that way already.
    ///
    /// The challenger of an open rollout can be yanked: its server aborts the rollout. A version that becomes champion in
    /// the same moment is in another log, so the server that serves it goes on and reports it.
    ///
    /// # Errors
    /// Those of [`Self::check_withdrawal`]; `BOT-5012` the version is not in this registry (exit 2).
    pub async fn withdraw(
        &self,
        version: &Version,
        withdrawal: Withdrawal,
        act: &Act,
    ) -> Result<bool> {
        if !self.check_withdrawal(version, withdrawal).await? {
            return Ok(false);
        }
        self.mark(version, withdrawal, true, act).await
    }

    /// Takes a withdrawal of `version` back. Returns false, and writes nothing, if there is none in force.
    ///
    /// # Errors
    /// `BOT-5012` the version is not in this registry (exit 2); those of the store.
    pub async fn take_back(
        &self,
        version: &Version,
        withdrawal: Withdrawal,
        act: &Act,
    ) -> Result<bool> {
        self.mark(version, withdrawal, false, act).await
    }

    async fn mark(
        &self,
        version: &Version,
        withdrawal: Withdrawal,
        begins: bool,
        act: &Act,
    ) -> Result<bool> {
        let (model, manifest) = (&version.model, version.manifest_digest);
        let written = std::sync::atomic::AtomicBool::new(false);
        self.commit(model, |state| {
            if state.number(&manifest).is_none() {
                let name = state.name(model, &manifest);
                return Err(Fault::usage("BOT-5012", format!("`{name}` is not in this registry"))
                    .hint(format!("see versions and aliases: `botops registry list {model}`")));
            }
            let marks = state.marks.get(&manifest);
            let is_in_force = marks.is_some_and(|marks| marks.of(withdrawal).is_some());
            written.store(is_in_force != begins, std::sync::atomic::Ordering::Relaxed);
            let action =
                if begins { withdrawal.begins(manifest) } else { withdrawal.ends(manifest) };
            Ok((is_in_force != begins).then(|| act.event(action)))
        })
        .await?;
        Ok(written.into_inner())
    }

    /// Returns the environments in which a rollout of `version` is open, with its id.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` a deployment log is damaged (exit 3).
    pub async fn rollouts_of(&self, version: &Version) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for name in self.environments().await? {
            let environment = self.deployments.read(&name).await?.environment;
            let open = environment.model(&version.model).and_then(|deployed| deployed.open());
            if let Some(step) =
                open.filter(|step| step.rollout.challenger == version.manifest_digest)
            {
                found.push((name, step.rollout.id.clone()));
            }
        }
        Ok(found)
    }

    async fn refuse_champion_yank(&self, version: &Version) -> Result<()> {
        let champions = self.champions_everywhere(&version.model).await?;
        let in_use = champions.iter().filter(|(_, manifest)| **manifest == version.manifest_digest);
        let names: Vec<&str> = in_use.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
        let name = version.reference();
        let message =
            format!("{name} is the champion of {list}, so it is not yanked: nothing was changed");
        let mut fault = Fault::policy("BOT-5023", message);
        for environment in names {
            let model = &version.model;
            fault = fault.hint(format!(
                "roll back first: `botops rollback {model} --environment {environment} --reason TEXT`"
            ));
        }
        Err(fault.hint("or promote another version there, then yank this one"))
    }
}
