//! Confidence from the settings to the answer: training chooses the threshold and the score, the model stores them,
//! and every verb applies them.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;

/// The settings of most tests: 85 % of the answers are right, the best score is chosen, and prediction sets miss at
/// most a fifth.
const SETTINGS: &str =
    "fallback: { target_accuracy: 0.85, score: auto }\nconformal: { alpha: 0.2 }\n";

/// Makes `n` messages of each of four intents, a quarter of them with a word of another intent, and `n / 2` messages
/// on other topics. The same seed gives the same messages.
pub(crate) fn messages(n: usize, seed: u64) -> Vec<(String, &'static str)> {
    const WORDS: [(&str, &str); 4] = [
        ("parcel", "order_status"),
        ("password", "account_help"),
        ("invoice", "billing"),
        ("refund", "return_request"),
    ];
    const OTHERS: [&str; 6] = ["weather", "pizza", "football", "joke", "song", "president"];
    const FILLERS: [&str; 8] = ["my", "the", "is", "please", "for", "still", "again", "today"];
    let mut state = seed;
    let mut below = |n: usize| {
        // Knuth's 64-bit generator. Its upper half is random enough to choose words.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut made = Vec::new();
    for i in 0..n {
        for (at, (word, intent)) in WORDS.into_iter().enumerate() {
            let (one, two) = (FILLERS[below(8)], FILLERS[below(8)]);
            let mixed = below(4) == 0;
            let other = if mixed { WORDS[(at + 1 + below(3)) % 4].0 } else { FILLERS[below(8)] };
            let (first, second) = if below(2) == 0 { (word, other) } else { (other, word) };
            made.push((format!("{one} {first} {two} {second} {i}"), intent));
        }
        if i % 2 == 0 {
            let (one, two) = (FILLERS[below(8)], FILLERS[below(8)]);
            made.push((format!("{one} {} {two} {i}", OTHERS[below(6)]), "oos"));
        }
    }
    made
}

fn csv(messages: &[(String, &str)]) -> String {
    let lines = messages.iter().map(|(text, intent)| format!("{text},{intent}\n"));
    std::iter::once("text,intent\n".to_owned()).chain(lines).collect()
}

fn terminal() -> Terminal {
    let terminal = Terminal::new();
    terminal
        .write("train.csv", csv(&messages(160, 1)))
        .write("test.csv", csv(&messages(80, 2)))
        .write("settings.yaml", SETTINGS);
    terminal
}

/// Runs `line`, which must end with `exit`, and returns its JSON document.
fn json(terminal: &Terminal, exit: i32, line: &str) -> Value {
    let output = terminal.command(&format!("--format json {line}")).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{line}: {error}: {}", String::from_utf8_lossy(&output.stderr))
    });
    assert_eq!(output.status.code(), Some(exit), "{line}: {document:#}");
    document
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn predict_and_evaluate_apply_the_threshold_from_training() {
    let terminal = terminal();
    let trained = json(&terminal, 0, "train train.csv --config settings.yaml --out m.botops");
    let rule = &trained["data"]["fallback"];
    let threshold = number(&rule["threshold"]);
    let shown = &rule["guarantee"];
    assert_eq!(shown["target_accuracy"], 0.85);
    assert!(number(&shown["accuracy_bound"]) >= 0.85, "{shown}");
    assert!(number(&shown["n_answered"]) < number(&shown["n_samples"]), "{shown}");
    // Training compares five scores and chooses the one with the smallest area under the risk-coverage curve.
    let compared = trained["data"]["scores"].as_array().unwrap();
    assert_eq!(compared.len(), 5);
    let best = compared
        .iter()
        .min_by(|a, b| number(&a["aurc"]["value"]).total_cmp(&number(&b["aurc"]["value"])))
        .unwrap();
    assert_eq!(best["score"], rule["score"]);

    let predicted = json(&terminal, 0, "predict m.botops --data test.csv");
    let predicted = predicted["data"]["predictions"].as_array().unwrap();
    let truths = messages(80, 2);
    assert_eq!(predicted.len(), truths.len());
    let (mut answered, mut right, mut held, mut in_scope) = (0.0, 0.0, 0.0, 0.0);
    for (one, (text, truth)) in predicted.iter().zip(&truths) {
        let falls_back = one["fallback"].as_bool().unwrap();
        assert_eq!(falls_back, number(&one["score"]) < threshold, "{text}: {one}");
        if !falls_back {
            answered += 1.0;
            right += f64::from(u8::from(one["intent"] == *truth));
        }
        if *truth != "oos" {
            in_scope += 1.0;
            let set = one["prediction_set"].as_array().unwrap();
            held += f64::from(u8::from(set.iter().any(|intent| intent == truth)));
        }
    }
    // The model declines many more messages than the default threshold of 0.35 would.
    assert!(answered < 0.95 * truths.len() as f64 && answered > 100.0, "{answered}");

    let judged = json(&terminal, 0, "evaluate m.botops test.csv");
    let report = &judged["data"];
    let selective = &report["selective"];
    assert_eq!(
        (&selective["score"], &selective["threshold"]),
        (&rule["score"], &rule["threshold"])
    );
    assert_eq!(number(&selective["accuracy"]["n"]), answered);
    assert!((number(&selective["accuracy"]["value"]) - right / answered).abs() < 1e-12);
    assert!((number(&report["metrics"]["set_coverage"]["value"]) - held / in_scope).abs() < 1e-12);
    // With 320 messages, the coverage is 0.8 with a standard error near 0.022. The accuracy of the answers has a
    // lower bound.
    assert!((0.72..0.88).contains(&(held / in_scope)), "{}", held / in_scope);
    assert!(right / answered > 0.81, "{}", right / answered);
    let scores = report["oos"]["scores"].as_array().unwrap();
    assert!(scores.len() >= 3, "{scores:?}");
    for row in scores {
        assert_eq!(row["in_use"], row["score"] == rule["score"], "{row}");
        for metric in ["auroc", "aupr", "aupr_oos", "fpr95"] {
            let value = number(&row[metric]["value"]);
            assert!((0.0..=1.0).contains(&value), "{row}");
        }
    }
}

