//! Every verb with an output that the user names: existing files, links, and `--force`.

use crate::{
    conversations::{IDENTITY_KEY, stored_with},
    predictions::logged,
    terminal::{Terminal, two_intents},
};
use std::{collections::BTreeSet, fs};

/// A verb with an output: its name and flag, and its command line with `OUT` as the file to write.
struct Writer {
    output: &'static str,
    line: &'static str,
    /// Whether the line also runs with `--force`; a promotion and a search would take long.
    is_run: bool,
}

const fn writer(output: &'static str, line: &'static str) -> Writer {
    Writer { output, line, is_run: true }
}

const WRITERS: [Writer; 38] = [
    writer("validate --quarantine", "validate broken.csv --quarantine OUT"),
    writer("validate --baseline", "validate broken.csv --baseline OUT --write-baseline"),
    writer("validate --html", "validate broken.csv --html OUT"),
    writer("validate --report", "validate broken.csv --report sarif=OUT"),
    writer("train --out", "train data.csv --out OUT"),
    writer("train --html", "train data.csv --cross-validate 2 --html OUT"),
    Writer { output: "tune --out", line: "tune search.yaml --out OUT", is_run: false },
    Writer { output: "tune --html", line: "tune search.yaml --out new --html OUT", is_run: false },
    writer("evaluate --html", "evaluate model.botops data.csv --html OUT"),
    writer("gate --out", "gate model.botops data.csv --min accuracy=0.1 --out OUT"),
    writer("predict --out", "predict model.botops --data data.csv --out OUT"),
    writer("drift --html", "drift data.csv data.csv --html OUT"),
    writer("drift --out", "drift data.csv data.csv --out OUT"),
    Writer { output: "run --report", line: "run search.yaml --report sarif=OUT", is_run: false },
    Writer { output: "monitor --html", line: "monitor --model bot --html OUT", is_run: false },
    Writer { output: "promote --html", line: "promote bot@1 --html OUT", is_run: false },
    writer("data import --out", "data import data.csv --out OUT"),
    writer("data import --terms", "data import data.csv --out new.csv --terms OUT"),
    writer("data export --out", "data export data.csv --to csv --out OUT"),
    writer("data infer --out", "data infer data.csv --out OUT"),
    writer("data profile --html", "data profile data.csv --html OUT"),
    writer("data profile --out", "data profile data.csv --out OUT"),
    writer("data label-issues --out", "data label-issues data.csv --folds 2 --out OUT"),
    writer("data repair --patch", "data repair broken.csv --patch OUT"),
    writer("data repair --out", "data repair broken.csv --quarantine q.csv --out OUT"),
    writer(
        "data repair --left",
        "data repair broken.csv --quarantine q.csv --out new.csv --left OUT",
    ),
    writer("data suggest --out", "data suggest traffic.csv --model model.botops --out OUT"),
    writer("data merge --out", "data merge data.csv labelled.csv --out OUT"),
    writer("data merge --refused", "data merge data.csv labelled.csv --out new.csv --refused OUT"),
    writer("runs reproduce --out", "runs reproduce latest --out OUT"),
    writer("registry pull --out", "registry pull bot@1 --out OUT"),
    writer("registry gc --plan", "registry gc --plan OUT"),
    writer("conversations export --out", "conversations export c1 --out OUT"),
    writer("predictions export --out", "predictions export --out OUT"),
    writer("knowledge import --out", "knowledge import doc.md --into help --out OUT"),
    writer("knowledge pull --out", "knowledge pull help --out OUT"),
    writer("knowledge evaluate --html", "knowledge evaluate help questions.jsonl --html OUT"),
    // It needs a server.
    Writer {
        output: "bench serve --out",
        line: "bench serve http://127.0.0.1:1 --profile load.yaml --out OUT",
        is_run: false,
    },
];

/// Outputs with rules of their own, which other tests check.
const OTHERS: [&str; 5] = [
    // Folders: one that exists is refused, or each file in it is checked.
    "knowledge pull --documents",
    "data pull --out",
    "data split --out",
    // A file that is no lock is refused, because it is read first.
    "data split --lock",
    // Needs `--to model-card`.
    "runs export --out",
];

