use crate::{
    Keep, ValidateOptions, Validation, engine::run, quarantine, validate, validate_bytes,
    write_rejected,
};
use botops_datasets::{
    Dataset, EntitySpan, ReadOptions, Record, Source, TableRows, read, read_bytes,
    table::{Origin, Row, Shape},
};
use botops_expectations::Expectations;
use botops_files::{Output, OutputKind};
use botops_findings::{Result, Severity};
use botops_profile::profile_records;
use botops_spec::Spec as _;
use botops_splits::{Split, SplitSpec, split};
use bytes::Bytes;
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn at(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn output(path: &Path) -> Output<'_> {
    Output::new(path, OutputKind::Quarantine, false)
}

fn dataset(rows: &[(&str, &str)]) -> Dataset {
    let rows = rows.iter().map(|&(text, intent)| (text, intent, ""));
    dataset_of(rows)
}

fn dataset_of<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Dataset {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let records: Vec<Record> = rows
        .into_iter()
        .enumerate()
        .map(|(i, (text, intent, lang))| Record {
            text: text.to_owned(),
            intent: some(intent),
            lang: some(lang),
            entities: Vec::new(),
            record: i as u64 + 1,
            line: i as u64 + 2,
            file: None,
        })
        .collect();
    let columns = ["text", "intent", "lang"].map(|name| (name.to_owned(), name.to_owned())).into();
    Dataset {
        name: "data.csv".to_owned(),
        digest: botops_digest::Digest::of(b""),
        columns,
        records,
        lookups: Default::default(),
    }
}

/// Code, record and severity of every finding.
fn found(validation: &Validation) -> Vec<(String, Option<u64>, Severity)> {
    validation.findings.iter().map(|f| (f.code.clone(), f.place.record, f.severity)).collect()
}

fn codes(validation: &Validation) -> BTreeSet<&str> {
    validation.findings.iter().map(|f| f.code.as_str()).collect()
}

mod validating {
    use super::*;

    #[test]
    fn a_blank_row_is_one_finding() {
        let rules = "version: 1\nmin_examples_per_intent: 1\nrules:\n- {column: n, required: true}\n- {columns: [m, n], required: true}\n";
        let rules: Expectations = botops_spec::parse(rules, "expectations.yaml").unwrap();
        for (name, text) in [
            ("a.csv", "text,intent,n,m\nhi,a,1,1\n,,,\n \t,,\u{a0},\nho,b,2,2\n"),
            ("b.csv", "n;m;o\n1;1;1\n;;\n \t;;\u{a0}\n2;2;2\n"),
            (
                "c.jsonl",
                "{\"text\":\"hi\",\"intent\":\"a\",\"n\":1,\"m\":1}\n{}\n{\"text\":null,\"intent\":\"\",\"n\":\" \"}\n{\"text\":\"ho\",\"intent\":\"b\",\"n\":2,\"m\":2}\n",
            ),
        ] {
            let source = Origin::held(text.as_bytes().to_vec().into(), name);
            let mut rows = TableRows::open(source, &rules.read_options(), None).unwrap();
            let mut rejected = Vec::new();
            let options = ValidateOptions { samples: 9, ..ValidateOptions::default() };
            let validation = run(&mut rows, &rules, &options, Keep::Rejected).unwrap();
            rejected.extend(validation.rejected.iter().map(|rejected| rejected.reasons.len()));
            let blank = |record| ("BOT-2111".to_owned(), Some(record), Severity::Error);
            assert_eq!(found(&validation), [blank(2), blank(3)], "{name}");
            assert!(validation.findings.iter().all(|f| f.message == "the row is blank"));
            assert_eq!(validation.records_rejected, 2, "{name}");
            assert!(rejected.iter().all(|n| *n == 1), "{rejected:?}");
        }
        // A row with any value is checked as before.
        let data = dataset(&[("hi", "a"), ("ho", "b"), ("ha", ""), ("", "b")]);
        let validation = validate(&data, &Expectations { rules: Vec::new(), ..rules }, None);
        assert_eq!(codes(&validation), BTreeSet::from(["BOT-2111", "BOT-2112"]));
    }

