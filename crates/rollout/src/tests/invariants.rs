//! The invariants of a rollout, over random plans, traffic, commands, holds and times.
//!
//! Those about several servers, the log and routing are tested where these are.

use super::{
    events::{Step, events, plans, play},
    *,
};
use proptest::{
    prelude::{Strategy, *},
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use std::collections::BTreeSet;

/// Returns the largest share that a phase allows, in percent.
fn bound(rollout: &Rollout) -> f64 {
    let weight = |step: usize| {
        rollout.policy.steps().get(step).map_or(0.0, |step: &StepPolicy| step.weight_percent)
    };
    match rollout.phase {
        Phase::Ramping { step, .. }
        | Phase::Paused { step: Some(step), .. }
        | Phase::AwaitingApproval { step: Some(step), .. } => weight(step),
        Phase::Promoting | Phase::Settling { .. } => 100.0,
        _ => 0.0,
    }
}

/// Returns the place of a phase on the way to the promotion.
fn progress(rollout: &Rollout) -> usize {
    let n_steps = rollout.policy.steps().len();
    match rollout.phase {
        Phase::Pending => 0,
        Phase::Loading => 1,
        Phase::Shadow { .. } | Phase::Paused { step: None, .. } => 2,
        // Loaded, and before the first step.
        Phase::Paused { weight: 0.0, reason: PauseReason::Held, step: Some(0), .. } => 2,
        Phase::Ramping { step, .. } | Phase::Paused { step: Some(step), .. } => 3 + step,
        Phase::AwaitingApproval { .. } => 3 + n_steps,
        Phase::Promoting => 4 + n_steps,
        Phase::Settling { .. } => 5 + n_steps,
        Phase::Promoted => 6 + n_steps,
        _ => 0,
    }
}

fn decided_by(step: &Step<'_>, name: &str) -> bool {
    step.transition.is_decided() && step.is_command(name)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn invariant_1_the_share_is_above_zero_only_on_the_way_up_and_within_the_step(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, _| {
            let (next, share) = (step.next(), step.next().weight_percent());
            let allowed = matches!(
                next.phase.name(),
                "ramping" | "paused" | "awaiting_approval" | "promoting" | "settling"
            );
            prop_assert!(share == 0.0 || allowed, "{} in {:?}", share, next.phase);
            prop_assert!((0.0..=bound(next)).contains(&share), "{} in {:?}", share, next.phase);
            prop_assert!((next.weight() * 100.0 - share).abs() < 1e-7);
            if matches!(step.transition.verdict, Verdict::Invalid) {
                prop_assert_eq!(share, 0.0);
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_2_a_superseded_rollout_rolls_back_first_and_a_settling_one_is_not_superseded(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, now| {
            let next = step.next();
            if matches!(next.phase, Phase::Superseded { .. }) && next.phase != step.before.phase {
                let superseding =
                    matches!(&step.before.phase, Phase::RollingBack { superseded_by: Some(_), .. });
                prop_assert!(superseding && step.is_command("drained"));
            }
            let superseded = command(next, &Command::Supersede { by: "r3".to_owned() }, now);
            match &next.phase {
                Phase::Settling { .. } => prop_assert_eq!(superseded.unwrap_err().code(), "BOT-6007"),
                phase if phase.is_terminal() => prop_assert!(superseded.is_err()),
                _ => {
                    let back = superseded.unwrap();
                    prop_assert_eq!(back.effect, Effect::RollBack);
                    prop_assert_eq!((back.next.weight(), back.next.primary()), (0.0, next.champion));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_3_a_rollback_is_possible_at_any_time_and_takes_effect_at_once(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, now| {
            let next = step.next();
            let abort = Command::Abort { reason: "enough".to_owned() };
            // Neither a hold nor missing approvals stop it.
            let back = command_held(next, &abort, Some("frozen"), now);
            if next.is_over() {
                prop_assert!(back.is_err());
                return Ok(());
            }
            let back = back.unwrap();
            prop_assert_eq!(back.effect, Effect::RollBack);
            prop_assert_eq!(back.next.phase.name(), "rolling_back");
            prop_assert_eq!((back.next.weight(), back.next.primary()), (0.0, next.champion));
            let over = command_held(&back.next, &Command::Drained, Some("frozen"), now).unwrap();
            prop_assert!(["rolled_back", "superseded"].contains(&over.next.phase.name()));
            Ok(())
        })?;
    }

    #[test]
    fn invariant_4_a_rollback_acts_first_and_every_other_effect_is_that_of_the_state_written(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, _| {
            let (next, effect) = (step.next(), step.transition.effect);
            prop_assert_eq!(
                effect == Effect::RollBack && step.transition.is_decided(),
                matches!(next.phase, Phase::RollingBack { .. }) && step.transition.is_decided()
            );
            // Everything that a decision asks for can be read from the state after it, so it can be repeated.
            match effect {
                Effect::None => {}
                Effect::Finish => prop_assert!(next.is_over()),
                effect => prop_assert_eq!(next.pending_effect(), effect),
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_5_the_champion_moves_only_when_the_caller_has_confirmed_it(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, _| {
            let (before, next) = (step.before, step.next());
            prop_assert_eq!((next.champion, next.challenger), (before.champion, before.challenger));
            if next.primary() == next.challenger && before.primary() == before.champion {
                prop_assert_eq!(&before.phase, &Phase::Promoting);
                prop_assert!(step.is_command("confirmed"));
            }
            if next.phase == Phase::Promoted && before.phase != Phase::Promoted {
                prop_assert!(["promoting", "settling"].contains(&before.phase.name()));
            }
            // The way back goes through a rollback.
            if next.primary() == next.champion && before.primary() == before.challenger {
                prop_assert_eq!(step.transition.effect, Effect::RollBack);
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_7_a_terminal_phase_is_never_left(plan in plans(), events in events()) {
        play(&plan, &events, |step, _| {
            if step.before.is_over() {
                prop_assert_eq!(step.next().phase.clone(), step.before.phase.clone());
                prop_assert_eq!(step.next().revision, step.before.revision);
                prop_assert_eq!(step.transition.effect, Effect::None);
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_8_the_revision_rises_by_one_with_every_decision(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, _| {
            let (before, next) = (step.before, step.next());
            let decided = u64::from(step.transition.is_decided());
            prop_assert_eq!(next.revision, before.revision + decided);
            if decided == 0 {
                prop_assert_eq!(next.phase.name(), before.phase.name());
                prop_assert_eq!(next.weight(), before.weight());
                prop_assert_eq!(&next.approvals, &before.approvals);
                prop_assert!(matches!(step.transition.effect, Effect::None | Effect::RollBack));
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_9_a_restart_in_any_phase_resumes_it(plan in plans(), events in events()) {
        play(&plan, &events, |step, _| {
            let restored = reread(step.next());
            prop_assert_eq!(&restored, step.next());
            prop_assert_eq!(restored.pending_effect(), step.next().pending_effect());
            prop_assert_eq!(restored.is_over(), restored.pending_effect() == Effect::None
                && restored.phase != Phase::Pending);
            Ok(())
        })?;
    }

    #[test]
    fn invariant_10_nothing_is_promoted_without_its_approvals_or_with_that_of_the_requester(
        plan in plans(), events in events(),
    ) {
        let quorum = plan.approval.as_ref().map_or(0, |approval| approval.quorum);
        play(&plan, &events, |step, _| {
            let (before, next) = (step.before, step.next());
            let approvers: BTreeSet<&str> =
                next.approvals.iter().map(|approval| approval.by.as_str()).collect();
            prop_assert_eq!(approvers.len(), next.approvals.len(), "each person once");
            prop_assert!(!approvers.contains(next.requester()) && !approvers.contains(""));
            let entered = next.phase == Phase::Promoting && before.phase != Phase::Promoting;
            if entered {
                prop_assert!(approvers.len() as u64 >= u64::from(quorum), "{:?}", approvers);
                let awaited = matches!(before.phase, Phase::AwaitingApproval { .. });
                prop_assert_eq!(awaited, quorum > 0);
            }
            if matches!(next.phase, Phase::Ramping { .. } | Phase::Paused { .. }) {
                prop_assert!(next.approvals.is_empty(), "they lapse with the evidence");
            }
            Ok(())
        })?;
    }

    #[test]
    fn invariant_11_nothing_advances_while_it_is_held(plan in plans(), events in events()) {
        play(&plan, &events, |step, _| {
            let (before, next) = (step.before, step.next());
            if step.event.held.is_none() || decided_by(step, "confirmed") {
                return Ok(());
            }
            // The challenger may be loaded, and mirrored to, but nobody gets its answers.
            if decided_by(step, "loaded") {
                prop_assert_eq!(next.weight(), 0.0);
                return Ok(());
            }
            prop_assert!(next.weight() <= before.weight(), "{:?} after {:?}", next.phase, before.phase);
            prop_assert!(
                next.phase.name() == before.phase.name() || progress(next) <= progress(before),
                "{:?} after {:?}", next.phase, before.phase
            );
            if let (Phase::Ramping { step: to, .. }, Phase::Ramping { step: from, .. }) =
                (&next.phase, &before.phase)
            {
                prop_assert_eq!(to, from);
            }
            Ok(())
        })?;
    }

    #[test]
    fn evidence_of_harm_always_rolls_back(plan in plans(), events in events()) {
        play(&plan, &events, |step, _| {
            let next = step.next();
            if step.transition.verdict == Verdict::Fail {
                prop_assert_eq!(next.phase.name(), "rolling_back");
                prop_assert_eq!(step.transition.effect, Effect::RollBack);
            }
            let worse = next
                .evidence()
                .iter()
                .any(|e| e.policy.gates() && e.log_e_rollback >= e.log_threshold)
                || next.limit_evidence().iter().any(LimitEvidence::is_exceeded);
            // While the challenger is being made champion no rule acts: the first tick after it does.
            let goes_on = matches!(
                next.phase,
                Phase::Shadow { .. } | Phase::Ramping { .. } | Phase::Paused { .. }
                    | Phase::AwaitingApproval { .. } | Phase::Settling { .. }
            );
            let is_tick = matches!(step.event.input, events::Input::Tick { .. });
            prop_assert!(!(worse && goes_on && is_tick), "{:?}", next.phase);
            Ok(())
        })?;
    }

    #[test]
    fn a_step_is_left_only_with_its_conditions_by_a_person_or_by_the_plan(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, _| {
            let Phase::Ramping { step: to, .. } = step.next().phase else { return Ok(()) };
            let (from, units) = match step.before.phase {
                Phase::Ramping { step, units, .. } => (step, units),
                Phase::Paused { step: Some(step), units, .. } => (step, units),
                _ => {
                    prop_assert_eq!(to, 0);
                    return Ok(());
                }
            };
            prop_assert!(to == from || to == from + 1);
            if to == from || step.is_command("advance") {
                return Ok(());
            }
            let enough = units + 60 >= step.next().policy.steps()[from].min_units;
            match step.transition.verdict {
                Verdict::Pass => prop_assert!(enough),
                verdict => {
                    prop_assert_eq!(verdict, Verdict::Insufficient);
                    prop_assert_eq!(plan.on_insufficient, OnInsufficient::Advance);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn every_state_of_a_log_is_decided_again_from_the_one_before(
        plan in plans(), events in events(),
    ) {
        play(&plan, &events, |step, _| {
            let replayed = replay_step(step.before, step.next());
            prop_assert!(replayed.is_ok(), "{:?}: {:?}", step.event, replayed.err());
            let (recorded, transition) = replayed.unwrap();
            prop_assert_eq!(&transition.next, step.next());
            let again = replay(&transition.next, []).unwrap();
            prop_assert!(again.is_empty());
            prop_assert!(recorded.at >= step.before.started_at - TimeDelta::days(30));
            Ok(())
        })?;
    }
}

#[test]
fn the_random_rollouts_reach_every_phase() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let mut reached = BTreeSet::new();
    for _ in 0..2_000 {
        let plan = plans().new_tree(&mut runner).unwrap().current();
        let events = events().new_tree(&mut runner).unwrap().current();
        play(&plan, &events, |step, _| {
            reached.insert(step.next().phase.number());
            Ok(())
        })
        .unwrap();
    }
    assert_eq!(reached, (1..=14).collect::<BTreeSet<u8>>());
}
