//! Data in every format, imported and exported.

use crate::terminal::{Terminal, two_intents};
use insta::assert_snapshot;
use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

const NLU: &str = r#"version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello [Bob](name)
    - good morning
- intent: faq/ask_hours
  metadata: {owner: desk}
  examples: |
    - when do you open in [NYC]{"entity": "city", "value": "New York", "role": "place"}?
- synonym: New York
  examples: |
    - NYC
- lookup: city
  examples: |
    - Paris
- regex: zip
  examples: |
    - \d{5}
"#;

/// Runs a prepared command with `input` on its standard input.
fn run_with_stdin(command: &mut Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_format_and_a_pipe_give_the_same_records() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(40));
    let shown = |line: &str, name: &str| terminal.stdout(line).replace(name, "DATA");
    let expected = shown("validate data.csv", "data.csv");
    for name in ["a.tsv", "a.jsonl", "a.json", "a.parquet", "a.csv.gz", "a.jsonl.zst", "a.json.gz"]
    {
        terminal.stdout(&format!("data import data.csv --out {name}"));
        assert_eq!(shown(&format!("validate {name}"), name), expected, "{name}");
        let bytes = fs::read(terminal.path().join(name)).unwrap();
        // A tab-separated table is recognized by its first line, the other formats by their first bytes.
        let piped = run_with_stdin(&mut terminal.command("validate -"), &bytes);
        let piped = piped.replacen('-', "DATA", 1);
        assert_eq!(piped, expected, "{name} through a pipe");
    }
    // A flag overrides a wrong file extension.
    fs::copy(terminal.path().join("a.jsonl"), terminal.path().join("b.csv")).unwrap();
    assert_eq!(shown("validate b.csv --input-format jsonl", "b.csv"), expected);
}

#[test]
fn the_delimiter_and_the_encoding_of_a_file_are_named_with_flags() {
    let terminal = Terminal::new();
    let plain = two_intents(40);
    terminal.write("data.csv", &plain);
    let (header, records) = plain.split_once('\n').unwrap();
    assert_eq!(header, "text,intent");
    let rows: String = records
        .lines()
        .map(|line| line.rsplit_once(',').unwrap())
        .map(|(text, intent)| format!("{} caf\u{e9}^{intent}\n", text.trim_matches('"')))
        .collect();
    let latin: Vec<u8> = format!("text^intent\n{rows}").chars().map(|c| c as u8).collect();
    fs::write(terminal.path().join("old.csv"), latin).unwrap();
    let flags = "--delimiter ^ --encoding windows-1252";
    terminal.stdout(&format!("data import old.csv {flags} --out new.jsonl"));
    let imported = fs::read_to_string(terminal.path().join("new.jsonl")).unwrap();
    assert_eq!(imported.matches("caf\u{e9}\"").count(), records.lines().count());
    for line in ["validate old.csv", "data profile old.csv", "data infer old.csv --out e.yaml"] {
        let shown = terminal.run(&format!("{line} {flags}"));
        assert!(shown.contains("exit: 0"), "{line}: {shown}");
    }
    let shown = terminal.run("validate old.csv --delimiter ^");
    assert!(shown.contains("read it with `--encoding windows-1252`"), "{shown}");
    let shown = terminal.run("validate data.csv --encoding latin-9");
    assert!(shown.contains("exit: 2"), "{shown}");
}

#[test]
fn validate_reports_what_it_does_not_read_of_rasa_training_data() {
    let terminal = Terminal::new();
    terminal.write(
        "nlu.yml",
        "nlu:\n- intent: a\n  examples: |\n    - one\n- intent: b\n  example: |\n    - two\n---\nnlu:\n- intent: c\n- intent: d\n  metadata: x\n  examples: |\n    - four\n",
    );
    terminal.write("expectations.yaml", "version: 1\nmin_examples_per_intent: 1\n");
    assert_snapshot!(terminal.run("validate nlu.yml"), @r"
    exit: 0
    --- stdout
    nlu.yml: 2 records, 2 intents, 2 accepted, 0 rejected
    warning[BOT-2233] Rasa training data has an unknown key: 1
        nlu.yml:7:5: `example` of the intent `b` is unknown: it is not read
        help: did you mean `examples`?
    warning[BOT-2234] an intent has no examples: 1
        nlu.yml:10:3: the intent `c` has no examples
        help: write examples below `examples`, or remove the intent
    passed: 0 errors, 2 warnings
    --- stderr
    next: `botops explain BOT-2233`
    ");
    terminal.write(
        "expectations.yaml",
        "version: 1\nmin_examples_per_intent: 1\nseverity: {BOT-2233: error, BOT-2234: off}\n",
    );
    let shown = terminal.run("validate nlu.yml");
    assert!(shown.contains("exit: 3") && !shown.contains("BOT-2234"), "{shown}");
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(40));
    for name in ["csv.gz", "jsonl.zst", "parquet", "json"] {
        terminal.stdout(&format!("data import data.csv --out a.{name}"));
        terminal.stdout(&format!("data import data.csv --out b.{name}"));
        let bytes = |file: &str| fs::read(terminal.path().join(format!("{file}.{name}"))).unwrap();
        assert_eq!(bytes("a"), bytes("b"), "{name}");
    }
}

