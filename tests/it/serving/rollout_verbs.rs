//! The verbs that look at rollouts: from the deployment log that a real server wrote, and while it goes on.

use super::{TOKEN, act, admin, converse, corpus, models, plan, register, settings, wait_for};
use crate::support::Folder;
use botops_digest::Digest;
use botops_models::IntentModel;
use botops_registry::{Registry, deployment_log};
use botops_rollout::{Phase, RolloutSpec};
use botops_serving::{
    Message, Replication, Running, ServerSettings, Side, Source, StartOptions, rehearse, start,
};
use botops_store::Store;
use botops_workspace::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// Returns a workspace whose registry has the given models as versions; the first is the champion of `test`.
async fn workspace(models: &[&IntentModel]) -> (Folder, Registry) {
    let folder = Folder::empty();
    folder.write("botops.yaml", "version: 1\nmodel: support\nenvironment: test\n");
    let place = folder.path().join("registry");
    let store = Store::open(place.to_str().unwrap(), &BTreeMap::new()).unwrap();
    let registry = Registry::open(store).in_environment("test").unwrap();
    for (index, model) in models.iter().enumerate() {
        let (version, proof) = register(&registry, model).await;
        if index == 0 {
            registry.promote(&version, None, &proof, &act()).await.unwrap();
        }
    }
    (folder, registry)
}

/// Serves the champion; waits for other servers take a twentieth of their time.
async fn serve(registry: &Registry) -> Running {
    let identity_key = Some(Secret::new("the identity key of every server in these tests"));
    let replication = Replication { identity_key, times: 20, ..Replication::default() };
    let settings = ServerSettings { replication, ..settings(true) };
    let (registry, model) = (registry.clone(), "support".to_owned());
    start(settings, Source::Registry { registry, model, pinned: None }).await.unwrap()
}

/// Runs the program in `folder`, with the admin API of `server` or without one.
async fn botops(folder: &Folder, server: Option<&Running>, line: &str) -> (i32, String) {
    let mut command = folder.botops(line.split_whitespace());
    if let Some(server) = server {
        let url = format!("http://{}", server.admin_address().unwrap());
        command.env("BOTOPS_ADMIN_URL", url).env("BOTOPS_ADMIN_TOKEN", TOKEN);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    said(output)
}

fn said(output: Output) -> (i32, String) {
    let Output { status, stdout, stderr } = output;
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code().unwrap(), text)
}

async fn json_of(folder: &Folder, line: &str) -> (i32, Value) {
    let (exit, text) = botops(folder, None, &format!("{line} --format json")).await;
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    (exit, document["data"].clone())
}

/// Sends conversations until the rollout is over.
async fn until_over(running: &Running) -> String {
    let client = admin(running);
    let began = Instant::now();
    for round in 0.. {
        let status = client.rollout("support", None).await.unwrap();
        if status.rollout.is_over() {
            return status.rollout.id;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "it does not end: {status:?}");
        converse(running, round * 40, 40).await;
    }
    unreachable!()
}

