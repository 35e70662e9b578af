//! The workflows under `.github/workflows`: real linters check them, and their commands run unchanged.
//!
//! `bash -eo pipefail` executes every `run:` command, as GitHub does, in a copy of the files of the repository, with
//! the environment of a fork without secrets and variables. Two kinds are left out:
//!
//! - the test command itself, which would run this test;
//! - `cargo clippy` and `cargo doc`, which compile everything a second time, unless `BOTOPS_REQUIRE_ALL=1`: `.ci/run`
//!   has built for them already.

use crate::support::{
    clean, copy_repository, print_past_harness, program, report_skip, repository, terminal, tool,
};
use regex::Regex;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const NAMES: [&str; 3] = ["ci.yml", "weekly.yml", "security.yml"];
/// The release has rights that the others have not, and its commands run in a test of its own.
const LINTED: [&str; 4] = ["ci.yml", "weekly.yml", "security.yml", "release.yml"];

fn workflow(name: &str) -> PathBuf {
    repository().join(".github/workflows").join(name)
}

fn read(name: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(workflow(name)).unwrap()).unwrap()
}

/// One step of a job: its command and environment.
struct Step {
    job: String,
    run: String,
    env: BTreeMap<String, String>,
}

/// Returns the steps of `workflow` that have a command, in order.
fn steps(workflow: &Value) -> Vec<Step> {
    let mut found = Vec::new();
    for (job, body) in workflow["jobs"].as_object().unwrap() {
        for step in body["steps"].as_array().unwrap() {
            let Some(run) = step["run"].as_str() else { continue };
            let levels = [&workflow["env"], &body["env"], &step["env"]];
            let env = levels.into_iter().filter_map(Value::as_object).flatten();
            let env = env
                .map(|(name, value)| (name.clone(), without_secrets(value.as_str().unwrap())))
                .collect();
            found.push(Step { job: job.clone(), run: run.trim().to_owned(), env });
        }
    }
    found
}

/// Returns the values of `${{ vars.X }}`, `${{ secrets.X }}` and `${{ vars.X || 'default' }}` if nothing is set.
fn without_secrets(value: &str) -> String {
    let unset =
        Regex::new(r"\$\{\{\s*(?:vars|secrets)\.\w+\s*(?:\|\|\s*'([^']*)'\s*)?\}\}").unwrap();
    let value = unset.replace_all(value, "$1").into_owned();
    assert!(
        !value.contains("${{"),
        "an expression in `env:` that this test cannot evaluate: {value}"
    );
    value
}

#[test]
fn a_fork_without_secrets_gets_defaults_and_nothing_else() {
    assert_eq!(without_secrets("${{ vars.BOTOPS_REGISTRY || 'registry' }}"), "registry");
    assert_eq!(without_secrets("${{ secrets.AWS_ACCESS_KEY_ID }}"), "");
}

/// The linters that a test of workflows needs.
pub(crate) const LINTERS: &str = "check-jsonschema, zizmor and actionlint (all from PyPI)";

/// Runs the linters on the workflows `files`, and returns their output if one fails. Returns `None` if a linter is missing.
pub(crate) fn lint(files: &[PathBuf]) -> Option<Result<(), String>> {
    let syntax = tool("BOTOPS_ACTIONLINT", "actionlint")?;
    let of_workflows = lint_by("vendor.github-workflows", files)?;
    let mut command = Command::new(syntax);
    // Expressions, contexts and types of workflows; calls of local actions with their inputs.
    let (code, text) = terminal(command.args(files).env("NO_COLOR", "1"), Duration::from_secs(120));
    Some(match (code, of_workflows) {
        (Some(0), verdict) => verdict,
        (_, Ok(())) => Err(text),
        (_, Err(output)) => Err(output + &text),
    })
}

/// As [`lint`], for files of the JSON schema `schema` that check-jsonschema contains, without actionlint, which knows
/// workflows only.
pub(crate) fn lint_by(schema: &str, files: &[PathBuf]) -> Option<Result<(), String>> {
    let schemas = tool("BOTOPS_CHECK_JSONSCHEMA", "check-jsonschema")?;
    let security = tool("BOTOPS_ZIZMOR", "zizmor")?;
    let mut output = String::new();
    let mut linters = vec![(schemas, vec!["--builtin-schema", schema])];
    if schema.starts_with("vendor.github") {
        // Pins, permissions, stored credentials, expressions that could inject code.
        linters.push((security, vec!["--offline", "--no-progress", "--persona", "pedantic"]));
    }
    for (program, arguments) in linters {
        let mut command = Command::new(program);
        let (code, text) = terminal(
            command.args(arguments).args(files).env("NO_COLOR", "1"),
            Duration::from_secs(120),
        );
        if code != Some(0) {
            output += &text;
        }
    }
    Some(if output.is_empty() { Ok(()) } else { Err(output) })
}

