//! Moves of the champion: one entry of the deployment log each.

use super::{
    Act, ChampionMove, Champions, Change, DEFAULT_ENVIRONMENT, Deployment, FormerChampion,
    Reference, Registry, Version,
    state::{MAX_CONFLICTS, State},
};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::PassedGates;
use botops_findings::{Fault, Result};
use botops_store::Appended;

impl Registry {
    /// Makes `version` the champion of this environment; its model file and its knowledge must be those that `passed` is about.
    ///
    /// The gate report behind `passed` is stored before the entry is written, so the log never names evidence that does not
    /// exist. If `version` is the champion already, no entry is written.
    ///
    /// # Errors
    /// `BOT-5014` someone else moved the champion from `expected`, `BOT-6042` a rollout of the model is open (exit 5);
    /// `BOT-5016` `passed` is about another model or other knowledge, `BOT-5022` the version is yanked, `BOT-6050` the enforced policy of the
    /// environment refuses it, `BOT-6051` the environment is frozen, `BOT-6052` outside the promotion windows (exit 6);
    /// `BOT-5012` the version is not in this registry (exit 2).
    pub async fn promote(
        &self,
        version: &Version,
        expected: Option<Digest>,
        passed: &PassedGates,
        act: &Act,
    ) -> Result<()> {
        let moved = self.forward(version, expected, passed).await?;
        self.move_champion(&version.model, &moved, Some((version, passed)), act).await?;
        self.outlast_sweep(vec![canonical_json(passed.report()).into()]).await
    }

    /// Makes a former champion the champion of this environment again, if the champion is still `expected`. Needs no blob.
    ///
    /// It ignores a freeze and closed promotion windows, and the entry is marked as break-glass then. The entry names the evidence of the latest promotion of that version. If it is the champion already, no entry is
    /// written.
    ///
    /// # Errors
    /// `BOT-5014` someone else moved the champion, `BOT-6042` a rollout of the model is open (exit 5); `BOT-5022` the
    /// version is yanked (exit 6); `BOT-5012` it is not in this registry (exit 2).
    pub async fn go_back(
        &self,
        to: &FormerChampion,
        expected: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        super::check_reasoned("a rollback", &act.actor, &act.reason)?;
        let moved = ChampionMove::back(to, expected);
        self.move_champion(&to.model, &moved, None, act).await
    }

    /// Makes the move that a promotion of `version` over the champion `from` is, for an entry that the caller appends.
    ///
    /// Stores the evidence of the version.
    ///
    /// # Errors
    /// Those of [`Self::proof`] and [`ChampionMove::forward`]; `BOT-6050` (exit 6) the enforced policy of the environment
    /// refuses its evidence, `BOT-6056` (exit 6) that policy cannot be read.
    pub async fn prepare_promotion(
        &self,
        version: &Version,
        from: Option<Digest>,
    ) -> Result<ChampionMove> {
        let passed = self.proof(version).await?;
        let environment = self.environment().await?;
        self.check_by_policy(&environment, (version, &passed), None).await?;
        self.forward(version, from, &passed).await
    }

    /// Makes the move back to the former champion that `reference` names, or without one to the champion of `model` before
    /// `from`, for an entry that the caller appends. Without a reference, `None` if there was no other champion before.
    ///
    /// # Errors
    /// Those of [`Self::former_champion`] and [`Self::previous_champion`].
    pub async fn prepare_return(
        &self,
        model: &str,
        reference: Option<&Reference>,
        from: Digest,
    ) -> Result<Option<(FormerChampion, ChampionMove)>> {
        let former = match reference {
            Some(reference) => Some(self.former_champion(reference).await?),
            None => self.previous_champion(model, &from).await?,
        };
        Ok(former.map(|former| {
            let moved = ChampionMove::back(&former, Some(from));
            (former, moved)
        }))
    }

    pub(super) async fn forward(
        &self,
        version: &Version,
        from: Option<Digest>,
        passed: &PassedGates,
    ) -> Result<ChampionMove> {
        let report = canonical_json(passed.report());
        let moved = ChampionMove::forward(version, from, passed, Digest::of(&report))?;
        self.store.put_blob(report.into()).await?;
        Ok(moved)
    }

    /// Appends `moved` to the deployment log. If someone else appends first, it checks everything again. `promoted` is the
    /// version with its evidence, unless the move is back.
    async fn move_champion(
        &self,
        model: &str,
        moved: &ChampionMove,
        promoted: Option<(&Version, &PassedGates)>,
        act: &Act,
    ) -> Result<()> {
        let request = if promoted.is_some() { "rollouts" } else { "rollback" };
        let mut retries = self.store.retries().begin_against(MAX_CONFLICTS);
        loop {
            let known = self.deployments.read(&self.environment).await?;
            let state = self.state(model).await?.unwrap_or_default();
            if state.number(&moved.to()).is_none() {
                let name = state.name(model, &moved.to());
                return Err(Fault::usage("BOT-5012", format!("`{name}` is not in this registry"))
                    .hint(format!("see versions and aliases: `botops registry list {model}`")));
            }
            let inherits = *self.environment == *DEFAULT_ENVIRONMENT;
            let deployed = known.environment.model(model);
            let champions = Champions::of(model, &state, deployed, inherits);
            if champions.current() == Some(moved.to()) {
                return Ok(());
            }
            state.refuse_yanked(model, &moved.to(), "made champion")?;
            self.refuse_open(&known, (model, &state), request).await?;
            if champions.current() != moved.from() {
                return Err(self.overtaken(&champions, &state, model, moved.from()));
            }
            let break_glass = match promoted {
                Some(promoted) => {
                    self.admit_promotion(&known.environment, promoted, act.at).await?;
                    false
                }
                None => self.is_held(&known.environment, act.at).await,
            };
            let mut entry = Deployment::new(
                (act.by.clone(), act.reason.clone()),
                act.at,
                model,
                Change::Champion(moved.clone()),
            );
            entry.actor.clone_from(&act.actor);
            entry.break_glass = break_glass;
            let appended = self.deployments.append(&self.environment, &known, entry).await?;
            if let Appended::Written(_) = appended {
                return Ok(());
            }
            if !retries.pause().await {
                let name = &self.environment;
                let message = format!("others keep writing to the deployment log of `{name}`");
                return Err(Fault::conflict("BOT-5014", message).hint("try again in a moment"));
            }
        }
    }

    /// Returns the fault of a champion that is not `expected`. It names the author of the last move.
    fn overtaken(
        &self,
        champions: &Champions,
        state: &State,
        model: &str,
        expected: Option<Digest>,
    ) -> Fault {
        let alias = match &*self.environment {
            DEFAULT_ENVIRONMENT => format!("`champion` of `{model}`"),
            name => format!("`champion` of `{model}` in `{name}`"),
        };
        let last = champions.moves().last();
        let last = last.map(|moved| (Some(moved.to), &moved.actor, &moved.reason, moved.at));
        state.moved((model, &alias), last, expected)
    }
}
