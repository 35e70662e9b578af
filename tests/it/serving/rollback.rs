//! Rollbacks of the model: during a rollout, to versions that may not serve, and beside a server.

use super::{TOKEN, act, admin, converse, deployments, http, models, plan, registry, serve};
use crate::support::Folder;
use botops_digest::Digest;
use botops_models::IntentModel;
use botops_registry::{CHAMPION, Registry, Version};
use botops_rollout::Phase;
use botops_serving::Running;
use botops_store::Store;
use reqwest::Response;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    process::Output,
    time::{Duration, Instant},
};

/// Returns a registry in the folder of a workspace, with the given models as versions. The first is the champion.
async fn on_disk(models: &[&IntentModel]) -> (Folder, Registry, Vec<Version>) {
    let folder = Folder::empty();
    folder.write("botops.yaml", "version: 1\nmodel: support\n");
    let place = folder.path().join("registry");
    let store = Store::open(place.to_str().unwrap(), &BTreeMap::new()).unwrap();
    let registry = Registry::open(store).in_environment("test").unwrap();
    let mut versions = Vec::new();
    for model in models {
        versions.push(super::register(&registry, model).await.0);
    }
    promote(&registry, &versions[0], None).await;
    (folder, registry, versions)
}

async fn promote(registry: &Registry, version: &Version, from: Option<&Version>) {
    let proof = registry.proof(version).await.unwrap();
    let expected = from.map(|version| version.manifest_digest);
    registry.promote(version, expected, &proof, &act()).await.unwrap();
}

async fn champion(registry: &Registry) -> String {
    registry.alias("support", CHAMPION).await.unwrap().unwrap().reference()
}

/// Runs the program in `folder`, with the admin API of `server` or without one.
async fn botops(folder: &Folder, server: Option<&Running>, arguments: &[&str]) -> (i32, String) {
    let mut command = folder.botops(arguments.iter().copied());
    if let Some(server) = server {
        let url = format!("http://{}", server.admin_address().unwrap());
        command.env("BOTOPS_ADMIN_URL", url).env("BOTOPS_ADMIN_TOKEN", TOKEN);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let Output { status, stdout, stderr } = output;
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code().unwrap(), text)
}

async fn send(running: &Running, path: &str, body: &Value) -> Response {
    let url = format!("http://{}/admin/v1{path}", running.admin_address().unwrap());
    http().post(url).bearer_auth(TOKEN).json(body).send().await.unwrap()
}

