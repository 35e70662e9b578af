//! A rollout that is open in a deployment log keeps others from moving the champion.

use super::{Registry, known_environments::Followed, state::State};
use botops_findings::{Fault, Result};

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
        open_rollout(&known, (&self.environment, model), &state, request).map_or(Ok(()), Err)
    }
}

/// Returns the fault of a rollout of `model` that is open in the log of `environment`.
pub(super) fn open_rollout(
    known: &Followed,
    (environment, model): (&str, &str),
    state: &State,
    request: &str,
) -> Option<Fault> {
    let deployed = known.environment.model(model)?;
    let rollout = &deployed.open()?.rollout;
    let written = known.entries.iter().rev().find(|entry| entry.seq == deployed.step_seq)?;
    let written = &written.payload;
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
    let fault = Fault::conflict("BOT-6042", message)
        .hint(format!("call its admin API: `POST {address}/admin/v1/models/{model}/{request}`"))
        .hint("from here: set `server.admin_url` in botops.yaml or BOTOPS_ADMIN_URL, and run the command again")
        .hint(format!(
            "if it no longer runs: `botops serve {model} --environment {environment}` resumes the rollout"
        ));
    Some(fault)
}
