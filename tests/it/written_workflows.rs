//! The workflows that `botops init --ci` writes, and the action at the root of the repository: real linters check them, and
//! their commands run unchanged in a scratch repository, twice; the second time there is nothing to do.

use crate::{
    support::{Folder, clean, program, report_skip, repository, terminal},
    terminal::two_intents,
    workflows::{LINTERS, lint, lint_by},
};
use regex::Regex;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const WEEKLY: &str = ".github/workflows/botops-weekly.yml";
const PULL_REQUEST: &str = ".github/workflows/botops-pull-request.yml";
const ACTION: &str = ".github/actions/botops/action.yml";
pub(crate) const GITLAB: &str = ".gitlab-ci.yml";

/// A scratch repository with a new workspace for the CI `system`, committed.
pub(crate) fn scratch(system: &str) -> Folder {
    let folder = Folder::empty();
    folder.write("data/utterances.csv", two_intents(60));
    git(folder.path(), &["init", "--quiet", "--initial-branch", "main"]);
    let mut init = folder.botops(["init", "--ci", system, "--data", "data/utterances.csv"]);
    assert!(init.output().unwrap().status.success());
    commit(folder.path(), "start");
    folder
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    clean(&mut command, folder).args([
        "-c",
        "user.name=tester",
        "-c",
        "user.email=tester@example.org",
    ]);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn commit(folder: &Path, message: &str) {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", message]);
}

pub(crate) fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A runner: the values of expressions, and the folder that GitHub empties before each job.
struct Runner<'a> {
    folder: &'a Path,
    values: BTreeMap<String, String>,
    /// A folder of programs that come first on the PATH.
    programs: PathBuf,
}

impl Runner<'_> {
    /// Returns `text` with its expressions: `${{ a.b }}` and `${{ a.b || 'default' }}`; a value that is not set is empty.
    fn evaluate(&self, text: &str) -> String {
        let expression = Regex::new(r"\$\{\{\s*([\w.-]+)\s*(?:\|\|\s*'([^']*)'\s*)?\}\}").unwrap();
        let value = expression.replace_all(text, |found: &regex::Captures<'_>| {
            let is_setting = found[1].starts_with("vars.") || found[1].starts_with("secrets.");
            let value = self.values.get(&found[1]).cloned();
            assert!(value.is_some() || is_setting, "`{}` has no value in this test", &found[0]);
            let default =
                || found.get(2).map_or(String::new(), |default| default.as_str().to_owned());
            value.filter(|value| !value.is_empty()).unwrap_or_else(default)
        });
        assert!(!value.contains("${{"), "an expression that this test cannot evaluate: {text}");
        value.into_owned()
    }

    /// Runs the commands of the job `name` as GitHub does, and returns the outputs of its steps as `id.name`, and what was
    /// printed. Every command must end with `exit`.
    fn job(&self, workflow: &Value, name: &str, temp: &Path) -> (BTreeMap<String, String>, String) {
        let job = &workflow["jobs"][name];
        let (mut outputs, mut printed) = (BTreeMap::new(), String::new());
        for step in job["steps"].as_array().unwrap() {
            let Some(run) = step["run"].as_str() else { continue };
            assert!(!run.contains("${{"), "pass expressions by `env:`, not inside `{run}`");
            let condition = step["if"].as_str();
            assert!(
                condition.is_none_or(|condition| condition == "${{ !cancelled() }}"),
                "{condition:?}"
            );
            let file = temp.join("output");
            fs::write(&file, "").unwrap();
            let mut command = Command::new("bash");
            clean(&mut command, temp)
                .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", run])
                .current_dir(self.folder)
                .env("PATH", path_with(&self.programs))
                .env("CI", "true")
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_REPOSITORY", "owner/repo")
                .env("GITHUB_RUN_ID", "7")
                .env("GITHUB_STEP_SUMMARY", temp.join("summary.md"))
                .env("GITHUB_OUTPUT", &file)
                .env("RUNNER_TEMP", temp);
            for level in [&workflow["env"], &job["env"], &step["env"]] {
                for (name, value) in level.as_object().into_iter().flatten() {
                    command.env(name, self.evaluate(value.as_str().unwrap()));
                }
            }
            let (code, text) = terminal(&mut command, Duration::from_secs(300));
            assert_eq!(code, Some(0), "{name}: `{run}` failed:\n{text}");
            printed += &text;
            let id = step["id"].as_str().unwrap_or_default();
            for line in fs::read_to_string(&file).unwrap().lines() {
                let (output, value) = line.split_once('=').unwrap();
                outputs.insert(format!("{id}.{output}"), value.to_owned());
            }
        }
        (outputs, printed)
    }
}