fn digest_of(model: &IntentModel) -> String {
    Digest::of(&model.to_bytes()).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_during_a_rollout_keeps_the_champion_and_names_both_versions() {
    let [first, second, third] = models();
    let (folder, registry, versions) = on_disk(&[&first, &second, &third]).await;
    promote(&registry, &versions[1], Some(&versions[0])).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    let id = client.start("support", "support@3", &plan(50.0, 9_999), "ada", "try").await.unwrap();

    let rollback = ["rollback", "--reason", "it is bad"];
    let dry = [&rollback[..], &["--dry-run"]].concat();
    let (exit, text) = botops(&folder, Some(&running), &dry).await;
    assert_eq!(exit, 0, "{text}");
    for name in [id.as_str(), "of support@3 would end", "support@2 would stay the champion"] {
        assert!(text.contains(name), "{text}");
    }
    let status = client.rollout("support", None).await.unwrap();
    assert!(matches!(status.rollout.phase, Phase::Ramping { .. }), "a dry run changes nothing");

    let (exit, text) = botops(&folder, Some(&running), &rollback).await;
    assert_eq!(exit, 0, "{text}");
    for name in [id.as_str(), "of support@3 ended", "support@2 stays the champion"] {
        assert!(text.contains(name), "{text}");
    }
    let status = client.rollout("support", None).await.unwrap();
    assert_eq!(status.decision.verdict, "rolled_back");
    assert_eq!(champion(&registry).await, "support@2");
    assert!(converse(&running, 0, 20).await.iter().all(|(_, _, d)| *d == digest_of(&second)));

    // With no rollout open, it returns to the previous champion. Before that there is none: nothing changes.
    let (exit, text) = botops(&folder, Some(&running), &rollback).await;
    assert_eq!((exit, text.contains("from support@2 back to support@1")), (0, true), "{text}");
    assert_eq!(champion(&registry).await, "support@1");
    for arguments in [&dry[..], &rollback] {
        let (exit, text) = botops(&folder, Some(&running), arguments).await;
        assert_eq!((exit, text.contains("BOT-6024")), (2, true), "{text}");
    }
    // With the first champion, too, a rollback ends the rollout.
    client.start("support", "support@3", &plan(50.0, 9_999), "ada", "again").await.unwrap();
    let (exit, text) = botops(&folder, Some(&running), &rollback).await;
    assert_eq!((exit, text.contains("support@1 stays the champion")), (0, true), "{text}");
    assert_eq!(client.rollout("support", None).await.unwrap().decision.verdict, "rolled_back");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_to_a_version_that_was_never_champion_changes_nothing() {
    let [first, second, third] = models();
    let (folder, registry, versions) = on_disk(&[&first, &second, &third]).await;
    let ungated = ungated(&registry, &versions[2]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    let check = async |name: &str, open: bool| {
        for query in ["", "?dry_run=true"] {
            let body = json!({"version": name, "reason": "it is bad"});
            let path = format!("/models/support/rollback{query}");
            let answer = send(&running, &path, &body).await;
            assert_eq!(answer.status(), 403, "{name}");
            assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-5031");
        }
        for dry in [&["--dry-run"][..], &[]] {
            let arguments = [&["rollback", "--to", name, "--reason", "x"][..], dry].concat();
            let (exit, text) = botops(&folder, Some(&running), &arguments).await;
            assert_eq!((exit, text.contains("BOT-5031")), (6, true), "{text}");
        }
        if !open {
            assert!(
                converse(&running, 0, 20).await.iter().all(|(_, _, d)| *d == digest_of(&first))
            );
        }
        assert_eq!(champion(&registry).await, "support@1");
    };
    // Version 2 has a gate report, and the other one has none.
    check("support@2", false).await;
    check(&ungated.reference(), false).await;
    assert_eq!(deployments(&registry).await.len(), 1, "the first champion only");
    client.start("support", "support@2", &plan(50.0, 9_999), "ada", "try").await.unwrap();
    check("support@3", true).await;
    let status = client.rollout("support", None).await.unwrap();
    assert!(matches!(status.rollout.phase, Phase::Ramping { .. }), "the rollout goes on");
    running.shutdown().await;
}

/// Registers the model of `version` again, without its gate report.
async fn ungated(registry: &Registry, version: &Version) -> Version {
    let mut manifest = version.manifest.clone();
    manifest.gates = None;
    manifest.files.retain(|file| file.path != "gate.json");
    registry.register(manifest, Vec::new(), &act()).await.unwrap().version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_without_a_gate_report_or_with_the_model_of_the_champion_starts_no_rollout() {
    let [first, second, _] = models();
    let (registry, versions) = registry(&[&first, &second]).await;
    let without = ungated(&registry, &versions[1]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    for query in ["", "?dry_run=true"] {
        let body = json!({"version": without.reference(), "reason": "try"});
        let answer = send(&running, &format!("/models/support/rollouts{query}"), &body).await;
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-5017");
    }
    assert_eq!(client.rollout("support", None).await.unwrap_err().code(), "BOT-6034");
    assert!(converse(&running, 0, 30).await.iter().all(|(_, _, d)| *d == digest_of(&first)));

    // Version 3 holds the model of version 2. Once version 2 is champion, there is nothing to roll out.
    client.start("support", "support@2", &plan(50.0, 9_999), "ada", "try").await.unwrap();
    client.command("support", "promote", "ada", "good").await.unwrap();
    let again = without.reference();
    // A promotion is acknowledged once it is durable; until the server has made the version its champion, it is refused for
    // its missing gate report.
    let began = Instant::now();
    let fault = loop {
        let started = client.start("support", &again, &plan(50.0, 1), "ada", "try").await;
        let fault = started.unwrap_err();
        if fault.code() != "BOT-5017" || began.elapsed() > Duration::from_secs(30) {
            break fault;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(fault.code(), "BOT-6037");
    assert!(fault.message().contains("the same model as the champion `support@2`"), "{fault}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_query_key_changes_nothing() {
    let [first, second, third] = models();
    let (registry, versions) = registry(&[&first, &second, &third]).await;
    promote(&registry, &versions[1], Some(&versions[0])).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    client.start("support", "support@3", &plan(50.0, 9_999), "ada", "try").await.unwrap();
    let rollback = json!({"reason": "it is bad"});
    let start = json!({"version": "support@3"});
    for query in ["dryrun=true", "dry_run=1", "dry_run", "dry_run=true&force=true", "x=%FF"] {
        for (path, body) in [
            ("/models/support/rollback", &rollback),
            ("/models/support/rollouts", &start),
            ("/rollouts/latest/rollback", &rollback),
            ("/rollouts/latest/pause", &rollback),
            ("/rollouts/latest/promote", &rollback),
        ] {
            let answer = send(&running, &format!("{path}?{query}"), body).await;
            assert_eq!(answer.status(), 400, "{path}?{query}");
            let problem: Value = answer.json().await.unwrap();
            assert_eq!((&problem["code"], &problem["exit"]), (&json!("BOT-6041"), &json!(2)));
        }
    }
    // A command of a rollout takes no version: it would be ignored.
    let body = json!({"version": "support@1", "reason": "x"});
    assert_eq!(send(&running, "/rollouts/latest/rollback", &body).await.status(), 422);
    let status = client.rollout("support", None).await.unwrap();
    assert!(matches!(status.rollout.phase, Phase::Ramping { .. }));
    assert_eq!(champion(&registry).await, "support@2");
    let url = format!("http://{}/v1/feedback?dry_run=true", running.address());
    let body = json!({"conversation_id": "c", "intent": "refund"});
    assert_eq!(http().post(url).json(&body).send().await.unwrap().status(), 400);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_admin_url_an_open_rollout_is_refused_and_its_admin_api_is_named() {
    let [first, second, third] = models();
    let (folder, registry, versions) = on_disk(&[&first, &second, &third]).await;
    promote(&registry, &versions[1], Some(&versions[0])).await;
    folder.write(
        "traffic.jsonl",
        "{\"at\":\"2026-11-08T10:00:00Z\",\"conversation_id\":\"c\",\"text\":\"my parcel\"}\n",
    );
    let running = serve(&registry).await;
    let client = admin(&running);
    client.start("support", "support@3", &plan(50.0, 9_999), "ada", "try").await.unwrap();
    let n_entries = registry.history("support").await.unwrap().len();
    let api = format!("POST http://{}/admin/v1/models/support", running.admin_address().unwrap());
    for (arguments, request) in [
        (&["rollback", "--reason", "x"][..], "rollback"),
        (&["rollback", "--reason", "x", "--dry-run"], "rollback"),
        (&["rollback", "--reason", "x", "--to", "support@1"], "rollback"),
        (&["promote", "support@3", "--traffic", "traffic.jsonl"], "rollouts"),
    ] {
        let arguments = [arguments, &["--environment", "test"]].concat();
        let (exit, text) = botops(&folder, None, &arguments).await;
        assert_eq!(exit, 5, "{text}");
        for part in ["BOT-6042", "of support@3", &format!("{api}/{request}")] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(registry.history("support").await.unwrap().len(), n_entries);
    assert!(matches!(
        client.rollout("support", None).await.unwrap().rollout.phase,
        Phase::Ramping { .. }
    ));
    // The rollout ends, and the log takes the entries of others again.
    let (exit, text) = botops(&folder, Some(&running), &["rollback", "--reason", "x"]).await;
    assert_eq!(exit, 0, "{text}");
    let rollback = ["rollback", "--reason", "x", "--environment", "test"];
    let (exit, text) = botops(&folder, None, &rollback).await;
    assert_eq!((exit, text.contains("from support@2 back to support@1")), (0, true), "{text}");
    running.shutdown().await;
}
