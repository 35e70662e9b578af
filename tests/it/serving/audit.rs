//! The audit trail: each act of a rollout with its own actor, reason and time, in both logs and in `rollout status`.

use super::{
    TOKEN, admin, converse, decisions, deployments, models, phase, plan, registry, serve, wait_for,
    wait_for_challenger,
};
use crate::support::Folder;
use botops_rollout::Phase;
use botops_serving::Running;

/// Runs `botops rollout` against `running` and returns what it prints.
async fn rollout(running: &Running, arguments: &[&str]) -> String {
    let folder = Folder::empty();
    folder.write("botops.yaml", "version: 1\nmodel: support\n");
    let mut command = folder.botops(["rollout"].into_iter().chain(arguments.iter().copied()));
    command
        .env("BOTOPS_ADMIN_URL", format!("http://{}", running.admin_address().unwrap()))
        .env("BOTOPS_ADMIN_TOKEN", TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_logged_under_the_person_who_gave_it() {
    let [champion, challenger, _] = models();
    let (registry, versions) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    client.start("support", "support@2", &plan(50.0, 100_000), "ci", "weekly").await.unwrap();
    let paused =
        rollout(&running, &["pause", "--actor", "bob", "--reason", "a customer called"]).await;
    assert!(paused.contains("a customer called (pause requested)"), "{paused}");
    rollout(&running, &["resume", "--actor", "eve", "--reason", "all is well"]).await;
    let dry =
        rollout(&running, &["promote", "--dry-run", "--actor", "boss", "--reason", "maybe"]).await;
    assert!(dry.contains("maybe (promotion requested"), "{dry}");
    rollout(&running, &["promote", "--actor", "boss", "--reason", "approve now"]).await;

    let log = decisions(&registry).await;
    let acts: Vec<(&str, &str)> =
        log.iter().map(|entry| (entry.payload.actor.as_str(), phase(entry))).collect();
    assert_eq!(
        acts,
        [
            ("admin on behalf of ci", "pending"),
            ("botops", "loading"),
            ("botops", "ramping"),
            ("admin on behalf of bob", "paused"),
            ("admin on behalf of eve", "ramping"),
            ("admin on behalf of boss", "promoting"),
            ("botops", "promoted"),
        ]
    );
    let reason = |wanted: &str| {
        let entry = log.iter().rfind(|entry| phase(entry) == wanted).unwrap();
        entry.payload.reason.clone()
    };
    assert_eq!(reason("pending"), "weekly");
    assert_eq!(reason("paused"), "a customer called (pause requested)");
    assert_eq!(reason("ramping"), "all is well (resume requested)");
    assert!(reason("promoting").starts_with("approve now (promotion requested at 50 %"));
    // The move of the champion is the step itself.
    let last = deployments(&registry).await.pop().unwrap().payload;
    assert!(last.champion().is_some_and(|moved| moved.to() == versions[1].manifest_digest));
    assert_eq!(last.actor, "botops", "{last:?}");

    let status = rollout(&running, &["status"]).await;
    for line in ["  champion    support@1 (", "  challenger  support@2 (", " UTC, by botops\n"] {
        assert!(status.contains(line), "no `{line}` in:\n{status}");
    }
    assert!(status.contains("promoted, 100 % on the challenger"), "{status}");
    assert!(status.contains(" UTC, by admin on behalf of ci: weekly\n"), "{status}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_of_the_judge_is_not_logged_under_the_last_person_who_acted() {
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = admin(&running);
    client.start("support", "support@2", &plan(50.0, 10), "ci", "weekly").await.unwrap();
    client.command("support", "pause", "bob", "wait").await.unwrap();
    client.command("support", "resume", "bob", "go on").await.unwrap();
    wait_for_challenger(&running).await;
    converse(&running, 0, 60).await;
    let status = wait_for(&client, |status| status.rollout.is_over()).await;
    assert_eq!(status.rollout.phase, Phase::Promoted, "{}", status.decision.reason);
    let actor = |phase: &str| {
        let transitions = &status.decision.transitions;
        transitions.iter().rfind(|line| line.phase == phase).unwrap().actor.clone().unwrap()
    };
    assert_eq!(
        (actor("ramping"), actor("promoting")),
        ("admin on behalf of bob".to_owned(), "botops".to_owned())
    );
    // The one who requested the rollout is named in it.
    let last = deployments(&registry).await.pop().unwrap().payload;
    assert!(last.champion().is_some());
    assert_eq!(last.rollout().unwrap().actor, "admin on behalf of ci");
    let versions = status.rollout.versions.unwrap();
    assert_eq!(
        (versions.champion.as_str(), versions.challenger.as_str()),
        ("support@1", "support@2")
    );
    running.shutdown().await;
}
