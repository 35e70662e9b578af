//! Verdicts of end users stop a rollout and never decide it alone.

use super::*;
use VerdictSource::{EndUser, Reviewer};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

/// Adds verdicts of one source on conversations that began at `weight`: `[primary, canary]` judged, and wrong.
fn judged_by(
    mut observation: Observation,
    source: VerdictSource,
    weight: f64,
    [judged, wrong]: [[u64; 2]; 2],
) -> Observation {
    let [primary, canary] = judged;
    observation.measured.push(MeasuredCount { kind: FailureKind::Wrong, canary, primary });
    let [primary, canary] = wrong;
    let kind = FailureKind::Wrong;
    observation.failures.push(FailureCount { kind, weight, canary, primary });
    observation.feedback.push(FeedbackCount { source, weight, judged, wrong });
    observation
}

/// Returns `observation` as a version without sources reported it.
fn unnamed(observation: &Observation) -> Observation {
    Observation { feedback: Vec::new(), ..observation.clone() }
}

fn paused_by_feedback(rollout: &Rollout) -> bool {
    matches!(rollout.phase, Phase::Paused { reason: PauseReason::Feedback, weight: 0.0, .. })
}

fn waits_for(rollout: &Rollout, now: DateTime<Utc>) -> String {
    rollout.waiting_for(now).join("; ")
}

/// Returns an observation of a quarter of the traffic on the challenger, some of it judged by reviewers.
fn reviewed(now: DateTime<Utc>, weight: f64, counts: [[u64; 2]; 2]) -> Observation {
    judged_by(silent(0, 0, now), Reviewer, weight, counts)
}

#[test]
fn three_anonymous_messages_pause_a_rollout_that_they_rolled_back_before() {
    let rollout = running(&spec());
    let now = start() + minutes(5);
    let attack = judged_by(silent(57, 3, now), EndUser, 0.05, [[0, 3], [0, 3]]);
    let before = advance(&rollout, &unnamed(&attack), now);
    assert!(matches!(before.next.phase, Phase::RollingBack { .. }), "the forced decision");
    let tick = advance(&rollout, &attack, now);
    assert!(paused_by_feedback(&tick.next), "{:?}", tick.next.phase);
    assert_eq!((tick.verdict, tick.effect), (Verdict::Invalid, Effect::Route));
    for part in ["end users judged one arm: 3 of 3", "the challenger gets no traffic until"] {
        assert!(tick.reason.contains(part), "{}", tick.reason);
    }
    // More of the same changes nothing, and a person cannot promote around it.
    let more = judged_by(silent(0, 0, now), EndUser, 0.05, [[0, 900], [0, 900]]);
    let later = advance(&tick.next, &more, now + minutes(5));
    assert!(paused_by_feedback(&later.next));
    let fault = command(&later.next, &Command::Advance, now + minutes(6)).unwrap_err();
    assert_eq!(fault.code(), "BOT-6002");
    let (recorded, again) = replay_step(&rollout, &tick.next).unwrap();
    assert_eq!((again.next, again.reason), (tick.next.clone(), tick.reason.clone()));
    assert_eq!(reread(&tick.next), tick.next);
    assert!(matches!(recorded.input, RecordedInput::Tick { .. }));
}

#[test]
fn reviewers_confirm_what_end_users_reported_and_the_rollout_is_rolled_back() {
    let rollout = running(&spec());
    let now = start() + minutes(5);
    let attack = judged_by(silent(57, 3, now), EndUser, 0.05, [[40, 3], [0, 3]]);
    let paused = advance(&rollout, &attack, now).next;
    assert!(paused_by_feedback(&paused), "judged alike, and alone: {:?}", paused.phase);
    let confirmed = reviewed(now, 0.05, [[20, 3], [0, 2]]);
    let tick = advance(&paused, &confirmed, now + minutes(5));
    assert!(matches!(tick.next.phase, Phase::RollingBack { .. }), "{:?}", tick.next.phase);
    let wrong = &tick.next.evidence()[0];
    let names: Vec<&str> = wrong.sources.iter().map(|it| it.source.name()).collect();
    assert_eq!(names, ["reviewer", "end_user"]);
    assert_eq!((wrong.sources[0].judged, wrong.sources[0].wrong), ([20, 3], [0, 2]));
    let (_, again) = replay_step(&paused, &tick.next).unwrap();
    assert_eq!(again.next, tick.next);
}