#[test]
fn train_prints_the_chosen_score_and_the_reason() {
    let terminal = terminal();
    let output = terminal.stdout("train train.csv --config settings.yaml --out m.botops");
    for part in [
        "scores out of fold, in scope against out of scope:",
        "FPR at 95 % recall",
        "decides",
        "answers where ",
        "with 95 % confidence 0.8",
        "(target 0.85)",
        "sets of intents (lac) hold the truth of 80.0 % of in-scope utterances",
    ] {
        assert!(output.contains(part), "`{part}` is not in\n{output}");
    }
    let output = terminal.stdout("evaluate m.botops test.csv");
    for part in ["answered where ", "where 0.85 was the target", "prediction sets (lac, alpha 0.2)"]
    {
        assert!(output.contains(part), "`{part}` is not in\n{output}");
    }
    let output = terminal.stdout("predict m.botops parcel");
    assert!(output.contains("one of {") || output.contains("likely enough"), "{output}");
}

#[test]
fn a_model_card_states_the_accuracy_guarantee() {
    let terminal = terminal();
    terminal.write("botops.yaml", "version: 1\nmodel: support\n");
    let line = "train train.csv --config settings.yaml --out m.botops --test test.csv";
    let trained = json(&terminal, 0, line);
    let run = trained["data"]["run"].as_str().unwrap();
    let card = json(&terminal, 0, &format!("runs export {run} --to model-card --dry-run"));
    let card = card["data"]["card"].as_str().unwrap();
    let rule = &trained["data"]["fallback"];
    let threshold = format!("is below {:.3}, it falls back", number(&rule["threshold"]));
    let tested = format!("{} were answered", rule["guarantee"]["n_answered"]);
    for part in
        [&threshold, &tested, "that 85.0 % of the answers are right", "a set of intents (lac)"]
    {
        assert!(card.contains(part), "`{part}` is not in\n{card}");
    }
    assert!(!card.contains("0.350"), "{card}");
}

