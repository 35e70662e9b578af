//! Plans with the strategy `shadow`: they end after the shadow stage, and promote nothing.

use super::*;
use crate::{ShadowSpec, Strategy};

pub(super) fn shadow_plan() -> RolloutSpec {
    RolloutSpec {
        strategy: Strategy::Shadow,
        shadow: Some(ShadowSpec { min_units: 50, deadline: "3h".to_owned(), mirror: Some(12.5) }),
        ..RolloutSpec::default()
    }
}

fn mirrored(units: u64, now: DateTime<Utc>) -> Observation {
    Observation { shadow_units: units, ..silent(units, 0, now) }
}

#[test]
fn a_shadow_plan_ends_after_its_conversations_or_its_deadline_and_holds_do_not_delay_it() {
    let shadow = reread(&running(&shadow_plan()));
    assert_eq!((shadow.weight(), shadow.mirror_share()), (0.0, 0.125));
    let now = start() + minutes(60);
    let tick = advance(&shadow, &mirrored(49, now), now);
    assert!(!tick.is_decided());
    let frozen = Observation { held: Some("frozen".to_owned()), ..mirrored(1, now) };
    let done = advance(&tick.next, &frozen, now);
    assert_eq!(done.effect, Effect::Finish);
    let reason = "the shadow run is over: 50 conversations mirrored";
    assert_eq!(done.next.phase, Phase::Finished { reason: reason.to_owned(), units: 50 });
    assert_eq!((done.next.mirror_share(), done.next.weight()), (0.0, 0.0));
    assert!(done.next.is_over() && done.next.waiting_for(now).is_empty());
    assert_eq!(done.next.primary(), done.next.champion);
    assert_eq!(done.next.pending_effect(), Effect::None);
    let stored = serde_json::to_value(&done.next.phase).unwrap();
    assert_eq!(stored, serde_json::json!({"phase": "finished", "reason": reason, "units": 50}));

    let now = start() + minutes(180);
    let late = advance(&tick.next, &mirrored(0, now), now);
    let reason =
        "the shadow run is over: deadline of 3h reached with 49 of 50 conversations mirrored";
    assert_eq!(late.next.phase, Phase::Finished { reason: reason.to_owned(), units: 49 });
}

#[test]
fn the_verdict_of_a_shadow_run_says_whether_it_mirrored_enough() {
    let verdict = |min_units: u64, units: u64| {
        let mut plan = shadow_plan();
        plan.shadow.as_mut().unwrap().min_units = min_units;
        let shadow = running(&plan);
        let now = start() + minutes(180);
        let over = advance(&shadow, &mirrored(units, now), now).next;
        let decision = Decision::new(&over, Vec::new(), false);
        (decision.verdict, decision.reason)
    };
    let over = |rest: &str| format!("the shadow run is over: {rest}");
    let late = "deadline of 3h reached with";
    for (min_units, units, expected, reason) in [
        (50, 50, "finished", "50 conversations mirrored".to_owned()),
        (50, 49, "insufficient", format!("{late} 49 of 50 conversations mirrored")),
        (UNTIL_DEADLINE, 3, "finished", format!("{late} 3 conversations mirrored")),
        // Nobody was mirrored, so nothing was compared.
        (UNTIL_DEADLINE, 0, "insufficient", format!("{late} 0 conversations mirrored")),
    ] {
        assert_eq!(verdict(min_units, units), (expected.to_owned(), over(&reason)));
    }
    let mut plan = shadow_plan();
    plan.shadow.as_mut().unwrap().min_units = UNTIL_DEADLINE;
    assert_eq!(running(&plan).waiting_for(start() + minutes(60)), ["2h more"]);
}

#[test]
fn a_log_in_which_an_older_version_rolled_a_shadow_run_back_is_replayed() {
    let shadow = running(&shadow_plan());
    let now = start() + minutes(60);
    let over = advance(&shadow, &mirrored(50, now), now).next;
    let (_, replayed) = replay_step(&shadow, &over).unwrap();
    assert_eq!((&replayed.next, replayed.effect), (&over, Effect::Finish));
    let reason = "the shadow run is over: 50 of 1,000 conversations mirrored";
    let before = Rollout { phase: Phase::rolling_back(reason), ..over.clone() };
    let (_, replayed) = replay_step(&shadow, &before).unwrap();
    assert_eq!((&replayed.next, replayed.effect), (&before, Effect::RollBack));
    let drained = command(&before, &Command::Drained, now).unwrap().next;
    assert_eq!(drained.phase, Phase::RolledBack { reason: reason.to_owned() });
    replay_step(&before, &drained).unwrap();
    // Nothing else that rolls back passes for the end of a shadow run.
    let other = Rollout { phase: Phase::rolling_back("somebody changed the log"), ..over };
    assert_eq!(replay_step(&shadow, &other).unwrap_err().code(), "BOT-6008");
}

