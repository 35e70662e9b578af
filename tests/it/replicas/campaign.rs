//! One rollout after another, by commands at servers drawn at random.

use super::{
    super::{serving::http, support::print_past_harness},
    checks,
    disturbances::disturb,
    fleet::{FAILING, Fleet, TOKEN},
    load::Load,
};
use botops_rollout::{Phase, Rollout, RolloutSpec, StepSpec};
use botops_stats::random::Random;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The longest time of a rollout.
const LIMIT: Duration = Duration::from_secs(60);

/// A command that a server acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    /// The status of the answer.
    pub(super) status: u16,
    /// The start of the server that took it.
    pub(super) start: usize,
    /// The command.
    pub(super) command: &'static str,
    /// The rollout.
    pub(super) rollout: String,
    /// The reason, which no other command has.
    pub(super) reason: String,
}

/// A number of rollouts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Campaign {
    pub(super) rollouts: usize,
    pub(super) disturbed: bool,
}

/// The commands, and what was acknowledged.
pub(super) struct Commander {
    fleet: Arc<Fleet>,
    client: reqwest::Client,
    random: Random,
    number: usize,
    pub(super) acknowledged: Vec<Acknowledged>,
}

/// Returns a plan of three steps that concludes within seconds.
pub(super) fn plan() -> RolloutSpec {
    let step = |weight| StepSpec {
        weight,
        min_time: Some("800ms".to_owned()),
        min_units: Some(15),
        deadline: "1h".to_owned(),
        require: None,
    };
    RolloutSpec {
        steps: vec![step(10.0), step(25.0), step(50.0)],
        interval: "50ms".to_owned(),
        stale_after: "1m".to_owned(),
        ..RolloutSpec::default()
    }
}

impl Campaign {
    /// Runs the rollouts, and then checks everything that was seen.
    pub(super) async fn run(self, fleet: Arc<Fleet>, seed: u64) {
        let load = Load::start(&fleet, seed);
        let stop = Arc::new(AtomicBool::new(!self.disturbed));
        let disturbed = tokio::spawn(disturb(Arc::clone(&fleet), seed, Arc::clone(&stop)));
        let mut commander = Commander::new(&fleet, seed);
        let mut ends = Vec::new();
        for number in 0..self.rollouts {
            let began = Instant::now();
            let rollout = commander.roll_out(number).await;
            let (took, end) = (began.elapsed().as_secs_f64(), rollout.phase.name());
            let judge = serde_json::to_value(&rollout.judge).unwrap();
            let (units, kinds) = (&judge["units"], &judge["kinds"]["fallback"]["failures"]);
            let seen = format!("conversations {units}, fallbacks {kinds}");
            print_past_harness(&format!("rollout {number}: {end} in {took:.1} s, {seen}"));
            ends.push(end);
        }
        stop.store(true, Ordering::SeqCst);
        let disturbances = disturbed.await.unwrap();
        print_past_harness(&format!("{disturbances} disturbances"));
        commander.wait_for_agreement().await;
        let answers = load.stop().await;
        let acknowledged = commander.acknowledged;
        checks::check(&fleet, &answers, &acknowledged).await;
        assert!(ends.contains(&"rolled_back"), "a failing version is rolled back: {ends:?}");
    }
}

impl Commander {
    /// Makes one who draws servers from `seed`.
    pub(super) fn new(fleet: &Arc<Fleet>, seed: u64) -> Self {
        Self {
            fleet: Arc::clone(fleet),
            client: http(),
            random: Random::new(seed ^ 0x5eed),
            number: 0,
            acknowledged: Vec::new(),
        }
    }

