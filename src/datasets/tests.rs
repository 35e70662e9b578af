use super::*;
use crate::findings::{Fault, FaultKind, Severity};
use proptest::prelude::*;
use std::{collections::BTreeSet, fs, path::PathBuf};
use tempfile::TempDir;

fn at(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn read_as(name: &str, bytes: impl AsRef<[u8]>) -> Result<Dataset, Fault> {
    let folder = tempfile::tempdir().unwrap();
    read(&at(&folder, name, bytes), &ReadOptions::default())
}

fn csv(bytes: impl AsRef<[u8]>) -> Result<Dataset, Fault> {
    read_as("a.csv", bytes)
}

/// Code, record, line and column of a fault.
fn told(fault: &Fault) -> (&str, Option<u64>, Option<u64>, Option<u64>) {
    let place = fault.place();
    (fault.code(), place.record, place.line, place.column)
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
        digest: crate::digest::Digest::of(b""),
        columns,
        records,
    }
}

/// Code, record and severity of every finding.
fn found(validation: &Validation) -> Vec<(String, Option<u64>, Severity)> {
    validation.findings.iter().map(|f| (f.code.clone(), f.place.record, f.severity)).collect()
}

fn codes(validation: &Validation) -> BTreeSet<&str> {
    validation.findings.iter().map(|f| f.code.as_str()).collect()
}

mod reading {
    use super::*;

    #[test]
    fn record_and_line_are_told_apart_whatever_ends_a_line() {
        for newline in ["\n", "\r\n", "\r"] {
            let text = [
                "text,category",
                "one,a",
                "\"two",
                "lines, and a comma\",b",
                "",
                "",
                "three,a",
                "\"four \"\"quoted\"\"\",b",
                "",
            ]
            .join(newline);
            let data = csv(&text).unwrap();
            let places: Vec<_> = data.records.iter().map(|r| (r.record, r.line)).collect();
            assert_eq!(places, [(1, 2), (2, 3), (3, 7), (4, 8)], "{newline:?}");
            assert_eq!(data.records[1].text, format!("two{newline}lines, and a comma"));
            assert_eq!(data.records[3].text, "four \"quoted\"");
            assert_eq!(data.records[3].intent.as_deref(), Some("b"));
            assert_eq!(data.columns["intent"], "category");
        }
    }

    #[test]
    fn a_mark_semicolons_tabs_and_odd_names_are_understood() {
        let plain = csv("text,intent\nhé,a\nho,b\n").unwrap();
        for (name, bytes) in [
            ("a.csv", "\u{feff}text,intent\nhé,a\nho,b\n"),
            ("a.csv", "text;intent\nhé;a\nho;b\n"),
            ("a.csv", "text\tintent\nhé\ta\nho\tb"),
            ("a.tsv", "Text \tINTENT\nhé\ta\nho\tb\n"),
            ("a.txt", "Utterance,Label\nhé, a\nho,b \n"),
            ("noextension", "label,,message,\na,,hé,x\nb,,ho,\n"),
            ("a.jsonl", "{\"text\":\"hé\",\"label\":\"a\"}\n{\"label\":\"b\",\"text\":\"ho\"}\n"),
            ("b", "  {\"text\":\"hé\",\"label\":\"a\"}\n{\"label\":\"b\",\"text\":\"ho\"}"),
        ] {
            let data = read_as(name, bytes).unwrap_or_else(|fault| panic!("{bytes:?}: {fault}"));
            let pairs = |data: &Dataset| -> Vec<_> {
                data.records.iter().map(|r| (r.text.clone(), r.intent.clone())).collect()
            };
            assert_eq!(pairs(&data), pairs(&plain), "{bytes:?}");
        }
    }