#[test]
fn a_person_who_resumes_drops_the_verdicts_of_end_users_and_keeps_those_of_reviewers() {
    let rollout = running(&spec());
    let now = start() + minutes(5);
    let seen = judged_by(silent(950, 50, now), Reviewer, 0.05, [[95, 5], [3, 1]]);
    let seen = judged_by(seen, EndUser, 0.05, [[100, 30], [5, 30]]);
    let paused = advance(&rollout, &seen, now).next;
    assert!(paused_by_feedback(&paused), "{:?}", paused.phase);
    let resumed = command(&paused, &Command::Resume, now + minutes(1)).unwrap();
    assert!(resumed.reason.ends_with("the verdicts of end users start over"));
    let next = advance(&resumed.next, &silent(19, 1, now + minutes(2)), now + minutes(2)).next;
    assert!(matches!(next.phase, Phase::Ramping { step: 0, .. }), "{:?}", next.phase);
    let wrong = &next.evidence()[0];
    assert_eq!(wrong.sources.len(), 1, "{:?}", wrong.sources);
    assert!(wrong.log_e_rollback < 1.0, "{wrong:?}");
    let (_, again) = replay_step(&paused, &resumed.next).unwrap();
    assert_eq!(again.next, resumed.next);
    assert_eq!(reread(&next), next);
}

/// Returns a rollout in its last step, on which nobody gave a verdict, and the time.
fn at_the_last_step() -> (Rollout, DateTime<Utc>) {
    let now = start() + minutes(60);
    let second = advance(&running(&spec()), &silent(475, 25, now), now);
    let now = now + minutes(60);
    let third = advance(&second.next, &silent(190, 60, now), now);
    assert!(matches!(third.next.phase, Phase::Ramping { step: 2, .. }));
    (third.next, now)
}

#[test]
fn anonymous_verdicts_promote_no_model_of_four_percent_accuracy() {
    // Of a farm of conversations, those of the champion are called wrong and those of the challenger right.
    let (rollout, now) = at_the_last_step();
    let now = now + minutes(60);
    let farm = judged_by(silent(5_000, 5_000, now), EndUser, 0.5, [[5_000, 5_000], [4_800, 10]]);
    let forced = advance(&rollout, &unnamed(&farm), now);
    assert_eq!(forced.next.phase, Phase::Promoting, "the forced decision");
    let tick = advance(&rollout, &farm, now);
    assert!(matches!(tick.next.phase, Phase::Ramping { step: 2, .. }), "{}", tick.reason);
    // Ten thousand tokens that were kept for one moment are a burst.
    let kept = advance(&rollout, &silent(5_000, 5_000, now), now).next;
    let at_once = judged_by(silent(20, 20, now), EndUser, 0.5, [[5_000, 5_000], [4_800, 10]]);
    let tick = advance(&kept, &at_once, now + minutes(1));
    assert!(paused_by_feedback(&tick.next), "{:?}", tick.next.phase);
    assert!(tick.reason.contains("end users judged 10,000 conversations"), "{}", tick.reason);
    // A few each hour: the step waits for reviewers, and pauses at its deadline.
    let (mut rollout, mut now) = at_the_last_step();
    for _ in 0..11 {
        now += minutes(60);
        let slow = judged_by(silent(100, 100, now), EndUser, 0.5, [[40, 40], [38, 0]]);
        let tick = advance(&rollout, &slow, now);
        rollout = tick.next;
        assert!(matches!(rollout.phase, Phase::Ramping { step: 2, .. }), "{}", tick.reason);
    }
    let waits = waits_for(&rollout, now);
    assert_eq!(waits, "verdicts of reviewers on 50 more conversations of the challenger");
    let late = advance(&rollout, &silent(1, 1, now), now + minutes(120));
    assert!(matches!(late.next.phase, Phase::Paused { reason: PauseReason::Unmeasured, .. }));
    assert!(late.reason.contains("by end users alone"), "{}", late.reason);
    // Reviewers see the truth.
    let truth = reviewed(now, 0.5, [[60, 60], [4, 57]]);
    let tick = advance(&late.next, &truth, now + minutes(125));
    assert!(matches!(tick.next.phase, Phase::RollingBack { .. }), "{:?}", tick.next.phase);
}

#[test]
fn reviewers_of_half_of_the_required_conversations_support_a_promotion() {
    let (rollout, now) = at_the_last_step();
    let now = now + minutes(60);
    let honest = judged_by(silent(400, 400, now), EndUser, 0.5, [[40, 40], [30, 1]]);
    for (reviewed, passes) in [([10, 49], false), ([0, 80], false), ([10, 50], true)] {
        let seen = judged_by(honest.clone(), Reviewer, 0.5, [reviewed, [1, 1]]);
        let tick = advance(&rollout, &seen, now);
        assert_eq!(tick.next.phase == Phase::Promoting, passes, "{reviewed:?}: {}", tick.reason);
    }
}

