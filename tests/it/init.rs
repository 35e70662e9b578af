//! `botops init`: a new workspace asks nothing, overwrites nothing and runs; and `botops pipeline diff`, which says what a
//! change to it does.

use crate::terminal::{Terminal, two_intents};
use std::{fs, path::Path};

/// Returns every file below `folder` with its content, without caches and stores.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if path.is_dir() && ![".botops", "registry", "experiments"].contains(&name.as_str()) {
                open.push(path);
            } else if path.is_file() {
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_new_workspace_runs_and_the_second_time_nothing_is_left_to_do() {
    let terminal = Terminal::new();
    let answer = terminal.stdout("init \"My Bot\" --ci github");
    assert!(
        answer.starts_with("datasets/my-bot/utterances.csv: 70 records, 3 intents (an example)\n"),
        "{answer}"
    );
    let root = terminal.path().join("My Bot");
    let written = files(&root);
    let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            ".github/actions/botops/action.yml",
            ".github/workflows/botops-pull-request.yml",
            ".github/workflows/botops-weekly.yml",
            ".gitignore",
            "botops.yaml",
            "datasets/my-bot/behaviour.yaml",
            "datasets/my-bot/expectations.yaml",
            "datasets/my-bot/utterances.csv",
            "pipelines/rollout.yaml",
            "pipelines/weekly.yaml",
        ]
    );
    for name in &names {
        assert!(answer.contains(&format!("wrote {name}\n")), "{name}: {answer}");
    }
    let there = |line: &str| terminal.run(&format!("-C \"My Bot\" {line}"));
    let valid = there("validate datasets/my-bot/utterances.csv");
    assert!(valid.starts_with("exit: 0\n") && valid.contains("0 errors, 0 warnings"), "{valid}");
    let empty = there("registry list");
    assert!(empty.contains("run pipelines/weekly.yaml") && !empty.contains(" push "), "{empty}");
    let first = there("run pipelines/weekly.yaml");
    assert!(first.starts_with("exit: 0\n") && first.contains("my-bot@1"), "{first}");
    assert!(first.contains("behaviour: minimum"), "the behavioural tests ran: {first}");
    assert!(first.contains("no log yet: nothing to merge"), "it learns from last week: {first}");
    let promoted = there("promote --plan pipelines/rollout.yaml");
    assert!(promoted.contains("my-bot@1 is the first champion"), "{promoted}");
    let again = there("pipeline status");
    assert!(again.contains("nothing to do"), "{again}");
    let promoted = there("promote --plan pipelines/rollout.yaml");
    assert!(promoted.contains("is the champion already: nothing to do"), "{promoted}");

    // Own changes stay, also without `--ci`; the data of the pipeline is found again.
    let pipeline = root.join("pipelines/weekly.yaml");
    let mine = fs::read_to_string(&pipeline).unwrap().replace("seed: 17", "seed: 18");
    fs::write(&pipeline, &mine).unwrap();
    let answer = there("init");
    assert!(answer.starts_with("exit: 0\n") && answer.contains("nothing to do"), "{answer}");
    assert!(
        !answer.contains("wrote ") && answer.contains("kept pipelines/weekly.yaml"),
        "{answer}"
    );
    assert_eq!(fs::read_to_string(&pipeline).unwrap(), mine);
}

