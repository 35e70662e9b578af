//! Recorded rollouts, and those of older versions.

use super::*;
use botops_findings::FaultKind;

/// A rollout as version 0.1 stored it while ramping, with a failure.
const OLDER: &str = r#"{"schema":"botops.rollout/1","id":"r1","model":"support",
"champion":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
"challenger":"sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752","salt":"r1",
"policy":{"shadow":null,"steps":[{"weight_percent":50.0,"min_time":"1h","min_units":10,"deadline":"7days","require":null}],
"judge":{"alpha":0.05,"tolerated_risk":1.5,"metrics":{"error":"gate","wrong":"gate"}},"interval":"5m","stale_after":"6h"},
"phase":{"phase":"ramping","step":0,"since":"2026-11-23T12:00:00Z","units":9},
"judge":{"units":[11,9],"shadow_units":0,"split":{"500000000":[9,11]},
"kinds":{"error":{"failures":[0,1],"split":{"500000000":[1,0]},"max_log_e_rollback":0.2}},
"observed_at":"2026-11-23T12:05:00Z"},
"revision":2,"started_at":"2026-11-23T12:00:00Z","updated_at":"2026-11-23T12:00:00Z","actor":"ada","reason":"weekly"}"#;

#[test]
fn a_rollout_of_an_older_version_is_read_and_continues_as_it_would_have() {
    let older: Rollout = serde_json::from_str(OLDER).unwrap();
    assert_eq!((older.weight(), older.requester()), (0.5, "ada"));
    assert_eq!((older.policy.strategy(), older.policy.settle()), (Strategy::Canary, None));
    let now = start() + minutes(60);
    let done = advance(&older, &silent(2, 2, now), now);
    assert_eq!(done.next.phase, Phase::Promoting);
    let over = command(&done.next, &Command::Confirmed, now).unwrap();
    assert_eq!((over.next.phase, over.effect), (Phase::Promoted, Effect::Finish));
    let rolling_back: Phase =
        serde_json::from_str(r#"{"phase":"rolling_back","reason":"aborted: enough"}"#).unwrap();
    assert_eq!(rolling_back, Phase::rolling_back("aborted: enough"));
    // What a plan does not name is not stored either.
    let stored = serde_json::to_value(&older).unwrap();
    for absent in ["approvals", "held", "limits", "requester"] {
        assert!(stored.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn a_step_of_a_log_gives_its_input_and_a_changed_one_is_found() {
    let rollout = running(&spec());
    let now = start() + minutes(60);
    let seen = failing(seen(475, 25, now), FailureKind::Wrong, 0.05, [3, 1]);
    let tick = advance(&rollout, &seen, now);
    let (recorded, again) = replay_step(&rollout, &tick.next).unwrap();
    assert_eq!((again.next, again.reason), (tick.next.clone(), tick.reason.clone()));
    let RecordedInput::Tick { observation } = &recorded.input else { panic!("{recorded:?}") };
    assert_eq!((observation.primary_units, observation.canary_units), (475, 25));
    assert_eq!(replay(&rollout, [recorded.clone()]).unwrap()[0].next, tick.next);
    // A log can hold the inputs themselves.
    let text = serde_json::to_string(&recorded).unwrap();
    assert_eq!(serde_json::from_str::<RecordedTick>(&text).unwrap(), recorded);

    let approve = Command::Abort { reason: "a customer called".to_owned() };
    let aborted = command(&rollout, &approve, now).unwrap().next;
    let (recorded, _) = replay_step(&rollout, &aborted).unwrap();
    assert_eq!(recorded.input, RecordedInput::Command { request: approve, held: None });

    // Two steps at once: no rule leads there.
    let mut changed = tick.next.clone();
    changed.phase = Phase::step(2, now);
    let fault = replay_step(&rollout, &changed).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6008", FaultKind::Gate));
    assert_eq!(
        fault.message(),
        "rollout `r1` goes from `ramping` at 5 %, revision 2 to `ramping` at 50 %, revision 3 in the log, \
         but this program decides for `ramping` at 25 %, revision 3"
    );
    // Counts that fall, and another plan.
    assert!(replay_step(&tick.next, &rollout).is_err());
    let mut other = tick.next;
    other.policy = RolloutSpec::default().check().unwrap();
    assert!(replay_step(&rollout, &other).is_err());
}
