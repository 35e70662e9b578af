//! Parquet files with sizes that are wrong, or far larger than the file.

use super::*;
use crate::{
    Dataset, Limits, Presence, ReadOptions, Record, read_bytes,
    table::{Origin, Table},
};
use std::fs;

fn options(limits: Limits) -> ReadOptions {
    ReadOptions { intent: Presence::Optional, limits, ..ReadOptions::default() }
}

/// Allows 1 MiB at any ratio, and more up to 200 times the size of the file.
fn tight() -> Limits {
    Limits { max_unpacked_bytes: 1 << 30, max_ratio: 200, ratio_from_bytes: 1 << 20 }
}

/// Returns a Parquet file of `texts`.
fn file_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let records: Vec<Record> = texts
        .into_iter()
        .enumerate()
        .map(|(i, text)| Record {
            text: text.to_owned(),
            intent: Some("a".to_owned()),
            lang: None,
            entities: Vec::new(),
            record: i as u64 + 1,
            line: i as u64 + 1,
            file: None,
        })
        .collect();
    let (name, digest) = ("a.parquet".to_owned(), botops_digest::Digest::of(b""));
    let (columns, lookups) = (Default::default(), Default::default());
    parquet_bytes(&Dataset { name, digest, columns, records, lookups }).unwrap()
}

/// Returns the code of the fault of `bytes`; empty if they are read.
fn code(bytes: &[u8], limits: Limits) -> &'static str {
    read_bytes(bytes, "a.parquet", &options(limits)).map_or_else(|fault| fault.code(), |_| "")
}

#[test]
fn one_huge_cell_in_a_small_file_is_refused() {
    let bytes = file_of([&*"a".repeat(8 << 20), "b"]);
    assert!(bytes.len() < 40_000, "{}", bytes.len());
    assert_eq!(code(&bytes, tight()), "BOT-2160");
    assert_eq!(code(&bytes, Limits::up_to(1 << 20)), "BOT-2160");
    assert_eq!(code(&bytes, Limits::up_to(64 << 20)), "");
}

#[test]
fn one_text_that_a_small_file_names_many_times_is_refused() {
    // Each text differs from the others, so that it cannot be told from its length alone.
    let text: String = (0..4_000_u32).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
    let bytes = file_of(std::iter::repeat_n(text.as_str(), 2_000));
    assert!(bytes.len() < 16_000, "{}", bytes.len());
    assert_eq!(code(&bytes, tight()), "BOT-2160");
    assert_eq!(code(&bytes, Limits::default()), "");
}

/// Returns a Parquet file with a column of categories, one record after the other, and a column `text` unless it is that.
fn file_of_categories(column: &str, records: &[(&str, usize)]) -> Vec<u8> {
    let categories = DataType::from_categories(Categories::global());
    let mut cells = Series::new_empty(column.into(), &categories);
    for (text, n) in records {
        let one = Series::new(column.into(), [*text]).cast(&categories).unwrap();
        cells.append(&one.new_from_index(0, *n)).unwrap();
    }
    let mut columns = vec![cells.into_column()];
    if column != "text" {
        let texts = Series::new("text".into(), ["hello"]).new_from_index(0, columns[0].len());
        columns.push(texts.into_column());
    }
    let mut bytes = Vec::new();
    let mut frame = DataFrame::new(columns[0].len(), columns).unwrap();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    bytes
}

/// Returns the most memory that this process had, in bytes; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    peak.trim().trim_end_matches(" kB").parse().unwrap_or(0) * 1024
}

#[test]
fn a_category_that_a_small_file_names_many_times_is_refused_before_it_is_copied() {
    // 1 GB of texts.
    let text = "y".repeat(200_000);
    let bytes = file_of_categories("text", &[(&text, 5_000)]);
    assert!(bytes.len() < 4_000, "{}", bytes.len());
    let before = peak_memory();
    assert_eq!(code(&bytes, Limits::default()), "BOT-2160");
    assert!(peak_memory() - before < 400 << 20, "{} bytes more", peak_memory() - before);
    // A column that is not read takes no memory. Where all are read, it counts as any other.
    let bytes = file_of_categories("other", &[(&text, 5_000)]);
    assert_eq!(code(&bytes, Limits::default()), "");
    let table = Table::open(&Origin::held(bytes.into(), "a.parquet"), &options(Limits::default()));
    assert_eq!(table.map(|_| ()).unwrap_err().code(), "BOT-2160");
    assert!(peak_memory() - before < 400 << 20, "{} bytes more", peak_memory() - before);
}

