//! Repairs: fixes are proposed, reviewed and applied, quarantined records are corrected by hand and merged back, and
//! no record is lost.

use crate::terminal::Terminal;
use insta::assert_snapshot;
use serde_json::Value;
use std::fs;

const DATA: &str = "\
id,text,intent,lang,entities
1,oÃ¹ est mon colis ?,order_status,fr,
2,\"  where is my\u{200b} parcel, please  \",Order-Status,EN,
3,i want my money back now please,refnd,fr,
4,i want my money back now please,refund,en,
5,\"mail me at jane.doe@example.com, thanks\",account_help,en,
6,from NYC to Rome,order_status,en,\"[{\"\"entity\"\":\"\"city\"\",\"\"value\"\":\"\"NYC\"\",\"\"start\"\":4,\"\"end\"\":7}]\"
7,,refund,en,
8,=1+1 please,unknown_thing,en,
9,cafe\u{301} bill is wrong,refund,en,
10,I want my money back now please,account_help,en,
";

const EXPECTATIONS: &str = "\
version: 1
intents: [refund, order_status, account_help]
languages: [en, fr]
min_examples_per_intent: 1
rules:
  - { column: lang, language_of: text }
  - { column: text, no_personal_data: true, fail_if: 1 }
";

fn terminal() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("train.csv", DATA).write("expectations.yaml", EXPECTATIONS);
    terminal
}

fn read(terminal: &Terminal, name: &str) -> String {
    fs::read_to_string(terminal.path().join(name)).unwrap()
}