    #[test]
    fn a_huge_text_is_reported_shortened() {
        let huge = "a ".repeat(5 << 20);
        let csv = format!("text,intent\nhi,a\n{huge},b\nho,a\n");
        let data = read_bytes(csv.as_bytes(), "a.csv", &ReadOptions::default()).unwrap();
        let validation = validate(&data, &Expectations::default(), None);
        let first = &validation.findings[0];
        assert_eq!((first.code.as_str(), first.place.record), ("BOT-2116", Some(2)));
        assert!(first.message.len() < 300, "{}", first.message);
        assert_eq!((validation.records_accepted, validation.records_rejected), (2, 1));
    }

    fn closed() -> Expectations {
        botops_spec::parse(
            "version: 1\nintents: [a, b]\nlanguages: [en, fr]\ntext: {min_chars: 2, max_chars: 10}\nmin_examples_per_intent: 2\n",
            "expectations.yaml",
        )
        .unwrap()
    }

    #[test]
    fn a_text_in_another_language_than_declared_is_reported_once_it_is_clear() {
        let rules = |languages: &str| -> Expectations {
            let yaml = format!(
                "version: 1\n{languages}min_examples_per_intent: 1\nrules:\n  - {{ column: lang, language_of: text }}\n"
            );
            botops_spec::parse(&yaml, "expectations.yaml").unwrap()
        };
        let csv = "text,intent,lang\nset a timer,a,en\nreport a bug,a,en\nstart a claim,a,en-GB\nmerci,a,en\n\
            where is my parcel?,a,fr\nich möchte meinen Vertrag kündigen,a,fr\n\
            ich möchte den Vertrag wechseln,a,de\nnon dago nire paketea galdetu nahi dut,a,eu\n";
        let checked = |languages: &str| {
            let options = ValidateOptions::default();
            let (bytes, rules) = (Bytes::from(csv), rules(languages));
            validate_bytes(bytes, "a.csv", &ReadOptions::default(), &rules, &options, Keep::Counts)
                .unwrap()
        };
        let reported = |languages: &str| -> Vec<Option<u64>> {
            let findings = checked(languages).findings;
            let of_language = findings.iter().filter(|finding| finding.code == "BOT-2214");
            of_language.map(|finding| finding.place.record).collect()
        };
        assert_eq!(reported(""), [Some(5), Some(6)]);
        assert_eq!(reported("languages: [en, en-GB, fr, de, eu]\n"), [Some(5), Some(6)]);
        // German is not expected, so nothing is guessed to be German. (Record 7 has another finding.)
        assert_eq!(reported("languages: [en, en-GB, fr, eu]\n"), [Some(5)]);
        let validation = checked("");
        let message =
            &validation.findings.iter().find(|f| f.place.record == Some(6)).unwrap().message;
        assert!(message.contains("looks German, but `lang` is `fr`"), "{message}");
    }

