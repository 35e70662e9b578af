//! The traces and the log file of a server, by the settings of the workspace.

use super::placed::placed;
use botops_findings::{Fault, Finding, Result, Severity};
use botops_http::{PlainHttp, Url};
use botops_serving::{LogFileSettings, Sampler, TelemetrySettings, TraceSettings};
use botops_workspace::{Secret, Traces, Workspace};
use std::time::Duration;

/// The only protocol.
const PROTOCOL: &str = "http/protobuf";
/// The path of traces at an address of a receiver.
const PATH: &str = "/v1/traces";
/// The default of `log.max_bytes`, and the least that it may be.
const MAX_BYTES: (u64, u64) = (100 << 20, 64 << 10);
/// The default of `log.keep`, and the most that it may be.
const KEEP: (u32, u32) = (5, 1_000);

/// Returns the traces and the log file.
///
/// # Errors
/// Those of [`traces`] and [`log_file`].
pub(super) fn settings(workspace: &Workspace) -> Result<TelemetrySettings> {
    Ok(TelemetrySettings { traces: traces(workspace)?, log_file: log_file(workspace)? })
}

/// Returns the settings of traces; `None` if nothing is traced.
///
/// # Errors
/// `BOT-6290` (exit 2) with the place of the setting; `BOT-1021` (exit 2) a header cannot be read.
pub(super) fn traces(workspace: &Workspace) -> Result<Option<TraceSettings>> {
    let setting = &workspace.traces;
    let Some(endpoint) = &setting.value.endpoint else { return Ok(None) };
    read(&setting.value, endpoint, &workspace.environment.value)
        .map(Some)
        .map_err(|fault| placed(workspace, "traces", setting, fault))
}

/// Returns that the headers for the collector can be read on their way; `None` if there are none, or if they cannot.
pub(super) fn warning(workspace: &Workspace) -> Option<Finding> {
    let traces = &workspace.traces.value;
    let has_headers = traces.headers_text.is_some() || !traces.headers.is_empty();
    let url: Url = traces.endpoint.as_deref()?.parse().ok()?;
    PlainHttp::Loopback.check(&url, "a header").err().filter(|_| has_headers)?;
    let host = url.host_str().unwrap_or("?");
    let message = format!("the headers for `{host}` cross the network as plain text");
    let help = "use the `https://` address of the collector, or one on this machine that forwards the spans";
    let place = workspace.place("traces.endpoint", &workspace.traces);
    Some(Finding::new("BOT-6296", Severity::Warning, message, help).at(place))
}

fn read(traces: &Traces, endpoint: &str, environment: &str) -> Result<TraceSettings> {
    if let Some(protocol) = traces.protocol.as_deref().filter(|it| *it != PROTOCOL) {
        let shown = botops_text::display(protocol, 40);
        return Err(unusable(format!("the protocol `{shown}` is not supported")).hint(format!(
            "set `OTEL_EXPORTER_OTLP_PROTOCOL={PROTOCOL}`, and the port of HTTP, 4318"
        )));
    }
    let base = endpoint.trim_end_matches('/');
    let url = match traces.is_whole || base.ends_with(PATH) {
        true => endpoint.to_owned(),
        false => format!("{base}{PATH}"),
    };
    let mut settings = TraceSettings::new(&url)?;
    let attributes = traces.resource.as_deref().map(pairs).transpose()?.unwrap_or_default();
    for (key, value) in &attributes {
        settings = settings.resource(key, value);
    }
    settings = settings
        .resource("deployment.environment.name", environment)
        .resource("service.name", traces.service_name.as_deref().unwrap_or_default());
    settings = match &traces.headers_text {
        Some(text) => {
            pairs(text.expose())?.into_iter().try_fold(settings, |settings, (name, value)| {
                settings.header(&name, &Secret::new(value))
            })?
        }
        None => {
            traces.headers.iter().try_fold(settings, |settings, (name, source)| {
                match source.resolve()? {
                    Some(value) => settings.header(name, &value),
                    None => Ok(settings),
                }
            })?
        }
    };
    if let Some(name) = &traces.sampler {
        settings = settings.sampler(Sampler::named(name.trim(), ratio(traces)?)?);
    } else if let Some(ratio) = ratio(traces)? {
        settings = settings.sampler(Sampler::named("parentbased_traceidratio", Some(ratio))?);
    }
    match &traces.timeout {
        Some(text) => Ok(settings.timeout(timeout(text)?)),
        None => Ok(settings),
    }
}

