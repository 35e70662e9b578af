//! Data sets: records, formats, tables, reading and writing.
//!
//! In: a file somebody made (CSV, TSV, JSONL, JSON, Parquet, Rasa; packed or not). Out: rows and [`Record`]s with their
//! place in the file, and files that are complete or absent.

pub mod column_roles;
pub mod formats;
pub mod opening;
pub mod read;
mod read_options;
mod reading;
mod record;
pub mod table;
mod traffic;
pub mod value;
pub mod write;
pub mod writing;

pub use formats::{
    parquet::{is_parsing_parquet, write_parquet},
    rasa::{Term, TermKind},
};
pub use opening::{Format, Limits, Opened, Packing, Progress, STDIN, expand, open, unread};
pub use read::{bytes, entities, read, read_bytes};
pub use read_options::{Presence, ReadOptions};
pub use reading::{Besides, Stream, stream, stream_bytes};
pub use record::{Dataset, EntitySpan, Record, Rejected, part};
pub use table::rows::{RecordRows, Source, TableRows};
pub use traffic::{Traffic, TrafficRecord, read_traffic, read_traffic_bytes};
pub use value::ValueType;
pub use write::{csv_bytes, spreadsheet_csv, write_csv};
pub use writing::{RecordWriter, Written};

#[cfg(test)]
mod tests;
