//! The receivers of webhooks, as the settings name them.

use crate::{
    WebhookSpec,
    log_event::{KINDS, LogEvent, PHASES},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_http::{SigningKey, Url};
use std::collections::BTreeSet;

/// The most receivers of a server.
const MOST: usize = 16;

/// The most secrets of a receiver: the one in use, and the one before or after it.
const MOST_SECRETS: usize = 2;

/// A receiver, checked.
#[derive(Clone, PartialEq)]
pub(crate) struct Receiver {
    url: Url,
    id: String,
    host: String,
    keys: Vec<SigningKey>,
    /// Kinds of events and phases of rollouts; empty for all.
    events: BTreeSet<String>,
}

/// Checks the webhooks of the settings.
///
/// # Errors
/// `BOT-1070` (exit 2): an address that is no `http://` or `https://` URL, holds a password or comes twice; a secret that is
/// missing or too short, or a third one; an unknown event; more than 16 receivers.
pub(crate) fn check(specs: &[WebhookSpec]) -> Result<Vec<Receiver>> {
    if specs.len() > MOST {
        return Err(unusable(format!("has {} receivers: at most {MOST} are allowed", specs.len())));
    }
    let receivers = specs.iter().map(Receiver::new).collect::<Result<Vec<_>>>()?;
    let mut seen = BTreeSet::new();
    match receivers.iter().find(|receiver| !seen.insert(receiver.id.clone())) {
        Some(twice) => Err(unusable(format!("names one address of `{}` twice", twice.host))),
        None => Ok(receivers),
    }
}

/// The fault of a setting. It never shows an address in full: its path may be a secret.
fn unusable(problem: String) -> Fault {
    Fault::usage("BOT-1070", format!("`server.webhooks` {problem}"))
        .hint("write `- { url: https://bots.example.com/hook, secret: ${env:WEBHOOK_SECRET} }`")
}

impl Receiver {
    fn new(spec: &WebhookSpec) -> Result<Self> {
        let url = Url::parse(&spec.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .filter(Url::has_host)
            .ok_or_else(|| {
                unusable("has an address that is no `http://` or `https://` URL".to_owned())
            })?;
        let host = match (url.host_str().unwrap_or("?"), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable(format!("has a user or a password in the address of `{host}`")));
        }
        if spec.secrets.is_empty() || spec.secrets.len() > MOST_SECRETS {
            let n = spec.secrets.len();
            return Err(unusable(format!("has {n} secrets for `{host}`: one or two are needed")));
        }
        let keys = spec
            .secrets
            .iter()
            .map(|secret| SigningKey::new(secret.expose()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|unfit| {
                Fault::usage("BOT-1070", format!("a secret of `server.webhooks` {unfit}"))
                    .hint("make one with `openssl rand -hex 32`")
                    .caused_by(unfit)
            })?;
        for event in &spec.events {
            let is_known = KINDS.iter().chain(&PHASES).any(|known| known == event);
            if !is_known {
                let shown = botops_text::display(event, 60);
                let problem = format!("has the unknown event `{shown}` for `{host}`");
                let known: Vec<&str> = KINDS.into_iter().chain(PHASES).collect();
                return Err(unusable(problem)
                    .hint(format!("the events are {}; leave them out for all", known.join(", "))));
            }
        }
        let id = Digest::of(url.as_str().as_bytes()).hex()[..16].to_owned();
        Ok(Self { url, id, host, keys, events: spec.events.iter().cloned().collect() })
    }

    /// Returns its id, which is derived from the address and does not show it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the address.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the host, with the port if it is not the usual one.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the id and the host, by which metrics name it.
    pub(super) fn labels(&self) -> (&str, &str) {
        (&self.id, &self.host)
    }

    /// Returns whether it receives `event`.
    pub(super) fn wants(&self, event: &LogEvent) -> bool {
        let phase = event.rollout.as_ref().map(|rollout| rollout.phase);
        self.events.is_empty()
            || self.events.contains(event.kind)
            || phase.is_some_and(|phase| self.events.contains(phase))
    }

    /// Returns the keys that sign, one for each secret.
    pub(super) fn keys(&self) -> &[SigningKey] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_workspace::Secret;

    fn spec(url: &str) -> WebhookSpec {
        WebhookSpec {
            url: url.to_owned(),
            secrets: vec![Secret::new("k".repeat(32))],
            events: Vec::new(),
        }
    }

    #[test]
    fn a_setting_that_cannot_work_is_refused_and_no_path_is_shown() {
        let good = spec("https://hooks.example.com/T0/secret-path");
        check(std::slice::from_ref(&good)).unwrap();
        let no_secret = WebhookSpec { secrets: Vec::new(), ..good.clone() };
        let secrets = vec![Secret::new("k".repeat(32)); 3];
        let three = WebhookSpec { secrets, ..good.clone() };
        let unknown = WebhookSpec { events: vec!["promotd".to_owned()], ..good.clone() };
        let short = WebhookSpec { secrets: vec![Secret::new("secret-path")], ..good.clone() };
        let mut cases = vec![vec![no_secret], vec![three], vec![unknown], vec![short]];
        cases.push(vec![good.clone(), good.clone()]);
        cases.push((0..17).map(|n| spec(&format!("https://a.example/secret-path/{n}"))).collect());
        for url in [
            "",
            "hooks.example.com/secret-path",
            "ftp://hooks.example.com/secret-path",
            "file:///secret-path",
            "https://ada:pass@hooks.example.com/secret-path",
        ] {
            cases.push(vec![spec(url)]);
        }
        for specs in cases {
            let fault = check(&specs).err().unwrap();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1070", 2));
            let shown = format!("{fault:?}");
            assert!(!shown.contains("secret-path") && !shown.contains("pass@"), "{shown}");
        }
    }

    #[test]
    fn the_id_of_a_receiver_stays_while_its_secrets_and_events_change() {
        let before = check(&[spec("https://a.example/x")]).unwrap().remove(0);
        let mut changed = spec("https://a.example/x");
        changed.secrets.insert(0, Secret::new("n".repeat(32)));
        changed.events = vec!["promoted".to_owned(), "champion".to_owned()];
        let after = check(&[changed]).unwrap().remove(0);
        assert_eq!(before.id(), after.id());
        assert!(before != after);
        assert_eq!(after.keys().len(), 2);
        let other = check(&[spec("https://a.example/y")]).unwrap().remove(0);
        assert_ne!(before.id(), other.id());
    }
}
