//! Writing of records in any format, part by part.
//!
//! In: records and terms. Out: a file, packed or not. The memory in use does not grow with the number of records, except
//! for Rasa training data.

use crate::{
    formats::{
        parquet,
        rasa::{Term, writing::RasaWriter},
    },
    opening::{Format, Packing},
    record::{EntitySpan, Record, entities_cell},
};
use botops_findings::{Finding, Place, Severity};
use polars::prelude::{BatchedWriter, ParquetWriter};
use serde::Serialize;
use std::{
    fmt,
    io::{self, Write},
};

/// The number of records in one row group of a Parquet file.
const GROUP: usize = 65_536;

/// Writes records in one format, and counts them.
///
/// - CSV, TSV and Parquet have the columns `text`, `intent`, `lang` and `entities` (JSON); JSON has the keys that are not
///   empty
/// - reading the file yields the same texts, intents, languages and entities
/// - data without a place in the format is reported as a finding; every record is written or left out: see [`Written`]
pub struct RecordWriter<'a> {
    sink: Sink<'a>,
    written: Written,
    terms: Vec<Term>,
}

/// The result of writing.
#[derive(Debug, Default)]
pub struct Written {
    /// The number of records written.
    pub records_out: u64,
    /// The number of records left out. Each has a finding with severity error.
    pub records_left_out: u64,
    /// The data that was not written.
    pub findings: Vec<Finding>,
}

/// The file to write to.
type Out<'a> = &'a mut (dyn Write + Send);

