//! `botops predict`: files in a stream, and explanations.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
    thread,
};

fn trained() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(30));
    assert!(terminal.run("train train.csv --out m.botops").starts_with("exit: 0"));
    terminal
}

fn json(terminal: &Terminal, command: &str) -> Value {
    serde_json::from_str(&terminal.stdout(command)).unwrap()
}

#[test]
fn every_output_holds_the_same_predictions() {
    let terminal = trained();
    let answer = json(&terminal, "predict m.botops --data train.csv --format json");
    let kept = answer["data"]["predictions"].as_array().unwrap();
    assert_eq!(kept.len(), 60);
    terminal.run("predict m.botops --data train.csv --out p.jsonl");
    terminal.run("predict m.botops --data train.csv --out p.csv");
    let lines = fs::read_to_string(terminal.path().join("p.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, kept);
    let table = fs::read_to_string(terminal.path().join("p.csv")).unwrap();
    assert_eq!(table.lines().next().unwrap(), "record,text,truth,intent,confidence,fallback");
    assert_eq!(table.lines().count(), 61);
    // The output can be classified again.
    let again = json(&terminal, "predict m.botops --data p.jsonl --format json --top 1");
    assert_eq!(again["data"]["n"], 60);
    assert_eq!(again["data"]["predicted"], answer["data"]["predicted"]);
    let shown = terminal.stdout("predict m.botops --data train.csv");
    assert_eq!(shown.lines().count(), 61, "a header, and a line each");
}

#[test]
fn a_fault_in_the_middle_leaves_no_file() {
    let terminal = trained();
    let mut bytes = b"text\n".to_vec();
    bytes.extend("a fine text\n".repeat(200_000).bytes());
    bytes.extend(b"caf\xe9\n");
    terminal.write("bad.csv", bytes);
    let output = terminal.run("predict m.botops --data bad.csv --out p.csv");
    assert!(output.starts_with("exit: 3"), "{output}");
    assert!(
        output.contains("BOT-2104") && output.contains("record 200001 (line 200002)"),
        "{output}"
    );
    let left: Vec<_> = fs::read_dir(terminal.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("p.csv"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let terminal = trained();
    let output = terminal.run("predict m.botops --data train.csv --out p.csv --dry-run");
    assert!(output.starts_with("exit: 0") && output.contains("not written"), "{output}");
    assert!(!terminal.path().join("p.csv").exists());
}

#[test]
fn a_record_without_a_text_is_counted_and_reported() {
    let terminal = trained();
    terminal.write(
        "some.jsonl",
        "{\"text\":\"where is it\"}\n{\"utterance\":\"\"}\n{\"text\":\"  \"}\n{\"text\":\"mail jo@example.com\"}\n",
    );
    let output = terminal.stdout("predict m.botops --data some.jsonl --out p.jsonl");
    assert!(
        output.contains("warning[BOT-7067]") && output.contains("some.jsonl, record 2 (line 2)"),
        "{output}"
    );
    assert!(output.contains("of 4 records, 2 have no text"), "{output}");
    let rows = fs::read_to_string(terminal.path().join("p.jsonl")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[1]["text"], &rows[1]["fallback"]), (&"".into(), &true.into()));
    assert_eq!(rows[1]["scores"][0]["intent"], rows[1]["intent"]);
    let answer = json(&terminal, "predict m.botops --data some.jsonl --format json");
    assert_eq!(
        (answer["data"]["n"].as_u64(), answer["data"]["n_without_text"].as_u64()),
        (Some(4), Some(2))
    );
    // The printed table has no personal data; the files for programs have the original texts.
    let shown = terminal.stdout("predict m.botops --data some.jsonl");
    assert!(shown.contains("mail [email]") && !shown.contains("jo@"), "{shown}");
    assert_eq!(rows[3]["text"], "mail jo@example.com");
}

#[test]
fn printed_errors_have_no_personal_data() {
    let terminal = trained();
    let data = two_intents(30);
    let mut lines = data.lines();
    let header = lines.next().unwrap();
    // Every text gets the other intent, and an address.
    let intents: Vec<&str> = lines.clone().map(|line| line.rsplit(',').next().unwrap()).collect();
    let other = |intent: &str| *intents.iter().find(|known| **known != intent).unwrap();
    let rows: String = lines
        .map(|line| {
            let (text, intent) = line.rsplit_once(',').unwrap();
            format!("{text} jo@example.com,{}\n", other(intent))
        })
        .collect();
    terminal.write("wrong.csv", format!("{header}\n{rows}"));
    let output = terminal.stdout("evaluate m.botops wrong.csv");
    assert!(output.contains("[email]") && !output.contains("jo@"), "{output}");
    let answer = json(&terminal, "evaluate m.botops wrong.csv --format json");
    assert!(answer["data"].to_string().contains("jo@example.com"));
}

#[test]
fn an_explanation_names_terms_and_the_nearest_records() {
    let terminal = trained();
    let answer =
        json(&terminal, "predict m.botops parcel --explain --data train.csv --format json");
    let explanation = &answer["data"]["predictions"][0]["explanation"];
    assert_eq!(explanation["winner"], answer["data"]["predictions"][0]["intent"]);
    assert!(explanation["terms"].as_array().unwrap().iter().any(|one| one["term"] == "parcel"));
    let nearest = explanation["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 5);
    assert!(nearest[0]["text"].as_str().unwrap().contains("parcel"));
    assert_eq!(nearest[0]["line"], nearest[0]["record"].as_u64().unwrap() + 1);
    // Without the data, no nearest records are shown: they are not in the model, unless a run stored the data.
    let alone = json(&terminal, "predict m.botops parcel --explain --format json");
    assert!(alone["data"]["predictions"][0]["explanation"].get("nearest").is_none());
}

#[test]
fn the_nearest_records_come_from_the_run_that_kept_its_data() {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(30));
    terminal.run("train train.csv --out m.botops --record");
    fs::remove_file(terminal.path().join("train.csv")).unwrap();
    let answer = json(&terminal, "predict m.botops parcel --explain --format json");
    let nearest = answer["data"]["predictions"][0]["explanation"]["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 5);
}

#[test]
fn a_whole_file_cannot_be_explained() {
    let terminal = trained();
    let output = terminal.run("predict m.botops --data train.csv --explain");
    assert!(output.starts_with("exit: 2") && output.contains("BOT-1003"), "{output}");
}

#[test]
fn scored_batches_are_streamed_to_standard_output() {
    let terminal = trained();
    terminal.stdout("predict m.botops --data train.csv --out p.csv");
    let mut child = terminal
        .command("predict m.botops --data - --out -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than a batch, and the input stays open: the first rows come before its end.
    let rows = "a fine text about a parcel,order_status\n".repeat(60_000);
    let writer = thread::spawn(move || {
        input.write_all(b"text,intent\n").unwrap();
        input.write_all(rows.as_bytes()).unwrap();
        input
    });
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "record,text,truth,intent,confidence,fallback\n");
    line.clear();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("1,a fine text about a parcel,order_status,"), "{line}");
    // The rest is read while it is written.
    let rest = thread::spawn(move || output.lines().map_while(Result::ok).count());
    drop(writer.join().unwrap());
    assert_eq!(rest.join().unwrap(), 59_999);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("standard output: 60,000 predictions"), "{said}");
    assert!(!terminal.path().join("-").exists());
    // The bytes are those of a file.
    let streamed = terminal.command("predict m.botops --data train.csv --out -").output().unwrap();
    assert_eq!(streamed.stdout, fs::read(terminal.path().join("p.csv")).unwrap());
}

#[test]
fn a_reader_of_a_stream_that_ends_early_is_no_error() {
    let terminal = trained();
    terminal.write("long.csv", format!("text\n{}", "a fine text\n".repeat(100_000)));
    let mut child = terminal
        .command("predict m.botops --data long.csv --out -")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    drop(output);
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn predict_answers_each_line_of_standard_input_when_it_arrives() {
    let terminal = trained();
    let mut child = terminal
        .command("predict m.botops -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || output.next().unwrap().unwrap();
    input.write_all(b"my parcel\n").unwrap();
    assert!(next().starts_with("intent "));
    assert!(next().starts_with("order_status "));
    // The process waits for the next line.
    input.write_all(b"password forgotten\n").unwrap();
    let second = next();
    assert!(
        second.starts_with("account_help ") && second.ends_with("password forgotten"),
        "{second}"
    );
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn probabilities_have_a_column_for_each_intent_and_top_has_no_place_in_csv() {
    let terminal = trained();
    let line = "predict m.botops --data train.csv --out p.csv --probabilities";
    terminal.stdout(line);
    terminal.stdout(line);
    let table = fs::read_to_string(terminal.path().join("p.csv")).unwrap();
    let mut rows = table.lines();
    assert_eq!(
        rows.next().unwrap(),
        "record,text,truth,intent,confidence,fallback,p_account_help,p_order_status"
    );
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        let (help, status): (f64, f64) = (cells[6].parse().unwrap(), cells[7].parse().unwrap());
        assert!((help + status - 1.0).abs() < 2e-6, "{row}");
        let confidence: f64 = cells[4].parse().unwrap();
        let predicted = if cells[3] == "account_help" { help } else { status };
        assert!((confidence - predicted).abs() < 2e-6, "{row}");
    }
    terminal.stdout("predict m.botops --data train.csv --out p.jsonl --probabilities");
    let lines = fs::read_to_string(terminal.path().join("p.jsonl")).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["scores"].as_array().unwrap().len(), 2);
    for line in [
        "predict m.botops --data train.csv --out q.csv --top 2",
        "predict m.botops --data train.csv --out - --top 2",
        "predict m.botops --data train.csv --top 2",
        "predict m.botops --data train.csv --probabilities",
        "predict m.botops hello --probabilities",
        "predict m.botops --data train.csv --out q.jsonl --spreadsheet",
    ] {
        let refused = terminal.run(line);
        assert!(
            refused.starts_with("exit: 2") && refused.contains("BOT-1003"),
            "{line}: {refused}"
        );
    }
    assert!(!terminal.path().join("q.csv").exists());
}

#[test]
fn predictions_are_written_in_the_format_of_their_name_or_refused() {
    let terminal = trained();
    let line = "predict m.botops --data train.csv --out p.tsv";
    terminal.stdout(line);
    let table = fs::read_to_string(terminal.path().join("p.tsv")).unwrap();
    assert_eq!(table.lines().next(), Some("record\ttext\ttruth\tintent\tconfidence\tfallback"));
    // Predictions replace predictions.
    terminal.stdout(line);
    for name in ["p.parquet", "p.json", "p.csv.gz"] {
        let refused =
            terminal.run(&format!("predict m.botops --data none.csv --out {name} --dry-run"));
        assert!(refused.starts_with("exit: 2") && refused.contains("BOT-1003"), "{refused}");
    }
    for line in [
        "data label-issues none.csv --out p.tsv",
        "data suggest none.csv --model m.botops --out p.parquet",
        "data merge train.csv none.csv --out p.csv --refused r.json",
        "validate none.csv --quarantine q.jsonl",
    ] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2") && refused.contains("BOT-1003"), "{refused}");
    }
}

#[test]
fn texts_of_predictions_join_with_the_data_unless_they_are_for_a_spreadsheet() {
    let terminal = trained();
    terminal.write("formulas.csv", "text\n=1+1 parcel\n+49 30 1234\n-20% off\n@home\n");
    terminal.stdout("predict m.botops --data formulas.csv --out p.csv");
    let texts = || -> Vec<String> {
        let table = fs::read_to_string(terminal.path().join("p.csv")).unwrap();
        table.lines().skip(1).map(|row| row.split(',').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(texts(), ["=1+1 parcel", "+49 30 1234", "-20% off", "@home"]);
    terminal.stdout("predict m.botops --data formulas.csv --out p.csv --spreadsheet");
    assert_eq!(texts(), ["'=1+1 parcel", "'+49 30 1234", "'-20% off", "'@home"]);
}

#[test]
fn a_mistyped_model_is_not_classified_as_an_utterance() {
    let terminal = trained();
    terminal.stdout("push m.botops --name support");
    for line in ["predict suport hi", "predict support hi", "predict suport --data train.csv"] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2") && refused.contains("BOT-1055"), "{refused}");
        assert!(refused.contains("`support@champion`"), "{refused}");
    }
    fs::rename(terminal.path().join("m.botops"), terminal.path().join("intents.botops")).unwrap();
    let refused = terminal.run("predict intent hi");
    assert!(refused.contains("`intents.botops`") && refused.contains("BOT-1055"), "{refused}");
    fs::create_dir(terminal.path().join("sub")).unwrap();
    fs::copy(terminal.path().join("intents.botops"), terminal.path().join("sub/m.botops")).unwrap();
    for line in
        ["predict sub/m hi", "predict ./sub/m.boptops hi", "predict @1 hi", "predict no.csv hi"]
    {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2") && refused.contains("BOT-1055"), "{refused}");
    }
    // Behind the model, the word is an utterance.
    let answer = json(&terminal, "predict intents.botops suport hi --format json");
    assert_eq!(answer["data"]["predictions"][0]["text"], "suport");
}

#[test]
fn entities_are_shown_if_the_model_finds_any() {
    let terminal = trained();
    terminal.write("d.yaml", "entities: {order: '#\\d{4}', name: 'my name is (\\w+)'}\n");
    terminal.stdout("train train.csv --dialogue d.yaml --out e.botops");
    let text = terminal.stdout("predict e.botops \"where is #1234, my name is Ada\"");
    assert!(text.contains("\n  entities order=#1234, name=Ada\n"), "{text}");
    let several = terminal.stdout("predict e.botops \"where is #1234\" hello");
    let lines: Vec<&str> = several.lines().collect();
    assert!(lines[0].contains("entities") && lines[1].contains("order=#1234"), "{several}");
    let found = json(&terminal, "predict e.botops \"where is #1234\" hello --format json");
    let predictions = &found["data"]["predictions"];
    assert_eq!(predictions[0]["entities"][0]["value"], "#1234");
    assert_eq!(predictions[0]["entities"][0]["start"], 9);
    assert_eq!(predictions[1]["entities"], serde_json::json!([]));
    // A model without any answers as before.
    let found = json(&terminal, "predict m.botops \"where is #1234\" --format json");
    assert!(found["data"]["predictions"][0].get("entities").is_none(), "{found}");
    let text = terminal.stdout("predict m.botops \"where is #1234\" hello");
    assert!(!text.contains("entities"), "{text}");
}