#[test]
fn a_plan_may_let_end_users_decide_and_still_not_by_one_arm() {
    let mut spec = spec();
    spec.judge.end_user_share = 1.0;
    let rollout = running(&spec);
    let now = start() + minutes(5);
    let seen = |judged, wrong| judged_by(silent(475, 25, now), EndUser, 0.05, [judged, wrong]);
    let tick = advance(&rollout, &seen([38, 2], [0, 2]), now);
    assert!(matches!(tick.next.phase, Phase::Ramping { .. }), "{}", tick.reason);
    let tick = advance(&rollout, &seen([76, 4], [1, 4]), now);
    assert!(matches!(tick.next.phase, Phase::RollingBack { .. }), "{}", tick.reason);
    let tick = advance(&rollout, &seen([0, 4], [0, 4]), now);
    assert!(paused_by_feedback(&tick.next), "{}", tick.reason);
    for share in [-0.1, 1.1, f64::NAN] {
        spec.judge.end_user_share = share;
        assert_eq!(spec.check().unwrap_err().code(), "BOT-6001");
    }
}

#[test]
fn a_burst_is_measured_against_the_earlier_rate() {
    // Two of a hundred conversations are judged in an ordinary hour.
    let usual = |now| judged_by(silent(950, 50, now), EndUser, 0.05, [[19, 1], [1, 0]]);
    let steps = vec![step(5.0, "12h", 20, "24h")];
    let mut rollout = running(&RolloutSpec { steps, ..spec() });
    let mut now = start();
    for _ in 0..3 {
        now += minutes(60);
        rollout = advance(&rollout, &usual(now), now).next;
        assert!(!paused_by_feedback(&rollout));
    }
    let burst = |n: u64| {
        let judged = [n - n / 20, n / 20];
        judged_by(silent(950, 50, now), EndUser, 0.05, [judged, [n / 20, n / 400]])
    };
    let ordinary = advance(&rollout, &burst(150), now + minutes(10));
    assert!(!paused_by_feedback(&ordinary.next), "{}", ordinary.reason);
    let tick = advance(&rollout, &burst(400), now + minutes(10));
    assert!(paused_by_feedback(&tick.next), "{:?}", tick.next.phase);
    assert!(tick.reason.contains("within two hours"), "{}", tick.reason);
    let (_, again) = replay_step(&rollout, &tick.next).unwrap();
    assert_eq!(again.next, tick.next);
}

#[test]
fn end_users_who_judge_both_arms_alike_stop_almost_no_rollout() {
    let mut random = botops_stats::random::Random::new(11);
    let mut stopped = 0;
    for _ in 0..300 {
        let mut rollout = running(&RolloutSpec { stale_after: "20h".to_owned(), ..spec() });
        let mut now = start();
        for _ in 0..40 {
            now += minutes(5);
            let (mut units, mut judged, mut wrong) = ([0, 0], [0, 0], [0, 0]);
            for _ in 0..50 {
                let arm = usize::from(random.below(20) == 0);
                units[arm] += 1;
                let is_judged = random.below(4) == 0;
                judged[arm] += u64::from(is_judged);
                wrong[arm] += u64::from(is_judged && random.below(5) == 0);
            }
            let seen = judged_by(silent(units[0], units[1], now), EndUser, 0.05, [judged, wrong]);
            rollout = advance(&rollout, &seen, now).next;
            // Only the first step: a person would take the next one.
            if !matches!(rollout.phase, Phase::Ramping { step: 0, .. }) {
                break;
            }
        }
        stopped += u64::from(paused_by_feedback(&rollout));
    }
    // At most alpha of the judge: 15 of 300 are expected at the most.
    assert!(stopped <= 24, "{stopped} of 300");
}

/// One tick: units and verdicts of end users, all free to an attacker.
fn attack() -> impl Strategy<Value = (i64, [u64; 2], [u64; 2], [u64; 2])> {
    let arms = || prop::array::uniform2(0_u64..400);
    (1_i64..90, arms(), arms(), arms())
}

proptest! {
    #[test]
    fn whatever_end_users_say_nothing_is_rolled_back_or_promoted_by_it(
        ticks in prop::collection::vec(attack(), 1..40),
        resumes in any::<bool>(),
    ) {
        let mut spec = spec();
        spec.steps = vec![with_evidence(step(25.0, "1h", 50, "12h"))];
        let mut rollout = running(&spec);
        let mut now = start();
        for (pause, units, judged, wrong) in ticks {
            now += minutes(pause);
            let wrong = [0, 1].map(|arm| wrong[arm].min(judged[arm]));
            let seen = silent(units[0] + judged[0], units[1] + judged[1], now);
            let seen = judged_by(seen, EndUser, 0.25, [judged, wrong]);
            let tick = advance(&rollout, &seen, now);
            prop_assert!(
                matches!(tick.next.phase, Phase::Ramping { .. } | Phase::Paused { .. }),
                "{}", tick.reason
            );
            prop_assert_eq!(&reread(&tick.next), &tick.next);
            let (_, again) = replay_step(&rollout, &tick.next).unwrap();
            prop_assert_eq!(&again.next, &tick.next);
            rollout = tick.next;
            if resumes && matches!(rollout.phase, Phase::Paused { .. }) {
                rollout = command(&rollout, &Command::Resume, now).unwrap().next;
            }
        }
    }
}