    #[test]
    fn every_check_finds_its_kind_of_problem_and_no_other() {
        let sound = [
            ("hello", "a", "en"),
            ("salut", "b", "fr"),
            ("good day", "a", "en"),
            ("bonjour", "b", "fr"),
        ];
        assert_eq!(found(&validate(&dataset_of(sound), &closed(), None)), []);
        for (row, code, severity) in [
            (("  ", "a", "en"), "BOT-2111", Severity::Error),
            (("well met", "", "en"), "BOT-2112", Severity::Error),
            (("well met", "c", "en"), "BOT-2113", Severity::Error),
            (("well met", "a", "de"), "BOT-2114", Severity::Error),
            (("x", "a", "en"), "BOT-2115", Severity::Error),
            (("well met all", "a", "en"), "BOT-2116", Severity::Error),
            (("caf\u{fffd}", "a", "en"), "BOT-2117", Severity::Error),
            (("cafÃ©", "a", "en"), "BOT-2118", Severity::Warning),
            (("we\u{200b}ll", "a", "en"), "BOT-2119", Severity::Warning),
            (("hello", "a", "en"), "BOT-2120", Severity::Warning),
            (("Hello ", "a", "en"), "BOT-2121", Severity::Warning),
        ] {
            let data = dataset_of(sound.into_iter().chain([row]));
            let validation = validate(&data, &closed(), None);
            assert_eq!(found(&validation), [(code.to_owned(), Some(5), severity)], "{row:?}");
            let rejected = u64::from(severity == Severity::Error);
            assert_eq!(validation.records_rejected, rejected, "{row:?}");
            assert_eq!(validation.records_accepted, 5 - rejected);
            assert_eq!(validation.findings[0].place.line, Some(6));
        }
    }

    #[test]
    fn a_control_character_in_a_label_is_a_finding() {
        let data = dataset_of([
            ("hello there", "a", "en"),
            ("well met", "a\0", "en"),
            ("good day", "a", "e\u{7}n"),
        ]);
        let lax = Expectations { min_examples_per_intent: 1, ..Expectations::default() };
        let validation = validate(&data, &lax, None);
        let of_labels: Vec<_> = validation
            .findings
            .iter()
            .filter(|finding| finding.code == "BOT-2119")
            .map(|finding| (finding.place.record, finding.message.as_str()))
            .collect();
        let message = |name: &str, c: &str| {
            format!("{name} has 1 invisible character, the first, {c}, at character 2")
        };
        let expected = [message("the intent", "U+0000"), message("the language", "U+0007")];
        assert_eq!(of_labels, [(Some(2), &*expected[0]), (Some(3), &*expected[1])]);
    }

    #[test]
    fn a_text_under_two_intents_is_reported_for_each_of_its_records() {
        let data = dataset(&[
            ("Help me", "a"),
            ("x y", "b"),
            ("help  ME", "b"),
            ("help me", "a"),
            ("z", "b"),
        ]);
        let lax = Expectations { min_examples_per_intent: 1, ..Expectations::default() };
        let validation = validate(&data, &lax, None);
        assert_eq!(
            found(&validation),
            [("BOT-2122", 1), ("BOT-2122", 3), ("BOT-2121", 4), ("BOT-2122", 4)]
                .map(|(code, record)| (code.to_owned(), Some(record), Severity::Warning))
        );
        assert_eq!(
            validation.findings[1].message,
            "the text `help  ME` has the intent `b` here and `a` in record 1 (line 2)"
        );
    }

    #[test]
    fn leaks_are_reported_for_the_training_record_and_name_the_test_record() {
        let train = dataset(&[("one", "a"), ("two", "b"), ("three", "a"), ("four", "b")]);
        let mut test = dataset(&[("TWO", "b"), ("three", "b"), ("nine", "a")]);
        test.name = "test.csv".to_owned();
        let lax = Expectations { min_examples_per_intent: 1, ..Expectations::default() };
        let validation = validate(&train, &lax, Some(&test));
        assert_eq!(
            found(&validation),
            [("BOT-2125", 2), ("BOT-2124", 3)].map(|(code, record)| (
                code.to_owned(),
                Some(record),
                Severity::Warning
            ))
        );
        assert!(
            validation.findings[0]
                .message
                .contains("record 1 (line 2) of the test data `test.csv`")
        );
    }

