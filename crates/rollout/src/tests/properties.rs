use super::*;
use proptest::prelude::{Strategy, *};

/// A tick or a command.
#[derive(Debug, Clone)]
enum Event {
    Tick { minutes: i64, observation: Observation, is_blind: bool },
    Command(Command),
}

fn kind() -> impl Strategy<Value = FailureKind> {
    prop::sample::select(vec![
        FailureKind::Error,
        FailureKind::Fallback,
        FailureKind::Wrong,
        FailureKind::Slow,
        FailureKind::Disagreement,
    ])
}

fn failures() -> impl Strategy<Value = Vec<FailureCount>> {
    // Some weights are invalid, as a faulty observer might send.
    let weight = prop_oneof![
        6 => prop::sample::select(vec![0.05, 0.25, 0.5]),
        1 => prop::sample::select(vec![0.0, 1.0, -1.0, 2.0, f64::NAN]),
    ];
    let one = (kind(), weight, 0_u64..4, 0_u64..4)
        .prop_map(|(kind, weight, canary, primary)| FailureCount { kind, weight, canary, primary });
    prop::collection::vec(one, 0..3)
}

fn event() -> impl Strategy<Value = Event> {
    let measured = (kind(), 0_u64..40, 0_u64..40)
        .prop_map(|(kind, canary, primary)| MeasuredCount { kind, canary, primary });
    let counts = (failures(), prop::collection::vec(measured, 0..3));
    let tick = (-30_i64..400, 0_u64..60, 0_u64..200, 0_u64..40, counts, 0_u8..8).prop_map(
        |(minutes, canary_units, primary_units, shadow_units, (failures, measured), blind)| {
            Event::Tick {
                minutes,
                observation: Observation {
                    canary_units,
                    primary_units,
                    shadow_units,
                    failures,
                    measured,
                    units: Vec::new(),
                    observed_at: None,
                    held: None,
                },
                is_blind: blind == 0,
            }
        },
    );
    let request = prop::sample::select(vec![
        Command::Loaded,
        Command::LoadFailed { reason: String::new() },
        Command::Confirmed,
        Command::Drained,
        Command::Pause,
        Command::Resume,
        Command::Resume,
        Command::Promote,
        Command::Abort { reason: "enough".to_owned() },
    ]);
    prop_oneof![5 => tick, 2 => request.prop_map(Event::Command)]
}

fn events() -> impl Strategy<Value = (bool, Vec<Event>)> {
    (any::<bool>(), prop::collection::vec(event(), 1..40))
}

fn policy_spec(shadow: bool) -> RolloutSpec {
    let mut spec = spec();
    spec.judge.metrics = JudgeSpec::default().metrics;
    spec.judge.metrics.insert(FailureKind::Slow, GatePolicy::Optional);
    if shadow {
        spec.shadow = Some(ShadowSpec { min_units: 30, deadline: "5h".to_owned() });
    }
    spec
}

