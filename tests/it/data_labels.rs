//! Labels: finding wrong ones and duplicates, suggesting utterances to label, and merging the labels back.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

/// Runs `line`, which must end with `exit`, and returns its JSON document.
fn json(terminal: &Terminal, exit: i32, line: &str) -> Value {
    let output = terminal.command(&format!("--format json {line}")).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{line}: {error}: {}", String::from_utf8_lossy(&output.stderr))
    });
    assert_eq!(output.status.code(), Some(exit), "{line}: {document:#}");
    document
}

/// Returns the records of the findings with `code`.
fn records(document: &Value, code: &str) -> BTreeSet<u64> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings.filter(|f| f["code"] == code).map(|f| f["record"].as_u64().unwrap()).collect()
}

/// Two intents of 80 records each. Records 10, 41 and 100 have the label of the other intent. Record 10 also has a
/// mail address and a line break, so that record and line numbers differ after it.
fn mislabelled() -> String {
    let text = two_intents(80);
    let swap = |line: &str| match line.strip_suffix(",order_status") {
        Some(text) => format!("{text},account_help"),
        None => format!("{},order_status", line.strip_suffix(",account_help").unwrap()),
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for record in [10, 41, 100] {
        lines[record] = swap(&lines[record]);
    }
    let (utterance, intent) = lines[10].rsplit_once(',').unwrap();
    lines[10] = format!("\"{utterance}\nmail jane.doe@example.com\",{intent}");
    lines.join("\n") + "\n"
}

#[test]
fn wrong_labels_are_found_by_record_and_line() {
    let terminal = Terminal::new();
    terminal.write("train.csv", mislabelled());
    let line = "data label-issues train.csv --out review.csv";
    let found = json(&terminal, 0, line);
    assert_eq!(records(&found, "BOT-2190"), BTreeSet::from([10, 41, 100]));
    let issues = found["data"]["issues"].as_array().unwrap();
    let by_record = |record: u64| issues.iter().find(|issue| issue["record"] == record).unwrap();
    assert_eq!((&by_record(10)["line"], &by_record(41)["line"]), (&11.into(), &43.into()));
    for issue in issues {
        let (intent, suggested) = (&issue["intent"], &issue["suggested"]);
        assert_ne!(intent, suggested);
        assert!(issue["score"].as_f64().unwrap() >= 0.8, "{issue}");
        assert!(issue["self_confidence"].as_f64() < issue["suggested_confidence"].as_f64());
        let nearest = issue["nearest"].as_array().unwrap();
        assert_eq!(nearest.len(), 3);
        let cosines: Vec<f64> = nearest.iter().map(|n| n["cosine"].as_f64().unwrap()).collect();
        assert!(cosines.is_sorted_by(|a, b| a >= b), "{cosines:?}");
        assert!(nearest.iter().all(|near| near["intent"] == *suggested), "{issue}");
        assert!(nearest.iter().all(|near| near["record"] != issue["record"]), "{issue}");
    }
    let scores: Vec<f64> = issues.iter().map(|issue| issue["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    // The file for review has no personal data.
    let review = fs::read_to_string(terminal.path().join("review.csv")).unwrap();
    assert_eq!(review.matches("[email]").count(), 1, "{review}");
    assert!(!found.to_string().contains("jane.doe"), "{found:#}");
    // A second run gives the same result, byte for byte.
    assert_eq!(found, json(&terminal, 0, line));
}

#[test]
fn too_many_wrong_labels_fail_the_check() {
    let terminal = Terminal::new();
    terminal.write("train.csv", mislabelled());
    let passed = terminal.run("data label-issues train.csv --fail-if 2%");
    assert!(passed.starts_with("exit: 0\n"), "{passed}");
    assert!(passed.contains("passed: 1.88 % of the records are likely mislabelled"), "{passed}");
    let failed = terminal.run("data label-issues train.csv --fail-if 0.01 --out r.csv --dry-run");
    assert!(failed.starts_with("exit: 3\n"), "{failed}");
    assert!(failed.contains("failed: 1.88 %"), "{failed}");
    assert!(!terminal.path().join("r.csv").exists());
}

#[test]
fn indistinguishable_intents_are_reported_as_overlapping() {
    let terminal = Terminal::new();
    let mut text = two_intents(80);
    // About half of the records of one intent get a second label, by a rule that their words do not show.
    let mut n = 0_usize;
    text = text
        .lines()
        .map(|line| {
            n += usize::from(line.ends_with(",order_status"));
            let torn = line.ends_with(",order_status") && (n * 2_654_435_761) >> 9 & 1 == 0;
            if torn { line.replace(",order_status", ",parcels\n") } else { format!("{line}\n") }
        })
        .collect();
    terminal.write("train.csv", text);
    let found = json(&terminal, 0, "data label-issues train.csv");
    let pair = &found["data"]["overlaps"][0];
    assert_eq!(pair["intents"], serde_json::json!(["order_status", "parcels"]));
    assert_eq!(
        (pair["is_found"].as_bool(), &pair["n"]),
        (Some(true), &serde_json::json!([40, 40]))
    );
    let [low, high] = [0, 1].map(|end| pair["ci95"][end].as_f64().unwrap());
    let rate = pair["rate"].as_f64().unwrap();
    assert!(low >= 0.05 && low < rate && rate < high, "{pair}");
    let n_found = found["findings"].as_array().unwrap().iter().filter(|f| f["code"] == "BOT-2191");
    assert_eq!(n_found.count(), 1);
}

#[test]
fn data_whose_labels_cannot_be_judged_is_refused() {
    let terminal = Terminal::new();
    terminal.write("few.csv", "text,intent\na b,x\nc d,x\ne f,y\ng h,y\ni j,y\n");
    let few = terminal.run("data label-issues few.csv");
    assert!(few.starts_with("exit: 4\n"), "{few}");
    terminal.write("train.csv", mislabelled());
    for (words, part) in [
        ("train.csv --folds 1", "BOT-3030"),
        ("train.csv --at-least 0", "write a probability above 0"),
        ("train.csv --fail-if 120%", "write a share such as"),
        ("train.csv --out train.csv", "BOT-1009"),
        ("missing.csv", "missing.csv"),
    ] {
        let output = terminal.run(&format!("data label-issues {words}"));
        assert!(output.starts_with("exit: 2\n") && output.contains(part), "{words}: {output}");
    }
}

#[test]
fn duplicates_are_grouped_within_and_across_intents_and_files() {
    let terminal = Terminal::new();
    terminal.write(
        "train.csv",
        "text,intent\n\
         where is my parcel today,order\n\
         Where is my parcel today,order\n\
         i forgot the password of my account,account\n\
         i forgot the password of my account,login\n\
         please send me the invoice of last november,billing\n\
         please send me the invoice of last november!!,billing\n\
         call me at jane.doe@example.com now please,contact\n\
         ,order\n",
    );
    terminal.write(
        "test.csv",
        "text,intent\nwhere is my parcel today,order\ncall me at jane.doe@example.com now pleas,contact\n",
    );
    let found = json(&terminal, 3, "data duplicates train.csv test.csv");
    let data = &found["data"];
    let counts = [
        "records",
        "empty",
        "redundant",
        "exact_groups",
        "near_groups",
        "conflicts",
        "across_files",
    ];
    let counts: Vec<u64> = counts.iter().map(|key| data[*key].as_u64().unwrap()).collect();
    assert_eq!(counts, [10, 1, 5, 2, 2, 1, 2], "{data:#}");
    assert_eq!(records(&found, "BOT-2122"), BTreeSet::from([3, 4]));
    assert_eq!(records(&found, "BOT-2121"), BTreeSet::from([2]));
    assert_eq!(records(&found, "BOT-2124"), BTreeSet::from([1]));
    assert_eq!(records(&found, "BOT-2125"), BTreeSet::from([2]));
    assert_eq!(records(&found, "BOT-2192"), BTreeSet::from([5, 6]));
    assert_eq!(records(&found, "BOT-2194"), BTreeSet::from([7, 2]));
    // The worst group comes first, and each member names its nearest other member.
    let first = &data["groups"][0];
    assert_eq!(first["intents"], serde_json::json!(["account", "login"]));
    for group in data["groups"].as_array().unwrap() {
        for member in group["members"].as_array().unwrap() {
            assert!(member["jaccard"].as_f64().unwrap() >= 0.8, "{member}");
        }
    }
    let shown = terminal.run("data duplicates train.csv test.csv --samples 9");
    assert!(shown.starts_with("exit: 3\n") && shown.contains("one text, two intents"), "{shown}");
    assert!(shown.contains("[email]") && !shown.contains("jane.doe"), "{shown}");
    // Without a conflict, the share decides.
    let alone = terminal.run("data duplicates test.csv --fail-if 0");
    assert!(alone.starts_with("exit: 0\n"), "{alone}");
    let wrong = terminal.run("data duplicates test.csv --threshold 0.2");
    assert!(wrong.starts_with("exit: 2\n") && wrong.contains("from 0.5 to 1"), "{wrong}");
}

/// A model of two intents, and traffic that is partly in its training data.
fn traffic() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(60));
    terminal.stdout("train train.csv --out m.botops");
    let message = |i: usize, text: &str, truth: &str| {
        format!(
            "{{\"at\":\"2026-10-26T00:{i:02}:00Z\",\"conversation_id\":\"c{i}\",\"text\":\"{text}\"{truth}}}\n"
        )
    };
    let lines: String = [
        ("my giraffe ate the curtains", ""),
        ("My giraffe ate the curtains", ""),
        ("=cmd|calc giraffe parcel password", ""),
        ("parcel please arrives my again 0", ""),
        ("write to jane.doe@example.com about the zebra", ""),
        ("the zebra is known", ",\"truth\":\"oos\""),
        (" ", ""),
        ("parcel parcel arrives", ""),
    ]
    .iter()
    .enumerate()
    .map(|(i, (text, truth))| message(i, text, truth))
    .collect();
    terminal.write("traffic.jsonl", lines);
    terminal
}

const SUGGEST: &str = "data suggest traffic.jsonl --model m.botops --data train.csv --intent-column truth --out ask.csv";

#[test]
fn suggestions_are_novel_or_uncertain_redacted_and_counted() {
    let terminal = traffic();
    let first_learned =
        two_intents(1).lines().nth(1).unwrap().rsplit_once(',').unwrap().0.to_owned();
    let known = fs::read_to_string(terminal.path().join("traffic.jsonl")).unwrap();
    terminal
        .write("traffic.jsonl", known.replace("parcel please arrives my again 0", &first_learned));
    let found = json(&terminal, 0, SUGGEST);
    let data = &found["data"];
    let counts = ["records", "labelled", "empty", "known", "folded", "candidates"];
    let counts: Vec<u64> = counts.iter().map(|key| data[*key].as_u64().unwrap()).collect();
    assert_eq!(counts, [8, 1, 1, 1, 1, 4], "{data:#}");
    let suggestions = data["suggestions"].as_array().unwrap();
    let of = |word: &str| {
        suggestions.iter().find(|one| one["text"].as_str().unwrap().contains(word)).unwrap()
    };
    assert_eq!(of("curtains")["count"], 2);
    assert_eq!(of("curtains")["reason"], "novel");
    assert_eq!(of("zebra")["text"], "write to [email] about the zebra");
    // A text from the training data comes last.
    assert_eq!(suggestions.last().unwrap()["text"], "parcel parcel arrives");
    let written = fs::read_to_string(terminal.path().join("ask.csv")).unwrap();
    let header = "id,text,suggested_intent,confidence,intent,count,worth,reason\n";
    assert!(written.starts_with(header), "{written}");
    assert!(written.contains(",'=cmd|calc giraffe parcel password,"), "{written}");
    assert!(!written.contains("jane.doe"), "{written}");
    assert_eq!(found, json(&terminal, 0, SUGGEST));
    assert_eq!(
        json(&terminal, 0, &format!("{SUGGEST} --limit 1 --force"))["data"]["suggestions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // If the model was trained on all of the data, there is nothing to suggest.
    let none = terminal.run("data suggest train.csv --model m.botops --out none.csv");
    assert!(none.starts_with("exit: 4\n") && none.contains("BOT-2199"), "{none}");
    assert!(!terminal.path().join("none.csv").exists());
}

#[test]
fn training_data_and_traffic_may_have_different_column_names() {
    let terminal = traffic();
    let learned = two_intents(60).replacen("text,", "said,", 1);
    terminal.write("learned.csv", &learned);
    let line = SUGGEST.replace("train.csv", "learned.csv");
    let refused = terminal.run(&line);
    assert!(
        refused.starts_with("exit: 2\n") && refused.contains("--text-column said"),
        "{refused}"
    );
    // The command of the hint works, and so does the suggested next command.
    let output = terminal.run(&format!("{line} --text-column said"));
    let merge = "data merge learned.csv ask.csv --out merged.csv --text-column said";
    assert!(output.contains(&format!("next: `botops {merge}`")), "{output}");
    let same = json(&terminal, 0, SUGGEST)["data"]["suggestions"].clone();
    assert_eq!(
        json(&terminal, 0, &format!("{line} --text-column said"))["data"]["suggestions"],
        same
    );
    label(&terminal, &[("curtains", "order_status")]);
    let merged = terminal.run(&format!("{merge} --new-intents"));
    assert!(merged.contains("1 added"), "{merged}");
    // The columns of both files have other names: the hint says how to convert one of them.
    let traffic = fs::read_to_string(terminal.path().join("traffic.jsonl")).unwrap();
    terminal.write("traffic.jsonl", traffic.replace("\"text\"", "\"heard\""));
    let both = terminal.run(&format!("{line} --text-column heard"));
    assert!(both.starts_with("exit: 2\n"), "{both}");
    assert!(both.contains("botops data import learned.csv --out learned.new.csv"), "{both}");
    // A column that neither file has is an error.
    let none = terminal.run(&format!("{SUGGEST} --text-column absent"));
    assert!(none.starts_with("exit: 2\n") && none.contains("BOT-2101"), "{none}");
    // Without training data, there is nothing to merge with.
    let alone = terminal
        .run(&format!("{} --text-column heard", SUGGEST.replace("--data train.csv ", "--force ")));
    assert!(alone.starts_with("exit: 0\n") && !alone.contains("next:"), "{alone}");
}

#[test]
fn personal_data_in_intent_names_is_redacted() {
    let terminal = Terminal::new();
    let rows = |mail: &str| {
        format!(
            "text,intent,lang\nwhere is my parcel,{mail},b.person@example.org\nwhere is my parcel,other,en\n\
             my password is lost,other,en\n"
        )
    };
    terminal
        .write("a.csv", rows("a.person@example.org"))
        .write("b.csv", rows("c.person@example.org"));
    for line in
        ["data duplicates a.csv", "data diff a.csv b.csv", "data profile a.csv --html p.html"]
    {
        for format in ["table", "json"] {
            if line.starts_with("data duplicates") && format == "json" {
                continue;
            }
            let output = terminal.run(&format!("--format {format} {line}"));
            assert!(output.contains("[email]") && !output.contains("person@"), "{output}");
        }
    }
    let page = fs::read_to_string(terminal.path().join("p.html")).unwrap();
    assert!(page.contains("[email]") && !page.contains("person@"), "{page}");

    let mail = "order.status@example.org";
    terminal.write("train.csv", two_intents(60).replace("order_status", mail));
    let issues = "data label-issues train.csv --at-least 0.01 --out issues.csv";
    let output = terminal.run(issues) + &terminal.run("train train.csv --out \"my m.botops\"");
    assert!(output.contains("next: `botops predict 'my m.botops' hello`"), "{output}");
    let output = terminal.run(issues) + &terminal.run("evaluate \"my m.botops\" train.csv");
    assert!(output.contains("[email]") && !output.contains(mail), "{output}");
    let csv = fs::read_to_string(terminal.path().join("issues.csv")).unwrap();
    assert!(!csv.contains(mail), "{csv}");
}

/// Fills in the column `intent` of the suggestions that contain a word.
fn label(terminal: &Terminal, labels: &[(&str, &str)]) {
    let written = fs::read_to_string(terminal.path().join("ask.csv")).unwrap();
    let lines: String = written
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let label = labels.iter().find(|(word, _)| cells[1].contains(word));
            match label {
                Some((_, intent)) => {
                    let mut cells = cells.clone();
                    cells[4] = intent;
                    cells.join(",") + "\n"
                }
                None => format!("{line}\n"),
            }
        })
        .collect();
    terminal.write("ask.csv", lines);
}

#[test]
fn labels_are_merged_once_and_every_row_is_counted() {
    let terminal = traffic();
    terminal.stdout(SUGGEST);
    label(&terminal, &[("curtains", "account_help"), ("=cmd", "order_status"), ("zebra", "oos")]);
    let merged = json(&terminal, 0, "data merge train.csv ask.csv --out merged.csv");
    let data = &merged["data"];
    let counts = ["base", "records_in", "added", "already", "unlabelled", "refused", "records_out"];
    let of = |data: &Value| counts.map(|key| data[key].as_u64().unwrap());
    let n = of(data)[1];
    assert_eq!(of(data), [120, n, 3, 0, n - 3, 0, 123], "{data:#}");
    let out = fs::read_to_string(terminal.path().join("merged.csv")).unwrap();
    assert_eq!(out.lines().count(), 124);
    // The merged text is the original one, without the marks for spreadsheets.
    assert!(out.contains("\n=cmd|calc giraffe parcel password,order_status,"), "{out}");
    // A second merge adds nothing.
    let again = json(&terminal, 0, "data merge merged.csv ask.csv --out again.csv");
    assert_eq!(of(&again["data"]), [123, n, 0, 3, n - 3, 0, 123]);
    assert_eq!(fs::read_to_string(terminal.path().join("again.csv")).unwrap(), out);
}

#[test]
fn edited_labels_are_overwritten_only_with_force() {
    let terminal = traffic();
    terminal.stdout(SUGGEST);
    let suggested = fs::read_to_string(terminal.path().join("ask.csv")).unwrap();
    // A file that nobody edited is overwritten.
    terminal.stdout(SUGGEST);
    label(&terminal, &[("curtains", "account_help")]);
    let labelled = fs::read_to_string(terminal.path().join("ask.csv")).unwrap();
    assert_ne!(labelled, suggested);
    for line in [SUGGEST.to_owned(), format!("{SUGGEST} --dry-run")] {
        let refused = terminal.run(&line);
        assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-2219"), "{refused}");
        assert_eq!(fs::read_to_string(terminal.path().join("ask.csv")).unwrap(), labelled);
    }
    terminal.stdout(&format!("{SUGGEST} --force"));
    assert_eq!(fs::read_to_string(terminal.path().join("ask.csv")).unwrap(), suggested);
}

#[test]
fn unusable_labels_are_refused_with_the_reason() {
    let terminal = traffic();
    terminal.stdout(SUGGEST);
    label(&terminal, &[("curtains", "acount_help"), ("=cmd", "order_status"), ("zebra", "oos")]);
    let written = fs::read_to_string(terminal.path().join("ask.csv")).unwrap();
    terminal.write("ask.csv", written.replace("about the zebra", "about the okapi"));
    let base = "text,intent,source\n=CMD|calc giraffe parcel password,account_help,mail\n";
    terminal.write(
        "base.csv",
        base.to_owned()
            + &two_intents(2)
                .replace("order_status", "order_status,web")
                .replace("account_help", "account_help,web")
                .lines()
                .skip(1)
                .map(|l| format!("{l}\n"))
                .collect::<String>(),
    );
    let found = json(&terminal, 3, "data merge base.csv ask.csv --out merged.csv --refused no.csv");
    let codes: BTreeSet<&str> =
        found["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    // The column `source` is dropped, a text was changed, an intent is unknown, and the base has another intent.
    assert!(
        ["BOT-2166", "BOT-2197", "BOT-2113", "BOT-2122"].iter().all(|code| codes.contains(code)),
        "{codes:?}"
    );
    assert_eq!(found["data"]["refused"], 3);
    assert_eq!(found["data"]["added"], 0);
    let help =
        found["findings"].as_array().unwrap().iter().find(|f| f["code"] == "BOT-2113").unwrap();
    assert_eq!(help["help"], "did you mean `account_help`?");
    assert_eq!(fs::read_to_string(terminal.path().join("no.csv")).unwrap().lines().count(), 4);
    let allowed = json(&terminal, 3, "data merge base.csv ask.csv --out merged.csv --new-intents");
    assert_eq!((&allowed["data"]["refused"], &allowed["data"]["added"]), (&2.into(), &1.into()));

    let no_id = terminal.run("data merge base.csv train.csv --out merged.csv");
    assert!(no_id.starts_with("exit: 3\n") && no_id.contains("no column `id`"), "{no_id}");
    let over = terminal.run("data merge base.csv ask.csv --out base.csv");
    assert!(over.starts_with("exit: 2\n") && over.contains("BOT-1009"), "{over}");
    assert!(over.contains("add `--force`"), "{over}");
    let refused =
        terminal.run("data merge base.csv ask.csv --out m.csv --refused base.csv --force");
    assert!(refused.starts_with("exit: 2\n") && refused.contains("BOT-1009"), "{refused}");
    let before = fs::read_to_string(terminal.path().join("merged.csv")).unwrap();
    let same = "data merge base.csv ask.csv --out base.csv --new-intents --force";
    assert_eq!(json(&terminal, 3, same)["data"]["added"], 1);
    assert_eq!(fs::read_to_string(terminal.path().join("base.csv")).unwrap(), before);
    let ending = terminal.run("data merge base.csv ask.csv --out merged.doc");
    assert!(ending.starts_with("exit: 2\n"), "{ending}");
}