/// Returns the flags of every verb that write a file or a folder, by the help of the flags.
fn flags_that_write(command: &clap::Command, verb: &str, found: &mut BTreeSet<String>) {
    for argument in command.get_arguments() {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let writes = help.contains("rite") && help.contains("to this")
            || help.starts_with("Write a report")
            || help.starts_with("Write the current findings as the baseline")
            || help.contains("created if it does not exist")
            || help.contains("Folder to write")
            || help.contains("Folder for the files");
        let flag = match argument.get_long() {
            Some("write-baseline") => "baseline",
            Some(long) => long,
            None => continue,
        };
        if writes {
            found.insert(format!("{verb} --{flag}").trim().to_owned());
        }
    }
    for inner in command.get_subcommands() {
        let verb = format!("{verb} {}", inner.get_name());
        flags_that_write(inner, verb.trim(), found);
    }
}

#[test]
fn every_flag_that_writes_a_file_is_tested() {
    let mut found = BTreeSet::new();
    flags_that_write(&botops::cli::command(), "", &mut found);
    let tested: BTreeSet<String> =
        WRITERS.iter().map(|writer| writer.output).chain(OTHERS).map(str::to_owned).collect();
    assert_eq!(found, tested);
}

fn terminal() -> Terminal {
    let terminal = Terminal::new();
    let data = two_intents(30);
    terminal.write("data.csv", &data).write("broken.csv", format!("{data}  refund me ,\n"));
    terminal.write(
        "load.yaml",
        "version: 1\nname: a\nloop: closed\nstages: [{ name: a, duration: 1s, users: 1 }]\n",
    );
    terminal.write("traffic.csv", "text\nzebra please now\ncurtains about today\n");
    terminal.write("labelled.csv", "id,text,intent\nx1,give it back now,account_help\n");
    terminal.write(
        "search.yaml",
        "version: 1\nname: search\nstages:\n- validate: { data: data.csv }\n\
         - split: { from: validate, test_share: 0.2 }\n\
         - train: { from: split, model: { head: { kind: linear_svm } } }\n\
         tune: { metric: macro_f1, trials: 2, space: { head.c: { log_uniform: [0.3, 30] } } }\n",
    );
    terminal.stdout("train data.csv --out model.botops --record");
    terminal.stdout("push model.botops --name bot");
    terminal.run("validate broken.csv --quarantine q.csv");
    terminal.write("doc.md", "# Returns\n\nSend it back within 30 days.\n");
    let question = r#"{"id": "ID", "question": "when may i return it ID", "answers": ["30 days"], "documents": ["doc.md"]}"#;
    let questions = (0..40).map(|n| question.replace("ID", &format!("q{n}")) + "\n");
    terminal.write("questions.jsonl", questions.collect::<String>());
    terminal.stdout("knowledge import doc.md --into help");
    terminal.write(".botops/keys/identity_key", IDENTITY_KEY);
    stored_with(&terminal, None);
    logged(&terminal, 2);
    terminal
}

#[test]
fn a_file_that_botops_did_not_write_is_replaced_only_with_force_and_links_are_not_followed() {
    let terminal = terminal();
    let at = |name: &str| terminal.path().join(name);
    let mine = "model: support\n";
    for Writer { output, line, is_run } in &WRITERS {
        let out = if line.contains("import") || line.contains("merge") { "out.csv" } else { "out" };
        let line = line.replace("OUT", out);
        terminal.write(out, mine).write("botops.txt", mine);
        let refused = terminal.run(&line);
        assert!(refused.starts_with("exit: 2\n"), "{output}: {refused}");
        assert!(refused.contains("BOT-2219") && refused.contains("--force"), "{output}: {refused}");
        assert_eq!(fs::read_to_string(at(out)).unwrap(), mine, "{output}");

        fs::remove_file(at(out)).unwrap();
        std::os::unix::fs::symlink("botops.txt", at(out)).unwrap();
        let refused = terminal.run(&line);
        assert!(refused.starts_with("exit: 2\n"), "{output}: {refused}");
        assert!(refused.contains("BOT-1033"), "{output}: {refused}");
        assert!(at(out).is_symlink(), "{output}");
        if *is_run {
            let forced = terminal.run(&format!("{line} --force"));
            assert!(!forced.contains("BOT-2219") && !forced.contains("BOT-1033"), "{forced}");
            assert!(!forced.starts_with("exit: 2\n"), "{output}: {forced}");
            assert!(at(out).is_file() && !at(out).is_symlink(), "{output}: {forced}");
            assert_ne!(fs::read_to_string(at(out)).unwrap_or_default(), mine, "{output}");
        }
        assert_eq!(fs::read_to_string(at("botops.txt")).unwrap(), mine, "{output}: the target");
        for left in [out, "new", "new.csv"] {
            let _ = fs::remove_file(at(left));
        }
    }
}

