//! Reading of records: each row of a [`Table`] becomes a [`Record`].
//!
//! In: a file, several files under one pattern, or bytes. Out: a [`Dataset`] in memory, or a [`Stream`] of records whose
//! memory does not grow with the file.

use crate::{
    formats::{
        encoding,
        rasa::{NonRecords, Term, TermKind},
    },
    read_options::{Presence, ReadOptions},
    record::{Cells, Dataset, Record},
    table::{Batch, Origin, ReadPlan, Row, Shape, Table},
};
use botops_digest::Digest;
use botops_findings::Result;
use bytes::Bytes;
use std::{collections::BTreeMap, path::Path};

/// Reads `path`: records in file order.
///
/// The formats are CSV, TSV, JSONL, a JSON list, Parquet and Rasa training data, by the name of the file, or else by its
/// content. gzip (including multi-member) and zstd files are unpacked. `-` is standard input. A pattern such as
/// `data/*.csv` names several files, whose records keep the name of their file.
///
/// - a UTF-8 byte-order mark is skipped, and so are blank lines
/// - a CSV whose first line has no comma may be separated by semicolons or tabs
/// - intents and languages are trimmed, and `None` where the cell is empty; texts are as written
/// - a number in JSON keeps its digits: `19.90` is read as `19.90`
/// - a field of up to 64 MiB is read; `validate` reports fields that are too long
///
/// # Errors
/// The first fault of a file in its order; records with another number of fields are reported at the end of the file.
///
/// Exit 2: `BOT-1001` missing, unreadable or a directory; `BOT-2101` no text (or required intent)
/// column: the message lists the columns. Exit 3: `BOT-2102` empty file or header only, `BOT-2103` binary,
/// `BOT-2104` not UTF-8 (record, line, byte; UTF-16 named), `BOT-2105` records with another number of fields
/// (each is a finding of the fault), `BOT-2106` a quote never closed (where it opened), `BOT-2107` malformed JSON,
/// `BOT-2108` an unreadable Parquet file, `BOT-2109` two columns of one name, `BOT-2128` a malformed entities cell,
/// `BOT-2160` unpacked to more than is allowed, `BOT-2161` a damaged packed file, `BOT-2162` files of one pattern with
/// different columns, `BOT-2163` a record of more than 64 MiB, `BOT-2164` and `BOT-2165` malformed Rasa training data.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    read_origin(&Origin::of(path)?, options)
}

/// Reads `bytes` as [`read`] reads a file of these bytes called `name`. The extension of the name decides the format.
///
/// # Errors
/// Those of [`read`] without `BOT-1001`.
pub fn read_bytes(bytes: &[u8], name: &str, options: &ReadOptions) -> Result<Dataset> {
    read_origin(&Origin::held(Bytes::copy_from_slice(bytes), name), options)
}

