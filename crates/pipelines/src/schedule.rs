//! The order of stages: those that do not need each other run at once.

use super::{
    plan::{Plan, Stage},
    spec::StageSpec,
};

/// The most stages at once, whatever the number of processors.
const MOST_JOBS: usize = 8;

/// Returns the number of stages that may run at once; 0 for the number of processors.
pub(super) fn jobs(wanted: usize) -> usize {
    let runtime = tokio::runtime::Handle::current();
    // On a single thread, a stage that computes would stop the others.
    if runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::CurrentThread {
        return 1;
    }
    match wanted {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(MOST_JOBS),
        jobs => jobs.min(MOST_JOBS),
    }
}

/// Returns whether `stage` waits for every stage before it, and every stage after it waits for it: it changes something
/// outside its folder, or records what the stages before it made.
fn is_barrier(stage: &Stage) -> bool {
    matches!(
        stage.spec,
        Some(
            StageSpec::Push(_)
                | StageSpec::Promote(_)
                | StageSpec::Compact(_)
                | StageSpec::KnowledgeImport(_)
                | StageSpec::Shell(_)
        )
    )
}

/// Returns the next stages to run at once, at most `jobs`, as places in `plan`; `done` says which stages have ended. Empty if
/// all have.
///
/// The stages of a turn depend on the plan and on `jobs` alone, never on the time that stages take.
pub(super) fn next(plan: &Plan, done: &[bool], jobs: usize) -> Vec<usize> {
    let ended = |name: &String| {
        plan.stages.iter().position(|stage| &stage.name == name).is_none_or(|at| done[at])
    };
    let mut ready = Vec::new();
    for (at, stage) in plan.stages.iter().enumerate() {
        if done[at] {
            continue;
        }
        if is_barrier(stage) {
            if done[..at].iter().all(|done| *done) {
                return vec![at];
            }
            break;
        }
        if stage.needs.iter().all(ended) {
            ready.push(at);
            if ready.len() == jobs.max(1) {
                break;
            }
        }
    }
    ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::PipelineSpec;
    use std::path::Path;

    const STAGES: &str = "
version: 1
name: p
stages:
  - validate: { data: a.csv }
  - split: { from: validate }
  - train: { from: split }
  - train: { name: other, from: split }
  - evaluate: { model: train, on: split }
  - drift: { reference: split, model: train, current: t.jsonl }
  - gate: { from: evaluate, rules: { metrics: { accuracy: { min: 0.5 } } } }
  - shell: { run: 'true' }
  - dialogue_test: { model: train }
";

    fn plan() -> Plan {
        let spec: PipelineSpec = botops_spec::parse(STAGES, "p.yaml").unwrap();
        Plan::check(spec, Path::new("p.yaml"), None).unwrap()
    }

    fn turns(jobs: usize) -> Vec<Vec<String>> {
        let plan = plan();
        let mut done = vec![false; plan.stages.len()];
        let mut turns = Vec::new();
        loop {
            let turn = next(&plan, &done, jobs);
            if turn.is_empty() {
                break;
            }
            turn.iter().for_each(|&at| done[at] = true);
            turns.push(turn.iter().map(|&at| plan.stages[at].name.clone()).collect());
        }
        assert!(done.iter().all(|done| *done));
        turns
    }

    #[test]
    fn independent_stages_share_a_turn_and_barriers_stand_alone() {
        let four = turns(4);
        let expected: [&[&str]; 6] = [
            &["validate"],
            &["split"],
            &["train", "other"],
            &["evaluate", "drift"],
            &["gate"],
            &["shell"],
        ];
        assert_eq!(
            four[..6],
            expected.map(|turn| turn.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
        );
        // What comes after a stage with effects waits for it, although it needs nothing of it.
        assert_eq!(four[6], ["dialogue_test"]);
        // One at a time is the order of the file.
        let one: Vec<String> = turns(1).concat();
        assert_eq!(one, plan().stages.iter().map(|stage| stage.name.clone()).collect::<Vec<_>>());
    }
}
