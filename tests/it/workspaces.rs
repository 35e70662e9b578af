//! The workspace of a command: `-C`, the workspace of a pipeline given by its path, and settings that a verb does not need.

use crate::terminal::{Terminal, two_intents};
use std::fs;

const PIPELINE: &str = "version: 1\nname: weekly\nstages:\n- validate: { data: data.csv }\n\
    - split: { from: validate, test_share: 0.2 }\n- train: { from: split }\n";

/// A folder with the workspace `sub` in it.
fn around_a_workspace() -> Terminal {
    let terminal = Terminal::new();
    fs::create_dir_all(terminal.path().join("sub/pipelines")).unwrap();
    fs::create_dir_all(terminal.path().join("elsewhere")).unwrap();
    terminal
        .write("sub/botops.yaml", "version: 1\nmodel: bot\n")
        .write("sub/data.csv", two_intents(30))
        .write("sub/pipelines/weekly.yaml", PIPELINE);
    terminal
}

fn names(terminal: &Terminal, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(terminal.path().join(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_pipeline_runs_in_the_workspace_that_it_belongs_to() {
    let terminal = around_a_workspace();
    let dry = terminal.stdout("run sub/pipelines/weekly.yaml --dry-run");
    assert!(dry.contains("validate"), "{dry}");
    let done = terminal.run("run sub/pipelines/weekly.yaml");
    assert!(done.starts_with("exit: 0\n"), "{done}");
    assert!(done.contains("`botops -C sub runs list`"), "{done}");
    assert_eq!(names(&terminal, "."), ["elsewhere", "sub"]);
    assert!(terminal.path().join("sub/.botops/pipelines/weekly/train/model.botops").is_file());
    let runs = terminal.stdout("-C sub runs list");
    assert_eq!(runs.lines().count(), 2, "{runs}");
    let status = terminal.stdout("pipeline status sub/pipelines/weekly.yaml");
    assert!(status.contains("nothing to do"), "{status}");
    // From a folder beside it, and from inside, it is the same workspace.
    for line in [
        "-C elsewhere run ../sub/pipelines/weekly.yaml",
        "-C sub/pipelines run weekly.yaml",
        "-C sub pipeline status pipelines/weekly.yaml",
    ] {
        let again = terminal.run(line);
        assert!(again.starts_with("exit: 0\n"), "{line}: {again}");
        assert!(again.contains("cached") || again.contains("nothing to do"), "{line}: {again}");
    }
    assert!(names(&terminal, "elsewhere").is_empty());
}

#[test]
fn a_pipeline_without_its_files_leaves_no_folder() {
    let terminal = Terminal::new();
    terminal.write("p.yaml", PIPELINE).write(
        "t.yaml",
        format!(
            "{PIPELINE}tune: {{ metric: macro_f1, trials: 2, space: {{ head.c: {{ log_uniform: [0.3, 30] }} }} }}\n"
        ),
    );
    for line in ["run p.yaml", "run p.yaml --dry-run", "tune t.yaml"] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-1001"), "{refused}");
        assert_eq!(names(&terminal, "."), ["p.yaml", "t.yaml"], "{line}");
    }
}

#[test]
fn a_command_works_in_the_folder_that_it_is_given() {
    let terminal = around_a_workspace();
    let trained = terminal.run("-C sub train data.csv --out m.botops");
    assert!(trained.starts_with("exit: 0\n"), "{trained}");
    assert!(trained.contains("next: `botops -C sub predict m.botops hello`"), "{trained}");
    assert!(terminal.path().join("sub/m.botops").is_file());
    let predicted = terminal.stdout("predict -C sub m.botops parcel");
    assert!(predicted.starts_with("order_status"), "{predicted}");
    for folder in ["nowhere", "sub/data.csv"] {
        let refused = terminal.run(&format!("-C {folder} doctor"));
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-1056"), "{refused}");
    }
}

#[test]
fn a_token_that_is_not_set_breaks_only_verbs_that_need_it() {
    let terminal = around_a_workspace();
    terminal.write(
        "sub/botops.yaml",
        "version: 1\nmodel: bot\nserver: { admin_url: \"http://127.0.0.1:9\", admin_token: \"${env:NOT_SET}\" }\n",
    );
    for line in [
        "-C sub train data.csv --out m.botops",
        "-C sub push m.botops --name bot",
        "-C sub registry list",
        "-C sub runs list",
        "-C sub predict m.botops hello",
        "run sub/pipelines/weekly.yaml",
        "pipeline status sub/pipelines/weekly.yaml",
    ] {
        let done = terminal.run(line);
        assert!(done.starts_with("exit: 0\n"), "{line}: {done}");
    }
    for line in ["-C sub rollout status", "-C sub rollback --reason x", "-C sub serve m.botops"] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-1021"), "{refused}");
        assert!(refused.contains("`NOT_SET`"), "{refused}");
    }
    let doctor = terminal.run("-C sub doctor");
    assert!(doctor.starts_with("exit: 0\n") && doctor.contains("BOT-1021"), "{doctor}");
}
