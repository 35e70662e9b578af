use super::{TEST, codes, json, record, train, workspace};
use std::fs;

#[test]
fn two_runs_on_the_same_test_data_are_paired_record_by_record() {
    let terminal = workspace();
    let first = train(&terminal, "--test test.csv");
    fs::copy(terminal.path().join("model.botops"), terminal.path().join("first.botops")).unwrap();
    let second = train(&terminal, "--test test.csv --head random_forest");
    let document = json(&terminal, 0, &format!("runs compare {first} {second}"));
    assert_eq!(document["schema"], "botops.runs.compare/1");
    assert!(codes(&document).is_empty());
    let data = &document["data"];
    assert_eq!(data["same_basis"], true);
    let params: Vec<&str> =
        data["params"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(params, ["model.head.kind"]);

    // The same numbers, counted from the predictions of both models.
    let correct = |model: &str| -> Vec<bool> {
        TEST.lines()
            .skip(1)
            .map(|line| {
                let (text, intent) = line.rsplit_once(',').unwrap();
                let answer = json(&terminal, 0, &format!("predict {model} \"{text}\""));
                answer["data"]["predictions"][0]["intent"] == intent
            })
            .collect()
    };
    let (before, now) = (correct("first.botops"), correct("model.botops"));
    let flips = |from: bool| {
        before.iter().zip(&now).filter(|(before, now)| **before == from && **now != from).count()
    };
    let paired = &data["contrasts"][0]["paired"];
    assert_eq!(paired["n"], 14);
    assert_eq!(paired["newly_wrong"], flips(true), "{before:?} {now:?}");
    assert_eq!(paired["newly_right"], flips(false), "{before:?} {now:?}");
    assert_ne!(before, now, "a test in which nothing flips tests nothing");
    for metric in ["accuracy", "macro_f1", "weighted_f1"] {
        let value = |id: &str| record(&terminal, id)["metrics"][metric]["value"].as_f64().unwrap();
        let difference = paired["differences"][metric]["value"].as_f64().unwrap();
        assert!((difference - (value(&second) - value(&first))).abs() < 1e-12, "{metric}");
    }
}

#[test]
fn repeated_work_is_a_twin_and_another_seed_is_another_run() {
    let terminal = workspace();
    let first = train(&terminal, "--test test.csv");
    let second = train(&terminal, "--test test.csv --seed 3");
    let twin = train(&terminal, "--test test.csv");
    assert_ne!(twin, first);
    let shown = terminal.stdout(&format!("runs show {twin}"));
    assert!(shown.contains(&format!("twin of run {first}")), "{shown}");
    let text = terminal.run(&format!("runs compare {first} {second}"));
    for part in ["\nmodel.seed  17  3\n", "\nB against A, record by record on the same 14: "] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn the_same_seed_from_another_source_makes_the_same_model() {
    let terminal = workspace();
    let first = train(&terminal, "--test test.csv");
    terminal
        .write("config.yaml", "seed: 17\n")
        .write("more.csv", format!("{TEST}order of mine,order_status\n"));
    let second = train(&terminal, "--test more.csv --config config.yaml");
    let document = json(&terminal, 0, &format!("runs compare {first} {second}"));
    assert_eq!(document["data"]["contrasts"][0]["same_model"], true);
    assert_eq!(codes(&document), ["BOT-5033"], "the test data is another");
    assert_eq!(document["data"]["same_basis"], false);
}

#[test]
fn runs_without_common_test_data_are_not_compared_record_by_record() {
    let terminal = workspace();
    let first = train(&terminal, "--test test.csv");
    terminal.write("other.csv", TEST.replace("nothing of this", "nothing of that"));
    let second = train(&terminal, "--test other.csv --seed 3");
    let silent = train(&terminal, "");
    let text = terminal.run(&format!("runs compare {first} {second} {silent}"));
    for part in [
        "warning[BOT-5033]: the metrics were not measured on the same data in the same way",
        "B against A, not record by record: they were measured on different data: ",
        &format!(
            "C against A, not record by record: run {silent} does not record what it was measured on"
        ),
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert!(!text.contains("overlap") && text.starts_with("exit: 0\n"), "{text}");
}

#[test]
fn comparing_a_run_with_itself_or_alone_is_a_usage_error() {
    let terminal = workspace();
    let run = train(&terminal, "--test test.csv");
    let twice = terminal.run(&format!("runs compare {run} latest"));
    assert!(twice.starts_with("exit: 2\n") && twice.contains("is named twice"), "{twice}");
    assert!(terminal.run(&format!("runs compare {run}")).starts_with("exit: 2\n"));
    assert!(terminal.run("runs compare nobody nothing").contains("BOT-5020"));
}

#[test]
fn an_altered_evaluation_is_not_compared() {
    let terminal = workspace();
    let first = train(&terminal, "--test test.csv");
    let second = train(&terminal, "--test test.csv --seed 3");
    let digest = record(&terminal, &second)["artifacts"][1]["digest"].as_str().unwrap().to_owned();
    let path = super::blob(&terminal, &digest);
    let altered = fs::read_to_string(&path).unwrap().replace("parcel", "PARCEL");
    fs::write(&path, altered).unwrap();
    let text = terminal.run(&format!("runs compare {first} {second}"));
    assert!(text.starts_with("exit: 3\n") && text.contains("BOT-5005"), "{text}");
    // A missing evaluation is not an error.
    fs::remove_file(&path).unwrap();
    let document = json(&terminal, 0, &format!("runs compare {first} {second}"));
    let why = document["data"]["contrasts"][0]["why_not_paired"].as_str().unwrap();
    assert!(why.ends_with("is missing from the store"), "{why}");
}

#[test]
fn the_best_run_lists_the_runs_that_are_not_significantly_worse() {
    let terminal = workspace();
    train(&terminal, "--test test.csv");
    train(&terminal, "--test test.csv --seed 3");
    train(&terminal, "");
    let document = json(&terminal, 0, "runs best --metric log_loss");
    let data = &document["data"];
    assert_eq!((&data["better"], &data["basis"]["method"]), (&"lower".into(), &"test".into()));
    let ranked = data["ranked"].as_array().unwrap();
    assert_eq!(ranked.len(), 2, "the run without test data has no metric");
    let value = |place: usize| ranked[place]["metric"]["value"].as_f64().unwrap();
    assert!(value(0) <= value(1));
    assert_eq!(ranked[0]["id"], data["best"]);
    assert_eq!(data["not_told_apart"].as_array().unwrap().len(), 1);
    let text = terminal.run("runs best --kind train");
    assert!(text.contains("looks better than it is"), "{text}");
    let unknown = terminal.run("runs best --metric makro_f1");
    assert!(unknown.contains("did you mean `macro_f1`?"), "{unknown}");
    let nothing = terminal.run("runs best --data sha256:0000");
    assert!(nothing.starts_with("exit: 2\n") && nothing.contains("--data "), "{nothing}");
}

#[test]
fn after_tune_the_hint_names_existing_data_and_whole_trials_are_ranked() {
    let terminal = crate::terminal::Terminal::new();
    terminal.write("data.csv", crate::terminal::two_intents(40));
    terminal.write("botops.yaml", "version: 1\nmodel: support\n");
    terminal.write(
        "p.yaml",
        "version: 1\nname: weekly\nmodel: support\nstages:\n  - validate: { data: data.csv }\n  - split: { from: \
         validate, test_share: 0.25 }\n  - train: { from: split, model: { head: { kind: linear_svm } } }\ntune:\n  \
         trials: 6\n  folds: 4\n  space: { head.c: { log_uniform: [0.1, 10] } }\n",
    );
    let text = terminal.run("tune p.yaml");
    let data = ".botops/pipelines/weekly/split/train.csv";
    assert!(text.contains(&format!("botops train {data} --config winner.yaml")), "{text}");
    assert!(terminal.path().join(data).is_file());
    let text = terminal.run("runs best");
    assert!(text.contains("(cross_validation 4 folds, seed"), "{text}");
}