#[test]
fn the_workflows_satisfy_real_linters() {
    match lint(&LINTED.map(workflow)) {
        None => report_skip("the_workflows_satisfy_real_linters", LINTERS),
        Some(verdict) => verdict.unwrap(),
    }
}

/// One action has one pin, here and in what `botops init` writes: an update reaches all of them.
#[test]
fn an_action_has_the_same_pin_everywhere() {
    let templates = "crates/starter/src/templates";
    let mut files: Vec<PathBuf> = LINTED.map(workflow).into();
    files.push(repository().join("action.yml"));
    for name in ["github-weekly.yml", "github-pull-request.yml"] {
        files.push(repository().join(templates).join(name));
    }
    let used =
        Regex::new(r"uses: ([\w.-]+/[\w.-]+)(?:/[\w./-]+)?@([0-9a-f]{40}) # (v[\d.]+)").unwrap();
    let mut pins: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for found in used.captures_iter(&text) {
            let pin = format!("{} {}", &found[2], &found[3]);
            pins.entry(found[1].to_owned()).or_default().insert(pin);
        }
    }
    assert!(pins.len() >= 8, "{pins:?}");
    for (action, pins) in pins {
        assert_eq!(pins.len(), 1, "{action}: {pins:?}");
    }
}

#[test]
fn the_linters_refuse_a_workflow_with_planted_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let planted = |from: &str, to: &str| {
        let text = fs::read_to_string(workflow("ci.yml")).unwrap();
        assert!(text.contains(from), "ci.yml no longer has `{from}`");
        let path = folder.path().join("ci.yml");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        lint(&[path])
    };
    let mistakes = [
        ("runs-on:", "runs_on:", "runs_on"),
        (
            "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
            "actions/checkout@main",
            "unpinned-uses",
        ),
        ("run: cargo fmt", "run: echo ${{ github.head_ref }} && cargo fmt", "template-injection"),
        ("github.ref != 'refs/heads/main'", "github.branch != 'refs/heads/main'", "\"branch\""),
    ];
    for (from, to, named) in mistakes {
        match planted(from, to) {
            None => {
                return report_skip("the_linters_refuse_a_workflow_with_planted_mistakes", LINTERS);
            }
            Some(verdict) => {
                let output = verdict.unwrap_err();
                assert!(
                    output.contains(named),
                    "`{to}` passed or was refused for another reason:\n{output}"
                );
            }
        }
    }
}

#[test]
fn the_weekly_job_is_scheduled_off_the_hour_alone_and_with_the_least_rights() {
    let weekly = read("weekly.yml");
    let crons = weekly["on"]["schedule"].as_array().unwrap();
    for cron in crons.iter().map(|entry| entry["cron"].as_str().unwrap()) {
        let minute: u32 = cron.split(' ').next().unwrap().parse().unwrap();
        assert!(
            (5..55).contains(&minute) && !minute.is_multiple_of(15),
            "`{cron}` queues with everyone else"
        );
    }
    assert!(weekly["on"].as_object().unwrap().contains_key("workflow_dispatch"));
    assert_eq!(
        weekly["concurrency"]["cancel-in-progress"],
        Value::Bool(false),
        "a promotion is not cut off half-way"
    );
    for name in NAMES {
        let workflow = read(name);
        assert_eq!(
            workflow["permissions"],
            serde_json::json!({}),
            "{name}: rights are given job by job"
        );
        for (job, body) in workflow["jobs"].as_object().unwrap() {
            assert_eq!(
                body["permissions"],
                serde_json::json!({ "contents": "read" }),
                "{name}: {job}"
            );
            assert!(body["timeout-minutes"].is_u64(), "{name}: {job} has no time limit");
        }
    }
}

/// Returns the reason why a command is left out, if it is.
fn left_out(run: &str) -> Option<&'static str> {
    if run.starts_with("cargo test") {
        return Some("the test command itself");
    }
    if run == ".ci/secrets" {
        return Some("tests/it/secrets.rs runs it, where git knows the files");
    }
    if ["cargo install", "cargo deny", "cargo audit", "pipx run"]
        .iter()
        .any(|it| run.starts_with(it))
    {
        return Some("it downloads tools, or advisories of today");
    }
    let builds_again = run.starts_with("cargo clippy") || run.starts_with("cargo doc");
    let required = env::var_os("BOTOPS_REQUIRE_ALL").is_some_and(|value| value == "1");
    (builds_again && !required)
        .then_some("it compiles the whole tree again; BOTOPS_REQUIRE_ALL=1 runs it")
}

