//! `botops predictions`: what servers logged is shown, counted, exported, compacted, judged and erased.

use crate::{
    conversations::IDENTITY_KEY,
    python_client::python_with,
    terminal::{Terminal, two_intents},
};
use botops_conversations::Names;
use botops_predictions::{
    Likely, PredictionLog, PredictionLogSettings, RawRecord, Record, TextPolicy, ship,
};
use botops_store::Store;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

/// The begin of the hour in which the first records lie.
const BEGIN: i64 = 1_779_843_600_000;

/// Logs `n` messages of conversations of three, as a server does, and moves them to the store of the workspace.
pub(crate) fn logged(terminal: &Terminal, n: i64) {
    let folder = terminal.path().join("spool");
    let names = Names::new(IDENTITY_KEY.as_bytes(), None);
    let settings = PredictionLogSettings {
        folder,
        replica: "a".to_owned(),
        group: Duration::from_millis(5),
        segment_age: Duration::from_secs(60),
        most_bytes: 1 << 30,
        text: TextPolicy::Redacted,
        key: Arc::from(IDENTITY_KEY.as_bytes()),
        name_of: Arc::new(move |id| names.of(id, None).conversation.to_string()),
    };
    let log = PredictionLog::start(&settings, |event| panic!("{event}")).unwrap();
    for i in 0..n {
        let record = Record {
            // Ten minutes apart, so that six are in one hour.
            at: BEGIN + i * 600_000,
            request_id: format!("r{i}"),
            endpoint: "chat".to_owned(),
            conversation: Some(format!("c{}", i / 3)),
            guessed: Some(if i % 2 == 0 { "en" } else { "fr" }.to_owned()),
            digest: "sha256:abcd".to_owned(),
            arm: "primary".to_owned(),
            intent: if i % 3 == 0 { "complaint" } else { "order_status" }.to_owned(),
            confidence: 0.5,
            others: vec![Likely { intent: "account_help".to_owned(), p: 0.25 }],
            fallback: i % 4 == 0,
            latency_us: 400,
            ..Record::default()
        };
        log.add(RawRecord { record, text: format!("message {i} of ann@example.com") });
    }
    log.flush(true);
    let folder = log.folder().to_owned();
    drop(log);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = terminal.path().join("registry");
    let store = Store::open(registry.to_str().unwrap(), &BTreeMap::new()).unwrap();
    runtime.block_on(ship(&store, "production", &folder)).unwrap();
}

fn show(terminal: &Terminal, line: &str) -> String {
    terminal.show(terminal.command(line).env("BOTOPS_IDENTITY_KEY", IDENTITY_KEY))
}

fn data(terminal: &Terminal, line: &str) -> Value {
    let mut command = terminal.command(&format!("{line} --format json"));
    let output = command.env("BOTOPS_IDENTITY_KEY", IDENTITY_KEY).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    answer["data"].clone()
}

/// Returns the names of the files of the log, by their endings.
fn files(terminal: &Terminal, ending: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("verdicts") => {}
                true => walk(&path, found),
                false => found.push(path.display().to_string()),
            }
        }
    }
    let mut found = Vec::new();
    walk(&terminal.path().join("registry/predictions/production"), &mut found);
    found.retain(|name| name.ends_with(ending));
    found
}

