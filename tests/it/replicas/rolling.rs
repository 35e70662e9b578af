//! A rolling update: each server is stopped in an orderly way and started again while a rollout is open.

use super::{
    campaign::Commander,
    checks::{self, scaled},
    fleet::{Fleet, SERVERS},
    load::Load,
};
use crate::support::print_past_harness;
use botops_rollout::{RolloutSpec, StepSpec};
use chrono::TimeDelta;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How soon a rollout goes on after a server that left.
const GOES_ON: Duration = Duration::from_secs(10);
/// The longest wait of the test.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns a plan whose one step does not end by itself.
fn plan() -> RolloutSpec {
    RolloutSpec {
        steps: vec![StepSpec {
            weight: 50.0,
            min_time: None,
            min_units: Some(1_000_000),
            deadline: "1h".to_owned(),
            require: None,
        }],
        interval: "50ms".to_owned(),
        stale_after: "1m".to_owned(),
        ..RolloutSpec::default()
    }
}

/// Returns the conversations that the judge has counted, in both arms.
async fn counted(commander: &Commander, id: &str) -> u64 {
    let judge = serde_json::to_value(&commander.in_log(id).await.judge).unwrap();
    [0, 1].into_iter().map(|arm| judge["units"][arm].as_u64().unwrap()).sum()
}

/// Returns the longest time in which the judge counted nothing new, until `renewed` is done and counting goes on after it.
async fn longest_wait(commander: &Commander, id: &str, renewed: JoinHandle<()>) -> Duration {
    let began = Instant::now();
    let (mut before, mut since) = (counted(commander, id).await, Instant::now());
    let mut longest = Duration::ZERO;
    let mut is_last = false;
    loop {
        let is_renewed = renewed.is_finished();
        let now = counted(commander, id).await;
        if now > before {
            longest = longest.max(since.elapsed());
            (before, since) = (now, Instant::now());
            if is_last {
                renewed.await.unwrap();
                return longest;
            }
            is_last = is_renewed;
        }
        assert!(began.elapsed() < LIMIT, "the rollout does not go on after {before}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Renews every server once while a rollout is open, and checks that it goes on, and that nothing is counted twice.
pub(super) async fn renew_all(fleet: Arc<Fleet>, seed: u64) {
    let load = Load::start(&fleet, seed);
    let mut commander = Commander::new(&fleet, seed);
    let id = commander.start(2, plan()).await;
    let began = Instant::now();
    while counted(&commander, &id).await == 0 {
        assert!(began.elapsed() < LIMIT, "the rollout does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for place in 0..SERVERS {
        let renewed = {
            let fleet = Arc::clone(&fleet);
            tokio::task::spawn_blocking(move || fleet.renew(place))
        };
        let waited = longest_wait(&commander, &id, renewed).await;
        let limit = scaled(&fleet, GOES_ON);
        print_past_harness(&format!("server {place} was renewed: no longer wait than {waited:?}"));
        assert!(TimeDelta::from_std(waited).unwrap() <= limit, "{waited:?} is over {limit}");
    }
    // The last conversations are observed, published and counted.
    let answers = load.stop().await;
    let known: BTreeSet<&str> =
        answers.iter().filter(|it| it.result.is_ok()).map(|it| it.conversation.as_str()).collect();
    let mut last = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        last = counted(&commander, &id).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sent = known.len() as u64;
    print_past_harness(&format!("{last} of {sent} conversations counted"));
    assert!(last <= sent, "{last} of {sent} conversations are counted");
    // Some began while the share was raised, or before the rollout.
    assert!(last * 10 >= sent * 5, "only {last} of {sent} conversations are counted");
    commander.abort(&id).await;
    let began = Instant::now();
    while !commander.in_log(&id).await.is_over() {
        assert!(began.elapsed() < LIMIT, "the rollout does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    commander.wait_for_agreement().await;
    let acknowledged = commander.acknowledged.clone();
    checks::check(&fleet, &answers, &acknowledged).await;
}
