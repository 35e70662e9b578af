//! The settings of traces, checked.

use botops_findings::{Fault, Result};
use botops_http::{
    Url,
    header::{HeaderName, HeaderValue},
};
use botops_workspace::Secret;
use std::time::Duration;

/// The longest time of one request to the collector, where nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The decision which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a request with a `traceparent` is traced if its caller traces it, and only then.
    pub follows_caller: bool,
    /// The share of the other requests, in [0, 1].
    pub ratio: f64,
}

impl Default for Sampler {
    /// As OpenTelemetry: as the caller does, and every request without one.
    fn default() -> Self {
        Self { follows_caller: true, ratio: 1.0 }
    }
}

impl Sampler {
    /// Returns the sampler with this name of OpenTelemetry, such as `parentbased_traceidratio`, and its argument.
    ///
    /// # Errors
    /// `BOT-6290` (exit 2) there is no such sampler, or the argument is not a share between 0 and 1.
    pub fn named(name: &str, ratio: Option<f64>) -> Result<Self> {
        let share = ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&share) {
            return Err(unusable(format!("the share `{share}` is not between 0 and 1")));
        }
        let (kind, follows_caller) = match name.strip_prefix("parentbased_") {
            Some(kind) => (kind, true),
            None => (name, false),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => share,
            _ => {
                let shown = botops_text::display(name, 40);
                return Err(unusable(format!("there is no sampler `{shown}`")).hint(
                    "expected `always_on`, `always_off` or `traceidratio`, each also with `parentbased_` before it",
                ));
            }
        };
        Ok(Self { follows_caller, ratio })
    }

    /// Decides on the trace `id`; `caller` says whether its caller records it.
    pub(crate) fn takes(&self, id: &[u8; 16], caller: Option<bool>) -> bool {
        match caller {
            Some(is_sampled) if self.follows_caller => is_sampled,
            // The last 7 bytes are random, also in ids of others.
            _ => {
                let mut low = [0; 8];
                low[1..].copy_from_slice(&id[9..]);
                // A share of 1 takes all, though the largest number is rounded up.
                self.ratio >= 1.0
                    || (u64::from_be_bytes(low) as f64) < self.ratio * (1_u64 << 56) as f64
            }
        }
    }
}

/// The settings of traces, checked.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The address to which spans are sent.
    pub(crate) url: Url,
    /// The headers of each request, which may hold a token: sensitive, so that they are not shown.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The attributes of this server, `service.name` among them.
    pub(crate) resource: Vec<(String, String)>,
    /// The decision which requests are traced.
    pub(crate) sampler: Sampler,
    /// The longest time of one request to the collector.
    pub(crate) timeout: Duration,
}

impl TraceSettings {
    /// Makes settings of the address to which spans are sent, such as `http://127.0.0.1:4318/v1/traces`.
    ///
    /// # Errors
    /// `BOT-6290` (exit 2) it is not an `http://` or `https://` URL, or has a user or a password.
    pub fn new(url: &str) -> Result<Self> {
        let shown = match url.contains('@') {
            true => "[redacted]".to_owned(),
            false => botops_text::display(url, 80),
        };
        let hint = "write it as `http://127.0.0.1:4318`, the address of an OTLP receiver for HTTP";
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
            .ok_or_else(|| {
                unusable(format!("the endpoint is not an `http://` or `https://` URL: `{shown}`"))
                    .hint(hint)
            })?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(unusable("the endpoint has a user or a password")
                .hint("give a token as a header: `headers: {authorization: \"${env:NAME}\"}`"));
        }
        Ok(Self {
            url: parsed,
            headers: Vec::new(),
            resource: vec![("service.name".to_owned(), "botops".to_owned())],
            sampler: Sampler::default(),
            timeout: TIMEOUT,
        })
    }

    /// Adds a header of each request.
    ///
    /// # Errors
    /// `BOT-6290` (exit 2) it cannot be sent. The fault does not show its value.
    pub fn header(mut self, name: &str, value: &Secret) -> Result<Self> {
        let shown = botops_text::display(name, 60);
        let fault = |why: &str| unusable(format!("the header `{shown}` {why}"));
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| fault("has a name that cannot be sent"))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| fault("has a value that cannot be sent"))?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }

    /// Sets an attribute of this server, such as `service.name`; an empty value leaves it as it is.
    #[must_use]
    pub fn resource(mut self, key: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.resource.retain(|(known, _)| known != key);
            self.resource.push((key.to_owned(), value.to_owned()));
        }
        self
    }

    /// Sets the decision which requests are traced.
    #[must_use]
    pub fn sampler(self, sampler: Sampler) -> Self {
        Self { sampler, ..self }
    }

    /// Sets the longest time of one request to the collector.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Returns the place of the collector, for people: without path and query, which may hold a key.
    #[must_use]
    pub fn shown(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map_or_else(String::new, |port| format!(":{port}"));
        format!("{}://{host}{port}", self.url.scheme())
    }
}

fn unusable(problem: impl std::fmt::Display) -> Fault {
    Fault::usage("BOT-6290", format!("traces cannot be sent: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampler_of_opentelemetry_is_read_by_its_name() {
        let named = |name| Sampler::named(name, Some(0.25)).unwrap();
        let of = |follows_caller, ratio| Sampler { follows_caller, ratio };
        assert_eq!(named("parentbased_always_on"), Sampler::default());
        assert_eq!(named("parentbased_traceidratio"), of(true, 0.25));
        assert_eq!(named("always_off"), of(false, 0.0));
        for (name, ratio) in [("jaeger_remote", None), ("", None), ("traceidratio", Some(1.5))] {
            let fault = Sampler::named(name, ratio).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6290", 2), "{name}");
        }
    }

    #[test]
    fn the_share_of_sampled_traces_is_that_of_the_settings() {
        let ids = crate::span_ids::SpanIds::new();
        let sampler = Sampler { follows_caller: true, ratio: 0.25 };
        let n = (0..20_000).filter(|_| sampler.takes(&ids.trace(), None)).count();
        assert!((4_500..5_500).contains(&n), "{n} of 20,000");
        assert!(sampler.takes(&[0xff; 16], Some(true)) && !sampler.takes(&[0; 16], Some(false)));
        let alone = Sampler { follows_caller: false, ratio: 0.0 };
        assert!(!alone.takes(&[1; 16], Some(true)));
        assert!(Sampler { follows_caller: false, ratio: 1.0 }.takes(&[0xff; 16], Some(false)));
    }

    #[test]
    fn an_endpoint_or_header_that_cannot_be_used_is_refused_and_no_secret_is_shown() {
        for url in ["", "collector:4318", "grpc://a", "http://", "http://user:hunter2@a:4318"] {
            let fault = TraceSettings::new(url).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6290", 2), "{url}");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
        let settings = TraceSettings::new("https://a.example:4318/v1/traces?key=hunter2").unwrap();
        assert_eq!(settings.shown(), "https://a.example:4318");
        let token = Secret::new("Bearer hunter2");
        let with = settings.clone().header("authorization", &token).unwrap();
        assert!(!format!("{:?}", with.headers).contains("hunter2"));
        for (name, value) in [("a b", "hunter2"), ("a", "hunter2\u{1}")] {
            let fault = settings.clone().header(name, &Secret::new(value)).unwrap_err();
            assert_eq!(fault.code(), "BOT-6290");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
    }
}
