//! The admin API: authorization, rollouts, refusals, and restarts.

use super::{
    TOKEN, admin, converse, corpus, decisions, deployments, http, models, phase, plan, post,
    post_seeing, registry, serve, serve_file, settings, wait_for, wait_for_challenger,
};
use crate::support::{Folder, terminal_output};
use botops_findings::{Fault, FaultKind};
use botops_models::IntentModel;
use botops_registry::CHAMPION;
use botops_rollout::{Phase, Rollout};
use botops_serving::{AdminClient, RequestLog, Running, ServerSettings, Source, start};
use botops_workspace::Secret;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::{sync::Mutex, time::Instant};

fn call(running: &Running, method: Method, path: &str) -> RequestBuilder {
    let url = format!("http://{}/admin/v1{path}", running.admin_address().unwrap());
    http().request(method, url).bearer_auth(TOKEN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_admin_request_needs_the_token() {
    let [champion, ..] = models();
    let (registry, _) = registry(&[&champion]).await;
    let running = serve(&registry).await;
    let url = format!("http://{}/admin/v1/models", running.admin_address().unwrap());
    for request in [
        http().get(&url),
        http().get(&url).bearer_auth("wrong"),
        http().get(&url).bearer_auth(&TOKEN[..5]),
        http().get(&url).basic_auth("a", Some(TOKEN)),
        http().get(format!("{url}/nothing/at/all")),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-6033");
    }
    // The public listener has no admin API, with or without a token.
    let url = format!("http://{}/admin/v1/models", running.address());
    assert_eq!(http().get(url).bearer_auth(TOKEN).send().await.unwrap().status(), 404);

    let address = format!("http://{}", running.admin_address().unwrap());
    let client = AdminClient::new(&address, Some(&Secret::new("wrong-token"))).unwrap();
    let fault = client.rollout("support", None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6033", FaultKind::Policy));
    assert!(!format!("{client:?} {fault:?} {fault}").contains("wrong-token"));
    let fault = AdminClient::new(&address, None).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6030", FaultKind::Usage));
    assert_eq!(AdminClient::new("not a url", None).unwrap_err().code(), "BOT-6030");
    running.shutdown().await;

    let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
    let running = start(settings(false), source).await.unwrap();
    let url = format!("http://{}/admin/v1/models", running.admin_address().unwrap());
    for bearer in [None, Some(TOKEN), Some("")] {
        let mut request = http().get(&url);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        assert_eq!(request.send().await.unwrap().status(), 401, "nobody can log in: {bearer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_only_with_an_admin_token_that_is_hard_to_guess() {
    let [champion, ..] = models();
    let (registry, _) = registry(&[&champion]).await;
    let start_with = async |token: &str| {
        let source = Source::Registry {
            registry: registry.clone(),
            model: "support".to_owned(),
            pinned: None,
        };
        let settings = ServerSettings { admin_token: Some(Secret::new(token)), ..settings(true) };
        start(settings, source).await
    };
    for weak in ["x", "sesame-open", &TOKEN[..31], "ümlaut-ümlaut-ümlaut-ümlaut-ümlaut"] {
        let fault = start_with(weak).await.err().unwrap();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1031", FaultKind::Usage), "{weak}");
        assert!(!fault.to_string().contains(weak) || weak == "x", "{fault}");
    }
    // A file or a command substitution leaves a line break at the end, which locks nobody out.
    let running = start_with(&format!("{TOKEN}\n")).await.unwrap();
    let answer = call(&running, Method::GET, "/models").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let url = format!("http://{}/admin/v1/models", running.admin_address().unwrap());
    for scheme in ["bearer", "BEARER", "Bearer"] {
        let request = http().get(&url).header("authorization", format!("{scheme} {TOKEN}"));
        assert_eq!(request.send().await.unwrap().status(), 200, "{scheme}");
    }
    running.shutdown().await;
}

/// The request log of one test.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_logins_are_warnings_with_the_peer_and_answered_more_and_more_slowly() {
    let [champion, ..] = models();
    let (registry, _) = registry(&[&champion]).await;
    let source = Source::Registry { registry, model: "support".to_owned(), pinned: None };
    let request_log = RequestLog::Warnings(|| Box::new(Log));
    let running = start(ServerSettings { request_log, ..settings(true) }, source).await.unwrap();
    let url = format!("http://{}/admin/v1/models", running.admin_address().unwrap());
    let mut durations = Vec::new();
    for token in ["guess-1", "guess-2", "guess-3"] {
        let begun = Instant::now();
        let answer = http().get(&url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        durations.push(begun.elapsed());
    }
    for (duration, least) in durations.iter().zip([100, 200, 400]) {
        assert!(duration.as_millis() >= least, "{durations:?}");
    }
    // The right token is not delayed: an operator who ends a rollout is not locked out.
    let begun = Instant::now();
    assert_eq!(call(&running, Method::GET, "/models").send().await.unwrap().status(), 200);
    assert!(begun.elapsed().as_millis() < 400, "{:?}", begun.elapsed());
    running.shutdown().await;
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let warnings: Vec<&str> = lines
        .iter()
        .filter(|line| line["event"] == "login" && line["level"] == "warn")
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(warnings.len(), 3, "{log}");
    assert_eq!(lines.len(), 3, "without a request log, only warnings are written: {log}");
    assert!(warnings[0].starts_with("failed login from 127.0.0.1:"), "{log}");
    assert!(warnings[2].ends_with("the bearer token is wrong, 3 in a row"), "{log}");
    assert!(!log.contains("guess"), "a wrong token may be nearly right: {log}");
}

#[test]
fn the_admin_token_goes_over_plain_http_only_to_this_machine_unless_insecure() {
    let token = Secret::new(TOKEN);
    for protected in ["http://127.0.0.1:8081", "http://localhost:8081", "https://bots.example"] {
        AdminClient::new(protected, Some(&token)).unwrap();
    }
    let fault = AdminClient::new("http://bots.example:8081", Some(&token)).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-1032", FaultKind::Usage));

    let terminal = Folder::empty();
    terminal.write(
        "botops.yaml",
        "version: 1\nmodel: support\nserver: { admin_url: \"http://admin.invalid:9\" }\n",
    );
    for verb in [
        &["rollout", "status"][..],
        &["rollout", "abort", "--reason", "a test"],
        &["rollback", "--reason", "a test"],
    ] {
        let output = |more: &[&str]| {
            let mut command = terminal.botops(verb.iter().chain(more).copied());
            command.env("BOTOPS_ADMIN_TOKEN", TOKEN);
            terminal_output(&mut command)
        };
        let refused = output(&[]);
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-1032"), "{refused}");
        let sent = output(&["--insecure"]);
        assert!(sent.starts_with("exit: 7\n") && sent.contains("BOT-6031"), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_server_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = AdminClient::new(&url, Some(&Secret::new(TOKEN))).unwrap();
    let fault = client.rollout("support", None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6031", FaultKind::Unreachable));
    assert!(fault.message().contains(&url), "{fault}");
    let fault = botops_serving::replay(
        &super::target(url),
        &[botops_serving::Message {
            at: chrono::DateTime::UNIX_EPOCH,
            conversation_id: "c".to_owned(),
            text: "a".to_owned(),
            truth: None,
        }],
        &|_, _| {},
    )
    .await
    .unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unreachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_splits_by_weight_keeps_conversations_and_is_promoted() {
    let [champion, challenger, _] = models();
    let (registry, versions) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    assert_eq!(client.rollout("support", None).await.unwrap_err().code(), "BOT-6034");
    assert_eq!(client.rollout("other", Some("x")).await.unwrap_err().kind(), FaultKind::Usage);

    let id =
        client.start("support", "support@2", &plan(30.0, 100_000), "ada", "try").await.unwrap();
    let again =
        client.start("support", "support@2", &plan(30.0, 100_000), "bob", "too").await.unwrap();
    assert_eq!(again, id, "the same version joins");
    wait_for_challenger(&running).await;
    let first = converse(&running, 0, 600).await;
    let digests = [&champion, &challenger].map(|m| botops_digest::Digest::of(&m.to_bytes()));
    for (_, arm, digest) in &first {
        let expected = if arm == "canary" { digests[1] } else { digests[0] };
        assert_eq!(*digest, expected.to_string());
    }
    let on_canary = first.iter().filter(|(_, arm, _)| arm == "canary").count();
    // 600 draws at 0.3: 180 expected, standard deviation 11.
    assert!((130..=230).contains(&on_canary), "{on_canary} of 600 on the canary");
    assert_eq!(converse(&running, 0, 600).await, first, "conversations stick");
    let status = wait_for(&client, |status| status.decision.units.iter().sum::<u64>() == 600).await;
    assert_eq!(status.decision.units, [600 - on_canary as u64, on_canary as u64]);
    assert!(matches!(status.rollout.phase, Phase::Ramping { step: 0, .. }));
    assert!((status.weight_percent - 30.0).abs() < 1e-9);

    // Requests without a conversation get a random arm, report it, and are not counted.
    let mut arms = std::collections::BTreeMap::new();
    for _ in 0..100 {
        let body = json!({"text": "where is my parcel"});
        let answer = post_seeing(&running, "/v1/predict", &body).await;
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["sticky"], false);
        *arms.entry(body["arm"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(arms.len(), 2, "{arms:?}");

    // One verdict on a message counts, and only with the token of the answer.
    let (text, truth) = &corpus(1, 99)[0];
    let body = json!({"text": text, "conversation_id": "conversation-0"});
    let answer: Value = post(&running, "/v1/predict", &body).await.json().await.unwrap();
    let outcome = async |intent: &str| {
        let body = json!({"token": answer["feedback_token"], "intent": intent});
        let body: Value = post(&running, "/v1/feedback", &body).await.json().await.unwrap();
        body["outcome"].as_str().unwrap().to_owned()
    };
    let by_id = json!({"request_id": answer["request_id"], "intent": "oos"});
    let by_id: Value = post(&running, "/v1/feedback", &by_id).await.json().await.unwrap();
    assert_eq!(by_id["outcome"], "noted");
    assert_eq!(outcome(truth).await, "counted");
    assert_eq!(outcome("oos").await, "noted");

    // A person may promote. The registry and the answers then agree.
    let status = client.command("support", "promote", "ada", "looks good").await.unwrap();
    assert_eq!(status.rollout.phase, Phase::Promoted);
    assert_eq!(status.decision.verdict, "promoted");
    let now = registry.alias("support", CHAMPION).await.unwrap().unwrap();
    assert_eq!(now.manifest_digest, versions[1].manifest_digest);
    let after = converse(&running, 0, 20).await;
    assert!(
        after.iter().all(|(_, arm, digest)| arm == "primary" && *digest == digests[1].to_string())
    );
    let fault = client.command("support", "pause", "ada", "late").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6002", FaultKind::Conflict));
    // A client that repeats its request after a lost response gets the result.
    let begin = json!({"version": "support@2", "actor": "ada", "reason": "try"});
    let answer = call(&running, Method::POST, "/models/support/rollouts").json(&begin);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (&body["rollout"]["id"], &body["decision"]["verdict"]),
        (&json!(id), &json!("promoted"))
    );

    // The model can be rolled back without an active rollout.
    let restored = client.roll_back("support", None, "ada", "it was not").await.unwrap();
    assert_eq!((restored.from.as_str(), restored.to.as_str()), ("support@2", "support@1"));
    let now = registry.alias("support", CHAMPION).await.unwrap().unwrap();
    assert_eq!(now.manifest_digest, versions[0].manifest_digest);
    assert!(converse(&running, 0, 5).await.iter().all(|(_, _, d)| *d == digests[0].to_string()));
    let fault = client.start("support", "support@1", &plan(30.0, 1), "ada", "").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6037", FaultKind::Conflict));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_runs_to_its_promotion_by_itself() {
    let [champion, challenger, _] = models();
    let (registry, versions) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    client.start("support", "support@2", &plan(50.0, 10), "ada", "try").await.unwrap();
    wait_for_challenger(&running).await;
    converse(&running, 0, 60).await;
    let status = wait_for(&client, |status| status.rollout.is_over()).await;
    assert_eq!(status.decision.verdict, "promoted", "{}", status.decision.reason);
    let phases: Vec<&str> =
        status.decision.transitions.iter().map(|line| line.phase.as_str()).collect();
    assert_eq!(phases, ["pending", "loading", "ramping", "promoting", "promoted"]);
    let now = registry.alias("support", CHAMPION).await.unwrap().unwrap();
    assert_eq!(now.manifest_digest, versions[1].manifest_digest);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_honor_revisions_and_dry_runs() {
    let [champion, challenger, third] = models();
    let (registry, _) = registry(&[&champion, &challenger, &third]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    let begin = json!({"version": "support@2", "plan": {"steps": [{"weight": 10, "deadline": "1h"}]},
        "actor": "ada", "reason": "try"});
    let path = "/models/support/rollouts";
    let dry = call(&running, Method::POST, &format!("{path}?dry_run=true")).json(&begin);
    let would: Value = dry.send().await.unwrap().json().await.unwrap();
    assert_eq!(would["next"]["phase"]["phase"], "loading");
    assert_eq!(client.rollout("support", None).await.unwrap_err().code(), "BOT-6034");

    let answer = call(&running, Method::POST, path).json(&begin).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let revision = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert!(location.starts_with("/admin/v1/rollouts/"));
    let other = client.start("support", "support@3", &plan(10.0, 1), "ada", "").await.unwrap_err();
    assert_eq!((other.code(), other.kind()), ("BOT-6032", FaultKind::Conflict));

    let pause = |if_match: &str, query: &str| {
        call(&running, Method::POST, &format!("/rollouts/latest/pause{query}"))
            .header("if-match", if_match.to_owned())
    };
    let answer = pause("\"9999\"", "").send().await.unwrap();
    assert_eq!(answer.status(), 412);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["exit"]), (&json!("BOT-6022"), &json!(5)));
    let would: Value =
        pause(&revision, "?dry_run=true").send().await.unwrap().json().await.unwrap();
    assert_eq!(would["next"]["phase"]["phase"], "paused");
    let now = client.rollout("support", None).await.unwrap();
    assert!(matches!(now.rollout.phase, Phase::Ramping { .. }), "a dry run changes nothing");
    let answer = pause(&revision, "").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let now = client.command("support", "resume", "ada", "go on").await.unwrap();
    assert!(matches!(now.rollout.phase, Phase::Ramping { .. }));
    let now = client.command("support", "rollback", "ada", "enough").await.unwrap();
    assert_eq!(now.decision.verdict, "rolled_back");
    assert!(now.decision.reason.contains("enough"), "{}", now.decision.reason);
    let status: Value =
        call(&running, Method::GET, "/models/support").send().await.unwrap().json().await.unwrap();
    assert_eq!(status["primary"]["model"], "support@1");
    assert_eq!(status["canary"], Value::Null);
    assert_eq!(call(&running, Method::GET, "/models/other").send().await.unwrap().status(), 404);
    let tested: Value =
        call(&running, Method::GET, "/selftest").send().await.unwrap().json().await.unwrap();
    assert_eq!((&tested[0]["passed"], &tested[0]["n"]), (&json!(true), &json!(8)));
    let decision: Value = call(&running, Method::GET, "/rollouts/latest/decision")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(decision["schema"], "botops.decision/1");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_plan_or_a_server_of_one_file_starts_no_rollout() {
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let fault = admin(&running)
        .start("support", "support@2", &plan(130.0, 1), "ada", "")
        .await
        .unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6001", FaultKind::Usage));
    let fault =
        admin(&running).start("support", "support@9", &plan(50.0, 1), "ada", "").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5012", FaultKind::Usage));
    running.shutdown().await;

    let copy = IntentModel::from_bytes(&champion.to_bytes()).unwrap();
    let (running, _) = serve_file(copy).await;
    let client = admin(&running);
    let fault =
        client.start("support.botops", "support@2", &plan(50.0, 1), "ada", "").await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6023", FaultKind::Conflict));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_and_a_reason_have_bounded_lengths_in_the_log() {
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    let (actor, reason) = ("a".repeat(60_000), "b".repeat(10_000));
    for (actor, reason) in [(actor.as_str(), "try"), ("ada", reason.as_str()), ("a\nb", "try")] {
        let fault = client.start("support", "support@2", &plan(50.0, 1), actor, reason).await;
        assert_eq!(fault.unwrap_err().code(), "BOT-1034");
        let fault = client.roll_back("support", None, actor, reason).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1034", FaultKind::Usage));
    }
    assert_eq!(client.rollout("support", None).await.unwrap_err().code(), "BOT-6034");
    client.start("support", "support@2", &plan(50.0, 100), "ada", "try").await.unwrap();
    let fault = client.command("support", "pause", &actor, "").await.unwrap_err();
    assert_eq!(fault.code(), "BOT-1034");
    running.shutdown().await;
    let log = deployments(&registry).await;
    let longest = serde_json::to_string(&log.iter().map(|e| &e.payload).collect::<Vec<_>>());
    assert!(!longest.unwrap().contains("aaaaaaaaaa"), "it is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_asked_before_a_run_whether_it_takes_a_rollout() {
    let [champion, challenger, _] = models();
    let (registry, versions) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    let checked = async |model, challenger| {
        client.check(model, challenger).await.map_err(|fault: Fault| fault.code())
    };
    assert_eq!(checked("support", None).await, Ok(()));
    assert_eq!(checked("other", None).await, Err("BOT-6036"));
    client.start("support", "support@2", &plan(10.0, 10_000), "ada", "try").await.unwrap();
    // A version that is not registered yet cannot be the one under way.
    assert_eq!(checked("support", None).await, Err("BOT-6032"));
    assert_eq!(checked("support", Some(versions[1].manifest_digest)).await, Ok(()));
    client.command("support", "rollback", "ada", "enough").await.unwrap();
    wait_for(&client, |status| status.rollout.is_over()).await;
    assert_eq!(checked("support", None).await, Ok(()));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_resumes_the_rollout_with_its_split_and_its_counts() {
    let [champion, challenger, _] = models();
    let (registry, versions) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    let id = client.start("support", "support@2", &plan(40.0, 10_000), "ada", "try").await.unwrap();
    wait_for_challenger(&running).await;
    let before = converse(&running, 0, 80).await;
    let counted = wait_for(&client, |s| s.decision.units.iter().sum::<u64>() == 80).await;
    running.shutdown().await;

    let running = serve(&registry).await;
    let client = admin(&running);
    let status = client.rollout("support", None).await.unwrap();
    assert_eq!(status.rollout.id, id);
    assert_eq!(status.decision.units, counted.decision.units);
    assert_eq!(status.decision.transitions, counted.decision.transitions);
    assert!(matches!(status.rollout.phase, Phase::Ramping { step: 0, .. }));
    assert_eq!(converse(&running, 0, 80).await, before, "the split is the same");
    let end = client.command("support", "rollback", "ada", "enough").await.unwrap();
    assert_eq!(end.decision.verdict, "rolled_back");
    wait_for(&client, |status| status.rollout.is_over()).await;
    running.shutdown().await;

    let log = decisions(&registry).await;
    let phases: Vec<&str> = log.iter().map(phase).collect();
    assert_eq!(phases, ["pending", "loading", "ramping", "rolling_back", "rolled_back"]);
    let rollouts: Vec<&Rollout> = log.iter().filter_map(|it| it.payload.rollout()).collect();
    assert!(rollouts.iter().all(|it| it.primary() == versions[0].manifest_digest));
    assert!(rollouts.is_sorted_by_key(|it| it.revision));

    // A finished rollout is remembered, and not resumed.
    let running = serve(&registry).await;
    let status = admin(&running).rollout("support", None).await.unwrap();
    assert_eq!((status.rollout.id, status.decision.verdict.as_str()), (id, "rolled_back"));
    assert!(converse(&running, 0, 30).await.iter().all(|(_, arm, _)| arm == "primary"));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_moves_the_champion_beside_a_rollout_whose_server_stopped() {
    let [champion, challenger, third] = models();
    let (registry, versions) = registry(&[&champion, &challenger, &third]).await;
    let running = serve(&registry).await;
    admin(&running).start("support", "support@2", &plan(40.0, 10_000), "ada", "try").await.unwrap();
    running.shutdown().await;
    let proof = registry.proof(&versions[2]).await.unwrap();
    let expected = Some(versions[0].manifest_digest);
    let promoted = registry.promote(&versions[2], expected, &proof, &super::act()).await;
    let fault = promoted.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6042", FaultKind::Conflict));

    // The next server goes on with it, and a rollback of the model ends it.
    let running = serve(&registry).await;
    wait_for_challenger(&running).await;
    let restored = admin(&running).roll_back("support", None, "ada", "enough").await.unwrap();
    assert_eq!((restored.from.as_str(), restored.to.as_str()), ("support@1", "support@1"));
    assert!(restored.ended.is_some());
    let digest = botops_digest::Digest::of(&champion.to_bytes()).to_string();
    assert!(converse(&running, 0, 20).await.iter().all(|(_, _, served)| *served == digest));
    running.shutdown().await;
    registry.promote(&versions[2], expected, &proof, &super::act()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_champion_moved_by_someone_else_is_served_within_seconds() {
    let [champion, challenger, _] = models();
    let (registry, versions) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let proof = registry.proof(&versions[1]).await.unwrap();
    let expected = Some(versions[0].manifest_digest);
    registry.promote(&versions[1], expected, &proof, &super::act()).await.unwrap();
    let wanted = botops_digest::Digest::of(&challenger.to_bytes()).to_string();
    let begun = std::time::Instant::now();
    while converse(&running, 0, 1).await[0].2 != wanted {
        assert!(begun.elapsed().as_secs() < 10, "it still serves the old champion");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_listener_names_its_own_paths_and_takes_objects_only() {
    let [champion, ..] = models();
    let (registry, _) = registry(&[&champion]).await;
    let running = serve(&registry).await;
    let answer = call(&running, Method::GET, "/modles").send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "BOT-6016");
    let hints = problem["hints"].to_string();
    assert!(hints.contains("/admin/v1/models") && !hints.contains("/v1/predict"), "{problem}");
    let answer = call(&running, Method::POST, "/rollouts/latest/pawse").json(&json!({})).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 404);
    let problem: Value = answer.json().await.unwrap();
    assert!(problem["hints"].to_string().contains("`pause`"), "{problem}");

    for body in [
        json!(["support@1"]),
        json!({"version": "support@1", "plan": [null, [[5.0, "1s", 1, "1h"]]]}),
        json!({"version": "support@1", "plan": {"steps": [[5.0, "1s", 1, "1h"]]}}),
    ] {
        let answer = call(&running, Method::POST, "/models/support/rollouts").json(&body).send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 422, "{body}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-6013", "{body}");
    }
    let body = json!(["me", "because", "1"]);
    let answer = call(&running, Method::POST, "/models/support/rollback").json(&body).send();
    assert_eq!(answer.await.unwrap().status(), 422);
    running.shutdown().await;
}