#[test]
fn records_are_counted_compacted_and_judged() {
    let terminal = Terminal::new();
    let nothing = show(&terminal, "predictions tail");
    assert!(nothing.starts_with("exit: 4\n") && nothing.contains("BOT-6212"), "{nothing}");
    logged(&terminal, 12);
    let tail = show(&terminal, "predictions tail --limit 2");
    assert!(tail.contains("message 11 of") && !tail.contains("message 9 of"), "{tail}");
    assert!(!tail.contains("ann@"), "{tail}");
    let before = data(&terminal, "predictions query --by intent,language");
    assert_eq!(before["n"], 12);
    let rows = before["rows"].as_array().unwrap();
    assert_eq!(rows[0]["key"], json!(["complaint", "en"]));
    assert_eq!((&rows[0]["n"], &rows[0]["accuracy"]), (&json!(2), &json!(null)));

    let dry = show(&terminal, "predictions compact --dry-run");
    assert!(dry.contains("date=2026-05-27/hour=01: 1 segment -> 6 records"), "{dry}");
    assert_eq!((files(&terminal, ".zst").len(), files(&terminal, ".parquet").len()), (2, 0));
    show(&terminal, "predictions compact --all");
    assert_eq!((files(&terminal, ".zst").len(), files(&terminal, ".parquet").len()), (0, 2));
    assert!(show(&terminal, "predictions compact --all").contains("nothing to compact"));
    assert_eq!(data(&terminal, "predictions query --by intent,language"), before);
    let some =
        data(&terminal, "predictions query --by hour --until 2026-05-27T02:00Z --fallback true");
    assert_eq!(some["rows"][0]["key"], json!(["2026-05-27T01"]));
    assert_eq!(some["n"], 2);

    terminal.write(
        "verdicts.jsonl",
        "{\"request_id\":\"r0\",\"intent\":\"complaint\"}\n\
         {\"request_id\":\"r1\",\"intent\":\"complaint\",\"source\":\"end_user\"}\n\
         {\"request_id\":\"r1\",\"intent\":\"order_status\",\"source\":\"agent\"}\n",
    );
    let dry = show(&terminal, "predictions feedback verdicts.jsonl --dry-run");
    assert!(dry.contains("3 verdicts would be recorded"), "{dry}");
    show(&terminal, "predictions feedback verdicts.jsonl");
    // End users' verdicts do not count unless they are asked for.
    let of = |sources: &str| {
        let judged =
            data(&terminal, &format!("predictions query --by endpoint --accuracy-of {sources}"));
        let row = &judged["rows"][0];
        (row["judged"].clone(), row["right"].clone(), judged["not_counted"].clone())
    };
    assert_eq!(of("users"), (json!(1), json!(0), json!(2)));
    assert_eq!(of("agents"), (json!(1), json!(1), json!(2)));
    assert_eq!(of("reviewers"), (json!(1), json!(1), json!(2)));
    let shown = show(&terminal, "predictions query --by endpoint");
    assert!(shown.contains("2 verdicts of other sources not counted"), "{shown}");
    let judged =
        data(&terminal, "predictions query --by endpoint --accuracy-of reviewers,agents,users");
    assert_eq!((&judged["rows"][0]["judged"], &judged["rows"][0]["right"]), (&json!(2), &json!(2)));
    assert_eq!((&judged["rows"][0]["accuracy"], &judged["contradicted"]), (&json!(1.0), &json!(1)));
    assert_eq!((&judged["label_delay"]["n"], &judged["unknown_verdicts"]), (&json!(2), &json!(0)));
    terminal.write(
        "late.jsonl",
        "{\"request_id\":\"r2\",\"intent\":\"order_status\",\"satisfaction\":4,\"time\":\"2026-05-27T03:20:00Z\"}\n\
         {\"request_id\":\"r3\",\"satisfaction\":2}\n\
         {\"request_id\":\"r99\",\"intent\":\"complaint\"}\n",
    );
    let late = show(&terminal, "predictions feedback late.jsonl");
    assert!(late.starts_with("exit: 0\n") && late.contains("BOT-6215"), "{late}");
    assert!(late.contains("1 of the messages") && late.contains("`r99`"), "{late}");
    let told = show(&terminal, "predictions query --by endpoint");
    assert!(told.contains("1 message has a verdict, but no record in the log"), "{told}");
    assert!(told.contains("label delay: median "), "{told}");
    let one = data(&terminal, "predictions query --request-id r2");
    assert_eq!(one["label_delay"], json!({"n": 1, "median_ms": 7_200_000, "p95_ms": 7_200_000}));
    terminal.write("bad.jsonl", "{\"request_id\":\"r0\",\"satisfaction\":6}\n");
    let bad = show(&terminal, "predictions feedback bad.jsonl");
    assert!(bad.starts_with("exit: 3\n") && bad.contains("from 1 to 5"), "{bad}");
    terminal.write("bad.jsonl", "{\"request_id\":\"r0\",\"intent\":\"a\"}\n{\"request_id\":7}\n");
    let bad = show(&terminal, "predictions feedback bad.jsonl");
    assert!(
        bad.starts_with("exit: 3\n") && bad.contains("BOT-6211") && bad.contains(":2"),
        "{bad}"
    );
    let group = show(&terminal, "predictions query --by weekday");
    assert!(group.starts_with("exit: 2\n") && group.contains("BOT-6210"), "{group}");
    let old = show(&terminal, "predictions compact --all --retention 1s");
    assert!(old.contains("2 hours past the retention removed"), "{old}");
    let left = files(&terminal, "");
    assert!(left.iter().all(|path| path.contains("retention")), "{left:?}");
    assert_eq!(left.len(), 1, "the entry that says what was removed: {left:?}");
}