/// Returns whether the toolchain lacks the component for `run`: rustfmt and clippy are optional.
fn lacks_component(run: &str) -> bool {
    ["fmt", "clippy"].into_iter().filter(|name| run.starts_with(&format!("cargo {name}"))).any(
        |name| {
            let answer = Command::new("cargo").args([name, "--version"]).output();
            !answer.is_ok_and(|answer| answer.status.success())
        },
    )
}

/// Returns the folder of the running build if it is a release build, because the workflows run the release program.
fn release_build() -> Option<&'static Path> {
    let profile = program().parent().unwrap();
    (profile.file_name().unwrap() == "release").then(|| profile.parent().unwrap())
}

#[test]
fn every_command_of_the_workflows_runs_unchanged() {
    let test = "every_command_of_the_workflows_runs_unchanged";
    let Some(build) = release_build() else {
        return report_skip(
            test,
            "a release build, which is what the workflows run: cargo test --release",
        );
    };
    for name in NAMES {
        // The copy is inside the repository and has no manifest: cargo finds the manifest of the repository above it,
        // so that nothing is compiled again, while commands read and write only files of the copy.
        let scratch = repository().join("target/tmp");
        fs::create_dir_all(&scratch).unwrap();
        let copy = tempfile::tempdir_in(&scratch).unwrap();
        let code = ["Cargo.toml", "Cargo.lock", "crates", "src", "tests", "benches"];
        copy_repository(copy.path(), |file| !code.iter().any(|part| file.starts_with(part)));
        let summary = copy.path().join("step-summary.md");
        let workflow = read(name);
        for step in steps(&workflow) {
            assert!(
                !step.run.contains("${{"),
                "{name}: pass expressions by `env:`, not inside `{}`",
                step.run
            );
            if let Some(why) = left_out(&step.run) {
                print_past_harness(&format!("left out: {name}: `{}`: {why}", step.run));
                continue;
            }
            if lacks_component(&step.run) {
                report_skip(test, &format!("the toolchain's component for `{}`", step.run));
                continue;
            }
            let mut command = Command::new("bash");
            clean(&mut command, copy.path())
                .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step.run])
                .current_dir(copy.path())
                .envs(toolchain())
                .envs(&step.env)
                .env("CARGO_TARGET_DIR", build)
                .env("CI", "true")
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_STEP_SUMMARY", &summary);
            let (code, text) = terminal(&mut command, Duration::from_secs(900));
            assert_eq!(code, Some(0), "{name}: {}: `{}` failed:\n{text}", step.job, step.run);
        }
        if name == "weekly.yml" {
            let summary = fs::read_to_string(&summary).unwrap_or_default();
            assert!(
                summary.contains('|'),
                "the weekly job left no summary with a table: {summary:?}"
            );
            let kept = kept_paths(&workflow);
            assert!(kept.len() >= 6, "{kept:?}");
            // A rehearsed promotion writes no deployment.
            for path in kept.iter().filter(|path| *path != "registry/deployments") {
                assert!(
                    copy.path().join(path).exists(),
                    "weekly.yml keeps `{path}`, which the job does not write"
                );
            }
        }
    }
}

/// Returns every path that a workflow uploads or caches.
fn kept_paths(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let steps = jobs.flat_map(|job| job["steps"].as_array().unwrap());
    let mut paths: Vec<String> = steps
        .filter_map(|step| step["with"]["path"].as_str())
        .flat_map(|paths| paths.lines().map(str::to_owned))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Returns the variables of the toolchain and its settings. Those that cargo sets for a test are left out, because
/// some build scripts watch them and would run again.
fn toolchain() -> impl Iterator<Item = (String, String)> {
    let kept = |name: &str| {
        matches!(
            name,
            "HOME"
                | "CARGO_HOME"
                | "RUSTFLAGS"
                | "CARGO_ENCODED_RUSTFLAGS"
                | "RUSTC"
                | "RUSTC_WRAPPER"
        ) || ["RUSTUP_", "CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_NET_", "CARGO_HTTP_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    env::vars().filter(move |(name, _)| kept(name))
}
