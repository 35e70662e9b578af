//! Compacted files: records to Parquet, and back, one group of rows at a time.

use crate::{
    columns::{COLUMNS, Column, arrays, exported_schema, schema},
    record::{EXPORT_SCHEMA, Record, SCHEMA, check_schema},
};
use botops_findings::{Fault, Result};
use bytes::Bytes;
use polars_arrow::{datatypes::ArrowSchema, record_batch::RecordBatchT};
use polars_parquet::{
    read::{BasicDecompressor, FileMetadata, PageReader, column_iter_to_arrays, read_metadata},
    write::{
        CompressionOptions, FileWriter, KeyValue, StatisticsOptions, Version, WriteOptions,
        ZstdLevel, get_dtype_encoding, row_group_iter, schema_to_metadata_key, to_parquet_schema,
    },
};
use std::{
    fmt::Display,
    io::{self, Cursor, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// The most records of a group of rows that is read.
const MOST_GROUP: usize = 65_536;
/// The most records of a group of rows that is written: a reader has one in memory.
pub(crate) const GROUP: usize = 32_768;
/// The level of compression of pages: a file is written once and read often.
const LEVEL: i32 = 3;
/// The key of the schema of the records in the metadata of a file. Files without it are of the first schema.
const SCHEMA_KEY: &str = "botops.schema";
/// The most records of a file that is read.
const MOST_RECORDS: usize = 1 << 28;

/// The bytes that a writer has made and nobody has taken.
#[derive(Clone, Default)]
struct Made(Arc<Mutex<Vec<u8>>>);

impl Made {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Made {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a file in memory, group by group.
pub(crate) struct ParquetWriter {
    writer: FileWriter<Made>,
    made: Made,
    group: Vec<Record>,
    n_records: u64,
    schema: ArrowSchema,
    /// The name of the schema, in the metadata.
    name: &'static str,
}

impl ParquetWriter {
    /// Begins a compacted file.
    pub(crate) fn new() -> Result<Self> {
        Self::of(schema(), SCHEMA)
    }

    /// Begins a file for other tools.
    pub(crate) fn exporting() -> Result<Self> {
        Self::of(exported_schema(), EXPORT_SCHEMA)
    }

    fn of(schema: ArrowSchema, name: &'static str) -> Result<Self> {
        let made = Made::default();
        let writer =
            FileWriter::try_new(made.clone(), schema.clone(), options()?).map_err(unwritten)?;
        Ok(Self { writer, made, group: Vec::new(), n_records: 0, schema, name })
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, record: Record) -> Result<()> {
        self.group.push(record);
        self.n_records += 1;
        if self.group.len() == GROUP { self.write_group() } else { Ok(()) }
    }

    /// Returns the number of records so far.
    pub(crate) fn n_records(&self) -> u64 {
        self.n_records
    }

    /// Ends the file. Returns its bytes that were not taken, and the number of records.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, u64)> {
        if !self.group.is_empty() {
            self.write_group()?;
        }
        let metadata = vec![
            schema_to_metadata_key(&self.schema),
            KeyValue { key: SCHEMA_KEY.to_owned(), value: Some(self.name.to_owned()) },
        ];
        self.writer.end(Some(metadata)).map_err(unwritten)?;
        Ok((self.made.take(), self.n_records))
    }

    /// Takes the bytes that were not taken yet.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.made.take()
    }

    fn write_group(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.group);
        let schema = self.schema.clone();
        let fields = to_parquet_schema(&schema).map_err(unwritten)?.fields().to_vec();
        let encodings: Vec<_> =
            schema.iter_values().map(|field| get_dtype_encoding(&field.dtype)).collect();
        let batch = RecordBatchT::try_new(records.len(), schema.into(), arrays(&records))
            .map_err(unwritten)?;
        let n = records.len() as u64;
        drop(records);
        let group = row_group_iter(batch, encodings.into(), fields, options()?);
        self.writer.write(n, group).map_err(unwritten)
    }
}

fn options() -> Result<WriteOptions> {
    Ok(WriteOptions {
        statistics: StatisticsOptions::default(),
        version: Version::V1,
        compression: CompressionOptions::Zstd(Some(ZstdLevel::try_new(LEVEL).map_err(unwritten)?)),
        data_page_size: None,
    })
}

/// Reads a file group by group.
pub(crate) struct ParquetReader {
    bytes: Bytes,
    metadata: FileMetadata,
    name: String,
}

impl ParquetReader {
    /// Reads the footer of a file; `name` is for faults.
    ///
    /// # Errors
    /// `BOT-6207` (exit 3) it is damaged; `BOT-6201` (exit 6) a newer botops wrote it.
    pub(crate) fn open(bytes: Bytes, name: &str) -> Result<Self> {
        let metadata =
            read_metadata(&mut Cursor::new(&bytes)).map_err(|error| damaged(name, error))?;
        if metadata.num_rows > MOST_RECORDS {
            return Err(damaged(name, format!("it claims to have {} records", metadata.num_rows)));
        }
        let pairs = metadata.key_value_metadata().iter().flatten();
        for pair in pairs.filter(|pair| pair.key == SCHEMA_KEY) {
            check_schema(pair.value.as_deref().unwrap_or_default(), SCHEMA)
                .map_err(|fault| fault.file(name))?;
        }
        Ok(Self { bytes, metadata, name: name.to_owned() })
    }

    /// Returns the number of groups of rows.
    pub(crate) fn n_groups(&self) -> usize {
        self.metadata.row_groups.len()
    }

    /// Reads `columns` of the group number `group`; all other fields are empty. A column that an older version did not write
    /// stays empty, too.
    ///
    /// # Errors
    /// `BOT-6207` (exit 3) the group is damaged, or a column has another type.
    pub(crate) fn group(&self, group: usize, columns: &[Column]) -> Result<Vec<Record>> {
        let group = &self.metadata.row_groups[group];
        let n = group.num_rows();
        if n > MOST_GROUP {
            return Err(damaged(&self.name, format!("a group of rows has {n} records")));
        }
        let mut records = vec![Record::default(); n];
        for column in columns {
            let field = column.field();
            let Some(chunks) = group.columns_under_root_iter(&field.name) else { continue };
            let (mut pages, mut types) = (Vec::new(), Vec::new());
            for chunk in chunks {
                let range = chunk.byte_range();
                let range = range.start as usize..range.end as usize;
                let bytes =
                    self.bytes.get(range).ok_or_else(|| damaged(&self.name, "it is cut"))?;
                let bytes = Cursor::new(Vec::from(bytes).into());
                let reader = PageReader::new(bytes, chunk, Vec::new(), usize::MAX);
                pages.push(BasicDecompressor::new(reader, Vec::new()));
                types.push(&chunk.descriptor().descriptor.primitive_type);
            }
            let (arrays, _) = column_iter_to_arrays(pages, types, field, None)
                .map_err(|error| damaged(&self.name, error))?;
            let mut at = 0;
            for array in arrays {
                let end = at + array.len();
                let rows = records.get_mut(at..end);
                if !rows.is_some_and(|rows| column.fill(array.as_ref(), rows)) {
                    let message = format!("the column `{}` does not fit", column.name());
                    return Err(damaged(&self.name, message));
                }
                at = end;
            }
        }
        Ok(records)
    }

    /// Reads every column of a group.
    ///
    /// # Errors
    /// As [`Self::group`].
    pub(crate) fn whole_group(&self, group: usize) -> Result<Vec<Record>> {
        self.group(group, &COLUMNS)
    }
}

fn damaged(name: &str, error: impl Display) -> Fault {
    Fault::data("BOT-6207", format!("a compacted file cannot be read: {error}"))
        .file(name)
        .hint("restore it from a backup, or remove it with its `compaction-*.json`")
}

fn unwritten(error: impl Display) -> Fault {
    Fault::internal("BOT-6208", format!("the records cannot be written as Parquet: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{of_knowledge, record};

    fn written(n: u32) -> Vec<u8> {
        let mut writer = ParquetWriter::new().unwrap();
        (0..n).for_each(|i| writer.add(record(i)).unwrap());
        let (bytes, n_records) = writer.finish().unwrap();
        assert_eq!(n_records, u64::from(n));
        bytes
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_the_same_records_give_the_same_bytes() {
        let n = GROUP as u32 + 1_000;
        let bytes = written(n);
        assert_eq!(bytes, written(n));
        let reader = ParquetReader::open(bytes.into(), "a").unwrap();
        assert_eq!(reader.n_groups(), 2);
        let read: Vec<Record> = (0..2).flat_map(|it| reader.whole_group(it).unwrap()).collect();
        assert!(read.iter().enumerate().all(|(i, it)| *it == record(i as u32)));
        let some = reader.group(1, &[Column::Intent, Column::At]).unwrap();
        assert_eq!(some[0].intent, record(GROUP as u32).intent);
        assert_eq!((some[0].at, some[0].text.as_deref()), (record(GROUP as u32).at, None));
        let none = ParquetReader::open(written(0).into(), "a").unwrap();
        assert_eq!(none.n_groups(), 0);
    }

    /// Writes a file with the first `n_columns` columns, and with `metadata`.
    fn other(n_columns: usize, metadata: Option<Vec<KeyValue>>) -> Bytes {
        let records = [record(1), record(2)];
        let schema: ArrowSchema = COLUMNS[..n_columns]
            .iter()
            .map(|column| (column.field().name, column.field()))
            .collect();
        let options = options().unwrap();
        let mut writer = FileWriter::try_new(Vec::new(), schema.clone(), options).unwrap();
        let fields = to_parquet_schema(&schema).unwrap().fields().to_vec();
        let encodings: Vec<_> =
            schema.iter_values().map(|field| get_dtype_encoding(&field.dtype)).collect();
        let arrays = arrays(&records).into_iter().take(n_columns).collect();
        let batch = RecordBatchT::try_new(2, schema.into(), arrays).unwrap();
        writer.write(2, row_group_iter(batch, encodings.into(), fields, options)).unwrap();
        writer.end(metadata).unwrap();
        writer.into_inner().into()
    }

    #[test]
    fn a_file_of_an_older_version_is_read_and_one_of_a_newer_is_refused() {
        // Before `handed_off`, files had 22 columns, and no schema in their metadata.
        let read = ParquetReader::open(other(22, None), "a").unwrap().whole_group(0).unwrap();
        let expected: Vec<Record> =
            [1, 2].map(|i| Record { handed_off: false, unresolved: false, ..record(i) }).into();
        assert_eq!(read, expected);
        for (schema, code) in [("botops.prediction/2", "BOT-6201"), ("other/1", "BOT-6200")] {
            let pair = KeyValue { key: SCHEMA_KEY.to_owned(), value: Some(schema.to_owned()) };
            let fault = ParquetReader::open(other(24, Some(vec![pair])), "a").err().unwrap();
            assert_eq!(fault.code(), code);
            assert!(fault.hints().iter().any(|hint| !hint.is_empty()));
        }
        let bytes = written(1);
        assert!(String::from_utf8_lossy(&bytes).contains("botops.prediction/1"));
    }

    #[test]
    fn answers_from_knowledge_come_back_and_a_file_from_before_them_is_read() {
        let records: Vec<Record> =
            (0..6).map(|i| if i < 3 { of_knowledge(i) } else { record(i) }).collect();
        let mut writer = ParquetWriter::new().unwrap();
        records.iter().for_each(|record| writer.add(record.clone()).unwrap());
        let reader = ParquetReader::open(writer.finish().unwrap().0.into(), "a").unwrap();
        assert_eq!(reader.whole_group(0).unwrap(), records);
        // Before `answered_from`, files had 24 columns.
        let older = ParquetReader::open(other(24, None), "a").unwrap().whole_group(0).unwrap();
        assert_eq!(older, [record(1), record(2)]);
    }

    #[test]
    fn damaged_files_are_refused() {
        let bytes = written(100);
        for cut in [0, 3, 4, 20, bytes.len() / 2, bytes.len() - 1] {
            let fault = ParquetReader::open(Bytes::copy_from_slice(&bytes[..cut]), "a");
            assert_eq!(fault.err().map(|it| it.code()), Some("BOT-6207"), "{cut}");
        }
    }
}
