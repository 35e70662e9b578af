use super::{json, train, workspace};
use serde::Deserialize;
use serde_json::Value;
use std::fs;

/// The front matter of a card, which the hub reads.
#[derive(Deserialize)]
struct FrontMatter {
    #[serde(default)]
    language: Vec<String>,
    license: Option<String>,
    tags: Vec<String>,
    #[serde(rename = "model-index")]
    model_index: Option<Value>,
}

fn front_matter(card: &str) -> FrontMatter {
    let yaml = card.strip_prefix("---\n").unwrap().split("\n---\n").next().unwrap();
    botops_spec::parse(yaml, "MODEL_CARD.md").unwrap()
}

#[test]
fn a_model_card_states_only_recorded_facts() {
    let terminal = workspace();
    let run = train(&terminal, "--test test.csv");
    let dry = json(&terminal, 0, &format!("runs export {run} --to model-card --dry-run"));
    assert!(!terminal.path().join("MODEL_CARD.md").exists());
    let done = json(&terminal, 0, &format!("runs export {run} --to model-card"));
    let card = fs::read_to_string(terminal.path().join("MODEL_CARD.md")).unwrap();
    assert_eq!(
        (dry["data"]["card"].as_str(), done["data"]["card"].as_str()),
        (Some(&*card), Some(&*card))
    );

    let front = front_matter(&card);
    assert_eq!(front.license, None, "no license is assumed");
    assert!(front.tags.contains(&"linear_svm".to_owned()), "{:?}", front.tags);
    assert!(front.language.iter().all(|language| language.len() == 2));
    let record = super::record(&terminal, &run);
    let index = front.model_index.unwrap();
    let result = &index[0]["results"][0];
    assert_eq!(index[0]["name"], "support");
    assert_eq!(result["dataset"]["type"], record["data"]["test"]);
    for metric in result["metrics"].as_array().unwrap() {
        let recorded =
            record["metrics"][metric["name"].as_str().unwrap()]["value"].as_f64().unwrap();
        assert!((metric["value"].as_f64().unwrap() - recorded).abs() < 1e-6, "{metric}");
    }
    let accuracy = &record["metrics"]["accuracy"];
    let number = |value: &Value| format!("{:.3}", value.as_f64().unwrap());
    let interval = format!("{} to {}", number(&accuracy["ci95"][0]), number(&accuracy["ci95"][1]));
    for part in [
        record["data"]["train"].as_str().unwrap(),
        record["artifacts"][0]["digest"].as_str().unwrap(),
        &interval,
        ": 120 utterances.",
        &format!("botops runs reproduce {run}"),
        "Its behavior on out-of-scope utterances was not measured.",
    ] {
        assert!(card.contains(part), "`{part}` is not in\n{card}");
    }
}

#[test]
fn a_card_of_a_run_without_evaluation_states_it() {
    let terminal = workspace();
    let run = train(&terminal, "");
    let line = format!(
        "runs export {run} --to model-card --license apache-2.0 --name \"a: b\" --out card.md"
    );
    json(&terminal, 0, &line);
    let card = fs::read_to_string(terminal.path().join("card.md")).unwrap();
    let front = front_matter(&card);
    assert_eq!((front.license.as_deref(), front.model_index), (Some("apache-2.0"), None));
    assert!(
        card.contains("The run did not evaluate the model.") && card.contains("# Model card: a: b")
    );
    assert!(card.contains("The quality of the model is unknown: it was not evaluated."), "{card}");
}

#[test]
fn a_card_does_not_present_training_data_as_test_data() {
    let terminal = workspace();
    let run = train(&terminal, "--test train.csv");
    let document = json(&terminal, 0, &format!("runs export {run} --to model-card --dry-run"));
    let card = document["data"]["card"].as_str().unwrap();
    assert!(card.contains("This is also the training data"), "{card}");
    let honest = train(&terminal, "--test test.csv");
    let document = json(&terminal, 0, &format!("runs export {honest} --to model-card --dry-run"));
    assert!(!document["data"]["card"].as_str().unwrap().contains("This is also the training data"));
}

#[test]
fn intent_names_are_escaped_in_a_card() {
    let terminal = workspace();
    let nasty = |text: &str| {
        text.replace("order_status", "\"x | <img src=a> [y](z)\"").replace("account_help", "`code`")
    };
    let (data, test) = (nasty(&crate::terminal::two_intents(60)), nasty(super::TEST));
    terminal.write("train.csv", data).write("test.csv", test);
    let run = train(&terminal, "--test test.csv");
    let document = json(&terminal, 0, &format!("runs export {run} --to model-card --dry-run"));
    let card = document["data"]["card"].as_str().unwrap();
    assert!(
        !card.contains("<img") && !card.contains("[y](z)") && !card.contains("`code`"),
        "{card}"
    );
}

#[test]
fn a_dry_run_shows_the_export_to_mlflow_and_sends_nothing() {
    let terminal = workspace();
    let run = train(&terminal, "--test test.csv");
    // Nothing listens at this address, and no request is sent.
    let line = format!("runs export {run} --to mlflow --url http://127.0.0.1:9 --dry-run");
    let document = json(&terminal, 0, &line);
    let content = &document["data"]["content"];
    assert_eq!(content["tags"]["botops.run_id"], run.as_str());
    assert_eq!(content["params"]["model.head.kind"], "linear_svm");
    assert_eq!(document["data"]["exported"], Value::Null);
    assert_eq!(content["artifacts"].as_object().unwrap().len(), 2);
    let text = terminal.run(&line);
    assert!(text.contains("nothing was sent (dry run)"), "{text}");
}

#[test]
fn an_incomplete_credential_and_a_missing_address_are_usage_errors() {
    let terminal = workspace();
    let run = train(&terminal, "");
    let nowhere = terminal.run(&format!("runs export {run} --to mlflow"));
    assert!(nowhere.starts_with("exit: 2\n") && nowhere.contains("BOT-5040"), "{nowhere}");
    let mut command =
        terminal.command(&format!("runs export {run} --to mlflow --url http://127.0.0.1:9"));
    command.env("MLFLOW_TRACKING_PASSWORD", "sesame-open");
    let half = terminal.show(&mut command);
    assert!(half.contains("`MLFLOW_TRACKING_USERNAME` is not set"), "{half}");
    assert!(!half.contains("sesame-open"), "{half}");
}
