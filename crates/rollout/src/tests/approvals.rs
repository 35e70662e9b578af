//! Approvals of a promotion.

use super::*;
use botops_findings::FaultKind;

fn approve(by: &str) -> Command {
    Command::Approve { by: by.to_owned(), comment: "read the evidence".to_owned() }
}

/// A plan of one step that asks for `quorum` approvals within a day.
fn demanding(quorum: u32) -> RolloutSpec {
    let mut spec = spec();
    spec.steps = vec![step(50.0, "1h", 20, "12h")];
    spec.approval = Some(ApprovalSpec { quorum, expires: Some("24h".to_owned()) });
    spec
}

/// Returns a rollout that passed its last step and awaits `quorum` approvals, and the time.
fn awaiting(quorum: u32) -> (Rollout, DateTime<Utc>) {
    let now = start() + minutes(60);
    let tick = advance(&running(&demanding(quorum)), &seen(30, 30, now), now);
    assert_eq!((tick.verdict, tick.effect), (Verdict::Pass, Effect::Route), "{}", tick.reason);
    (tick.next, now)
}

#[test]
fn the_last_step_leads_to_approval_and_the_quorum_promotes() {
    let (rollout, now) = awaiting(2);
    let expected = Phase::AwaitingApproval { step: Some(0), weight: 0.5, since: now, units: 30 };
    assert_eq!((&rollout.phase, rollout.weight()), (&expected, 0.5));
    assert_eq!(rollout.waiting_for(now), ["2 more approvals"]);
    let one = command(&rollout, &approve("bob"), now).unwrap();
    assert_eq!(one.reason, "approved by `bob`: 1 of 2 (read the evidence)");
    assert_eq!((one.next.phase.name(), one.next.missing_approvals()), ("awaiting_approval", 1));
    // The same person again changes nothing, whatever the spaces around the name.
    let again = command(&one.next, &approve(" bob "), now).unwrap();
    assert!(!again.is_decided() && again.next == one.next);
    let early = command(&one.next, &Command::Promote, now).unwrap_err();
    assert_eq!((early.code(), early.kind()), ("BOT-6005", FaultKind::Policy));
    assert_eq!(early.message(), "the promotion has 1 of the 2 approvals that it needs");
    let two = command(&one.next, &approve("carol"), now).unwrap();
    assert_eq!((two.next.phase.clone(), two.effect), (Phase::Promoting, Effect::Promote));
    assert!(
        two.reason.starts_with("approved by `bob` and `carol` at 50 %: `wrong`"),
        "{}",
        two.reason
    );
}

#[test]
fn the_requester_cannot_approve_unless_the_policy_allows_it() {
    let (rollout, now) = awaiting(1);
    let refused = command(&rollout, &approve("ada"), now).unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("BOT-6006", FaultKind::Policy));
    assert_eq!(refused.message(), "`ada` requested the rollout `r1` and cannot approve it");
    // The authenticated name counts, and so does the name that it acted for.
    let named = rollout.clone().with_requester("ci@example.org".to_owned());
    for by in ["ada", "ci@example.org", " "] {
        assert_eq!(command(&named, &approve(by), now).unwrap_err().code(), "BOT-6006", "{by}");
    }
    let mut allowed = rollout;
    allowed.policy = allowed.policy.allowing_self_approval(true);
    assert_eq!(command(&allowed, &approve("ada"), now).unwrap().next.phase, Phase::Promoting);
}

#[test]
fn an_environment_can_demand_more_approvals_but_not_fewer() {
    let required = |plan: &RolloutSpec, n: u32| {
        let policy = plan.check().unwrap().with_required_approvals(n);
        policy.approval().map(|approval| (approval.quorum, approval.expires.as_secs() / 3_600))
    };
    assert_eq!(required(&spec(), 0), None);
    assert_eq!(required(&spec(), 2), Some((2, 72)));
    assert_eq!(required(&demanding(3), 2), Some((3, 24)));
    assert_eq!(required(&demanding(1), 2), Some((2, 24)));
}

#[test]
fn a_rejection_or_a_failing_judge_or_time_rolls_back() {
    let (rollout, now) = awaiting(1);
    let reject = Command::Reject { by: "bob".to_owned(), comment: "wrong tone".to_owned() };
    let rejected = command(&rollout, &reject, now).unwrap();
    assert_eq!(rejected.effect, Effect::RollBack);
    assert_eq!(rejected.reason, "rejected by `bob`: wrong tone");

    let later = now + minutes(24 * 60);
    let seen_later = |now| silent(1, 1, now);
    let tick = advance(&rollout, &seen_later(later), later - minutes(1));
    assert!(!tick.is_decided());
    let expired = advance(&rollout, &seen_later(later), later);
    assert_eq!(expired.reason, "the approvals expired after 1day: 0 of 1 were given");
    assert_eq!(expired.effect, Effect::RollBack);
    // An approval that comes before that tick is too late as well.
    assert_eq!(command(&rollout, &approve("bob"), later).unwrap_err().code(), "BOT-6005");

    let bad = failing(seen(30, 30, now), FailureKind::Wrong, 0.5, [0, 14]);
    let failed = advance(&rollout, &bad, now);
    assert_eq!((failed.verdict, failed.effect), (Verdict::Fail, Effect::RollBack));
    // Found before the tick, it refuses the approval.
    let mut worse = rollout;
    worse.judge = failed.next.judge;
    let refused = command(&worse, &approve("bob"), now).unwrap_err();
    assert!(refused.message().starts_with("`approve` is refused: `wrong` is worse"), "{refused}");
}

#[test]
fn approvals_lapse_when_the_rollout_pauses() {
    let (rollout, now) = awaiting(2);
    let one = command(&rollout, &approve("bob"), now).unwrap().next;
    let blind = now + minutes(121);
    let paused = advance(&one, &Observation::default(), blind);
    assert!(matches!(
        paused.next.phase,
        Phase::Paused { reason: PauseReason::Stale, step: Some(0), .. }
    ));
    assert!(paused.next.approvals.is_empty());
}

#[test]
fn a_person_cannot_promote_around_a_required_approval() {
    let rollout = running(&demanding(1));
    for request in [Command::Promote, Command::Advance] {
        let asked = command(&rollout, &request, start()).unwrap();
        assert_eq!(asked.next.phase.name(), "awaiting_approval", "{request:?}");
        assert!(asked.reason.ends_with("; waiting for 1 approval"), "{}", asked.reason);
    }
}