/// Returns the PATH with the program under test, after the programs of the test.
pub(crate) fn path_with(programs: &Path) -> std::ffi::OsString {
    let mut paths = vec![programs.to_owned(), program().parent().unwrap().to_owned()];
    paths.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    env::join_paths(paths).unwrap()
}

#[test]
fn the_written_workflows_and_the_action_satisfy_real_linters() {
    let test = "the_written_workflows_and_the_action_satisfy_real_linters";
    let (github, gitlab) = (scratch("github"), scratch("gitlab"));
    let at = |name: &str| github.path().join(name);
    let verdicts = [
        lint(&[at(WEEKLY), at(PULL_REQUEST)]),
        lint_by("vendor.github-actions", &[at(ACTION), repository().join("action.yml")]),
        lint_by("vendor.gitlab-ci", &[gitlab.path().join(GITLAB)]),
    ];
    for verdict in verdicts {
        match verdict {
            None => return report_skip(test, LINTERS),
            Some(verdict) => verdict.unwrap(),
        }
    }
    for (file, from, to, named) in [
        (WEEKLY, "needs.train.outputs.version", "needs.train.outputs.verson", "verson"),
        (PULL_REQUEST, "releases: ${{", "release: ${{", "release"),
        (
            PULL_REQUEST,
            "$NUMBER/comments\"",
            "${{ github.head_ref }}/comments\"",
            "template-injection",
        ),
    ] {
        let text = fs::read_to_string(at(file)).unwrap();
        assert!(text.contains(from), "{file} no longer has `{from}`");
        fs::write(at(file), text.replacen(from, to, 1)).unwrap();
        let output = lint(&[at(file)]).unwrap().unwrap_err();
        assert!(
            output.contains(named),
            "`{to}` passed or was refused for another reason:\n{output}"
        );
        fs::write(at(file), text).unwrap();
    }
}

#[test]
fn the_written_workflows_have_the_least_rights_and_pins() {
    let folder = scratch("github");
    let weekly = yaml(&folder.path().join(WEEKLY));
    let pull_request = yaml(&folder.path().join(PULL_REQUEST));
    let pinned = Regex::new("^[\\w-]+/[\\w/-]+@[0-9a-f]{40}$").unwrap();
    for workflow in [&weekly, &pull_request] {
        assert_eq!(workflow["permissions"], serde_json::json!({}));
        // Only a shell that is named has `pipefail`: without it, a failure before `| tee` is none.
        assert_eq!(workflow["defaults"]["run"]["shell"], "bash");
        assert!(workflow["concurrency"]["group"].is_string());
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(job["timeout-minutes"].is_u64(), "{name} has no time limit");
            let rights = job["permissions"].as_object().unwrap();
            // A job that may write runs no file of the pull request.
            let is_comment = name == "comment";
            let writes = rights.iter().filter(|(_, right)| *right == "write").map(|(name, _)| name);
            for right in writes {
                let allowed: &[&str] = if is_comment { &["pull-requests"] } else { &["id-token"] };
                assert!(allowed.contains(&right.as_str()), "{name}: {right}");
            }
            let uses =
                job["steps"].as_array().unwrap().iter().filter_map(|step| step["uses"].as_str());
            for action in uses {
                assert!(
                    pinned.is_match(action) || action == "$/.github/actions/botops",
                    "{action}"
                );
                assert!(!is_comment || !action.contains("checkout"), "the comment checks out code");
            }
        }
    }
    assert_eq!(weekly["jobs"]["promote"]["environment"], "production");
    assert_eq!(weekly["concurrency"]["cancel-in-progress"], false);
    assert!(pull_request["jobs"]["review"]["permissions"].get("id-token").is_none());
    let text = fs::read_to_string(folder.path().join(PULL_REQUEST)).unwrap();
    assert!(!text.contains("secrets."), "a pull request gets no secret");
    assert_eq!(
        fs::read_to_string(folder.path().join(ACTION)).unwrap(),
        fs::read_to_string(repository().join("action.yml")).unwrap()
    );
    let action = yaml(&repository().join("action.yml"));
    assert_eq!(action["inputs"]["version"]["default"], env!("CARGO_PKG_VERSION"));
}

