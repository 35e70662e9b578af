//! A rollout that is open in a deployment log keeps others from moving the champion.

use super::{Deployment, Registry, RolloutStep, known_environments::Followed, state::State};
use botops_findings::{Fault, Result};
use botops_rollout::Rollout;

impl Registry {
    /// Refuses a move of the champion that no server takes part in, while a rollout of `model` is open in this environment.
    ///
    /// The servers route by the rollout until it ends, so the move would not take effect. `request` is the path of the
    /// admin API that does the same, below `/admin/v1/models/<model>`.
    ///
    /// # Errors
    /// `BOT-6042` a rollout is open (exit 5); those of the store.
    pub async fn refuse_open_rollout(&self, model: &str, request: &str) -> Result<()> {
        let known = self.deployments.read(&self.environment).await?;
        let state = self.state(model).await?.unwrap_or_default();
        self.refuse_open(&known, (model, &state), request).await
    }

    /// As [`Self::refuse_open_rollout`], by the log as `known`.
    pub(super) async fn refuse_open(
        &self,
        known: &Followed,
        (model, state): (&str, &State),
        request: &str,
    ) -> Result<()> {
        let Some(deployed) = known.environment.model(model) else { return Ok(()) };
        let Some(RolloutStep { rollout, .. }) = deployed.open() else { return Ok(()) };
        let log = self.deployments.log(&self.environment);
        let written = log.log().entry(deployed.step_seq).await?.payload;
        Err(open_rollout((&self.environment, model), rollout, &written, state, request))
    }
}

/// Returns the fault of a `rollout` of `model` that is open in the log of `environment`, and whose last step is `written`.
fn open_rollout(
    (environment, model): (&str, &str),
    rollout: &Rollout,
    written: &Deployment,
    state: &State,
    request: &str,
) -> Fault {
    let challenger = match &rollout.versions {
        Some(versions) => versions.challenger.clone(),
        None => state.name(model, &rollout.challenger),
    };
    let message = format!(
        "rollout `{}` of {challenger} is open in the deployment log ({} at {} %, written by `{}` at {}): its server decides on the traffic of `{model}`, and nothing was changed",
        rollout.id,
        rollout.phase.name().replace('_', " "),
        rollout.weight_percent(),
        written.actor,
        written.at.format("%Y-%m-%d %H:%M:%S UTC"),
    );
    let address = written.admin.as_ref().map_or(String::new(), |at| format!("http://{at}"));
    Fault::conflict("BOT-6042", message)
        .hint(format!("call its admin API: `POST {address}/admin/v1/models/{model}/{request}`"))
        .hint("from here: set `server.admin_url` in botops.yaml or BOTOPS_ADMIN_URL, and run the command again")
        .hint(format!(
            "if it no longer runs: `botops serve {model} --environment {environment}` resumes the rollout"
        ))
}