/// Every damage of a log in one hour each: what concerns an hour alone does not keep the others from being compacted.
#[test]
fn damaged_hours_are_named_and_the_others_are_compacted() {
    let terminal = Terminal::new();
    logged(&terminal, 24);
    let hour = |number: u32| {
        let day = terminal.path().join("registry/predictions/production/date=2026-05-27");
        day.join(format!("hour={number:02}"))
    };
    // A segment that is cut: the whole groups count, and it is kept.
    let cut = fs::read_dir(hour(1)).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, [&bytes, &bytes[..30]].concat()).unwrap();
    let query = show(&terminal, "predictions query --by hour");
    assert!(query.starts_with("exit: 0\n") && query.contains("BOT-6203"), "{query}");
    // A compacted file that is no Parquet: its hour is left as it is.
    show(&terminal, "predictions compact --all");
    assert!(cut.exists(), "a damaged segment is kept");
    let mut files = fs::read_dir(hour(2)).unwrap().map(|it| it.unwrap().path());
    let parquet = files.find(|it| it.extension().is_some_and(|it| it == "parquet")).unwrap();
    fs::write(&parquet, "PAR1 or not").unwrap();
    fs::write(hour(4).join("compaction-00000000.json"), "{").unwrap();
    logged(&terminal, 25);
    let done = show(&terminal, "predictions compact --all");
    assert!(done.starts_with("exit: 3\n") && done.contains("BOT-6207"), "{done}");
    let left = "left as it was: `date=2026-05-27/hour=02`, `date=2026-05-27/hour=04`";
    assert!(done.contains(&format!("{left}; other hours compacted: 3")), "{done}");
    assert_eq!(fs::read(&parquet).unwrap(), b"PAR1 or not");
    let query = show(&terminal, "predictions query --by hour");
    assert!(query.starts_with("exit: 3\n") && query.contains("BOT-6200"), "{query}");
    let query = show(&terminal, "predictions query --by hour --until 2026-05-27T04:00Z");
    assert!(query.starts_with("exit: 3\n") && query.contains("BOT-6207"), "{query}");
    let rest = "predictions query --by hour --since 2026-05-27T03:00Z --until 2026-05-27T04:00Z";
    assert_eq!(data(&terminal, rest)["n"], 6);
}

#[test]
fn verdicts_name_intents_of_the_registry_and_come_from_standard_input_too() {
    let terminal = Terminal::new();
    logged(&terminal, 6);
    terminal.write("data.csv", two_intents(30)).write("botops.yaml", "model: bot\n");
    terminal.stdout("train data.csv --out model.botops");
    terminal.stdout("push model.botops --name bot");
    let typo = "{\"request_id\":\"r0\",\"intent\":\"oos\"}\n{\"request_id\":\"r1\",\"intent\":\"order_statos\"}\n";
    terminal.write("typo.jsonl", typo);
    let refused = show(&terminal, "predictions feedback typo.jsonl --dry-run");
    assert!(refused.starts_with("exit: 3\n") && refused.contains("BOT-6211"), "{refused}");
    assert!(refused.contains("typo.jsonl:2") && refused.contains("`order_status`?"), "{refused}");
    assert_eq!(data(&terminal, "predictions query --by endpoint")["rows"][0]["judged"], 0);
    // A byte order mark, as some editors write it.
    let right = format!("\u{feff}{}", typo.replace("statos", "status"));
    terminal.write("right.jsonl", right);
    let mut command = terminal.command("predictions feedback -");
    command.stdin(fs::File::open(terminal.path().join("right.jsonl")).unwrap());
    let recorded = terminal.show(&mut command);
    assert!(recorded.starts_with("exit: 0\n") && recorded.contains("2 verdicts"), "{recorded}");
    // The message out of scope is in no accuracy.
    let counted = data(&terminal, "predictions query --by endpoint");
    let row = &counted["rows"][0];
    assert_eq!((&row["judged"], &row["out_of_scope"]), (&json!(1), &json!(1)), "{row}");
    let shown = show(&terminal, "predictions query --by endpoint");
    assert!(shown.contains("1 message is out of scope by verdict"), "{shown}");
}

