use super::*;
use botops_findings::FaultKind;

fn abort() -> Command {
    Command::Abort { reason: "a customer called".to_owned() }
}

fn load_failed() -> Command {
    Command::LoadFailed { reason: "golden 3 differs".to_owned() }
}

#[test]
fn a_challenger_that_does_not_load_never_answers() {
    let pending = request(&spec());
    let refused = command(&pending, &load_failed(), start()).unwrap();
    assert_eq!(refused.next.phase, Phase::Refused { reason: "golden 3 differs".to_owned() });
    let loading = advance(&pending, &Observation::default(), start()).next;
    let failed = command(&loading, &load_failed(), start()).unwrap();
    assert_eq!(failed.next.phase, Phase::Failed { reason: "golden 3 differs".to_owned() });
    assert_eq!((failed.effect, failed.next.weight()), (Effect::Finish, 0.0));
    let decision = Decision::new(&failed.next, vec![failed.record()], false);
    assert_eq!(
        (decision.verdict.as_str(), decision.reason.as_str()),
        ("failed", "golden 3 differs")
    );
    // After a restart the challenger may fail to load again: roll back.
    let restarted = command(&running(&spec()), &load_failed(), start()).unwrap();
    assert_eq!(restarted.effect, Effect::RollBack);
    assert_eq!(restarted.reason, "the challenger could not be loaded again: golden 3 differs");
}

/// Returns one of each command.
fn every_command() -> Vec<Command> {
    vec![
        Command::Loaded,
        load_failed(),
        Command::Refuse { reason: "not signed".to_owned() },
        Command::Confirmed,
        Command::Drained,
        Command::Pause,
        Command::Resume,
        Command::Advance,
        Command::SetWeight { percent: 1.0 },
        Command::Promote,
        Command::Approve { by: "bob".to_owned(), comment: String::new() },
        Command::Reject { by: "bob".to_owned(), comment: String::new() },
        abort(),
        Command::Supersede { by: "r2".to_owned() },
    ]
}

/// Returns one rollout in each phase.
pub(super) fn one_in_each_phase() -> Vec<Rollout> {
    let mut shadowed = spec();
    shadowed.shadow = Some(ShadowSpec { min_units: 50, deadline: "3h".to_owned(), mirror: None });
    let pending = request(&spec());
    let loading = advance(&pending, &Observation::default(), start()).next;
    let (ramping, now) = at_the_last_step();
    let run = |rollout: &Rollout, c: Command| command(rollout, &c, now).unwrap().next;
    let promoting = run(&ramping, Command::Promote);
    let rolling_back = run(&ramping, abort());
    let mut demanding = spec();
    demanding.steps = vec![step(50.0, "1h", 20, "12h")];
    demanding.approval = Some(ApprovalSpec { quorum: 1, expires: None });
    demanding.settle = Some(SettleSpec { window: "24h".to_owned(), min_units: None });
    let awaiting = run(&running(&demanding), Command::Promote);
    let approved =
        run(&awaiting, Command::Approve { by: "bob".to_owned(), comment: "good".to_owned() });
    let settling = run(&approved, Command::Confirmed);
    let superseded = run(&ramping, Command::Supersede { by: "r2".to_owned() });
    let shadow_run = running(&super::shadow_plan::shadow_plan());
    let now = start() + minutes(180);
    let finished = advance(&shadow_run, &silent(0, 0, now), now).next;
    vec![
        run(&pending, load_failed()),
        run(&loading, load_failed()),
        run(&rolling_back, Command::Drained),
        run(&promoting, Command::Confirmed),
        run(&superseded, Command::Drained),
        run(&ramping, Command::Pause),
        running(&shadowed),
        pending,
        loading,
        ramping,
        awaiting,
        promoting,
        settling,
        rolling_back,
        finished,
    ]
}

#[test]
fn every_phase_has_its_number_its_name_and_its_primary() {
    let all = one_in_each_phase();
    let mut numbers: Vec<u8> = all.iter().map(|rollout| rollout.phase.number()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=15).collect::<Vec<u8>>());
    for rollout in &all {
        let stored = serde_json::to_value(&rollout.phase).unwrap();
        assert_eq!(stored["phase"], rollout.phase.name());
        let serves_challenger = matches!(rollout.phase.name(), "settling" | "promoted");
        let primary = if serves_challenger { rollout.challenger } else { rollout.champion };
        assert_eq!(rollout.primary(), primary, "{}", rollout.phase.name());
        assert_eq!(&reread(rollout), rollout);
    }
}

