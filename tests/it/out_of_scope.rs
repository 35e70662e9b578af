//! Labels that mean out of scope, and models that are measured on their training data.

use crate::{
    support,
    terminal::{Terminal, two_intents},
};
use serde_json::Value;
use std::time::Duration;

/// Runs a line with `--format json`, and returns its exit code and its document.
fn json(terminal: &Terminal, line: &str) -> (Option<i32>, Value) {
    let mut command = terminal.command(&format!("{line} --quiet --format json"));
    let (code, text) = support::terminal(&mut command, Duration::from_secs(120));
    let document =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
    (code, document)
}

fn codes(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// Returns two intents, and 12 records with the label `none`, whose words are `word` and a number.
fn with_none(word: &str) -> String {
    let others: String = (0..12).map(|i| format!("{word} weather joke {i},none\n")).collect();
    two_intents(30) + &others
}

#[test]
fn labels_that_look_out_of_scope_are_reported_until_they_are_declared() {
    let terminal = Terminal::new();
    terminal.write("train.csv", with_none("sunny")).write("test.csv", with_none("rainy"));
    terminal.write("spec.yaml", "oos_labels: [none]\n");
    let (code, document) = json(&terminal, "train train.csv --out m.botops");
    assert_eq!((code, codes(&document)), (Some(0), vec!["BOT-2255"]), "{document:#}");
    let message = document["findings"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("12 records have the intent `none`"), "{message}");
    assert_eq!(document["data"]["intents"].as_array().unwrap().len(), 3);

    let (code, document) = json(&terminal, "train train.csv --config spec.yaml --out n.botops");
    assert_eq!((code, codes(&document).len()), (Some(0), 0), "{document:#}");
    assert_eq!(document["data"]["n_oos"], 12);
    assert_eq!(document["data"]["intents"].as_array().unwrap().len(), 2);
    let text = terminal.run("train train.csv --config spec.yaml --out n.botops --force");
    assert!(text.contains("out of scope: 12 records with the label `oos`, or `none`"), "{text}");
    // The model keeps its labels, so an evaluation treats them alike.
    let (_, document) = json(&terminal, "evaluate n.botops test.csv");
    assert_eq!(document["data"]["n"], 60, "{document:#}");
    assert!(document["data"]["oos"].is_object(), "{document:#}");
    let (code, document) = json(&terminal, "train train.csv --config spec.yaml --cross-validate 3");
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["data"]["results"][0]["report"]["intents"].as_array().unwrap().len(), 2);

    // An entry that no record has is reported, and the count is shown without any entry, too.
    terminal.write("typo.yaml", "oos_labels: [nonee]\n");
    for line in ["--config typo.yaml --out o.botops", "--config typo.yaml --cross-validate 3"] {
        let (code, document) = json(&terminal, &format!("train train.csv {line}"));
        assert_eq!((code, codes(&document)), (Some(0), vec!["BOT-2247", "BOT-2255"]));
        assert_eq!(document["findings"][0]["help"], "did you mean `none`?");
    }
    terminal.write("oos.csv", with_none("sunny").replace(",none", ",oos"));
    let text = terminal.run("train oos.csv --out p.botops");
    assert!(text.contains("out of scope: 12 records with the label `oos`\n"), "{text}");
    let (_, document) = json(&terminal, "train oos.csv --out p.botops --force");
    assert_eq!(document["data"]["n_oos"], 12);

    // A model without the label says what is wrong with the data: most of it is training data, too.
    terminal.write("two.csv", two_intents(30));
    terminal.stdout("train two.csv --out two.botops");
    let (_, document) = json(&terminal, "evaluate two.botops test.csv");
    assert_eq!(codes(&document), ["BOT-3050", "BOT-2255"], "{document:#}");
}

#[test]
fn expectations_declare_labels_for_out_of_scope() {
    let terminal = Terminal::new();
    terminal.write("data.csv", with_none("sunny").replacen(",none", ",nlu_fallback", 6));
    let (_, document) = json(&terminal, "validate data.csv");
    let found = document["findings"].as_array().unwrap().iter();
    let found: Vec<&Value> = found.filter(|finding| finding["code"] == "BOT-2255").collect();
    assert_eq!(found.len(), 1, "{document:#}");
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("6 records have the intent `nlu_fallback`"), "{message}");
    terminal.write(
        "e.yaml",
        "version: 1\nintents: [order_status, account_help]\noos_labels: [none, nlu_fallback]\n",
    );
    let (code, document) = json(&terminal, "validate data.csv --expectations e.yaml");
    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(document["data"]["intents"]["oos"], 12, "{document:#}");
    assert!(!codes(&document).contains(&"BOT-2255"), "{document:#}");
}

#[test]
fn a_model_measured_on_its_training_data_is_warned_about() {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(40)).write("copy.csv", two_intents(40));
    // The same records in another form: reversed, and a half with other columns.
    let records = two_intents(40);
    let mut lines: Vec<&str> = records.lines().skip(1).collect();
    lines.reverse();
    terminal.write("reversed.csv", format!("text,intent\n{}\n", lines.join("\n")));
    terminal.write("half.csv", two_intents(20).replace("\n", ",web\n"));
    terminal.write(
        "other.csv",
        two_intents(20).replace("arrives", "came").replace("forgotten", "lost"),
    );
    let warned = ["BOT-3050"];
    for (line, wanted) in [
        ("train train.csv --test copy.csv --out m.botops", warned.as_slice()),
        ("evaluate m.botops copy.csv", &warned),
        ("evaluate m.botops reversed.csv", &warned),
        ("evaluate m.botops half.csv", &warned),
        ("gate m.botops train.csv --min accuracy=0.1", &warned),
        ("evaluate m.botops other.csv", &[]),
    ] {
        let (code, document) = json(&terminal, line);
        assert_eq!((code, codes(&document)), (Some(0), wanted.to_vec()), "{line}: {document:#}");
    }
    terminal.write("gates.yaml", "metrics: { accuracy: { min: 0.1 } }\n");
    let (code, document) =
        json(&terminal, "push m.botops --name support --test train.csv --rules gates.yaml");
    assert_eq!((code, codes(&document)), (Some(0), warned.to_vec()), "{document:#}");
    let text = terminal.run("evaluate m.botops train.csv");
    assert!(
        text.contains("warning[BOT-3050] the model is measured on its training data"),
        "{text}"
    );
}