/// A `gh` that keeps the comments of pull request 7 as files, and notes every call.
const GH: &str = r#"#!/bin/bash
set -euo pipefail
store=$(dirname "$0")
printf '%s\n' "$*" >>"$store/calls"
[ "$1" = api ] && shift
method=GET path='' body='' filter=''
while [ $# -gt 0 ]; do
  case "$1" in
    --paginate | --silent) ;;
    --method) method=$2; shift ;;
    --field) body=${2#body=@}; shift ;;
    --jq) filter=$2; shift ;;
    *) path=$1 ;;
  esac
  shift
done
[ -n "$GH_TOKEN" ]
case "$method $path" in
  'GET repos/owner/repo/issues/7/comments')
    [ "$filter" = '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith("<!-- botops pipeline diff -->"))) | .id' ]
    for file in "$store"/comment-*; do
      [ -e "$file" ] || continue
      read -r first <"$file"
      case "$first" in '<!-- botops pipeline diff -->'*) echo "${file##*-}" ;; esac
    done ;;
  'POST repos/owner/repo/issues/7/comments')
    cp "$body" "$store/comment-$((100 + $(find "$store" -name 'comment-*' | wc -l)))" ;;
  'PATCH repos/owner/repo/issues/comments/'*)
    [ -e "$store/comment-${path##*/}" ] && cp "$body" "$store/comment-${path##*/}" ;;
  *) echo "unexpected: $method $path" >&2; exit 1 ;;
esac
"#;

#[test]
fn the_weekly_workflow_runs_unchanged_twice_and_the_second_time_has_nothing_to_do() {
    let folder = scratch("github");
    let weekly = yaml(&folder.path().join(WEEKLY));
    let programs = tempfile::tempdir().unwrap();
    let mut runner = Runner {
        folder: folder.path(),
        values: BTreeMap::new(),
        programs: programs.path().to_owned(),
    };
    for round in 0..2 {
        let temp = tempfile::tempdir().unwrap();
        let (outputs, printed) = runner.job(&weekly, "train", temp.path());
        let summary = fs::read_to_string(temp.path().join("summary.md")).unwrap();
        assert!(summary.contains("| gate | ") && summary.contains("@1; champion: "), "{summary}");
        assert!(summary.len() < 1 << 20);
        let is_new = &outputs["version.is-new"];
        assert_eq!(is_new, if round == 0 { "true" } else { "false" }, "{printed}");
        assert_eq!(printed.contains("train: skipped"), round == 1, "{printed}");
        assert_eq!(weekly["jobs"]["promote"]["if"], "needs.train.outputs.is-new == 'true'");
        if is_new == "true" {
            runner
                .values
                .insert("needs.train.outputs.version".into(), outputs["version.version"].clone());
            let temp = tempfile::tempdir().unwrap();
            runner.job(&weekly, "promote", temp.path());
            let summary = fs::read_to_string(temp.path().join("summary.md")).unwrap();
            assert!(summary.contains("is the first champion"), "{summary}");
        }
        assert_eq!(
            git(folder.path(), &["status", "--porcelain"]),
            "",
            "a run changes no tracked file"
        );
    }
}