#[test]
fn an_import_counts_and_names_the_content_it_leaves_out() {
    let terminal = Terminal::new();
    terminal
        .write("in/a.csv", "id,text,intent,score\n1,hello,greet,0.3\n2,\"bye, bye\",leave,1\n")
        .write("in/b.csv", "id,text,intent,score\n3,farewell,leave,1\n")
        .write("nlu.yml", NLU);
    let shown = terminal.run("data import in/*.csv nlu.yml --out all.jsonl");
    let lines = fs::read_to_string(terminal.path().join("all.jsonl")).unwrap();
    assert_snapshot!(format!("{shown}--- all.jsonl\n{lines}"));
}

#[test]
fn a_dry_run_writes_nothing_and_reports_it() {
    let terminal = Terminal::new();
    terminal.write("nlu.yml", NLU);
    assert_snapshot!(terminal.run("data import nlu.yml --out a.csv --terms terms.yml --dry-run"));
    let names: Vec<_> =
        fs::read_dir(terminal.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["nlu.yml"]);
}

#[test]
fn the_answer_of_an_import_is_one_document() {
    let terminal = Terminal::new();
    terminal.write("nlu.yml", NLU);
    assert_snapshot!(
        terminal.run("data import nlu.yml --out a.csv --terms terms.yml --format json")
    );
}

#[test]
fn rasa_training_data_survives_a_round_trip_through_a_table() {
    let terminal = Terminal::new();
    terminal.write("nlu.yml", NLU);
    terminal.stdout("data import nlu.yml --out a.csv --terms terms.yml");
    let table = fs::read_to_string(terminal.path().join("a.csv")).unwrap();
    let shown = terminal.run("data export a.csv terms.yml --to rasa --out back.yml");
    let back = fs::read_to_string(terminal.path().join("back.yml")).unwrap();
    assert_snapshot!(format!("{table}---\n{shown}--- back.yml\n{back}"));
    terminal.stdout("data export back.yml --to rasa --out again.yml");
    assert_eq!(fs::read_to_string(terminal.path().join("again.yml")).unwrap(), back);
}

#[test]
fn content_that_rasa_cannot_express_is_left_out_counted_and_named() {
    let terminal = Terminal::new();
    terminal.write(
        "data.csv",
        "text,intent,lang\nfine,a,en\nno intent,,en\nread [this](wrongly),a,en\n\" outer blanks \",b,en\n",
    );
    let shown = terminal.run("data export data.csv --to rasa --out nlu.yml");
    let nlu = fs::read_to_string(terminal.path().join("nlu.yml")).unwrap();
    assert_snapshot!(format!("{shown}--- nlu.yml\n{nlu}"));
}

#[test]
fn packed_and_divided_files_train_the_same_model() {
    let terminal = Terminal::new();
    let text = two_intents(40);
    let (header, rows) = text.split_once('\n').unwrap();
    let (first, second) = rows.split_at(rows.match_indices('\n').nth(30).unwrap().0 + 1);
    terminal
        .write("data.csv", &text)
        .write("parts/a.csv", format!("{header}\n{first}"))
        .write("parts/b.csv", format!("{header}\n{second}"));
    terminal.stdout("data import data.csv --out a.csv.gz");
    terminal.stdout("train data.csv --out plain.botops");
    terminal.stdout("train a.csv.gz --out packed.botops");
    terminal.stdout("train parts/*.csv --out several.botops --record");
    let predicted = |model: &str, data: &str| {
        terminal.stdout(&format!("predict {model} --data {data} --out p.csv"));
        fs::read_to_string(terminal.path().join("p.csv")).unwrap()
    };
    let expected = predicted("plain.botops", "data.csv");
    assert_eq!(expected.lines().count(), 81);
    assert_eq!(predicted("packed.botops", "a.csv.gz"), expected);
    assert_eq!(predicted("several.botops", "a.csv.gz"), expected);
    // The run stored its training data as one file.
    let run = terminal.stdout("runs list --format json");
    let id = run.split("\"id\": \"").nth(1).unwrap().split('"').next().unwrap();
    terminal.stdout(&format!("runs reproduce {id}"));
}

#[test]
fn an_input_of_an_import_is_never_overwritten() {
    let terminal = Terminal::new();
    terminal.write("a.csv", two_intents(5));
    let before = fs::read(terminal.path().join("a.csv")).unwrap();
    assert_snapshot!(terminal.run("data import *.csv --out a.csv"));
    assert_eq!(fs::read(terminal.path().join("a.csv")).unwrap(), before);
}