fn ratio(traces: &Traces) -> Result<Option<f64>> {
    let number = |text: &String| {
        text.trim().parse().map_err(|_| {
            let shown = botops_text::display(text, 40);
            unusable(format!("the share `{shown}` is not a number between 0 and 1"))
        })
    };
    traces.ratio.as_ref().map(number).transpose()
}

/// Reads a time: `10s`, or a number of milliseconds, as OpenTelemetry writes it.
fn timeout(text: &str) -> Result<Duration> {
    let time = match text.trim().parse() {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(_) => humantime::parse_duration(text.trim()),
    };
    let range = Duration::from_millis(100)..=Duration::from_secs(60);
    time.ok().filter(|time| range.contains(time)).ok_or_else(|| {
        let shown = botops_text::display(text, 40);
        unusable(format!("`{shown}` is not a time from 100 ms to 60 s")).hint("write it as `10s`")
    })
}

/// Reads pairs as OpenTelemetry writes them: `key=value,key=value`, with `%20` for a blank. The fault shows none of them.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (decoded(key.trim())?, decoded(value.trim())?);
        (!key.is_empty()).then_some((key, value))
    };
    text.split(',')
        .filter(|text| !text.trim().is_empty())
        .map(|text| {
            pair(text).ok_or_else(|| {
                unusable("headers or attributes are not pairs, such as `key=value,other=value`")
            })
        })
        .collect()
}

/// Reads `%` and two hexadecimal digits as a byte; `None` if that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    String::from_utf8(bytes).ok()
}

fn unusable(problem: impl std::fmt::Display) -> Fault {
    Fault::usage("BOT-6290", format!("traces cannot be sent: {problem}"))
}

/// Returns the settings of the log file; `None` without one.
///
/// # Errors
/// `BOT-6295` (exit 2) with the place of the setting.
pub(super) fn log_file(workspace: &Workspace) -> Result<Option<LogFileSettings>> {
    let setting = &workspace.log;
    let log = &setting.value;
    let wrong = |key: &str, why: &str| {
        let fault = Fault::usage("BOT-6295", format!("`log.{key}` {why}"))
            .hint("see `docs/operations/logging.md`");
        // Without `log.file`, the place is that of the block.
        let key = if key == "file" { "log".to_owned() } else { format!("log.{key}") };
        placed(workspace, &key, setting, fault)
    };
    let max_bytes = match &log.max_bytes {
        None => MAX_BYTES.0,
        Some(text) => bytes(text).filter(|bytes| *bytes >= MAX_BYTES.1).ok_or_else(|| {
            wrong("max_bytes", "is not a size of at least 64 KiB, such as `100MiB`")
        })?,
    };
    let keep = log.keep.unwrap_or(KEEP.0);
    if !(1..=KEEP.1).contains(&keep) {
        return Err(wrong("keep", "is not between 1 and 1000"));
    }
    match &log.file {
        Some(path) => Ok(Some(LogFileSettings { path: path.clone(), max_bytes, keep })),
        None if log.max_bytes.is_some() || log.keep.is_some() => {
            Err(wrong("file", "is not set: nothing is rotated without it"))
        }
        None => Ok(None),
    }
}

