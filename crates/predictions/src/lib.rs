//! The prediction log: what a bot was asked and what its model said, one record a message.
//!
//! In: records of a server, and verdicts on them. Out: segments and Parquet files in the store of an environment, and the
//! answers to queries over them.
//!
//! - a [`Record`] is one message as the model saw it; its text is redacted, hashed or left out ([`TextPolicy`])
//! - a [`PredictionLog`] gathers records in the local folder of a server, in segments of zstd frames, and never makes a
//!   request wait; [`ship`] moves full segments to the store
//! - an [`Hour`] is the records of one hour: [`compact`] makes one Parquet file of its segments, without duplicates
//! - a [`Query`] reads one file at a time, so that memory is bounded by the largest one
//!
//! A record is telemetry: it is not acknowledged, and a crash loses those of the group that was not yet synced.

mod columns;
mod compaction;
#[cfg(test)]
mod disk_tests;
mod export;
mod forgetting;
mod hour;
mod ids;
mod layout;
mod log_state;
mod parquet;
mod prediction_log;
mod query;
mod record;
mod retention;
mod segment;
mod shipping;
mod spool;
mod verdict;

pub use compaction::{Compacted, compact};
pub use export::{ExportFormat, RecordExport};
pub use forgetting::{Forgotten, forget};
pub use hour::{Hour, hour_keys, hours, stray_folders};
pub use layout::HourKey;
pub use log_state::log_state;
pub use prediction_log::{LogCounts, NameOf, PredictionLog, PredictionLogSettings, RawRecord};
pub use query::{Answered, Filter, GroupKey, LabelDelay, Query, Row, unknown_messages};
pub use record::{Likely, Record, RecordKey, SCHEMA, TextPolicy, six_digits};
pub use retention::{Expired, MOST_HOURS, Pass, Removal, expire, removals, wrong_clocks};
pub use segment::{Segment, SegmentWriter, read_segment};
pub use shipping::{Shipped, oldest_waiting, ship};
pub use spool::{Spool, SpoolState};
pub use verdict::{
    Satisfaction, SourceClass, Truth, VERDICT_SCHEMA, Verdict, Verdicts, read_verdicts,
    record_verdicts, resolve, stored_verdicts,
};
