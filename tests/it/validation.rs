//! Rules for any column: their findings, the severities, and the reports.

use crate::{
    support::{self, clean, program, report_skip, tool},
    terminal::Terminal,
};
use insta::assert_snapshot;
use std::{fs, path::Path, process::Command, time::Duration};

const ORDERS: &str = "\
id,text,intent,lang,ordered_at,shipped_at,amount,customer
o-1,where is my parcel,order_status,en,2026-01-05,2026-01-07,12.50,c1
o-2,je veux un remboursement,refund,fr,2026-01-06,2026-01-04,8,c2
o-2,i want my money back,refund,en,2026-01-06,,-3,c9
o-4,\"call me, +33 6 12 34 56 78
please\",refund,en,soon,2026-01-09,20,c1
,=cmd|' /C calc'!A0,order_status,en,2026-01-08,2026-01-09,x,c2
o-6,où est mon colis,ordre_status,en,2026-01-08,2026-01-09,7,c1
";

const RULES: &str = "\
version: 1
min_examples_per_intent: 1
rows: { min: 10 }
rules:
  - { column: id, required: true, unique: true, matches: '^o-[0-9]+$' }
  - { column: intent, in: [order_status, refund], min_per_value: 2, max_imbalance: 2 }
  - { columns: [ordered_at, shipped_at], type: date, min: 2026-01-01 }
  - { column: ordered_at, fresh_within: 30d }
  - { column: amount, type: number, min: 0, max: 100 }
  - { compare: shipped_at >= ordered_at }
  - { column: shipped_at, required: true, when: intent = refund }
  - { column: lang, language_of: text }
  - { column: text, no_personal_data: true, fail_if: 1 }
  - { column: customer, references: { file: customers.csv, column: id } }
  - { column: custmer, required: true }
";

fn terminal() -> Terminal {
    let terminal = Terminal::new();
    terminal
        .write("orders.csv", ORDERS)
        .write("expectations.yaml", RULES)
        .write("customers.csv", "id\nc1\nc2\n");
    terminal
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_rule_finds_its_defect() {
    assert_snapshot!(terminal().run("validate orders.csv --quarantine q.csv"));
}

#[test]
fn the_quarantine_holds_every_rejected_record_with_all_its_columns() {
    let terminal = terminal();
    let run = terminal.run("validate orders.csv --quarantine q.csv");
    let quarantine = fs::read_to_string(terminal.path().join("q.csv")).unwrap();
    assert_snapshot!(quarantine);
    assert!(run.contains("6 records"), "{run}");
}

#[test]
fn machine_readable_reports_are_well_formed_and_hold_no_personal_data() {
    let terminal = terminal();
    terminal.run(
        "validate orders.csv --report sarif=a.sarif,junit=a.xml,github=a.txt,markdown=a.md,html=a.html",
    );
    let read = |name: &str| fs::read_to_string(terminal.path().join(name)).unwrap();
    for name in ["a.sarif", "a.xml", "a.txt", "a.md", "a.html"] {
        let text = read(name);
        assert!(!text.contains("6 12 34 56 78"), "{name}: {text}");
        // The annotations of GitHub are limited, and this finding comes late.
        let has_it = text.contains("[phone]") || text.contains("&#91;phone&#93;");
        assert!(has_it || name == "a.txt", "{name}: {text}");
    }
    assert_snapshot!("junit", read("a.xml"));
    assert_snapshot!("github", read("a.txt"));

    let log = json(&read("a.sarif"));
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(run["tool"]["driver"]["name"], "botops");
    let results = run["results"].as_array().unwrap();
    assert!(results.len() > 10, "{log:#}");
    for result in results {
        // The members that the schema requires, and those that code scanning needs to show a result on its line.
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "orders.csv");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        assert_eq!(result["partialFingerprints"]["botopsFinding/v1"].as_str().unwrap().len(), 64);
    }
    let lines: Vec<u64> = results
        .iter()
        .filter(|result| result["ruleId"] == "BOT-2216")
        .map(|result| {
            result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64().unwrap()
        })
        .collect();
    // Record 4 begins on line 5.
    assert_eq!(lines, [5]);
}