#[test]
fn an_output_named_dash_is_standard_output_and_the_answer_goes_to_standard_error() {
    let terminal = terminal();
    let before = names(&terminal);
    for Writer { output, line, is_run } in &WRITERS {
        let line = line.replace("=OUT", "=-").replace("OUT", "-");
        if *output == "validate --baseline" {
            let refused = terminal.run(&line);
            assert!(refused.starts_with("exit: 2\n"), "{output}: {refused}");
            continue;
        }
        let refused = terminal.run(&format!("{line} --format json"));
        assert!(refused.starts_with("exit: 2\n"), "{output}: {refused}");
        assert!(refused.contains("BOT-1009"), "{output}: {refused}");
        assert!(refused.contains("standard output"), "{output}: {refused}");
        if !is_run {
            continue;
        }
        let done = terminal.command(&line).output().unwrap();
        let (out, err) = (done.stdout, String::from_utf8(done.stderr).unwrap());
        assert!(matches!(done.status.code(), Some(0 | 3 | 4)), "{output}: {err}");
        assert!(!err.contains("error[") || done.status.code() == Some(3), "{output}: {err}");
        // The bytes are those of a file.
        let begin = beginning(output);
        let shown = String::from_utf8_lossy(&out[..out.len().min(200)]);
        assert!(out.starts_with(begin), "{output}: {shown}\n{err}");
        assert!(!err.is_empty() && !err.contains("next:"), "{output}: {err}");
        for name in ["new", "new.csv"] {
            let _ = fs::remove_file(terminal.path().join(name));
        }
        assert_eq!(names(&terminal), before, "{output} made a file");
    }
    let refused = terminal.run("validate broken.csv --quarantine - --report sarif=-");
    assert!(refused.starts_with("exit: 2\n"), "{refused}");
    assert!(refused.contains("`--quarantine -` and `--report -`"), "{refused}");
    for line in ["data pull bot@1 --out -", "data split data.csv --out -"] {
        assert!(terminal.run(line).starts_with("exit: 2\n"), "{line}");
    }
    let refused = terminal.run("data split data.csv --out sides --lock -");
    assert!(refused.contains("cannot be standard output"), "{refused}");
    assert_eq!(names(&terminal), before);
    // A file with this name is written by its path.
    terminal.stdout("predict model.botops --data data.csv --out ./-");
    assert!(terminal.path().join("-").is_file());
}

/// Returns the names in the folder, without the store of runs and the caches.
fn names(terminal: &Terminal) -> BTreeSet<String> {
    let entries = fs::read_dir(terminal.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !["experiments", ".botops"].contains(&name.as_str())).collect()
}

/// Returns the first bytes of the file of an output.
fn beginning(output: &str) -> &'static [u8] {
    match output {
        "train --out" | "runs reproduce --out" | "registry pull --out" => b"\x89BOTOPS\n",
        "knowledge import --out" | "knowledge pull --out" => b"\x89BOTKNW\n",
        "validate --quarantine" | "data repair --left" | "data merge --refused" => {
            b"file,record,line,"
        }
        "data label-issues --out" => b"file,record,line,text,intent,",
        "validate --report"
        | "gate --out"
        | "conversations export --out"
        | "predictions export --out"
        | "registry gc --plan"
        | "data profile --out" => b"{",
        "drift --out" => b"id,text,suggested_intent,confidence,intent,",
        "predict --out" => b"record,text,truth,intent,",
        "data import --out" | "data export --out" | "data merge --out" => b"text,intent",
        "data import --terms" => b"version:",
        "data infer --out" | "data suggest --out" | "data repair --patch" | "data repair --out" => {
            b""
        }
        _ => b"<!doctype html>",
    }
}

#[test]
fn a_list_of_label_issues_that_was_edited_is_replaced_only_with_force() {
    let terminal = terminal();
    let line = "data label-issues data.csv --folds 2 --out issues.csv";
    terminal.stdout(line);
    terminal.stdout(line);
    let list = fs::read_to_string(terminal.path().join("issues.csv")).unwrap();
    let edited = format!("{list}data.csv,1,2,reviewed,refund,account_help,,,,,,\n");
    terminal.write("issues.csv", &edited);
    let refused = terminal.run(line);
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-2219"), "{refused}");
    assert_eq!(fs::read_to_string(terminal.path().join("issues.csv")).unwrap(), edited);
    terminal.stdout(&format!("{line} --force"));
    assert_eq!(fs::read_to_string(terminal.path().join("issues.csv")).unwrap(), list);
}

