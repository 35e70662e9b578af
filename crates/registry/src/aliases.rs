//! Moving aliases: compare where one points, then append; again when someone else wrote first.

use super::{Act, Action, CHAMPION, Registry, Version, reference::is_alias, state::State};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::PassedGates;
use botops_findings::{Fault, Result};

impl Registry {
    /// Moves `alias` (not `champion`) to `version`, if it still points to `expected` (a manifest digest).
    /// Already there: nothing is written.
    ///
    /// # Errors
    /// `BOT-5014` it was moved meanwhile (exit 5, the mover named); `BOT-5015` for `champion` (exit 6);
    /// `BOT-5012` the version is not in this registry, `BOT-5013` a bad alias (exit 2).
    pub async fn move_alias(
        &self,
        alias: &str,
        version: &Version,
        expected: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        refuse_champion(alias, &version.reference())?;
        if !is_alias(alias) {
            return Err(Fault::usage("BOT-5013", format!("`{alias}` cannot be an alias")).hint(
                "begin with a lowercase letter; go on with lowercase letters, digits, `-` and `_`",
            ));
        }
        self.point(alias, version, expected, None, act).await
    }

    /// Removes `alias`.
    ///
    /// # Errors
    /// As [`Self::move_alias`]; `BOT-5012` when it is not set (exit 2).
    pub async fn remove_alias(&self, model: &str, alias: &str, act: &Act) -> Result<()> {
        refuse_champion(alias, model)?;
        let before = self.known(model).await?.alias(alias);
        let Some(expected) = before else {
            return Err(Fault::usage("BOT-5012", format!("`{model}` has no alias `{alias}`"))
                .hint(format!("see versions and aliases: `botops registry list {model}`")));
        };
        let decide = |state: &State| match state.alias(alias) {
            None => Ok(None),
            Some(from) if from == expected => {
                Ok(Some(act.event(Action::AliasRemoved { alias: alias.to_owned(), from })))
            }
            Some(_) => Err(state.moved(model, alias, before)),
        };
        self.commit(model, decide).await.map(drop)
    }

    /// Moves `champion` to `version`; the proof must be about its model file. Already there: nothing is written.
    ///
    /// The gate report behind the proof is stored before the alias moves, so that the log never
    /// names evidence that is not there.
    ///
    /// # Errors
    /// `BOT-5014` (exit 5); `BOT-5016` the proof is about another model (exit 6); `BOT-5012` the
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
                "the passed gates are about model `{}`, and `{}` holds another",
                passed.model().short(),
                version.reference()
            );
            return Err(Fault::policy("BOT-5016", message)
                .hint("evaluate and gate the very file that is to be promoted"));
        }
        let evidence = self.store.put_blob(canonical_json(passed.report()).into()).await?;
        self.point(CHAMPION, version, expected, Some(evidence), act).await
    }

    async fn point(
        &self,
        alias: &str,
        version: &Version,
        expected: Option<Digest>,
        evidence: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        let to = version.manifest_digest;
        let decide = |state: &State| {
            if state.number(&to).is_none() {
                let message = format!("`{}` is not in this registry", version.reference());
                return Err(Fault::usage("BOT-5012", message).hint(format!(
                    "see versions and aliases: `botops registry list {}`",
                    version.model
                )));
            }
            let from = state.alias(alias);
            if from == Some(to) {
                return Ok(None);
            }
            if from != expected {
                return Err(state.moved(&version.model, alias, expected));
            }
            Ok(Some(act.event(Action::AliasMoved { alias: alias.to_owned(), from, to, evidence })))
        };
        self.commit(&version.model, decide).await.map(drop)
    }
}

fn refuse_champion(alias: &str, reference: &str) -> Result<()> {
    if alias != CHAMPION {
        return Ok(());
    }
    Err(Fault::policy("BOT-5015", "`champion` moves only by promotion")
        .hint(format!("promote a version: `botops promote {reference}`"))
        .hint("or go back to the one before: `botops rollback`"))
}
