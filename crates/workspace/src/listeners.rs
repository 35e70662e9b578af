//! The listeners of a server: limits, TLS and metrics.

use crate::{
    origin::Origin,
    resolve::{Sources, tidy},
    settings::{Limits, Setting, Tls},
    spec::{LimitsSpec, ServerSpec, TlsSpec},
};
use botops_findings::{Fault, Result};
use std::{ops::RangeInclusive, time::Duration};

/// The range of a time limit.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

impl Sources<'_> {
    /// Returns the limits of connections and requests, each of the profile, or else of the file.
    ///
    /// # Errors
    /// `BOT-1088` (exit 2) one is out of range, or no duration.
    pub(super) fn limits(&self) -> Result<Limits> {
        let most = 1_000_000;
        let longest_uri = 65_534;
        let limits = Limits {
            connections: self.count("connections", 1..=most, |it| it.connections)?,
            per_address: self.count("per_address", 1..=most, |it| it.per_address)?,
            handshake_timeout: self
                .time("handshake_timeout", |it| it.handshake_timeout.as_ref())?,
            headers_timeout: self.time("headers_timeout", |it| it.headers_timeout.as_ref())?,
            request_timeout: self.time("request_timeout", |it| it.request_timeout.as_ref())?,
            idle_timeout: self.time("idle_timeout", |it| it.idle_timeout.as_ref())?,
            write_timeout: self.time("write_timeout", |it| it.write_timeout.as_ref())?,
            headers: self.count("headers", 8..=1_000, |it| it.headers)?,
            header_bytes: self.count("header_bytes", 8_192..=1 << 20, |it| it.header_bytes)?,
            uri_bytes: self.count("uri_bytes", 64..=longest_uri, |it| it.uri_bytes)?,
            streams: self.count("streams", 1..=10_000, |it| it.streams)?,
            websocket_ping: self.time("websocket_ping", |it| it.websocket_ping.as_ref())?,
            websocket_idle: self.time("websocket_idle", |it| it.websocket_idle.as_ref())?,
            batch_bytes: self.count("batch_bytes", 1_024..=1 << 30, |it| it.batch_bytes)?,
            batch_lines: self.count("batch_lines", 1..=most, |it| it.batch_lines)?,
            batch_wait: self.time("batch_wait", |it| it.batch_wait.as_ref())?,
        };
        Ok(limits)
    }

    /// Returns the limit `name`, with its key and its place.
    fn limit<T>(
        &self,
        name: &str,
        of: impl Fn(&LimitsSpec) -> Option<T>,
    ) -> (String, Setting<Option<T>>) {
        let key = format!("server.limits.{name}");
        let setting = self.optional_of_server(&key, |server| of(&server.limits));
        (key, setting)
    }

    fn count(
        &self,
        name: &str,
        range: RangeInclusive<u32>,
        of: impl Fn(&LimitsSpec) -> Option<u32>,
    ) -> Result<Setting<Option<u32>>> {
        let (key, setting) = self.limit(name, of);
        match setting.value {
            Some(value) if !range.contains(&value) => {
                let message = format!(
                    "`{key}` is {value}: it must be from {} to {}",
                    range.start(),
                    range.end()
                );
                let place = self.place(&key, &setting.origin);
                Err(Fault::usage("BOT-1088", message).at(place))
            }
            _ => Ok(setting),
        }
    }

    fn time<'a>(
        &'a self,
        name: &str,
        of: impl Fn(&'a LimitsSpec) -> Option<&'a String>,
    ) -> Result<Setting<Option<Duration>>> {
        let key = format!("server.limits.{name}");
        let Setting { value, origin } =
            self.optional_of_server(&key, |server: &'a ServerSpec| of(&server.limits));
        let fault = |problem: String| {
            Fault::usage("BOT-1088", format!("`{key}` {problem}"))
                .at(self.place(&key, &origin))
                .hint("write a duration from `100ms` to `1h`, such as `10s`")
        };
        let value = match value {
            None => None,
            Some(text) => {
                let shown = botops_text::display(text, 40);
                let time = humantime::parse_duration(text)
                    .map_err(|error| fault(format!("is not a duration: `{shown}` ({error})")))?;
                if !TIMES.contains(&time) {
                    return Err(fault(format!("is out of range: `{shown}`")));
                }
                Some(time)
            }
        };
        Ok(Setting { value, origin })
    }

    /// Returns the TLS of a listener; relative paths start at the folder of the file.
    ///
    /// # Errors
    /// `BOT-1090` (exit 2) the oldest version is unknown.
    pub(super) fn tls(
        &self,
        key: &str,
        of: impl Fn(&ServerSpec) -> Option<&TlsSpec>,
    ) -> Result<Setting<Option<Tls>>> {
        let Setting { value, origin } = self.optional_of_server(key, |server| of(server).cloned());
        let Some(spec) = value else { return Ok(Setting { value: None, origin }) };
        let needs_1_3 = match spec.min_version.as_deref() {
            None | Some("1.2") => false,
            Some("1.3") => true,
            Some(other) => {
                let shown = botops_text::display(other, 40);
                let key = format!("{key}.min_version");
                let message = format!("`{key}` is `{shown}`: it must be `1.2` or `1.3`");
                let place = self.place(&key, &origin);
                return Err(Fault::usage("BOT-1090", message).at(place));
            }
        };
        let path = |path: &str| tidy(&self.root.join(path));
        let (certificate, private_key) = (path(&spec.certificate), path(&spec.key));
        Ok(Setting { value: Some(Tls { certificate, key: private_key, needs_1_3 }), origin })
    }

    /// Returns whether everyone may read the metrics.
    ///
    /// # Errors
    /// `BOT-1091` (exit 2) another word than `admin` and `open`.
    pub(super) fn open_metrics(&self) -> Result<Setting<bool>> {
        let key = "server.metrics";
        let Setting { value, origin } =
            self.optional_of_server(key, |server| server.metrics.clone());
        let value = match value.as_deref() {
            None | Some("admin") => false,
            Some("open") => true,
            Some(other) => {
                let shown = botops_text::display(other, 40);
                let message = format!("`{key}` is `{shown}`: it must be `admin` or `open`");
                let place = self.place(key, &origin);
                return Err(Fault::usage("BOT-1091", message).at(place));
            }
        };
        Ok(Setting { value, origin })
    }

    /// Returns whether the public listener serves a chat page.
    pub(super) fn chat_page(&self) -> Setting<bool> {
        let Setting { value, origin } =
            self.optional_of_server("server.chat_page", |server| server.chat_page);
        Setting { value: value.unwrap_or(false), origin }
    }

    /// Returns a value of the block `server:` of the profile, or else of the file.
    fn optional_of_server<'a, T>(
        &'a self,
        key: &str,
        of: impl Fn(&'a ServerSpec) -> Option<T>,
    ) -> Setting<Option<T>> {
        if let Some((name, profile)) = &self.profile
            && let Some(value) = of(&profile.server)
        {
            return Setting { value: Some(value), origin: Origin::Profile(name.clone()) };
        }
        match of(&self.file.server) {
            Some(value) => Setting { value: Some(value), origin: Origin::File(self.at_line(key)) },
            None => Setting { value: None, origin: Origin::Default },
        }
    }
}