#[test]
fn expectations_and_the_pipeline_fit_the_data_at_hand() {
    let terminal = Terminal::new();
    let data = two_intents(40).replace("text,intent", "Utterance text,class");
    terminal.write("bot/data/old: #1.csv", &data).write("elsewhere/my data.csv", &data);
    let columns = "--text-column \"Utterance text\" --intent-column class";
    // A file of the workspace stays where it is, whatever its name.
    let answer = terminal.stdout(&format!("init bot --data \"bot/data/old: #1.csv\" {columns}"));
    assert!(
        answer.contains("wrote data/expectations.yaml\n") && !answer.contains(".csv\nwrote"),
        "{answer}"
    );
    assert!(terminal.run("-C bot run pipelines/weekly.yaml").starts_with("exit: 0\n"));
    let expectations =
        fs::read_to_string(terminal.path().join("bot/data/expectations.yaml")).unwrap();
    assert!(expectations.contains("intents: [account_help, order_status]"), "{expectations}");

    let tests = fs::read_to_string(terminal.path().join("bot/data/behaviour.yaml")).unwrap();
    assert!(
        tests.contains("intent: order_status") && tests.contains("      - \"parcel "),
        "{tests}"
    );

    // Data whose texts all hold personal data gives no tests, and a pipeline without them.
    let personal = data.replace("parcel ", "a@b.example ").replace("password ", "c@d.example ");
    terminal.write("elsewhere/personal.csv", personal);
    let answer = terminal.stdout(&format!("init personal --data elsewhere/personal.csv {columns}"));
    assert!(!answer.contains("behaviour.yaml"), "{answer}");
    let pipeline = terminal.path().join("personal/pipelines/weekly.yaml");
    assert!(!fs::read_to_string(pipeline).unwrap().contains("behaviour"));

    // One from outside is copied.
    let answer = terminal.stdout(&format!("init other --data \"elsewhere/my data.csv\" {columns}"));
    assert!(answer.contains("wrote datasets/other/my data.csv\n"), "{answer}");
    let copy =
        fs::read_to_string(terminal.path().join("other/datasets/other/my data.csv")).unwrap();
    assert_eq!(copy, data);
    assert!(terminal.run("-C other run pipelines/weekly.yaml").starts_with("exit: 0\n"));
}

#[test]
fn the_same_input_gives_the_same_files_and_a_dry_run_writes_none() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    for system in ["github", "gitlab"] {
        let dry = terminal.run(&format!("init dry --data data.csv --ci {system} --dry-run"));
        assert!(dry.starts_with("exit: 0\n") && dry.contains("would write botops.yaml"), "{dry}");
        assert!(!terminal.path().join("dry").exists(), "a dry run writes nothing");
        terminal.stdout(&format!("init a/{system} --data data.csv --ci {system}"));
        terminal.stdout(&format!("init b/{system} --data data.csv --ci {system}"));
        let written = files(&terminal.path().join("a").join(system));
        assert!(written.len() > 5);
        assert_eq!(written, files(&terminal.path().join("b").join(system)), "{system}");
    }
}

#[test]
fn a_mistake_is_found_before_anything_is_written() {
    let terminal = Terminal::new();
    terminal
        .write("data.csv", two_intents(20))
        .write("one.csv", "text,intent\na,x\nb,x\nc,oos\n")
        .write("none.csv", "text\na\nb\n")
        .write("taken/pipelines", "mine")
        .write("repository/.git/HEAD", "ref: refs/heads/main\n")
        .write("odd/botops.yaml", "modle: bot\n");
    let mistakes = [
        ("init new --data -", 2, "BOT-1171"),
        ("init new --data missing.csv", 2, "BOT-1171"),
        ("init new --data taken", 2, "BOT-1171"),
        ("init new --data one.csv", 3, "BOT-1172"),
        ("init new --data none.csv", 2, "BOT-2101"),
        ("init new --data data.csv --text-column nothing", 2, "BOT-2101"),
        ("init taken --data data.csv", 2, "BOT-1170"),
        ("init taken --data data.csv --dry-run", 2, "BOT-1170"),
        ("init data.csv", 2, "BOT-1170"),
        ("init repository/sub --ci github", 2, "BOT-1173"),
        ("init odd", 2, "BOT-1011"),
        ("init new --ci jenkins", 2, "jenkins"),
    ];
    let before = files(terminal.path());
    for (line, exit, code) in mistakes {
        let answer = terminal.run(line);
        assert!(answer.starts_with(&format!("exit: {exit}\n")), "{line}: {answer}");
        assert!(answer.contains(code), "{line}: {answer}");
        assert_eq!(files(terminal.path()), before, "{line} wrote something");
    }
}

#[test]
fn an_existing_gitignore_is_kept_and_its_missing_lines_are_named() {
    let terminal = Terminal::new();
    terminal.write("bot/.gitignore", "*.log\n.botops\n");
    let answer = terminal.run("init bot");
    assert!(answer.starts_with("exit: 0\n"), "{answer}");
    assert!(
        answer.contains("BOT-1175") && answer.contains("/registry/, /experiments/"),
        "{answer}"
    );
    assert!(!answer.contains("does not list .botops"), "{answer}");
    assert_eq!(
        fs::read_to_string(terminal.path().join("bot/.gitignore")).unwrap(),
        "*.log\n.botops\n"
    );
}

