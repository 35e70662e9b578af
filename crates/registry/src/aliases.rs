//! Moves of aliases: compare the version that an alias points to, then append to the log.

use super::{Act, Action, CHAMPION, Registry, Version, reference::is_alias, state::State};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::PassedGates;
use botops_findings::{Fault, Result};

impl Registry {
    /// Moves `alias`, but not `champion`, to `version`, if it still points to the manifest `expected`.
    ///
    /// If it already points to `version`, nothing is written.
    ///
    /// # Errors
    /// `BOT-5014` someone else moved it (exit 5); `BOT-5015` the alias is `champion` (exit 6); `BOT-5012` the version is
    /// not in this registry, `BOT-5013` the alias has an invalid name (exit 2).
    pub async fn move_alias(
        &self,
        alias: &str,
        version: &Version,
        expected: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        refuse_champion(alias, &version.reference())?;
        check_alias(alias)?;
        let to = (alias, version.model.as_str(), version.manifest_digest);
        self.point(to, expected, None, act).await
    }

    /// Removes `alias`.
    ///
    /// # Errors
    /// Those of [`Self::move_alias`]; `BOT-5012` if it is not set (exit 2).
    pub async fn remove_alias(&self, model: &str, alias: &str, act: &Act) -> Result<()> {
        refuse_champion(alias, model)?;
        let before = self.known(model).await?.alias(alias);
        let Some(expected) = before else { return Err(no_alias(model, alias)) };
        let decide = |state: &State| match state.alias(alias) {
            None => Ok(None),
            Some(from) if from == expected => {
                Ok(Some(act.event(Action::AliasRemoved { alias: alias.to_owned(), from })))
            }
            Some(_) => Err(state.moved(model, alias, before)),
        };
        self.commit(model, decide).await.map(drop)
    }

    /// Moves `champion` to `version`, whose model file must be the one that `passed` is about.
    ///
    /// The gate report behind `passed` is stored before the alias moves, so the log never names evidence that does not
    /// exist. If `champion` already points to `version`, no entry is written.
    ///
    /// # Errors
    /// `BOT-5014` someone else moved it (exit 5); `BOT-5016` `passed` is about another model (exit 6); `BOT-5012` the
    /// version is not in this registry (exit 2).
    pub async fn promote(
        &self,
        version: &Version,
        expected: Option<Digest>,
        passed: &PassedGates,
        act: &Act,
    ) -> Result<()> {
        if version.model_digest() != Some(passed.model()) {
            let message = format!(
                "the gates were passed by model `{}`, but `{}` holds another model",
                passed.model().short(),
                version.reference()
            );
            return Err(Fault::policy("BOT-5016", message)
                .hint("evaluate and gate the model file of that version"));
        }
        let evidence = self.store.put_blob(canonical_json(passed.report()).into()).await?;
        let to = (CHAMPION, version.model.as_str(), version.manifest_digest);
        self.point(to, expected, Some(evidence), act).await
    }

    /// Moves an alias of a model to the version with a manifest, if it points to `expected`.
    pub(super) async fn point(
        &self,
        (alias, model, to): (&str, &str, Digest),
        expected: Option<Digest>,
        evidence: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        let decide = |state: &State| {
            if state.number(&to).is_none() {
                let name = state.name(model, &to);
                return Err(Fault::usage("BOT-5012", format!("`{name}` is not in this registry"))
                    .hint(format!("see versions and aliases: `botops registry list {model}`")));
            }
            let from = state.alias(alias);
            if from == Some(to) {
                return Ok(None);
            }
            if from != expected {
                return Err(state.moved(model, alias, expected));
            }
            Ok(Some(act.event(Action::AliasMoved { alias: alias.to_owned(), from, to, evidence })))
        };
        self.commit(model, decide).await.map(drop)
    }
}

/// Returns the fault of an alias that is not set.
fn no_alias(model: &str, alias: &str) -> Fault {
    Fault::usage("BOT-5012", format!("`{model}` has no alias `{alias}`"))
        .hint(format!("see versions and aliases: `botops registry list {model}`"))
}

/// Checks the name of an alias.
///
/// # Errors
/// `BOT-5013` it has an invalid name (exit 2).
pub fn check_alias(alias: &str) -> Result<()> {
    if is_alias(alias) {
        return Ok(());
    }
    Err(Fault::usage("BOT-5013", format!("`{alias}` cannot be an alias"))
        .hint("begin with a lowercase letter, then use lowercase letters, digits, `-` and `_`"))
}

/// Refuses `champion`, which only a promotion moves.
fn refuse_champion(alias: &str, reference: &str) -> Result<()> {
    if alias != CHAMPION {
        return Ok(());
    }
    let model = reference.split_once('@').map_or(reference, |(model, _)| model);
    Err(Fault::policy("BOT-5015", "`champion` moves only by promotion")
        .hint(format!("promote a version: `botops promote {reference}`"))
        .hint(format!(
            "or go back to the champion before: `botops rollback {model} --reason TEXT`"
        )))
}