    /// Runs one rollout to its end.
    async fn roll_out(&mut self, number: usize) -> Rollout {
        let champion = self.fleet.registry.alias("support", "champion").await.unwrap().unwrap();
        let good = if champion.number == 1 { 2 } else { 1 };
        let version = if number % 3 == 1 { FAILING } else { good };
        let id = self.start(version, plan()).await;
        let began = Instant::now();
        if number % 3 == 2 {
            let wait = Duration::from_millis(self.random.below(2_500) as u64);
            tokio::time::sleep(wait).await;
            self.abort(&id).await;
        }
        loop {
            let rollout = self.in_log(&id).await;
            if rollout.is_over() {
                return rollout;
            }
            if let Phase::Paused { reason, .. } = &rollout.phase {
                panic!("rollout {id} paused: {reason:?}");
            }
            assert!(began.elapsed() < LIMIT, "rollout {id} does not end: {rollout:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns the state of the rollout in the log.
    pub(super) async fn in_log(&self, id: &str) -> Rollout {
        let log = checks::log(&self.fleet).await;
        let steps = log.iter().rev().filter_map(|entry| entry.payload.rollout());
        steps.into_iter().find(|rollout| rollout.id == id).unwrap().clone()
    }

    /// Starts a rollout of a version. Returns its id.
    pub(super) async fn start(&mut self, version: u64, plan: RolloutSpec) -> String {
        let version = format!("support@{version}");
        let body = json!({"version": version, "plan": plan});
        self.send("start", "/models/support/rollouts", body, "").await.unwrap()
    }

    /// Rolls a rollout back.
    pub(super) async fn abort(&mut self, id: &str) {
        let path = format!("/rollouts/{id}/rollback");
        // The rollout may be over.
        let _ = self.send("rollback", &path, json!({}), id).await;
    }

    /// Lets a paused rollout go on.
    pub(super) async fn resume(&mut self, id: &str) {
        let path = format!("/rollouts/{id}/resume");
        // Another pause, or the end, may have come first.
        let _ = self.send("resume", &path, json!({}), id).await;
    }

    /// Sends a command to a server drawn at random, and to another one while none answers. `None` if it is refused.
    async fn send(
        &mut self,
        command: &'static str,
        path: &str,
        mut body: Value,
        id: &str,
    ) -> Option<String> {
        self.number += 1;
        let reason = format!("command-{}.", self.number);
        body["actor"] = "ada".into();
        body["reason"] = reason.clone().into();
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < LIMIT, "no server takes {command}");
            let addresses = self.fleet.addresses();
            let at = addresses[self.random.below(addresses.len())].clone();
            let request = self
                .client
                .request(Method::POST, format!("{}/admin/v1{path}", at.admin))
                .bearer_auth(TOKEN)
                .timeout(Duration::from_secs(20))
                .json(&body);
            let Ok(answer) = request.send().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let status = answer.status().as_u16();
            let Ok(text) = answer.text().await else { continue };
            if let 200..=202 = status {
                let answer: Value = serde_json::from_str(&text).unwrap();
                let rollout = answer["rollout"]["id"].as_str().unwrap().to_owned();
                self.acknowledged.push(Acknowledged {
                    status,
                    start: at.start,
                    command,
                    rollout: rollout.clone(),
                    reason,
                });
                return Some(rollout);
            }
            // A server that is starting, or cannot reach the store.
            if status >= 500 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            assert!(command != "start", "start is refused by server {}: {status} {text}", at.place);
            assert!(!id.is_empty());
            return None;
        }
    }

    /// Waits until all servers show the newest rollout as the log has it.
    pub(super) async fn wait_for_agreement(&self) {
        let log = checks::log(&self.fleet).await;
        let last = log.iter().rev().find_map(|entry| entry.payload.rollout()).unwrap().clone();
        let began = Instant::now();
        for at in self.fleet.addresses() {
            loop {
                let url = format!("{}/admin/v1/rollouts/latest", at.admin);
                let answer = self.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
                let shown: Value = answer.json().await.unwrap();
                let rollout = &shown["rollout"];
                if rollout["id"] == last.id.as_str()
                    && rollout["revision"] == last.revision
                    && shown["durable"] == true
                {
                    break;
                }
                assert!(began.elapsed() < LIMIT, "server {} shows {shown}", at.place);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
