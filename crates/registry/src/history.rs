//! The meaning of a reference at a time in the past.

use super::{
    Action, CHAMPION, Champions, DEFAULT_ENVIRONMENT, Environment, Reference, Registry, Selector,
    Version, deployment_log, standing::Standing, state::State, versions::select,
};
use botops_findings::{Fault, Result};
use botops_store::Entry;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// The version that a reference meant at a time, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// The version. Its aliases and withdrawals are those of that time.
    pub version: Version,
    /// When the reference came to mean it: the last move of the alias, or the registration.
    pub since: DateTime<Utc>,
    /// The author of that change.
    pub actor: String,
    /// The reason.
    pub reason: String,
}

/// Reads a time: RFC 3339, with or without seconds, or a date, which is its midnight in UTC.
///
/// # Errors
/// `BOT-5026` (exit 2).
pub fn parse_time(text: &str) -> Result<DateTime<Utc>> {
    let rfc3339 = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let with_seconds = || {
        let (minutes, zone) = (text.get(..16)?, text.get(16..)?);
        rfc3339(&format!("{minutes}:00{zone}"))
    };
    let time = rfc3339(text).or_else(with_seconds).map(|time| time.to_utc());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    time.or_else(|| Some(date()?.and_time(NaiveTime::MIN).and_utc())).ok_or_else(|| {
        Fault::usage("BOT-5026", format!("`{text}` is not a time"))
            .hint("write `2026-11-24T10:00Z`, `2026-11-24T12:00:00+02:00`, or `2026-11-24` for its midnight in UTC")
    })
}

impl Registry {
    /// Resolves `reference` as it was at `as_of`, by the times in the log of the model and, for the champion of an
    /// environment, in its deployment log. `now` is the current time.
    ///
    /// The times are those of the clocks of the writers.
    ///
    /// # Errors
    /// `BOT-5026` `as_of` lies in the future, or the reference meant nothing then; `BOT-5011` no such model (exit 2);
    /// `BOT-5006` a log is damaged (exit 3).
    pub async fn resolve_as_of(
        &self,
        reference: &Reference,
        as_of: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Resolution> {
        let model = &reference.model;
        let nothing = |message: String| {
            Fault::usage("BOT-5026", message)
                .hint(format!("see what happened when: `botops registry log {model}`"))
        };
        if as_of > now {
            return Err(nothing(format!("{} lies in the future", shown(as_of))));
        }
        let entries = self.history(model).await?;
        let past: Vec<_> =
            entries.iter().filter(|entry| entry.payload.at <= as_of).cloned().collect();
        let state = State::of(&past);
        if state.versions.is_empty() {
            let began = entries.first().map_or(as_of, |entry| entry.payload.at);
            let message = format!(
                "`{model}` had no version at {}: its log begins at {}",
                shown(as_of),
                shown(began)
            );
            return Err(nothing(message));
        }
        let alias = match &reference.selector {
            Selector::Alias(alias) => Some(alias.as_str()),
            _ => None,
        };
        let here = self.champions_as_of(&self.environment, model, &state, as_of).await?;
        let named = match alias {
            Some(alias) if alias != CHAMPION && *alias != *self.environment => {
                self.champions_as_of(alias, model, &state, as_of).await?
            }
            Some(_) => here.clone(),
            None => Champions::default(),
        };
        let free =
            alias.filter(|alias| *alias != CHAMPION).and_then(|alias| state.aliases.get(alias));
        let pointed = named.current().or_else(|| free?.to);
        let number = select(&state, reference, pointed, &self.environment)
            .map_err(|fault| nothing(format!("at {}: {}", shown(as_of), fault.message())))?;
        let change = match (named.moves().last(), free) {
            (Some(moved), _) => (moved.at, moved.actor.clone(), moved.reason.clone()),
            (None, Some(free)) => (free.at, free.actor.clone(), free.reason.clone()),
            (None, None) => registration(&past, &state, number),
        };
        let known = Standing { state: state.into(), champions: here, damage: None };
        let version = self.load(model, &known, number).await?;
        let (since, actor, reason) = change;
        Ok(Resolution { version, since, actor, reason })
    }

    /// Returns the champions that `model` had until `as_of` in the environment `name`; none if no environment has that name.
    async fn champions_as_of(
        &self,
        name: &str,
        model: &str,
        state: &State,
        as_of: DateTime<Utc>,
    ) -> Result<Champions> {
        // The fold of the newest state does not tell of the past, so the whole log is read.
        let mut past = deployment_log(&self.store, name).entries().await?;
        past.retain(|entry| entry.payload.at <= as_of);
        let environment = Environment::of(&past);
        Ok(Champions::of(model, state, environment.model(model), name == DEFAULT_ENVIRONMENT))
    }
}

/// Returns the time, the author and the reason of the registration of version `number`.
fn registration(
    entries: &[Entry<super::Event>],
    state: &State,
    number: u64,
) -> (DateTime<Utc>, String, String) {
    let registered = &state.versions[number as usize - 1];
    let is_it = |action: &Action| matches!(action, Action::Registered { manifest } if *manifest == registered.manifest);
    let event = entries.iter().map(|entry| &entry.payload).find(|event| is_it(&event.action));
    let reason = event.map_or_else(String::new, |event| event.reason.clone());
    (registered.at, registered.actor.clone(), reason)
}

fn shown(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_date_and_may_have_minutes_or_seconds() {
        let read = |text: &str| parse_time(text).unwrap().to_rfc3339();
        assert_eq!(read("2026-11-24T10:00Z"), "2026-11-24T10:00:00+00:00");
        assert_eq!(read("2026-11-24T10:00:59Z"), "2026-11-24T10:00:59+00:00");
        assert_eq!(read("2026-11-24T12:00+02:00"), "2026-11-24T10:00:00+00:00");
        assert_eq!(read("2026-11-24"), "2026-11-24T00:00:00+00:00");
        for text in [
            "",
            "yesterday",
            "2026-11-24T10",
            "2026-13-01",
            "24.11.2026",
            "2026-11-24T10:00",
            "ääääääääääää",
        ] {
            let fault = parse_time(text).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5026", 2), "{text}");
        }
    }
}
