//! `deploy/compose.yaml`: its schema, the files that it mounts, and its parts that Debian has, which run as real processes with those
//! very files: Redis, PostgreSQL, HAProxy with TLS, and the server with its settings, on a store that speaks S3.

mod parts;

use crate::{
    servers::Moto,
    support::{clean, program, report_skip, repository, terminal},
    terminal::two_intents,
    workflows::lint_by,
};
use botops_conversations::Location;
use parts::{Parts, Proxy, Server};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(120);
/// The name of the site in the settings.
const SITE: &str = "chat.example.com";

fn deploy() -> PathBuf {
    repository().join("deploy")
}

fn compose() -> Value {
    serde_yaml::from_str(&fs::read_to_string(deploy().join("compose.yaml")).unwrap()).unwrap()
}

/// Runs the script that makes the secrets.
fn prepare(arguments: &[&str]) -> (Option<i32>, String) {
    terminal(Command::new(deploy().join("compose/prepare")).args(arguments), LIMIT)
}

#[test]
fn the_compose_file_satisfies_its_schema_and_a_mistake_does_not() {
    let name = "the_compose_file_satisfies_its_schema_and_a_mistake_does_not";
    let check = |file: PathBuf| lint_by("vendor.compose-spec", &[file]);
    let Some(verdict) = check(deploy().join("compose.yaml")) else {
        return report_skip(name, "check-jsonschema (from PyPI)");
    };
    verdict.unwrap();
    let text = fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("user: postgres", "user: [postgres]"),
        ("    healthcheck:", "    health_check:"),
        ("internal: true", "internal: [true]"),
    ] {
        assert!(text.contains(from), "{from}");
        let path = folder.path().join("compose.yaml");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        assert!(check(path).unwrap().is_err(), "{to}");
    }
}

/// Returns the texts in a list.
fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn every_service_is_hardened_and_only_the_proxy_is_reachable_from_elsewhere() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        let merged = |key: &str| {
            let own = &service[key];
            if own.is_null() { compose["x-hardened"][key].clone() } else { own.clone() }
        };
        assert_eq!(merged("read_only"), true, "{name}");
        assert_eq!(texts(&merged("cap_drop")), ["ALL"], "{name}");
        assert_eq!(texts(&merged("security_opt")), ["no-new-privileges:true"], "{name}");
        assert!(service["privileged"].is_null(), "{name}");
        let image = service["image"].as_str().unwrap();
        let version = image.rsplit(':').next().unwrap();
        let is_ours = image.starts_with("${BOTOPS_IMAGE");
        assert!(is_ours || version.contains(|c: char| c.is_ascii_digit()), "{image}");
        let ports = texts(&service["ports"]);
        let is_local = ports.iter().all(|port| port.starts_with("127.0.0.1:"));
        assert!(name == "proxy" || is_local, "{name}: {ports:?}");
        // A secret is a file, and never the value of a variable.
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let is_secret =
                ["PASSWORD", "SECRET", "TOKEN", "_KEY"].iter().any(|it| variable.contains(it));
            let value = value.as_str().unwrap();
            assert!(!is_secret || value.starts_with("/run/secrets/"), "{name}: {variable}");
        }
    }
}

#[test]
fn the_files_that_compose_mounts_are_there_and_each_secret_is_made() {
    let compose = compose();
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    let (code, text) = prepare(&[SITE, secrets.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    let mut used = BTreeSet::new();
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in texts(&service["volumes"]) {
            let from = volume.split(':').next().unwrap();
            match from.strip_prefix("./") {
                Some(file) => assert!(deploy().join(file).exists(), "{name}: {from}"),
                None => assert!(compose["volumes"].get(from).is_some(), "{name}: {from}"),
            }
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            let source = secret.as_str().or(secret["source"].as_str()).unwrap();
            used.insert(source.to_owned());
        }
    }
    let declared = compose["secrets"].as_object().unwrap();
    assert_eq!(used, declared.keys().cloned().collect());
    for (name, secret) in declared {
        let file = secret["file"].as_str().unwrap().strip_prefix("./compose/secrets/").unwrap();
        let made = fs::metadata(secrets.join(file)).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(made.len() > 0 && made.permissions().mode() & 0o777 == 0o444, "{name}");
    }
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(&secrets).unwrap().count(), declared.len() + 1, "and one of Redis");
}