/// Writes the log to a file of the folder, one document after the other, each changed by `change`.
fn log_file(folder: &Folder, name: &str, change: impl Fn(&mut Value)) {
    let place = folder.path().join("registry/deployments/test/log");
    let mut paths: Vec<_> = fs::read_dir(place).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    let mut text = String::new();
    for path in paths {
        let mut entry: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        change(&mut entry);
        text += &entry.to_string();
    }
    folder.write(name, &text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_real_server_is_shown_and_decided_again_without_it() {
    let [first, second, _] = models();
    let (folder, registry) = workspace(&[&first, &second]).await;
    let (exit, none) = json_of(&folder, "rollout list").await;
    assert_eq!((exit, &none["total"]), (0, &Value::from(0)));
    let (exit, text) = botops(&folder, None, "rollout status").await;
    assert_eq!((exit, text.contains("BOT-6034")), (2, true), "{text}");

    let running = serve(&registry).await;
    let client = admin(&running);
    client.start("support", "support@2", &plan(50.0, 40), "ada", "weekly").await.unwrap();
    let promoted = until_over(&running).await;
    client.start("support", "support@1", &plan(50.0, 9_999), "bob", "back").await.unwrap();
    wait_for(&client, |status| matches!(status.rollout.phase, Phase::Ramping { .. })).await;
    let (exit, open) = json_of(&folder, "rollout status").await;
    assert_eq!((exit, &open["rollout"]["phase"]["phase"]), (0, &Value::from("ramping")), "{open}");
    assert_eq!(open["missing"][0], "9,999 more conversations");
    assert!(open["lease"]["holder"].is_string() && open["from_log"] == true, "{open}");
    client.command("support", "rollback", "eve", "enough").await.unwrap();
    wait_for(&client, |status| status.rollout.is_over()).await;
    running.shutdown().await;

    let (_, list) = json_of(&folder, "rollout list").await;
    let [newest, oldest] = list["rollouts"].as_array().unwrap().as_slice() else {
        panic!("{list}")
    };
    assert_eq!(
        (&newest["verdict"], &oldest["verdict"]),
        (&"rolled_back".into(), &"promoted".into())
    );
    assert_eq!(
        (&oldest["id"], &oldest["challenger"]),
        (&promoted.as_str().into(), &"support@2".into())
    );
    let (_, one) = json_of(&folder, "rollout list --limit 1").await;
    assert_eq!((one["rollouts"].as_array().unwrap().len(), &one["total"]), (1, &Value::from(2)));
    assert_eq!(botops(&folder, None, "rollout status").await.0, 3, "the exit code of the verdict");
    let line = format!("rollout status --id {promoted}");
    let (exit, text) = botops(&folder, None, &line).await;
    assert_eq!((exit, text.contains("promoted")), (0, true), "{text}");

    let (_, history) = json_of(&folder, &format!("rollout history --id {promoted}")).await;
    let decisions = history["decisions"].as_array().unwrap();
    assert_eq!(decisions.first().unwrap()["phase"], "pending", "{history}");
    assert_eq!(decisions.last().unwrap()["phase"], "promoted", "{history}");
    assert!(
        decisions.iter().all(|it| it["entry"].is_u64() && it["actor"].is_string()),
        "{history}"
    );

    for id in [promoted.as_str(), newest["id"].as_str().unwrap()] {
        let (exit, again) = json_of(&folder, &format!("rollout replay --id {id}")).await;
        assert_eq!((exit, &again["difference"]), (0, &Value::Null), "{again}");
        assert!(again["decisions"].as_u64().unwrap() >= 3, "{again}");
    }
    replayed_from_a_file(&folder, &promoted).await;
}

/// Replays a log that was written to a file: as it is, changed, and damaged.
async fn replayed_from_a_file(folder: &Folder, promoted: &str) {
    log_file(folder, "same.log", |_| ());
    let line = format!("rollout replay --id {promoted} --log");
    let (exit, text) = botops(folder, None, &format!("{line} same.log")).await;
    assert_eq!((exit, text.contains("all the same")), (0, true), "{text}");
    let twice = botops(folder, None, &format!("{line} same.log")).await;
    assert_eq!(twice, (exit, text), "the same log gives the same answer");
    // A revision is left out at the promotion: no tick leads there.
    let is_promotion = |entry: &Value| {
        let rollout = entry.pointer("/payload/change/rollout/rollout").unwrap_or(&Value::Null);
        rollout["id"] == promoted && rollout["phase"]["phase"] == "promoting"
    };
    log_file(folder, "changed.log", |entry| {
        if is_promotion(entry) {
            let revision = entry.pointer_mut("/payload/change/rollout/rollout/revision").unwrap();
            *revision = Value::from(revision.as_u64().unwrap() + 1);
        }
    });
    let log = fs::read_to_string(folder.path().join("changed.log")).unwrap();
    let mut entries = serde_json::Deserializer::from_str(&log).into_iter::<Value>();
    let changed_entry = entries.find(|entry| entry.as_ref().is_ok_and(is_promotion));
    let changed_entry = changed_entry.unwrap_or_else(|| panic!("{log}")).unwrap()["seq"].clone();
    let (exit, answer) = json_of(folder, &format!("{line} changed.log")).await;
    assert_eq!((exit, &answer["difference"]["entry"]), (3, &changed_entry), "{answer}");
    assert_eq!(answer["difference"]["recorded"]["phase"], "promoting", "{answer}");
    let text = fs::read_to_string(folder.path().join("same.log")).unwrap();
    folder.write("cut.log", &text[..text.len() - 40]);
    folder.write("empty.log", "");
    for (name, exit, code) in
        [("cut.log", 3, "BOT-6082"), ("empty.log", 3, "BOT-6082"), ("none.log", 2, "BOT-1001")]
    {
        let (got, text) = botops(folder, None, &format!("{line} {name}")).await;
        assert_eq!((got, text.contains(code)), (exit, true), "{text}");
    }
    let (exit, text) = botops(folder, None, "rollout replay --id nothing").await;
    assert_eq!((exit, text.contains("BOT-6034")), (2, true), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_is_watched_through_the_server_or_the_log_and_goes_on_without_the_watcher() {
    let [first, second, _] = models();
    let (folder, registry) = workspace(&[&first, &second]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    let id = client.start("support", "support@2", &plan(50.0, 60), "ada", "weekly").await.unwrap();
    let (exit, text) = botops(&folder, None, "rollout watch --timeout 700ms").await;
    assert_eq!((exit, text.contains("BOT-6040")), (4, true), "{text}");

    let mut command = folder.botops(["rollout", "watch"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let interrupted = command.spawn().unwrap();
    let mut other = folder.botops(["rollout", "watch"]);
    let url = format!("http://{}", running.admin_address().unwrap());
    other.env("BOTOPS_ADMIN_URL", url).env("BOTOPS_ADMIN_TOKEN", TOKEN);
    other.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (by_server, by_log) = (other.spawn().unwrap(), command.spawn().unwrap());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let pid = interrupted.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let (exit, text) = said(interrupted.wait_with_output().unwrap());
    assert_eq!((exit, text.contains("BOT-6080")), (130, true), "{text}");
    assert!(!client.rollout("support", None).await.unwrap().rollout.is_over(), "it goes on");

    assert_eq!(until_over(&running).await, id);
    for child in [by_server, by_log] {
        let (exit, text) =
            tokio::task::spawn_blocking(|| said(child.wait_with_output().unwrap())).await.unwrap();
        assert_eq!(exit, 0, "{text}");
        for line in ["ramping at 50 %: ", "promoted at 100 %: "] {
            assert!(text.contains(line), "no `{line}` in {text}");
        }
    }
    let log = deployment_log(registry.store(), "test").entries().await.unwrap();
    assert!(log.len() > 3, "the rollout is in the log");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_is_left_to_the_server_joined_and_waited_for_until_its_approval() {
    let [first, second, third] = models();
    let (folder, registry) = workspace(&[&first, &second, &third]).await;
    for flag in ["--detach", "--supersede", "--wait-for approval"] {
        let (exit, text) = botops(&folder, None, &format!("promote support@2 {flag}")).await;
        assert_eq!((exit, text.contains("BOT-6083")), (2, true), "{text}");
    }
    let running = serve(&registry).await;
    let client = admin(&running);
    let server = Some(&running);
    folder.write(
        "slow.yaml",
        "interval: 50ms\nsteps: [{ weight: 50, min_units: 999999, deadline: 1h }]\n",
    );
    let line = "promote support@3 --plan slow.yaml --accept-labels --detach --format json";
    let (exit, text) = botops(&folder, server, line).await;
    assert_eq!(exit, 0, "{text}");
    let mut documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let document = documents.next().unwrap().unwrap();
    let id = document["data"]["detached"].as_str().unwrap();
    assert_eq!(document["next"][0], format!("botops rollout watch support --id {id}"));
    assert_eq!(client.rollout("support", None).await.unwrap().rollout.id, id);
    let (exit, text) = botops(&folder, server, line).await;
    assert_eq!((exit, text.contains(id)), (0, true), "it is joined: {text}");

    folder.write(
        "approved.yaml",
        "interval: 50ms\nsteps: [{ weight: 50, min_units: 20, deadline: 1h }]\napproval: { quorum: 1 }\n",
    );
    let line = "promote support@2 --plan approved.yaml --accept-labels --timeout 60s";
    let (exit, text) = botops(&folder, server, line).await;
    assert_eq!((exit, text.contains("BOT-6032")), (5, true), "{text}");
    let line = format!("{line} --supersede --wait-for approval");
    let waiting = botops(&folder, server, &line);
    let talking = async {
        for round in 0..2_000 {
            let status = client.rollout("support", None).await.unwrap();
            if matches!(status.rollout.phase, Phase::AwaitingApproval { .. }) {
                break;
            }
            converse(&running, round * 20, 20).await;
        }
    };
    let ((exit, text), ()) = tokio::join!(waiting, talking);
    assert_eq!(exit, 0, "{text}");
    for part in ["awaiting approval", "conversations on the challenger", "ramping at 50 %: "] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let (_, list) = json_of(&folder, "rollout list").await;
    assert_eq!(list["rollouts"][1]["phase"], "superseded", "{list}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_rolls_the_champion_back_on_every_server_within_seconds_and_promotes_nothing() {
    let [first, second, _] = models();
    let (folder, registry) = workspace(&[&first, &second]).await;
    let servers = [serve(&registry).await, serve(&registry).await, serve(&registry).await];
    let client = admin(&servers[0]);
    let mut line = "rollout drill --reason quarterly --format json".to_owned();
    let (exit, text) = botops(&folder, Some(&servers[0]), &format!("{line} --dry-run")).await;
    assert_eq!(exit, 0, "{text}");
    assert_eq!(client.rollout("support", None).await.unwrap_err().code(), "BOT-6034");
    for server in &servers[1..] {
        line += &format!(" --replica http://{}", server.admin_address().unwrap());
    }
    let (exit, text) = botops(&folder, Some(&servers[0]), &line).await;
    assert_eq!(exit, 0, "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    let drill = &document["data"];
    assert_eq!(
        (&drill["version"], drill["replicas"].as_array().unwrap().len()),
        (&"support@1".into(), 2)
    );
    assert!(drill["total_seconds"].as_f64().unwrap() < 3.0, "{drill}");
    let (_, list) = json_of(&folder, "rollout list").await;
    let kept = &list["rollouts"][0];
    assert_eq!(
        (&kept["reason"], &kept["verdict"]),
        (&"drill: quarterly".into(), &"rolled_back".into())
    );
    assert_eq!(
        (&kept["champion"], &kept["challenger"]),
        (&"support@1".into(), &"support@1".into())
    );
    let id = kept["id"].as_str().unwrap();
    assert_eq!(json_of(&folder, &format!("rollout replay --id {id}")).await.0, 0);
    assert!(converse(&servers[0], 0, 20).await.iter().all(|(_, arm, _)| arm == "primary"));
    only_the_champion_is_drilled(&servers[0]).await;
    for server in servers {
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_goes_into_shadow_by_a_command_and_the_run_ends_with_exit_code_0() {
    let [first, second, _] = models();
    let (folder, registry) = workspace(&[&first, &second]).await;
    let line = "rollout shadow support@2 --percent 60 --for 2h --min-units 12 --reason compare";
    let (exit, text) = botops(&folder, None, line).await;
    assert_eq!((exit, text.contains("BOT-6038")), (2, true), "it needs a server: {text}");
    let running = serve(&registry).await;
    let server = Some(&running);
    let wrong = "rollout shadow support@2 --percent 0 --reason compare";
    let (exit, text) = botops(&folder, server, wrong).await;
    assert_eq!((exit, text.contains("write a percentage above 0")), (2, true), "{text}");
    let (exit, text) = botops(&folder, server, &format!("{line} --dry-run")).await;
    assert_eq!((exit, text.contains("support@2 would go into shadow")), (0, true), "{text}");
    let (exit, text) = botops(&folder, server, "rollout status").await;
    assert_eq!((exit, text.contains("BOT-6034")), (2, true), "a dry run starts nothing: {text}");
    // A bare name is the newest version, and the command joins the run.
    for line in [line.to_owned(), line.replace("support@2", "support")] {
        let (exit, text) = botops(&folder, server, &line).await;
        let said = "support@2 is in shadow for 2h or 12 conversations; 60 % of conversations are";
        assert_eq!((exit, text.contains(said)), (0, true), "{text}");
    }
    let (exit, text) = botops(&folder, server, "promote support@2 --accept-labels --detach").await;
    assert_eq!((exit, text.contains("BOT-6089")), (5, true), "{text}");
    let client = admin(&running);
    for round in 0..200 {
        if client.rollout("support", None).await.unwrap().rollout.is_over() {
            break;
        }
        converse(&running, round * 10, 10).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for server in [None, server] {
        let (exit, text) = botops(&folder, server, "rollout status").await;
        assert_eq!(exit, 0, "{text}");
        for part in [": finished, 0 % on the challenger", "the shadow run is over: "] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
    }
    let (_, list) = json_of(&folder, "rollout list").await;
    assert_eq!(list["rollouts"][0]["phase"], "finished", "{list}");
    let (exit, text) = botops(&folder, None, "rollout replay").await;
    assert_eq!(exit, 0, "{text}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_gives_the_challenger_another_share_within_its_step() {
    let [first, second, _] = models();
    let (folder, registry) = workspace(&[&first, &second]).await;
    let running = serve(&registry).await;
    let (client, server) = (admin(&running), Some(&running));
    let line = |percent: &str| format!("rollout weight --percent {percent} --reason slow");
    let (exit, text) = botops(&folder, server, &line("5")).await;
    assert_eq!((exit, text.contains("BOT-6034")), (2, true), "there is no rollout: {text}");
    client.start("support", "support@2", &plan(20.0, 99_999), "ada", "weekly").await.unwrap();
    wait_for(&client, |status| matches!(status.rollout.phase, Phase::Ramping { .. })).await;
    for (percent, code) in [("30", "BOT-6009"), ("0", "write a percentage"), ("x", "write a")] {
        let (exit, text) = botops(&folder, server, &line(percent)).await;
        assert_eq!((exit, text.contains(code)), (2, true), "{text}");
    }
    let (exit, text) = botops(&folder, server, &format!("{} --dry-run", line("2.5"))).await;
    assert_eq!((exit, text.contains("would enter ramping at 2.5 %")), (0, true), "{text}");
    let weight = async || client.rollout("support", None).await.unwrap().weight_percent;
    assert_eq!(weight().await, 20.0, "a dry run changes nothing");
    for (given, percent) in [("2.5", 2.5), ("20%", 20.0)] {
        let (exit, text) = botops(&folder, server, &line(given)).await;
        assert_eq!((exit, weight().await), (0, percent), "{text}");
        assert!(text.contains(&format!("{percent} % on the challenger")), "{text}");
    }
    let (_, text) = botops(&folder, None, "rollout history").await;
    assert!(text.contains("slow (weight set from 20 % to 2.5 %)"), "{text}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_forecast_from_the_traffic_that_the_server_counts() {
    let [first, second, _] = models();
    let (folder, registry) = workspace(&[&first, &second]).await;
    let running = serve(&registry).await;
    let (client, server) = (admin(&running), Some(&running));
    let (exit, text) = botops(&folder, server, "rollout plan").await;
    assert_eq!((exit, text.contains("BOT-6072")), (2, true), "{text}");
    assert!(text.contains("neither this server in the last day nor a rollout"), "{text}");
    assert!(text.contains("--rate 120/h"), "{text}");
    client.start("support", "support@2", &plan(50.0, 99_999), "ada", "weekly").await.unwrap();
    wait_for(&client, |status| matches!(status.rollout.phase, Phase::Ramping { .. })).await;
    // Conversations that begin while the share changes are not judged.
    let units = async || {
        let rollout = client.rollout("support", None).await.unwrap().rollout;
        rollout.units().iter().sum::<u64>()
    };
    let (began, mut round) = (Instant::now(), 0);
    while units().await <= 50 {
        assert!(began.elapsed() < Duration::from_secs(60), "no conversation is counted");
        converse(&running, 1_000 * round, 200).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        round += 1;
    }
    let id = client.rollout("support", None).await.unwrap().rollout.id;
    let (_, text) = botops(&folder, server, "rollout plan").await;
    assert!(text.contains(&format!("(from rollout {id}, which counted until ")), "{text}");
    let url = format!("http://{}", running.admin_address().unwrap());
    running.shutdown().await;
    // Without the server, the log is asked, and the answer says so.
    let line = ["rollout", "plan", "--format", "json"];
    let mut command = folder.botops(line);
    command.env("BOTOPS_ADMIN_URL", url).env("BOTOPS_ADMIN_TOKEN", TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("cannot be reached") && notes.contains("those of the log"), "{notes}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["data"]["from_rollout"], id.as_str(), "{document}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disagreements_of_several_servers_are_shown_together_and_those_of_one_as_such() {
    let [first, _, swapped] = models();
    let (folder, registry) = workspace(&[&first, &swapped]).await;
    let servers = [serve(&registry).await, serve(&registry).await];
    let server = Some(&servers[0]);
    let (exit, text) =
        botops(&folder, server, "rollout shadow support --reason compare --for 2h").await;
    assert_eq!(exit, 0, "{text}");
    let kept = async |running: &Running| admin(running).disagreements(None).await.unwrap();
    for (index, running) in servers.iter().enumerate() {
        let began = Instant::now();
        let mut round = 0;
        while kept(running).await.found < 5 {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is mirrored");
            converse(running, 100_000 * index + round * 20, 20).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            round += 1;
        }
    }
    let [one, other] = [kept(&servers[0]).await, kept(&servers[1]).await];
    assert_ne!(one.server, other.server);
    let line = "rollout status --disagreements";
    let (exit, text) = botops(&folder, server, line).await;
    let said =
        format!("disagreements, the last {}, on one server alone: {}", one.found, one.server);
    assert_eq!((exit, text.contains(&said)), (0, true), "no `{said}` in {text}");
    assert!(text.contains("other servers of the environment keep their own"), "{text}");
    // An address that leads to the same server counts once.
    let [here, there] =
        servers.each_ref().map(|it| format!("http://{}", it.admin_address().unwrap()));
    let line = format!("{line} --replica {there} --replica {here} --format json");
    let (exit, text) = botops(&folder, server, &line).await;
    assert_eq!(exit, 0, "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    let merged = &document["data"]["disagreements"];
    assert_eq!(merged["found"], one.found + other.found, "{merged}");
    let ids: Vec<&str> = merged["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["server"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [one.server.as_str(), other.server.as_str()]);
    let times: Vec<&str> = merged["disagreements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["at"].as_str().unwrap())
        .collect();
    assert_eq!(times.len(), one.disagreements.len() + other.disagreements.len());
    assert!(times.is_sorted_by(|a, b| a >= b), "the newest first: {times:?}");
    let (exit, text) = botops(&folder, server, "rollout status --replica http://127.0.0.1:1").await;
    assert_eq!(exit, 2, "a replica is asked for its disagreements only: {text}");
}

/// A drill is of the champion, and can only be aborted.
async fn only_the_champion_is_drilled(running: &Running) {
    let client = admin(running);
    let options = StartOptions { drill: true, ..StartOptions::default() };
    let start = async |version, plan: Option<&_>| {
        client.start_with(("support", version), plan, ("ada", "x"), options).await
    };
    let fault = start("support@2", None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6084", 2));
    let fault = start("support@1", Some(&plan(50.0, 1))).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6013");
    start("support@1", None).await.unwrap();
    assert_eq!(start("support@1", None).await.unwrap_err().code(), "BOT-6032");
    for command in ["promote", "resume"] {
        let fault = client.command("support", command, "ada", "x").await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6085", 5), "{command}");
    }
    let fault = client.start("support", "support@1", &plan(50.0, 1), "ada", "x").await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6037", "the champion is promoted already, drill or not");
    client.command("support", "rollback", "ada", "x").await.unwrap();
    wait_for(&client, |status| status.rollout.is_over()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blue_green_plan_is_rehearsed_through_its_settling_window() {
    let [first, second, _] = models();
    let side = |model: &Arc<IntentModel>| {
        let digest = Digest::of(&model.to_bytes());
        Side {
            model: Arc::clone(model),
            digest,
            manifest: Digest::of(digest.as_bytes()),
            knowledge: Vec::new(),
        }
    };
    let rehearsed = async |window: &str| {
        let yaml = format!(
            "strategy: blue-green\nsteps: []\nlimits: {{ error: 5, fallback: 99 }}\n\
             settle: {{ window: {window}, min_units: 50 }}\n"
        );
        let plan: RolloutSpec = botops_spec::parse(&yaml, "plan.yaml").unwrap();
        let begin: DateTime<Utc> = "2026-03-02T06:00:00Z".parse().unwrap();
        let messages: Vec<Message> = corpus(300, 5)
            .into_iter()
            .enumerate()
            .map(|(index, (text, _))| Message {
                at: begin + TimeDelta::minutes(2 * index as i64),
                conversation_id: format!("c{index}"),
                text,
                truth: None,
            })
            .collect();
        let (first, second) = (side(&first), side(&second));
        rehearse("support", first, second, &plan, &messages, &|_, _| ()).await.unwrap()
    };
    let decision = rehearsed("6h").await;
    assert_eq!(decision.verdict, "promoted", "{}", decision.reason);
    let phases: Vec<&str> = decision.transitions.iter().map(|it| it.phase.as_str()).collect();
    assert!(phases.contains(&"settling"), "{phases:?}");
    // Ten hours of traffic do not settle a window of two days.
    let decision = rehearsed("2d").await;
    assert_eq!(decision.verdict, "insufficient", "{}", decision.reason);
    assert!(decision.reason.contains("settling"), "{}", decision.reason);
}