enum Sink<'a> {
    Table(Box<::csv::Writer<Packed<'a>>>),
    Jsonl(Packed<'a>),
    Json(Packed<'a>, bool),
    Parquet(Box<BatchedWriter<Out<'a>>>, Vec<Record>),
    Rasa(Packed<'a>, RasaWriter),
}

impl fmt::Debug for RecordWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordWriter {{ {:?} }}", self.written)
    }
}

/// A record as JSON.
#[derive(Serialize)]
struct Row<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entities: &'a [EntitySpan],
}

impl<'a> RecordWriter<'a> {
    /// Begins a file of `format` in `out`. Parquet compresses its pages and ignores `packing`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(format: Format, packing: Packing, out: Out<'a>) -> io::Result<Self> {
        let sink = match format {
            Format::Csv | Format::Tsv => {
                let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
                let mut writer = ::csv::WriterBuilder::new()
                    .delimiter(delimiter)
                    .from_writer(Packed::new(packing, out)?);
                writer.write_record(["text", "intent", "lang", "entities"]).map_err(unwritten)?;
                Sink::Table(Box::new(writer))
            }
            Format::Jsonl => Sink::Jsonl(Packed::new(packing, out)?),
            Format::Json => {
                let mut out = Packed::new(packing, out)?;
                out.write_all(b"[")?;
                Sink::Json(out, true)
            }
            Format::Parquet => {
                let schema =
                    parquet::records_frame(&[]).map_err(io::Error::other)?.schema().clone();
                let writer = ParquetWriter::new(out).batched(&schema).map_err(io::Error::other)?;
                Sink::Parquet(Box::new(writer), Vec::new())
            }
            Format::Rasa => Sink::Rasa(Packed::new(packing, out)?, RasaWriter::default()),
        };
        Ok(Self { sink, written: Written::default(), terms: Vec::new() })
    }

    /// Adds `records`; `place` returns the place of a record, for findings.
    ///
    /// # Errors
    /// Those of the file.
    pub fn add(&mut self, records: &[Record], place: impl Fn(&Record) -> Place) -> io::Result<()> {
        let mut left_out = 0;
        match &mut self.sink {
            Sink::Table(writer) => {
                for record in records {
                    let cells = [
                        record.text.as_str(),
                        record.intent.as_deref().unwrap_or_default(),
                        record.lang.as_deref().unwrap_or_default(),
                        &entities_cell(record),
                    ];
                    writer.write_record(cells).map_err(unwritten)?;
                }
            }
            Sink::Jsonl(out) => {
                for record in records {
                    serde_json::to_writer(&mut *out, &row(record))?;
                    out.write_all(b"\n")?;
                }
            }
            Sink::Json(out, first) => {
                for record in records {
                    out.write_all(if std::mem::take(first) { b"\n  " } else { b",\n  " })?;
                    serde_json::to_writer(&mut *out, &row(record))?;
                }
            }
            Sink::Parquet(writer, group) => {
                for record in records {
                    group.push(record.clone());
                    if group.len() == GROUP {
                        write_group(writer, &std::mem::take(group))?;
                    }
                }
            }
            Sink::Rasa(_, rasa) => {
                for record in records {
                    if let Err(finding) = rasa.add(record, place(record)) {
                        left_out += 1;
                        self.written.findings.push(*finding);
                    }
                }
            }
        }
        self.written.records_left_out += left_out;
        self.written.records_out += records.len() as u64 - left_out;
        Ok(())
    }

    /// Adds terms. Only Rasa training data has a place for them; otherwise each term is a finding.
    pub fn add_terms(&mut self, terms: Vec<Term>) {
        if matches!(self.sink, Sink::Rasa(..)) {
            self.terms.extend(terms);
            return;
        }
        self.written.findings.extend(terms.into_iter().map(|term| {
            let name = botops_text::display(&term.name, 40);
            let message = format!("the {} `{name}` is not carried over", term.kind.name());
            let help = "keep it in a file of its own: `--terms FILE.yml`";
            Finding::new("BOT-2166", Severity::Warning, message, help).at(term.place)
        }));
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish(mut self) -> io::Result<Written> {
        let out = match self.sink {
            Sink::Table(writer) => {
                writer.into_inner().map_err(::csv::IntoInnerError::into_error)?
            }
            Sink::Jsonl(out) => out,
            Sink::Json(mut out, _) => {
                out.write_all(b"\n]\n")?;
                out
            }
            Sink::Parquet(mut writer, group) => {
                if !group.is_empty() {
                    write_group(&mut writer, &group)?;
                }
                writer.finish().map_err(io::Error::other)?;
                return Ok(self.written);
            }
            Sink::Rasa(mut out, rasa) => {
                rasa.write(&self.terms, &mut out)?;
                self.written.findings.extend(rasa.omitted());
                out
            }
        };
        out.finish()?;
        Ok(self.written)
    }
}

/// Returns the error of the file that `error` holds.
fn unwritten(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn row(record: &Record) -> Row<'_> {
    Row {
        text: &record.text,
        intent: record.intent.as_deref(),
        lang: record.lang.as_deref(),
        entities: &record.entities,
    }
}

fn write_group(writer: &mut BatchedWriter<Out<'_>>, group: &[Record]) -> io::Result<()> {
    let frame = parquet::records_frame(group).map_err(io::Error::other)?;
    writer.write_batch(&frame).map_err(io::Error::other)
}

/// A file that is packed while it is written.
pub enum Packed<'a> {
    /// Not packed.
    Plain(Out<'a>),
    /// Packed by gzip.
    Gzip(Box<flate2::write::GzEncoder<Out<'a>>>),
    /// Packed by zstd.
    Zstd(Box<zstd::stream::write::Encoder<'static, Out<'a>>>),
}

impl<'a> Packed<'a> {
    /// Begins a file in `out`.
    ///
    /// # Errors
    /// Those of the packer.
    pub fn new(packing: Packing, out: Out<'a>) -> io::Result<Self> {
        Ok(match packing {
            Packing::Plain => Self::Plain(out),
            // The header has no name and no time, so that the same records give the same bytes.
            Packing::Gzip => Self::Gzip(Box::new(flate2::write::GzEncoder::new(
                out,
                flate2::Compression::default(),
            ))),
            Packing::Zstd => Self::Zstd(Box::new(zstd::stream::write::Encoder::new(out, 0)?)),
        })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.finish()?.flush(),
            Self::Zstd(out) => out.finish()?.flush(),
        }
    }
}

impl Write for Packed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EntitySpan, ReadOptions, read_bytes};
    use proptest::prelude::*;

    fn written(format: Format, packing: Packing, records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = RecordWriter::begin(format, packing, &mut bytes).unwrap();
        // In two parts.
        let (first, second) = records.split_at(records.len() / 2);
        writer.add(first, |_| Place::default()).unwrap();
        writer.add(second, |_| Place::default()).unwrap();
        let written = writer.finish().unwrap();
        assert_eq!((written.records_out, written.records_left_out), (records.len() as u64, 0));
        bytes
    }

    proptest! {
        #[test]
        fn any_records_are_read_back_in_every_format(
            rows in prop::collection::vec(
                ("[a-zé🙂,;\"'=\r\n\t\\\\ ]{1,9}", prop::option::of("[a-zé,\"]{1,5}"), prop::option::of("[a-z]{2}"), prop::option::of("[a-z\"]{1,3}")),
                1..7,
            ),
            packing in prop::sample::select(vec![Packing::Plain, Packing::Gzip, Packing::Zstd]),
        ) {
            let records: Vec<Record> = rows.into_iter().zip(1..).map(|((text, intent, lang, role), i)| Record {
                entities: role.map(|role| EntitySpan { role: Some(role), ..EntitySpan::new("e", "v", 0, 1) }).into_iter().collect(),
                text, intent, lang, record: i, line: i, file: None,
            }).collect();
            for (name, format) in Format::ALL {
                if format == Format::Rasa {
                    continue;
                }
                let bytes = written(format, packing, &records);
                let options = ReadOptions { format: Some(format), intent: crate::Presence::Optional, ..ReadOptions::default() };
                let back = read_bytes(&bytes, "x", &options).unwrap();
                let bare = |records: &[Record]| -> Vec<_> {
                    records.iter().map(|r| (r.text.clone(), r.intent.clone(), r.lang.clone(), r.entities.clone(), r.record)).collect()
                };
                prop_assert_eq!(bare(&back.records), bare(&records), "{}", name);
            }
        }
    }

    #[test]
    fn many_groups_are_one_file() {
        let records: Vec<Record> = (0..GROUP as u64 + 10)
            .map(|i| Record {
                text: format!("text {i}"),
                intent: Some("a".to_owned()),
                lang: None,
                entities: Vec::new(),
                record: i + 1,
                line: i + 1,
                file: None,
            })
            .collect();
        let bytes = written(Format::Parquet, Packing::Plain, &records);
        let back = read_bytes(&bytes, "a.parquet", &ReadOptions::default()).unwrap();
        assert_eq!(back.records, records);
    }
}
