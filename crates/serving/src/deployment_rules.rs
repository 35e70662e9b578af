//! The rules of the deployment log, which an entry forged with a right digest breaks.

use botops_digest::Digest;
use botops_findings::{Finding, Place, Result, Severity};
use botops_registry::{Action, Deployment, Registry, RolloutStep, deployment_log};
use botops_rollout::Phase;
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
        let mut steps: BTreeMap<&str, &RolloutStep> = BTreeMap::new();
        for entry in inspection.entries.iter().filter(|entry| entry.payload.step().is_some()) {
            let known = versions.get(&entry.payload.model).and_then(Option::as_ref);
            let before = steps.get(entry.payload.model.as_str()).copied();
            for problem in broken_rules(&entry.payload, before, known) {
                let path = format!("deployments/{environment}/log/{:020}.json", entry.seq);
                problems.push(finding(entry, &environment, &problem, store.object_url(&path)));
            }
            if let Some(step) = entry.payload.step() {
                steps.insert(&entry.payload.model, step);
            }
        }
    }
    Ok(problems)
}

/// Returns the first rule that the entries about `model` in `log` break, in words.
pub(super) fn first_broken_rule(log: &[Entry<Deployment>], model: &str) -> Option<String> {
    let mut before = None;
    for Entry { payload, seq, .. } in log.iter().filter(|entry| entry.payload.model == model) {
        if let Some(problem) = broken_rule(payload, before) {
            let at = payload.at.to_rfc3339();
            return Some(format!("entry {seq} of {at} by `{}` {problem}", payload.actor));
        }
        before = payload.step().or(before);
    }
    None
}

/// Returns the first rule that `deployment` breaks after the step `before` of its model, in words.
pub(super) fn broken_rule(deployment: &Deployment, before: Option<&RolloutStep>) -> Option<String> {
    broken_rules(deployment, before, None).into_iter().next()
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

/// Returns the rules that `deployment` breaks, in words; `before` is the latest step of its model.
fn broken_rules(
    deployment: &Deployment,
    before: Option<&RolloutStep>,
    versions: Option<&BTreeSet<Digest>>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let is_unknown = |manifest: &Digest| versions.is_some_and(|known| !known.contains(manifest));
    let Some(step) = deployment.step() else { return broken };
    let rollout = &step.rollout;
    for manifest in [&rollout.champion, &rollout.challenger] {
        if is_unknown(manifest) {
            broken.push(format!("rolls out `{}`, which was not registered", manifest.short()));
        }
    }
    let moves_elsewhere =
        step.champion.as_ref().is_some_and(|moved| moved.to() != rollout.primary());
    if rollout.model != deployment.model || moves_elsewhere {
        broken.push("contradicts its rollout".to_owned());
    }
    match before.map(|before| &before.rollout) {
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
