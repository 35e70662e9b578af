//! Random plans, and random sequences of ticks and commands.

use super::*;
use proptest::prelude::{Strategy, *};

/// A tick or a command, and the hold at that time.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The minutes since the event before; the clock may go back.
    minutes: i64,
    /// The freeze or closed window, if any.
    pub(super) held: Option<String>,
    /// The input.
    pub(super) input: Input,
}

#[derive(Debug, Clone)]
pub(super) enum Input {
    Tick { observation: Observation, is_blind: bool },
    Command(Command),
    ClockJump,
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
        6 => prop::sample::select(vec![0.05, 0.25, 0.5, 1.0]),
        1 => prop::sample::select(vec![0.0, -1.0, 2.0, f64::NAN]),
    ];
    let one = (kind(), weight, 0_u64..4, 0_u64..4)
        .prop_map(|(kind, weight, canary, primary)| FailureCount { kind, weight, canary, primary });
    prop::collection::vec(one, 0..3)
}

fn tick() -> impl Strategy<Value = Input> {
    let measured = (kind(), 0_u64..40, 0_u64..40)
        .prop_map(|(kind, canary, primary)| MeasuredCount { kind, canary, primary });
    let counts = (failures(), prop::collection::vec(measured, 0..3));
    (0_u64..60, 0_u64..200, 0_u64..40, counts, 0_u8..8).prop_map(
        |(canary_units, primary_units, shadow_units, (failures, measured), blind)| Input::Tick {
            observation: Observation {
                canary_units,
                primary_units,
                shadow_units,
                failures,
                measured,
                observed_at: None,
                units: Vec::new(),
                feedback: Vec::new(),
                held: None,
            },
            is_blind: blind == 0,
        },
    )
}

fn person() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["ada", "bob", "carol", " bob ", ""]).prop_map(str::to_owned)
}

fn any_command() -> impl Strategy<Value = Command> {
    let plain = prop::sample::select(vec![
        Command::Loaded,
        Command::Loaded,
        Command::Confirmed,
        Command::Confirmed,
        Command::Drained,
        Command::Pause,
        Command::Resume,
        Command::Resume,
        Command::Advance,
        Command::Promote,
    ]);
    let last = prop::sample::select(vec![
        Command::LoadFailed { reason: String::new() },
        Command::Refuse { reason: "not signed".to_owned() },
        Command::Abort { reason: "enough".to_owned() },
        Command::Supersede { by: "r2".to_owned() },
    ]);
    let weight = prop::sample::select(vec![0.5, 2.5, 25.0, 50.0, 70.0, -1.0, f64::NAN]);
    prop_oneof![
        12 => plain,
        4 => person().prop_map(|by| Command::Approve { by, comment: "good".to_owned() }),
        1 => person().prop_map(|by| Command::Reject { by, comment: "bad tone".to_owned() }),
        2 => weight.prop_map(|percent| Command::SetWeight { percent }),
        1 => last,
    ]
}

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let input = prop_oneof![
        40 => tick(),
        30 => any_command().prop_map(Input::Command),
        1 => Just(Input::ClockJump),
    ];
    let one = (-30_i64..300, 0_u8..5, input).prop_map(|(minutes, held, input)| Event {
        minutes,
        held: (held == 0).then(|| "frozen by carol".to_owned()),
        input,
    });
    prop::collection::vec(one, 1..50)
}

/// A valid plan of any shape.
pub(super) fn plans() -> impl Strategy<Value = RolloutSpec> {
    let shape = (any::<bool>(), any::<bool>(), 0_u32..3, any::<bool>(), any::<bool>());
    let rules = (
        prop::sample::select(vec![OnPause::Keep, OnPause::Zero]),
        prop::sample::select(vec![
            OnInsufficient::Pause,
            OnInsufficient::Rollback,
            OnInsufficient::Advance,
        ]),
        prop::option::weighted(0.3, Just("20h".to_owned())),
        0_u8..4,
    );
    (shape, rules).prop_map(
        |((shadow, short, quorum, settles, limits), (pause, insufficient, deadline, kind))| {
            let mut spec = spec();
            spec.judge.metrics = JudgeSpec::default().metrics;
            spec.judge.metrics.insert(FailureKind::Slow, GatePolicy::Optional);
            if shadow {
                spec.shadow =
                    Some(ShadowSpec { min_units: 30, deadline: "5h".to_owned(), mirror: None });
            }
            if short {
                spec.steps = vec![step(50.0, "1h", 5, "12h")];
            }
            spec.approval = Some(ApprovalSpec { quorum, expires: Some("30h".to_owned()) });
            let settle = SettleSpec { window: "2h".to_owned(), min_units: Some(40) };
            let ceilings = LimitsSpec { error: Some(20.0), slow: Some(30.0), fallback: None };
            if kind == 0 {
                spec.strategy = crate::Strategy::BlueGreen;
                spec.steps.clear();
            }
            if kind == 0 || settles {
                spec.settle = Some(settle);
            }
            if kind == 0 || settles && limits {
                spec.limits = ceilings;
            }
            spec.on_pause = pause;
            spec.on_insufficient = insufficient;
            spec.pause_deadline = deadline;
            spec
        },
    )
}

/// One accepted event with the states before and after it.
pub(super) struct Step<'a> {
    pub(super) before: &'a Rollout,
    pub(super) event: &'a Event,
    pub(super) transition: &'a Transition,
}

impl Step<'_> {
    pub(super) fn next(&self) -> &Rollout {
        &self.transition.next
    }

    /// Returns whether the event was `command`, by name: `confirmed`.
    pub(super) fn is_command(&self, name: &str) -> bool {
        match &self.event.input {
            Input::Command(c) => serde_json::to_value(c).unwrap()["command"] == name,
            _ => false,
        }
    }
}

/// Applies an event; `None` if it was refused.
fn apply(rollout: &Rollout, event: &Event, now: DateTime<Utc>) -> Option<Transition> {
    match &event.input {
        Input::Tick { observation, is_blind } => {
            let mut seen = observation.clone();
            seen.observed_at = (!is_blind).then_some(now);
            seen.held.clone_from(&event.held);
            Some(advance(rollout, &seen, now))
        }
        Input::Command(c) => command_held(rollout, c, event.held.as_deref(), now).ok(),
        Input::ClockJump => {
            let jump = ClockJump { from: now, to: now - minutes(13 * 60) };
            Some(clock_jumped(rollout, "01M8", &jump, now))
        }
    }
}

/// Plays `events`, and calls `check` after each that was accepted.
pub(super) fn play(
    plan: &RolloutSpec,
    events: &[Event],
    mut check: impl FnMut(&Step<'_>, DateTime<Utc>) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut rollout = request(plan);
    let mut now = start();
    for event in events {
        now += minutes(event.minutes);
        let Some(transition) = apply(&rollout, event, now) else { continue };
        check(&Step { before: &rollout, event, transition: &transition }, now)?;
        rollout = transition.next;
    }
    Ok(())
}

/// Applies `event` to `rollout` twice, once after a round trip through JSON; both are `None` if it was refused.
pub(super) fn apply_twice(
    rollout: &Rollout,
    event: &Event,
    now: DateTime<Utc>,
) -> [Option<Transition>; 2] {
    [apply(rollout, event, now), apply(&reread(rollout), event, now)]
}
