//! The rules of the moves of champions in deployment logs, which an entry forged with a right digest breaks.

use super::{
    DEFAULT_ENVIRONMENT, Environment, Registry, Reign, champions::inherited, deployment_log,
    log_path, state::State,
};
use botops_digest::Digest;
use botops_evaluation::VersionSet;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_store::contradictions;
use std::collections::{BTreeMap, BTreeSet};

/// A model whose log was verified.
pub(super) struct VerifiedModel {
    /// The fold of its log.
    pub(super) state: State,
    /// The model file and the knowledge of each readable manifest.
    pub(super) sets: BTreeMap<Digest, Option<VersionSet>>,
    /// Whether the log has no gap and no altered entry.
    pub(super) is_complete: bool,
}

/// The result of the checks of deployment logs.
#[derive(Default)]
pub(super) struct CheckedMoves {
    /// Log entries checked.
    pub(super) entries: u64,
    /// The problems.
    pub(super) problems: Vec<Finding>,
}

impl Registry {
    /// Checks every deployment log: its numbers, digests and links, that its checkpoints are its fold, and that each champion of the `models` moved from where
    /// it was, to a registered version, with evidence that proves it. Adds the digests of evidence to `seen`.
    pub(super) async fn verify_deployment_logs(
        &self,
        models: &BTreeMap<String, VerifiedModel>,
        seen: &mut BTreeSet<Digest>,
    ) -> Result<CheckedMoves> {
        let mut checked = CheckedMoves::default();
        for name in self.store.folders("deployments").await? {
            let inspection = deployment_log(&self.store, &name).inspect().await?;
            checked.entries += (inspection.entries.len() + inspection.problems.len()) as u64;
            checked.problems.extend(inspection.problems.iter().map(Fault::as_finding));
            // After a gap or an altered entry, intact later entries contradict the rest.
            if !inspection.problems.is_empty() {
                continue;
            }
            let path = log_path(&name);
            let entries = &inspection.entries;
            let wrong = contradictions::<_, Environment>(&self.store, &path, entries).await?;
            checked.problems.extend(wrong.iter().map(Fault::as_finding));
            let environment = Environment::of(entries);
            for (model, deployed) in environment.models() {
                if !models.contains_key(model) {
                    checked.problems.extend(
                        deployed.reigns.first().map(|reign| self.lost_log(&name, model, reign.seq)),
                    );
                }
                let Some(verified) = models.get(model).filter(|verified| verified.is_complete)
                else {
                    continue;
                };
                let moves = &verified.state.champion_moves;
                let n =
                    if name == DEFAULT_ENVIRONMENT { inherited(moves, Some(deployed)) } else { 0 };
                if name == DEFAULT_ENVIRONMENT {
                    checked.problems.extend(moves[n..].iter().map(|moved| {
                        let to = verified.state.name(model, &moved.to);
                        self.late_move(model, &to, &moved.actor, &moved.at.to_rfc3339())
                    }));
                }
                let mut champion = moves[..n].last().map(|moved| moved.to);
                for reign in &deployed.reigns {
                    for rule in broken_rules(reign, champion, verified) {
                        checked.problems.push(self.broken_move(&name, model, reign.seq, rule));
                    }
                    champion = Some(reign.moved.to());
                    let Some(evidence) = reign.moved.evidence() else { continue };
                    seen.insert(evidence);
                    let set = verified.sets.get(&reign.moved.to()).cloned().flatten();
                    if let Err(fault) = self.check_evidence(&evidence, set).await? {
                        let entry =
                            format!("entry {} of the deployment log of `{name}`", reign.seq);
                        checked.problems.push(about(&fault, &format!("evidence of {entry}")));
                    }
                }
            }
        }
        Ok(checked)
    }

    /// Returns the finding of a model whose log is gone, although its champion was moved.
    fn lost_log(&self, environment: &str, model: &str, seq: u64) -> Finding {
        let place = self.store.object_url(&format!("models/{model}/log"));
        Finding::new(
            "BOT-5006",
            Severity::Error,
            format!(
                "the log of `{model}` is gone: entry {seq} of the deployment log of `{environment}` moves its `champion`"
            ),
            "copy it back from a mirror or a restored backup, which adds what is missing and overwrites nothing: `botops registry mirror COPY REGISTRY`",
        )
        .at(Place { file: Some(place), ..Place::default() })
    }

    fn broken_move(&self, environment: &str, model: &str, seq: u64, rule: &str) -> Finding {
        let place = self.store.object_url(&format!("{}/{seq:020}.json", log_path(environment)));
        Finding::new(
            "BOT-5006",
            Severity::Error,
            format!(
                "entry {seq} of the deployment log of `{environment}` moves `champion` of `{model}` {rule}"
            ),
            "another program wrote to this log: find out which one writes to the store",
        )
        .at(Place { file: Some(place), ..Place::default() })
    }

    /// Returns the finding of a move in the log of a model that happened after the deployment log became the authority.
    fn late_move(&self, model: &str, to: &str, actor: &str, at: &str) -> Finding {
        let place = self.store.object_url(&format!("models/{model}/log"));
        Finding::new(
            "BOT-5027",
            Severity::Error,
            format!(
                "`{actor}` moved `champion` of `{model}` to `{to}` at {at} in the log of the model, without effect: \
                 the deployment log of `{DEFAULT_ENVIRONMENT}` decides since an earlier entry"
            ),
            "an older botops still writes to this registry: install the newer one there, and promote again if needed",
        )
        .at(Place { file: Some(place), ..Place::default() })
    }
}

/// Returns the rules that a move breaks, in words; `champion` is the manifest that was champion before it.
fn broken_rules(
    reign: &Reign,
    champion: Option<Digest>,
    verified: &VerifiedModel,
) -> Vec<&'static str> {
    let moved = &reign.moved;
    [
        (verified.state.number(&moved.to()).is_none(), "to a version that was not registered"),
        (moved.from() != champion, "from a version that was not champion"),
        (moved.evidence().is_none(), "without evidence"),
    ]
    .into_iter()
    .filter_map(|(is_broken, rule)| is_broken.then_some(rule))
    .collect()
}

/// Returns the finding of `fault`, whose message begins with `name`.
pub(super) fn about(fault: &Fault, name: &str) -> Finding {
    let mut finding = fault.as_finding();
    finding.message = format!("{name}: {}", finding.message);
    finding
}
