//! Pipelines with knowledge: documents are imported, evaluated, gated, registered with the model, and promoted.

use crate::knowledge_versions::{json_of, run, words, workspace};
use crate::support::{Folder, terminal_output};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};

const STAGES: &str = "
  - validate: {data: data.csv}
  - split: {from: validate, near_duplicates: ignored}
  - train: {from: split, dialogue: dialogue.yaml}
";

const JUDGED: &str = "
  - gate:
      from: evaluate
      rules:
        metrics: {accuracy: {min: 0.5}}
        knowledge: {recall_at_5: {min: 0.6}, max_drop: {recall_at_5: 0.05}}
  - push: {model: train, gate: gate}
  - promote:
      version: push
      traffic: traffic.jsonl
      plan: {interval: 10m, steps: [{weight: 50, min_units: 30, deadline: 2d}]}
";

const IMPORTED: &str = "
  - knowledge_import: {documents: pages, into: help}
  - evaluate: {model: train, on: split, knowledge: [{from: knowledge_import, questions: questions.jsonl}]}
";

fn pipeline(head: &str, middle: &str) -> String {
    format!("version: 1\nname: bot\n{head}stages:{STAGES}{middle}{JUDGED}")
}

/// Returns a workspace with a pipeline and traffic.
fn with_pipeline(head: &str, middle: &str) -> Folder {
    let folder = workspace();
    let message = |i: usize| {
        let (hour, minute) = (8 + i / 60, i % 60);
        let text = "return item: within how many days of delivery?";
        format!(
            "{{\"at\":\"2026-01-05T{hour:02}:{minute:02}:00Z\",\"conversation_id\":\"c{i}\",\"text\":\"{text}\",\"truth\":\"returns\"}}\n"
        )
    };
    folder.write("traffic.jsonl", (0..300).map(message).collect::<String>());
    folder.write("bot.yaml", pipeline(head, middle));
    folder
}

/// Returns the states of the stages, by name.
fn states(folder: &Folder) -> BTreeMap<String, String> {
    let status = json_of(folder, "pipeline status bot.yaml");
    let stages = status["stages"].as_array().or_else(|| status.as_array()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    stages.iter().map(|it| (text(&it["stage"]), text(&it["state"]))).collect()
}

fn knowledge_of(folder: &Folder, reference: &str) -> Value {
    json_of(folder, &format!("registry show {reference}"))["knowledge"].clone()
}

#[test]
fn an_edited_document_alone_makes_a_gated_version_that_is_promoted() {
    let folder = with_pipeline("", IMPORTED);
    let first = run(&folder, "run bot.yaml");
    for part in
        ["help@1", "14 documents, 14 added", "help: recall_at_5 ", "bot@1 is the first champion"]
    {
        assert!(first.contains(part), "{part}: {first}");
    }
    let held = knowledge_of(&folder, "bot@1");
    assert_eq!((&held[0]["name"], &held[0]["counts"]["documents"]), (&json!("help"), &json!(14)));
    assert!(states(&folder).values().all(|state| state == "current"), "{:?}", states(&folder));
    let page = ".botops/pipelines/bot/evaluate/knowledge.help.html";
    assert!(folder.read(page).contains("knowledge evaluation"));
    let short = folder.read(&page.replace(".html", ".md"));
    assert!(
        short.starts_with("### Knowledge help on questions.jsonl\n\n14 documents, "),
        "{short}"
    );

    // One page changes: nothing of the model runs again, and the version has the same model file.
    let path = folder.path().join("pages/en/returns.md");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("within 30 days", "within 60 days")).unwrap();
    let planned = states(&folder);
    let of = |name: &str| planned[name].as_str();
    assert_eq!(
        (of("train"), of("knowledge_import"), of("evaluate")),
        ("current", "stale", "stale")
    );
    let dry = run(&folder, "run bot.yaml --dry-run");
    assert!(dry.contains("its input `documents` changed"), "{dry}");
    assert!(!run(&folder, "knowledge log help").contains("help@2"), "a dry run imports nothing");
    let second = run(&folder, "run bot.yaml");
    assert!(second.contains("help@2") && second.contains("0 added, 1 changed"), "{second}");
    assert!(second.contains("bot@2 promoted against bot@1 (rehearsed)"), "{second}");
    let digest = |reference: &str| {
        let files =
            json_of(&folder, &format!("registry show {reference}"))["manifest"]["files"].clone();
        let file =
            files.as_array().unwrap().iter().find(|it| it["path"] == "model.botops").cloned();
        file.unwrap()["digest"].clone()
    };
    assert_eq!(digest("bot@1"), digest("bot@2"));
    assert_ne!(knowledge_of(&folder, "bot@1"), knowledge_of(&folder, "bot@2"));
    assert!(states(&folder).values().all(|state| state == "current"), "{:?}", states(&folder));

    // Most documents go: the gates refuse the version, by the bound and against the champion.
    for name in ["returns", "warranty", "delivery", "billing", "refunds", "account", "complaints"] {
        fs::remove_file(folder.path().join(format!("pages/en/{name}.md"))).unwrap();
    }
    let refused = terminal_output(&mut folder.botops(words("run bot.yaml")));
    assert!(refused.starts_with("exit: 3") && refused.contains("2 of 3 rules failed"), "{refused}");
    assert!(!run(&folder, "registry list bot").contains("bot@3"));
    assert_eq!(json_of(&folder, "registry show bot")["number"], 2);
}

