use super::*;
use botops_findings::FaultKind;

pub(super) fn paused_for(rollout: &Rollout) -> PauseReason {
    match rollout.phase {
        Phase::Paused { reason, .. } => reason,
        ref phase => panic!("{phase:?} is not a pause"),
    }
}

#[test]
fn the_promote_path_goes_step_by_step() {
    let pending = request(&spec());
    assert_eq!((pending.revision, pending.weight(), pending.is_over()), (0, 0.0, false));
    assert_eq!(pending.salt, pending.id);

    let loading = advance(&pending, &Observation::default(), start());
    assert_eq!(loading.next.phase, Phase::Loading);
    assert_eq!((loading.effect, loading.next.revision), (Effect::Load, 1));
    // A tick decides nothing while the challenger loads.
    let tick = advance(&loading.next, &seen(100, 0, start()), start() + minutes(5));
    assert_eq!((tick.next.clone(), tick.effect), (loading.next.clone(), Effect::None));

    let first = command(&loading.next, &Command::Loaded, start()).unwrap();
    assert_eq!(first.effect, Effect::Route);
    assert_eq!((first.next.weight(), first.next.weight_percent()), (0.05, 5.0));

    // Enough conversations, but too little time.
    let now = start() + minutes(59);
    let tick = advance(&first.next, &seen(475, 25, now), now);
    assert_eq!((tick.verdict, tick.is_decided()), (Verdict::Hold, false));
    assert_eq!(tick.next.revision, first.next.revision);
    assert_eq!(tick.next.waiting_for(now), ["1m more"]);

    let now = start() + minutes(60);
    let second = advance(&tick.next, &seen(0, 0, now), now);
    assert_eq!((second.verdict, second.effect), (Verdict::Pass, Effect::Route));
    assert_eq!(second.next.weight(), 0.25);
    assert_eq!(
        second.reason,
        "step 1 of 3 passed: 25 conversations on the challenger at 5 % in 1h, nothing worse"
    );

    // Enough time, but too few conversations.
    let now = now + minutes(90);
    let tick = advance(&second.next, &seen(120, 40, now), now);
    assert!(!tick.is_decided());
    assert_eq!(tick.next.waiting_for(now), ["10 more conversations"]);
    let now = now + minutes(5);
    let third = advance(&tick.next, &seen(30, 10, now), now);
    assert_eq!(third.next.weight(), 0.5);

    // The last step requires evidence.
    let now = now + minutes(60);
    let few = failing(seen(120, 120, now), FailureKind::Wrong, 0.5, [6, 2]);
    let tick = advance(&third.next, &few, now);
    assert!(!tick.is_decided(), "{}", tick.reason);
    assert!(tick.next.waiting_for(now)[0].starts_with("evidence on `wrong` (log e "));
    let now = now + minutes(60);
    let more = failing(seen(120, 120, now), FailureKind::Wrong, 0.5, [22, 1]);
    let promoting = advance(&tick.next, &more, now);
    assert_eq!(promoting.next.phase, Phase::Promoting);
    assert_eq!((promoting.verdict, promoting.effect), (Verdict::Pass, Effect::Promote));
    assert_eq!(promoting.next.weight(), 1.0);
    assert_eq!(
        promoting.reason,
        "step 3 of 3 passed: 240 conversations on the challenger at 50 % in 2h, nothing worse; \
         less than 1.5 times as often: `wrong` 3 of 315 conversations with feedback against 28 of 865, \
         log e 16.131 >= 2.996"
    );

    let promoted = command(&promoting.next, &Command::Confirmed, now).unwrap();
    assert_eq!((promoted.next.phase.clone(), promoted.effect), (Phase::Promoted, Effect::Finish));
    assert!(promoted.next.is_over());
    assert_eq!(promoted.next.weight(), 0.0);

    let history = [loading, first, second, third, promoting, promoted.clone()];
    let records: Vec<TransitionRecord> = history.iter().map(Transition::record).collect();
    let weights: Vec<f64> = records.iter().map(|record| record.weight_percent).collect();
    assert_eq!(weights, [0.0, 5.0, 25.0, 50.0, 100.0, 100.0]);
    let decision = Decision::new(&promoted.next, records, true);
    assert_eq!((decision.verdict.as_str(), decision.units), ("promoted", [865, 315]));
    assert!(decision.reason.starts_with("step 3 of 3 passed"), "{}", decision.reason);
    assert!(decision.rehearsal);
}

