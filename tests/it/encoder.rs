//! Models with an encoder, from a local encoder folder to a server.

use crate::{
    serving::settings,
    terminal::{Terminal, two_intents},
};
use botops_models::{IntentModel, Scratch};
use botops_serving::{Source, start};
use botops_tiny_encoder::Tiny;
use serde_json::{Value, json};
use std::fs;

/// A folder with data and a tiny encoder.
fn terminal() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(60));
    Tiny::bert().write(&terminal.path().join("encoder"));
    terminal
}

/// Returns the JSON answer of a command that must succeed.
fn answer(terminal: &Terminal, line: &str) -> Value {
    let document: Value =
        serde_json::from_str(&terminal.stdout(&format!("--format json {line}"))).unwrap();
    document["data"].clone()
}

#[test]
fn a_model_with_an_encoder_is_one_file() {
    let terminal = terminal();
    let text = terminal.stdout("train data.csv --encoder encoder");
    assert!(text.contains("linear_svm on encoder features"), "{text}");
    let before = terminal.stdout("predict model.botops \"my card is lost\"");
    // From here on, only the model file is needed.
    fs::remove_dir_all(terminal.path().join("encoder")).unwrap();
    assert_eq!(terminal.stdout("predict model.botops \"my card is lost\""), before);
    let output = terminal.run("train data.csv --encoder encoder");
    assert!(output.starts_with("exit: 2\n") && output.contains("BOT-7020"), "{output}");
}

#[test]
fn a_trained_model_of_either_family_does_not_need_the_encoder_folder() {
    for tiny in [Tiny::bert(), Tiny::distilbert()] {
        let terminal = terminal();
        tiny.write(&terminal.path().join("encoder"));
        let output = terminal.run("train data.csv --encoder encoder --out m.botops");
        assert!(output.starts_with("exit: 0"), "{output}");
        let first = terminal.stdout("predict m.botops --data data.csv --format json");
        fs::remove_dir_all(terminal.path().join("encoder")).unwrap();
        assert_eq!(terminal.stdout("predict m.botops --data data.csv --format json"), first);
    }
}

#[test]
fn an_encoder_folder_without_weights_is_refused() {
    let terminal = terminal();
    fs::remove_file(terminal.path().join("encoder/model.safetensors")).unwrap();
    let output = terminal.run("train data.csv --encoder encoder --out m.botops");
    assert!(output.starts_with("exit: 2"), "{output}");
    assert!(output.contains("the encoder's folder has no `model.safetensors`"), "{output}");
    assert!(!terminal.path().join("m.botops").exists());
}

#[test]
fn every_kind_of_features_is_trained_from_a_configuration() {
    let terminal = terminal();
    for (name, features, head) in [
        ("encoder", "kind: encoder", "kind: logistic_regression"),
        ("concatenated", "kind: concatenated, dense_weight: 0.5", "kind: linear_svm"),
        ("stacked", "kind: stacked", "kind: complement_naive_bayes, dense_c: 3"),
        (
            "stacked",
            "kind: stacked",
            "kind: fine_tuned, fine_tuning: {epochs: 1, batch_size: 8, validation_share: 0.3}",
        ),
    ] {
        let config = format!(
            "features: {{{features}, encoder: {{source: encoder}}}}\nhead: {{{head}}}\ngoldens: 4\n"
        );
        terminal.write("config.yaml", config);
        let text = terminal.stdout("train data.csv --config config.yaml");
        assert!(text.contains(&format!("on {name} features")), "{text}");
        let evaluated = answer(&terminal, "evaluate model.botops data.csv");
        let accuracy = evaluated["metrics"]["accuracy"]["value"].as_f64().unwrap();
        assert!(accuracy > 0.7, "{name}, {head}: {accuracy}");
    }
    // A finished training leaves no checkpoints.
    let left = fs::read_dir(terminal.path().join(".botops/checkpoints"));
    assert!(left.is_err() || left.unwrap().next().is_none());
}

#[test]
fn an_incompatible_head_is_refused_before_anything_is_read() {
    let terminal = terminal();
    let output = terminal.run("train data.csv --encoder nowhere --head random_forest");
    assert!(output.starts_with("exit: 2\n") && output.contains("BOT-7014"), "{output}");
    assert!(output.contains("`head.kind: random_forest`"), "{output}");
}

