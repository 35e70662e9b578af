//! Entities from the dialogue file to the numbers of `evaluate`, its page and its gates.

use crate::terminal::{Terminal, two_intents};
use serde_json::{Value, json};

const DIALOGUE: &str = "timezone: Europe/Paris
entities:
  city: {lookup: {Lyon: [], Marseille: [massilia]}, distance: 1}
  date: {type: date}
  url: {type: url}
";

/// Twelve records: four dates, of which one is annotated with other ends; two cities, of which one is not in the list; and
/// a date that no record annotates.
const TEST: &str = r#"text,intent,lang,entities
parcel on 31/10 please,order_status,en,"[{""entity"":""date"",""value"":""31/10"",""start"":10,""end"":15}]"
colis le 1er mai,order_status,fr,"[{""entity"":""date"",""value"":""1er mai"",""start"":9,""end"":16}]"
parcel yesterday,order_status,en,"[{""entity"":""date"",""value"":""yesterday"",""start"":7,""end"":16}]"
parcel next Friday,order_status,en,"[{""entity"":""date"",""value"":""Friday"",""start"":12,""end"":18}]"
parcel to Marsille,order_status,en,"[{""entity"":""city"",""value"":""Marsille"",""start"":10,""end"":18}]"
parcel to Paris,order_status,en,"[{""entity"":""city"",""value"":""Paris"",""start"":10,""end"":15}]"
parcel tomorrow,order_status,en,
password of shop.fr,account_help,en,
password today 1,account_help,en,"[{""entity"":""date"",""value"":""today"",""start"":9,""end"":14}]"
password please 2,account_help,en,
password please 3,account_help,en,
password please 4,account_help,en,
"#;

fn trained() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(10)).write("d.yaml", DIALOGUE).write("test.csv", TEST);
    terminal.stdout("train train.csv --out m.botops --dialogue d.yaml");
    terminal.stdout("train train.csv --out plain.botops");
    terminal
}

fn json(terminal: &Terminal, line: &str) -> Value {
    serde_json::from_str(&terminal.stdout(&format!("--format json {line}"))).unwrap()
}

#[test]
fn evaluate_measures_annotated_entities() {
    let terminal = trained();
    let judged = json(&terminal, "evaluate m.botops test.csv");
    let entities = &judged["data"]["entities"];
    let date = &entities["per_entity"]["date"];
    // By hand: 5 annotated, 6 found, 4 with the same ends, 5 that overlap.
    assert_eq!((&date["support"], &date["n_found"]), (&json!(5), &json!(6)), "{date:#}");
    let value = |scores: &Value| scores["value"].as_f64().unwrap();
    assert!((value(&date["exact"]["f1"]) - 8.0 / 11.0).abs() < 1e-12);
    assert!((value(&date["partial"]["f1"]) - 10.0 / 11.0).abs() < 1e-12);
    let city = &entities["per_entity"]["city"];
    assert!((value(&city["exact"]["recall"]) - 0.5).abs() < 1e-12);
    assert_eq!(entities["unannotated"], json!(["url"]));
    let f1 = value(&judged["data"]["metrics"]["entity_f1"]);
    assert!((f1 - 10.0 / 14.0).abs() < 1e-12, "{f1}");

    let text = terminal.stdout("evaluate m.botops test.csv --html page.html");
    for part in ["macro average", "partial f1", "not judged: url"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = std::fs::read_to_string(terminal.path().join("page.html")).unwrap();
    assert!(page.contains("Metrics by entity"));
    let plain = terminal.stdout("evaluate plain.botops test.csv");
    assert!(!plain.contains("partial f1"), "a model that looks for no entity: {plain}");
}

#[test]
fn gates_bound_entities() {
    let terminal = trained();
    terminal
        .write("pass.yaml", "metrics: {entity_f1: {min: 0.7}}\nper_entity: {recall: {min: 0.4}}\n");
    terminal.stdout("gate m.botops test.csv --rules pass.yaml");
    terminal.write("fail.yaml", "per_entity: {f1: {min: 0.7}}\n");
    let text = terminal.run("gate m.botops test.csv --rules fail.yaml");
    assert!(text.starts_with("exit: 3"), "{text}");
    assert!(
        text.contains("f1 of every entity >= 0.700") && text.contains("worst is `city`"),
        "{text}"
    );
    let text = terminal.run("gate plain.botops test.csv --rules pass.yaml");
    assert!(text.starts_with("exit: 3") && text.contains("looks for none"), "{text}");
    terminal.write("unknown.yaml", "per_entity: {accuracy: {min: 0.7}}\n");
    let text = terminal.run("gate m.botops test.csv --rules unknown.yaml");
    assert!(text.starts_with("exit: 2") && text.contains("BOT-3010"), "{text}");
}

#[test]
fn a_mistake_in_an_entity_is_refused_before_training() {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(10));
    for (entity, code) in [
        ("{type: order_number}", "BOT-1100"),
        ("{type: dates}", "BOT-101"),
        ("{type: phone, regions: FR}", "BOT-1011"),
        ("[1]", "BOT-1012"),
    ] {
        terminal.write("d.yaml", format!("entities:\n  x: {entity}\n"));
        let text = terminal.run("train train.csv --out m.botops --dialogue d.yaml");
        assert!(text.starts_with("exit: 2") && text.contains(code), "{entity}: {text}");
    }
    terminal.write("d.yaml", "timezone: Paris\nentities: {x: {type: date}}\n");
    let text = terminal.run("train train.csv --out m.botops --dialogue d.yaml");
    assert!(text.starts_with("exit: 2") && text.contains("BOT-1101"), "{text}");
    assert!(!terminal.path().join("m.botops").exists());
}
