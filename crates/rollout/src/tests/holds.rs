//! Freezes and closed promotion windows.

use super::*;
use botops_findings::FaultKind;

const FROZEN: &str = "frozen until 2026-12-01 09:00 UTC (audit)";

fn held(observation: Observation) -> Observation {
    Observation { held: Some(FROZEN.to_owned()), ..observation }
}

#[test]
fn a_step_that_is_done_waits_for_the_end_of_the_hold() {
    let rollout = running(&spec());
    let now = start() + minutes(60);
    let tick = advance(&rollout, &held(seen(475, 25, now)), now);
    assert!(!tick.is_decided());
    assert_eq!(tick.next.waiting_for(now), [format!("the end of the hold ({FROZEN})")]);
    let free = advance(&tick.next, &seen(0, 0, now), now);
    assert_eq!((free.next.weight(), free.next.held), (0.25, None));
    // The deadline counts on. The pause keeps the share, names the hold, and ends with it.
    let late = start() + minutes(12 * 60);
    let paused = advance(&tick.next, &held(seen(1, 1, late)), late);
    assert!(matches!(
        paused.next.phase,
        Phase::Paused { reason: PauseReason::Held, step: Some(0), weight: 0.05, .. }
    ));
    assert_eq!(paused.reason, format!("deadline of 12h reached; held: {FROZEN}"));
    assert!(!advance(&paused.next, &held(seen(1, 1, late)), late).is_decided());
    let free = advance(&paused.next, &seen(1, 1, late), late);
    assert!(
        matches!(free.next.phase, Phase::Ramping { step: 0, since, units: 27, .. } if since == late)
    );
    // A deadline without traffic pauses for a person, and names the hold too.
    let idle = advance(&rollout, &held(seen(1, 1, late)), late);
    assert!(matches!(idle.next.phase, Phase::Paused { reason: PauseReason::NoTraffic, .. }));
    assert!(idle.reason.ends_with(FROZEN), "{}", idle.reason);
}

#[test]
fn commands_that_advance_are_refused_and_the_others_work() {
    let (rollout, now) = at_the_last_step();
    let run = |rollout: &Rollout, c: Command| command_held(rollout, &c, Some(FROZEN), now);
    let paused = run(&rollout, Command::Pause).unwrap().next;
    let lower = run(&rollout, Command::SetWeight { percent: 10.0 }).unwrap().next;
    assert_eq!((lower.weight_percent(), lower.held.as_deref()), (10.0, Some(FROZEN)));
    for (before, request) in [
        (&rollout, Command::Promote),
        (&rollout, Command::Advance),
        (&paused, Command::Resume),
        (&lower, Command::SetWeight { percent: 20.0 }),
    ] {
        let refused = run(before, request).unwrap_err();
        assert_eq!((refused.code(), refused.kind()), ("BOT-6004", FaultKind::Policy));
        assert!(refused.message().ends_with(FROZEN), "{refused}");
    }
    // What the phase does not allow anyway is said first.
    assert_eq!(run(&rollout, Command::Resume).unwrap_err().code(), "BOT-6002");
    let abort = Command::Abort { reason: "enough".to_owned() };
    assert_eq!(run(&rollout, abort).unwrap().effect, Effect::RollBack);
}

#[test]
fn an_approval_is_recorded_and_promotes_when_the_hold_ends() {
    let mut plan = spec();
    plan.steps = vec![step(50.0, "1h", 20, "12h")];
    plan.approval = Some(ApprovalSpec { quorum: 1, expires: None });
    let now = start() + minutes(60);
    let awaiting = advance(&running(&plan), &seen(30, 30, now), now).next;
    let approve = Command::Approve { by: "bob".to_owned(), comment: String::new() };
    let approved = command_held(&awaiting, &approve, Some(FROZEN), now).unwrap();
    assert_eq!(approved.reason, format!("approved by `bob`: 1 of 1; held: {FROZEN}"));
    let waiting = advance(&approved.next, &held(seen(1, 1, now)), now);
    assert!(!waiting.is_decided());
    assert_eq!(waiting.next.waiting_for(now).len(), 1);
    let free = advance(&waiting.next, &seen(1, 1, now), now);
    assert_eq!((free.next.phase, free.effect), (Phase::Promoting, Effect::Promote));
    // A promotion that was begun is finished.
    let promoting = command(&awaiting, &approve, now).unwrap().next;
    let done = command_held(&promoting, &Command::Confirmed, Some(FROZEN), now).unwrap();
    assert_eq!(done.next.phase, Phase::Promoted);
}

#[test]
fn a_challenger_may_load_but_gets_no_traffic() {
    let pending = request(&spec());
    let nothing = held(Observation::default());
    assert!(!advance(&pending, &nothing, start()).is_decided());
    let loading = advance(&pending, &Observation::default(), start()).next;
    let loaded = command_held(&loading, &Command::Loaded, Some(FROZEN), start()).unwrap();
    assert_eq!((loaded.effect, loaded.next.weight()), (Effect::Route, 0.0));
    assert!(matches!(
        loaded.next.phase,
        Phase::Paused { reason: PauseReason::Held, step: Some(0), .. }
    ));
    let free = advance(&loaded.next, &Observation::default(), start());
    assert_eq!(
        (free.next.phase, free.reason.as_str()),
        (Phase::step(0, start()), "nothing holds the rollout any more")
    );
    // With a shadow stage it is mirrored to, and stays there.
    let mut shadowed = spec();
    shadowed.shadow = Some(ShadowSpec { min_units: 5, deadline: "3h".to_owned(), mirror: None });
    let shadow = running(&shadowed);
    let mirrored = Observation { shadow_units: 9, ..seen(9, 0, start()) };
    let tick = advance(&shadow, &held(mirrored), start());
    assert!(!tick.is_decided() && tick.next.mirrors());
}