fn json(terminal: &Terminal, exit: i32, line: &str) -> Value {
    let output = terminal.command(&format!("--format json {line}")).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{line}: {document:#}");
    document
}

#[test]
fn fixes_are_proposed_as_a_patch_for_review() {
    let terminal = terminal();
    let shown = terminal.run("data repair train.csv --patch repairs.csv");
    let patch = read(&terminal, "repairs.csv");
    assert!(!shown.contains("jane.doe") && !patch.contains("jane.doe"), "{patch}");
    assert_eq!(read(&terminal, "train.csv"), DATA);
    assert!(!patch.contains('\u{200b}'), "{patch}");
    assert_snapshot!(format!("{shown}--- repairs.csv\n{patch}"));
}

#[test]
fn a_patch_is_applied_as_reviewed() {
    let terminal = terminal();
    terminal.run("data repair train.csv --patch repairs.csv");
    // The patch as a European spreadsheet saves it, after the reviewer edited one `after`, refused one fix and
    // accepted another.
    let patch = read(&terminal, "repairs.csv");
    let mut reader = csv::Reader::from_reader(patch.as_bytes());
    let mut writer = csv::WriterBuilder::new()
        .delimiter(b';')
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(reader.headers().unwrap()).unwrap();
    for record in reader.records() {
        let mut cells: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        match (cells[1].as_str(), cells[4].as_str(), cells[5].as_str()) {
            ("1", "text", _) => cells[8] = "où est mon colis, svp ?".to_owned(),
            ("9", ..) => cells[6] = "NO".to_owned(),
            ("7", ..) => cells[6] = "TRUE".to_owned(),
            _ => {}
        }
        writer.write_record(&cells).unwrap();
    }
    writer.write_record([""; 11]).unwrap();
    terminal.write("reviewed.csv", writer.into_inner().unwrap());
    let shown = terminal.run("data repair train.csv --apply reviewed.csv --out new.csv");
    let new = read(&terminal, "new.csv");
    assert!(new.contains("\n9,cafe\u{301} bill is wrong,refund,en,\n"), "{new}");
    assert!(new.contains("mail me at jane.doe@example.com"), "{new}");
    assert_snapshot!(format!("{shown}--- new.csv\n{new}"));
}

#[test]
fn a_reviewed_patch_is_overwritten_only_with_force() {
    let terminal = terminal();
    let line = "data repair train.csv --patch repairs.csv";
    terminal.stdout(line);
    let proposed = read(&terminal, "repairs.csv");
    // A file that nobody edited is overwritten.
    terminal.stdout(line);
    let reviewed = proposed.replacen(",yes,", ",no,", 1);
    assert_ne!(reviewed, proposed);
    terminal.write("repairs.csv", &reviewed);
    let refused = terminal.run(line);
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-2219"), "{refused}");
    assert_eq!(read(&terminal, "repairs.csv"), reviewed);
    terminal.stdout(&format!("{line} --force"));
    assert_eq!(read(&terminal, "repairs.csv"), proposed);
}

#[test]
fn a_patch_of_other_data_is_a_conflict_and_nothing_is_written() {
    let terminal = terminal();
    terminal.run("data repair train.csv --patch repairs.csv");
    let shifted: String = DATA
        .lines()
        .filter(|line| !line.starts_with("1,"))
        .map(|line| format!("{line}\n"))
        .collect();
    terminal.write("train.csv", shifted);
    assert_snapshot!(terminal.run("data repair train.csv --apply repairs.csv --out new.csv"));
    assert!(!terminal.path().join("new.csv").exists());
    let conflict = json(&terminal, 5, "data repair train.csv --apply repairs.csv --out new.csv");
    let records: Vec<u64> = conflict["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["record"].as_u64())
        .collect();
    assert_eq!(records.len(), 10, "{conflict:#}");
}

#[test]
fn corrected_records_of_a_quarantine_are_merged_back() {
    let terminal = terminal();
    terminal.run("validate train.csv --quarantine rejected.csv");
    let rejected = read(&terminal, "rejected.csv");
    assert!(!rejected.contains("jane.doe"), "{rejected}");
    let corrected = rejected
        // The intent and the language of record 2; a text for record 7 that begins like a formula; for record 8,
        // another wrong intent.
        .replace("Order-Status,EN", "order_status,en")
        .replace(",7,,refund", ",7,'+33 is where I call from,refund")
        .replace("unknown_thing,en", "refundd,en")
        .replace("mail me at [email], thanks", "write to [email], thanks");
    terminal.write("rejected.csv", corrected);
    let line = "data repair train.csv --quarantine rejected.csv --out new.csv --left left.csv";
    let dry = terminal.run(&format!("{line} --dry-run"));
    assert!(
        !terminal.path().join("new.csv").exists() && !terminal.path().join("left.csv").exists(),
        "{dry}"
    );
    let shown = terminal.run(line);
    let (new, left) = (read(&terminal, "new.csv"), read(&terminal, "left.csv"));
    assert!(new.contains("\n7,+33 is where I call from,refund,en,\n"), "{new}");
    assert_snapshot!(format!("{shown}--- new.csv\n{new}--- left.csv\n{left}"));
    // The remaining records can be corrected later. If two quarantines list a record, the last one counts.
    terminal.write(
        "left.csv",
        left.replace("refundd,en", "refund,en").replace("refnd,fr", "refund,en"),
    );
    let both =
        "data repair train.csv --quarantine rejected.csv --quarantine left.csv --out more.csv";
    let document = json(&terminal, 3, both);
    let data = &document["data"];
    assert_eq!(
        (&data["records_in"], &data["records_out"], &data["quarantined"]),
        (&10.into(), &9.into(), &1.into())
    );
    // The edited address is kept, and still rejects its record.
    assert_eq!(document["findings"][0]["code"], "BOT-2216");
}

#[test]
fn a_quarantine_of_several_files_is_merged_back_file_by_file() {
    let terminal = Terminal::new();
    terminal
        .write("a.csv", "text,intent\nhello,\nfine,x\n")
        .write("b.csv", "text,intent\nfine,y\nbye,\nwell,\n")
        .write("rest.csv", "text,intent\nother,z\n");
    terminal.run("validate \"[ab].csv\" --quarantine q.csv");
    terminal.write(
        "q.csv",
        read(&terminal, "q.csv").replace("hello,", "hello,x").replace("bye,", "bye,y"),
    );
    let document = json(&terminal, 3, "data repair b.csv --quarantine q.csv --out new.csv");
    let data = &document["data"];
    assert_eq!(
        (&data["listed"], &data["of_other_files"], &data["merged"]),
        (&3.into(), &1.into(), &1.into())
    );
    assert_eq!(read(&terminal, "new.csv"), "text,intent\nfine,y\nbye,y\n");
    let conflict = terminal.run("data repair rest.csv --quarantine q.csv --out other.csv");
    assert!(
        conflict.starts_with("exit: 5\n") && conflict.contains("of `a.csv`, `b.csv`"),
        "{conflict}"
    );
}

#[test]
fn a_quarantine_without_fingerprints_is_refused() {
    let terminal = Terminal::new();
    terminal.write("a.csv", "text,intent\n=1+1,\nfine,x\nwell,y\n").write(
        "q.csv",
        "record,line,codes,reasons,text,intent\n1,2,BOT-2112,the text `=1+1` has no intent,'=1+1,x\n",
    );
    let shown = terminal.run("data repair a.csv --quarantine q.csv --out new.csv");
    assert_snapshot!(shown, @r"
    exit: 3
    --- stdout
    --- stderr
    error[BOT-2228]: the quarantine has no fingerprints, so a record that moved or changed cannot be recognized
      --> q.csv
    hint: write it again with `botops validate DATA --quarantine FILE`, and correct that file
    ");
    terminal.write("q.csv", "record,line,fingerprint,text,intent\n1,2,r-0,'=1+1,x\n2,3,,fine,z\n");
    let shown = terminal.run("data repair a.csv --quarantine q.csv --out new.csv");
    assert!(shown.starts_with("exit: 3\n") && shown.contains("BOT-2228"), "{shown}");
    assert!(!terminal.path().join("new.csv").exists());
}

#[test]
fn corrections_are_not_merged_into_rows_that_moved() {
    const ROWS: [&str; 5] = [
        "id,text,intent,note",
        "1,where is it,order,a",
        "2,give it back,,b",
        "3,money back,refund,c",
        "4,parcel lost,order,d",
    ];
    let terminal = Terminal::new();
    let pipeline = "version: 1\nname: p\nstages:\n  - validate: {data: data.csv}\n";
    let data = ROWS.join("\n");
    terminal.write("data.csv", &data).write("p.yaml", pipeline);
    terminal.write("expectations.yaml", "version: 1\nmax_rejected_share: 0.5\n");
    terminal.run("validate data.csv --quarantine q.csv");
    let run = terminal.run("run p.yaml");
    assert!(run.starts_with("exit: 0\n"), "{run}");
    let of_pipeline = ".botops/pipelines/p/validate/quarantine.csv";
    let quarantine = read(&terminal, of_pipeline);
    assert_eq!(quarantine, read(&terminal, "q.csv"));
    terminal.write("q.csv", quarantine.replace("give it back,,", "give it back,refund,"));
    let moved = [ROWS[0], ROWS[1], ROWS[3], ROWS[2], ROWS[4]].join("\n");
    terminal.write("data.csv", moved);
    let repair = "data repair data.csv --quarantine q.csv --out new.csv --left left.csv";
    let shown = terminal.run(repair);
    assert!(shown.starts_with("exit: 5\n") && shown.contains("BOT-2224"), "{shown}");
    assert!(
        !terminal.path().join("new.csv").exists() && !terminal.path().join("left.csv").exists()
    );
    terminal.write("data.csv", &data);
    let shown = terminal.run(repair);
    assert!(shown.starts_with("exit: 0\n"), "{shown}");
    assert_eq!(read(&terminal, "new.csv"), data.replace("back,,b", "back,refund,b"));
}

#[test]
fn suggested_labels_are_proposed_and_not_applied_by_default() {
    let terminal = Terminal::new();
    terminal.write("a.csv", "text,intent\nwhere is it,refund\nmoney back,refund\nparcel,order\n").write(
        "labels.json",
        r#"{"data":{"issues":[{"record":1,"line":2,"intent":"refund","suggested":"order","score":0.93}]}}"#,
    );
    let document = json(&terminal, 0, "data repair a.csv --labels labels.json");
    let fixes = document["data"]["fixes"].as_array().unwrap();
    assert_eq!(fixes.len(), 1);
    assert_eq!((&fixes[0]["codes"], &fixes[0]["is_applied"]), (&"BOT-2190".into(), &false.into()));
    terminal.write("a.csv", "text,intent\nwhere is it,order\nmoney back,refund\nparcel,order\n");
    let stale = terminal.run("data repair a.csv --labels labels.json");
    assert!(stale.starts_with("exit: 5\n") && stale.contains("BOT-2222"), "{stale}");
}

#[test]
fn unusable_input_is_refused_with_its_place_and_a_hint() {
    let terminal = terminal();
    terminal
        .write("b.csv", DATA)
        .write("nlu.yml", "nlu:\n- intent: x\n  examples: |\n    - a\n")
        .write("none.csv", "record,apply\n1,yes\n")
        .write("words.csv", "record,action,column,apply,before,after\nx,chnge,text,perhaps,a,b\n")
        .write("near.csv", "record,action,column,apply,before,after\n1,chnge,text,yes,a,b\n")
        .write("empty.csv", "")
        .write("header.csv", "record,action,column,apply,before,after\n")
        .write(
            "latin.csv",
            b"record,action,column,apply,before,after\n1,change,text,yes,caf\xe9,x\n",
        )
        .write("q.csv", "text,intent\na,b\n")
        .write("twice.csv", "record,fingerprint,text\n2,r-0,a\n2,r-0,b\n")
        .write("beyond.csv", "record,fingerprint,text\n99,r-0,a\n")
        .write("column.csv", "record,fingerprint,text,price\n1,r-0,a,1\n");
    terminal.run("data import train.csv --out a.parquet");
    for (line, exit, part) in [
        ("- --patch p.csv", 2, "BOT-2220"),
        ("*.csv --patch p.csv", 2, "BOT-2220"),
        ("nlu.yml --patch p.csv", 2, "BOT-2220"),
        ("a.parquet --patch p.csv", 2, "data import a.parquet"),
        ("support@3:train.csv --patch p.csv", 2, "`botops data pull support@3`"),
        ("missing.csv", 2, "BOT-1001"),
        ("train.csv --out new.csv", 2, "`--patch FILE`"),
        ("train.csv --apply header.csv", 2, "--out"),
        ("train.csv --apply header.csv --out train.csv", 2, "BOT-1009"),
        ("train.csv --apply header.csv --out header.csv", 2, "BOT-1009"),
        ("train.csv --apply header.csv --out new.jsonl", 2, "BOT-1003"),
        ("train.csv --apply none.csv --out new.csv", 3, "`action`, `column`, `before`, `after`"),
        ("train.csv --apply words.csv --out new.csv", 3, "`perhaps`"),
        ("train.csv --apply near.csv --out new.csv", 3, "did you mean `change`?"),
        ("train.csv --apply empty.csv --out new.csv", 3, "BOT-2102"),
        ("train.csv --apply latin.csv --out new.csv", 3, "BOT-2104"),
        ("train.csv --quarantine q.csv --out new.csv", 3, "no column `record`"),
        ("train.csv --quarantine twice.csv --out new.csv", 3, "also listed on line 2"),
        ("train.csv --quarantine beyond.csv --out new.csv", 5, "there is no record 99"),
        ("train.csv --quarantine column.csv --out new.csv", 5, "`price`"),
        ("train.csv --quarantine q.csv --out new.csv --left new.csv", 2, "BOT-1009"),
        ("train.csv --labels q.csv", 3, "BOT-2221"),
    ] {
        let shown = terminal.run(&format!("data repair {line}"));
        assert!(
            shown.starts_with(&format!("exit: {exit}\n")) && shown.contains(part),
            "{line}: {shown}"
        );
        assert!(
            exit == 2 && line.ends_with("header.csv") || shown.contains("hint:"),
            "{line}: {shown}"
        );
        assert!(!terminal.path().join("new.csv").exists(), "{line}");
    }
    let words = json(&terminal, 3, "data repair train.csv --apply words.csv --out new.csv");
    assert_eq!(words["findings"].as_array().unwrap().len(), 4, "{words:#}");
    // A patch without lines changes nothing.
    let none = terminal.run("data repair train.csv --apply header.csv --out new.csv");
    assert!(none.starts_with("exit: 0\n"), "{none}");
    assert_eq!(read(&terminal, "new.csv"), DATA);
}