#[test]
fn a_long_category_is_read_as_often_as_the_ratio_allows() {
    let long = "y".repeat(100_000);
    let read = |n| {
        let bytes = file_of_categories("text", &[("hello", 1_000), (&long, n), ("bye", 1_000)]);
        assert!(bytes.len() < 8_000, "{}", bytes.len());
        code(&bytes, Limits::default())
    };
    let bytes = file_of_categories("text", &[("hello", 2), (&long, 1), ("bye", 1)]);
    let records = read_bytes(&bytes, "a.parquet", &options(Limits::default())).unwrap().records;
    let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
    assert_eq!(texts, ["hello", "hello", &*long, "bye"]);
    // 64 MiB are allowed at any ratio.
    assert_eq!([read(1), read(670), read(672), read(2_000)], ["", "", "BOT-2160", "BOT-2160"]);
}

#[test]
fn every_changed_byte_of_a_file_is_read_or_refused() {
    // An allocation of a size that the file names would end this process.
    let texts: Vec<String> = (0..20).map(|i| format!("text {}", i % 7)).collect();
    let bytes = file_of(texts.iter().map(String::as_str));
    for at in 4..bytes.len() {
        for value in [0xff, bytes[at] ^ 0x80, bytes[at].wrapping_add(1)] {
            let mut changed = bytes.clone();
            changed[at] = value;
            let code = code(&changed, tight());
            assert!(code.is_empty() || code.starts_with("BOT-2"), "{at} {value}: {code}");
        }
    }
}

#[test]
fn seeds_of_the_fuzz_target_are_read_unless_they_claim_too_much() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/parquet");
    for (name, expected) in [
        ("five.parquet", ""),
        ("plain.parquet", ""),
        ("words.parquet", ""),
        ("many_rows.parquet", "BOT-2108"),
        ("many_values.parquet", "BOT-2108"),
        // 100,000 rows that name one entry of a dictionary, of 1 MB.
        ("many_names.parquet", "BOT-2160"),
    ] {
        let bytes = fs::read(folder.join(name)).unwrap();
        assert_eq!(code(&bytes, Limits::default()), expected, "{name}");
    }
}

/// Opens a file of `tests/fixtures/parquet`, to read all columns.
fn fixture(name: &str) -> (Vec<u8>, Result<Table>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/parquet");
    let bytes = fs::read(folder.join(name)).unwrap();
    let origin = Origin::held(bytes.clone().into(), name);
    (bytes, Table::open(&origin, &options(Limits::default())))
}

/// Returns the cells of a column of `table`.
fn column(table: &mut Table, name: &str) -> Vec<String> {
    let column = table.shape().column(name).unwrap_or_else(|| panic!("no column {name}"));
    let mut cells = Vec::new();
    while let Some(batch) = table.next().unwrap() {
        cells.extend(batch.rows().map(|row| row.cell(column).to_owned()));
    }
    cells
}

#[test]
fn every_logical_type_has_a_text_form_or_is_skipped_by_name() {
    for file in ["types.parquet", "types_without_schema.parquet"] {
        let durations = match file {
            "types.parquet" => ["1.5", "1.5", "1.5"],
            // Only the Arrow schema says that the numbers are durations.
            _ => ["1500", "1500", "1500"],
        };
        for (name, cells) in [
            ("day", ["2024-05-01", "2024-05-02", "2024-05-03"]),
            (
                "ms",
                ["2024-05-01T10:15:00.250", "2024-05-02T10:15:01.250", "2024-05-03T10:15:02.250"],
            ),
            (
                "us",
                ["2024-05-01T10:15:00.250", "2024-05-02T10:15:01.250", "2024-05-03T10:15:02.250"],
            ),
            (
                "ns",
                ["2024-05-01T10:15:00.250", "2024-05-02T10:15:01.250", "2024-05-03T10:15:02.250"],
            ),
            (
                "zoned",
                [
                    "2024-05-01T10:15:00.250Z",
                    "2024-05-02T10:15:01.250Z",
                    "2024-05-03T10:15:02.250Z",
                ],
            ),
            ("clock", ["10:15:00.250", "10:15:01.250", "10:15:02.250"]),
            ("half", ["1.5", "-2.0", "0.25"]),
            ("price", ["19.90", "-0.05", "7.00"]),
            ("small", ["-1", "", "127"]),
            ("wait", durations),
            (
                "uid",
                [
                    "00000000-0000-0000-0000-000000000000",
                    "00000000-0000-0000-0000-000000000001",
                    "00000000-0000-0000-0000-000000000002",
                ],
            ),
        ] {
            let mut table = fixture(file).1.unwrap();
            assert_eq!(column(&mut table, name), cells, "{name} of {file}");
        }
        let mut table = fixture(file).1.unwrap();
        assert_eq!((table.shape().column("meta"), table.shape().column("map")), (None, None));
        let findings = table.take_non_records().findings;
        let messages: Vec<&str> = findings.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "the column `meta` is not read: a struct has no text form",
                "the column `map` is not read: a map or a list of structs has no text form",
            ]
        );
        assert!(findings.iter().all(|f| f.code == "BOT-2232"));
    }
    for (file, time) in [
        ("int96.parquet", "2024-05-01T10:15:00.250"),
        // Beyond the nanoseconds of 64 bits.
        ("int96_far.parquet", "9999-12-31T00:00:00"),
    ] {
        assert_eq!(column(&mut fixture(file).1.unwrap(), "at")[0], time, "{file}");
    }
}