#[test]
fn records_are_exported_and_a_conversation_is_forgotten() {
    let terminal = Terminal::new();
    logged(&terminal, 12);
    show(&terminal, "predictions compact --all");
    for name in ["a.jsonl", "a.csv", "a.parquet"] {
        let written =
            show(&terminal, &format!("predictions export --out {name} --intent complaint"));
        assert!(written.contains(&format!("{name}: wrote 4 records")), "{written}");
    }
    let lines = fs::read_to_string(terminal.path().join("a.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 4);
    assert!(
        lines.starts_with("{\"schema\":\"botops.prediction_export/1\",\"time\":1779843600000,"),
        "{lines}"
    );
    assert!(fs::read(terminal.path().join("a.parquet")).unwrap().starts_with(b"PAR1"));

    let forget = "predictions forget --conversation c1 --reason \"she asked\"";
    let dry = show(&terminal, &format!("{forget} --dry-run"));
    assert!(dry.contains("3 records in 1 hour would be erased (dry run)"), "{dry}");
    assert_eq!(data(&terminal, "predictions query")["n"], 12);
    assert_eq!(data(&terminal, forget)["records"], 3);
    assert_eq!(data(&terminal, "predictions query")["n"], 9);
    let again = show(&terminal, forget);
    assert!(again.starts_with("exit: 2\n") && again.contains("BOT-6126"), "{again}");
    let log = terminal.path().join("registry/erasures/log");
    let entries: Vec<String> = fs::read_dir(log)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|it| it.contains("\"predictions\":3") && it.contains("she asked")));
}

/// The facts that each Python library says about the records of [`logged`]: compacted files of all hours, and an exported file.
const EXPECTED: [&str; 4] = [
    "complaint 1 2 1779843600000 0.5 True",
    "complaint 2 2 1779847200000 0.5 False",
    "order_status 1 4 1779844200000 0.5 True",
    "order_status 2 4 1779847800000 0.5 True",
];

/// Compacts and exports the log of twelve records, and runs a script of a library, which gets the pattern of the compacted files and
/// the path of the exported one.
fn read_by(module: &str, script: &str) {
    let Some(mut python) = python_with(module) else { return };
    let terminal = Terminal::new();
    logged(&terminal, 12);
    show(&terminal, "predictions compact --all");
    show(&terminal, "predictions export --out all.parquet");
    let files = terminal.path().join("registry/predictions/production/*/*/*.parquet");
    let output = python
        .args(["-c", script])
        .args([files, terminal.path().join("all.parquet")])
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let rows = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<String> =
        rows.lines().map(|row| row.replace(" 01 ", " 1 ").replace(" 02 ", " 2 ")).collect();
    assert_eq!(rows[..4], EXPECTED);
    assert_eq!(rows[4..], ["12 message 0 of 0 False"], "the exported file");
}

#[test]
fn duckdb_reads_compacted_and_exported_files_as_they_are() {
    read_by(
        "duckdb",
        r#"
import duckdb, sys
rows = duckdb.sql(f"""select intent, hour, count(*), epoch_ms(min(time)), avg(confidence), bool_or(fallback)
    from read_parquet('{sys.argv[1]}', hive_partitioning=true) group by all order by all""").fetchall()
for row in rows: print(*row)
all = duckdb.sql(f"select count(*), min(text)[:12], sum(handed_off::int), bool_or(unresolved) from '{sys.argv[2]}'").fetchall()[0]
print(*all)
"#,
    );
}

#[test]
fn polars_reads_compacted_and_exported_files_as_they_are() {
    read_by(
        "polars",
        r#"
import polars as pl, sys
c = pl.col
rows = pl.scan_parquet(sys.argv[1], hive_partitioning=True).group_by("intent", "hour").agg(
    pl.len(), c("time").dt.timestamp("ms").min(), c("confidence").mean(), c("fallback").any()).sort("intent", "hour").collect()
for row in rows.iter_rows(): print(*row)
all = pl.read_parquet(sys.argv[2])
print(len(all), all["text"].min()[:12], all["handed_off"].sum(), all["unresolved"].any())
"#,
    );
}

#[test]
fn pandas_reads_compacted_and_exported_files_as_they_are() {
    read_by(
        "pandas, pyarrow",
        r#"
import glob, re, sys
import pandas as pd
files = sorted(glob.glob(sys.argv[1]))
parts = [pd.read_parquet(file).assign(hour=int(re.search(r"hour=(\d\d)", file)[1])) for file in files]
table = pd.concat(parts)
assert str(table["time"].dtype) == "datetime64[ms, UTC]", table["time"].dtype
for (intent, hour), rows in table.groupby(["intent", "hour"]):
    print(intent, hour, len(rows), int(rows["time"].min().timestamp() * 1000), rows["confidence"].mean(), rows["fallback"].any())
all = pd.read_parquet(sys.argv[2])
print(len(all), all["text"].min()[:12], all["handed_off"].sum(), all["unresolved"].any())
"#,
    );
}