    #[test]
    fn a_column_that_is_named_is_taken_and_one_that_is_not_there_suggests_the_nearest() {
        let folder = tempfile::tempdir().unwrap();
        let path = at(&folder, "a.csv", "phrase,klass,text\nhi,a,no\nho,b,no\n");
        let options = |text: &str, intent: &str| ReadOptions {
            text_column: Some(text.to_owned()),
            intent_column: Some(intent.to_owned()),
            ..ReadOptions::default()
        };
        let data = read(&path, &options("phrase", "Klass")).unwrap();
        assert_eq!(
            (data.records[0].text.as_str(), data.records[0].intent.as_deref()),
            ("hi", Some("a"))
        );
        let fault = read(&path, &options("phrases", "klass")).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-2101", FaultKind::Usage));
        assert!(fault.message().contains("`phrase`, `klass`, `text`"), "{fault}");
        assert_eq!(fault.hints(), ["did you mean `--text-column phrase`?"]);
        let fault = read(&path, &options("phrase", "phrase")).unwrap_err();
        assert!(fault.message().contains("two roles"), "{fault}");
        let fault = read(&path, &ReadOptions::default()).unwrap_err();
        assert!(fault.message().starts_with("there is no intent column"), "{fault}");
        let free = ReadOptions { intent: Presence::Optional, ..ReadOptions::default() };
        let data = read(&path, &free).unwrap();
        assert_eq!((data.records[0].text.as_str(), &data.records[0].intent), ("no", &None));
        let fault = csv("foo,txt\na,b\n").unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-2101", FaultKind::Usage));
        assert!(fault.message().contains("`foo`, `txt`"), "{fault}");
        assert!(fault.hints()[0].contains("--text-column txt"), "{:?}", fault.hints());
    }