#[test]
fn a_file_that_botops_wrote_is_replaced_without_force_by_one_of_its_kind() {
    let terminal = terminal();
    // The second run of each line replaces the file of the first; the data of both differ.
    let lines = [
        "train DATA --out again.botops",
        "evaluate model.botops DATA --html page.html",
        "gate model.botops DATA --min accuracy=0.1 --out gate.json",
        "predict model.botops --data DATA --out predicted.csv",
        "predict model.botops --data DATA --out predicted.jsonl",
        "validate DATA --html validation.html",
        "validate DATA --report sarif=found.sarif,junit=found.xml,markdown=found.md,github=found.txt",
        "validate DATA --baseline known.json --write-baseline",
        "data label-issues DATA --folds 2 --out issues.csv",
    ];
    for data in ["data.csv", "broken.csv"] {
        for line in lines {
            let text = terminal.run(&line.replace("DATA", data));
            assert!(!text.contains("BOT-2219") && !text.starts_with("exit: 2\n"), "{line}: {text}");
        }
    }
    // Another kind does not replace it.
    for line in [
        "gate model.botops data.csv --min accuracy=0.1 --out known.json",
        "train data.csv --out page.html",
        "validate data.csv --html again.botops",
        "predict model.botops --data data.csv --out issues.csv",
    ] {
        let text = terminal.run(line);
        assert!(text.starts_with("exit: 2\n") && text.contains("BOT-2219"), "{line}: {text}");
    }
}

#[test]
fn a_table_that_was_edited_and_a_card_are_replaced_without_force_only_by_the_same_content() {
    let terminal = terminal();
    for line in [
        "data import data.csv --out all.csv",
        "data split data.csv --out sides",
        "runs export latest --to model-card --out card.md",
    ] {
        for _ in 0..2 {
            let text = terminal.run(line);
            assert!(text.starts_with("exit: 0\n"), "{line}: {text}");
        }
    }
    let card = fs::read_to_string(terminal.path().join("card.md")).unwrap();
    terminal.write("card.md", format!("{card}Notes of mine.\n"));
    // A table that botops wrote, and nobody edited, is replaced by another one.
    for data in ["broken.csv", "data.csv"] {
        let text = terminal.run(&format!("data import {data} --out all.csv"));
        assert!(!text.contains("BOT-2219"), "{text}");
    }
    let table = fs::read_to_string(terminal.path().join("all.csv")).unwrap();
    terminal.write("all.csv", format!("{table}mine,x,,\n"));
    for line in [
        "data import broken.csv --out all.csv",
        "runs export latest --to model-card --out card.md",
        "runs export latest --to model-card --out card.md --dry-run",
    ] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-2219"), "{refused}");
        if !line.contains("--dry-run") {
            let forced = terminal.run(&format!("{line} --force"));
            assert!(!forced.starts_with("exit: 2\n"), "{line}: {forced}");
        }
        terminal.write("card.md", "Notes of mine.\n");
    }
}

#[test]
fn a_split_replaces_the_sides_of_an_earlier_split_but_no_other_files() {
    let terminal = terminal();
    let side = || fs::read_to_string(terminal.path().join("sides/test.csv")).unwrap();
    terminal.stdout("data split data.csv --out sides --lock lock.json");
    let first = side();
    // The data grows.
    terminal.write("data.csv", two_intents(40));
    terminal.stdout("data split data.csv --out sides --lock lock.json");
    let second = side();
    assert_ne!(first, second);
    terminal.write("data.csv", two_intents(50)).write("sides/test.csv", "text,intent\nmine,x\n");
    for more in ["", " --dry-run"] {
        let refused =
            terminal.run(&format!("data split data.csv --out sides --lock lock.json{more}"));
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-2219"), "{refused}");
        assert_eq!(side(), "text,intent\nmine,x\n");
    }
    terminal.stdout("data split data.csv --out sides --lock lock.json --force");
    assert!(side().len() > second.len());
}

#[test]
fn a_training_whose_run_has_no_place_writes_no_model() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(10));
    for line in [
        "train data.csv --record --experiments s3:/b --out m.botops",
        "train data.csv --record --experiments s3:/b --out m.botops --dry-run",
        "train data.csv --record --experiments s3:/b --cross-validate 2 --html m.botops",
    ] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-5001"), "{refused}");
        assert!(!terminal.path().join("m.botops").exists(), "{line}");
    }
    terminal.stdout("train data.csv --out m.botops");
}
