//! `botops drift`: columns by type, missing values, what was not judged, and a model on its own training data.

use crate::{
    support,
    terminal::{Terminal, two_intents},
};
use botops_stats::random::Random;
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};

/// Runs a line with `--format json`, and returns its exit code and its data.
fn drift(terminal: &Terminal, line: &str) -> (Option<i32>, Value) {
    let mut command = terminal.command(&format!("{line} --quiet --format json"));
    let (code, text) = support::terminal(&mut command, Duration::from_secs(120));
    let document: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (code, document["data"].clone())
}

/// Returns the names of the checks, with a star at those that drift.
fn checks(data: &Value) -> Vec<String> {
    let checks = data["checks"].as_array().unwrap();
    let name = |check: &Value| {
        let star = if check["verdict"] == "drift" { "*" } else { "" };
        format!("{}{star}", check["name"].as_str().unwrap())
    };
    checks.iter().map(name).collect()
}

/// Returns what was not judged, as `name: why`.
fn not_judged(data: &Value) -> Vec<String> {
    let items = data["not_judged"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            format!("{}: {}", item["name"].as_str().unwrap(), item["why"].as_str().unwrap())
        })
        .collect()
}

/// Records with columns of all kinds. `shift` is added to the confidence.
fn records(n: u32, shift: f64) -> String {
    let mut out = "text,intent,confidence,latency_ms,channel,created_at,order_id\n".to_owned();
    for i in 0..n {
        let confidence = 0.5 * f64::from(i * 37 % 101) / 101.0 + shift;
        let (intent, channel) =
            (["a", "b"][i as usize % 2], ["web", "app", "phone"][i as usize % 3]);
        writeln!(
            out,
            "hello number {i},{intent},{confidence:.4},{},{channel},2026-11-{:02},o-{i}",
            100 + i * 53 % 97,
            1 + i % 28
        )
        .unwrap();
    }
    out
}

#[test]
fn columns_without_a_role_are_compared_by_their_type() {
    let terminal = Terminal::new();
    terminal.write("a.csv", records(300, 0.0)).write("b.csv", records(300, 0.3));
    let (code, data) = drift(&terminal, "drift a.csv b.csv --html drift.html");
    assert_eq!(code, Some(3), "{data:#}");
    let wanted = ["intent", "length_words", "length_chars", "confidence*", "latency_ms", "channel"];
    assert_eq!(checks(&data), wanted);
    assert_eq!(not_judged(&data), ["created_at: times", "order_id: ids", "text: too_few"]);
    let confidence = &data["checks"][3];
    assert_eq!(confidence["test"], "ks_2samp");
    // The confidences lie evenly in [0, 0.5), whose standard deviation is 0.5 / sqrt(12).
    let distance = confidence["wasserstein_sd"].as_f64().unwrap();
    assert!((distance - 0.3 / (0.5 / 12_f64.sqrt())).abs() < 0.05, "{distance}");
    assert_eq!(data["n_shared"], 300);
    let text = terminal.run("drift a.csv b.csv");
    assert!(text.contains("not compared: created_at (times), order_id (ids)"), "{text}");
    let markdown = terminal.run("drift a.csv b.csv --format markdown");
    assert!(markdown.contains("| confidence | drift |"), "{markdown}");
}

#[test]
fn chosen_columns_are_compared_alone_and_a_wrong_name_is_refused() {
    let terminal = Terminal::new();
    terminal.write("a.csv", records(300, 0.0)).write("b.csv", records(300, 0.3));
    let (code, data) = drift(&terminal, "drift a.csv b.csv --columns latency_ms,channel");
    assert_eq!((code, checks(&data).join(" ")), (Some(0), "latency_ms channel".to_owned()));
    let (code, data) = drift(&terminal, "drift a.csv b.csv --columns text");
    assert_eq!(code, Some(0), "{data:#}");
    assert_eq!(checks(&data), ["length_words", "length_chars"]);
    let text = terminal.run("drift a.csv b.csv --columns latency");
    assert!(text.starts_with("exit: 2"), "{text}");
    assert!(text.contains("there is no column `latency`") && text.contains("latency_ms"), "{text}");
}

