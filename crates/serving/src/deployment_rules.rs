//! The rules of the deployment log, which an entry forged with a right digest breaks.

use crate::version_source::{Deployment, deployment_log};
use botops_digest::Digest;
use botops_findings::{Finding, Place, Result, Severity};
use botops_registry::{Action, Registry};
use botops_rollout::{Phase, Rollout};
use botops_store::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Checks that the entries of every deployment log follow from each other, and that they name registered versions.
///
/// Numbers, digests and links are checked by [`Registry::verify`]; a log that breaks those rules is left out here.
///
/// # Errors
/// Those of the store.
pub async fn verify_deployments(registry: &Registry) -> Result<Vec<Finding>> {
    let store = registry.store();
    let mut problems = Vec::new();
    let mut versions = BTreeMap::new();
    for environment in store.folders("deployments").await? {
        let inspection = deployment_log(store, &environment).inspect().await?;
        if !inspection.problems.is_empty() {
            continue;
        }
        let models: BTreeSet<&str> =
            inspection.entries.iter().map(|entry| entry.payload.model.as_str()).collect();
        for model in models {
            if !versions.contains_key(model) {
                versions.insert(model.to_owned(), registered(registry, model).await);
            }
        }
        let mut rollouts: BTreeMap<&str, &Rollout> = BTreeMap::new();
        for entry in inspection.entries.iter().filter(|entry| entry.payload.is_step()) {
            let known = versions.get(&entry.payload.model).and_then(Option::as_ref);
            let before = rollouts.get(entry.payload.model.as_str()).copied();
            for problem in broken_rules(&entry.payload, before, known) {
                let path = format!("deployments/{environment}/log/{:020}.json", entry.seq);
                problems.push(finding(entry, &environment, &problem, store.object_url(&path)));
            }
            if let Some(rollout) = &entry.payload.rollout {
                rollouts.insert(&entry.payload.model, rollout);
            }
        }
    }
    Ok(problems)
}

/// Returns the first broken rule in `log`, the entries of one model, in words.
pub(super) fn first_problem(log: &[Deployment]) -> Option<String> {
    let mut before = None;
    for deployment in log {
        if let Some(problem) = broken_rules(deployment, before, None).into_iter().next() {
            let at = deployment.at.to_rfc3339();
            return Some(format!("the entry of {at} by `{}` {problem}", deployment.actor));
        }
        before = deployment.rollout.as_ref().or(before);
    }
    None
}

fn finding(entry: &Entry<Deployment>, environment: &str, problem: &str, place: String) -> Finding {
    Finding::new(
        "BOT-5006",
        Severity::Error,
        format!("entry {} of the deployment log of `{environment}` {problem}", entry.seq),
        "another program wrote to this log: find out which one writes to the store",
    )
    .at(Place { file: Some(place), ..Place::default() })
}

/// Returns the manifests of the versions of `model`; `None` if its log cannot be read, which is reported elsewhere.
async fn registered(registry: &Registry, model: &str) -> Option<BTreeSet<Digest>> {
    let history = registry.history(model).await.ok()?;
    let manifests = history.iter().filter_map(|entry| match entry.payload.action {
        Action::Registered { manifest } => Some(manifest),
        _ => None,
    });
    Some(manifests.collect())
}

/// Returns the rules that `deployment` breaks, in words; `before` is the latest rollout of its model.
fn broken_rules(
    deployment: &Deployment,
    before: Option<&Rollout>,
    versions: Option<&BTreeSet<Digest>>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let is_unknown = |manifest: &Digest| versions.is_some_and(|known| !known.contains(manifest));
    if is_unknown(&deployment.primary) {
        broken.push(format!("serves `{}`, which was not registered", deployment.primary.short()));
    }
    let Some(rollout) = &deployment.rollout else {
        if deployment.weight_percent != 0.0 {
            broken.push("has a weight without a rollout".to_owned());
        }
        return broken;
    };
    for manifest in [&rollout.champion, &rollout.challenger] {
        if is_unknown(manifest) {
            broken.push(format!("rolls out `{}`, which was not registered", manifest.short()));
        }
    }
    if deployment.primary != rollout.primary()
        || rollout.model != deployment.model
        || deployment.phase != rollout.phase.name()
        || (deployment.weight_percent - rollout.weight_percent()).abs() > 1e-9
    {
        broken.push("contradicts its rollout".to_owned());
    }
    match before {
        Some(before) if before.id == rollout.id => {
            if before.is_over() && before.phase != rollout.phase {
                broken.push(format!("continues the rollout `{}`, which was over", rollout.id));
            } else if rollout.revision < before.revision {
                broken.push(format!("goes back in the rollout `{}`", rollout.id));
            }
        }
        Some(before) if !before.is_over() => {
            broken.push(format!("begins a rollout before `{}` was over", before.id));
        }
        _ if rollout.phase != Phase::Pending => {
            broken.push(format!("begins the rollout `{}` in its middle", rollout.id));
        }
        _ => {}
    }
    broken
}
