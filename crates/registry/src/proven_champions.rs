//! The champions that the evidence in the logs proves: a server serves no other one.

use super::{
    CHAMPION, Champions, DEFAULT_ENVIRONMENT, Environment, MODEL_FILE, Reference, Registry,
    Selector, Version, deployment_log, standing::Standing, state::State, versions::select,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use std::{collections::BTreeSet, sync::Arc};

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
        let environment = match self.environment().await {
            Ok(environment) => environment,
            Err(fault) if fault.code() == "BOT-5006" => {
                let log = deployment_log(&self.store, &self.environment);
                let inspection = log.inspect().await?;
                problem = problem.or(Some(fault));
                Arc::new(Environment::of(&inspection.entries[..inspection.verified]))
            }
            Err(fault) => return Err(fault),
        };
        let inherits = *self.environment == *DEFAULT_ENVIRONMENT;
        let champions = Champions::of(model, &state, environment.model(model), inherits);
        let mut seen = BTreeSet::new();
        let latest_first: Vec<Digest> = champions.moves().iter().rev().map(|m| m.to).collect();
        let known = Standing { state: state.into(), champions, damage: None };
        for manifest in latest_first.into_iter().filter(|manifest| seen.insert(*manifest)) {
            match self.objection(model, &known, &manifest).await? {
                None => return Ok((self.load_manifest(model, &known, &manifest).await?, problem)),
                Some(fault) => problem = problem.or(Some(fault)),
            }
        }
        Err(problem.unwrap_or_else(|| self.no_champion(model, &known.state)))
    }

    /// Returns why the log of `model` does not prove that the version with this manifest may be champion; `None` if it
    /// does: the gates of one of its promotions passed for that very model and its knowledge.
    ///
    /// # Errors
    /// Those of the store, and of the manifest.
    pub async fn champion_objection(
        &self,
        model: &str,
        manifest: &Digest,
    ) -> Result<Option<Fault>> {
        let known = self.known(model).await?.sound()?;
        self.objection(model, &known, manifest).await
    }

    /// Does what [`Self::champion_objection`] does, by the moves in `known`. Names the problem of the latest move.
    async fn objection(
        &self,
        model: &str,
        known: &Standing,
        manifest: &Digest,
    ) -> Result<Option<Fault>> {
        let name = known.state.name(model, manifest);
        let refuse = |problem: String| {
            Fault::data("BOT-5006", format!("`champion` was moved to `{name}` {problem}"))
                .hint("see all problems: `botops registry verify`")
        };
        if known.state.number(manifest).is_none() {
            return Ok(Some(refuse("that was not registered".to_owned())));
        }
        let set = self.load_manifest(model, known, manifest).await?.set();
        let mut objection = None;
        let mut seen = BTreeSet::new();
        let moves = known.champions.moves().iter().rev().filter(|moved| moved.to == *manifest);
        for evidence in moves.map(|moved| moved.evidence) {
            if !seen.insert(evidence) {
                continue;
            }
            let problem = match (evidence, &set) {
                (None, _) => "without evidence".to_owned(),
                (Some(_), None) => format!("that has no `{MODEL_FILE}`"),
                (Some(evidence), set) => match self.check_evidence(&evidence, set.clone()).await? {
                    Ok(()) => return Ok(None),
                    Err(fault) => format!("with evidence that does not prove it: {fault}"),
                },
            };
            objection.get_or_insert(problem);
        }
        Ok(Some(refuse(objection.unwrap_or_else(|| "by no entry of a log".to_owned()))))
    }

    /// Returns the fault of a model without a champion in this environment.
    fn no_champion(&self, model: &str, state: &State) -> Fault {
        let selector = Selector::Alias(CHAMPION.to_owned());
        let champion = Reference { model: model.to_owned(), selector };
        select(state, &champion, None, &self.environment).err().unwrap_or_else(|| {
            Fault::internal("BOT-5006", format!("no entry of a log made a champion of `{model}`"))
        })
    }
}