#[test]
fn missing_intents_are_drift_and_what_was_not_judged_is_listed() {
    let terminal = Terminal::new();
    let all = two_intents(200);
    let mostly_missing: String = all
        .lines()
        .enumerate()
        .map(|(i, line)| match line.split_once(',') {
            Some((text, _)) if i > 0 && i % 20 != 0 => format!("{text},\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    terminal.write("a.csv", &all).write("b.csv", mostly_missing);
    let (code, data) = drift(&terminal, "drift a.csv b.csv");
    assert_eq!(code, Some(3), "{data:#}");
    assert!(checks(&data).contains(&"intent_missing*".to_owned()), "{data:#}");
    assert_eq!(not_judged(&data), ["intent: too_few"]);
    let text = terminal.run("drift a.csv b.csv");
    assert!(text.contains("drift in intent_missing\nnot judged: intent (20 values"), "{text}");
}

#[test]
fn tables_without_a_text_are_compared_by_their_columns() {
    let terminal = Terminal::new();
    let scores = |shift: u32| -> String {
        let rows = (0..200).map(|i| format!("{},{}\n", i % 50 + shift, ["x", "y"][i as usize % 2]));
        ["score,group\n".to_owned()].into_iter().chain(rows).collect()
    };
    terminal.write("a.csv", scores(0)).write("b.csv", scores(20)).write("c.csv", "other\n1\n2\n");
    let (code, data) = drift(&terminal, "drift a.csv b.csv");
    assert_eq!((code, checks(&data)), (Some(3), vec!["score*".to_owned(), "group".to_owned()]));
    assert_eq!(data["n_current"], 200);
    let text = terminal.run("drift a.csv c.csv");
    assert!(text.starts_with("exit: 2") && text.contains("BOT-2101"), "{text}");
    assert!(text.contains("there is nothing to compare"), "{text}");
}

#[test]
fn numbers_of_recorded_traffic_are_compared() {
    let terminal = Terminal::new();
    let traffic = |shift: f64| -> String {
        (0..200)
            .map(|i| {
                format!(
                    "{{\"at\":\"2026-01-05T08:00:{:02}Z\",\"conversation_id\":\"c{i}\",\"text\":\"hello {i}\",\
                     \"confidence\":{:.3}}}\n",
                    i % 60,
                    f64::from(i % 40) / 80.0 + shift
                )
            })
            .collect()
    };
    terminal.write("a.jsonl", traffic(0.0)).write("b.jsonl", traffic(0.4));
    let (code, data) = drift(&terminal, "drift a.jsonl b.jsonl");
    assert_eq!(code, Some(3), "{data:#}");
    assert!(checks(&data).contains(&"confidence*".to_owned()), "{data:#}");
    assert_eq!(not_judged(&data), ["at: times", "conversation_id: ids"]);
}

#[test]
fn a_training_set_does_not_drift_from_itself_under_its_own_model() {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(150)).write("half.csv", two_intents(75));
    terminal.stdout("train train.csv --out m.botops");
    let (code, data) = drift(&terminal, "drift train.csv train.csv --model m.botops");
    assert_eq!(code, Some(0), "{data:#}");
    for check in data["checks"].as_array().unwrap() {
        assert_eq!(check["psi"], 0.0, "{check:#}");
    }
    assert_eq!(
        (&data["trained_on_reference"], &data["trained_on_current"]),
        (&true.into(), &true.into())
    );
    assert_eq!(data["n_shared"], 300);
    let text = terminal.run("drift train.csv train.csv --model m.botops");
    assert!(
        text.contains("300 of 300 rows of the current data have a text that stands in"),
        "{text}"
    );
    // The same holds for a part of it, on either side.
    for line in ["drift train.csv half.csv", "drift half.csv train.csv"] {
        let (_, data) = drift(&terminal, &format!("{line} --model m.botops"));
        for (check, name) in [(0, "intent"), (2, "confidence")] {
            let check = &data["checks"][check];
            assert_eq!(check["name"], name);
            assert_eq!(check["verdict"], "no_drift", "{line}: {data:#}");
        }
    }
}

#[test]
fn a_pipeline_scores_no_training_record_as_current_data() {
    let terminal = Terminal::new();
    terminal
        .write("data.csv", two_intents(250))
        .write("botops.yaml", "version: 1\nmodel: support\n");
    terminal.write(
        "p.yaml",
        "version: 1\nname: weekly\nmodel: support\nstages:\n  - validate: { data: data.csv }\n  - split: { from: \
         validate, test_share: 0.4 }\n  - train: { from: split, model: { head: { kind: linear_svm } } }\n  - drift: { \
         reference: split, model: train, current: data.csv }\n",
    );
    let text = terminal.run("run p.yaml");
    assert!(text.contains("no drift in"), "{text}");
    assert!(
        text.contains("of 500 rows are training data, and their predictions are left out"),
        "{text}"
    );
    let report = terminal.path().join(".botops/pipelines/weekly/drift/drift.json");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    // The held-out records are in the current data, so both sides have the same predictions.
    let confidence = report["checks"].as_array().unwrap();
    let confidence = confidence.iter().find(|check| check["name"] == "confidence").unwrap();
    assert_eq!(
        (&confidence["statistic"], &confidence["n_reference"]),
        (&0.0.into(), &confidence["n_current"])
    );
}

#[test]
fn training_data_is_recognized_in_another_form() {
    let terminal = Terminal::new();
    let records = two_intents(150);
    let rows: Vec<(&str, &str)> =
        records.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
    let reversed: String =
        rows.iter().rev().fold(String::new(), |mut text, (utterance, intent)| {
            let row = serde_json::json!({ "text": utterance, "intent": intent, "channel": "web" });
            let _ = writeln!(text, "{row}");
            text
        });
    let texts: String = rows.iter().map(|(utterance, _)| format!("{utterance}\n")).collect();
    terminal.write("train.csv", &*records).write("train.jsonl", reversed);
    terminal.write("texts.csv", format!("text\n{texts}"));
    let other = two_intents(100).replace("arrives", "arrived").replace("forgotten", "forgot");
    terminal.write("other.csv", other);
    terminal.stdout("train train.csv --out m.botops");

    let (_, by_file) = drift(&terminal, "drift train.csv other.csv --model m.botops");
    let (_, by_rows) = drift(&terminal, "drift train.jsonl other.csv --model m.botops");
    assert_eq!(by_rows["trained_on_reference"], true);
    let confidence = |data: &Value| {
        let checks = data["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "confidence").unwrap()["verdict"].clone()
    };
    assert_eq!(confidence(&by_file), confidence(&by_rows));

    // Without intents the model cannot be trained again without each text.
    let text = terminal.run("drift texts.csv other.csv --model m.botops");
    assert!(
        text.contains("warning[BOT-3056]") && text.contains("300 of 300 different texts"),
        "{text}"
    );
    let text = terminal.run("drift other.csv other.csv --model m.botops");
    assert!(!text.contains("BOT-3056"), "{text}");
}

#[test]
fn the_next_command_compares_the_same_columns() {
    let terminal = Terminal::new();
    let rows: String = (0..200).fold(String::new(), |mut text, i| {
        let _ = writeln!(text, "parcel {i};0,{};1e300", 100 + i * 37 % 83);
        text
    });
    terminal.write("a.csv", format!("text;confidence;size\n{rows}"));
    let text =
        terminal.run("drift a.csv a.csv --columns confidence,size --delimiter ; --min-psi 0.2");
    let wanted = "botops drift a.csv a.csv --columns=confidence,size --min-psi 0.2 --html drift.html --delimiter ';'";
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains("no drift in 2 checks"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() < 160), "{text}");
}

#[test]
fn a_pipeline_compares_the_columns_without_a_role() {
    let terminal = Terminal::new();
    let with_columns = |low: usize| -> String {
        let rows = two_intents(250);
        let mut lines = rows.lines();
        let mut out = format!("{},latency_ms,store\n", lines.next().unwrap());
        for (i, line) in lines.enumerate() {
            out += &format!("{line},{},{}\n", low + i * 37 % 101, ["north", "south"][i % 2]);
        }
        out
    };
    terminal.write("data.csv", with_columns(100)).write("now.csv", with_columns(160));
    terminal.write("botops.yaml", "version: 1\nmodel: support\n");
    let pipeline = |columns: &str| {
        format!(
            "version: 1\nname: weekly\nstages:\n  - validate: {{ data: data.csv }}\n  - split: {{ from: validate }}\n  \
             - drift: {{ reference: split, current: now.csv{columns} }}\n"
        )
    };
    terminal.write("p.yaml", pipeline(""));
    let text = terminal.run("run p.yaml");
    assert!(text.contains("drift in latency_ms"), "{text}");
    let file = |path: &str| {
        let path = terminal.path().join(".botops/pipelines/weekly").join(path);
        std::fs::read_to_string(path).unwrap()
    };
    for side in ["validate/accepted.csv", "split/train.csv", "split/test.csv"] {
        assert!(file(side).starts_with("text,intent,lang,entities,latency_ms,store\n"), "{side}");
    }
    let report: Value = serde_json::from_str(&file("drift/drift.json")).unwrap();
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    assert!(names.contains(&"latency_ms") && names.contains(&"store"), "{names:?}");

    // A result of a version that dropped the columns is made again.
    let record = terminal.path().join(".botops/pipelines/weekly/split/stage.json");
    let old = std::fs::read_to_string(&record).unwrap().replace("stages 2", "stages 1");
    std::fs::write(&record, old).unwrap();
    let status = terminal.run("pipeline status p.yaml");
    assert!(status.contains("it was run by botops"), "{status}");

    // A chosen column that one side lacks is the reason, not the number of rows.
    terminal.write("now.csv", two_intents(250));
    terminal.write("p.yaml", pipeline(", rules: { columns: [latency_ms] }"));
    let text = terminal.run("run p.yaml");
    assert!(text.contains("exit: 0") && text.contains("drift     warned"), "{text}");
    assert!(text.contains("nothing can be compared: latency_ms (only in the reference)"), "{text}");
}

/// Utterances of three intents in turn, and of a new product for each of the last `n_new`.
fn messages(n: usize, n_new: usize, seed: u64, with_intent: bool) -> String {
    const OLD: [(&str, [&str; 4]); 3] = [
        (
            "order_status",
            ["where is my order", "my parcel is late", "track my delivery", "when does it arrive"],
        ),
        (
            "refund",
            [
                "i want my money back",
                "refund me please",
                "you charged me twice",
                "return this item",
            ],
        ),
        (
            "account",
            ["i cannot log in", "reset my password", "change my email", "my account is locked"],
        ),
    ];
    const NEW: [&str; 30] = [
        "battery",
        "brake",
        "helmet",
        "wheel",
        "charger",
        "light",
        "bell",
        "tyre",
        "handlebar",
        "empty",
        "loose",
        "stolen",
        "burnt",
        "noisy",
        "broken",
        "spare",
        "rental",
        "parking",
        "insurance",
        "licence",
        "speed",
        "hill",
        "rain",
        "folding",
        "weight",
        "child",
        "basket",
        "lock",
        "colour",
        "warranty",
    ];
    const MORE: [&str; 20] = [
        "shop",
        "website",
        "yesterday",
        "evening",
        "monday",
        "paris",
        "app",
        "phone",
        "blue",
        "red",
        "large",
        "shoes",
        "jacket",
        "gift",
        "friend",
        "sister",
        "urgent",
        "again",
        "twice",
        "label",
    ];
    let mut random = Random::new(seed);
    let mut out = if with_intent { "text,intent\n".to_owned() } else { "text\n".to_owned() };
    for i in 0..n {
        let (intent, texts) = &OLD[i % 3];
        let mut words = |of: &[&str], n: usize| -> String {
            (0..n).map(|_| format!(" {}", of[random.below(of.len())])).collect()
        };
        let text = match i + n_new < n {
            true => format!("{}{}", texts[i / 3 % 4], words(&MORE, 3)),
            false => format!("scooter{}", words(&NEW, 5)),
        };
        match with_intent {
            true => writeln!(out, "{text},{intent}"),
            false => writeln!(out, "{text}"),
        }
        .unwrap();
    }
    out
}

#[test]
fn new_utterances_are_written_to_be_labelled_and_merged() {
    let terminal = Terminal::new();
    terminal.write("a.csv", messages(600, 0, 0, true)).write("b.csv", messages(600, 150, 7, false));
    let (code, data) = drift(&terminal, "drift a.csv b.csv --columns text --out new.csv");
    assert_eq!(code, Some(3), "{data:#}");
    assert!(checks(&data).contains(&"text*".to_owned()), "{data:#}");
    let check = data["checks"].as_array().unwrap().iter().find(|c| c["name"] == "text").unwrap();
    let score = &check["scores"][0];
    assert_eq!(score["name"], "auc");
    for key in ["value", "noise95", "detectable", "least"] {
        assert!(score[key].as_f64().unwrap() > 0.5, "{score}");
    }
    let actions = &data["actions"];
    assert!(
        actions["terms"].as_array().unwrap().iter().any(|t| t["term"] == "scooter"),
        "{actions:#}"
    );
    let name = actions["candidates"][0]["name"].as_str().unwrap().to_owned();
    assert!(name.contains("scooter"), "{name}");
    let n = data["labels"]["n_utterances"].as_u64().unwrap();
    assert!(n >= 20, "{n}");

    let csv = std::fs::read_to_string(terminal.path().join("new.csv")).unwrap();
    assert!(
        csv.starts_with("id,text,suggested_intent,confidence,intent,count,worth,reason\n"),
        "{csv}"
    );
    let mostly = csv.lines().skip(1).filter(|line| line.contains("scooter")).count();
    assert!(mostly as u64 * 10 >= n * 8, "{mostly} of {n}");
    // A person accepts the proposed names; the labels must not be overwritten.
    let labelled: String = csv
        .lines()
        .map(|line| match line.split(',').collect::<Vec<&str>>()[..] {
            [id, text, suggested, confidence, "", count, worth, reason]
                if !suggested.is_empty() =>
            {
                format!("{id},{text},{suggested},{confidence},scooter,{count},{worth},{reason}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    terminal.write("new.csv", labelled);
    let again = terminal.run("drift a.csv b.csv --columns text --out new.csv");
    assert!(again.contains("--force"), "{again}");
    let merged = terminal.run("data merge a.csv new.csv --new-intents --out merged.csv");
    assert!(merged.starts_with("exit: 0"), "{merged}");
    let records = std::fs::read_to_string(terminal.path().join("merged.csv")).unwrap();
    let labelled = records.lines().filter(|line| line.split(',').any(|cell| cell == "scooter"));
    assert!(labelled.count() >= 20, "{merged}");

    // Nothing changed: no alarm, and nothing to label is written in a dry run.
    terminal.write("c.csv", messages(600, 0, 7, false));
    let (code, data) =
        drift(&terminal, "drift a.csv c.csv --columns text --out none.csv --dry-run");
    assert_eq!(code, Some(0), "{data:#}");
    assert!(!terminal.path().join("none.csv").exists());
}