/// Checks the file at `path` against the published schema of SARIF, and returns the output of a failed check. Returns
/// `None` if the schema or its checker is missing.
fn check_against_schema(path: &Path) -> Option<Result<(), String>> {
    let checker = tool("BOTOPS_CHECK_JSONSCHEMA", "check-jsonschema")?;
    let schema = tool("BOTOPS_SARIF_SCHEMA", "sarif-schema-2.1.0.json")?;
    let mut command = Command::new(checker);
    // A pattern of the schema has an extra closing bracket, which only the older syntax of patterns accepts.
    command.args(["--regex-variant", "nonunicode", "--schemafile"]).arg(schema).arg(path);
    command.env("NO_COLOR", "1");
    let (code, output) = support::terminal(&mut command, Duration::from_secs(120));
    Some(if code == Some(0) { Ok(()) } else { Err(output) })
}

#[test]
fn sarif_reports_match_the_published_schema() {
    let terminal = terminal();
    terminal.run("validate orders.csv --report sarif=a.sarif");
    let path = terminal.path().join("a.sarif");
    let Some(verdict) = check_against_schema(&path) else {
        return report_skip(
            "sarif_reports_match_the_published_schema",
            "check-jsonschema (from PyPI), and in BOTOPS_SARIF_SCHEMA the schema of SARIF",
        );
    };
    verdict.unwrap();
    let whole = fs::read_to_string(terminal.path().join("a.sarif")).unwrap();
    for (from, to, named) in [
        ("\"level\": \"error\"", "\"level\": \"fatal\"", "level"),
        ("\"startLine\": ", "\"startLine\": -", "startLine"),
        ("\"runs\":", "\"run\":", "runs"),
    ] {
        assert!(whole.contains(from), "{from} is not in {whole}");
        let planted = terminal.path().join("planted.sarif");
        fs::write(&planted, whole.replacen(from, to, 1)).unwrap();
        let output = check_against_schema(&planted).unwrap().unwrap_err();
        assert!(output.contains(named), "{output}");
    }
}

#[test]
fn annotations_stop_at_ten_of_a_kind_and_count_the_rest() {
    let terminal = Terminal::new();
    let rows: String = (0..40).map(|i| format!("{i}%,a:b\n")).collect();
    terminal
        .write("data.csv", format!("n,kind\n{rows}"))
        .write("expectations.yaml", "version: 1\nrules:\n  - { column: n, type: integer }\n  - { column: kind, in: [x] , fail_if: 50%}\n");
    let text = terminal.run("validate data.csv --format github");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 10, "{text}");
    assert!(errors[9].contains("title=71 more findings::"), "{text}");
    assert!(
        errors[9].ends_with(
            "in total 40 BOT-2202 a value has the wrong type, 40 BOT-2204 a value is not in the set"
        ),
        "{text}"
    );
    // Text of the data neither ends a property nor begins another command.
    assert!(errors[0].contains("file=data.csv,line=2,title=BOT-2202 a value has the wrong type::record 1: `n` is `0%25`: expected an integer%0Ahelp: "), "{text}");
}