    #[test]
    fn near_duplicates_of_test_records_are_reported_and_counted() {
        let train = dataset(&[
            ("i would like to know where my parcel is", "a"),
            ("please cancel the order that i made", "b"),
            ("where can i download my invoice", "a"),
            ("ONE of the test texts", "b"),
        ]);
        let mut test = dataset(&[
            ("i would like to know where my parcel is!", "a"),
            ("one of the test texts", "b"),
            ("something else altogether", "b"),
            ("and a fourth sentence", "a"),
        ]);
        test.name = "test.csv".to_owned();
        let lax = Expectations { min_examples_per_intent: 1, ..Expectations::default() };
        let validation = validate(&train, &lax, Some(&test));
        let leaks = [("BOT-2240", 1), ("BOT-2125", 4)];
        let found: Vec<_> =
            validation.findings.iter().map(|f| (f.code.as_str(), f.place.record)).collect();
        assert_eq!(found, leaks.map(|(code, record)| (code, Some(record))));
        assert!(validation.findings[0].message.contains("record 1 (line 2) of the test data"));
        assert!(validation.passes());
        for (most, passes) in [(0.5, true), (0.49, false), (0.0, false)] {
            let strict = Expectations { max_leaked_share: Some(most), ..lax.clone() };
            let validation = validate(&train, &strict, Some(&test));
            assert_eq!(validation.passes(), passes, "{most}");
            if !passes {
                let last = validation.findings.last().unwrap();
                assert_eq!((last.code.as_str(), last.place.record), ("BOT-2241", None));
                assert!(last.message.starts_with("2 of 4 records in the test data `test.csv` are also in the data, 1 of them as near duplicates"), "{}", last.message);
            }
        }
    }

    #[test]
    fn a_damaged_text_is_counted_once_with_a_rule_for_it_or_without() {
        let csv = "text,intent,note\nune cafÃ©tiere,a,cafÃ©\nle thÃ© vert,b,x\nbonjour,a,x\nau revoir,b,x\n";
        let run = |rules: &str| {
            let expectations: Expectations = botops_spec::parse(
                &format!("version: 1\nmin_examples_per_intent: 1\n{rules}"),
                "e.yaml",
            )
            .unwrap();
            let bytes = bytes::Bytes::from_static(csv.as_bytes());
            let read = expectations.read_options();
            let options = ValidateOptions::default();
            let validation =
                crate::validate_bytes(bytes, "a.csv", &read, &expectations, &options, Keep::Counts)
                    .unwrap();
            let of = |rule: Option<&str>| -> u64 {
                let checks = validation.checks.iter().filter(|check| check.code == "BOT-2118");
                checks.filter(|check| check.rule.as_deref() == rule).map(|c| c.findings).sum()
            };
            (of(None), of(Some("text")), of(Some("note")), validation.errors)
        };
        assert_eq!(run(""), (2, 0, 0, 0));
        assert_eq!(run("rules: [{column: text, no_damage: true}]"), (0, 2, 0, 0));
        assert_eq!(run("rules: [{column: text, no_damage: true, fail_if: 1}]"), (0, 2, 0, 2));
        assert_eq!(run("rules: [{columns: [text, note], no_damage: true}]"), (0, 2, 1, 0));
        // A rule for some records leaves the others to the check that every text gets.
        let some = "rules: [{column: text, no_damage: true, when: intent = b}]";
        assert_eq!(run(some), (1, 1, 0, 0));
    }

    #[test]
    fn a_near_duplicate_can_reject_its_record() {
        let train = dataset(&[
            ("please cancel the order that i made", "b"),
            ("i would like to know where my parcel is", "a"),
        ]);
        let test = dataset(&[("i would like to know where my parcel is!", "a")]);
        let strict = Expectations {
            min_examples_per_intent: 1,
            severity: [("BOT-2240".to_owned(), "error".to_owned())].into(),
            ..Expectations::default()
        };
        let validation = validate(&train, &strict, Some(&test));
        assert_eq!((validation.records_rejected, validation.rejected.len()), (1, 1));
        assert_eq!(validation.rejected[0].record.record, 2);
        assert_eq!(validation.rejected[0].reasons[0].code, "BOT-2240");
    }

