//! Pods as rendered, with the program under test in them.

use super::{Helm, kept_values, name, only, pod, pod::Pod, pods, values_with};
use crate::{
    servers::{self, S3Server},
    serving::{http, models, registry_in},
    support::{copy_repository, report_skip, terminal},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    process::{Child, Command},
    time::{Duration, Instant},
};

/// The longest time of a command, and of a start.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns Helm, if pods can be run here; otherwise `test` is skipped.
fn helm(test: &str) -> Option<Helm> {
    if !pod::can_run() {
        report_skip(test, "root, with unshare and setpriv");
        return None;
    }
    Helm::find(test)
}

/// Runs a command in a pod, and returns its exit code and its output.
fn run(pod: &Pod, arguments: &[impl AsRef<str>]) -> (Option<i32>, String) {
    terminal(&mut pod.command(arguments), LIMIT)
}

/// Names the bucket of the tests instead of those in documents.
fn in_bucket(settings: &str) -> String {
    let bucket = format!("s3://{}/", servers::BUCKET);
    settings.replace("s3://bots-staging/", &bucket).replace("s3://bots/", &bucket)
}

/// Checks the settings in `documents` with `botops doctor`, in every pod.
pub(super) fn check_settings(values: &str, documents: &[Value], endpoint: &str) {
    for (owner, template) in pods(documents) {
        let pod = Pod::new(template, documents, in_bucket);
        let rendered = pod.environment().clone();
        let pod = pod.with_environment(&servers::settings(endpoint));
        // As the weekly run sends its token.
        let mut arguments = vec!["doctor", "--format", "json"];
        arguments
            .extend(pod.arguments().contains(&"--insecure".to_owned()).then_some("--insecure"));
        let (code, text) = run(&pod, &arguments);
        assert_eq!(code, Some(0), "{values}: {owner}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let severe = answer["findings"].as_array().unwrap().iter();
        let severe: Vec<_> = severe.filter(|it| it["code"] != "BOT-6031").collect();
        assert!(severe.is_empty(), "{values}: {owner}: {severe:?}");
        let settings = answer["data"]["settings"].as_array().unwrap();
        // The verbs of backups read these by themselves; no other job has them.
        let is_setting =
            |name: &&String| name.starts_with("BOTOPS_") && !name.starts_with("BOTOPS_BACKUP_");
        for variable in rendered.keys().filter(is_setting) {
            let origin = format!("${variable}");
            let is_read = settings.iter().any(|it| it["origin"] == *origin);
            assert!(is_read, "{values}: {owner}: nothing reads {variable}: {text}");
        }
    }
}

#[test]
fn the_settings_of_every_pod_are_accepted_by_the_program() {
    let Some(helm) = helm("the_settings_of_every_pod_are_accepted_by_the_program") else { return };
    let s3 = S3Server::start();
    for (values, documents) in helm.render(&kept_values()) {
        check_settings(&values, &documents, &s3.endpoint());
    }
    let wrong = json!({ "config": { "limits": { "per_key": "fast" } } });
    let documents = helm.render_one(values_with(&[&wrong]));
    let pod = Pod::new(pods(&documents)[0].1, &documents, in_bucket)
        .with_environment(&servers::settings(&s3.endpoint()));
    let (code, text) = run(&pod, &["doctor"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("BOT-1093"), "{text}");
}

/// A server in a pod.
struct Server {
    process: Child,
    log: std::path::PathBuf,
}

impl Server {
    fn start(pod: &Pod) -> Self {
        // On ports that are free; still on every network, so that the rules for such servers apply.
        let listen = |text: String| match text.strip_suffix(":8080").or(text.strip_suffix(":8081"))
        {
            Some(network) => format!("{network}:0"),
            None => text,
        };
        let arguments: Vec<String> = pod.arguments().into_iter().map(listen).collect();
        let log = pod.volume("tmp").with_extension("log");
        let file = File::create(&log).unwrap();
        let mut command = pod.command(&arguments);
        let process = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { process, log }
    }

    /// Waits for a line with `start`, and returns the port behind it.
    fn port(&mut self, start: &str) -> u16 {
        let began = Instant::now();
        loop {
            let said = fs::read_to_string(&self.log).unwrap();
            if let Some((_, rest)) = said.split_once(start)
                && let Some((address, _)) = rest.split_once('\n')
            {
                return address.rsplit_once(':').unwrap().1.parse().unwrap();
            }
            assert_eq!(self.process.try_wait().unwrap(), None, "it ended: {said}");
            assert!(began.elapsed() < LIMIT, "{said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends SIGTERM as the kubelet does, and returns the exit code.
    fn stop(&mut self, limit: Duration) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a key in the registry of a pod.
fn key(pod: &Pod, name: &str, scopes: &str) -> String {
    let (code, text) =
        run(pod, &["keys", "create", "--name", name, "--scopes", scopes, "--format", "json"]);
    assert_eq!(code, Some(0), "{text}");
    let start = text.find("botops_").unwrap_or_else(|| panic!("{text}"));
    text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_runs_as_rendered_and_writes_only_to_its_volumes() {
    let Some(helm) = helm("a_server_runs_as_rendered_and_writes_only_to_its_volumes") else {
        return;
    };
    let s3 = S3Server::start();
    let (store, _) = servers::open(&s3.endpoint(), "registry");
    let [champion, ..] = models();
    registry_in(store.clone(), &[&champion]).await;
    let documents = helm.render_one(values_with(&[&json!({
        "registry": format!("s3://{}/registry", servers::BUCKET),
        "environment": "test",
        "secrets": { "environmentSecret": "bucket" },
        "networkPolicy": { "adminFrom": [{ "podSelector": {} }] },
        "metrics": { "serviceMonitor": { "enabled": true, "credential": { "secret": "metrics", "key": "key" } } },
    })]));
    let template = &only(&documents, "Deployment")["spec"]["template"];
    let pod = Pod::new(template, &documents, str::to_owned)
        .with_environment(&servers::settings(&s3.endpoint()));
    let mut server = Server::start(&pod);
    let admin = server.port("admin API on ");
    let public = server.port("serving support on ");

    let container = &template["spec"]["containers"][0];
    let client = http();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let probe = &container[probe]["httpGet"];
        assert_eq!((&probe["port"], &probe["scheme"]), (&json!("public"), &json!("HTTP")));
        let url = format!("http://127.0.0.1:{public}{}", probe["path"].as_str().unwrap());
        assert_eq!(client.get(&url).send().await.unwrap().status(), StatusCode::OK, "{url}");
    }
    let (code, text) = run(&pod, &["doctor", "--ready", &format!("http://127.0.0.1:{public}")]);
    assert_eq!(code, Some(0), "{text}");

    // Servers learn of a key within seconds.
    let (shop, prometheus) = (key(&pod, "shop", "chat"), key(&pod, "prometheus", "read"));
    let endpoint = &only(&documents, "ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(endpoint["authorization"]["type"], "Bearer");
    let metrics = format!("http://127.0.0.1:{admin}{}", endpoint["path"].as_str().unwrap());
    let refused = client.get(&metrics).send().await.unwrap().status();
    assert_eq!(refused, StatusCode::UNAUTHORIZED);
    let began = Instant::now();
    let message = json!({ "text": "where is my parcel #123", "conversation_id": "c1" });
    loop {
        let chat = client.post(format!("http://127.0.0.1:{public}/v1/chat")).bearer_auth(&shop);
        let chat = chat.json(&message).send().await.unwrap().status();
        let shown = client.get(&metrics).bearer_auth(&prometheus).send().await.unwrap();
        if (chat, shown.status()) == (StatusCode::OK, StatusCode::OK) {
            // The counter behind the metric of the autoscaler.
            let shown = shown.text().await.unwrap();
            assert!(shown.contains("botops_requests_total{"), "{shown}");
            break;
        }
        assert!(began.elapsed() < LIMIT, "{chat}, {}", shown.status());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let spec = &template["spec"];
    let wait = &container["lifecycle"]["preStop"]["sleep"]["seconds"];
    let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap() - wait.as_u64().unwrap();
    assert_eq!(server.stop(Duration::from_secs(grace)), Some(0));
    let written = pod.written();
    assert!(!written.is_empty());
    for (volume, file) in &written {
        assert_eq!(volume, "segments", "{file}: {written:?}");
    }
    assert_eq!(store.folders("predictions").await.unwrap(), ["test"], "segments are in the bucket");
}

/// The pods of jobs by the last part of their names.
fn jobs(documents: &[Value]) -> BTreeMap<String, &Value> {
    let owners = documents.iter().filter(|it| it["kind"] == "CronJob" || it["kind"] == "Job");
    owners
        .map(|it| {
            let component = it["metadata"]["labels"]["app.kubernetes.io/component"].as_str();
            let (_, template) = pods(std::slice::from_ref(it)).remove(0);
            assert!(name(it).contains(component.unwrap()), "{}", name(it));
            (component.unwrap().to_owned(), template)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_as_rendered() {
    let Some(helm) = helm("jobs_run_as_rendered") else { return };
    let s3 = S3Server::start();
    let (store, _) = servers::open(&s3.endpoint(), "registry");
    let [champion, ..] = models();
    registry_in(store, &[&champion]).await;
    let documents = helm.render_one(values_with(&[&json!({
        "registry": format!("s3://{}/registry", servers::BUCKET),
        "experiments": format!("s3://{}/experiments", servers::BUCKET),
        "environment": "test",
        "weekly": { "enabled": true, "insecure": true, "workspace": { "existingClaim": "workspace" } },
        "monitor": { "enabled": true },
        "compact": { "enabled": true },
        "backup": { "enabled": true, "store": format!("s3://{}/backups", servers::BUCKET), "prune": { "enabled": true } },
        "profile": { "enabled": true, "data": "support@1:utterances.csv", "parts": 2, "output": { "existingClaim": "out" } },
    })]));
    let jobs = jobs(&documents);
    let names: Vec<&str> = jobs.keys().map(String::as_str).collect();
    assert_eq!(names, ["backup", "compact", "merge", "monitor", "profile", "prune", "weekly"]);
    let variables = servers::settings(&s3.endpoint());
    let pod = |component: &str| {
        Pod::new(jobs[component], &documents, str::to_owned).with_environment(&variables)
    };

    let weekly = pod("weekly");
    copy_repository(&weekly.volume("workspace"), |file| {
        ["datasets", "pipelines"].iter().any(|kept| file.starts_with(kept))
    });
    // The stages from `train` on take minutes, and need servers.
    let begun = [weekly.arguments(), ["--until", "window"].map(str::to_owned).into()].concat();
    let (code, text) = run(&weekly, &begun);
    assert_eq!(code, Some(0), "{text}");
    let written = weekly.written();
    let window = "/srv/botops/.botops/pipelines/weekly/window/window.json";
    assert!(written.iter().any(|(_, file)| file == window), "{written:?}");
    let (code, text) = run(&weekly, &["data", "snapshot", "datasets/support", "--name", "support"]);
    assert_eq!(code, Some(0), "{text}");

    // Nothing was logged: too little to judge is no healthy model.
    let (code, text) = run(&pod("monitor"), &pod("monitor").arguments());
    assert_eq!(code, Some(4), "{text}");
    let (code, text) = run(&pod("compact"), &pod("compact").arguments());
    assert_eq!(code, Some(0), "{text}");

    for (component, said) in [("backup", "backup"), ("prune", "removed 0 backups")] {
        let (code, text) = run(&pod(component), &pod(component).arguments());
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(said), "{text}");
    }

    let (shard, merge) = (pod("profile"), pod("merge"));
    let (code, text) = run(&merge, &merge.arguments());
    assert_eq!(code, Some(3), "parts are missing: {text}");
    for index in ["0", "1"] {
        let expanded = |text: String| text.replace("$(JOB_COMPLETION_INDEX)", index);
        let arguments: Vec<String> = shard.arguments().into_iter().map(expanded).collect();
        assert_eq!(arguments.last().unwrap(), &format!("{index}/2"));
        let (code, text) = run(&shard, &arguments);
        assert_eq!(code, Some(0), "{text}");
    }
    let (code, text) = run(&merge, &merge.arguments());
    assert_eq!(code, Some(0), "{text}");
    let profile =
        fs::read_to_string(merge.volume("output").join("reference.profile.json")).unwrap();
    let profile: Value = serde_json::from_str(&profile).unwrap();
    assert_eq!(profile["schema"], "botops.reference/1");
}
