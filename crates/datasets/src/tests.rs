use super::*;
use botops_findings::{Fault, FaultKind, Result};
use proptest::prelude::*;
use std::{fs, path::PathBuf};
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

/// Returns the code, record, line and column of a fault.
fn summary(fault: &Fault) -> (&str, Option<u64>, Option<u64>, Option<u64>) {
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
        digest: botops_digest::Digest::of(b""),
        columns,
        records,
        lookups: Default::default(),
    }
}

mod reading {
    use super::*;

    #[test]
    fn records_and_lines_are_counted_with_every_line_break() {
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
    fn byte_order_marks_delimiters_and_column_names_are_recognized() {
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
    fn a_nul_is_treated_alike_wherever_it_stands() {
        // The kind of a file is known from its first 8 KiB.
        for n_before in [0, 2, 2_000] {
            let good = "{\"text\":\"hello\",\"intent\":\"a\"}\n".repeat(n_before);
            let bytes = format!("{good}{{\"text\":\"hel\0lo\",\"intent\":\"a\"}}\n");
            let fault = read_bytes(bytes.as_bytes(), "a.jsonl", &ReadOptions::default());
            let fault = fault.unwrap_err();
            let place = (fault.code(), fault.place().record);
            assert_eq!(place, ("BOT-2107", Some(n_before as u64 + 1)), "{fault}");
            let good = "hello,a\n".repeat(n_before);
            let data = csv(format!("text,intent\n{good}hel\0lo,a\n")).unwrap();
            assert_eq!(data.records[n_before].text, "hel\0lo");
            let good = "    - hello\n".repeat(n_before);
            let yaml = format!("nlu:\n- intent: a\n  examples: |\n{good}    - hel\0lo\n");
            let fault = read_bytes(yaml.as_bytes(), "a.yml", &ReadOptions::default()).unwrap_err();
            let place = (fault.code(), fault.place().line, fault.place().column);
            assert_eq!(place, ("BOT-2164", Some(n_before as u64 + 4), Some(10)), "{fault}");
        }
        let fault = csv("text\0,intent\na,b\n").unwrap_err();
        assert_eq!((fault.code(), fault.place().line), ("BOT-2103", Some(1)));
    }

    #[test]
    fn a_file_without_data_is_refused_by_kind() {
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
            (b"te\0xt,intent\na,c\n".to_vec(), "BOT-2103", FaultKind::Gate, "binary"),
            (b"text,intent\na\0\xff,c\n".to_vec(), "BOT-2103", FaultKind::Gate, "binary"),
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
        assert_eq!(summary(&fault), ("BOT-2104", Some(2), Some(4), Some(3)));
        assert!(fault.message().contains("0xEF"), "{fault}");
        assert!(fault.hints()[0].contains("WINDOWS-1252"));
        // At the very start of a record, and in the header.
        assert_eq!(
            summary(&csv(b"text,intent\na,b\n\xe9,y\n").unwrap_err()),
            ("BOT-2104", Some(2), Some(3), Some(1))
        );
        assert_eq!(
            summary(&csv(b"te\xe9xt,intent\n").unwrap_err()),
            ("BOT-2104", None, Some(1), Some(3))
        );
        let fault = csv("text,intent\na,bé".as_bytes().split_last().unwrap().1).unwrap_err();
        assert!(fault.message().contains("ends in the middle"), "{fault}");
        let fault = read_as("a.jsonl", b"{\"text\":\"a\"}\n\n{\"text\":\"\xe9\"}\n").unwrap_err();
        assert_eq!(summary(&fault), ("BOT-2104", Some(2), Some(3), Some(10)));
    }

    #[test]
    fn ragged_records_are_all_found_and_the_first_is_placed() {
        let fault = csv("text,intent\na,b\n\"x\ny\",b\nhello, you,b\nc\nd,e\n").unwrap_err();
        assert_eq!(summary(&fault), ("BOT-2105", Some(3), Some(5), None));
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
        assert_eq!(summary(&fault), ("BOT-2106", Some(2), Some(3), Some(3)));
        assert_eq!(fault.kind(), FaultKind::Gate);
        // It swallows the records up to the next quote, and the number of fields is right again.
        let fault = csv("text,intent\n\"a,b\nc,d\n\"e\",f\ng,h\n").unwrap_err();
        assert_eq!(summary(&fault), ("BOT-2106", Some(1), Some(2), Some(1)));
        assert!(fault.message().contains("line 4"), "{fault}");
        // In the header.
        assert_eq!(
            summary(&csv("text,\"intent\na,b\n").unwrap_err()),
            ("BOT-2106", None, Some(1), Some(6))
        );
    }

    #[test]
    fn text_after_a_closing_quote_is_refused_with_its_place() {
        for (text, place, hint) in [
            ("text,intent\na,b\n\"x\" y,a\n", (Some(2), Some(3), Some(3)), "whole field"),
            (
                "text,intent\n\"she said \\\"hi\\\" ok\",a\n",
                (Some(1), Some(2), Some(12)),
                "a backslash does not escape",
            ),
            ("text,\"int\"ent\na,b\n", (None, Some(1), Some(10)), "whole field"),
            ("text\tintent\n\"x\"y\ta\n", (Some(1), Some(2), Some(3)), "whole field"),
        ] {
            let fault = csv(text).unwrap_err();
            let (record, line, column) = place;
            assert_eq!(summary(&fault), ("BOT-2230", record, line, column), "{text}");
            assert!(fault.hints()[0].contains(hint), "{:?}", fault.hints());
        }
        // Quotes that lose nothing.
        let data = csv("text,intent\n\"a\" ,c\nd \"e\",f\n").unwrap();
        assert_eq!((&*data.records[0].text, &*data.records[1].text), ("a ", "d \"e\""));
    }

    #[test]
    fn a_delimiter_is_detected_named_or_refused() {
        let texts = |bytes: &str, delimiter: Option<u8>| {
            let options = ReadOptions { delimiter, ..ReadOptions::default() };
            read_bytes(bytes.as_bytes(), "a.csv", &options).map(|data| {
                let of = |r: Record| (r.text, r.intent.unwrap_or_default(), r.line);
                data.records.into_iter().map(of).collect::<Vec<_>>()
            })
        };
        let one = |text: &str, intent: &str, line| vec![(text.to_owned(), intent.to_owned(), line)];
        let found = texts("text;intent;\"note, free\"\nhi, you;greet;x\n", None).unwrap();
        assert_eq!(found, one("hi, you", "greet", 2));
        let found = texts("sep=;\r\ntext;intent\r\na,b;c\r\n", None).unwrap();
        assert_eq!(found, one("a,b", "c", 3));
        let found = texts("sep=;\ntext|intent\na;b|c\n", Some(b'|')).unwrap();
        assert_eq!(found, one("a;b", "c", 3));
        // Every record has one comma and one semicolon.
        let text = "text, as typed;intent\nhello, there;greet\n";
        let fault = texts(text, None).unwrap_err();
        assert_eq!(summary(&fault), ("BOT-2231", None, Some(1), None));
        assert_eq!(fault.hints()[0], "name it: `--delimiter ','` or `--delimiter ';'`");
        let fault = texts(text, Some(b';')).unwrap_err();
        assert_eq!(fault.code(), "BOT-2101");
        assert!(fault.hints()[0].contains("--text-column 'text, as typed'"), "{:?}", fault.hints());
        // A record without the comma decides.
        let fault = texts("text, as typed;intent\na, b;c\nd;e\n", None).unwrap_err();
        assert_eq!(fault.code(), "BOT-2101", "{fault}");
        let fault = texts("text^intent\na^b\n", None).unwrap_err();
        assert!(fault.hints().iter().any(|hint| hint.contains("--delimiter '^'")), "{fault:?}");
        let fault = texts("text,intent,x;y\na,b\n", None).unwrap_err();
        assert!(fault.hints()[0].contains("--delimiter ';'"), "{:?}", fault.hints());
    }

    #[test]
    fn a_nul_is_treated_the_same_wherever_it_stands() {
        let plain = "hello there,greet\n".repeat(2_000);
        for text in
            [format!("text,intent\na\0b,x\n{plain}"), format!("text,intent\n{plain}a\0b,x\n")]
        {
            let data = csv(&text).unwrap();
            assert_eq!(data.records.iter().filter(|r| r.text == "a\0b").count(), 1);
        }
        // Texts that are UTF-16 read as Latin-1, as an import from JSON writes them.
        let mixed: Vec<Record> = (0..400)
            .map(|i| Record {
                text: "h\0e\0l\0l\0o\0 \0".repeat(1 + i % 3),
                intent: Some("a".to_owned()),
                lang: None,
                entities: Vec::new(),
                record: i as u64 + 1,
                line: 1,
                file: None,
            })
            .collect();
        for format in [Format::Csv, Format::Tsv, Format::Jsonl, Format::Json] {
            let mut bytes = Vec::new();
            let mut writer = RecordWriter::begin(format, Packing::Plain, &mut bytes).unwrap();
            writer.add(&mixed, |_| Default::default()).unwrap();
            writer.finish().unwrap();
            let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
            let back = read_bytes(&bytes, "x", &options).unwrap();
            assert!(back.records.iter().zip(&mixed).all(|(a, b)| a.text == b.text), "{format:?}");
        }
    }

    #[test]
    fn windows_1252_is_read_as_it_was_meant() {
        let options = |format| ReadOptions {
            encoding: Encoding::Windows1252,
            format,
            ..ReadOptions::default()
        };
        let csv = b"text;intent\r\nun caf\xe9 \x80 5 \x96 d\xe9j\xe0;a\r\n";
        let data = read_bytes(csv, "a.csv", &options(None)).unwrap();
        assert_eq!(data.records[0].text, "un café € 5 – déjà");
        let json = b"{\"text\":\"\xe9t\xe9\",\"intent\":\"a\"}\n";
        assert_eq!(read_bytes(json, "a.jsonl", &options(None)).unwrap().records[0].text, "été");
        let rasa = b"nlu:\n- intent: a\n  examples: |\n    - \xe9t\xe9\n";
        assert_eq!(read_bytes(rasa, "a.yml", &options(None)).unwrap().records[0].text, "été");
        // More than one buffer, whose characters grow to two bytes.
        let long = [b"text,intent\n".to_vec(), vec![0xe9; 100_000], b",a\n".to_vec()].concat();
        let data = read_bytes(&long, "a.csv", &options(None)).unwrap();
        assert_eq!(data.records[0].text, "é".repeat(100_000));
        assert_eq!(data.digest, botops_digest::Digest::of(&long));
        let fault = read_bytes(b"\xef\xbb\xbftext,intent\na,b\n", "a.csv", &options(None));
        assert_eq!(fault.unwrap_err().code(), "BOT-1040");
        let fault = read_bytes(csv, "a.csv", &ReadOptions::default()).unwrap_err();
        assert!(fault.hints()[0].contains("--encoding windows-1252"), "{:?}", fault.hints());
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
            assert_eq!(summary(&fault), expected, "{text}: {fault}");
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
        assert_eq!(summary(&fault), ("BOT-2128", Some(2), Some(3), None));
    }

    #[test]
    fn three_records_and_a_huge_one_are_read() {
        let huge = "a ".repeat(5 << 20);
        let data = csv(format!("text,intent\nhi,a\n{huge},b\nho,a\n")).unwrap();
        assert_eq!(data.records.len(), 3);
        assert_eq!(data.records[1].text.len(), 10 << 20);
    }

    #[test]
    fn parquet_and_csv_are_read_back() {
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
        let mut random = botops_stats::random::Random::new(3);
        for _ in 0..300 {
            let mut bytes = whole.clone();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            // The damage is harmless or a fault, never a panic.
            let _ = read_as("a.parquet", bytes);
        }
    }

    proptest! {
        #[test]
        fn any_texts_are_read_back_from_csv(
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

mod traffic {
    use super::*;

    fn of(text: &str) -> Result<Traffic, Fault> {
        let folder = tempfile::tempdir().unwrap();
        read_traffic(&at(&folder, "t.jsonl", text))
    }

    #[test]
    fn messages_are_sorted_by_time_and_then_by_position() {
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
    fn malformed_traffic_is_reported_with_its_line() {
        for (text, code, line, message, hint) in [
            (
                "{\"at\":\"yesterday\",\"conversation_id\":\"c\",\"text\":\"x\"}\n",
                "BOT-2133",
                1,
                "`yesterday`",
                "2026",
            ),
            (
                "\n{\"at\":\"2026-10-26T00:30:00Z\",\"conversationid\":\"c\",\"text\":\"x\"}\n",
                "BOT-2133",
                2,
                "`conversation_id` is missing",
                "rename `conversationid`",
            ),
            (
                "{\"at\":\"2026-10-26T00:30:00Z\",\"conversation_id\":7,\"text\":\"x\"}\n",
                "BOT-2133",
                1,
                "is not a string",
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
