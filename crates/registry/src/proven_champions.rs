//! The champions that the evidence in the log proves: a server serves no other one.

use super::{
    Action, CHAMPION, Event, MODEL_FILE, Reference, Registry, Selector, Version,
    state::{State, path_of},
    versions::select,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::Entry;
use std::collections::BTreeSet;

impl Registry {
    /// Returns the latest champion of `model` that its evidence proves, and the problem that keeps a later one from being
    /// returned, if any: the log is damaged, or `champion` was moved without evidence about the version.
    ///
    /// Of a damaged log, only the verified entries before the damage count.
    ///
    /// # Errors
    /// `BOT-5011` no such model, `BOT-5012` it has no champion (exit 2); the problem, if no champion is proven; those of
    /// the store.
    pub async fn verified_champion(&self, model: &str) -> Result<(Version, Option<Fault>)> {
        let (entries, mut problem) = match self.history(model).await {
            Ok(entries) => (entries, None),
            Err(fault) if fault.code() == "BOT-5006" => {
                let mut inspection = self.log(model).inspect().await?;
                inspection.entries.truncate(inspection.verified);
                (inspection.entries, Some(fault))
            }
            Err(fault) => return Err(fault),
        };
        let state = State::of(&entries);
        if state.alias(CHAMPION).is_none() {
            return Err(problem.unwrap_or_else(|| no_champion(model, &state)));
        }
        let mut seen = BTreeSet::new();
        let latest_first = reigns(&entries).map(|(manifest, _)| manifest);
        for manifest in latest_first.filter(|manifest| seen.insert(*manifest)) {
            match self.objection(model, &entries, &state, &manifest).await? {
                None => return Ok((self.load_manifest(model, &state, &manifest).await?, problem)),
                Some(fault) => problem = problem.or(Some(fault)),
            }
        }
        Err(problem.unwrap_or_else(|| no_champion(model, &state)))
    }

    /// Returns why the log of `model` does not prove that the version with this manifest may be champion; `None` if it
    /// does: the gates of one of its promotions passed for that very model.
    ///
    /// # Errors
    /// Those of the store, and of the manifest.
    pub async fn champion_objection(
        &self,
        model: &str,
        manifest: &Digest,
    ) -> Result<Option<Fault>> {
        let entries = self.logs.entries(&path_of(model)).await?;
        self.objection(model, &entries, &State::of(&entries), manifest).await
    }

    /// Does what [`Self::champion_objection`] does, for the log with `entries`. Names the problem of the latest move.
    async fn objection(
        &self,
        model: &str,
        entries: &[Entry<Event>],
        state: &State,
        manifest: &Digest,
    ) -> Result<Option<Fault>> {
        let name = state.name(model, manifest);
        let refuse = |problem: String| {
            Fault::data("BOT-5006", format!("`champion` was moved to `{name}` {problem}"))
                .hint("see all problems: `botops registry verify`")
        };
        if state.number(manifest).is_none() {
            return Ok(Some(refuse("that was not registered".to_owned())));
        }
        let file = self.load_manifest(model, state, manifest).await?.model_digest();
        let mut objection = None;
        let mut seen = BTreeSet::new();
        let moves = reigns(entries).filter(|(to, _)| to == manifest);
        for evidence in moves.filter_map(|(_, evidence)| seen.insert(evidence).then_some(evidence))
        {
            let problem = match (evidence, file) {
                (None, _) => "without evidence".to_owned(),
                (Some(_), None) => format!("that has no `{MODEL_FILE}`"),
                (Some(evidence), file) => match self.check_evidence(&evidence, file).await? {
                    Ok(()) => return Ok(None),
                    Err(fault) => format!("with evidence that does not prove it: {fault}"),
                },
            };
            objection.get_or_insert(problem);
        }
        Ok(Some(refuse(objection.unwrap_or_else(|| "by no entry of its log".to_owned()))))
    }
}

/// Returns the moves of `champion`, the latest first: the manifest, and the evidence.
fn reigns(entries: &[Entry<Event>]) -> impl Iterator<Item = (Digest, Option<Digest>)> {
    entries.iter().rev().filter_map(|entry| match &entry.payload.action {
        Action::AliasMoved { alias, to, evidence, .. } if alias == CHAMPION => {
            Some((*to, *evidence))
        }
        _ => None,
    })
}

/// Returns the fault of a model without a champion.
fn no_champion(model: &str, state: &State) -> Fault {
    let selector = Selector::Alias(CHAMPION.to_owned());
    let champion = Reference { model: model.to_owned(), selector };
    select(state, &champion).err().unwrap_or_else(|| {
        Fault::internal("BOT-5006", format!("no entry of the log of `{model}` moved `champion`"))
    })
}
