//! The state of a model: the fold of its log.

use super::{Action, CHAMPION, Event, Registry};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{Appended, Entry, Log};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// How often a change is tried against others who write: each failed try means that one of them got through.
const MOST_CONFLICTS: u32 = 100;

/// A version as its log entry has it; its number is its place, from 1.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) manifest: Digest,
    pub(super) at: DateTime<Utc>,
    pub(super) actor: String,
}

/// An alias that is or was set.
#[derive(Debug, Clone)]
pub(super) struct Pointer {
    /// Where it points now; `None` once removed.
    pub(super) to: Option<Digest>,
    pub(super) at: DateTime<Utc>,
    pub(super) actor: String,
    pub(super) reason: String,
}

/// What the entries of a model's log come to.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) versions: Vec<Registered>,
    pub(super) aliases: BTreeMap<String, Pointer>,
    /// Who would reign if the newest stepped down, and so on: the champion last. A move back to an earlier champion
    /// takes those after it off, so that rolling back twice goes back two, and never to what was rolled back.
    pub(super) succession: Vec<Digest>,
    /// The evidence of the latest move of `champion` to a manifest, for every one that ever was champion.
    pub(super) reigned: BTreeMap<Digest, Option<Digest>>,
}

impl State {
    pub(super) fn of(entries: &[Entry<Event>]) -> Self {
        let mut state = Self::default();
        entries.iter().for_each(|entry| state.apply(&entry.payload));
        state
    }

    pub(super) fn apply(&mut self, event: &Event) {
        let pointer = |to| Pointer {
            to,
            at: event.at,
            actor: event.actor.clone(),
            reason: event.reason.clone(),
        };
        match &event.action {
            Action::Registered { manifest } => self.versions.push(Registered {
                manifest: *manifest,
                at: event.at,
                actor: event.actor.clone(),
            }),
            Action::AliasMoved { alias, to, evidence, .. } => {
                if alias == CHAMPION {
                    match self.succession.iter().position(|earlier| earlier == to) {
                        Some(place) => self.succession.truncate(place + 1),
                        None => self.succession.push(*to),
                    }
                    self.reigned.insert(*to, *evidence);
                }
                self.aliases.insert(alias.clone(), pointer(Some(*to)));
            }
            Action::AliasRemoved { alias, .. } => {
                self.aliases.insert(alias.clone(), pointer(None));
            }
        }
    }

    /// Returns the number of the version whose manifest is `manifest`: the first, should a log hold it twice.
    pub(super) fn number(&self, manifest: &Digest) -> Option<u64> {
        let place = self.versions.iter().position(|version| version.manifest == *manifest)?;
        Some(place as u64 + 1)
    }

    /// Returns the manifest `alias` points to.
    pub(super) fn alias(&self, alias: &str) -> Option<Digest> {
        self.aliases.get(alias)?.to
    }

    /// Returns the aliases that are set, sorted.
    pub(super) fn set_aliases(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.aliases.iter().filter_map(|(alias, pointer)| Some((alias.as_str(), pointer.to?)))
    }

    /// Returns `model@7` for a manifest, or its short digest when it is none of this model's.
    pub(super) fn call(&self, model: &str, manifest: &Digest) -> String {
        match self.number(manifest) {
            Some(number) => format!("{model}@{number}"),
            None => format!("{model}@sha256:{}", manifest.short()),
        }
    }

    /// Returns the fault of finding `alias` elsewhere than `expected`, naming who moved it.
    pub(super) fn moved(&self, model: &str, alias: &str, expected: Option<Digest>) -> Fault {
        let wanted = match expected {
            Some(expected) => format!("`{}` was expected", self.call(model, &expected)),
            None => "it was expected to be unset".to_owned(),
        };
        let happened = match self.aliases.get(alias) {
            None => format!("`{alias}` of `{model}` is not set"),
            Some(Pointer { to, at, actor, reason }) => {
                let what = match to {
                    Some(to) => format!("moved it to `{}`", self.call(model, to)),
                    None => "removed it".to_owned(),
                };
                let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                format!(
                    "`{alias}` of `{model}` is not where it was: `{actor}` {what} at {}{why}",
                    at.format("%Y-%m-%d %H:%M:%S UTC")
                )
            }
        };
        Fault::conflict("BOT-5014", format!("{happened}; {wanted}"))
            .hint(format!("see what happened: `botops registry log {model}`"))
            .hint("then decide again: nothing was changed")
    }
}

impl Registry {
    pub(super) fn log(&self, model: &str) -> Log<Event> {
        self.store.log(&format!("models/{model}/log"))
    }

    /// Reads a model's state; `None` when nothing was ever registered under that name.
    pub async fn state(&self, model: &str) -> Result<Option<State>> {
        if !super::reference::is_name(model) {
            return Ok(None);
        }
        let entries = self.log(model).entries().await?;
        Ok((!entries.is_empty()).then(|| State::of(&entries)))
    }

    /// Appends the event that `decide` makes of the state, or nothing when it makes none; decides
    /// again from the newer state whenever someone else wrote first. Returns the state afterwards.
    pub(super) async fn commit(
        &self,
        model: &str,
        decide: impl Fn(&State) -> Result<Option<Event>>,
    ) -> Result<State> {
        let log = self.log(model);
        let mut entries = log.entries().await?;
        let mut state = State::of(&entries);
        let mut patience = self.store.retries().begin_against(MOST_CONFLICTS);
        loop {
            let Some(event) = decide(&state)? else { return Ok(state) };
            if let Appended::Written(entry) = log.append(entries.last(), event).await? {
                state.apply(&entry.payload);
                return Ok(state);
            }
            if !patience.pause().await {
                let message = format!("others keep writing to the log of `{model}`");
                return Err(Fault::conflict("BOT-5014", message).hint("try again in a moment"));
            }
            let newer = match entries.last() {
                Some(last) => log.entries_after(last).await?,
                None => log.entries().await?,
            };
            newer.iter().for_each(|entry| state.apply(&entry.payload));
            entries.extend(newer);
        }
    }
}
