//! `botops train`: the notes about its data, and the record of its runs.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;

fn json(terminal: &Terminal, command: &str) -> Value {
    serde_json::from_str(&terminal.stdout(command)).unwrap()
}

#[test]
fn training_the_same_twice_adds_a_run_that_names_its_twin() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(10));
    let train = "train data.csv --out m.botops --record --format json";
    let runs: Vec<Value> = (0..3).map(|_| json(&terminal, train)["data"].clone()).collect();
    assert!(runs[0].get("twin_of").is_none(), "{}", runs[0]);
    assert_eq!(runs[1]["twin_of"], runs[0]["run"]);
    assert_eq!(runs[2]["twin_of"], runs[1]["run"]);
    assert_eq!(runs[0]["digest"], runs[2]["digest"]);
    let listed = json(&terminal, "runs list --format json");
    assert_eq!(listed["data"]["total"], 3, "{listed:#}");
    let second = runs[1]["run"].as_str().unwrap();
    let shown = terminal.stdout(&format!("runs show {second}"));
    let first = runs[0]["run"].as_str().unwrap();
    assert!(shown.contains(&format!("twin of run {first}")), "{shown}");
    // A reproduction does not count as another training, and other settings are other work.
    terminal.stdout(&format!("runs reproduce {second}"));
    let other = json(&terminal, &format!("{train} --seed 4"));
    assert!(other["data"].get("twin_of").is_none(), "{other:#}");
    let text = terminal.stdout("train data.csv --out m.botops --record --seed 4");
    let of = other["data"]["run"].as_str().unwrap();
    assert!(text.contains(&format!("a twin of run {of}")), "{text}");
    let measured = "train data.csv --cross-validate 2 --record";
    assert!(!terminal.stdout(measured).contains("twin"));
    assert!(terminal.stdout(measured).contains("a twin of run"));
}

#[test]
fn entity_annotations_that_training_ignores_are_reported() {
    let terminal = Terminal::new();
    let mut data = two_intents(10).replace(",intent", ",intent,entities");
    data = data
        .replace(",order_status\n", ",order_status,\n")
        .replace(",account_help\n", ",account_help,\n");
    let span = r#"[{""entity"":""city"",""value"":""Lyon"",""start"":10,""end"":14}]"#;
    data.push_str(&format!("parcel to Lyon,order_status,\"{span}\"\n"));
    terminal.write("data.csv", data);
    terminal.write("d.yaml", "entities: { city: 'Lyon' }\n");
    let text = terminal.stdout("train data.csv --out m.botops");
    assert!(text.contains("BOT-1057") && text.contains("`city`"), "{text}");
    assert!(text.contains("data.csv, record 21 (line 22)"), "{text}");
    let answer = json(&terminal, "train data.csv --out m.botops --format json");
    assert_eq!(answer["findings"][0]["code"], "BOT-1057");
    let text = terminal.stdout("train data.csv --out m.botops --dialogue d.yaml");
    assert!(!text.contains("BOT-1057"), "{text}");
    // A pipeline reports it, too, and its stage passes.
    terminal.write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n- validate: { data: data.csv }\n\
         - split: { from: validate, test_share: 0.2 }\n- train: { from: split }\n",
    );
    let answer = json(&terminal, "run p.yaml --format json");
    let found = answer["findings"].as_array().unwrap();
    let train = &answer["data"]["stages"][2];
    let side = train["summary"].as_str().unwrap();
    // The annotated record may be on the test side.
    let is_learned = found.iter().any(|finding| finding["code"] == "BOT-1057");
    assert!(is_learned || side.contains("16 records") || side.contains("17 records"), "{answer:#}");
}