#[test]
fn rules_on_dates_of_a_parquet_file_work() {
    let terminal = Terminal::new();
    let rules = |day: &str| {
        format!(
            "version: 1\nmin_examples_per_intent: 1\nrules:\n- {{ column: day, type: date, max: {day} }}\n- {{ columns: [ms, us, ns, zoned], type: datetime, min: 2024-05-01 }}\n- {{ column: price, type: number, matches: '-?\\d+[.]\\d\\d' }}\n- {{ compare: day <= zoned }}\n"
        )
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet/types.parquet");
    fs::copy(path, terminal.path().join("data.parquet")).unwrap();
    for (day, exit, rejected) in [("2024-05-03", 0, 0), ("2024-05-02", 3, 1)] {
        terminal.write("expectations.yaml", rules(day));
        let output = terminal.command("validate data.parquet --format json").output().unwrap();
        let answer = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(output.status.code(), Some(exit), "{answer}");
        assert_eq!(answer["data"]["records_rejected"], rejected, "{answer}");
        let codes: Vec<&str> = answer["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes.iter().filter(|code| **code == "BOT-2232").count(), 2, "{codes:?}");
    }
    for line in ["data profile data.parquet", "data infer data.parquet --out e.yaml"] {
        let shown = terminal.run(line);
        assert!(shown.contains("exit: 0"), "{shown}");
    }
}

#[test]
fn thresholds_decide_whether_a_finding_informs_warns_or_fails() {
    let terminal = Terminal::new();
    let rows: String = (0..100).map(|i| format!("{}\n", if i < 5 { "x" } else { "1" })).collect();
    terminal.write("data.csv", format!("n\n{rows}"));
    for (thresholds, exit, severity, rejected) in [
        ("", 3, "error", 5),
        (", warn_if: 10", 0, "info", 0),
        (", warn_if: 5", 0, "warning", 0),
        (", fail_if: 6%", 0, "warning", 0),
        (", fail_if: 5%", 3, "error", 5),
        (", warn_if: 1, fail_if: 6", 0, "warning", 0),
        (", warn_if: 1, fail_if: 5", 3, "error", 5),
    ] {
        terminal.write(
            "expectations.yaml",
            format!("version: 1\nrules:\n  - {{ column: n, type: integer{thresholds} }}\n"),
        );
        let output = terminal.command("validate data.csv --format json").output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{thresholds}");
        let answer = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(answer["data"]["records_rejected"], rejected, "{thresholds}");
        assert_eq!(answer["data"]["checks"][0]["severity"], severity, "{thresholds}");
        assert_eq!(answer["data"]["checks"][0]["findings"], 5, "{thresholds}");
        assert_eq!(answer["findings"][0]["record"], 1);
    }
}

#[test]
fn known_findings_are_accepted_in_any_order_and_new_ones_fail() {
    let terminal = terminal();
    let accepted = terminal.run("validate orders.csv --baseline known.json --write-baseline");
    assert!(
        accepted.contains("exit 0") || accepted.starts_with('0') || accepted.contains("accepted:"),
        "{accepted}"
    );
    let again = terminal.run("validate orders.csv --baseline known.json");
    assert!(again.contains("passed: 0 errors, 0 warnings"), "{again}");
    // The same records in another order, and one of them again.
    let mut lines: Vec<&str> = ORDERS.lines().collect();
    lines.swap(1, 2);
    lines.push("o-7,hello there,greeting,en,2026-01-08,2026-01-09,7,c1");
    terminal.write("orders.csv", lines.join("\n") + "\n");
    assert_snapshot!(terminal.run("validate orders.csv --baseline known.json"));
}

#[test]
fn a_file_that_is_not_a_baseline_is_refused() {
    let terminal = terminal();
    terminal.write("known.json", "{\"schema\": \"botops.baseline/2\"}").write("list.json", "[]");
    assert_snapshot!(
        terminal.run("validate orders.csv --baseline known.json")
            + &terminal.run("validate orders.csv --baseline list.json")
    );
}

#[test]
fn invalid_rules_are_refused_with_their_line() {
    let terminal = Terminal::new();
    terminal.write("data.csv", "a,b\n1,2\n");
    let mut output = String::new();
    for rule in [
        "{ colum: a, required: true }",
        "{ column: a }",
        "{ required: true }",
        "{ column: a, type: int }",
        "{ column: a, min: 5, max: 2 }",
        "{ column: a, min: 5, max: 2026-01-01 }",
        "{ column: a, matches: '(' }",
        "{ column: a, required: true, fail_if: 120% }",
        "{ compare: a b }",
        "{ column: a, fresh_within: a while }",
        "{ unique_together: [a] }",
    ] {
        terminal.write("expectations.yaml", format!("version: 1\nrules:\n  - {rule}\n"));
        output += &format!("# {rule}\n{}", terminal.run("validate data.csv"));
    }
    assert_snapshot!(output);
}

#[test]
fn a_malformed_file_is_in_the_reports_too() {
    let terminal = Terminal::new();
    terminal.write("data.csv", "text,intent\nhello,a\nbye,b,c\n");
    let output = terminal.run("validate data.csv --report sarif=a.sarif");
    let log = json(&fs::read_to_string(terminal.path().join("a.sarif")).unwrap());
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "BOT-2105", "{output}");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 3);
}