#[test]
fn a_worse_challenger_is_rolled_back_at_once_with_the_numbers() {
    let rollout = running(&spec());
    let now = start() + minutes(5);
    let tick = advance(&rollout, &failing(seen(95, 5, now), FailureKind::Wrong, 0.05, [2, 1]), now);
    assert!(!tick.is_decided());
    // The step has not reached its least time and conversations.
    let now = start() + minutes(10);
    let back =
        advance(&tick.next, &failing(seen(95, 5, now), FailureKind::Wrong, 0.05, [1, 3]), now);
    assert_eq!((back.verdict, back.effect), (Verdict::Fail, Effect::RollBack));
    assert_eq!(back.next.weight(), 0.0);
    assert_eq!(
        back.reason,
        "`wrong` is worse on the challenger: 4 of 10 conversations with feedback against 3 of 190; \
         log e 4.940 >= 2.996 after 10 conversations"
    );
    assert_eq!(back.next.phase, Phase::rolling_back(&back.reason));
    // Ticks change nothing until the last request ends.
    let tick = advance(&back.next, &seen(100, 0, now), now + minutes(5));
    assert_eq!(tick.next, back.next);
    let over = command(&back.next, &Command::Drained, now).unwrap();
    assert_eq!(over.next.phase, Phase::RolledBack { reason: back.reason.clone() });
    assert_eq!(over.effect, Effect::Finish);
    let decision = Decision::new(&over.next, vec![back.record(), over.record()], false);
    assert_eq!((decision.verdict.as_str(), decision.reason), ("rolled_back", back.reason));
    assert_eq!(decision.evidence[0].failures, [3, 4]);
    assert_eq!(decision.evidence[0].rates, [Some(3.0 / 190.0), Some(0.4)]);
}

#[test]
fn the_largest_evidence_is_kept_after_it_declines() {
    // The threshold is reached while promoting, when no rule acts on it.
    let (rollout, now) = at_the_last_step();
    let promoting = command(&rollout, &Command::Promote, now).unwrap().next;
    let bad = failing(seen(0, 50, now), FailureKind::Wrong, 0.5, [0, 12]);
    let tick = advance(&promoting, &bad, now);
    assert_eq!((tick.next.phase.clone(), tick.effect), (Phase::Promoting, Effect::None));
    let good = failing(seen(0, 50, now), FailureKind::Wrong, 0.5, [40, 0]);
    let tick = advance(&tick.next, &good, now);
    let evidence = &tick.next.evidence()[0];
    assert!(evidence.log_e_rollback > evidence.log_threshold, "{evidence:?}");
    assert!(evidence.log_e_promote > 0.0, "{evidence:?}");
}

#[test]
fn only_gating_kinds_roll_back_and_alpha_is_divided_over_them() {
    let mut spec = spec();
    spec.judge.metrics = BTreeMap::from([
        (FailureKind::Error, GatePolicy::Gate),
        (FailureKind::Fallback, GatePolicy::Gate),
        (FailureKind::Slow, GatePolicy::Observe),
        (FailureKind::Wrong, GatePolicy::Gate),
    ]);
    let rollout = running(&spec);
    let now = start() + minutes(5);
    let slow = failing(seen(95, 5, now), FailureKind::Slow, 0.05, [0, 30]);
    let tick = advance(&rollout, &slow, now);
    assert!(!tick.is_decided());
    let slow = tick.next.evidence()[3].clone();
    assert_eq!((slow.kind, slow.policy), (FailureKind::Slow, GatePolicy::Observe));
    assert!(slow.log_e_rollback > 50.0, "{slow:?}");
    // log e is between ln 20 and ln 60: enough for one gating kind, too little for three.
    let two = failing(seen(95, 5, now), FailureKind::Wrong, 0.05, [1, 3]);
    let tick = advance(&tick.next, &two, now);
    let wrong = tick.next.evidence()[2].clone();
    assert!(wrong.log_e_rollback > 20_f64.ln() && wrong.log_e_rollback < 60_f64.ln(), "{wrong:?}");
    assert_eq!(wrong.log_threshold, 60_f64.ln());
    assert!(!tick.is_decided());
}

