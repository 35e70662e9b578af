//! Data sets: records and tables, their file formats, reading and writing.
//!
//! In: a file in CSV, TSV, JSONL, JSON, Parquet or Rasa training data, packed or not. Out: rows of all columns
//! ([`table`]), or [`Record`]s with their place in the file. Files that are written are complete or unchanged.

pub mod column_roles;
pub mod formats;
mod notices;
pub mod opening;
mod read_options;
mod reading;
mod record;
pub mod table;
mod traffic;
pub mod value;
pub mod writing;

pub use formats::{
    csv::{
        csv_bytes, csv_parts, csv_with_other_columns, part, rows_csv, rows_tsv, spreadsheet_csv,
        write_csv,
    },
    encoding::Encoding,
    parquet::{is_parsing_parquet, write_parquet},
    rasa::{NonRecords, Term, TermKind},
};
pub use notices::{NOTICES, take_notices};
pub use opening::{Format, Limits, Packing, STDIN, bytes, expand};
pub use read_options::{Presence, ReadOptions};
pub use reading::{
    Stream, read, read_bytes, read_bytes_with_rows, read_origin, read_with_rows, stream,
    stream_bytes,
};
pub use record::{Dataset, EntitySpan, Record, Rejected, entities, entities_cell, record_place};
pub use table::rows::{RecordRows, Source, TableRows};
pub use traffic::{Traffic, TrafficRecord, read_traffic, read_traffic_bytes};
pub use value::ValueType;
pub use writing::{RecordWriter, Written};

#[cfg(test)]
mod tests;