const PIPELINE: &str = "version: 1
name: dense
model: support
stages:
  - validate: { data: data.csv }
  - split: { from: validate, test_share: 0.25 }
  - train:
      from: split
      model:
        features: { kind: stacked, encoder: { source: encoder } }
        goldens: 8
  - evaluate: { model: train, on: split }
  - gate: { from: evaluate, rules: { metrics: { accuracy: { min: 0.1 } } } }
  - push: { model: train, gate: gate }
";

#[test]
fn a_pipeline_with_an_encoder_reruns_only_when_the_encoder_changes() {
    let terminal = terminal();
    terminal.write("botops.yaml", "version: 1\nmodel: support\n").write("p.yaml", PIPELINE);
    let outcomes = || -> Vec<String> {
        let stages = answer(&terminal, "run p.yaml")["stages"].as_array().unwrap().clone();
        stages.iter().map(|stage| stage["outcome"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(outcomes(), ["passed"; 6]);
    assert_eq!(outcomes(), ["skipped"; 6]);
    // The registered model contains its encoder, so it answers without the encoder folder.
    let pulled = terminal.stdout("predict support@1 \"my card is lost\"");
    Tiny { seed: 8, ..Tiny::bert() }.write(&terminal.path().join("encoder"));
    let status = terminal.stdout("pipeline status p.yaml");
    assert!(status.contains("its input `encoder` changed"), "{status}");
    assert_eq!(terminal.stdout("predict support@1 \"my card is lost\""), pulled);
    fs::remove_dir_all(terminal.path().join("encoder")).unwrap();
    let output = terminal.run("run p.yaml");
    assert!(output.contains("BOT-7020") && output.starts_with("exit: 2\n"), "{output}");
}

#[test]
fn a_run_with_an_encoder_is_reproduced_without_its_folder() {
    let terminal = terminal();
    let recorded = terminal.stdout("train data.csv --encoder encoder --record");
    let id = recorded.lines().find_map(|line| line.strip_prefix("run ")).unwrap();
    let shown = terminal.stdout(&format!("runs show {id}"));
    assert!(shown.contains("cost: ") && shown.contains("embed "), "{shown}");
    fs::remove_dir_all(terminal.path().join("encoder")).unwrap();
    let again = answer(&terminal, &format!("runs reproduce {id}"));
    assert_eq!(again["identical"], true, "{again:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_an_encoder_gives_the_predictions_of_the_model() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let terminal = terminal();
    terminal.stdout("train data.csv --encoder encoder");
    let (model, digest) = IntentModel::read(&terminal.path().join("model.botops")).unwrap();
    let texts: Vec<String> = (0..40).map(|i| format!("my card {i} is lost")).collect();
    let mut scratch = Scratch::default();
    let wanted: Vec<(String, f64)> = texts
        .iter()
        .map(|text| {
            let prediction = model.predict_with(text, &mut scratch);
            (model.labels().name(prediction.intent).to_owned(), prediction.confidence)
        })
        .collect();
    let source = Source::File { model: Box::new(model), digest, name: "cards".to_owned() };
    let server = start(settings(false), source).await.unwrap();
    let client = reqwest::Client::new();
    let ask = |body: Value| {
        client.post(format!("http://{}/v1/predict", server.address())).json(&body).send()
    };
    let many: Value = ask(json!({ "texts": texts })).await.unwrap().json().await.unwrap();
    // More concurrent requests than turns, and a health check between them.
    let one_by_one =
        futures::future::join_all(texts.iter().map(|text| ask(json!({ "text": text }))));
    let health = client.get(format!("http://{}/health", server.address())).send();
    let (answers, health) = futures::future::join(one_by_one, health).await;
    assert_eq!(health.unwrap().status(), 200);
    for (i, answer) in answers.into_iter().enumerate() {
        let one: Value = answer.unwrap().json().await.unwrap();
        for output in [&one["predictions"][0], &many["predictions"][i]] {
            assert_eq!(output["intent"], wanted[i].0.as_str());
            assert!(
                (output["confidence"].as_f64().unwrap() - wanted[i].1).abs() < 1e-12,
                "{output}"
            );
        }
    }
    server.shutdown().await;
}