/// Returns a data set with `bad` records without an intent among 100.
fn with_errors(bad: usize) -> String {
    let rows = (0..100).map(|i| {
        let intent = if i < bad { "" } else { ["order", "refund"][i % 2] };
        format!("{:x} {:x},{intent}\n", i * 0x9e37_79b9, (i + 7) * 0x85eb_ca6b)
    });
    format!("text,intent\n{}", rows.collect::<String>())
}

#[test]
fn validate_and_run_judge_data_by_one_rule() {
    for (share, exit) in
        [("", 3), ("max_rejected_share: 0.01\n", 3), ("max_rejected_share: 0.02\n", 0)]
    {
        let terminal = Terminal::new();
        terminal
            .write("data.csv", with_errors(2))
            .write("expectations.yaml", format!("version: 1\n{share}"))
            .write("p.yaml", "version: 1\nname: p\nstages:\n  - validate: { data: data.csv }\n");
        let begins = format!("exit: {exit}\n");
        let validated = terminal.run("validate data.csv");
        assert!(validated.starts_with(&begins), "{validated}");
        let run = terminal.run("run p.yaml");
        assert!(run.starts_with(&begins), "{run}");
        if exit == 0 {
            let share = "2 % of the records rejected, `max_rejected_share` allows 2 %";
            assert!(validated.contains(share) && run.contains("2 errors"), "{validated}{run}");
            let xml = terminal.run("validate data.csv --format junit");
            assert!(xml.contains("failures=\"0\""), "{xml}");
        }
    }
    let terminal = Terminal::new();
    terminal.write("data.csv", with_errors(0)).write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n  - validate: { data: data.csv, max_rejected_share: 0.5 }\n",
    );
    let refused = terminal.run("run p.yaml");
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-8001"), "{refused}");
}

#[test]
fn a_run_writes_annotations_sarif_and_junit_also_from_cached_stages() {
    let terminal = Terminal::new();
    terminal.write("data.csv", with_errors(2)).write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n  - validate: { data: data.csv }\n  - split: { from: validate }\n",
    );
    let run = "run p.yaml --report sarif=a.sarif,junit=a.xml,github=a.txt";
    let failed = terminal.run(run);
    assert!(failed.starts_with("exit: 3\n"), "{failed}");
    let read = |name: &str| fs::read_to_string(terminal.path().join(name)).unwrap();
    let annotations = read("a.txt");
    assert!(annotations.contains("::error file=data.csv,line=2,title=BOT-2112"), "{annotations}");
    assert!(annotations.contains("::error file=p.yaml,title=BOT-8020"), "{annotations}");
    let xml = read("a.xml");
    assert!(xml.contains("<testsuite name=\"pipeline p\" tests=\"2\""), "{xml}");
    assert!(xml.contains("<testsuite name=\"data.csv\""), "{xml}");
    terminal.write("expectations.yaml", "version: 1\nmax_rejected_share: 0.5\n");
    assert!(terminal.run(run).starts_with("exit: 0\n"));
    let fresh = read("a.sarif");
    let cached = terminal.run(run);
    assert!(cached.contains("skipped"), "{cached}");
    assert_eq!(read("a.sarif"), fresh);
    let results = json(&fresh)["runs"][0]["results"].clone();
    assert_eq!(results[0]["ruleId"], "BOT-2112");
    assert!(results[0]["partialFingerprints"].is_object(), "{results}");
    let page = terminal.run("run p.yaml --report html=a.html");
    assert!(page.starts_with("exit: 2\n"), "{page}");
    let shown = terminal.run("run p.yaml --format github");
    assert!(shown.contains("\n::error file=data.csv,line=2"), "{shown}");
}

