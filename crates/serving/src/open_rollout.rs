//! Rollouts that a server drives, according to the deployment logs of a registry.

use crate::version_source::{Deployment, deployment_log};
use botops_findings::{Fault, Result};
use botops_registry::{Reference, Registry};
use botops_rollout::Rollout;

/// Refuses a move of `champion` that no server takes part in, while a server drives a rollout of `model`.
///
/// That server keeps its routing until the rollout ends, so the move would not take effect. All environments share the
/// alias, so the deployment logs of all are read. `request` is the path of the admin API that does the same, below
/// `/admin/v1/models/<model>`.
///
/// # Errors
/// `BOT-6042` a rollout is open (exit 5); those of the store.
pub async fn refuse_open_rollout(registry: &Registry, model: &str, request: &str) -> Result<()> {
    let store = registry.store();
    for environment in store.folders("deployments").await? {
        let entries = deployment_log(store, &environment).entries().await?;
        let last = entries.iter().rev().map(|entry| &entry.payload).find_map(|deployment| {
            let rollout = deployment.rollout.as_ref()?;
            (deployment.model == model).then_some((deployment, rollout))
        });
        if let Some((deployment, rollout)) = last.filter(|(_, rollout)| !rollout.is_over()) {
            let challenger = challenger(registry, rollout).await;
            return Err(refusal(deployment, rollout, &challenger)
                .hint(format!("call its admin API: `{}`", call(deployment, request)))
                .hint("from here: set `server.admin_url` in botops.yaml or BOTOPS_ADMIN_URL, and run the command again")
                .hint(format!(
                    "if it no longer runs: `botops serve {model} --environment {environment}` resumes the rollout"
                )));
        }
    }
    Ok(())
}

fn refusal(deployment: &Deployment, rollout: &Rollout, challenger: &str) -> Fault {
    let message = format!(
        "rollout `{}` of {challenger} is open in the deployment log ({} at {} %, written by `{}` at {}): its server decides on the traffic of `{}`, and nothing was changed",
        rollout.id,
        rollout.phase.name().replace('_', " "),
        deployment.weight_percent,
        deployment.actor,
        deployment.at.format("%Y-%m-%d %H:%M:%S UTC"),
        deployment.model,
    );
    Fault::conflict("BOT-6042", message)
}

/// Returns the request of the admin API, with the address of the server if the log has it.
fn call(deployment: &Deployment, request: &str) -> String {
    let address = deployment.admin.as_ref().map_or(String::new(), |at| format!("http://{at}"));
    format!("POST {address}/admin/v1/models/{}/{request}", deployment.model)
}

/// Returns the reference of the challenger; its digest if neither the log nor the registry has it.
async fn challenger(registry: &Registry, rollout: &Rollout) -> String {
    if let Some(versions) = &rollout.versions {
        return versions.challenger.clone();
    }
    let name = format!("{}@{}", rollout.model, rollout.challenger);
    match name.parse::<Reference>() {
        Ok(reference) => {
            registry.resolve(&reference).await.map_or(name, |version| version.reference())
        }
        Err(_) => name,
    }
}
