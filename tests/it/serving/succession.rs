//! Two servers of one environment: either takes commands, both split alike, and one takes over from the other.

use super::{
    admin, converse, decisions, deployments, get, http, models, plan, registry, serve,
    server_process::{PROCESS_TOKEN, Server, TIMES, folder_with_registry, registry_of},
    wait_for, wait_for_challenger,
};
use botops_registry::Registry;
use botops_rollout::Phase;
use botops_serving::{AdminClient, RolloutStatus, verify_deployments};
use serde_json::json;
use std::{
    path::Path,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_server_takes_commands_and_both_split_alike() {
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let (first, second) = (serve(&registry).await, serve(&registry).await);
    let id = admin(&first)
        .start("support", "support@2", &plan(40.0, 100_000), "ada", "try")
        .await
        .unwrap();
    wait_for_challenger(&first).await;
    wait_for_challenger(&second).await;
    let split = converse(&first, 0, 60).await;
    assert_eq!(converse(&second, 0, 60).await, split, "a conversation stays on its arm");
    // A conversation that both servers saw is one conversation.
    let counted = |status: &RolloutStatus| status.decision.units.iter().sum::<u64>() == 60;
    let status = wait_for(&admin(&second), counted).await;
    assert_eq!((status.rollout.id.as_str(), status.driven), (id.as_str(), false));
    let (_, metrics) = get(&second, "/metrics").await;
    assert!(metrics.contains("\nbotops_rollout_controller 0"), "{metrics}");
    let (_, metrics) = get(&first, "/metrics").await;
    assert!(metrics.contains("\nbotops_rollout_controller 1"), "{metrics}");

    // The server that does not tick pauses, the other one resumes, and each reads what the other one did.
    let paused = admin(&second).command("support", "pause", "bob", "wait").await.unwrap();
    assert!(matches!(paused.rollout.phase, Phase::Paused { .. }));
    let is_paused = |status: &RolloutStatus| matches!(status.rollout.phase, Phase::Paused { .. });
    wait_for(&admin(&first), is_paused).await;
    assert_eq!(converse(&first, 0, 60).await, split, "a pause keeps the share");
    admin(&first).command("support", "resume", "eve", "go on").await.unwrap();
    let end = admin(&second).command("support", "rollback", "ada", "enough").await.unwrap();
    assert_eq!(end.decision.verdict, "rolled_back");
    wait_for(&admin(&first), |status| status.decision.verdict == "rolled_back").await;
    for server in [&first, &second] {
        assert!(converse(server, 0, 60).await.iter().all(|(_, arm, _)| arm == "primary"));
    }
    let actors = decisions(&registry).await;
    let named = |actor: &str| actors.iter().any(|entry| entry.payload.actor == actor);
    assert!(
        ["bob", "eve", "ada"].map(|it| named(&format!("admin on behalf of {it}"))) == [true; 3]
    );
    assert_eq!(verify_deployments(&registry).await.unwrap(), []);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_hands_over_with_the_split_and_the_counts() {
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let (first, second) = (serve(&registry).await, serve(&registry).await);
    admin(&first).start("support", "support@2", &plan(40.0, 100_000), "ada", "").await.unwrap();
    wait_for_challenger(&first).await;
    wait_for_challenger(&second).await;
    let split = converse(&first, 0, 60).await;
    first.shutdown().await;
    let status = wait_for(&admin(&second), |status| status.driven).await;
    assert!((status.weight_percent - 40.0).abs() < 1e-9);
    assert_eq!(converse(&second, 0, 60).await, split, "the split is the same");
    // The last observation of the server that stopped is counted, and its conversations only once.
    converse(&second, 60, 20).await;
    let status =
        wait_for(&admin(&second), |status| status.decision.units.iter().sum::<u64>() >= 80).await;
    assert_eq!(status.decision.units.iter().sum::<u64>(), 80);
    second.shutdown().await;
}

/// Starts a rollout at `server`, which ticks it from then on.
async fn start(server: &Server) {
    let client = server.admin();
    client.start("support", "support@2", &plan(50.0, 100_000), "ada", "try").await.unwrap();
    assert!(client.rollout("support", None).await.unwrap().driven);
}

/// Waits until the server of `client` ticks. Without a sign of life, that takes 10 s, divided by [`TIMES`].
async fn wait_until_it_ticks(client: &AdminClient) {
    let began = Instant::now();
    while !client.rollout("support", None).await.unwrap().driven {
        // The last sign of life, and the time between two looks, come on top.
        let longest = Duration::from_secs(15) / TIMES;
        assert!(began.elapsed() < longest, "it does not take over: {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends `n` conversations to the server at `address`. Returns how many of them the challenger answered.
async fn on_challenger(address: &str, n: usize) -> usize {
    let (client, url) = (http(), format!("{address}/v1/predict"));
    let mut answered = 0;
    for index in 0..n {
        let body = json!({"text": "where is my parcel", "conversation_id": format!("c-{index}")});
        let request = client.post(&url).bearer_auth(PROCESS_TOKEN).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answered += usize::from(answer.headers()["x-botops-arm"] == "canary");
    }
    answered
}

/// Waits until the server at `address` sends requests to the challenger.
async fn wait_for_canary(address: &str) {
    let began = Instant::now();
    while on_challenger(address, 20).await == 0 {
        assert!(began.elapsed().as_secs() < 20, "no request reaches the challenger");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_replaced_within_seconds() {
    let folder = folder_with_registry().await;
    let (first, second) = (Server::start(folder.path()), Server::start(folder.path()));
    start(&first).await;
    wait_for_canary(second.address()).await;
    assert!(!second.admin().rollout("support", None).await.unwrap().driven);
    first.signal("-KILL");
    wait_until_it_ticks(&second.admin()).await;
    let end = second.admin().command("support", "promote", "ada", "good").await.unwrap();
    assert_eq!(end.rollout.phase, Phase::Promoted, "{}", end.decision.reason);
    let registry = registry_in(folder.path());
    assert_eq!(registry.champion("support").await.unwrap().unwrap().number, 2);
    assert_eq!(verify_deployments(&registry).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_suspended_and_replaced_changes_nothing_when_it_continues() {
    let folder = folder_with_registry().await;
    let (first, second) = (Server::start(folder.path()), Server::start(folder.path()));
    start(&first).await;
    wait_for_canary(first.address()).await;
    first.signal("-STOP");
    wait_until_it_ticks(&second.admin()).await;
    let end = second.admin().command("support", "rollback", "ada", "bad").await.unwrap();
    assert_eq!(end.decision.verdict, "rolled_back");
    wait_for(&second.admin(), |status| status.rollout.is_over()).await;
    let registry = registry_in(folder.path());
    let recorded = deployments(&registry).await.len();
    first.signal("-CONT");
    assert_eq!(on_challenger(first.address(), 60).await, 0, "it routes by an old entry");
    tokio::time::sleep(Duration::from_secs(10) / TIMES).await;
    assert_eq!(deployments(&registry).await.len(), recorded);
    let status = first.admin().rollout("support", None).await.unwrap();
    assert_eq!((status.decision.verdict.as_str(), status.driven), ("rolled_back", false));
    // It is a server as any other: it takes the next command.
    start(&first).await;
    assert_eq!(verify_deployments(&registry).await.unwrap(), []);
}

fn registry_in(folder: &Path) -> Registry {
    registry_of(&folder.join("registry"))
}