#[test]
fn knowledge_of_the_registry_is_judged_and_its_new_version_makes_the_stages_stale() {
    let base = "
  - evaluate: {model: train, on: split, knowledge: [{base: help, questions: questions.jsonl}]}
";
    let folder = with_pipeline("baseline: {}\n", base);
    let missing = terminal_output(&mut folder.botops(words("run bot.yaml")));
    assert!(missing.starts_with("exit: 2") && missing.contains("BOT-7232"), "{missing}");
    run(&folder, "knowledge import pages --into help");
    let first = run(&folder, "run bot.yaml");
    assert!(first.contains("bot@1 is the first champion, by its golden self-test"), "{first}");
    // The baseline answers from the same knowledge, because its dialogue names it.
    assert_eq!(knowledge_of(&folder, "bot@1")[0]["counts"]["documents"], 14);
    assert!(states(&folder).values().all(|state| state == "current"), "{:?}", states(&folder));
    fs::remove_file(folder.path().join("pages/fr/garantie.md")).unwrap();
    run(&folder, "knowledge import pages --into help");
    assert_eq!(states(&folder)["evaluate"], "stale");
}

#[test]
fn mistakes_of_pipelines_with_knowledge_are_found_before_a_stage_runs() {
    let folder = with_pipeline("", IMPORTED);
    let with = |from: &str, to: &str| {
        let text = pipeline("", IMPORTED);
        assert!(text.contains(from), "{from}");
        folder.write("bot.yaml", text.replace(from, to));
        terminal_output(&mut folder.botops(words("run bot.yaml")))
    };
    for (from, to, code) in [
        (
            "        knowledge: {recall_at_5: {min: 0.6}, max_drop: {recall_at_5: 0.05}}\n",
            "",
            "BOT-8001",
        ),
        ("{from: knowledge_import, ", "{", "BOT-8001"),
        ("{from: knowledge_import, ", "{from: knowledge_import, base: help, ", "BOT-8001"),
        ("{from: knowledge_import, ", "{from: train, ", "BOT-8002"),
        ("{from: knowledge_import, ", "{base: help/x, ", "BOT-7230"),
        ("documents: pages", "documents: nowhere", "BOT-1001"),
        ("into: help", "into: 'A b'", "BOT-7231"),
        ("questions: questions.jsonl", "questions: nowhere.jsonl", "BOT-1001"),
    ] {
        let refused = with(from, to);
        assert!(refused.starts_with("exit: 2") && refused.contains(code), "{to}: {refused}");
        assert!(refused.contains("hint: "), "{to}: {refused}");
    }
    assert!(!folder.path().join(".botops/pipelines/bot/validate").exists(), "nothing ran");
    // A file that cannot be read stops the run, or is left out with a warning.
    folder.write("pages/broken.pdf", "%PDF-1.4 nothing");
    let stopped = with("into: help", "into: help");
    assert!(stopped.starts_with("exit: 3") && stopped.contains("BOT-7234"), "{stopped}");
    let skipped = with("into: help", "into: help, skip_unreadable: true");
    assert!(skipped.starts_with("exit: 0") && skipped.contains("removed; 1 warning"), "{skipped}");
}