    #[test]
    fn a_file_that_is_no_data_says_what_it_is() {
        let utf16 = |bom: &[u8], le: bool| -> Vec<u8> {
            let units = "text,intent\nhello,a\n".encode_utf16();
            let units = units.flat_map(|u| if le { u.to_le_bytes() } else { u.to_be_bytes() });
            bom.iter().copied().chain(units).collect()
        };
        for (bytes, code, kind, message) in [
            (b"".to_vec(), "BOT-2102", FaultKind::Gate, "empty"),
            (b"\xef\xbb\xbf \n\n".to_vec(), "BOT-2102", FaultKind::Gate, "empty"),
            (b"text,intent\n".to_vec(), "BOT-2102", FaultKind::Gate, "no record"),
            (b"text,intent\n\n\n".to_vec(), "BOT-2102", FaultKind::Gate, "no record"),
            (b"text,intent\na\0b,c\n".to_vec(), "BOT-2103", FaultKind::Gate, "binary"),
            (b"PK\x03\x04xx".to_vec(), "BOT-2103", FaultKind::Gate, "spreadsheet"),
            (b"\x1f\x8b\x08\0".to_vec(), "BOT-2161", FaultKind::Gate, "gzip"),
            (b"PAR1\x15\x04".to_vec(), "BOT-2103", FaultKind::Gate, "Parquet"),
            (utf16(&[0xff, 0xfe], true), "BOT-2104", FaultKind::Gate, "UTF-16 (little endian)"),
            (utf16(&[0xfe, 0xff], false), "BOT-2104", FaultKind::Gate, "UTF-16 (big endian)"),
            (utf16(&[], true), "BOT-2104", FaultKind::Gate, "UTF-16 (little endian"),
            (utf16(&[], false), "BOT-2104", FaultKind::Gate, "UTF-16 (big endian"),
            (b"text,intent,text\na,b,c\n".to_vec(), "BOT-2109", FaultKind::Gate, "`text`"),
        ] {
            let fault = csv(&bytes).unwrap_err();
            assert_eq!((fault.code(), fault.kind()), (code, kind), "{fault}");
            assert!(fault.message().contains(message), "{fault}");
            assert!(!fault.hints().is_empty(), "{fault}");
        }
        let folder = tempfile::tempdir().unwrap();
        at(&folder, "train.csv", "x");
        for (path, message) in [
            (folder.path().to_path_buf(), "directory"),
            (folder.path().join("trian.csv"), "not exist"),
        ] {
            let fault = read(&path, &ReadOptions::default()).unwrap_err();
            assert_eq!((fault.code(), fault.kind()), ("BOT-1001", FaultKind::Usage));
            assert!(fault.message().contains(message), "{fault}");
            assert!(fault.hints()[0].contains("train.csv"), "{:?}", fault.hints());
        }
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_named_by_record_line_and_column() {
        let fault = csv(b"text,intent\n\"a\nb\",x\nna\xefve,y\n").unwrap_err();
        assert_eq!(told(&fault), ("BOT-2104", Some(2), Some(4), Some(3)));
        assert!(fault.message().contains("0xEF"), "{fault}");
        assert!(fault.hints()[0].contains("WINDOWS-1252"));
        // At the very start of a record, and in the header.
        assert_eq!(
            told(&csv(b"text,intent\na,b\n\xe9,y\n").unwrap_err()),
            ("BOT-2104", Some(2), Some(3), Some(1))
        );
        assert_eq!(
            told(&csv(b"te\xe9xt,intent\n").unwrap_err()),
            ("BOT-2104", None, Some(1), Some(3))
        );
        let fault = csv("text,intent\na,bé".as_bytes().split_last().unwrap().1).unwrap_err();
        assert!(fault.message().contains("ends in the middle"), "{fault}");
        let fault = read_as("a.jsonl", b"{\"text\":\"a\"}\n\n{\"text\":\"\xe9\"}\n").unwrap_err();
        assert_eq!(told(&fault), ("BOT-2104", Some(2), Some(3), Some(10)));
    }

    #[test]
    fn ragged_records_are_all_found_and_the_first_is_placed() {
        let fault = csv("text,intent\na,b\n\"x\ny\",b\nhello, you,b\nc\nd,e\n").unwrap_err();
        assert_eq!(told(&fault), ("BOT-2105", Some(3), Some(5), None));
        assert_eq!(fault.kind(), FaultKind::Gate);
        assert_eq!(
            fault.message(),
            "a record has 3 fields instead of 2, as the header has, and 1 more such record"
        );
        let records: Vec<_> = fault.findings().iter().map(|f| f.place.record).collect();
        assert_eq!(records, [Some(3), Some(4)]);
    }

    #[test]
    fn a_quote_never_closed_is_placed_where_it_opens() {
        let fault = csv("text,intent\na,b\nc,\"d\ne,f\ng,h\n").unwrap_err();
        assert_eq!(told(&fault), ("BOT-2106", Some(2), Some(3), Some(3)));
        assert_eq!(fault.kind(), FaultKind::Gate);
        // It would swallow the records up to the next quote, and the number of fields is right again.
        let fault = csv("text,intent\n\"a,b\nc,d\n\"e\",f\ng,h\n").unwrap_err();
        assert_eq!(told(&fault), ("BOT-2106", Some(1), Some(2), Some(1)));
        assert!(fault.message().contains("line 4"), "{fault}");
        // In the header.
        assert_eq!(
            told(&csv("text,\"intent\na,b\n").unwrap_err()),
            ("BOT-2106", None, Some(1), Some(6))
        );
        // What some programs write, and every reader takes, is taken.
        assert_eq!(csv("text,intent\n\"a\" b,c\nd \"e\",f\n").unwrap().records[0].text, "a b");
    }

    #[test]
    fn jsonl_says_which_line_is_wrong_and_how() {
        for (text, expected, message) in [
            (
                "{\"text\":\"a\",\"intent\":\"b\"}\n\nnot json\n",
                ("BOT-2107", Some(2), Some(3), Some(2)),
                "not JSON",
            ),
            (
                "{\"text\":\"a\",\"intent\":\"b\"}\n{\"text\":\"a\n",
                ("BOT-2107", Some(2), Some(2), Some(10)),
                "ends in the middle",
            ),
            ("[1]\n", ("BOT-2107", Some(1), Some(1), None), "a list"),
            (
                "{\"text\":[\"a\"],\"intent\":\"b\"}\n",
                ("BOT-2107", Some(1), Some(1), None),
                "`text` is a list",
            ),
            (
                "[\n {\"text\": \"a\"}\n]\n",
                ("BOT-2107", Some(1), Some(1), Some(1)),
                "one JSON document",
            ),
        ] {
            let fault = read_as("a.jsonl", text).unwrap_err();
            assert_eq!(told(&fault), expected, "{text}: {fault}");
            assert!(fault.message().contains(message), "{fault}");
            assert!(!fault.message().contains("at line"), "{fault}");
        }
        let data =
            read_as("a.jsonl", "{\"text\":\"a\",\"intent\":11}\n{\"intent\":null}\n").unwrap();
        assert_eq!(data.records[0].intent.as_deref(), Some("11"));
        assert_eq!((data.records[1].text.as_str(), &data.records[1].intent), ("", &None));
    }

    #[test]
    fn entities_are_read_from_a_cell_and_a_malformed_one_is_placed() {
        let text = "text,intent,lang,entities\nle 9,a,fr,\"[{\"\"entity\"\":\"\"date\"\",\"\"value\"\":\"\"9\"\",\"\"start\"\":3,\"\"end\"\":4}]\"\nx,b,,\n";
        let data = csv(text).unwrap();
        assert_eq!(data.records[0].entities, [EntitySpan::new("date", "9", 3, 4)]);
        assert_eq!(
            (data.records[0].lang.as_deref(), data.records[1].lang.as_deref()),
            (Some("fr"), None)
        );
        let fault = csv("text,intent,entities\na,b,\nc,d,date\n").unwrap_err();
        assert_eq!(told(&fault), ("BOT-2128", Some(2), Some(3), None));
    }

    #[test]
    fn three_records_and_a_huge_one_are_read() {
        let huge = "a ".repeat(5 << 20);
        let data = csv(format!("text,intent\nhi,a\n{huge},b\nho,a\n")).unwrap();
        assert_eq!(data.records.len(), 3);
        assert_eq!(data.records[1].text.len(), 10 << 20);
        let validation = validate(&data, &Expectations::default(), None);
        let first = &validation.findings[0];
        assert_eq!((first.code.as_str(), first.place.record), ("BOT-2116", Some(2)));
        assert!(first.message.len() < 300, "{}", first.message);
        assert_eq!((validation.records_accepted, validation.records_rejected), (2, 1));
    }

    #[test]
    fn what_is_written_as_parquet_or_csv_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut data = dataset_of([
            ("héllo, \"you\"\nthere", "a", "fr"),
            ("=1+1", "b", ""),
            (" spaces ", "", "en"),
            ("", "a", "en"),
        ]);
        data.records[0].entities = vec![EntitySpan::new("x", "é", 1, 2)];
        let (csv, parquet) = (folder.path().join("a.csv"), folder.path().join("a.parquet"));
        write_csv(&csv, &data).unwrap();
        write_parquet(&parquet, &data).unwrap();
        for path in [&csv, &parquet] {
            let back = read(path, &ReadOptions::default()).unwrap();
            let of = |data: &Dataset| -> Vec<_> {
                data.records
                    .iter()
                    .map(|r| {
                        (
                            r.text.clone(),
                            r.intent.clone(),
                            r.lang.clone(),
                            r.entities.clone(),
                            r.record,
                        )
                    })
                    .collect()
            };
            assert_eq!(of(&back), of(&data), "{path:?}");
        }
        let bytes = fs::read(&parquet).unwrap();
        write_parquet(&parquet, &data).unwrap();
        assert_eq!(fs::read(&parquet).unwrap(), bytes, "the same data, the same bytes");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left aside");
    }