#[test]
fn nothing_moves_a_shadow_plan_forward() {
    let shadow = running(&shadow_plan());
    let now = start() + minutes(1);
    let paused = command(&shadow, &Command::Pause, now).unwrap().next;
    let (by, comment) = ("grace".to_owned(), String::new());
    for rollout in [&shadow, &paused] {
        for forward in [
            Command::Promote,
            Command::Advance,
            Command::SetWeight { percent: 5.0 },
            Command::Approve { by: by.clone(), comment: comment.clone() },
            Command::Reject { by: by.clone(), comment: comment.clone() },
        ] {
            let fault = command(rollout, &forward, now).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6089", 5), "{forward:?}");
        }
    }
    assert!(command(&paused, &Command::Resume, now).unwrap().next.mirrors());
    // The approvals that a policy demands are for promotions.
    let demanded = shadow.policy.clone().with_required_approvals(2);
    assert!(demanded.approval().is_none());
}

#[test]
fn a_shadow_run_that_is_aborted_finishes_and_rolls_nothing_back() {
    let now = start() + minutes(60);
    let shadow = advance(&running(&shadow_plan()), &mirrored(70, now), now - minutes(1));
    // 70 conversations would end it; 40 do not.
    assert!(shadow.next.is_over());
    let shadow = advance(&running(&shadow_plan()), &mirrored(40, now), now).next;
    let paused = command(&shadow, &Command::Pause, now).unwrap().next;
    let abort = Command::Abort { reason: "seen enough".to_owned() };
    for (before, held) in [(&shadow, None), (&paused, None), (&shadow, Some("frozen by carol"))] {
        let ended = command_held(before, &abort, held, now).unwrap();
        let reason = "aborted: seen enough".to_owned();
        assert_eq!((ended.effect, &ended.reason), (Effect::Finish, &reason));
        assert_eq!(ended.next.phase, Phase::Finished { reason: reason.clone(), units: 40 });
        let decision = Decision::new(&ended.next, vec![ended.record()], false);
        assert_eq!((decision.verdict.as_str(), &decision.reason), ("insufficient", &reason));
        let (recorded, again) = replay_step(before, &ended.next).unwrap();
        assert_eq!(again.next, ended.next);
        assert!(matches!(
            recorded.input,
            RecordedInput::Command { request: Command::Abort { .. }, .. }
        ));
        // Older versions rolled it back.
        let mut older = ended.next.clone();
        older.phase = Phase::rolling_back(&reason);
        older.held = held.map(str::to_owned);
        assert_eq!(replay_step(before, &older).unwrap().1.next, older);
    }
    // A run that has not begun, and one that another rollout replaces, are rolled back as any other.
    let loading = advance(&request(&shadow_plan()), &Observation::default(), start()).next;
    assert_eq!(command(&loading, &abort, now).unwrap().effect, Effect::RollBack);
    let other = Command::Supersede { by: "r2".to_owned() };
    assert_eq!(command(&shadow, &other, now).unwrap().effect, Effect::RollBack);
}

#[test]
fn a_shadow_plan_has_a_shadow_stage_and_nothing_else() {
    shadow_plan().check().unwrap();
    let no_stage = RolloutSpec { shadow: None, ..shadow_plan() };
    let steps = RolloutSpec { steps: spec().steps, ..shadow_plan() };
    let settle = crate::SettleSpec { window: "1h".to_owned(), min_units: None };
    let settles = RolloutSpec { settle: Some(settle), ..shadow_plan() };
    let approval = crate::ApprovalSpec { quorum: 1, expires: None };
    let approved = RolloutSpec { approval: Some(approval), ..shadow_plan() };
    let mut cases =
        vec![("shadow", no_stage), ("steps", steps), ("settle", settles), ("approval", approved)];
    for mirror in [0.0, -1.0, 100.1, f64::NAN, 0.000_01] {
        let mut plan = shadow_plan();
        plan.shadow.as_mut().unwrap().mirror = Some(mirror);
        cases.push(("shadow.mirror", plan));
    }
    for (key, plan) in cases {
        let fault = plan.check().unwrap_err();
        assert_eq!(fault.code(), "BOT-6001", "{key}");
        assert_eq!(fault.place().key.as_deref(), Some(key));
    }
}