#[test]
fn a_pull_request_gets_one_comment_that_is_updated_in_place() {
    let folder = scratch("github");
    let path = folder.path();
    let workflow = yaml(&path.join(PULL_REQUEST));
    git(path, &["checkout", "--quiet", "-b", "change"]);
    let hostile = "\"<!-- x --> @team [a](https://evil.example) ::error::`$(id)` me@example.org | \",order_status\n";
    folder.write("data/utterances.csv", two_intents(60) + hostile);
    commit(path, "change");
    git(path, &["checkout", "--quiet", "main"]);
    git(path, &["merge", "--quiet", "--no-ff", "--message", "merge", "change"]);

    let programs = tempfile::tempdir().unwrap();
    let gh = programs.path().join("gh");
    fs::write(&gh, GH).unwrap();
    std::fs::set_permissions(&gh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let values = [("github.token", "token"), ("github.event.pull_request.number", "7")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let runner =
        Runner { folder: path, values: values.into(), programs: programs.path().to_owned() };
    let mut comments = Vec::new();
    for round in 0..2 {
        let temp = tempfile::tempdir().unwrap();
        let (_, printed) = runner.job(&workflow, "review", temp.path());
        // The state before lies in a fresh folder, so that only its model is trained again.
        assert_eq!(printed.matches("train: passed").count(), 2 - round, "{printed}");
        // The artifact of the review is the only file that the other job gets.
        let other = tempfile::tempdir().unwrap();
        fs::copy(temp.path().join("comment.md"), other.path().join("comment.md")).unwrap();
        runner.job(&workflow, "comment", other.path());
        comments.push(fs::read_to_string(programs.path().join("comment-100")).unwrap());
        assert!(!programs.path().join("comment-101").exists(), "one comment");
        assert_eq!(git(path, &["status", "--porcelain"]), "");
    }
    assert_eq!(comments[0], comments[1], "the same change, the same comment");
    let comment = &comments[0];
    assert!(comment.contains("1 added") && comment.contains("### Evaluation"), "{comment}");
    assert!(comment.chars().count() < 65_536);
    for raw in ["@team", "[a](", "https://evil", "`$(", "me@example.org", "<!-- x"] {
        assert!(!comment.contains(raw), "`{raw}` in {comment}");
    }
    let calls = fs::read_to_string(programs.path().join("calls")).unwrap();
    assert_eq!((calls.matches("POST").count(), calls.matches("PATCH").count()), (1, 1), "{calls}");
}

#[test]
fn the_first_pull_request_has_nothing_to_be_compared_with() {
    let folder = scratch("github");
    let path = folder.path();
    let tree = git(path, &["mktree"]);
    let empty = git(path, &["commit-tree", tree.trim(), "-m", "empty"]);
    let parents = ["-p", empty.trim(), "-p", "main"];
    let merged =
        git(path, &[&["commit-tree", "main^{tree}", "-m", "merge"], &parents[..]].concat());
    git(path, &["checkout", "--quiet", "--detach", merged.trim()]);
    let workflow = yaml(&path.join(PULL_REQUEST));
    let programs = tempfile::tempdir().unwrap();
    let runner =
        Runner { folder: path, values: BTreeMap::new(), programs: programs.path().to_owned() };
    let temp = tempfile::tempdir().unwrap();
    runner.job(&workflow, "review", temp.path());
    let comment = fs::read_to_string(temp.path().join("comment.md")).unwrap();
    assert!(comment.starts_with("<!-- botops pipeline diff -->\nThe pipeline is new"), "{comment}");
}

/// Runs the steps of the action with `inputs`, and returns the exit code of the last and what was printed.
fn install(temp: &Path, inputs: &[(&str, &str)]) -> (Option<i32>, String) {
    let action = yaml(&repository().join("action.yml"));
    let mut values: BTreeMap<String, String> =
        BTreeMap::from([("github.action_repository".to_owned(), String::new())]);
    for (name, input) in action["inputs"].as_object().unwrap() {
        let given = inputs.iter().find(|(given, _)| given == name).map(|(_, value)| *value);
        let value = given.or(input["default"].as_str()).unwrap_or_default();
        values.insert(format!("inputs.{name}"), value.to_owned());
    }
    let mut runner = Runner { folder: temp, values, programs: PathBuf::new() };
    let mut printed = String::new();
    for step in action["runs"]["steps"].as_array().unwrap() {
        let Some(run) = step["run"].as_str() else { continue };
        let is_run = match step["if"].as_str() {
            None => true,
            Some("steps.find.outputs.installed != 'true'") => runner
                .values
                .get("steps.find.outputs.installed")
                .is_none_or(|value| value != "true"),
            Some("inputs.args != ''") => !runner.values["inputs.args"].is_empty(),
            other => panic!("{other:?}"),
        };
        if !is_run {
            continue;
        }
        let (output, paths) = (temp.join("output"), temp.join("paths"));
        fs::write(&output, "").unwrap();
        let added = fs::read_to_string(&paths).unwrap_or_default();
        let mut command = Command::new("bash");
        clean(&mut command, temp)
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", run])
            .current_dir(temp)
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_PATH", &paths)
            .env("GITHUB_SERVER_URL", "https://github.example")
            .env("RUNNER_TEMP", temp);
        if !added.is_empty() {
            command.env("PATH", format!("{}:{}", added.trim(), env::var("PATH").unwrap()));
        }
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, runner.evaluate(value.as_str().unwrap()));
        }
        let (code, text) = terminal(&mut command, Duration::from_secs(60));
        printed += &text;
        if code != Some(0) {
            return (code, printed);
        }
        for line in fs::read_to_string(&output).unwrap().lines() {
            let (name, value) = line.split_once('=').unwrap();
            runner.values.insert(format!("steps.find.outputs.{name}"), value.to_owned());
        }
    }
    (Some(0), printed)
}

