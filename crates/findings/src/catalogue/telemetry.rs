//! Codes of traces and log files.

use super::Entry;
use crate::FaultKind;

/// The entries of traces and log files.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6290",
        kind: Some(FaultKind::Usage),
        title: "a setting of traces cannot be used",
        explanation: "The endpoint of `traces:` in botops.yaml, or of `OTEL_EXPORTER_OTLP_ENDPOINT`, must be an `http://` or `https://` URL of an OTLP receiver for HTTP with protocol buffers, without user and password; a token is a header, by reference. A sampler has one of the names of OpenTelemetry, such as `parentbased_traceidratio`, and its argument is a share between 0 and 1. `OTEL_EXPORTER_OTLP_PROTOCOL` may only be `http/protobuf`. See `docs/operations/logging.md`.",
    },
    Entry {
        code: "BOT-6291",
        kind: None,
        title: "the trace collector takes no spans",
        explanation: "The server cannot deliver spans: the collector does not answer, answers with an error (401 and 403: check the token in the headers; 404: the address is no OTLP receiver for HTTP), or refuses spans. Requests are answered as before. The log says this once, and once more when the collector takes spans again. `botops_trace_collector_failing` is 1 meanwhile, and `botops_trace_spans_total` counts the spans by outcome.",
    },
    Entry {
        code: "BOT-6292",
        kind: Some(FaultKind::Internal),
        title: "the log file cannot be opened",
        explanation: "The folder of `log.file` must exist, and the user of the server must be able to make files in it. The server does not start without the log that it was asked for.",
    },
    Entry {
        code: "BOT-6293",
        kind: None,
        title: "the log file cannot be written",
        explanation: "A running server cannot write its log file, for instance because the disk is full. Lines go to standard error until it can; the file is tried again every second. `botops_log_file_failing` is 1 meanwhile.",
    },
    Entry {
        code: "BOT-6294",
        kind: Some(FaultKind::Conflict),
        title: "another process writes the log file",
        explanation: "Two servers must not write one log file: each would rotate it under the other. Give each its own `log.file`, or set `BOTOPS_LOG_FILE` for one of them.",
    },
    Entry {
        code: "BOT-6295",
        kind: Some(FaultKind::Usage),
        title: "a setting of the log file cannot be used",
        explanation: "`log.max_bytes` is a size of at least 64 KiB, such as `100MiB`, and `log.keep` the number of rotated files, from 1 to 1,000. Both need `log.file`.",
    },
    Entry {
        code: "BOT-6296",
        kind: None,
        title: "the headers for the trace collector cross the network as plain text",
        explanation: "`traces.headers` often hold a token, and `traces.endpoint` is an `http://` address of another machine, so everyone on the way can read it. Use the `https://` address of the collector, or a collector on this machine that forwards the spans. `botops doctor --strict` fails on it.",
    },
];
