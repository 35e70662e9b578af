//! The time to the next step, at the rate so far.

use super::*;
use std::time::Duration;

fn hours(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| duration.as_secs() / 3_600)
}

#[test]
fn conversations_and_time_are_reached_at_the_rate_so_far() {
    let rollout = running(&spec());
    let Phase::Ramping { step, since, .. } = rollout.phase else { panic!() };
    let policy = rollout.policy.steps()[step].clone();
    let now = since + minutes(6);
    assert_eq!(rollout.reachable_in(now), None, "nothing came: no rate is known");
    // A tenth of them in 6 minutes: the rest takes 54 more.
    let tenth = policy.min_units / 10;
    let tick = advance(&rollout, &silent(19 * tenth, tenth, now), now).next;
    let left = tick.reachable_in(now).unwrap();
    let units = Duration::from_secs(54 * 60);
    assert_eq!(left, units.max(policy.min_time - Duration::from_secs(6 * 60)));
    // With all of them, only the time is left.
    let all = advance(&rollout, &silent(19 * policy.min_units, policy.min_units, now), now).next;
    assert_eq!(all.reachable_in(now), Some(policy.min_time - Duration::from_secs(6 * 60)));
    let held = Rollout { held: Some("frozen".to_owned()), ..tick };
    assert_eq!(held.reachable_in(now), None);
}

#[test]
fn a_person_is_not_foreseen_and_nothing_is_once_it_is_over() {
    let rollout = running(&spec());
    let now = start() + minutes(5);
    let paused = command(&rollout, &Command::Pause, now).unwrap().next;
    assert_eq!(hours(paused.reachable_in(now)), None);
    let abort = Command::Abort { reason: "enough".to_owned() };
    let over = command(&rollout, &abort, now).unwrap().next;
    assert_eq!(hours(over.reachable_in(now)), None);
}