/// Applies an event; `None` if it was refused.
fn apply(rollout: &Rollout, event: &Event, now: DateTime<Utc>) -> Option<Transition> {
    match event {
        Event::Tick { observation, is_blind, .. } => {
            let observed_at = (!is_blind).then_some(now);
            Some(advance(rollout, &Observation { observed_at, ..observation.clone() }, now))
        }
        Event::Command(c) => command(rollout, c, now).ok(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_breaks_an_invariant((shadow, events) in events()) {
        let mut rollout = request(&policy_spec(shadow));
        let mut now = start();
        for event in &events {
            if let Event::Tick { minutes: elapsed, .. } = event {
                now += minutes(*elapsed);
            }
            let Some(transition) = apply(&rollout, event, now) else { continue };
            let next = &transition.next;

            // A terminal phase is never left.
            if rollout.is_over() {
                prop_assert_eq!(next, &rollout);
            }
            // The revision rises by one with a decision.
            let decided = u64::from(transition.is_decided());
            prop_assert_eq!(next.revision, rollout.revision + decided);
            if !transition.is_decided() {
                prop_assert_eq!(next.phase.name(), rollout.phase.name());
                prop_assert_eq!(next.weight(), rollout.weight());
                prop_assert!(matches!(transition.effect, Effect::None | Effect::RollBack));
                prop_assert_eq!(next.updated_at, rollout.updated_at);
            }
            prop_assert!(next.updated_at >= rollout.updated_at);
            // The weight is above zero only in the allowed phases, and never exceeds the step's.
            let weight = next.weight();
            let steps = next.policy.steps();
            let bound = match next.phase {
                Phase::Ramping { step, .. } | Phase::Paused { step: Some(step), .. } => {
                    steps[step].weight_percent / 100.0
                }
                Phase::Promoting => 1.0,
                _ => 0.0,
            };
            prop_assert!((0.0..=bound).contains(&weight), "{} in {:?}", weight, next.phase);
            // The step rises by at most one, and only after a verdict or a command.
            if let Phase::Ramping { step, .. } = next.phase {
                let before = match rollout.phase {
                    Phase::Ramping { step, .. } | Phase::Paused { step: Some(step), .. } => step,
                    _ => 0,
                };
                prop_assert!(step == before || step == before + 1);
                if step > before {
                    prop_assert_eq!(transition.verdict, Verdict::Pass);
                    let Phase::Ramping { units, .. } = rollout.phase else {
                        return Err(TestCaseError::fail("a step is left only from itself"));
                    };
                    prop_assert!(units + 60 >= steps[before].min_units);
                }
            }
            // An invalid verdict sets the weight to zero; a fail verdict rolls back.
            match transition.verdict {
                Verdict::Invalid => prop_assert_eq!(weight, 0.0),
                Verdict::Fail => {
                    prop_assert_eq!(next.phase.name(), "rolling_back");
                    prop_assert_eq!(transition.effect, Effect::RollBack);
                }
                _ => {}
            }
            // `Promoted` is reached only from `Promoting`.
            if next.phase == Phase::Promoted && rollout.phase != Phase::Promoted {
                prop_assert_eq!(&rollout.phase, &Phase::Promoting);
            }
            // A worse challenger never continues to ramp.
            let worse = next.evidence().iter().any(|e| {
                e.policy.gates() && e.log_e_rollback >= e.log_threshold
            });
            if worse {
                let ramps = matches!(next.phase, Phase::Ramping { .. });
                prop_assert!(!ramps, "{:?}", next.phase);
            }
            rollout = transition.next;
        }
    }

    #[test]
    fn a_round_trip_through_json_changes_no_decision((shadow, events) in events()) {
        let mut rollout = request(&policy_spec(shadow));
        let mut now = start();
        for event in &events {
            if let Event::Tick { minutes: elapsed, .. } = event {
                now += minutes(*elapsed);
            }
            let restored = reread(&rollout);
            prop_assert_eq!(&restored, &rollout);
            let (one, other) = (apply(&rollout, event, now), apply(&restored, event, now));
            prop_assert_eq!(&one, &other);
            let Some(transition) = one else { continue };
            for evidence in transition.next.evidence() {
                prop_assert!(evidence.log_e_rollback.is_finite() && evidence.log_e_promote.is_finite());
                let share = |rate: &Option<f64>| rate.is_none_or(|rate| (0.0..=1.0).contains(&rate));
                prop_assert!(evidence.rates.iter().all(share), "{:?}", evidence);
            }
            let text = serde_json::to_string(&transition).unwrap();
            let back: Transition = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back.next, &transition.next);
            rollout = transition.next;
        }
    }

    #[test]
    fn assignment_is_monotone_in_the_weight(id in "[a-z0-9-]{1,20}", low in 0.0..1.0_f64, more in 0.0..1.0_f64) {
        let high = low + (1.0 - low) * more;
        if assign("r1", &id, low) == Arm::Canary {
            prop_assert_eq!(assign("r1", &id, high), Arm::Canary);
        }
        prop_assert_eq!(assign("r1", &id, 0.0), Arm::Primary);
        prop_assert_eq!(assign("r1", &id, 1.0), Arm::Canary);
    }
}

#[test]
fn the_canary_gets_its_weight_and_another_salt_draws_other_conversations() {
    // 20,000 conversations: a standard error of at most 0.0035.
    let share = |salt: &str, weight: f64| {
        let canary = (0..20_000)
            .filter(|i| assign(salt, &format!("conversation-{i}"), weight) == Arm::Canary)
            .count();
        canary as f64 / 20_000.0
    };
    for weight in [0.01, 0.05, 0.25, 0.5, 0.9] {
        let got = share("r1", weight);
        let error = (weight * (1.0 - weight) / 20_000.0).sqrt();
        assert!((got - weight).abs() < 4.0 * error, "{got} at {weight}");
    }
    let both = (0..20_000)
        .filter(|i| {
            let id = format!("conversation-{i}");
            ["r1", "r2"].iter().all(|salt| assign(salt, &id, 0.5) == Arm::Canary)
        })
        .count();
    assert!((4_750..5_250).contains(&both), "{both}");
}
