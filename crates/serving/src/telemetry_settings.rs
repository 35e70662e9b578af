//! The settings of traces and of the log file.

use botops_telemetry::{LogFileSettings, TraceSettings};

/// The settings of traces and of the log file. By default there are neither.
#[derive(Debug, Clone, Default)]
pub struct TelemetrySettings {
    /// Where spans go; `None` for no traces.
    pub traces: Option<TraceSettings>,
    /// The file of the request log; `None` for the stream of [`crate::RequestLog`], which gets lines while the file cannot be
    /// written.
    pub log_file: Option<LogFileSettings>,
}