#[test]
fn late_feedback_counts_with_the_weight_at_which_its_conversation_began() {
    let (rollout, now) = at_the_last_step();
    let failures = |weight| {
        let late = failing(seen(0, 0, now), FailureKind::Wrong, weight, [1, 3]);
        advance(&rollout, &late, now).next.evidence()[0].log_e_rollback
    };
    // Three of four failures are far worse on an arm with 5 % of the traffic than on one with half.
    assert!(failures(0.05) > 3.8, "{}", failures(0.05));
    assert!(failures(0.5) < 1.0, "{}", failures(0.5));
}

#[test]
fn a_person_pauses_and_resumes_with_the_weight_kept() {
    let rollout = running(&spec());
    let now = start() + minutes(30);
    let tick = advance(&rollout, &seen(190, 10, now), now);
    let paused = command(&tick.next, &Command::Pause, now).unwrap();
    assert_eq!(paused_for(&paused.next), PauseReason::Requested);
    assert_eq!((paused.next.weight(), paused.effect), (0.05, Effect::Route));
    // Time alone does not end a pause, and the judge continues.
    let now = now + minutes(100);
    let tick = advance(&paused.next, &seen(380, 20, now), now);
    assert_eq!((tick.is_decided(), tick.verdict), (false, Verdict::Hold));
    let resumed = command(&tick.next, &Command::Resume, now).unwrap();
    assert_eq!(
        resumed.next.phase,
        Phase::Ramping { step: 0, since: now, units: 30, manual_percent: None }
    );
    let now = now + minutes(1);
    let bad = failing(seen(0, 0, now), FailureKind::Wrong, 0.05, [0, 4]);
    assert_eq!(advance(&tick.next, &bad, now).effect, Effect::RollBack);
    assert_eq!(advance(&resumed.next, &bad, now).effect, Effect::RollBack);
}

#[test]
fn no_traffic_by_the_deadline_pauses_with_a_reason() {
    let rollout = running(&spec());
    let mut rollout = rollout;
    let mut now = start();
    // The observer reports at every tick; there are few conversations.
    for _ in 0..11 {
        now += minutes(60);
        let tick = advance(&rollout, &seen(30, 1, now), now);
        assert!(!tick.is_decided(), "{}", tick.reason);
        rollout = tick.next;
    }
    now += minutes(60);
    let tick = advance(&rollout, &seen(30, 1, now), now);
    assert_eq!(tick.verdict, Verdict::Insufficient);
    assert_eq!(paused_for(&tick.next), PauseReason::NoTraffic);
    assert_eq!(tick.next.weight(), 0.05);
    assert_eq!(
        tick.reason,
        "deadline of 12h reached with 12 of 20 conversations on the challenger at 5 %"
    );
    let decision = Decision::new(&tick.next, vec![tick.record()], true);
    assert_eq!((decision.verdict.as_str(), &decision.reason), ("insufficient", &tick.reason));
    // The conversations of a paused step count: with enough of them, the resumed step passes.
    let now = now + minutes(60);
    let later = advance(&tick.next, &seen(150, 9, now), now);
    let resumed = command(&later.next, &Command::Resume, now).unwrap();
    let now = now + minutes(60);
    assert_eq!(advance(&resumed.next, &seen(0, 0, now), now).verdict, Verdict::Pass);
}

#[test]
fn missing_evidence_at_the_deadline_is_inconclusive() {
    let (rollout, entered) = at_the_last_step();
    let now = entered + minutes(60);
    let equal = failing(seen(200, 200, now), FailureKind::Wrong, 0.5, [20, 20]);
    let tick = advance(&rollout, &equal, now);
    assert!(!tick.is_decided());
    let now = entered + minutes(12 * 60);
    let tick = advance(&tick.next, &seen(0, 0, now), now);
    assert_eq!(tick.verdict, Verdict::Inconclusive);
    assert_eq!(paused_for(&tick.next), PauseReason::Inconclusive);
    assert_eq!(tick.next.weight(), 0.5);
    assert!(tick.reason.contains("fails less than 1.5 times as often: `wrong` 20 of 285"));
    // A person may still promote.
    let promoted = command(&tick.next, &Command::Promote, now).unwrap();
    assert_eq!(promoted.next.phase, Phase::Promoting);
    assert!(promoted.reason.starts_with("promotion requested at 50 %: `wrong` 20 of 285"));
}