#[test]
fn abort_works_from_every_phase_that_is_not_the_end() {
    let mut aborted = 0;
    for rollout in one_in_each_phase().iter().filter(|rollout| !rollout.is_over()) {
        let back = command(rollout, &abort(), start()).unwrap();
        assert!(matches!(back.next.phase, Phase::RollingBack { .. }));
        assert_eq!((back.effect, back.next.weight()), (Effect::RollBack, 0.0));
        let over = command(&back.next, &Command::Drained, start()).unwrap().next;
        let reason = "aborted: a customer called".to_owned();
        assert_eq!(over.phase, Phase::RolledBack { reason });
        aborted += 1;
    }
    assert_eq!(aborted, 9);
}

#[test]
fn a_terminal_phase_is_never_left() {
    let over: Vec<Rollout> = one_in_each_phase().into_iter().filter(Rollout::is_over).collect();
    assert_eq!(over.len(), 6);
    for rollout in over {
        let now = start() + minutes(100_000);
        let tick = advance(&rollout, &seen(1_000, 1_000, now), now);
        assert_eq!((tick.next, tick.effect), (rollout.clone(), Effect::None));
        for c in &every_command() {
            let fault = command(&rollout, c, now).unwrap_err();
            assert_eq!((fault.code(), fault.kind()), ("BOT-6002", FaultKind::Conflict));
            assert!(fault.message().contains(rollout.phase.name()), "{}", fault.message());
        }
    }
}

#[test]
fn a_refused_command_names_the_phase_and_the_allowed_commands() {
    let fault = command(&running(&spec()), &Command::Resume, start()).unwrap_err();
    assert_eq!(
        fault.message(),
        "the rollout is `ramping`: `resume` is not possible, only `pause`, `advance`, \
         `weight`, `promote` and `abort`"
    );
    let allowed = |rollout: &Rollout| {
        let name =
            |c: &Command| serde_json::to_value(c).unwrap()["command"].as_str().unwrap().to_owned();
        let is_allowed = |c: &&Command| command(rollout, c, start()).is_ok();
        let all = every_command();
        let names: Vec<String> = all.iter().filter(is_allowed).map(name).collect();
        (rollout.phase.name(), names.join(" "))
    };
    let table: Vec<_> = one_in_each_phase().iter().map(allowed).collect();
    let expected = [
        ("refused", ""),
        ("failed", ""),
        ("rolled_back", ""),
        ("promoted", ""),
        ("superseded", ""),
        ("paused", "load_failed resume advance promote abort supersede"),
        ("shadow", "load_failed pause advance abort supersede"),
        ("pending", "load_failed refuse abort supersede"),
        ("loading", "loaded load_failed abort supersede"),
        ("ramping", "load_failed pause advance set_weight promote abort supersede"),
        ("awaiting_approval", "load_failed approve reject abort supersede"),
        ("promoting", "load_failed confirmed abort supersede"),
        ("settling", "load_failed promote abort"),
        ("rolling_back", "drained abort supersede"),
        ("finished", ""),
    ];
    assert_eq!(table, expected.map(|(phase, commands)| (phase, commands.to_owned())));
}

#[test]
fn aborting_twice_repeats_the_effect_and_decides_nothing() {
    let back = command(&running(&spec()), &abort(), start()).unwrap().next;
    let again = command(&back, &abort(), start()).unwrap();
    assert_eq!((again.next, again.effect), (back, Effect::RollBack));
}

#[test]
fn after_a_restart_each_phase_names_its_effect() {
    let effects: Vec<_> = one_in_each_phase()
        .iter()
        .map(|rollout| (rollout.phase.name(), reread(rollout).pending_effect()))
        .filter(|(_, effect)| *effect != Effect::None)
        .collect();
    assert_eq!(
        effects,
        [
            ("paused", Effect::Route),
            ("shadow", Effect::Route),
            ("loading", Effect::Load),
            ("ramping", Effect::Route),
            ("awaiting_approval", Effect::Route),
            ("promoting", Effect::Promote),
            ("settling", Effect::Route),
            ("rolling_back", Effect::RollBack),
        ]
    );
}