#[test]
fn secrets_are_made_once_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    let read = || -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(&secrets).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = files
            .map(|it| (it.file_name().into_string().unwrap(), fs::read(it.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let (code, text) = prepare(&[SITE, secrets.to_str().unwrap()]);
    assert!(code == Some(0) && !text.contains("kept"), "{text}");
    let first = read();
    for (name, content) in first.iter().filter(|(name, _)| name != "store_user") {
        assert!(!text.contains(String::from_utf8_lossy(content).trim()), "{name}: {text}");
    }
    fs::remove_file(secrets.join("grafana_password")).unwrap();
    let (code, text) = prepare(&[SITE, secrets.to_str().unwrap()]);
    assert!(code == Some(0) && text.contains("made grafana_password"), "{text}");
    let second = read();
    let without = |files: &[(String, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
        files.iter().filter(|(name, _)| name != "grafana_password").cloned().collect()
    };
    assert_eq!(without(&first), without(&second));
    assert_ne!(first, second);
    for arguments in [&[][..], &["a b"], &["-x"], &["chat/../x"], &["a", "b", "c"]] {
        let (code, text) = prepare(arguments);
        assert!(code == Some(2) && text.contains("hint: "), "{arguments:?}: {code:?} {text}");
    }
}

/// A folder with the settings of compose, unchanged, and its secrets, with the addresses of the processes of the test.
fn workspace(folder: &Path, parts: &Parts) {
    fs::copy(deploy().join("compose/botops.yaml"), folder.join("botops.yaml")).unwrap();
    let secrets = folder.join("secrets");
    for (file, from, to) in [
        ("conversations_url", "@postgres:5432/", format!("@127.0.0.1:{}/", parts.postgres_port)),
        ("limits_url", "@redis:6379/", format!("@127.0.0.1:{}/", parts.redis_port)),
    ] {
        let path = secrets.join(file);
        let url = fs::read_to_string(&path).unwrap();
        assert!(url.contains(from), "{file}");
        fs::remove_file(&path).unwrap();
        fs::write(path, url.replace(from, &to)).unwrap();
    }
    fs::write(folder.join("data.csv"), two_intents(30)).unwrap();
}

#[test]
fn the_parts_of_compose_work_together_with_the_files_that_it_mounts() {
    let name = "the_parts_of_compose_work_together_with_the_files_that_it_mounts";
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    assert_eq!(prepare(&[SITE, secrets.to_str().unwrap()]).0, Some(0));
    let parts = match Parts::start(folder.path()) {
        Ok(parts) => parts,
        Err(missing) => return report_skip(name, missing),
    };
    let Some(moto) = Moto::start() else { return };
    workspace(folder.path(), &parts);
    let botops = |line: &str| {
        let mut command = Command::new(program());
        clean(&mut command, folder.path()).current_dir(folder.path()).args(line.split(' '));
        command.env("AWS_ENDPOINT_URL", moto.endpoint()).env("AWS_REGION", "us-east-1");
        command.env("AWS_SHARED_CREDENTIALS_FILE", secrets.join("store"));
        command
    };
    let run = |line: &str| {
        let (code, text) = terminal(&mut botops(line), LIMIT);
        assert_eq!(code, Some(0), "{line}\n{text}");
        text
    };
    // The steps of the services `migrate` and `botops`, and of the guide.
    run("db migrate");
    run("train data.csv --out support.botops");
    run("push support.botops --name support");
    run("promote support@1");
    let doctor = run("doctor --probe");
    for said in ["s3://botops/registry", "production", "chat.example.com"] {
        assert!(doctor.contains(said), "{said}: {doctor}");
    }
    let key = run("keys create --name site --scopes predict,chat,feedback");
    let key = key.lines().find(|line| line.starts_with("botops_")).unwrap().to_owned();
    let viewer = run("keys create --name prometheus --role viewer");
    let viewer = viewer.lines().find(|line| line.starts_with("botops_")).unwrap().to_owned();

    let server = Server::start(botops("serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0"));
    let proxy = Proxy::start(folder.path(), &server.public);
    proxy.wait_for_servers(SITE);
    check_chat(&proxy, &parts, &key);
    check_metrics(&server, &proxy, &viewer);
    check_backup(&botops, folder.path());
    // A certificate of another name, or an old protocol, is refused by the client or the proxy.
    let (code, _) = proxy.curl("other.example.com", "/readiness", &[]);
    assert_ne!(code, Some(0), "a certificate of another name");
    let (code, text) = proxy.curl(SITE, "/readiness", &["--tls-max", "1.1"]);
    assert!(code.is_some_and(|code| code != 0), "TLS 1.1: {text}");
}

/// A conversation goes through TLS to the server, is stored in PostgreSQL, and is counted in Redis.
fn check_chat(proxy: &Proxy, parts: &Parts, key: &str) {
    let body = r#"{"conversation_id":"c-1","message_id":"m-1","text":"where is my parcel"}"#;
    let bearer = format!("authorization: Bearer {key}");
    let headers = ["-H", "content-type: application/json", "-d", body, "-D", "-"];
    let (code, text) = proxy.curl(SITE, "/v1/chat", &headers);
    assert!(code == Some(0) && text.contains(" 401"), "without a key: {text}");
    let (code, text) = proxy.curl(SITE, "/v1/chat", &[&headers[..], &["-H", &bearer]].concat());
    assert!(code == Some(0) && text.contains(" 200"), "{text}");
    assert!(text.contains("\"intent\":\"order_status\""), "{text}");
    assert!(text.to_lowercase().contains("strict-transport-security: max-age=31536000"), "{text}");
    let turns = parts.psql("select sum(n_live_tup) + sum(n_tup_ins) from pg_stat_user_tables");
    assert!(turns.trim().parse::<f64>().is_ok_and(|rows| rows > 0.0), "{turns}");
    let until = Instant::now() + LIMIT;
    while parts.redis("dbsize").trim() == "0" {
        assert!(Instant::now() < until, "nothing was counted in Redis");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nobody else gets in.
    assert!(parts.redis_without_password("ping").contains("NOAUTH"));
    assert!(parts.psql_with_password("wrong").contains("password authentication failed"));
    assert!(parts.psql_elsewhere().contains("no pg_hba.conf entry"));
    // Plain HTTP is sent to TLS, and metrics are not for the public.
    let (code, text) = proxy.plain("/v1/chat");
    assert!(code == Some(0) && text.contains(" 308"), "{text}");
    assert!(text.to_lowercase().contains("location: https://"), "{text}");
    let (_, text) = proxy.curl(SITE, "/metrics", &["-D", "-"]);
    assert!(text.contains(" 404"), "{text}");
}

/// The registry in the bucket and the conversations in PostgreSQL are backed up while they are used, drilled and restored.
fn check_backup(botops: &dyn Fn(&str) -> Command, folder: &Path) {
    let data = |line: &str| -> Value {
        let output = botops(&format!("{line} --format json")).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["ok"], true, "{line}: {answer}");
        answer["data"].clone()
    };
    let created = data("backup create --store backups");
    assert_eq!(created["conversations"]["turns"], 1, "{created}");
    let drill = data("backup drill --store backups");
    assert_eq!((&drill["passed"], &drill["conversations"]), (&true.into(), &1.into()), "{drill}");
    let restored = data("backup restore --store backups --into restored");
    assert_eq!(restored["conversations"]["turns"], 1, "{restored}");
    data("registry verify --registry restored/registry");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let location = Location::parse("conversations", &folder.join("restored")).unwrap();
    assert_eq!(runtime.block_on(location.export(async |_| Ok(()))).unwrap().turns, 1);
}

/// Metrics are read on the admin listener with the key of Prometheus.
fn check_metrics(server: &Server, proxy: &Proxy, key: &str) {
    let bearer = format!("authorization: Bearer {key}");
    let (code, text) = proxy.fetch(&format!("{}/metrics", server.admin), &["-H", &bearer]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("botops_shared_limits_up 1"), "{text}");
    let (_, text) = proxy.fetch(&format!("{}/metrics", server.admin), &["-D", "-"]);
    assert!(text.contains(" 401"), "{text}");
}