    #[test]
    fn the_offsets_of_a_span_count_characters() {
        let mut data = dataset(&[("é #12 ok", "a"), ("none", "b")]);
        let span = |value: &str, start, end| EntitySpan::new("n", value, start, end);
        data.records[0].entities =
            vec![span("#12", 2, 5), span("#12", 3, 6), span("ok", 6, 80), span("", 3, 3)];
        let lax = Expectations { min_examples_per_intent: 1, ..Expectations::default() };
        let validation = validate(&data, &lax, None);
        assert_eq!(found(&validation).len(), 3);
        assert!(codes(&validation).into_iter().eq(["BOT-2126"]));
        assert!(
            validation.findings[0].help.contains("is at 2 to 5"),
            "{}",
            validation.findings[0].help
        );
    }

    #[test]
    fn intents_are_counted_in_the_accepted_records() {
        let data = dataset(&[
            ("one two", "a"),
            ("three", "a"),
            ("\u{fffd}", "b"),
            ("x", "c"),
            ("b", "oos"),
        ]);
        let expectations = Expectations {
            intents: Some(["a", "b", "c", "d"].map(str::to_owned).to_vec()),
            min_examples_per_intent: 2,
            ..Expectations::default()
        };
        let validation = validate(&data, &expectations, None);
        let messages: Vec<&str> = validation
            .findings
            .iter()
            .filter(|f| f.code == "BOT-2123")
            .map(|f| f.message.split(':').next().unwrap())
            .collect();
        assert_eq!(
            messages,
            [
                "the intent `b` has 0 examples",
                "the intent `c` has 1 example",
                "the intent `d` has 0 examples"
            ]
        );
        assert_eq!(validation.intents["a"], 2);
        assert!(!validation.intents.contains_key("b"));
    }

    #[test]
    fn a_single_intent_and_two_spellings_of_one_are_reported() {
        let one = dataset(&[("a b", "card"), ("c d", "card"), ("e f", "oos")]);
        let validation = validate(&one, &Expectations::default(), None);
        assert!(codes(&validation).contains("BOT-2110"), "{:?}", validation.findings);
        assert_eq!((validation.errors, validation.records_rejected), (1, 0));
        let two = dataset(&[("a b", "card lost"), ("c d", "Card_Lost"), ("e f", "top-up")]);
        let validation = validate(&two, &Expectations::default(), None);
        let finding = validation.findings.iter().find(|f| f.code == "BOT-2127").unwrap();
        assert_eq!(
            finding.message,
            "the intents `Card_Lost` and `card lost` differ only in spelling"
        );
        assert!(!codes(&validation).contains("BOT-2110"));
        // Without an intent column, intents are not checked.
        let mut none = dataset(&[("a b", ""), ("c d", "")]);
        none.columns.remove("intent");
        assert_eq!(found(&validate(&none, &Expectations::default(), None)), []);
    }

    #[test]
    fn the_user_sets_the_severities() {
        let data = dataset(&[("hi you", "a"), ("hi you", "a"), ("", "b"), ("ho", "b")]);
        let mut expectations =
            Expectations { min_examples_per_intent: 1, ..Expectations::default() };
        expectations.severity = [("BOT-2120", "error"), ("BOT-2111", "info")]
            .map(|(c, s)| (c.to_owned(), s.to_owned()))
            .into();
        let validation = validate(&data, &expectations, None);
        assert_eq!(
            found(&validation),
            [
                ("BOT-2120".to_owned(), Some(2), Severity::Error),
                ("BOT-2111".to_owned(), Some(3), Severity::Info)
            ]
        );
        let rejected: Vec<_> = validation.rejected.iter().map(|r| r.record.record).collect();
        assert_eq!(rejected, [2]);
        assert_eq!(validation.rejected[0].reasons.len(), 1);
        expectations.severity.insert("BOT-2120".to_owned(), "off".to_owned());
        assert!(!codes(&validate(&data, &expectations, None)).contains("BOT-2120"));
    }

