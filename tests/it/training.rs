//! `botops train`: the notes about its data, and the record of its runs.

use crate::terminal::{Terminal, two_intents};
use botops_models::IntentModel;
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

/// Returns 20 records of two intents, and those of `spans`: a text with a city that is annotated.
fn with_cities(spans: &[&str]) -> String {
    let mut data = two_intents(10).replace(",intent", ",intent,entities");
    data = data
        .replace(",order_status\n", ",order_status,\n")
        .replace(",account_help\n", ",account_help,\n");
    for city in spans {
        let end = 10 + city.chars().count();
        let span =
            format!(r#"[{{""entity"":""city"",""value"":""{city}"",""start"":10,""end"":{end}}}]"#);
        data.push_str(&format!("parcel to {city},order_status,\"{span}\"\n"));
    }
    data
}

#[test]
fn entity_annotations_that_training_does_not_learn_are_reported() {
    let terminal = Terminal::new();
    terminal.write("data.csv", with_cities(&["Lyon"]));
    terminal.write("d.yaml", "entities: { city: 'Lyon' }\n");
    terminal.write("never.yaml", "entities: { learn: false }\n");
    let text = terminal.stdout("train data.csv --out m.botops");
    assert!(text.contains("BOT-2188") && text.contains("`city` (1 span)"), "{text}");
    assert!(text.contains("data.csv, record 21 (line 22)"), "{text}");
    let answer = json(&terminal, "train data.csv --out m.botops --config never.yaml --format json");
    assert_eq!(answer["findings"][0]["code"], "BOT-1057");
    let text = terminal.stdout("train data.csv --out m.botops --dialogue d.yaml");
    assert!(!text.contains("BOT-1057") && !text.contains("BOT-2188"), "{text}");
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
    let is_reported = found.iter().any(|finding| finding["code"] == "BOT-2188");
    assert!(
        is_reported || side.contains("16 records") || side.contains("17 records"),
        "{answer:#}"
    );
}

#[test]
fn annotated_entities_are_learned_and_reproduced() {
    let terminal = Terminal::new();
    let cities = ["Lyon", "Paris", "New York", "Nice", "Brest", "Lille", "Rome", "Oslo"];
    terminal.write("data.csv", with_cities(&cities));
    let answer = json(&terminal, "train data.csv --out m.botops --record --format json");
    let learned = serde_json::json!([{"entity": "city", "n_spans": 8}]);
    assert_eq!(answer["data"]["entities"], learned, "{answer:#}");
    let (model, _) = IntentModel::read(&terminal.path().join("m.botops")).unwrap();
    let found = model.tag("parcel to Geneva");
    assert_eq!((found.len(), found[0].value.as_str()), (1, "Geneva"), "{found:?}");
    let text = terminal.stdout("train data.csv --out again.botops");
    assert!(text.contains("entities learned: `city` (8 spans)"), "{text}");
    let run = answer["data"]["run"].as_str().unwrap();
    let again = json(&terminal, &format!("runs reproduce {run} --format json"));
    assert_eq!(again["ok"], true, "{again:#}");
    assert_eq!(again["data"]["identical"], true, "{again:#}");
    // More than there is must be learned: refused, and nothing is written.
    terminal.write("more.yaml", "entities: { learn: true, min_examples: 9 }\n");
    let refused = terminal.run("train data.csv --out none.botops --config more.yaml");
    assert!(refused.starts_with("exit: 4") && refused.contains("BOT-1140"), "{refused}");
    assert!(!terminal.path().join("none.botops").exists());
    terminal.write("wrong.yaml", "entities: { learn: sometimes }\n");
    let refused = terminal.run("train data.csv --out none.botops --config wrong.yaml");
    assert!(refused.starts_with("exit: 2") && refused.contains("wrong.yaml"), "{refused}");
}