#[test]
fn entities_as_a_list_of_structs_are_read() {
    let (bytes, _) = fixture("entities.parquet");
    let records = read_bytes(&bytes, "a.parquet", &options(Limits::default())).unwrap().records;
    let entities: Vec<_> = records.into_iter().map(|record| record.entities).collect();
    assert_eq!(entities, [vec![crate::EntitySpan::new("x", "hello", 0, 5)], vec![], vec![]]);
    assert_eq!(code(&bytes, Limits { max_unpacked_bytes: 8, ..tight() }), "BOT-2160");
}

#[test]
fn a_repeated_column_and_a_text_that_is_not_utf8_are_named() {
    let fault = fixture("twice.parquet").1.unwrap_err();
    assert_eq!((fault.code(), fault.message()), ("BOT-2109", "two columns are called `n`"));
    let fault = fixture("not_utf8.parquet").1.unwrap_err();
    assert_eq!((fault.code(), fault.place().record), ("BOT-2104", Some(2)));
    assert_eq!(fault.place().line, None);
    assert_eq!(fault.message(), "the column `note` has a text that is not UTF-8, from byte 3 on");
    // The column is not read for records.
    assert_eq!(code(&fixture("not_utf8.parquet").0, Limits::default()), "");
}

/// Returns a Parquet file of `columns`.
fn file_of_columns(columns: Vec<Series>) -> Vec<u8> {
    let columns: Vec<Column> = columns.into_iter().map(IntoColumn::into_column).collect();
    let mut bytes = Vec::new();
    let mut frame = DataFrame::new(columns[0].len(), columns).unwrap();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    bytes
}

fn open_bytes(bytes: Vec<u8>) -> Result<Table> {
    Table::open(&Origin::held(bytes.into(), "a.parquet"), &options(Limits::default()))
}

fn texts_of(name: &str) -> Series {
    Series::new(name.into(), ["hello", "bye"])
}

#[test]
fn a_list_is_its_full_json_and_bytes_that_are_no_text_are_skipped_by_name() {
    let numbers = |first: i64| Series::new("".into(), (first..first + 20).collect::<Vec<_>>());
    let words = Series::new("".into(), ["a \"b\"", "été"]);
    let empty = Series::new_empty("".into(), &DataType::String);
    let bytes = file_of_columns(vec![
        texts_of("text"),
        Series::new("vector".into(), [numbers(0), numbers(1)]),
        Series::new("tags".into(), [words, empty]),
        Series::new("blob".into(), [b"\xff\xfe".as_slice(), b"ok"]),
        Series::new("note".into(), [b"caf\xc3\xa9".as_slice(), b"ok"]),
    ]);
    let json = |first: i64| {
        let numbers: Vec<String> = (first..first + 20).map(|n| n.to_string()).collect();
        format!("[{}]", numbers.join(","))
    };
    let read = |name: &str| column(&mut open_bytes(bytes.clone()).unwrap(), name);
    assert_eq!(read("vector"), [json(0), json(1)]);
    assert_eq!(read("tags"), [r#"["a \"b\"","été"]"#, "[]"]);
    assert_eq!(read("note"), ["café", "ok"]);
    let mut table = open_bytes(bytes.clone()).unwrap();
    assert_eq!(table.shape().column("blob"), None);
    let findings = table.take_non_records().findings;
    let message =
        "the column `blob` is not read: a value of bytes that are not UTF-8 has no text form";
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].code.as_ref(), findings[0].message.as_str()), ("BOT-2232", message));
    // The record of the wrong text is named where the column has a role.
    let blob = Series::new("text".into(), [b"ok".as_slice(), b"\xff\xfe"]);
    let fault = open_bytes(file_of_columns(vec![blob])).unwrap_err();
    assert_eq!((fault.code(), fault.place().record), ("BOT-2104", Some(2)));
}