/// Reads `path` as [`read`] does, and passes every row, with the cells of all columns, to `see`.
///
/// If the text is optional and the file has no text column, the rows are passed on, and there are no records.
///
/// # Errors
/// Those of [`read`].
pub fn read_with_rows(
    path: &Path,
    options: &ReadOptions,
    see: &mut dyn FnMut(&Shape, Row<'_>),
) -> Result<Dataset> {
    read_rows(&Origin::of(path)?, options, see)
}

/// Reads `bytes` as [`read_with_rows`] reads a file of these bytes called `name`.
///
/// # Errors
/// Those of [`read_with_rows`] without `BOT-1001`.
pub fn read_bytes_with_rows(
    bytes: &[u8],
    name: &str,
    options: &ReadOptions,
    see: &mut dyn FnMut(&Shape, Row<'_>),
) -> Result<Dataset> {
    read_rows(&Origin::held(Bytes::copy_from_slice(bytes), name), options, see)
}

fn read_rows(
    origin: &Origin,
    options: &ReadOptions,
    see: &mut dyn FnMut(&Shape, Row<'_>),
) -> Result<Dataset> {
    let plan = ReadPlan { roles_only: false, ..ReadPlan::DATASET };
    read_table(origin, Table::begin(origin, options, plan)?, see)
}

/// Reads the files of `origin` as [`read`] does.
///
/// # Errors
/// Those of [`read`].
pub fn read_origin(origin: &Origin, options: &ReadOptions) -> Result<Dataset> {
    let table = Table::begin(origin, &of_records(options), ReadPlan::DATASET)?;
    read_table(origin, table, &mut |_, _| {})
}

fn read_table(
    origin: &Origin,
    mut table: Table,
    see: &mut dyn FnMut(&Shape, Row<'_>),
) -> Result<Dataset> {
    let mut records = Vec::new();
    let mut is_empty = true;
    while let Some(batch) = table.next()? {
        for row in batch.rows() {
            is_empty = false;
            see(table.shape(), row);
        }
        append_records(&mut records, &batch, &table)?;
    }
    if is_empty {
        return Err(encoding::no_record(origin.name()));
    }
    let digest = table.digest().unwrap_or_else(|| Digest::of(b""));
    let columns = table.shape().by_role();
    let lookups = lookups(&table.take_non_records().terms);
    Ok(Dataset { name: origin.name().to_owned(), digest, columns, records, lookups })
}

/// Returns the lookup tables among `terms`, by entity; those of one entity are joined in their order.
fn lookups(terms: &[Term]) -> BTreeMap<String, Vec<String>> {
    let mut lookups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for term in terms.iter().filter(|term| term.kind == TermKind::Lookup) {
        lookups.entry(term.name.clone()).or_default().extend(term.examples.iter().cloned());
    }
    lookups
}

/// Returns `options` with a required text: a record without a text is not an utterance.
fn of_records(options: &ReadOptions) -> ReadOptions {
    ReadOptions { text: Presence::Required, ..options.clone() }
}

/// Makes a record of every row of `batch`, which `table` read last.
///
/// # Errors
/// `BOT-2128` (exit 3) for a malformed cell of entities.
fn append_records(records: &mut Vec<Record>, batch: &Batch, table: &Table) -> Result<()> {
    let Some(roles) = &table.shape().roles else { return Ok(()) };
    let file = table.file_name();
    records.reserve(batch.len());
    for row in batch.rows() {
        let mut record =
            Cells::of(roles, |column| row.cell(column)).record(file, row.record(), row.line())?;
        record.file = row.file().cloned();
        records.push(record);
    }
    Ok(())
}

/// The records of a file, or of the files that a pattern names, some thousands at a time, in the order of the files.
///
/// It reads as [`read`] does, with two differences: a fault comes after the records before it, and the columns of a JSON
/// file are the keys of its first part (1 MiB).
#[derive(Debug)]
pub struct Stream {
    table: Table,
    ended: bool,
}

/// Opens `path` to read it part by part. It may be a pattern (`data/*.csv`), or `-` for standard input.
///
/// # Errors
/// Those of [`read`] that the beginning of the first file shows.
pub fn stream(path: &Path, options: &ReadOptions) -> Result<Stream> {
    Stream::open(&Origin::of(path)?, options, ReadPlan::RECORDS)
}

/// Reads `bytes` part by part, as [`stream`] reads a file of these bytes called `name`. The extension of the name decides
/// the format.
///
/// # Errors
/// Those of [`stream`] without `BOT-1001`.
pub fn stream_bytes(
    bytes: impl AsRef<[u8]> + Send + 'static,
    name: &str,
    options: &ReadOptions,
) -> Result<Stream> {
    Stream::open(&Origin::held(Bytes::from_owner(bytes), name), options, ReadPlan::RECORDS)
}

impl Stream {
    fn open(origin: &Origin, options: &ReadOptions, plan: ReadPlan) -> Result<Self> {
        Ok(Self { table: Table::begin(origin, &of_records(options), plan)?, ended: false })
    }

    /// Returns the size of the stored files in bytes, and how many of them were read.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        self.table.progress()
    }

    /// Returns the names of the columns that have a role, by role.
    #[must_use]
    pub fn columns(&self) -> BTreeMap<String, String> {
        self.table.shape().by_role()
    }

    /// Returns the columns of the current file that have no role. Their cells are in no record.
    #[must_use]
    pub fn other_columns(&self) -> Vec<String> {
        self.table.file_shape().others()
    }

    /// Takes the parts of the files that are not records. They are complete once the stream has ended.
    #[must_use]
    pub fn take_non_records(&mut self) -> NonRecords {
        self.table.take_non_records()
    }

    /// Returns the name of the current file.
    #[must_use]
    pub fn name(&self) -> &str {
        self.table.file_name()
    }

    fn part(&mut self) -> Result<Option<Vec<Record>>> {
        let Some(batch) = self.table.next()? else { return Ok(None) };
        let mut records = Vec::new();
        append_records(&mut records, &batch, &self.table)?;
        Ok(Some(records))
    }
}

impl Iterator for Stream {
    type Item = Result<Vec<Record>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let part = self.part().transpose();
        // A stream ends with its first fault.
        self.ended = !matches!(part, Some(Ok(_)));
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{opening::OPENED, write_parquet};
    use proptest::prelude::*;
    use std::path::PathBuf;

    fn by_steps(path: &Path, options: &ReadOptions, step: usize) -> Result<Stream> {
        Stream::open(&Origin::of(path)?, options, ReadPlan { step, ..ReadPlan::RECORDS })
    }

    fn options() -> ReadOptions {
        ReadOptions { intent: Presence::Optional, ..ReadOptions::default() }
    }

    fn all(path: &Path, step: usize) -> Result<Vec<Record>> {
        let parts: Result<Vec<Vec<Record>>> = by_steps(path, &options(), step)?.collect();
        Ok(parts?.into_iter().flatten().collect())
    }

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_read_in_parts_has_the_records_of_the_whole() {
        for (name, text) in [
            (
                "a.csv",
                "text,intent\r\nhello there,greet\r\n\r\n\"a \"\"quoted\"\"\r\nline, two\",other\r\nlast,greet",
            ),
            ("b.csv", "\u{feff}id;text;lang\n1;où est mon colis ?;fr\n2;\"a;b\";en\n\n3;c;en\n"),
            ("c.tsv", "utterance\tlabel\none\tx\ntwo\ty\rthree\tz\r\n"),
            (
                "d.jsonl",
                "{\"text\":\"a\",\"intent\":\"x\"}\n\n{\"text\":\"b\",\"intent\":null}\r\n{\"text\":\"é\"}",
            ),
            ("e.csv", "text\nx"),
        ] {
            let (_folder, path) = file(name, text.as_bytes());
            let whole = read(&path, &options()).unwrap();
            for step in [1, 2, 3, 7, 64, 4_096] {
                let mut stream = by_steps(&path, &options(), step).unwrap();
                let parts: Vec<Record> = stream.by_ref().flat_map(Result::unwrap).collect();
                assert_eq!(parts, whole.records, "{name} by {step}");
                assert_eq!(stream.columns(), whole.columns.clone(), "{name} by {step}");
                assert_eq!(stream.progress(), (text.len() as u64, text.len() as u64));
            }
        }
    }

    #[test]
    fn bytes_in_parts_have_the_records_of_a_file_of_them() {
        let rows: String = (0..3_000).map(|i| format!("text {i},intent_{}\n", i % 7)).collect();
        let text = format!("text,intent\n{rows}");
        let (_folder, path) = file("a.csv", text.as_bytes());
        let data = read(&path, &options()).unwrap();
        let parquet = path.with_extension("parquet");
        write_parquet(&parquet, &data).unwrap();
        for path in [path, parquet] {
            let bytes = std::fs::read(&path).unwrap();
            let size = bytes.len() as u64;
            let mut stream = stream_bytes(bytes, &path.display().to_string(), &options()).unwrap();
            assert_eq!(stream.progress().0, size);
            let records: Vec<Record> = stream.by_ref().flat_map(Result::unwrap).collect();
            assert_eq!(records, read(&path, &options()).unwrap().records);
            assert_eq!(stream.progress(), (size, size));
        }
        let fault = stream_bytes(&b""[..], "snapshot:a.csv", &options()).unwrap_err();
        assert_eq!(fault.place().file.as_deref(), Some("snapshot:a.csv"));
    }

    #[test]
    fn a_fault_has_the_same_place_in_a_stream_as_in_the_whole_file() {
        let good = "some text,greet\n".repeat(20);
        for (name, bytes) in [
            ("a.csv", format!("text,intent\n{good}\"never closed,greet\n{good}").into_bytes()),
            ("b.csv", format!("text,intent\n{good}too,many,fields\n{good}").into_bytes()),
            (
                "c.csv",
                [b"text,intent\n".to_vec(), good.clone().into_bytes(), b"caf\xe9,x\n".to_vec()]
                    .concat(),
            ),
            ("d.jsonl", b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\n".to_vec()),
            ("e.jsonl", b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"caf\xe9\"}\n".to_vec()),
            ("f.csv", b"text,intent\n".to_vec()),
            ("g.csv", b"".to_vec()),
            ("h.csv", b"a,b\n1,2\n".to_vec()),
        ] {
            let (_folder, path) = file(name, &bytes);
            let whole = read(&path, &options()).unwrap_err();
            for step in [1, 16, 4_096] {
                let fault = all(&path, step).unwrap_err();
                assert_eq!(
                    (fault.code(), fault.place(), fault.message()),
                    (whole.code(), whole.place(), whole.message()),
                    "{name} by {step}"
                );
            }
        }
    }

    #[test]
    fn every_reader_leaves_a_notice_of_what_it_does_not_read() {
        let yaml =
            "nlu:\n- intent: a\n  examples: |\n    - hi\n- intent: b\n  example: |\n    - bye\n";
        let (_folder, path) = file("notices-of-reading.yml", yaml.as_bytes());
        type Read = fn(&Path) -> usize;
        let readers: [Read; 3] = [
            |path| read(path, &options()).unwrap().records.len(),
            |path| stream(path, &options()).unwrap().flat_map(Result::unwrap).count(),
            |path| {
                let mut table = Table::open(&Origin::of(path).unwrap(), &options()).unwrap();
                table.next().unwrap().unwrap().len()
            },
        ];
        for reader in readers {
            assert_eq!(reader(&path), 1);
            assert_eq!(reader(&path), 1, "a second time");
            let of_file =
                |finding: &botops_findings::Finding| finding.place.file.as_deref() == path.to_str();
            let notices: Vec<_> = crate::take_notices().into_iter().filter(of_file).collect();
            let found: Vec<_> = notices.iter().map(|f| (f.code.as_str(), f.place.line)).collect();
            assert_eq!(found, [("BOT-2233", Some(7))]);
        }
    }

    #[test]
    fn a_data_file_is_opened_once() {
        let text = "text,intent\nhello,greet\nbye,leave\n";
        let (folder, csv) = file("a.csv", text.as_bytes());
        let data = read(&csv, &options()).unwrap();
        let at = |name: &str| folder.path().join(name);
        write_parquet(&at("a.parquet"), &data).unwrap();
        for (name, text) in [
            ("b.csv", text),
            ("a.tsv", "text\tintent\na\tx\n"),
            ("a.jsonl", "{\"text\":\"a\"}\n"),
            ("a.json", "[{\"text\":\"a\"}]"),
            ("a.yml", "nlu:\n- intent: x\n  examples: |\n    - a\n"),
        ] {
            std::fs::write(at(name), text).unwrap();
        }
        for (pattern, n) in [
            ("a.csv", 1),
            ("a.tsv", 1),
            ("a.jsonl", 1),
            ("a.json", 1),
            ("a.parquet", 1),
            ("a.yml", 1),
            ("*.csv", 2),
        ] {
            let before = OPENED.get();
            read(&at(pattern), &options()).unwrap();
            assert_eq!(OPENED.get() - before, n, "{pattern}");
            stream(&at(pattern), &options()).unwrap().for_each(|part| drop(part.unwrap()));
            assert_eq!(OPENED.get() - before, 2 * n, "{pattern}");
        }
    }

    #[test]
    fn the_digest_and_the_progress_of_a_parquet_file_are_those_of_all_its_bytes() {
        let rows: String = (0..9_000).map(|i| format!("text {i},intent_{}\n", i * i)).collect();
        let (folder, path) = file("a.csv", format!("text,intent\n{rows}").as_bytes());
        let data = read(&path, &options()).unwrap();
        let path = folder.path().join("a.parquet");
        write_parquet(&path, &data).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() > 20_000, "more than the beginning that decides the format");
        assert_eq!(read(&path, &options()).unwrap().digest, Digest::of(&bytes));
        let mut stream = stream(&path, &options()).unwrap();
        let size = bytes.len() as u64;
        let (first, last) = (stream.progress(), (size, size));
        assert!(first.0 == size && first.1 < size, "{first:?}");
        stream.by_ref().for_each(|part| drop(part.unwrap()));
        assert_eq!(stream.progress(), last);
    }

    #[test]
    fn only_the_columns_with_a_role_are_read_of_a_parquet_file() {
        use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};
        let lists = [Series::new("".into(), [1, 2]), Series::new("".into(), [3])];
        let columns = vec![
            Series::new("vector".into(), lists).into_column(),
            Series::new("text".into(), ["a", "b"]).into_column(),
            Series::new("n".into(), [1.5, 2.0]).into_column(),
        ];
        let (_folder, path) = file("a.parquet", b"");
        let mut frame = DataFrame::new(2, columns).unwrap();
        ParquetWriter::new(std::fs::File::create(&path).unwrap()).finish(&mut frame).unwrap();
        let texts = |data: Dataset| -> Vec<String> {
            data.records.into_iter().map(|record| record.text).collect()
        };
        assert_eq!(texts(read(&path, &options()).unwrap()), ["a", "b"]);
        let named = |name: &str| ReadOptions { text_column: Some(name.to_owned()), ..options() };
        assert_eq!(texts(read(&path, &named("n")).unwrap()), ["1.5", "2.0"]);
        assert_eq!(read(&path, &named("vector")).unwrap_err().code(), "BOT-2108");
        let mut table = Table::open(&Origin::of(&path).unwrap(), &options()).unwrap();
        let batch = table.next().unwrap().unwrap();
        assert!(batch.row(0).cell(0).contains('1'), "{}", batch.row(0).cell(0));
    }

    #[test]
    fn the_lookup_tables_of_a_rasa_file_come_with_its_records() {
        let yaml = "nlu:\n- lookup: city\n  examples: |\n    - Lyon\n- intent: order\n  examples: |\n    - send it\n- lookup: city\n  examples: |\n    - New York\n- synonym: NYC\n  examples: |\n    - big apple\n- lookup: drink\n  examples: |\n    - tea\n";
        let data = read_bytes(yaml.as_bytes(), "nlu.yml", &options()).unwrap();
        assert_eq!(data.records.len(), 1);
        let lookups: Vec<(&str, &[String])> =
            data.lookups.iter().map(|(name, texts)| (name.as_str(), texts.as_slice())).collect();
        let texts = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (cities, drinks) = (texts(&["Lyon", "New York"]), texts(&["tea"]));
        assert_eq!(lookups, [("city", cities.as_slice()), ("drink", drinks.as_slice())]);
        // A part of the data keeps them; a table has none.
        assert_eq!(crate::part(&data, Vec::new()).lookups, data.lookups);
        let table = read_bytes(b"text\nsend it\n", "a.csv", &options()).unwrap();
        assert!(table.lookups.is_empty());
    }

    #[test]
    fn the_first_fault_is_reported_whatever_the_size_of_a_part() {
        let spans = "[{\"\"entity\"\":1}]";
        for (name, text, code, record) in [
            // A malformed cell of entities before a ragged record, and after it.
            ("a.csv", format!("text,entities\na,\"{spans}\"\nb\n"), "BOT-2128", 1),
            ("b.csv", format!("text,entities\na\nb,\"{spans}\"\n"), "BOT-2105", 1),
            ("c.csv", format!("text,entities\na,\"{spans}\"\n\"b,\n"), "BOT-2128", 1),
            ("d.jsonl", "{\"text\":\"a\",\"entities\":1}\n{\"text\"\n".to_owned(), "BOT-2128", 1),
            ("e.json", "[{\"text\":\"a\"},{\"text\":[]},7]".to_owned(), "BOT-2107", 2),
        ] {
            let (_folder, path) = file(name, text.as_bytes());
            let mut faults = vec![read(&path, &options()).unwrap_err()];
            faults.extend([1, 8, 4_096].map(|step| all(&path, step).unwrap_err()));
            for fault in faults {
                assert_eq!((fault.code(), fault.place().record), (code, Some(record)), "{name}");
            }
        }
    }

    #[test]
    fn a_file_of_terms_alone_is_a_stream_without_records() {
        let terms = "nlu:\n- synonym: a\n  examples: |\n    - b\n";
        let (folder, path) = file("b.yml", terms.as_bytes());
        let mut stream = stream(&path, &options()).unwrap();
        assert!(stream.next().is_none());
        assert_eq!(stream.take_non_records().terms.len(), 1);
        assert_eq!(read(&path, &options()).unwrap_err().code(), "BOT-2102");
        let table = Table::open(&Origin::of(&path).unwrap(), &options());
        assert_eq!(table.unwrap_err().code(), "BOT-2102");
        let examples = "nlu:\n- intent: x\n  examples: |\n    - a [b](c)\n";
        std::fs::write(folder.path().join("a.yml"), examples).unwrap();
        let data = read(&folder.path().join("*.yml"), &options()).unwrap();
        assert_eq!(data.records.len(), 1);
        assert_eq!(data.records[0].entities.len(), 1);
    }

    #[test]
    fn a_stream_ends_with_its_first_fault() {
        let (_folder, path) = file("a.csv", b"text,intent\nfine,x\n\"open,x\n");
        let mut stream = by_steps(&path, &options(), 1).unwrap();
        assert_eq!(stream.next().unwrap().unwrap().len(), 1);
        assert!(stream.next().unwrap().is_err());
        assert!(stream.next().is_none());
    }

    #[test]
    fn parquet_is_read_in_slices() {
        let rows: String = (0..20_000).map(|i| format!("text {i},intent_{}\n", i % 7)).collect();
        let (folder, path) = file("a.csv", format!("text,intent\n{rows}").as_bytes());
        let data = read(&path, &options()).unwrap();
        let path = folder.path().join("a.parquet");
        write_parquet(&path, &data).unwrap();
        let parts: Vec<Vec<Record>> =
            stream(&path, &options()).unwrap().map(Result::unwrap).collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [8_192, 8_192, 3_616]);
        assert_eq!(parts.concat(), read(&path, &options()).unwrap().records);
    }

    proptest! {
        #[test]
        fn any_texts_are_read_back_in_parts(
            texts in prop::collection::vec("[a-zé,;\"'\r\n ]{0,12}", 1..12),
            step in 1_usize..40,
        ) {
            let mut writer = ::csv::Writer::from_writer(Vec::new());
            writer.write_record(["text", "n"]).unwrap();
            for text in &texts {
                writer.write_record([text.as_str(), "1"]).unwrap();
            }
            let (_folder, path) = file("a.csv", &writer.into_inner().unwrap());
            let read: Vec<String> = all(&path, step).unwrap().into_iter().map(|r| r.text).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
