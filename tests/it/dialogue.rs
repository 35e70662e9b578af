//! `botops dialogue test`, the pipeline stage, and the warnings of a training.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;

const DIALOGUE: &str = "\
slots:
  order: { pattern: '\\d{5}', ask: { en: Which order?, fr: Quelle commande ? } }
intents:
  order_status: { needs: [order] }
responses:
  order_status: { en: 'Order {order}.' }
  account_help: { en: Reset it. }
tests:
  - story: a parcel asks for its order
    turns:
      - { user: parcel my arrives 1, intent: order_status, state: awaiting_slot }
      - { user: it is 20447, reply: Order 20447., slots: { order: '20447' } }
";

fn terminal() -> Terminal {
    let terminal = Terminal::new();
    let data = two_intents(30);
    terminal.write("data.csv", data).write("dialogue.yaml", DIALOGUE);
    terminal
}

/// The intents of the data.
fn intents(terminal: &Terminal) -> Vec<String> {
    let text = std::fs::read_to_string(terminal.path().join("data.csv")).unwrap();
    let mut found: Vec<String> =
        text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().to_owned()).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn stories_of_a_dialogue_file_are_replayed_and_differences_end_with_3() {
    let terminal = terminal();
    let passed = terminal.run("dialogue test dialogue.yaml");
    let expected = "exit: 0\n--- stdout\n\
        dialogue.yaml: 1 story\n\
        story                        turns  verdict\n\
        a parcel asks for its order      2  passed\n";
    assert!(passed.starts_with(expected), "{passed}");
    assert!(passed.contains("intents: 1 of 2; not account_help\n"), "{passed}");
    assert!(passed.contains("passed: 1 story\n"), "{passed}");

    let wrong = DIALOGUE.replace("reply: Order 20447.", "reply: Order 20448.");
    terminal.write("wrong.yaml", wrong);
    let failed = terminal.run("dialogue test wrong.yaml");
    assert!(failed.starts_with("exit: 3\n"), "{failed}");
    let difference = "story `a parcel asks for its order`, turn 2 (`it is 20447`): `reply` is `Order 20447.`, expected `Order 20448.`";
    assert!(failed.contains(difference), "{failed}");

    let low = terminal.run("dialogue test dialogue.yaml --min-intents 100%");
    assert!(
        low.starts_with("exit: 3\n") && low.contains("the stories reach 1 of 2 intents"),
        "{low}"
    );

    let mut json = terminal.command("dialogue test wrong.yaml --format json");
    let output = json.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["data"]["stories"][0]["differences"][0]["key"], "reply");
    assert_eq!(document["findings"][0]["code"], "BOT-1118");
}

#[test]
fn mistakes_are_refused_with_their_place() {
    let terminal = terminal();
    let slot = DIALOGUE.replace("slots: { order: '20447' }", "slots: { ordr: '20447' }");
    terminal.write("slot.yaml", slot);
    terminal.write("none.yaml", "responses: { a: { en: hi } }\n");
    for (line, code, text) in [
        ("dialogue test slot.yaml", 2, "did you mean `order`?"),
        ("dialogue test none.yaml", 2, "there are no stories to replay"),
        ("dialogue test absent.yaml", 2, "absent.yaml"),
        ("dialogue test dialogue.yaml --stories dialogue.yaml", 2, "unknown"),
        ("dialogue test x@1 --model y@1", 2, "`--model` is for a dialogue file"),
    ] {
        let out = terminal.run(line);
        assert!(out.starts_with(&format!("exit: {code}\n")) && out.contains(text), "{line}: {out}");
    }
}

#[test]
fn a_model_classifies_the_stories_and_a_pipeline_stops_at_a_difference() {
    let terminal = terminal();
    assert_eq!(
        intents(&terminal),
        ["account_help", "order_status"],
        "the stories name these intents"
    );
    let trained = terminal.run("train data.csv --dialogue dialogue.yaml --out model.botops");
    assert!(trained.starts_with("exit: 0\n"), "{trained}");
    let lacking = "`fr` is missing in `responses.account_help`, `responses.order_status`";
    assert!(trained.contains("BOT-1115") && trained.contains(lacking), "{trained}");
    let passed = terminal.run("dialogue test model.botops");
    assert!(passed.starts_with("exit: 0\n"), "{passed}");
    terminal.write(
        "more.yaml",
        "tests: [{story: more, turns: [{user: parcel my arrives 2, intent: account_help}]}]\n",
    );
    let failed =
        terminal.run("dialogue test dialogue.yaml --model model.botops --stories more.yaml");
    assert!(failed.starts_with("exit: 3\n"), "{failed}");
    assert!(failed.contains("`intent` is `order_status ("), "{failed}");

    let pipeline = "version: 1\nname: stories\nstages:\n- validate: { data: data.csv }\n\
        - split: { from: validate, test_share: 0.2 }\n\
        - train: { from: split, model: { head: { kind: linear_svm } }, dialogue: dialogue.yaml }\n\
        - dialogue_test: { model: train }\n";
    terminal.write("stories.yaml", pipeline);
    let run = terminal.run("run stories.yaml");
    assert!(run.starts_with("exit: 0\n"), "{run}");
    let report = terminal.path().join(".botops/pipelines/stories/dialogue_test/dialogue_test.json");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["passed"], true);
    terminal.write(
        "stories.yaml",
        pipeline.replace("{ model: train }", "{ model: train, stories: more.yaml }"),
    );
    let run = terminal.run("run stories.yaml");
    assert!(run.starts_with("exit: 3\n") && run.contains("1 of 2 stories passed"), "{run}");
}

#[test]
fn a_dialogue_file_of_a_newer_version_is_refused_before_its_keys() {
    let terminal = terminal();
    terminal.write("newer.yaml", format!("moods: [calm]\nversion: 2\n{DIALOGUE}"));
    for command in
        ["dialogue test newer.yaml", "train data.csv --dialogue newer.yaml --out m.botops"]
    {
        let refused = terminal.run(command);
        assert!(refused.starts_with("exit: 6\n") && refused.contains("BOT-1015"), "{refused}");
        assert!(refused.contains("the file has format version 2"), "{refused}");
    }
    assert!(!terminal.path().join("m.botops").exists());
    // The version of today changes nothing, in the model either.
    terminal.write("one.yaml", format!("version: 1\n{DIALOGUE}"));
    terminal.stdout("train data.csv --dialogue one.yaml --out one.botops");
    terminal.stdout("train data.csv --dialogue dialogue.yaml --out none.botops");
    let read = |name: &str| std::fs::read(terminal.path().join(name)).unwrap();
    assert!(read("one.botops") == read("none.botops"), "the models differ");
    let wrong = format!("version: 0\n{DIALOGUE}");
    let refused = terminal.write("zero.yaml", wrong).run("dialogue test zero.yaml");
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-1012"), "{refused}");
}
