//! The hooks for pre-commit, run by the real one: those for the repositories of others, and ours.

use crate::{
    support::{Folder, clean, program, report_skip, repository, terminal, tool},
    terminal::two_intents,
    written_workflows::{commit, git},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(120);
const NEEDED: &str = "pre-commit (from PyPI)";

/// Prepares pre-commit in `folder`, with its cache in `cache`, and with the program under test on the PATH.
fn pre_commit(found: &Path, folder: &Path, cache: &Path) -> Command {
    let mut command = Command::new(found);
    let mut paths = vec![program().parent().unwrap().to_owned()];
    paths.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    clean(&mut command, cache).current_dir(folder);
    command.env("PATH", env::join_paths(paths).unwrap()).env("PRE_COMMIT_HOME", cache);
    command
}

/// The pages of the hooks as another repository gets them: the manifest at a commit.
fn published() -> (Folder, String) {
    let folder = Folder::empty();
    let manifest = repository().join(".pre-commit-hooks.yaml");
    folder.write(".pre-commit-hooks.yaml", fs::read_to_string(manifest).unwrap());
    git(folder.path(), &["init", "--quiet", "--initial-branch", "main"]);
    commit(folder.path(), "hooks");
    let at = git(folder.path(), &["rev-parse", "HEAD"]).trim().to_owned();
    (folder, at)
}

fn found() -> Option<PathBuf> {
    tool("BOTOPS_PRE_COMMIT", "pre-commit")
}

#[test]
fn another_repository_hooks_the_checks_of_data_and_settings() {
    let name = "another_repository_hooks_the_checks_of_data_and_settings";
    let Some(pre_commit_program) = found() else { return report_skip(name, NEEDED) };
    let (hooks, at) = published();
    let (folder, cache) = (Folder::empty(), Folder::empty());
    git(folder.path(), &["init", "--quiet", "--initial-branch", "main"]);
    let configuration = format!(
        "repos:\n  - repo: {}\n    rev: {at}\n    hooks:\n      - id: botops-validate\n        \
         args: [--expectations=rules.yaml]\n      - id: botops-settings\n",
        hooks.path().display()
    );
    folder.write(".pre-commit-config.yaml", configuration);
    folder.write("rules.yaml", "version: 1\nintents: [order_status, account_help]\n");
    folder.write("data/first.csv", two_intents(40)).write("data/second.csv", two_intents(50));
    folder.write("botops.yaml", "version: 1\nregistry: registry\n").write("notes.txt", "text\n");
    git(folder.path(), &["add", "--all"]);
    let run = || {
        let mut command = pre_commit(&pre_commit_program, folder.path(), cache.path());
        terminal(command.args(["run", "--color", "never"]), LIMIT)
    };
    let (code, text) = run();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("Passed").count(), 2, "{text}");

    // Each file that is wrong is reported, and the others are still read.
    let wrong = two_intents(40).replace("order_status", "orders");
    folder.write("data/first.csv", &wrong).write("data/third.csv", &wrong);
    git(folder.path(), &["add", "--all"]);
    let (code, text) = run();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("exit code: 3"), "{text}");
    assert!(text.contains("first.csv") && text.contains("third.csv"), "{text}");

    folder.write("data/first.csv", two_intents(40)).write("data/third.csv", two_intents(40));
    folder.write("botops.yaml", "version: 1\nregistri: registry\n");
    git(folder.path(), &["add", "--all"]);
    let (code, text) = run();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("exit code: 2") && text.contains("registri"), "{text}");
}

#[test]
fn our_own_hooks_find_a_secret_and_a_changelog_of_another_form() {
    let name = "our_own_hooks_find_a_secret_and_a_changelog_of_another_form";
    let Some(pre_commit_program) = found() else { return report_skip(name, NEEDED) };
    let (folder, cache) = (Folder::empty(), Folder::empty());
    crate::support::copy_repository(folder.path(), |file| {
        [
            ".pre-commit-config.yaml",
            ".pre-commit-hooks.yaml",
            ".ci",
            "CHANGELOG.md",
            "deploy/release",
        ]
        .iter()
        .any(|kept| file.starts_with(kept))
    });
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["add", "--all"]);
    for (check, file) in [
        ("validate-config", ".pre-commit-config.yaml"),
        ("validate-manifest", ".pre-commit-hooks.yaml"),
    ] {
        let mut command = pre_commit(&pre_commit_program, folder.path(), cache.path());
        let (code, text) = terminal(command.args([check, file]), LIMIT);
        assert_eq!(code, Some(0), "{check}: {text}");
    }
    let run = || {
        let mut command = pre_commit(&pre_commit_program, folder.path(), cache.path());
        // Formatting takes the toolchain and the code.
        terminal(command.env("SKIP", "format").args(["run", "--all-files"]), LIMIT)
    };
    let (code, text) = run();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("Passed").count(), 2, "{text}");
    folder.write("settings.yaml", format!("token: {}p_{}\n", "gh", "a1B2c3D4".repeat(5)));
    folder.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n");
    git(folder.path(), &["add", "--all"]);
    let (code, text) = run();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("settings.yaml:1: GitHub token"), "{text}");
    assert!(text.contains("its first section is not"), "{text}");
}