#[test]
fn a_list_in_a_column_with_a_role_is_refused_by_its_name() {
    let lists = |name: &str| Series::new(name.into(), [texts_of(""), texts_of("")]);
    for (name, columns) in [
        ("intent", vec![texts_of("text"), lists("intent")]),
        ("text", vec![lists("text"), texts_of("intent")]),
    ] {
        let fault = open_bytes(file_of_columns(columns)).unwrap_err();
        let message = format!("the column `{name}` of the Parquet file holds lists");
        assert_eq!((fault.code(), fault.message()), ("BOT-2108", message.as_str()));
    }
    let entities = file_of_columns(vec![texts_of("text"), lists("entities")]);
    let fault = read_bytes(&entities, "a.parquet", &options(Limits::default())).unwrap_err();
    assert_eq!((fault.code(), fault.place().record), ("BOT-2128", Some(1)));
}

#[test]
fn a_missing_column_that_was_skipped_is_said_to_be_there() {
    let (bytes, _) = fixture("types.parquet");
    let options =
        ReadOptions { text_column: Some("meta".to_owned()), ..options(Limits::default()) };
    let fault = read_bytes(&bytes, "a.parquet", &options).unwrap_err();
    assert_eq!(fault.code(), "BOT-2101");
    let end = "; not read, for want of a text form: `meta` (a struct), `map` (a map or a list of structs)";
    assert!(fault.message().ends_with(end), "{}", fault.message());
}

fn zigzag(value: i64) -> Vec<u8> {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The numbers of a footer with one column of texts and one group of rows.
#[derive(Clone, Copy)]
struct Numbers {
    n_rows: i64,
    group_rows: i64,
    n_values: i64,
    at: i64,
    length: i64,
    n_children: i64,
}

fn footer(numbers: Numbers) -> Vec<u8> {
    let Numbers { n_rows, group_rows, n_values, at, length, n_children } = numbers;
    let number = |head: u8, value: i64| [vec![head], zigzag(value)].concat();
    [
        number(0x15, 1),
        vec![0x19, 0x2c],
        // The root, and its column `t`.
        vec![0x48, 1, b'r'],
        number(0x15, n_children),
        vec![0],
        number(0x15, 6),
        number(0x25, 0),
        vec![0x18, 1, b't', 0],
        number(0x16, n_rows),
        vec![0x19, 0x1c],
        // The group of rows with its column chunk.
        vec![0x19, 0x1c],
        number(0x26, 0),
        vec![0x1c],
        number(0x15, 6),
        vec![0x19, 0x15, 0],
        vec![0x19, 0x18, 1, b't'],
        number(0x15, 0),
        number(0x16, n_values),
        number(0x16, length),
        number(0x16, length),
        number(0x26, at),
        vec![0, 0],
        number(0x16, length),
        number(0x16, group_rows),
        vec![0, 0],
    ]
    .concat()
}

#[test]
fn the_numbers_of_a_footer_must_agree() {
    let sound = Numbers { n_rows: 5, group_rows: 5, n_values: 5, at: 4, length: 96, n_children: 1 };
    let read = |numbers: Numbers| Footer::read(&footer(numbers), 100);
    let footer = read(sound).unwrap();
    assert_eq!((footer.n_rows, footer.chunks.len()), (5, 1));
    assert_eq!((footer.chunks[0].start, footer.chunks[0].end), (4, 100));
    for (problem, numbers) in [
        ("2^57 values", Numbers { n_values: 1 << 57, ..sound }),
        ("fewer values than rows", Numbers { n_values: 4, ..sound }),
        ("more rows than the groups", Numbers { n_rows: 6, ..sound }),
        (
            "a negative number of rows",
            Numbers { n_rows: -5, group_rows: -5, n_values: -5, ..sound },
        ),
        ("pages beyond the file", Numbers { length: 97, ..sound }),
        ("pages before the file", Numbers { at: -4, ..sound }),
        ("2^62 bytes of pages", Numbers { length: i64::MAX, ..sound }),
        ("2^31 columns", Numbers { n_children: 1 << 31, ..sound }),
        ("two columns, one described", Numbers { n_children: 2, ..sound }),
        ("no column, one described", Numbers { n_children: 0, ..sound }),
    ] {
        assert!(read(numbers).is_none(), "{problem}");
    }
}