    #[test]
    fn another_label_for_out_of_scope_becomes_oos() {
        let data = dataset(&[("a b", "x"), ("c d", "y"), ("e f", "out_of_scope")]);
        let expectations = Expectations {
            oos: "out_of_scope".to_owned(),
            intents: Some(vec!["x".to_owned(), "y".to_owned()]),
            min_examples_per_intent: 1,
            ..Expectations::default()
        };
        let validation = validate(&data, &expectations, None);
        assert_eq!(found(&validation), []);
        let accepted = validation.accepted.unwrap();
        assert_eq!(accepted.records[2].intent.as_deref(), Some(botops_labels::OOS));
        assert_ne!(accepted.digest, data.digest);
    }

    #[test]
    fn contradictory_expectations_are_refused_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        for (yaml, code, line, hint) in [
            ("version: 1\ncolums: {}\n", "BOT-1011", 2, "columns"),
            ("version: 1\ncolumns: {txt: a}\n", "BOT-1011", 2, "`text`"),
            ("version: 1\nseverity:\n  BOT-2160: off\n", "BOT-1011", 3, "BOT-21"),
            ("version: 1\nseverity:\n  BOT-2120: eror\n", "BOT-1012", 3, "`error`"),
            ("version: 1\ntext: {min_chars: 9, max_chars: 3}\n", "BOT-1012", 2, "exchange"),
            ("version: 1\noos: ' '\n", "BOT-1012", 2, "oos"),
            ("intents: [a]\n", "BOT-1013", 1, "version"),
            ("version: 3\n", "BOT-1015", 1, "upgrade"),
        ] {
            let fault = Expectations::read(&at(&folder, "e.yaml", yaml)).unwrap_err();
            assert_eq!((fault.code(), fault.place().line), (code, Some(line)), "{yaml}: {fault}");
            assert!(fault.hints().join(" ").contains(hint), "{yaml}: {:?}", fault.hints());
        }
    }

    #[test]
    fn a_list_of_rejected_records_is_safe_in_a_spreadsheet_and_complete() {
        let folder = tempfile::tempdir().unwrap();
        let data =
            dataset(&[("=HYPERLINK(\"x\")", "bad"), ("fine", "a"), ("@\nme", "-b"), ("ok", "a")]);
        let expectations = Expectations {
            intents: Some(vec!["a".to_owned(), "c".to_owned()]),
            severity: [("BOT-2110".to_owned(), "off".to_owned())].into(),
            ..Expectations::default()
        };
        let validation = validate(&data, &expectations, None);
        let path = folder.path().join("q.csv");
        write_rejected(&output(&path), "d.csv", &validation.rejected).unwrap();
        let mut reader = ::csv::Reader::from_path(&path).unwrap();
        let rows: Vec<Vec<String>> =
            reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][..4], ["d.csv", "1", "2", "BOT-2113"]);
        assert_eq!(rows[0][6..8], ["'=HYPERLINK(\"x\")", "bad"]);
        assert_eq!(rows[1][6..8], ["'@\nme", "'-b"]);
        for cell in rows.iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
    }

    proptest! {
        #[test]
        fn records_in_are_accepted_or_rejected_and_never_both(
            rows in proptest::collection::vec(("[aAb \u{fffd}\u{200b}é]{0,4}", "[ab]?", "(en|fr|de)?"), 0..20),
            test in proptest::collection::vec(("[aAb ]{0,3}", "[ab]"), 0..6),
        ) {
            let data = dataset_of(rows.iter().map(|(t, i, l)| (t.as_str(), i.as_str(), l.as_str())));
            let test: Vec<_> = test.iter().map(|(t, i)| (t.as_str(), i.as_str())).collect();
            let validation = validate(&data, &closed(), Some(&dataset(&test)));
            let accepted: BTreeSet<u64> = validation.accepted.as_ref().unwrap().records.iter().map(|r| r.record).collect();
            let rejected: BTreeSet<u64> = validation.rejected.iter().map(|r| r.record.record).collect();
            prop_assert!(accepted.is_disjoint(&rejected));
            prop_assert_eq!(accepted.len() + rejected.len(), rows.len());
            prop_assert_eq!(validation.records_in, rows.len() as u64);
            let errors: BTreeSet<u64> = validation.findings.iter()
                .filter(|f| f.severity == Severity::Error).filter_map(|f| f.place.record).collect();
            prop_assert_eq!(errors, rejected);
            let places: Vec<_> = validation.findings.iter()
                .map(|f| (f.place.record.unwrap_or(u64::MAX), f.code.clone())).collect();
            prop_assert!(places.is_sorted());
        }
    }
}

