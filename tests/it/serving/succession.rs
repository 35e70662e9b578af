//! Two servers of one model: the second one waits, takes over, and is not overruled by the first.

use super::{
    admin, converse, get, http, models, plan, registry, serve,
    server_process::{Server, folder_with_registry},
    wait_for,
};
use botops_findings::FaultKind;
use botops_registry::Registry;
use botops_rollout::Phase;
use botops_serving::{AdminClient, verify_deployments};
use botops_store::Store;
use std::{
    io::BufRead as _,
    path::Path,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_says_that_it_is_second_and_takes_over() {
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let first = serve(&registry).await;
    assert!(!first.was_second());
    admin(&first).start("support", "support@2", &plan(40.0, 100_000), "ada", "").await.unwrap();
    let split = converse(&first, 0, 60).await;

    let second = serve(&registry).await;
    assert!(second.was_second());
    let fault = admin(&second)
        .start("support", "support@2", &plan(40.0, 100_000), "ada", "")
        .await
        .unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6061", FaultKind::Conflict));
    let fault = admin(&second).command("support", "rollback", "ada", "no").await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6061");
    let status = admin(&second).rollout("support", None).await.unwrap();
    assert!(!status.driven && status.weight_percent == 0.0, "{status:?}");
    let (_, metrics) = get(&second, "/metrics").await;
    assert!(metrics.contains("\nbotops_canary_weight 0.0"), "{metrics}");
    assert!(metrics.contains("\nbotops_rollout_controller 0"), "{metrics}");
    assert!(converse(&second, 0, 60).await.iter().all(|(_, arm, _)| arm == "primary"));
    let (_, metrics) = get(&first, "/metrics").await;
    assert!(metrics.contains("\nbotops_rollout_controller 1"), "{metrics}");

    first.shutdown().await;
    let status = wait_for(&admin(&second), |status| status.driven).await;
    assert!((status.weight_percent - 40.0).abs() < 1e-9);
    assert_eq!(converse(&second, 0, 60).await, split, "the split is the same");
    let end = admin(&second).command("support", "rollback", "ada", "enough").await.unwrap();
    assert_eq!(end.decision.verdict, "rolled_back");
    assert_eq!(verify_deployments(&registry).await.unwrap(), []);
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_replaced_at_once_and_a_living_one_when_it_stops() {
    let folder = folder_with_registry().await;
    let mut killed = Server::start(folder.path());
    killed.signal("-KILL");
    killed.end(Duration::from_secs(5));
    let first = Server::start(folder.path());
    let mut second = Server::start(folder.path());
    // The line about the standing follows those about the addresses.
    let mut line = String::new();
    second.stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("second: another server of this environment"), "{line}");
    first.signal("-KILL");
    wait_until_first(second.address()).await;
}

/// Waits until the server at `address` is first.
async fn wait_until_first(address: &str) {
    let began = Instant::now();
    loop {
        let metrics = http().get(format!("{address}/metrics")).send().await.unwrap();
        if metrics.text().await.unwrap().contains("\nbotops_rollout_controller 1") {
            return;
        }
        assert!(began.elapsed().as_secs() < 40, "it does not take over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns the number of the champion.
async fn champion(registry: &Registry) -> u64 {
    registry.alias("support", "champion").await.unwrap().unwrap().number
}

/// Makes `support@2` champion by a rollout.
async fn promote(client: &AdminClient) {
    client.start("support", "support@2", &plan(50.0, 100_000), "ada", "try").await.unwrap();
    client.command("support", "promote", "ada", "good").await.unwrap();
    let status = client.rollout("support", None).await.unwrap();
    assert_eq!(status.rollout.phase, Phase::Promoted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_server_that_was_suspended_and_replaced_changes_nothing() {
    let folder = folder_with_registry().await;
    let place = folder.path().join("registry");
    let registry = Registry::open(open(&place));
    let first = Server::start(folder.path());
    promote(&first.admin()).await;
    let second = Server::start(folder.path());
    first.signal("-STOP");
    wait_until_first(second.address()).await;
    first.signal("-CONT");
    let fault = first.admin().roll_back("support", None, "ada", "bad").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6061", FaultKind::Conflict));
    assert_eq!(champion(&registry).await, 2, "a command that reports failure has changed nothing");
    let plan = plan(50.0, 100_000);
    let fault = first.admin().start("support", "support@1", &plan, "ada", "").await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6061");
    let done = second.admin().roll_back("support", None, "ada", "bad").await.unwrap();
    assert_eq!((done.to.as_str(), done.durable), ("support@1", true));
    assert_eq!(champion(&registry).await, 1);
    assert_eq!(verify_deployments(&registry).await.unwrap(), []);
}

fn open(place: &Path) -> Store {
    Store::open(place.to_str().unwrap(), &std::collections::BTreeMap::new()).unwrap()
}

/// The signs of life of the servers of `support`.
const SERVERS: &str = "deployments/test/servers/support";
/// The sign of life of another server.
const OTHER: &str = "other.0000000001";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_server_whose_sign_was_removed_is_second_while_another_one_lives() {
    let [champion_model, challenger, _] = models();
    let (registry, _) = registry(&[&champion_model, &challenger]).await;
    let first = serve(&registry).await;
    promote(&admin(&first)).await;
    let store = registry.store();
    let forget = async || {
        for path in store.objects(SERVERS, None).await.unwrap() {
            if !path.ends_with(OTHER) {
                store.remove(&path).await.unwrap();
            }
        }
    };
    // Nobody else is there: a cleaned folder is no reason to refuse.
    forget().await;
    admin(&first).would_roll_back("support", None, "ada", "bad").await.unwrap();
    store.create(&format!("{SERVERS}/{OTHER}"), b"{}".as_slice().into()).await.unwrap();
    forget().await;
    let fault = admin(&first).would_roll_back("support", None, "ada", "bad").await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6061", "a dry run makes the same checks");
    let fault = admin(&first).roll_back("support", None, "ada", "bad").await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6061");
    assert_eq!(champion(&registry).await, 2);
    first.shutdown().await;
}