#[test]
fn a_step_names_kinds_too_rare_to_compare_and_does_not_wait_for_them() {
    let mut spec = spec();
    spec.judge.metrics.insert(FailureKind::Error, GatePolicy::Gate);
    spec.steps = vec![with_evidence(step(50.0, "1h", 100, "12h"))];
    let now = start() + minutes(60);
    let rollout = running(&spec);
    // One error cannot show evidence, whichever arm it falls on; `wrong` never happened.
    for arm in [[1, 0], [0, 1]] {
        let one = failing(seen(150, 150, now), FailureKind::Error, 0.5, arm);
        let tick = advance(&rollout, &one, now);
        assert_eq!(tick.next.phase, Phase::Promoting);
        assert!(tick.reason.contains("`error` too rare to compare: "), "{}", tick.reason);
        assert!(
            tick.reason.ends_with(
                "`wrong` too rare to compare: 0 of 150 conversations with feedback against 0 of 150"
            ),
            "{}",
            tick.reason
        );
    }
    // Four errors are also few, but all on the challenger they show harm.
    let harm = failing(seen(150, 150, now), FailureKind::Error, 0.5, [0, 4]);
    let tick = advance(&rollout, &harm, now);
    assert!(!tick.is_decided(), "{}", tick.reason);
    // Thirty errors could show evidence, and evenly split they do not.
    let many = failing(seen(150, 150, now), FailureKind::Error, 0.5, [15, 15]);
    let tick = advance(&rollout, &many, now);
    assert!(!tick.is_decided(), "{}", tick.reason);
}

#[test]
fn a_broken_split_pauses_at_weight_zero_and_resuming_clears_the_evidence() {
    let (rollout, now) = at_the_last_step();
    let now = now + minutes(10);
    let skewed = failing(seen(300, 500, now), FailureKind::Wrong, 0.5, [5, 9]);
    let tick = advance(&rollout, &skewed, now);
    assert_eq!((tick.verdict, tick.effect), (Verdict::Invalid, Effect::Route));
    assert_eq!(paused_for(&tick.next), PauseReason::SampleRatioMismatch);
    assert_eq!(tick.next.weight(), 0.0);
    assert!(
        tick.reason.starts_with(
            "the split is not as configured: 585 of 1,550 conversations began on the challenger, 488 were expected; log e "
        ),
        "{}",
        tick.reason
    );
    let refused = command(&tick.next, &Command::Promote, now).unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-6002", FaultKind::Conflict));
    let resumed = command(&tick.next, &Command::Resume, now).unwrap().next;
    assert_eq!(
        resumed.phase,
        Phase::Ramping { step: 2, since: now, units: 0, manual_percent: None }
    );
    assert_eq!(resumed.evidence()[0].log_e_promote, 0.0);
    assert_eq!(resumed.evidence()[0].failures, [5, 9]);
    let now = now + minutes(5);
    assert!(!advance(&resumed, &seen(100, 100, now), now).is_decided());
}

#[test]
fn a_sound_split_stays_sound_while_weights_change() {
    let (rollout, now) = at_the_last_step();
    let now = now + minutes(10);
    let tick = advance(&rollout, &seen(5_040, 4_960, now), now);
    assert!(!tick.is_decided());
}

