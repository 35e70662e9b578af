//! Splits that neither leak nor move records, on the command line and in a pipeline.

use crate::support::{Folder, botops_snapshot, terminal_output};
use std::collections::BTreeSet;

const SUBJECTS: [&str; 10] = [
    "parcel",
    "invoice",
    "password",
    "subscription",
    "charger",
    "keyboard",
    "garden chair",
    "gift card",
    "warranty",
    "newsletter",
];
const REQUESTS: [(&str, &str); 3] = [
    ("tracking", "where is my {} now"),
    ("refund", "pay me back for the {}"),
    ("cancel", "stop the {} today"),
];

/// Returns texts of three intents about some subjects, each with a customer, and on request a near duplicate of each.
fn rows(subjects: std::ops::Range<usize>, twice: bool) -> String {
    let mut rows = String::from("text,intent,customer\n");
    for (n, subject) in subjects.clone().zip(&SUBJECTS[subjects]) {
        for (intent, request) in REQUESTS {
            let text = request.replace("{}", subject);
            rows.push_str(&format!("\"{text}\",{intent},customer {}\n", n / 2));
            if twice {
                rows.push_str(&format!("\"{text}!\",{intent},customer {}\n", n / 2));
            }
        }
    }
    rows
}

fn texts(folder: &Folder, file: &str) -> BTreeSet<String> {
    folder
        .read(file)
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_locked_split_grows_without_moving_records() {
    let folder = Folder::empty();
    folder.write("data.csv", rows(0..8, false));
    let split = ["data", "split", "data.csv", "--test", "25%", "--lock", "split.lock.json"];
    botops_snapshot!(folder.botops([&split[..], &["--dry-run"]].concat()), @r#"
    exit: 0
    ----- stdout -----
    data.csv: 24 records (dry run: nothing was written)
    side   records   share  intents  file
    train       18  75.0 %        3  data-split/train.csv
    test         6  25.0 %        3  data-split/test.csv
    split.lock.json: 0 records stay in place, 0 follow near duplicates, 24 are new
    ----- stderr -----
    "#);
    assert!(
        !folder.path().join("split.lock.json").exists()
            && !folder.path().join("data-split").exists()
    );
    botops_snapshot!(folder.botops(split), @r#"
    exit: 0
    ----- stdout -----
    data.csv: 24 records
    side   records   share  intents  file
    train       18  75.0 %        3  data-split/train.csv
    test         6  25.0 %        3  data-split/test.csv
    split.lock.json: 0 records stay in place, 0 follow near duplicates, 24 are new
    ----- stderr -----
    next: `botops train data-split/train.csv --test data-split/test.csv`
    "#);
    let (train, test) =
        (texts(&folder, "data-split/train.csv"), texts(&folder, "data-split/test.csv"));
    let lock = folder.read("split.lock.json");

    folder.write("data.csv", rows(0..10, true));
    // Shares, seed and group come from the lock.
    botops_snapshot!(folder.botops(["data", "split", "data.csv", "--lock", "split.lock.json"]), @r#"
    exit: 0
    ----- stdout -----
    data.csv: 60 records
    side   records   share  intents  file
    train       42  70.0 %        3  data-split/train.csv
    test        18  30.0 %        3  data-split/test.csv
    split.lock.json: 24 records stay in place, 24 follow near duplicates, 12 are new
    ----- stderr -----
    next: `botops train data-split/train.csv --test data-split/test.csv`
    "#);
    let (now_train, now_test) =
        (texts(&folder, "data-split/train.csv"), texts(&folder, "data-split/test.csv"));
    assert!(train.is_subset(&now_train) && test.is_subset(&now_test));
    let bare = |texts: &BTreeSet<String>| {
        texts.iter().map(|text| text.replace('!', "")).collect::<BTreeSet<_>>()
    };
    assert!(bare(&now_train).is_disjoint(&bare(&now_test)));
    assert_ne!(folder.read("split.lock.json"), lock);
    botops_snapshot!(folder.botops(["data", "split", "data.csv", "--lock", "split.lock.json", "--test", "0.3"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-2185]: the lock was made for test 0.25, validation 0, seed 17, no group; the request is test 0.3, validation 0, seed 17, no group
    hint: use the same settings, or name another lock file: other settings would move records
    "#);
    folder.write("split.lock.json", "{}");
    botops_snapshot!(folder.botops(["data", "split", "data.csv", "--lock", "split.lock.json"]), @r#"
    exit: 3
    ----- stdout -----

    ----- stderr -----
    error[BOT-2180]: `split.lock.json` is not a split lock: a key is missing, unknown or has an invalid value, at line 1, column 2
      --> split.lock.json
    hint: restore it from version control; without it, records would change sides
    "#);
}

#[test]
fn groups_stay_together_and_validation_is_a_third_side() {
    let folder = Folder::empty();
    folder.write("data.csv", rows(0..10, true));
    botops_snapshot!(folder.botops(["data", "split", "data.csv", "--test", "20%", "--validation", "20%", "--group", "customer", "--out", "sides"]), @r#"
    exit: 0
    ----- stdout -----
    data.csv: 60 records
    side        records   share  intents  file
    train            36  60.0 %        3  sides/train.csv
    validation       12  20.0 %        3  sides/validation.csv
    test             12  20.0 %        3  sides/test.csv
    not locked: records may change sides when the data grows; `--lock split.lock.json` prevents that
    ----- stderr -----
    next: `botops train sides/train.csv --test sides/test.csv`
    "#);
    let sides =
        ["train", "validation", "test"].map(|side| texts(&folder, &format!("sides/{side}.csv")));
    assert_eq!(sides.iter().map(BTreeSet::len).sum::<usize>(), 60);
    for side in &sides {
        for pair in SUBJECTS.chunks(2) {
            let of = |subject: &str| side.iter().filter(|text| text.contains(subject)).count();
            assert_eq!(of(pair[0]) > 0, of(pair[1]) > 0, "{pair:?}: one customer");
        }
    }
    botops_snapshot!(folder.botops(["data", "split", "data.csv", "--group", "costumer"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-2101]: there is no column `costumer`; the columns are `text`, `intent`, `customer`
      --> data.csv:1
    hint: did you mean `--group customer`?
    "#);
    botops_snapshot!(folder.botops(["data", "split", "data.csv", "--test", "70%", "--validation", "30%"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-2130]: a test share of 0.7 and a validation share of 0.3 leave nothing to train on
    hint: write shares between 0 and 1 (or percentages) that leave something to train on: `--test 20% --validation 10%`
    "#);
    botops_snapshot!(folder.botops(["data", "split", "data.csv", "--test", "a fifth"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'a fifth' for '--test <SHARE>': write a share such as `20%` or `0.2`

    For more information, try '--help'.
    "#);
    let one: String = rows(0..10, false).lines().map(|line| format!("{line},x\n")).collect();
    folder.write("one.csv", one.replacen(",x\n", ",bot\n", 1));
    botops_snapshot!(folder.botops(["data", "split", "one.csv", "--group", "bot"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-2182]: groups of `bot` and near duplicates link all records to each other: there is nothing to split
      --> one.csv
    hint: name a group column whose values are shared by fewer records, or use no group
    "#);
    folder.write("lonely.csv", rows(0..3, false) + "hello,greet,customer 9\n");
    botops_snapshot!(folder.botops(["data", "split", "lonely.csv"]), @r#"
    exit: 4
    ----- stdout -----

    ----- stderr -----
    error[BOT-2131]: the intent `greet` has 1 record; a split into 2 sides needs at least 2
      --> lonely.csv
    hint: add records of this intent with other wording, or remove the intent
    "#);
}

const PIPELINE: &str = "\
version: 1
name: sides
stages:
  - validate:
      data: data.csv
  - split:
      from: validate
      test_share: 0.25
      lock: split.lock.json
  - train:
      from: split
      model: {head: {kind: complement_naive_bayes}}
";

#[test]
fn a_pipeline_follows_the_split_lock() {
    let folder = Folder::empty();
    folder
        .write("botops.yaml", "version: 1\nmodel: support\n")
        .write("data.csv", rows(0..8, false));
    folder.write("sides.yaml", PIPELINE);
    let run = || {
        let output = terminal_output(&mut folder.botops(["run", "sides.yaml"]));
        assert!(output.starts_with("exit: 0"), "{output}");
        output
    };
    run();
    let side = |name: &str| texts(&folder, &format!(".botops/pipelines/sides/split/{name}.csv"));
    let before = (side("train"), side("test"));
    assert!(before.1.len() >= 3);
    let status = terminal_output(&mut folder.botops(["pipeline", "status", "sides.yaml"]));
    assert!(!status.contains("stale"), "the lock it made is no reason to run again: {status}");
    folder.write("data.csv", rows(0..10, true));
    run();
    let after = (side("train"), side("test"));
    assert!(before.0.is_subset(&after.0) && before.1.is_subset(&after.1));
    assert!(after.0.len() + after.1.len() == 60);
}

#[test]
fn a_locked_pipeline_has_a_validation_side() {
    let folder = Folder::empty();
    folder
        .write("botops.yaml", "version: 1\nmodel: support\n")
        .write("data.csv", rows(0..10, false));
    let with_share = PIPELINE.replace("lock:", "validation_share: 0.2\n      lock:");
    folder.write("sides.yaml", with_share);
    let output = terminal_output(&mut folder.botops(["run", "sides.yaml"]));
    assert!(output.starts_with("exit: 0") && output.contains("to validation,"), "{output}");
    let sides = ["train", "validation", "test"]
        .map(|name| texts(&folder, &format!(".botops/pipelines/sides/split/{name}.csv")));
    assert_eq!(sides.iter().map(BTreeSet::len).sum::<usize>(), 30);
    assert!(sides[1].len() >= 3, "{sides:?}");
    assert!(sides[0].is_disjoint(&sides[1]) && sides[1].is_disjoint(&sides[2]));

    folder.write("sides.yaml", PIPELINE.replace("lock: split.lock.json", "validation_share: 0.2"));
    botops_snapshot!(folder.botops(["run", "sides.yaml"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-8001]: `validation_share` has no effect without `lock`: only a locked split has a validation side
      --> sides.yaml, key `stages.split.validation_share`
    hint: add `lock: split.lock.json` to the stage, or remove `validation_share`
    "#);
}

#[test]
fn standard_input_is_split_by_groups() {
    let folder = Folder::empty();
    folder.write("data.csv", rows(0..10, false));
    let by = ["--group", "customer", "--out"];
    let output = terminal_output(
        &mut folder.botops([&["data", "split", "data.csv"][..], &by, &["file"]].concat()),
    );
    assert!(output.starts_with("exit: 0"), "{output}");
    let output = terminal_output(
        folder
            .botops([&["data", "split", "-"][..], &by, &["piped"]].concat())
            .stdin(std::fs::File::open(folder.path().join("data.csv")).unwrap()),
    );
    assert!(output.starts_with("exit: 0"), "{output}");
    for side in ["train", "test"] {
        assert_eq!(
            folder.read(&format!("piped/{side}.csv")),
            folder.read(&format!("file/{side}.csv"))
        );
    }
}

/// Returns records of two intents, each text twice but for a letter, so that a split by text alone leaks.
fn near_pairs() -> String {
    let words =
        ["amber", "birch", "cedar", "daisy", "ebony", "fern", "grape", "hazel", "iris", "jade"];
    let mut rows = String::from("text,intent\n");
    for (i, word) in words.iter().enumerate() {
        let intent = ["tracking", "refund"][i % 2];
        let text = format!("{word} {} {word} {}", words[(i * 3 + 1) % 10], words[(i * 7 + 2) % 10]);
        rows.push_str(&format!("{text},{intent}\n{text}s,{intent}\n"));
    }
    rows
}

#[test]
fn a_pipeline_keeps_near_duplicates_on_one_side_without_a_lock() {
    let stem = |texts: BTreeSet<String>| -> BTreeSet<String> {
        texts.into_iter().map(|text| text.trim_end_matches('s').to_owned()).collect()
    };
    for (key, leaks) in [("", false), ("\n      near_duplicates: ignored", true)] {
        let folder = Folder::empty();
        folder
            .write("botops.yaml", "version: 1\nmodel: support\n")
            .write("data.csv", near_pairs())
            .write(
                "sides.yaml",
                PIPELINE
                    .replace("lock: split.lock.json", "test_share: 0.3")
                    .replace("      test_share: 0.25\n", "")
                    .replace("test_share: 0.3", &format!("test_share: 0.3{key}")),
            );
        let output = terminal_output(&mut folder.botops(["run", "sides.yaml"]));
        assert!(output.starts_with("exit: 0"), "{output}");
        let side =
            |name: &str| texts(&folder, &format!(".botops/pipelines/sides/split/{name}.csv"));
        let (train, test) = (side("train"), side("test"));
        assert_eq!(train.len() + test.len(), 20);
        assert_eq!(!stem(train).is_disjoint(&stem(test)), leaks, "{key}");
    }
}

#[test]
fn a_split_keeps_every_column_and_the_names_of_the_data() {
    let folder = Folder::empty();
    let rows: String = rows(0..10, true)
        .replace("text,intent,customer", "id,utterance,label,customer,note")
        .lines()
        .enumerate()
        .map(|(i, row)| match i {
            0 => format!("{row}\n"),
            _ => format!("{i},{row},\"a, \"\"b\"\" {i}\"\n"),
        })
        .collect();
    folder.write("data.csv", &rows);
    let output = terminal_output(
        &mut folder.botops(["data", "split", "data.csv", "--group", "customer", "--out", "sides"]),
    );
    assert!(output.starts_with("exit: 0"), "{output}");
    let mut seen = BTreeSet::new();
    for side in ["train", "test"] {
        let text = folder.read(&format!("sides/{side}.csv"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(
            reader.headers().unwrap(),
            &["id", "utterance", "label", "customer", "note"][..]
        );
        for row in reader.records() {
            let row = row.unwrap();
            assert_eq!(&row[4], format!("a, \"b\" {}", &row[0]));
            assert!(row[3].starts_with("customer "));
            seen.insert(row[0].to_owned());
        }
    }
    assert_eq!(seen.len(), 60);
    // A pipe is read once, and JSON lines keep their fields too.
    folder.write(
        "data.jsonl",
        (0..40)
            .map(|i| {
                format!(
                    "{{\"text\":\"{:x}\",\"intent\":\"i{}\",\"user\":\"u{}\"}}\n",
                    (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                    i % 2,
                    i / 4
                )
            })
            .collect::<String>(),
    );
    let mut piped = folder.botops([
        "data",
        "split",
        "-",
        "--input-format",
        "jsonl",
        "--group",
        "user",
        "--out",
        "piped",
    ]);
    piped.stdin(std::fs::File::open(folder.path().join("data.jsonl")).unwrap());
    let output = terminal_output(&mut piped);
    assert!(output.starts_with("exit: 0"), "{output}");
    assert!(folder.read("piped/train.csv").starts_with("intent,text,user\n"));
}
