//! A server whose wall clock jumps, under Debian's `faketime`: the process sees another wall clock, and its monotonic
//! clock runs on.

use super::{TOKEN, corpus, http, models, register};
use crate::support::{Folder, report_skip, tool};
use botops_registry::{CHAMPION, Registry};
use botops_rollout::{PauseReason, Phase, RolloutSpec, StepSpec};
use botops_serving::{AdminClient, RolloutStatus};
use botops_store::Store;
use botops_workspace::Secret;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

/// Returns the value of `LD_PRELOAD` with which a program sees a false wall clock; `None`, with a message, without the tool.
pub(crate) fn preload(test: &str) -> Option<String> {
    let Some(faketime) = tool("BOTOPS_FAKETIME", "faketime") else {
        report_skip(test, "faketime (apt-get install faketime; BOTOPS_FAKETIME names it)");
        return None;
    };
    let output =
        Command::new(faketime).args(["-f", "+0s", "printenv", "LD_PRELOAD"]).output().unwrap();
    let library = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert!(!library.is_empty(), "faketime names no library: {:?}", output.stderr);
    Some(library)
}

/// A server process whose wall clock the test sets. Ended when dropped.
struct Server {
    process: Child,
    folder: Folder,
    addresses: [String; 2],
}

impl Server {
    /// Serves `support@1` of a registry in a folder; `support@2` is registered beside it.
    async fn start(preload: &str) -> Self {
        let folder = Folder::empty();
        folder.write("botops.yaml", "version: 1\nmodel: support\n");
        let location = folder.path().join("registry");
        fs::create_dir(&location).unwrap();
        let store = Store::open(location.to_str().unwrap(), &BTreeMap::new()).unwrap();
        let registry = Registry::open(store);
        let [champion, challenger, _] = models();
        let (version, proof) = register(&registry, &champion).await;
        registry.promote(&version, None, &proof, &super::act()).await.unwrap();
        register(&registry, &challenger).await;

        folder.write("offset", "+0");
        let mut command =
            folder.botops(["serve", "support", "--no-request-log", "--registry", "registry"]);
        let mut process = command
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .env("BOTOPS_ADMIN_TOKEN", TOKEN)
            .env("BOTOPS_TIMES", super::TIMES.to_string())
            .env("LD_PRELOAD", preload)
            .env("FAKETIME_TIMESTAMP_FILE", folder.path().join("offset"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines(&mut process);
        let addresses = ["serving support on ", "admin API on "].map(|wanted| {
            loop {
                let line = lines.recv_timeout(Duration::from_secs(60)).expect("the server starts");
                if let Some((_, address)) = line.split_once(wanted) {
                    return address.trim().to_owned();
                }
            }
        });
        Self { process, folder, addresses }
    }

    /// Sets the wall clock of the server ahead by `offset`, such as `+13h`.
    fn set_clock(&self, offset: &str) {
        // A rename, so that the server never reads half of it.
        self.folder.write("offset.new", offset);
        let path = |name: &str| self.folder.path().join(name);
        fs::rename(path("offset.new"), path("offset")).unwrap();
    }

    fn admin(&self) -> AdminClient {
        AdminClient::new(&self.addresses[1], Some(&Secret::new(TOKEN))).unwrap()
    }

    /// Waits until requests reach the challenger: only conversations that begin from then on are judged.
    async fn wait_for_challenger(&self) {
        let (url, client) = (format!("{}/v1/predict", self.addresses[0]), http());
        let begun = Instant::now();
        loop {
            // Without a conversation, it is not counted.
            let request = client.post(&url).bearer_auth(TOKEN);
            let answer = request.json(&json!({"text": "where is my parcel"}));
            if answer.send().await.unwrap().headers()["x-botops-arm"] == "canary" {
                return;
            }
            assert!(begun.elapsed().as_secs() < 30, "no request reaches the challenger");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends one message in each of `n` new conversations.
    async fn converse(&self, n: usize) {
        let url = format!("{}/v1/predict", self.addresses[0]);
        let client = http();
        for (index, (text, _)) in corpus(n, 99).into_iter().enumerate() {
            let body = json!({"text": text, "conversation_id": format!("c-{index}")});
            assert_eq!(client.post(&url).json(&body).send().await.unwrap().status(), 200);
        }
    }

    /// Waits until the state of the rollout satisfies `wanted`, at most 60 s.
    async fn wait_for(&self, wanted: impl Fn(&RolloutStatus) -> bool) -> RolloutStatus {
        let begun = Instant::now();
        loop {
            let status = self.admin().rollout("support", None).await.unwrap();
            if wanted(&status) {
                return status;
            }
            assert!(begun.elapsed().as_secs() < 60, "still {:?}", status.rollout.phase);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the rollout is paused for a jump of the clock.
    async fn wait_for_pause(&self) -> RolloutStatus {
        let jumped = |status: &RolloutStatus| {
            let phase = &status.rollout.phase;
            assert!(!status.rollout.is_over(), "{phase:?}");
            matches!(phase, Phase::Paused { reason: PauseReason::ClockJump, .. })
        };
        let status = self.wait_for(jumped).await;
        assert_eq!(status.weight_percent, 0.0);
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the messages of a process, to their end.
fn lines(process: &mut Child) -> Receiver<String> {
    let stderr = BufReader::new(process.stderr.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn plan(min_time: &str) -> RolloutSpec {
    RolloutSpec {
        steps: vec![StepSpec {
            weight: 50.0,
            min_time: Some(min_time.to_owned()),
            min_units: Some(5),
            deadline: "7d".to_owned(),
            require: None,
        }],
        interval: "100ms".to_owned(),
        stale_after: "1h".to_owned(),
        ..RolloutSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_jumps_ahead_promotes_nothing() {
    let test = "a_wall_clock_that_jumps_ahead_promotes_nothing";
    let Some(preload) = preload(test) else { return };
    let server = Server::start(&preload).await;
    let client = server.admin();
    client.start("support", "support@2", &plan("12h"), "ada", "try").await.unwrap();
    server.wait_for_challenger().await;
    server.converse(60).await;
    server.wait_for(|status| status.decision.units.iter().sum::<u64>() == 60).await;
    for offset in ["+13h", "+38h"] {
        server.set_clock(offset);
        let paused = server.wait_for_pause().await;
        assert!(
            paused.decision.reason.contains("the wall clock of server `")
                && paused.decision.reason.contains(" jumped "),
            "{}",
            paused.decision.reason
        );
        let resumed = client.command("support", "resume", "ada", "the clock is right").await;
        assert!(matches!(resumed.unwrap().rollout.phase, Phase::Ramping { .. }));
        // Twelve hours on the wall clock are less than a second on the one that counts.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let status = client.rollout("support", None).await.unwrap();
        assert!(
            matches!(status.rollout.phase, Phase::Ramping { .. }),
            "{:?}",
            status.rollout.phase
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_went_ten_years_ahead_and_back_stops_no_rollout() {
    let test = "a_wall_clock_that_went_ten_years_ahead_and_back_stops_no_rollout";
    let Some(preload) = preload(test) else { return };
    let server = Server::start(&preload).await;
    let client = server.admin();
    client.start("support", "support@2", &plan("1s"), "ada", "try").await.unwrap();
    server.set_clock("+3650d");
    server.wait_for_pause().await;
    server.set_clock("+0");
    let soon = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    server.wait_for(|status| status.rollout.updated_at < soon).await;
    client.command("support", "resume", "ada", "the clock is back").await.unwrap();
    server.wait_for_challenger().await;
    server.converse(60).await;
    let end = server.wait_for(|status| status.rollout.is_over()).await;
    assert_eq!(end.rollout.phase, Phase::Promoted, "{}", end.decision.reason);
    assert!(end.rollout.updated_at < soon, "{}", end.rollout.updated_at);
    let store = server.folder.path().join("registry");
    let registry = Registry::open(Store::open(store.to_str().unwrap(), &BTreeMap::new()).unwrap());
    let champion = registry.alias("support", CHAMPION).await.unwrap().unwrap();
    assert_eq!(champion.number, 2);
}
