//! Rollouts on servers whose wall clocks jump, each by itself, forwards and backwards.

use super::{
    super::support::print_past_harness,
    campaign::Commander,
    checks,
    fleet::{FAILING, Fleet, SERVERS},
    invariants,
    load::{Answer, Load},
};
use botops_registry::Deployment;
use botops_rollout::{Arm, PauseReason, Phase, Rollout, assign};
use botops_stats::random::Random;
use botops_store::Entry;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest time of a rollout.
const LIMIT: Duration = Duration::from_secs(180);
/// The clocks that are drawn, as faketime writes them.
const OFFSETS: [&str; 5] = ["+0", "+13h", "-3h", "+90s", "-40s"];
/// The jumps in one rollout.
const JUMPS: usize = 3;

/// Runs `rollouts` while the clocks of the servers jump, and then checks the log and the answers.
pub(super) async fn run(fleet: Arc<Fleet>, rollouts: usize, seed: u64) {
    let load = Load::start(&fleet, seed);
    let mut random = Random::new(seed ^ 0xc10c);
    let mut commander = Commander::new(&fleet, seed);
    let (mut ends, mut pauses, mut jumps) = (Vec::new(), 0, 0);
    for number in 0..rollouts {
        let (rollout, paused, jumped) =
            roll_out((&fleet, &mut commander), &mut random, number).await;
        (pauses, jumps) = (pauses + paused, jumps + jumped);
        // Each jump pauses once at most, whoever ticks afterwards. One at the end of a rollout may be noticed in the next one.
        assert!(pauses <= jumps, "{pauses} pauses for {jumps} jumps");
        let end = rollout.phase.name();
        print_past_harness(&format!("rollout {number}: {end}, {paused} pauses for a clock"));
        ends.push(end);
    }
    for place in 0..SERVERS {
        fleet.set_clock(place, "+0");
    }
    commander.wait_for_agreement().await;
    let answers = load.stop().await;
    assert!(pauses > 0, "no jump was noticed");
    assert!(ends.contains(&"promoted"), "a good version gets through: {ends:?}");
    assert!(ends.contains(&"rolled_back"), "a failing version is rolled back: {ends:?}");
    for text in fleet.finish() {
        assert!(!text.contains("panicked"), "{text}");
    }
    let verified = fleet.program(&["registry", "verify"]);
    let output = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{output}{}", String::from_utf8_lossy(&verified.stderr));
    let log = checks::log(&fleet).await;
    checks::check_lease(&log);
    checks::check_acknowledged(&fleet, &log, &commander.acknowledged);
    invariants::check(&log);
    check_answers(&log, &answers);
}

/// Runs one rollout to its end, in which clocks jump; a pause for a jump is ended by a person. Returns the rollout, and the
/// numbers of its pauses and jumps.
async fn roll_out(
    (fleet, commander): (&Arc<Fleet>, &mut Commander),
    random: &mut Random,
    number: usize,
) -> (Rollout, usize, usize) {
    let champion = fleet.registry.alias("support", "champion").await.unwrap().unwrap();
    let good = if champion.number == 1 { 2 } else { 1 };
    let version = if number % 2 == 1 { FAILING } else { good };
    let id = commander.start(version, super::campaign::plan()).await;
    let (began, mut jumps, mut pauses) = (Instant::now(), 0, 0);
    let mut revision_of_pause = None;
    loop {
        let rollout = commander.in_log(&id).await;
        if rollout.is_over() {
            return (rollout, pauses, jumps);
        }
        if number == 0 && jumps == 0 && rollout.weight() > 0.0 {
            // Also that of the server which ticks.
            (0..SERVERS).for_each(|place| fleet.set_clock(place, "+13h"));
            jumps += 1;
        } else if jumps < JUMPS && random.below(8) == 0 {
            // The clocks differ from then on: nobody sets them right before the end.
            fleet.set_clock(random.below(SERVERS), OFFSETS[random.below(OFFSETS.len())]);
            jumps += 1;
        }
        if let Phase::Paused { reason, weight, .. } = &rollout.phase {
            assert_eq!((reason, *weight), (&PauseReason::ClockJump, 0.0), "{id}");
            if revision_of_pause != Some(rollout.revision) {
                revision_of_pause = Some(rollout.revision);
                pauses += 1;
            }
            commander.resume(&id).await;
        }
        assert!(began.elapsed() < LIMIT, "rollout {id} does not end: {rollout:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Checks that no request failed, and that a challenger answered only conversations of the largest share that it had.
fn check_answers(log: &[Entry<Deployment>], answers: &[Answer]) {
    let mut largest: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for rollout in log.iter().filter_map(|entry| entry.payload.rollout()) {
        let challenger = rollout.versions.as_ref().unwrap().challenger.as_str();
        let shares = largest.entry(challenger).or_default();
        match shares.last_mut().filter(|(salt, _)| *salt == rollout.salt) {
            Some((_, share)) => *share = share.max(rollout.weight()),
            None => shares.push((&rollout.salt, rollout.weight())),
        }
    }
    let mut of_canary = 0;
    for answer in answers {
        let (arm, model) = answer.result.as_ref().unwrap_or_else(|why| panic!("{answer:?}: {why}"));
        if arm != "canary" {
            continue;
        }
        of_canary += 1;
        let shares = largest.get(model.as_str()).unwrap_or_else(|| panic!("{answer:?}"));
        let is_allowed = shares
            .iter()
            .any(|(salt, share)| assign(salt, &answer.conversation, *share) == Arm::Canary);
        assert!(is_allowed, "beyond every share: {answer:?}");
    }
    assert!(of_canary > 0, "no challenger answered");
}