#[test]
fn the_action_installs_only_an_archive_with_the_expected_digest() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return report_skip(
            "the_action_installs_only_an_archive_with_the_expected_digest",
            "Linux on x86_64",
        );
    }
    let releases = tempfile::tempdir().unwrap();
    let version = format!("{}-test", env!("CARGO_PKG_VERSION"));
    let name = format!("botops-{version}-x86_64-unknown-linux-gnu");
    let folder = releases.path().join(format!("v{version}"));
    fs::create_dir_all(folder.join(&name)).unwrap();
    let fake =
        format!("#!/bin/sh\n[ \"$1\" = --version ] && set -- botops {version}\necho \"$@\"\n");
    fs::write(folder.join(&name).join("botops"), fake).unwrap();
    let script = format!(
        "chmod +x {name}/botops && tar -czf {name}.tar.gz {name} && sha256sum {name}.tar.gz >{name}.tar.gz.sha256"
    );
    assert!(
        Command::new("bash").args(["-c", &script]).current_dir(&folder).status().unwrap().success()
    );
    let address = format!("file://{}", releases.path().display());
    let inputs =
        [("version", version.as_str()), ("releases", &address), ("args", "run 'a' * $(id)")];
    let fresh = || tempfile::tempdir().unwrap();

    let temp = fresh();
    let (code, printed) = install(temp.path(), &inputs);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("run 'a' * $(id)"), "words are not expanded: {printed}");

    let wrong = "0".repeat(64);
    let (code, printed) = install(fresh().path(), &[&inputs[..], &[("sha256", &wrong)]].concat());
    assert!(code == Some(3) && printed.contains("nothing was unpacked"), "{code:?} {printed}");
    // An archive in the cache is checked, too.
    let archive = temp.path().join(format!("botops-archive/{name}.tar.gz"));
    fs::write(&archive, "altered").unwrap();
    fs::remove_file(temp.path().join("paths")).unwrap();
    let (code, printed) = install(temp.path(), &inputs);
    assert!(code == Some(3) && !archive.exists(), "{code:?} {printed}");

    let with = |name: &'static str, value: &'static str| {
        let mut inputs = inputs.to_vec();
        inputs.iter_mut().filter(|(input, _)| *input == name).for_each(|input| input.1 = value);
        install(fresh().path(), &inputs)
    };
    for (input, value, exit, said) in [
        ("releases", "", 2, "BOTOPS_RELEASES"),
        ("releases", "http://127.0.0.1:1", 2, "must begin with https:// or file:///"),
        ("releases", "https://a b", 2, "has a space"),
        ("releases", "file:///nowhere", 7, "could not be downloaded"),
        ("version", "1; id", 2, "must be a version"),
        ("version", "9.9.9", 7, "could not be downloaded"),
    ] {
        let (code, printed) = with(input, value);
        assert_eq!(code, Some(exit), "{input}={value}: {printed}");
        assert!(printed.contains(said) && printed.contains("::error title=botops::"), "{printed}");
    }
}

#[test]
fn a_botops_on_the_path_is_used_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(program(), temp.path().join("botops")).unwrap();
    let action = fs::read_to_string(repository().join("action.yml")).unwrap();
    assert!(action.contains("is installed already"));
    // The programs of the runner are those of this folder, which the first step finds.
    fs::write(temp.path().join("paths"), temp.path().display().to_string()).unwrap();
    let (code, printed) = install(temp.path(), &[("args", "explain BOT-1170")]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("is installed already") && printed.contains("BOT-1170: "),
        "{printed}"
    );
}