#[test]
fn without_an_observer_the_weight_becomes_zero() {
    let mut rollout = running(&spec());
    let now = start() + minutes(5);
    rollout = advance(&rollout, &seen(95, 5, now), now).next;
    let blind = Observation::default();
    let tick = advance(&rollout, &blind, now + minutes(120));
    assert!(!tick.is_decided());
    let tick = advance(&rollout, &blind, now + minutes(121));
    assert_eq!(tick.verdict, Verdict::Invalid);
    assert_eq!(paused_for(&tick.next), PauseReason::Stale);
    assert_eq!((tick.next.weight(), tick.effect), (0.0, Effect::Route));
    assert_eq!(
        tick.reason,
        "nothing was observed for 2h 1m, longer than 2h: the challenger gets no traffic"
    );
    // An old observation does not help; one dated in the future counts from the time it was made.
    let old = seen(95, 5, now + minutes(1));
    assert_eq!(paused_for(&advance(&rollout, &old, now + minutes(122)).next), PauseReason::Stale);
    let ahead = advance(&rollout, &seen(0, 0, now + minutes(100_000)), now + minutes(1)).next;
    let tick = advance(&ahead, &blind, now + minutes(122));
    assert_eq!(paused_for(&tick.next), PauseReason::Stale);
    // A pause that kept its weight becomes stale too, but only once.
    let kept = command(&rollout, &Command::Pause, now).unwrap().next;
    let tick = advance(&kept, &blind, now + minutes(121));
    assert_eq!(paused_for(&tick.next), PauseReason::Stale);
    assert!(!advance(&tick.next, &blind, now + minutes(1_000)).is_decided());
    // A person can resume it.
    let later = now + minutes(200);
    let resumed = command(&tick.next, &Command::Resume, later).unwrap().next;
    assert_eq!(resumed.weight(), 0.05);
    assert!(!advance(&resumed, &seen(0, 0, later), later).is_decided());
}

#[test]
fn shadow_mirrors_and_then_ramps_or_pauses() {
    let mut spec = spec();
    spec.shadow = Some(ShadowSpec { min_units: 50, deadline: "3h".to_owned(), mirror: None });
    let shadow = running(&spec);
    assert_eq!((shadow.weight(), shadow.mirrors()), (0.0, true));
    let mirrored = |units, now| {
        let seen = Observation { shadow_units: units, ..seen(units, 0, now) };
        failing(seen, FailureKind::Disagreement, 0.0, [0, units / 10])
    };
    let now = start() + minutes(60);
    let tick = advance(&shadow, &mirrored(40, now), now);
    assert!(!tick.is_decided());
    assert_eq!(tick.next.waiting_for(now), ["10 more conversations"]);
    let disagreement = tick.next.evidence();
    assert_eq!(disagreement[1].kind, FailureKind::Disagreement);
    assert_eq!(disagreement[1].rates, [None, Some(0.1)]);
    let done = advance(&tick.next, &mirrored(10, now), now);
    assert_eq!(
        done.next.phase,
        Phase::Ramping { step: 0, since: now, units: 0, manual_percent: None }
    );
    assert_eq!(done.reason, "50 conversations mirrored");

    let now = start() + minutes(180);
    let late = advance(&tick.next, &mirrored(5, now), now);
    assert_eq!((paused_for(&late.next), late.next.weight()), (PauseReason::NoTraffic, 0.0));
    assert_eq!(late.reason, "deadline of 3h reached with 45 of 50 conversations mirrored");
    let refused = command(&late.next, &Command::Promote, now).unwrap_err();
    assert_eq!(
        refused.message(),
        "the rollout is `paused`: `promote` is not possible, only `resume`, `advance` and `abort`"
    );
    let again = command(&late.next, &Command::Resume, now).unwrap().next;
    assert_eq!(again.phase, Phase::Shadow { since: now, units: 45 });
    let blind = advance(&again, &Observation::default(), now + minutes(121));
    assert_eq!(paused_for(&blind.next), PauseReason::Stale);
}

#[test]
fn a_clock_that_goes_back_changes_no_decision() {
    let (rollout, now) = at_the_last_step();
    let tick = advance(&rollout, &seen(10, 10, now), now - minutes(10_000));
    assert!(!tick.is_decided());
    assert_eq!(tick.next.updated_at, rollout.updated_at);
    let paused = command(&rollout, &Command::Pause, now - minutes(10_000)).unwrap().next;
    assert_eq!(paused.updated_at, rollout.updated_at);
}

#[test]
fn traffic_that_ends_early_is_insufficient_with_the_missing_conditions() {
    let (rollout, now) = at_the_last_step();
    let tick = advance(&rollout, &seen(30, 30, now), now + minutes(5)).next;
    let decision = Decision::new(&tick, Vec::new(), true);
    assert_eq!(decision.verdict, "insufficient");
    assert_eq!(
        decision.reason,
        "the rollout is at step 3 of 3 (50 %), waiting for 70 more conversations and 1h more"
    );
}