/// Reads a size such as `65536`, `64KiB`, `100MiB` or `1GiB`.
fn bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (digits, bits) = unit.unwrap_or((text, 0));
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_workspace::Overrides;
    use std::fs;

    fn of(yaml: &str, variables: &[(&str, &str)]) -> Result<TelemetrySettings> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let overrides = Overrides { environment: environment.collect(), ..Overrides::default() };
        settings(&Workspace::discover(folder.path(), &overrides).unwrap())
    }

    #[test]
    fn traces_come_from_the_file_or_from_the_variables_of_opentelemetry() {
        assert!(of("", &[]).unwrap().traces.is_none(), "a laptop traces nothing");
        let yaml = "traces:\n  endpoint: http://a.example:4318/\n  headers: {authorization: '${env:TOKEN}'}\n  ratio: 0.5\n";
        let token = ("TOKEN", "Bearer hunter2");
        let shown = |variables: &[(&str, &str)]| {
            let traces = of(yaml, variables).unwrap().traces.unwrap();
            let text = format!("{traces:?}");
            assert!(!text.contains("hunter2") && !text.contains("other"), "{text}");
            text
        };
        let text = shown(&[token]);
        assert!(text.contains("\"/v1/traces\"") && text.contains("a.example"), "{text}");
        assert!(text.contains("ratio: 0.5") && text.contains("authorization"), "{text}");
        let text = shown(&[
            token,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b.example/otlp"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=an%20other,y=1"),
            ("OTEL_SERVICE_NAME", "bots"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
        ]);
        assert!(text.contains("\"/otlp/v1/traces\"") && text.contains("b.example"), "{text}");
        assert!(text.contains("x-key") && !text.contains("authorization"), "{text}");
        assert!(text.contains("bots") && text.contains("shop") && text.contains("ratio: 0.0"));
        let whole = [token, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c.example/in")];
        assert!(shown(&whole).contains("\"/in\""));
        let off = [token, ("OTEL_SDK_DISABLED", "true")];
        assert!(of(yaml, &off).unwrap().traces.is_none());
    }

    #[test]
    fn headers_that_everyone_on_the_way_can_read_are_a_warning() {
        let warned = |endpoint: &str, headers: &str| {
            let folder = tempfile::tempdir().unwrap();
            let yaml = format!("traces:\n  endpoint: {endpoint}\n{headers}");
            fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
            let environment = [("T".to_owned(), "hunter2".to_owned())].into();
            let overrides = Overrides { environment, ..Overrides::default() };
            warning(&Workspace::discover(folder.path(), &overrides).unwrap())
        };
        let token = "  headers: {authorization: '${env:T}'}\n";
        let found = warned("http://192.0.2.2:4318", token).unwrap();
        assert_eq!((found.code.as_str(), found.place.line), ("BOT-6296", Some(2)));
        for (endpoint, headers) in [
            ("https://192.0.2.2:4318", token),
            ("http://127.0.0.1:4318", token),
            ("http://192.0.2.2:4318", ""),
        ] {
            assert!(warned(endpoint, headers).is_none(), "{endpoint} {headers}");
        }
    }

    #[test]
    fn a_setting_of_traces_or_the_log_that_cannot_be_used_is_named() {
        let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);
        let cases: [Case<'_>; 9] = [
            ("traces: {endpoint: 'collector:4318'}", &[], "BOT-6290", "URL"),
            ("traces: {endpoint: 'http://a', sampler: some}", &[], "BOT-6290", "`some`"),
            ("traces: {endpoint: 'http://a', ratio: 2}", &[], "BOT-6290", "between 0 and 1"),
            ("traces: {endpoint: 'http://a', timeout: 2h}", &[], "BOT-6290", "60 s"),
            ("", &[collector, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "BOT-6290", "`grpc`"),
            ("", &[collector, ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")], "BOT-6290", "pairs"),
            ("log: {file: a.log, max_bytes: 1KiB}", &[], "BOT-6295", "`log.max_bytes`"),
            ("log: {file: a.log, keep: 0}", &[], "BOT-6295", "`log.keep`"),
            ("log: {keep: 3}", &[], "BOT-6295", "`log.file`"),
        ];
        for (yaml, variables, code, shown) in cases {
            let fault = of(yaml, variables).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), (code, 2), "{yaml}");
            assert!(fault.message().contains(shown), "{yaml}: {fault}");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
            let line = (!yaml.is_empty()).then_some(1);
            assert_eq!(fault.place().line, line, "{yaml} {variables:?}");
        }
    }

    #[test]
    fn a_log_file_has_defaults_and_sizes_with_units() {
        let log = |yaml, variables: &[_]| of(yaml, variables).unwrap().log_file;
        assert_eq!(log("", &[]), None);
        let found = log("log: {file: logs/a.log}", &[]).unwrap();
        assert!(found.path.is_absolute() && found.path.ends_with("logs/a.log"));
        assert_eq!((found.max_bytes, found.keep), (100 << 20, 5));
        let given = [("BOTOPS_LOG_FILE", "/var/log/b.log")];
        let found = log("log: {file: a.log, max_bytes: 1GiB, keep: 9}", &given).unwrap();
        assert_eq!(found.path.to_str(), Some("/var/log/b.log"));
        assert_eq!((found.max_bytes, found.keep), (1 << 30, 9));
    }
}
