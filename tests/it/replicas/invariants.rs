//! The invariants of a rollout in the log of several servers, whatever their clocks say.

use botops_registry::Deployment;
use botops_rollout::{Phase, Rollout, replay_step};
use botops_store::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the steps of all rollouts in `log`:
///
/// - the challenger has a share only on its ramp, in a pause, awaiting approval, promoting and settling, and never more than
///   that of its step
/// - one rollout is open at a time, and another one begins only when it is over
/// - a terminal phase is never left
/// - each rollout has a salt of its own
/// - revisions rise one by one, and this program decides every step again from the one before
pub(super) fn check(log: &[Entry<Deployment>]) {
    let mut open: Option<&Rollout> = None;
    let mut salts = BTreeMap::new();
    let mut over = BTreeSet::new();
    let mut n_decided = 0;
    for entry in log {
        let Some(rollout) = entry.payload.rollout() else { continue };
        let (seq, id, phase) = (entry.seq, rollout.id.as_str(), rollout.phase.name());
        check_weight(seq, rollout);
        assert!(!over.contains(id), "entry {seq}: rollout {id} was over, and is {phase}");
        let salt_of = *salts.entry(rollout.salt.as_str()).or_insert(id);
        assert_eq!(salt_of, id, "entry {seq}: two rollouts draw the same conversations");
        match open {
            Some(before) if before.id == id => {
                let risen = rollout.revision - before.revision;
                assert!(risen <= 1, "entry {seq}: {risen} decisions in one step");
                n_decided += risen;
                if let Err(fault) = replay_step(before, rollout) {
                    panic!("entry {seq}: {fault}");
                }
            }
            Some(before) => panic!("entry {seq}: {id} begins while {} is open", before.id),
            None => assert_eq!(phase, "pending", "entry {seq}: {id} does not begin at its begin"),
        }
        if rollout.is_over() {
            over.insert(id);
        }
        open = (!rollout.is_over()).then_some(rollout);
    }
    assert!(n_decided > 0, "nothing was decided");
    assert_eq!(open.map(|rollout| &rollout.id), None, "every rollout ends");
}

fn check_weight(seq: u64, rollout: &Rollout) {
    let weight = rollout.weight_percent();
    let steps = rollout.policy.steps();
    let most = match rollout.phase {
        Phase::Ramping { step, .. } => steps[step].weight_percent,
        Phase::Paused { step, .. } | Phase::AwaitingApproval { step, .. } => {
            step.and_then(|step| steps.get(step)).map_or(0.0, |step| step.weight_percent)
        }
        Phase::Promoting | Phase::Settling { .. } => 100.0,
        _ => 0.0,
    };
    assert!(
        (0.0..=most).contains(&weight),
        "entry {seq}: {weight} % in phase {}, at most {most} %",
        rollout.phase.name()
    );
}
