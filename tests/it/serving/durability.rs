//! Servers whose store is full, hangs or is damaged, or that cannot write their log.

use super::{
    TOKEN, admin, converse, deployments, get, http, models, phase, plan, readiness, registry_in,
    serve,
    server_process::{Server, folder_with_registry},
    wait_for, wait_for_challenger,
};
use crate::{
    store::Bench,
    support::{clean, program, terminal},
    switched::{Condition, Switched},
};
use botops_findings::FaultKind;
use botops_registry::{Registry, deployment_log};
use botops_rollout::Phase;
use botops_serving::{RolloutStatus, Running, verify_deployments};
use botops_store::{Retries, Store};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

fn call(running: &Running, method: Method, path: &str) -> RequestBuilder {
    let url = format!("http://{}/admin/v1{path}", running.admin_address().unwrap());
    http().request(method, url).bearer_auth(TOKEN)
}

/// Returns whether the log records that the rollout was rolled back, and that its requests have ended.
fn is_recorded(status: &RolloutStatus) -> bool {
    status.durable && matches!(status.rollout.phase, Phase::RolledBack { .. })
}

/// Returns a server of two versions on a store with a switch, with a rollout at 50 %.
async fn ramping() -> (Arc<Switched>, Registry, Running) {
    let [champion, challenger, _] = models();
    let switch = Switched::new();
    let store = Store::wrap(Arc::clone(&switch) as _, "memory://").with_retries(Retries::none());
    let (registry, _) = registry_in(store, &[&champion, &challenger]).await;
    let running = serve(&registry).await;
    admin(&running).start("support", "support@2", &plan(50.0, 100_000), "ada", "").await.unwrap();
    wait_for_challenger(&running).await;
    (switch, registry, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_on_a_full_disk_is_in_effect_and_not_acknowledged_as_durable() {
    let (switch, registry, running) = ramping().await;
    switch.set(Condition::Full);
    let body = json!({"actor": "ada", "reason": "enough"});
    let answer = call(&running, Method::POST, "/rollouts/latest/rollback").json(&body);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["durable"], false);
    assert_eq!(answer["rollout"]["phase"]["phase"], "rolling_back");
    assert!(converse(&running, 0, 40).await.iter().all(|(_, arm, _)| arm == "primary"));
    // A client that did not get the answer asks again.
    let again = call(&running, Method::POST, "/rollouts/latest/rollback").json(&body);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), 202);
    let again: Value = again.json().await.unwrap();
    assert_eq!((&again["durable"], &again["rollout"]), (&answer["durable"], &answer["rollout"]));
    // After a kill, the next server would continue at the recorded state: that is why it is not durable.
    assert_eq!(phase(deployments(&registry).await.last().unwrap()), "ramping");

    switch.set(Condition::Sound);
    wait_for(&admin(&running), is_recorded).await;
    assert_eq!(phase(deployments(&registry).await.last().unwrap()), "rolled_back");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_of_the_model_on_a_full_disk_is_in_effect_and_not_durable() {
    let (switch, registry, running) = ramping().await;
    admin(&running).command("support", "promote", "ada", "good").await.unwrap();
    switch.set(Condition::Full);
    let body = json!({"actor": "ada", "reason": "it was not"});
    let answer = call(&running, Method::POST, "/models/support/rollback").json(&body);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["to"], &answer["durable"]), (&json!("support@1"), &json!(false)));
    let status = call(&running, Method::GET, "/models/support").send().await.unwrap();
    let status: Value = status.json().await.unwrap();
    assert_eq!(status["primary"]["model"], "support@1");
    assert_eq!(status["durable"], false);
    switch.set(Condition::Sound);
    let began = Instant::now();
    loop {
        let champion = registry.alias("support", "champion").await.unwrap().unwrap();
        if champion.number == 1 {
            break;
        }
        assert!(began.elapsed().as_secs() < 10, "the registry still says support@2");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_store_delays_neither_an_abort_nor_the_status() {
    let (switch, _, running) = ramping().await;
    switch.set(Condition::Hanging);
    // These are recorded by the next tick, which hangs with the state.
    converse(&running, 0, 40).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let status = admin(&running).rollout("support", None).await.unwrap();
    assert!(matches!(status.rollout.phase, Phase::Ramping { .. }));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let body = json!({"actor": "ada", "reason": "enough"});
    let answer = call(&running, Method::POST, "/rollouts/latest/rollback").json(&body);
    let answer = answer.send().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(answer.status(), 202);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["durable"], &answer["weight_percent"]), (&json!(false), &json!(0.0)));
    assert!(converse(&running, 0, 40).await.iter().all(|(_, arm, _)| arm == "primary"));

    switch.set(Condition::Sound);
    wait_for(&admin(&running), is_recorded).await;
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_become_durable_is_reported_after_30_seconds() {
    let (switch, _, running) = ramping().await;
    switch.set(Condition::Full);
    let began = Instant::now();
    let fault = admin(&running).command("support", "rollback", "ada", "enough").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6060", FaultKind::Unreachable));
    assert!(fault.message().starts_with("in effect on http://127.0.0.1:"), "{fault}");
    assert!(fault.message().contains("not yet durable"), "{fault}");
    assert!((29..45).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_vanished_is_not_created_again_and_an_abort_waits_for_it() {
    let folder = folder_with_registry().await;
    let place = folder.path().join("registry");
    let store = Store::open(place.to_str().unwrap(), &std::collections::BTreeMap::new()).unwrap();
    let store = store.with_retries(Retries::none());
    let running = serve(&Registry::open(store).in_environment("test").unwrap()).await;
    admin(&running).start("support", "support@2", &plan(50.0, 100_000), "ada", "").await.unwrap();
    let moved = folder.path().join("moved");
    std::fs::rename(&place, &moved).unwrap();
    let body = json!({"actor": "ada", "reason": "enough"});
    let answer = call(&running, Method::POST, "/rollouts/latest/rollback").json(&body);
    assert_eq!(answer.send().await.unwrap().status(), 202);
    assert!(converse(&running, 0, 40).await.iter().all(|(_, arm, _)| arm == "primary"));
    // Long enough for a sign of life and for many tries to record the abort.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!place.exists(), "the server started a second history");
    std::fs::rename(&moved, &place).unwrap();
    wait_for(&admin(&running), is_recorded).await;
    running.shutdown().await;
}

/// Returns a registry in memory, of two versions, and direct access to its objects.
async fn two_versions() -> (Bench, Registry) {
    let [champion, challenger, _] = models();
    let bench = Bench::memory();
    let (registry, _) = registry_in(bench.store.clone(), &[&champion, &challenger]).await;
    (bench, registry)
}

/// Runs a rollout and aborts it, so that the deployment log has entries.
async fn roll_out(registry: &Registry) {
    let running = serve(registry).await;
    let client = admin(&running);
    client.start("support", "support@2", &plan(40.0, 100_000), "ada", "try").await.unwrap();
    client.command("support", "rollback", "ada", "enough").await.unwrap();
    running.shutdown().await;
}

fn flip(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_finds_a_flipped_byte_in_the_deployment_log() {
    let (bench, registry) = two_versions().await;
    roll_out(&registry).await;
    assert_eq!(registry.verify(None).await.unwrap().problems, []);
    let entry = "deployments/test/log/00000000000000000002.json";
    bench.alter(entry, flip).await;
    let problems = registry.verify(None).await.unwrap().problems;
    let place = bench.store.object_url(entry);
    assert!(
        problems.iter().any(|it| it.code == "BOT-5006" && it.place.file.as_ref() == Some(&place)),
        "{problems:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_finds_a_forged_entry_in_the_deployment_log() {
    let (_, registry) = two_versions().await;
    roll_out(&registry).await;
    assert_eq!(verify_deployments(&registry).await.unwrap(), []);
    // The forger knows the format: digests and links are right.
    let log = deployment_log(registry.store(), "test");
    let entries = log.entries().await.unwrap();
    let ramping = entries.iter().find(|entry| phase(entry) == "ramping").unwrap();
    log.append(entries.last(), ramping.payload.clone()).await.unwrap();
    assert_eq!(registry.verify(None).await.unwrap().problems, [], "the chain is intact");
    let problems = verify_deployments(&registry).await.unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].code, "BOT-5006");
    assert!(problems[0].message.contains("which was over"), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_deployment_log_does_not_keep_the_server_from_starting() {
    let (bench, registry) = two_versions().await;
    roll_out(&registry).await;
    bench.alter("deployments/test/log/00000000000000000003.json", flip).await;
    let running = serve(&registry).await;
    assert!(running.degraded()[0].starts_with("BOT-5006: "), "{:?}", running.degraded());
    let ready = readiness(&running).await;
    assert_eq!((&ready["status"], &ready["model"]), (&json!("degraded"), &json!("support@1")));
    assert_eq!(ready["problems"], json!(["BOT-5006"]));
    let (_, metrics) = get(&running, "/metrics").await;
    assert!(metrics.contains("\nbotops_degraded{code=\"BOT-5006\"} 1"), "{metrics}");
    assert!(converse(&running, 0, 20).await.iter().all(|(_, arm, _)| arm == "primary"));
    let client = admin(&running);
    let fault = client.start("support", "support@2", &plan(40.0, 1), "ada", "").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5006", FaultKind::Gate));
    // What cannot be recorded is refused before it takes effect, in a dry run too.
    for query in ["", "?dry_run=true"] {
        let answer = call(&running, Method::POST, &format!("/models/support/rollback{query}"))
            .json(&json!({"reason": "worse", "version": "support@1"}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 422, "{query}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-5006", "{query}");
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_continue_a_forged_rollout() {
    let (_, registry) = two_versions().await;
    roll_out(&registry).await;
    let log = deployment_log(registry.store(), "test");
    let entries = log.entries().await.unwrap();
    let ramping = entries.iter().find(|entry| phase(entry) == "ramping").unwrap();
    log.append(entries.last(), ramping.payload.clone()).await.unwrap();
    let running = serve(&registry).await;
    assert!(running.degraded()[0].contains("which was over"), "{:?}", running.degraded());
    assert!(converse(&running, 0, 40).await.iter().all(|(_, arm, _)| arm == "primary"));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_on_the_champion_of_the_entries_before_the_damage() {
    let (bench, registry) = two_versions().await;
    let second = registry.resolve(&"support@2".parse().unwrap()).await.unwrap();
    registry.move_alias("blue", &second, None, &super::act()).await.unwrap();
    let newest = registry.history("support").await.unwrap().len();
    bench.alter(&format!("models/support/log/{newest:020}.json"), flip).await;
    // Another process, which has not read the log before.
    let registry = Registry::open(bench.store.clone()).in_environment("test").unwrap();
    let running = serve(&registry).await;
    let ready = readiness(&running).await;
    assert_eq!((&ready["status"], &ready["model"]), (&json!("degraded"), &json!("support@1")));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_reports_a_pipe_and_a_damaged_deployment_log() {
    let folder = folder_with_registry().await;
    let place = folder.path().join("registry");
    let location = place.to_str().unwrap().to_owned();
    let store = Store::open(&location, &std::collections::BTreeMap::new()).unwrap();
    let registry = Registry::open(store).in_environment("test").unwrap();
    roll_out(&registry).await;
    let verify = || {
        let mut command = Command::new(program());
        clean(&mut command, folder.path()).current_dir(folder.path()).args([
            "registry",
            "verify",
            "--registry",
            &location,
        ]);
        terminal(&mut command, Duration::from_secs(30))
    };
    let (code, text) = verify();
    assert_eq!(code, Some(0), "{text}");
    let entry = place.join("deployments/test/log/00000000000000000002.json");
    let sound = std::fs::read(&entry).unwrap();
    std::fs::write(&entry, flip(sound.clone())).unwrap();
    let (code, text) = verify();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("BOT-5006"), "{text}");
    std::fs::write(&entry, sound).unwrap();
    let version = registry.resolve(&"support@2".parse().unwrap()).await.unwrap();
    let blob = place.join(botops_store::blob_path(&version.manifest_digest));
    std::fs::remove_file(&blob).unwrap();
    assert!(Command::new("mkfifo").arg(&blob).status().unwrap().success());
    let (code, text) = verify();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("it is a pipe or a device"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_log_pipe_does_not_keep_a_terminated_server_alive() {
    let folder = folder_with_registry().await;
    let mut server = Server::start(folder.path());
    // Nobody reads the log any more, and these lines fill the pipe.
    let url = format!("{}/v1/predict", server.address());
    let client = http();
    for _ in 0..1200 {
        let answer = client.post(&url).json(&json!({"text": "where is my parcel"}));
        assert_eq!(answer.send().await.unwrap().status(), 200);
    }
    server.signal("-TERM");
    assert_eq!(server.end(Duration::from_secs(15)), Some(0), "it still runs");
}
