//! The settings of traces and of the log file.

use super::{Sources, tidy};
use crate::{
    origin::Origin,
    secret::{Secret, SecretSource},
    settings::Setting,
    telemetry::{Log, LogSpec, Traces, TracesSpec},
};
use botops_findings::Result;

impl Sources<'_> {
    /// Returns the traces: the variables of OpenTelemetry, and else the block of the profile or of the file, with the
    /// references of its secrets read and not resolved.
    ///
    /// # Errors
    /// `BOT-1021` (exit 2) a header is written out and not a reference.
    pub(super) fn traces(&self) -> Result<Setting<Traces>> {
        let (spec, written) = self.traces_block();
        let variable = |name: &str| self.environment(&[name]).map(|setting| setting.value);
        let either =
            |of_traces: &str, of_all: &str| variable(of_traces).or_else(|| variable(of_all));
        let whole = self.environment(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);
        let is_whole = whole.is_some();
        let endpoint = whole.or_else(|| self.environment(&["OTEL_EXPORTER_OTLP_ENDPOINT"]));
        let is_off = variable("OTEL_SDK_DISABLED")
            .is_some_and(|it| it.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|it| it.trim() == "none");
        let is_of_variable = endpoint.is_some();
        let (endpoint, origin) = match endpoint {
            Some(Setting { value, origin }) => (Some(value), origin),
            None => (spec.endpoint.clone(), written.clone()),
        };
        let header = |(name, reference): (&String, &String)| {
            let place = self.place(&format!("traces.headers.{name}"), &written);
            let environment = &self.overrides.environment;
            let source = SecretSource::parse(reference, &self.root, environment, place)?;
            Ok((name.clone(), source))
        };
        let headers = spec.headers.iter().map(header).collect::<Result<_>>()?;
        let protocol = either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
        let value = Traces {
            endpoint: endpoint.filter(|_| !is_off),
            is_whole,
            headers,
            headers_text: either("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
                .map(Secret::new),
            // It says nothing of an address of the file, which is always one for HTTP.
            protocol: protocol.filter(|_| is_of_variable),
            service_name: variable("OTEL_SERVICE_NAME").or_else(|| spec.service_name.clone()),
            resource: variable("OTEL_RESOURCE_ATTRIBUTES"),
            sampler: variable("OTEL_TRACES_SAMPLER").or_else(|| spec.sampler.clone()),
            ratio: variable("OTEL_TRACES_SAMPLER_ARG").or(spec.ratio.map(|it| it.to_string())),
            timeout: either("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
                .or_else(|| spec.timeout.clone()),
        };
        Ok(Setting { value, origin })
    }

    /// Returns the block of the profile, or else that of the file.
    fn traces_block(&self) -> (&TracesSpec, Origin) {
        let is_set = |spec: &TracesSpec| *spec != TracesSpec::default();
        match &self.profile {
            Some((name, profile)) if is_set(&profile.traces) => {
                (&profile.traces, Origin::Profile(name.clone()))
            }
            _ if is_set(&self.file.traces) => {
                (&self.file.traces, Origin::File(self.at_line("traces")))
            }
            _ => (&self.file.traces, Origin::Default),
        }
    }

    /// Returns the log file.
    pub(super) fn log(&self) -> Setting<Log> {
        let is_set = |spec: &LogSpec| *spec != LogSpec::default();
        let (spec, origin) = match &self.profile {
            Some((name, profile)) if is_set(&profile.log) => {
                (&profile.log, Origin::Profile(name.clone()))
            }
            _ if is_set(&self.file.log) => (&self.file.log, Origin::File(self.at_line("log"))),
            _ => (&self.file.log, Origin::Default),
        };
        let (file, origin) = match self.environment(&["BOTOPS_LOG_FILE"]) {
            Some(Setting { value, origin }) => (Some(tidy(&self.start.join(value))), origin),
            None => (spec.file.as_ref().map(|file| tidy(&self.root.join(file))), origin),
        };
        Setting { value: Log { file, max_bytes: spec.max_bytes.clone(), keep: spec.keep }, origin }
    }
}
