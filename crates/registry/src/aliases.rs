//! Moves of aliases: compare the version that an alias points to, then append to the log.

use super::{Act, Action, CHAMPION, Registry, Version, reference::is_alias, state::State};
use botops_digest::Digest;
use botops_findings::{Fault, Result};

impl Registry {
    /// Moves `alias`, but not `champion`, to `version`, if it still points to the manifest `expected`.
    ///
    /// If it already points to `version`, nothing is written.
    ///
    /// # Errors
    /// `BOT-5014` someone else moved it (exit 5); `BOT-5015` the alias is `champion` (exit 6); `BOT-5012` the version is
    /// not in this registry, `BOT-5013` the alias has an invalid name, `BOT-5028` it names an environment that has a
    /// champion of the model (exit 2).
    pub async fn move_alias(
        &self,
        alias: &str,
        version: &Version,
        expected: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        refuse_champion(alias, &version.reference())?;
        check_alias(alias)?;
        self.refuse_environment(&version.model, alias).await?;
        let to = (alias, version.model.as_str(), version.manifest_digest);
        self.point(to, expected, act).await
    }

    /// Removes `alias`.
    ///
    /// # Errors
    /// Those of [`Self::move_alias`]; `BOT-5012` if it is not set (exit 2).
    pub async fn remove_alias(&self, model: &str, alias: &str, act: &Act) -> Result<()> {
        refuse_champion(alias, model)?;
        let before = self.known(model).await?.state.alias(alias);
        let Some(expected) = before else { return Err(no_alias(model, alias)) };
        let decide = |state: &State| match state.alias(alias) {
            None => Ok(None),
            Some(from) if from == expected => {
                Ok(Some(act.event(Action::AliasRemoved { alias: alias.to_owned(), from })))
            }
            Some(_) => Err(state.alias_moved(model, alias, before)),
        };
        self.commit(model, decide).await.map(drop)
    }

    /// Moves an alias of a model to the version with a manifest, if it points to `expected`.
    async fn point(
        &self,
        (alias, model, to): (&str, &str, Digest),
        expected: Option<Digest>,
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
                return Err(state.alias_moved(model, alias, expected));
            }
            let alias = alias.to_owned();
            Ok(Some(act.event(Action::AliasMoved { alias, from, to, evidence: None })))
        };
        self.commit(model, decide).await.map(drop)
    }

    /// Refuses an alias that could not be resolved: `model@<environment>` names the champion of that environment.
    async fn refuse_environment(&self, model: &str, alias: &str) -> Result<()> {
        let Some(state) = self.state(model).await? else { return Ok(()) };
        let Some(champion) = self.champions_in(alias, model, &state).await?.current() else {
            return Ok(());
        };
        let champion = state.name(model, &champion);
        let message =
            format!("`{model}@{alias}` is the champion of the environment `{alias}`: {champion}");
        Err(Fault::usage("BOT-5028", message).hint("choose another name for the alias").hint(
            format!("or promote the version there: `botops promote {model} --environment {alias}`"),
        ))
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