mod passes;

mod real {
    use super::*;

    /// Returns BANKING77, or `None` with a message; with `BOTOPS_REQUIRE_ALL=1`, it must be there.
    fn banking77() -> Option<(Dataset, Dataset)> {
        let Some(folder) = std::env::var_os("BOTOPS_BANKING77_DIR").map(PathBuf::from) else {
            assert!(
                std::env::var_os("BOTOPS_REQUIRE_ALL").is_none(),
                "BOTOPS_BANKING77_DIR is not set"
            );
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "skipped: BOTOPS_BANKING77_DIR is not set");
            return None;
        };
        let of = |name| read(&folder.join(name), &ReadOptions::default()).unwrap();
        Some((of("train.csv"), of("test.csv")))
    }

    #[test]
    fn banking77_is_read_completely_and_passes_by_default() {
        let Some((train, test)) = banking77() else { return };
        assert_eq!((train.records.len(), test.records.len()), (10_003, 3_080));
        assert_eq!(train.records.iter().filter(|r| r.text.contains('\n')).count(), 10);
        let validation = validate(&train, &Expectations::default(), Some(&test));
        assert_eq!(
            (validation.errors, validation.records_rejected),
            (0, 0),
            "{:?}",
            codes(&validation)
        );
        assert_eq!(validation.intents.len(), 77);
        assert!(
            codes(&validation).is_superset(&["BOT-2121", "BOT-2125"].into()),
            "{:?}",
            codes(&validation)
        );
        let Split { train, test } = split(&train, &SplitSpec::default().check().unwrap()).unwrap();
        assert_eq!(profile_records(&test).text.unwrap().intents.len(), 77);
        assert_eq!(train.records.len() + test.records.len(), 10_003);
    }
}

#[test]
fn errors_may_reject_the_allowed_share_of_the_records_and_no_more() {
    let rows: Vec<(String, &str)> = (0..100)
        .map(|i| (format!("utterance number {i} of many"), if i < 2 { "" } else { "order" }))
        .collect();
    let rows = rows.iter().map(|(text, intent)| (text.as_str(), *intent, ""));
    let data = dataset_of(rows);
    for (share, passes) in [(0.0, false), (0.019, false), (0.02, true), (1.0, true)] {
        let expectations = Expectations {
            max_rejected_share: share,
            severity: [("BOT-2110".to_owned(), "off".to_owned())].into(),
            ..Expectations::default()
        };
        let validation = validate(&data, &expectations, None);
        assert_eq!((validation.errors, validation.records_rejected), (2, 2));
        assert_eq!(validation.passes(), passes, "{share}");
    }
}

#[test]
fn an_error_about_the_file_fails_whatever_share_is_allowed() {
    let data = dataset(&[("where is it", "order"), ("track it", "order"), ("money", "")]);
    let expectations = Expectations { max_rejected_share: 1.0, ..Expectations::default() };
    let validation = validate(&data, &expectations, None);
    let whole = validation.findings.iter().find(|found| found.place.record.is_none());
    assert_eq!(whole.map(|found| found.code.as_str()), Some("BOT-2110"));
    assert!(!validation.passes());
}