/// A workspace `before`, and a copy `after` in which half of the records of an intent have another label, and a hostile
/// utterance was added.
fn changed() -> Terminal {
    let terminal = Terminal::new();
    let data = two_intents(60);
    terminal.write("before/data/d.csv", &data);
    let mut after = String::new();
    for (n, line) in data.lines().enumerate() {
        after.push_str(&if n % 4 == 1 {
            line.replace("order_status", "account_help")
        } else {
            line.to_owned()
        });
        after.push('\n');
    }
    after.push_str("\"<!-- x --> @team ::error::[a](https://evil.example) `$(id)` me@example.org | \",order_status\n");
    terminal.write("after/data/d.csv", &after);
    for side in ["before", "after"] {
        terminal.stdout(&format!("init {side} --data {side}/data/d.csv"));
    }
    terminal
}

#[test]
fn a_pipeline_diff_shows_the_data_the_metrics_and_the_changed_predictions() {
    let terminal = changed();
    let same =
        terminal.run("pipeline diff before/pipelines/weekly.yaml before/pipelines/weekly.yaml");
    assert!(same.starts_with("exit: 0\n") && same.contains("nothing changed"), "{same}");
    assert!(same.contains("newly right 0, newly wrong 0"), "{same}");

    let line = "pipeline diff before/pipelines/weekly.yaml after/pipelines/weekly.yaml";
    let worse = terminal.run(line);
    assert!(worse.contains("moved to another intent"), "{worse}");
    assert!(worse.contains("against before/pipelines/weekly.yaml"), "{worse}");

    let markdown = terminal.run(&format!("{line} --format markdown"));
    assert!(markdown.contains("\n<!-- botops pipeline diff -->\n## botops: "), "{markdown}");
    assert!(
        markdown.contains("| moved | order_status → account&#95;help |")
            || markdown.contains("| moved |"),
        "{markdown}"
    );
    for raw in ["@team", "[a](", "https://evil", "`$(", "me@example.org", "<!-- x"] {
        assert!(!markdown.contains(raw), "`{raw}` in {markdown}");
    }
    let json = terminal.run(&format!("{line} --format json"));
    assert!(json.contains("botops.pipeline.diff/1") && json.contains("\"comparison\""), "{json}");

    // Rows in the test side that the model before had learned are left out, and the answer says so.
    assert!(terminal.path().join("before/.botops/pipelines/weekly/train").is_dir());
    assert!(!terminal.path().join("before/registry").exists(), "no registry is written");
}

#[test]
fn a_side_that_cannot_be_trained_is_named_and_the_rest_is_shown() {
    let terminal = changed();
    let strict = "version: 1\nintents: [nothing_else]\n";
    terminal.write("after/data/expectations.yaml", strict);
    let line =
        "pipeline diff before/pipelines/weekly.yaml after/pipelines/weekly.yaml --format markdown";
    let answer = terminal.run(line);
    assert!(answer.starts_with("exit: 3\n") && answer.contains("BOT-8020"), "{answer}");
    assert!(
        answer.contains("the model could not be trained") && answer.contains("### Data"),
        "{answer}"
    );

    terminal.write("after/data/expectations.yaml", "version: 1\n");
    terminal.write("before/data/expectations.yaml", strict);
    let answer = terminal.run(line);
    assert!(answer.contains("the model before could not be trained"), "{answer}");
    assert!(answer.contains("### Evaluation"), "{answer}");

    let none = "version: 1\nname: none\nstages:\n- validate: { data: data/d.csv }\n";
    terminal.write("after/pipelines/weekly.yaml", none);
    let answer = terminal.run(line);
    assert!(answer.starts_with("exit: 2\n") && answer.contains("BOT-1176"), "{answer}");
    let answer = terminal.run("pipeline diff gone.yaml before/pipelines/weekly.yaml");
    assert!(answer.starts_with("exit: 2\n") && answer.contains("BOT-1001"), "{answer}");
}