    #[test]
    fn a_damaged_parquet_file_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write_parquet(&path, &dataset(&[("one", "a"), ("two", "b"), ("three", "a")])).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in [0, 3, 4, 20, whole.len() - 1] {
            let fault = read_as("a.parquet", &whole[..cut]).unwrap_err();
            assert!(["BOT-2108", "BOT-2102"].contains(&fault.code()), "{cut}: {fault}");
            assert_eq!(fault.kind(), FaultKind::Gate);
        }
        assert_eq!(read_as("a.parquet", "text,intent\na,b\n").unwrap_err().code(), "BOT-2108");
        let mut random = crate::stats::random::Random::new(3);
        for _ in 0..300 {
            let mut bytes = whole.clone();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            // Either it does not matter or it is said; never a panic.
            let _ = read_as("a.parquet", bytes);
        }
    }

    proptest! {
        #![proptest_config(crate::properties())]

        #[test]
        fn what_is_written_as_csv_reads_back_whatever_the_texts(
            texts in proptest::collection::vec("[a\"\r\n,;\t é'=]{1,12}", 1..12)
        ) {
            let rows: Vec<_> = texts.iter().map(|text| (text.as_str(), "a")).collect();
            let data = dataset(&rows);
            let back = csv(csv_bytes(&data)).unwrap();
            let back: Vec<_> = back.records.iter().map(|r| r.text.as_str()).collect();
            prop_assert_eq!(back, texts.iter().map(String::as_str).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_give_records_or_a_fault(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'{'), Just(b'a'), any::<u8>()
            ], 0..60),
            header in any::<bool>(), name in 0..3_usize,
        ) {
            let head: &[u8] = if header { b"text,intent\n" } else { b"" };
            let bytes = [head, &bytes].concat();
            if let Ok(data) = read_as(["a.csv", "a.jsonl", "a"][name], &bytes) {
                let lines = bytes.iter().filter(|&&b| b == b'\n' || b == b'\r').count() as u64 + 1;
                prop_assert!(data.records.iter().all(|r| r.line <= lines));
                prop_assert!(data.records.windows(2).all(|w| w[0].line < w[1].line));
            }
        }
    }
}