#[test]
fn a_default_model_has_no_prediction_sets() {
    let terminal = terminal();
    let trained = json(&terminal, 0, "train train.csv --out m.botops");
    assert_eq!(trained["data"]["fallback"]["threshold"], 0.35);
    assert_eq!(trained["data"]["fallback"]["score"], "max_probability");
    let predicted = json(&terminal, 0, "predict m.botops parcel");
    assert_eq!(predicted["data"]["predictions"][0].get("prediction_set"), None);
    let judged = json(&terminal, 0, "evaluate m.botops test.csv");
    assert_eq!(judged["data"]["metrics"].get("set_coverage"), None);
    assert!(judged["data"]["metrics"]["answered_accuracy"].is_object());
}

#[test]
fn an_impossible_setting_is_refused_with_a_code_and_writes_nothing() {
    let terminal = terminal();
    terminal.write("plain.csv", two_intents(60));
    for (spec, data, exit, code, part) in [
        ("fallback: { target_accuracy: 0.9999 }", "train.csv", 4, "BOT-7060", "no threshold shows"),
        ("fallback: { score: oos_class }", "plain.csv", 4, "BOT-7061", "the data has 0"),
        (
            "fallback: { target_accuracy: 1.0 }",
            "train.csv",
            2,
            "BOT-7010",
            "fallback.target_accuracy",
        ),
        ("fallback: { threshold: 1.5 }", "train.csv", 2, "BOT-7010", "fallback.threshold"),
        ("conformal: { alpha: 0 }", "train.csv", 2, "BOT-7010", "conformal.alpha"),
        ("fallback: { score: centroids }", "train.csv", 2, "BOT-1012", "`centroid`"),
        ("fallback: { target: 0.9 }", "train.csv", 2, "BOT-1011", "target_accuracy"),
        (
            "features: { kind: encoder, encoder: { source: nowhere } }\n\
             head: { kind: fine_tuned }\nfallback: { score: centroid }",
            "train.csv",
            2,
            "BOT-7063",
            "fallback.score: centroid",
        ),
    ] {
        terminal.write("spec.yaml", spec);
        let output = terminal.run(&format!("train {data} --config spec.yaml --out m.botops"));
        assert!(output.starts_with(&format!("exit: {exit}")), "{spec}: {output}");
        assert!(
            output.contains(code) && output.contains(part) && output.contains("hint: "),
            "{output}"
        );
        assert!(!terminal.path().join("m.botops").exists(), "{spec}");
    }
}

#[test]
fn the_target_that_the_message_suggests_is_reached() {
    let terminal = terminal();
    terminal.write("spec.yaml", "fallback: { target_accuracy: 0.9999 }");
    let output = terminal.run("train train.csv --config spec.yaml --out m.botops");
    let named = output.split("set `").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    let (key, value) = named.split_once(": ").unwrap();
    assert_eq!(key, "fallback.target_accuracy");
    terminal.write("spec.yaml", format!("fallback: {{ target_accuracy: {value} }}"));
    json(&terminal, 0, "train train.csv --config spec.yaml --out m.botops");
}

#[test]
fn skipped_steps_are_reported() {
    let terminal = terminal();
    terminal.write("plain.csv", two_intents(60)).write("auto.yaml", "fallback: { score: auto }");
    let trained = json(&terminal, 0, "train plain.csv --config auto.yaml --out m.botops");
    assert_eq!(trained["findings"][0]["code"], "BOT-7062");
    assert_eq!(trained["data"]["fallback"]["score"], "max_probability");
    let output = terminal.stdout("train plain.csv --config auto.yaml --out m.botops");
    assert!(output.contains("BOT-7062"), "{output}");
    let line = "train train.csv --config settings.yaml --cross-validate 3";
    let folds = json(&terminal, 0, line);
    assert_eq!(folds["findings"][0]["code"], "BOT-7064");
    assert!(terminal.stdout(line).contains("BOT-7064"));
}