#[test]
fn annotations_name_files_from_the_root_of_the_repository() {
    let terminal = Terminal::new();
    fs::create_dir_all(terminal.path().join("bots/support")).unwrap();
    terminal
        .write("bots/support/data.csv", with_errors(1))
        .write("bots/support/botops.yaml", "version: 1\n")
        .write(
            "bots/support/p.yaml",
            "version: 1\nname: p\nstages:\n  - validate: { data: data.csv }\n",
        );
    let folder = terminal.path().join("bots/support");
    let run = |root: Option<&Path>, line: &str| {
        let mut command = Command::new(program());
        clean(&mut command, &folder).args(line.split(' ')).current_dir(&folder);
        command.envs(root.map(|root| ("GITHUB_WORKSPACE", root)));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let root = Some(terminal.path());
    for line in [
        "validate data.csv --format github",
        "validate ../support/data.csv --format github",
        "run p.yaml --format github",
    ] {
        let text = run(root, line);
        assert!(text.contains("::error file=bots/support/data.csv,line=2,"), "{line}: {text}");
    }
    let text = run(root, "run p.yaml --format github");
    assert!(text.contains("::error file=bots/support/p.yaml,"), "{text}");
    let text = run(root, "validate data.csv --format sarif");
    assert!(text.contains("\"uri\": \"bots/support/data.csv\""), "{text}");
    // Outside of GitHub, the root is the folder with `.git`.
    let text = run(None, "validate data.csv --format github");
    assert!(text.contains("::error file=data.csv,line=2,"), "{text}");
    fs::create_dir(terminal.path().join(".git")).unwrap();
    let text = run(None, "validate data.csv --format github");
    assert!(text.contains("::error file=bots/support/data.csv,line=2,"), "{text}");
}

#[test]
fn other_verbs_write_no_reports_on_data() {
    assert_snapshot!(Terminal::new().run("doctor --format sarif"));
}

#[test]
fn inferred_expectations_are_short_and_pass_on_their_own_data() {
    let terminal = Terminal::new();
    let mut rows = String::from("id,text,intent,lang,created_at,price,note\n");
    for i in 0..120 {
        let intent = ["refund", "order_status", "oos"][i % 3];
        let (text, lang) =
            if i % 2 == 0 { ("where is my order", "en") } else { ("où est mon colis", "fr") };
        let note = if i % 40 == 0 { "" } else { "seen by the team" };
        rows += &format!(
            "o-{i:04},{text} {i},{intent},{lang},2026-03-{:02},{}.5,{note}\n",
            1 + i % 28,
            i % 50
        );
    }
    terminal.write("week.csv", rows);
    assert_snapshot!(terminal.run("data infer week.csv"));
    let wrote = terminal.run("data infer week.csv --out expectations.yaml");
    assert!(wrote.contains("wrote expectations.yaml"), "{wrote}");
    let refused = terminal.run("data infer week.csv --out expectations.yaml");
    assert!(refused.contains("BOT-2219"), "{refused}");
    let passed = terminal.run("validate week.csv");
    assert!(passed.contains("passed: 0 errors, 0 warnings"), "{passed}");
}

#[test]
fn csv_jsonl_and_any_number_of_threads_give_the_same_findings() {
    let terminal = terminal();
    let mut reader = csv::Reader::from_reader(ORDERS.as_bytes());
    let names = reader.headers().unwrap().clone();
    let mut lines = String::new();
    for record in reader.records() {
        let object: serde_json::Map<String, serde_json::Value> = names
            .iter()
            .zip(record.unwrap().iter())
            .map(|(name, cell)| (name.to_owned(), cell.into()))
            .collect();
        lines += &format!("{}\n", serde_json::Value::Object(object));
    }
    terminal.write("orders.jsonl", lines);
    let found = |file: &str, threads: &str| {
        let output = terminal
            .command(&format!("validate {file} --format json"))
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        let answer = json(&String::from_utf8(output.stdout).unwrap());
        let findings = answer["findings"].as_array().unwrap().iter();
        let findings: Vec<_> = findings.map(|f| (f["code"].clone(), f["record"].clone())).collect();
        (findings, answer["data"]["checks"].clone())
    };
    assert_eq!(found("orders.csv", "1"), found("orders.csv", "4"));
    assert_eq!(found("orders.csv", "2"), found("orders.jsonl", "2"));
}

/// Returns the suggested next command in `output`, as [`Terminal::run`] accepts it.
fn next(output: &str) -> String {
    let line = output.lines().find_map(|line| line.strip_prefix("next: `botops "));
    let line = line.unwrap_or_else(|| panic!("nothing comes next: {output}"));
    line.trim_end_matches('`').replace('\'', "\"")
}

#[test]
fn the_suggested_next_command_keeps_the_reading_flags() {
    let terminal = Terminal::new();
    let flags = "--text-column \"what was said\" --intent-column kind --input-format csv --max-unpacked 1GiB";
    terminal
        .write("log.txt", "what was said,kind\nhello there,greet\nhello there,greet\n,greet\n")
        .write("e.yaml", "version: 1\nmin_examples_per_intent: 1\n");
    let output = terminal.run(&format!("validate log.txt --expectations e.yaml {flags}"));
    let aside =
        format!("validate log.txt --expectations e.yaml --quarantine quarantine.csv {flags}");
    assert_eq!(next(&output), aside);
    let repair = next(&terminal.run(&aside));
    assert_eq!(
        repair,
        format!("data repair log.txt --expectations e.yaml --patch repairs.csv {flags}")
    );
    let apply = next(&terminal.run(&repair));
    let out = "--apply repairs.csv --out log.repaired.txt";
    assert_eq!(apply, format!("data repair log.txt --expectations e.yaml {out} {flags}"));
    let check = next(&terminal.run(&apply));
    assert_eq!(check, format!("validate log.repaired.txt --expectations e.yaml {flags}"));
    let last = terminal.run(&check);
    assert!(last.contains("log.repaired.txt: 2 records"), "{last}");

    let known = terminal.run(&format!(
        "validate log.txt --expectations e.yaml --baseline b.json --write-baseline {flags}"
    ));
    let known = next(&known);
    assert_eq!(known, format!("validate log.txt --expectations e.yaml --baseline b.json {flags}"));
    assert!(terminal.run(&known).starts_with("exit: 0\n"));

    let page = next(&terminal.run(&format!("data profile log.txt {flags}")));
    assert_eq!(page, format!("data profile log.txt --html profile.html {flags}"));
    assert_eq!(next(&terminal.run(&page)), format!("validate log.txt {flags}"));
    let inferred = next(&terminal.run(&format!("data infer log.txt --out i.yaml {flags}")));
    assert_eq!(inferred, format!("validate log.txt --expectations i.yaml {flags}"));
}

#[test]
fn help_for_one_finding_is_shown_beside_it_in_every_report() {
    let terminal = Terminal::new();
    terminal
        .write(
            "data.csv",
            "text,intent\nhello there,greting\nmy money back,refnd\nwhat now,xyzzy\n",
        )
        .write(
            "expectations.yaml",
            "version: 1\nmin_examples_per_intent: 0\nintents: [greeting, refund]\n",
        );
    let output = terminal.run("validate data.csv --report junit=a.xml --html a.html");
    let beside = "`refnd` is not expected\n        help: did you mean `refund`?\n";
    assert!(output.contains(beside), "{output}");
    assert!(!output.contains("\n    help: did you mean"), "{output}");
    let junit = fs::read_to_string(terminal.path().join("a.xml")).unwrap();
    assert!(
        junit.contains("`refnd` is not expected\n    help: did you mean `refund`?\n"),
        "{junit}"
    );
    let page = fs::read_to_string(terminal.path().join("a.html")).unwrap();
    let at = page.find("xyzzy").unwrap();
    assert!(page[at..].split("</tr>").next().unwrap().contains("relabel it"), "{page}");
    assert!(!page.contains("<p class=\"quiet\">did you mean"), "{page}");
}