mod validating {
    use super::*;

    fn closed() -> Expectations {
        crate::spec::parse(
            "version: 1\nintents: [a, b]\nlanguages: [en, fr]\ntext: {min_chars: 2, max_chars: 10}\nmin_examples_per_intent: 2\n",
            "expectations.yaml",
        )
        .unwrap()
    }

    #[test]
    fn every_check_finds_what_it_is_for_and_nothing_else() {
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
    fn a_text_under_two_intents_is_found_in_every_record_that_has_it() {
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
    fn leaks_are_found_in_the_training_data_and_name_the_test_record() {
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
    fn a_span_has_to_be_where_it_says_in_characters() {
        let mut data = dataset(&[("é #12 ok", "a"), ("none", "b")]);
        let span = |value: &str, start, end| EntitySpan::new("n", value, start, end);
        data.records[0].entities =
            vec![span("#12", 2, 5), span("#12", 3, 6), span("ok", 6, 80), span("", 3, 3)];
        let lax = Expectations { min_examples_per_intent: 1, ..Expectations::default() };
        let validation = validate(&data, &lax, None);
        assert_eq!(found(&validation).len(), 3);
        assert!(codes(&validation).into_iter().eq(["BOT-2126"]));
        assert!(
            validation.findings[0].help.contains("stands at 2 to 5"),
            "{}",
            validation.findings[0].help
        );
    }

    #[test]
    fn intents_are_counted_among_what_is_accepted() {
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
            .map(|f| f.message.split(',').next().unwrap())
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
    fn one_intent_and_spellings_of_one_are_found() {
        let one = dataset(&[("a b", "card"), ("c d", "card"), ("e f", "oos")]);
        let validation = validate(&one, &Expectations::default(), None);
        assert!(codes(&validation).contains("BOT-2110"), "{:?}", validation.findings);
        assert_eq!((validation.errors, validation.records_rejected), (1, 0));
        let two = dataset(&[("a b", "card lost"), ("c d", "Card_Lost"), ("e f", "top-up")]);
        let validation = validate(&two, &Expectations::default(), None);
        let finding = validation.findings.iter().find(|f| f.code == "BOT-2127").unwrap();
        assert_eq!(
            finding.message,
            "the intents `Card_Lost` and `card lost` differ only in how they are written"
        );
        assert!(!codes(&validation).contains("BOT-2110"));
        // Without an intent column there is nothing to say about intents.
        let mut none = dataset(&[("a b", ""), ("c d", "")]);
        none.columns.remove("intent");
        assert_eq!(found(&validate(&none, &Expectations::default(), None)), []);
    }

    #[test]
    fn severities_are_the_users_to_set() {
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
    fn another_label_for_out_of_scope_becomes_the_one_of_models() {
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
        assert_eq!(accepted.records[2].intent.as_deref(), Some(crate::labels::OOS));
        assert_ne!(accepted.digest, data.digest);
    }

    #[test]
    fn expectations_that_make_no_sense_are_refused_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        for (yaml, code, line, hint) in [
            ("version: 1\ncolums: {}\n", "BOT-1011", 2, "columns"),
            ("version: 1\ncolumns: {txt: a}\n", "BOT-1011", 2, "`text`"),
            ("version: 1\nseverity:\n  BOT-2160: off\n", "BOT-1011", 3, "BOT-21"),
            ("version: 1\nseverity:\n  BOT-2120: eror\n", "BOT-1012", 3, "`error`"),
            ("version: 1\ntext: {min_chars: 9, max_chars: 3}\n", "BOT-1012", 2, "exchange"),
            ("version: 1\noos: ' '\n", "BOT-1012", 2, "oos"),
            ("intents: [a]\n", "BOT-1013", 1, "version"),
            ("version: 3\n", "BOT-1015", 1, "newer"),
        ] {
            let fault = Expectations::read(&at(&folder, "e.yaml", yaml)).unwrap_err();
            assert_eq!((fault.code(), fault.place().line), (code, Some(line)), "{yaml}: {fault}");
            assert!(fault.hints().join(" ").contains(hint), "{yaml}: {:?}", fault.hints());
        }
    }

    #[test]
    fn the_quarantine_is_safe_in_a_spreadsheet_and_loses_nothing() {
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
        write_quarantine(&path, "d.csv", &validation.rejected).unwrap();
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
        #![proptest_config(crate::properties())]

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

mod splitting {
    use super::*;

    fn many(n: usize) -> Dataset {
        let rows: Vec<(String, String, String)> = (0..n)
            .map(|i| {
                let intent = ["a", "a", "a", "b", "oos"][i % 5];
                (format!("text {i}"), intent.to_owned(), ["en", "fr", "fr"][i % 3].to_owned())
            })
            .collect();
        dataset_of(rows.iter().map(|(t, i, l)| (t.as_str(), i.as_str(), l.as_str())))
    }

    fn numbers(data: &Dataset) -> Vec<u64> {
        data.records.iter().map(|r| r.record).collect()
    }

    #[test]
    fn each_intent_and_language_gives_its_share_and_the_order_is_kept() {
        let data = many(300);
        let Split { train, test } = split(&data, &SplitSpec { test_share: 0.2, seed: 1 }).unwrap();
        assert_eq!((train.records.len(), test.records.len()), (240, 60));
        let intents = profile_records(&test).text.unwrap().intents;
        let sizes: Vec<_> = intents.iter().map(|(k, i)| (k.as_str(), i.records)).collect();
        assert_eq!(sizes, [("a", 36), ("b", 12), ("oos", 12)]);
        let languages = &intents["a"].languages;
        assert_eq!((languages["en"], languages["fr"]), (12, 24));
        assert!(numbers(&train).is_sorted() && numbers(&test).is_sorted());
        let mut all = [numbers(&train), numbers(&test)].concat();
        all.sort_unstable();
        assert_eq!(all, numbers(&data));
        assert_eq!(train.digest, crate::digest::Digest::of(&csv_bytes(&train)));
        assert_ne!(train.digest, test.digest);
    }

    #[test]
    fn a_seed_decides_and_the_order_of_the_file_does_not() {
        let data = many(300);
        let of = |data: &Dataset, seed| {
            let Split { test, .. } = split(data, &SplitSpec { test_share: 0.3, seed }).unwrap();
            test.records.into_iter().map(|r| r.text).collect::<BTreeSet<_>>()
        };
        assert_eq!(of(&data, 7), of(&data, 7));
        assert_ne!(of(&data, 7), of(&data, 8));
        let mut turned = data.clone();
        turned.records.reverse();
        assert_eq!(of(&data, 7), of(&turned, 7));
    }

    #[test]
    fn texts_that_fold_alike_stay_together() {
        let mut data = many(200);
        let copies: Vec<Record> = data
            .records
            .iter()
            .map(|r| Record {
                text: r.text.to_uppercase() + " ",
                record: r.record + 1_000,
                ..r.clone()
            })
            .collect();
        data.records.extend(copies);
        let Split { train, test } = split(&data, &SplitSpec::default()).unwrap();
        assert_eq!(test.records.len(), 80);
        let fold = |data: &Dataset| -> BTreeSet<String> {
            data.records.iter().map(|r| crate::text::fold(&r.text)).collect()
        };
        assert!(fold(&train).is_disjoint(&fold(&test)));
    }

    #[test]
    fn one_more_record_hardly_moves_the_others() {
        let data = many(299);
        let of = |data: &Dataset| -> BTreeSet<String> {
            split(data, &SplitSpec::default())
                .unwrap()
                .test
                .records
                .into_iter()
                .map(|r| r.text)
                .collect()
        };
        let before = of(&data);
        for n in 300..330 {
            let after = of(&many(n));
            let moved = before.difference(&after).count();
            assert!(
                moved <= 2 * (n - 299),
                "{moved} of {} moved after {} more",
                before.len(),
                n - 299
            );
        }
    }

    #[test]
    fn what_cannot_be_split_is_said() {
        let data = dataset(&[("one", "a"), ("two", "a"), ("three", "b"), ("THREE", "b")]);
        let fault = split(&data, &SplitSpec::default()).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-2131", FaultKind::Insufficient));
        assert!(fault.message().contains("2 records with the same text"), "{fault}");
        for test_share in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            let fault = split(&data, &SplitSpec { test_share, seed: 1 }).unwrap_err();
            assert_eq!((fault.code(), fault.kind()), ("BOT-2130", FaultKind::Usage));
        }
        let lone = dataset(&[("one", "a"), ("two", "a"), ("three", "oos"), ("x", "b"), ("y", "b")]);
        let Split { train, test } = split(&lone, &SplitSpec::default()).unwrap();
        assert_eq!((train.records.len(), test.records.len()), (3, 2));
    }

    proptest! {
        #![proptest_config(crate::properties())]

        #[test]
        fn every_intent_is_on_both_sides_in_its_share(
            sizes in proptest::collection::vec(2..40_usize, 1..6), share in 0.05..0.95_f64, seed in 0..99_u64
        ) {
            let rows: Vec<(String, String, &str)> = sizes.iter().enumerate()
                .flat_map(|(i, &n)| (0..n).map(move |k| (format!("{i} {k}"), format!("i{i}"), ["en", "fr"][k % 2])))
                .collect();
            let data = dataset_of(rows.iter().map(|(t, i, l)| (t.as_str(), i.as_str(), *l)));
            let Split { train, test } = split(&data, &SplitSpec { test_share: share, seed }).unwrap();
            prop_assert_eq!(train.records.len() + test.records.len(), data.records.len());
            let [train, test] = [&train, &test].map(|side| profile_records(side).text.unwrap());
            for (i, &n) in sizes.iter().enumerate() {
                let intent = format!("i{i}");
                prop_assert!(train.intents[&intent].records >= 1);
                let wanted = (n as f64 * share).clamp(1.0, n as f64 - 1.0);
                prop_assert!((test.intents[&intent].records as f64 - wanted).abs() <= 0.5 + 1e-9);
            }
        }
    }
}

mod traffic {
    use super::*;

    fn of(text: &str) -> Result<Traffic, Fault> {
        let folder = tempfile::tempdir().unwrap();
        read_traffic(&at(&folder, "t.jsonl", text))
    }

    #[test]
    fn messages_are_in_the_order_of_time_and_then_of_the_file() {
        let traffic = of(concat!(
            "{\"at\":\"2026-10-26T02:00:00+01:00\",\"conversation_id\":\"c1\",\"text\":\"late\",\"truth\":\"a\"}\n",
            "{\"at\":\"2026-10-26T00:30:00Z\",\"conversation_id\":\"c2\",\"text\":\"early\",\"truth\":null,\"week\":1}\n",
            "\n",
            "{\"at\":\"2026-10-26T01:00:00Z\",\"conversation_id\":\"c3\",\"text\":\"same time\"}\n",
        ))
        .unwrap();
        let texts: Vec<_> =
            traffic.records.iter().map(|r| (r.text.as_str(), r.truth.as_deref())).collect();
        assert_eq!(texts, [("early", None), ("late", Some("a")), ("same time", None)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, code, line, message, hint) in [
            (
                "{\"at\":\"yesterday\",\"conversation_id\":\"c\",\"text\":\"x\"}\n",
                "BOT-2133",
                1,
                "`yesterday`",
                "2026",
            ),
            (
                "\n{\"at\":\"2026-10-26T00:30:00Z\",\"conversation\":\"c\",\"text\":\"x\"}\n",
                "BOT-2133",
                2,
                "`conversation_id` is missing",
                "rename `conversation`",
            ),
            (
                "{\"at\":\"2026-10-26T00:30:00Z\",\"conversation_id\":7,\"text\":\"x\"}\n",
                "BOT-2133",
                1,
                "is no text",
                "write",
            ),
            ("at,text\n", "BOT-2107", 1, "not JSON", ""),
        ] {
            let fault = of(text).unwrap_err();
            assert_eq!((fault.code(), fault.place().line), (code, Some(line)), "{fault}");
            assert_eq!(fault.kind(), FaultKind::Gate);
            assert!(fault.message().contains(message), "{fault}");
            assert!(fault.hints().join(" ").contains(hint), "{:?}", fault.hints());
        }
        assert_eq!(of("\n").unwrap_err().code(), "BOT-2102");
    }
}

mod real {
    use super::*;

    /// BANKING77, or `None` said aloud; under `BOTOPS_REQUIRE_ALL=1` it has to be there.
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
    fn banking77_is_read_whole_and_passes_by_default() {
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
        let Split { train, test } = split(&train, &SplitSpec::default()).unwrap();
        assert_eq!(profile_records(&test).text.unwrap().intents.len(), 77);
        assert_eq!(train.records.len() + test.records.len(), 10_003);
    }
}
