//! Telemetry of a server: traces for an OpenTelemetry collector, and log files that rotate.
//!
//! In: spans, which the code that does the work makes, and lines of a log. Out: requests of OTLP over HTTP, and files.
//!
//! - [`TraceContext`] reads and writes the W3C headers `traceparent` and `tracestate`
//! - [`Tracer`] decides which requests are traced, and [`Tracer::export`] sends their spans
//! - [`child`] makes a span of the request under way; without one it returns `None` after one look-up
//! - [`LogFile`] is a file that is rotated by size, and opened again when it was moved
//!
//! No request waits for any of them: what the bounded queue does not take is dropped and counted.

mod collector;
mod ended;
#[cfg(test)]
mod export_tests;
mod log_file;
mod log_metrics;
mod otlp;
mod span;
mod span_ids;
mod span_queue;
mod trace_context;
mod trace_metrics;
mod trace_settings;
mod tracer;

pub use ended::{Kind, Value};
pub use log_file::{LogFile, LogFileSettings};
pub use log_metrics::LogMetrics;
pub use span::{Link, Span, annotate, carry, child, link, scoped, timed, timed_wait};
pub use span_queue::Said;
pub use trace_context::TraceContext;
pub use trace_metrics::TraceMetrics;
pub use trace_settings::{Sampler, TraceSettings};
pub use tracer::Tracer;
