//! The traces and the log file of a server: the blocks `traces` and `log`.

use crate::secret::{Secret, SecretSource};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The block `traces:` of `botops.yaml` or of a profile; the block of a profile replaces that of the file. The variables of
/// OpenTelemetry, such as `OTEL_EXPORTER_OTLP_ENDPOINT`, replace single settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSpec {
    /// The address of an OTLP receiver for HTTP, such as `http://127.0.0.1:4318`; spans go to `/v1/traces` there. Without it,
    /// nothing is traced.
    pub endpoint: Option<String>,
    /// The headers of each request to it, by reference: `${env:NAME}` or `${file:PATH}`.
    pub headers: BTreeMap<String, String>,
    /// The name of the service (default `botops`).
    pub service_name: Option<String>,
    /// The requests that are traced: `always_on`, `always_off` or `traceidratio`, or one of them with `parentbased_` before
    /// it, which follows a caller that sends `traceparent` (default `parentbased_always_on`).
    pub sampler: Option<String>,
    /// The share of the requests that `traceidratio` takes, between 0 and 1.
    pub ratio: Option<f64>,
    /// The longest time of one request to the receiver (default `10s`).
    pub timeout: Option<String>,
}

/// The block `log:` of `botops.yaml` or of a profile; the block of a profile replaces that of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSpec {
    /// The file that a server writes its log to, relative to this file; without it, the log goes to standard error.
    pub file: Option<String>,
    /// The size from which the file is rotated (default `100MiB`).
    pub max_bytes: Option<String>,
    /// The number of rotated files that are kept, `server.log.1` being the newest (default 5).
    pub keep: Option<u32>,
}

/// The traces of a server, as they are written. A server checks them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Traces {
    /// The address; `None` for no traces.
    pub endpoint: Option<String>,
    /// Whether the address is whole, and `/v1/traces` is not added to it.
    pub is_whole: bool,
    /// The headers, with their references.
    #[serde(skip)]
    pub headers: Vec<(String, SecretSource)>,
    /// The headers in the form of `OTEL_EXPORTER_OTLP_HEADERS`, which replace the others.
    #[serde(skip)]
    pub headers_text: Option<Secret>,
    /// The protocol that a variable asks for.
    pub protocol: Option<String>,
    /// The name of the service.
    pub service_name: Option<String>,
    /// Attributes of the server in the form of `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Option<String>,
    /// The name of the sampler.
    pub sampler: Option<String>,
    /// The argument of the sampler.
    pub ratio: Option<String>,
    /// The longest time of one request: a time, or a number of milliseconds.
    pub timeout: Option<String>,
}

/// The log file of a server, as it is written. A server checks it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Log {
    /// The file; absolute.
    pub file: Option<PathBuf>,
    /// The size from which it is rotated.
    pub max_bytes: Option<String>,
    /// The number of rotated files.
    pub keep: Option<u32>,
}
