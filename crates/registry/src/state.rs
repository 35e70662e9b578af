//! The state of a model: the fold of its log.

use super::{
    Action, CHAMPION, Event,
    withdrawn::{ErasedVersion, Marks, Withdrawn},
};
use botops_digest::Digest;
use botops_findings::Fault;
use botops_store::{Entry, Fold};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most attempts at a change while others write to the log. Each failed attempt means that another writer succeeded.
pub(super) const MAX_CONFLICTS: u32 = 100;

/// A version in the log. Its number is its position, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registered {
    /// Digest of the manifest.
    pub(super) manifest: Digest,
    /// The time of the registration.
    pub(super) at: DateTime<Utc>,
    /// The author of the registration.
    pub(super) actor: String,
}

/// An alias that is set, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    /// The manifest that it points to; `None` after its removal.
    pub(super) to: Option<Digest>,
    /// The time of the last change.
    pub(super) at: DateTime<Utc>,
    /// The author of the last change.
    pub(super) actor: String,
    /// The reason of the last change.
    pub(super) reason: String,
}

/// A move of the champion: of a deployment log, or of a model's log, in which older versions of botops wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    /// The manifest that is champion from then on.
    pub(super) to: Digest,
    /// The gate report behind it.
    pub(super) evidence: Option<Digest>,
    /// The time.
    pub(super) at: DateTime<Utc>,
    /// The author.
    pub(super) actor: String,
    /// The reason.
    pub(super) reason: String,
}

/// The fold of the entries of a model's log. Checkpoints hold it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The versions, by number.
    pub(super) versions: Vec<Registered>,
    /// The aliases by name, also those that were removed.
    pub(super) aliases: BTreeMap<String, Pointer>,
    /// The moves of `champion` that older versions of botops wrote, the oldest first.
    pub(super) champion_moves: Vec<Move>,
    /// The withdrawals that are in force, by manifest.
    pub(super) marks: BTreeMap<Digest, Marks>,
}

impl State {
    /// Folds `entries`.
    pub(super) fn of(entries: &[Entry<Event>]) -> Self {
        let mut state = Self::default();
        entries.iter().for_each(|entry| state.apply(&entry.payload));
        state
    }

    /// Adds one event.
    pub(super) fn apply(&mut self, event: &Event) {
        let pointer = |to| Pointer {
            to,
            at: event.at,
            actor: event.actor.clone(),
            reason: event.reason.clone(),
        };
        let withdrawn = || {
            let (actor, reason) = (event.actor.clone(), event.reason.clone());
            Some(Withdrawn { at: event.at, actor, reason })
        };
        match &event.action {
            Action::Registered { manifest } => self.versions.push(Registered {
                manifest: *manifest,
                at: event.at,
                actor: event.actor.clone(),
            }),
            Action::AliasMoved { alias, to, evidence, .. } => {
                if alias == CHAMPION {
                    self.champion_moves.push(Move {
                        to: *to,
                        evidence: *evidence,
                        at: event.at,
                        actor: event.actor.clone(),
                        reason: event.reason.clone(),
                    });
                }
                self.aliases.insert(alias.clone(), pointer(Some(*to)));
            }
            Action::AliasRemoved { alias, .. } => {
                self.aliases.insert(alias.clone(), pointer(None));
            }
            Action::Yanked { manifest } => self.mark(manifest).yanked = withdrawn(),
            Action::Unyanked { manifest } => self.mark(manifest).yanked = None,
            Action::Deprecated { manifest } => self.mark(manifest).deprecated = withdrawn(),
            Action::Undeprecated { manifest } => self.mark(manifest).deprecated = None,
            Action::Erased { manifest, files, erasure } => {
                let (at, actor, reason) = (event.at, event.actor.clone(), event.reason.clone());
                let erased = self.mark(manifest).erased.get_or_insert_with(|| ErasedVersion {
                    at,
                    actor,
                    reason,
                    erasure: erasure.clone(),
                    files: BTreeSet::new(),
                });
                erased.files.extend(files.iter().cloned());
            }
        }
    }

    fn mark(&mut self, manifest: &Digest) -> &mut Marks {
        self.marks.entry(*manifest).or_default()
    }

    /// Returns the number of the version with this manifest: the first one, if a log holds it twice.
    pub(super) fn number(&self, manifest: &Digest) -> Option<u64> {
        let place = self.versions.iter().position(|version| version.manifest == *manifest)?;
        Some(place as u64 + 1)
    }

    /// Returns the manifest that `alias` points to.
    pub(super) fn alias(&self, alias: &str) -> Option<Digest> {
        self.aliases.get(alias)?.to
    }

    /// Returns the aliases that are set, sorted, without `champion`.
    pub(super) fn set_aliases(&self) -> impl Iterator<Item = (&str, Digest)> {
        let free = self.aliases.iter().filter(|(alias, _)| *alias != CHAMPION);
        free.filter_map(|(alias, pointer)| Some((alias.as_str(), pointer.to?)))
    }

    /// Returns the name of a manifest: `model@7`, or its short digest if the model has no such version.
    pub(super) fn name(&self, model: &str, manifest: &Digest) -> String {
        match self.number(manifest) {
            Some(number) => format!("{model}@{number}"),
            None => format!("{model}@sha256:{}", manifest.short()),
        }
    }

    /// Returns the fault of a free alias that does not point to `expected`. It names the author of the last change.
    pub(super) fn alias_moved(&self, model: &str, alias: &str, expected: Option<Digest>) -> Fault {
        let last = self.aliases.get(alias);
        let last = last.map(|last| (last.to, &last.actor, &last.reason, last.at));
        self.moved((model, &format!("`{alias}` of `{model}`")), last, expected)
    }

    /// Returns the fault of an alias of `model`, `alias` in words, that does not point to `expected`. `last` is its last
    /// change: the manifest, the author, the reason and the time.
    pub(super) fn moved(
        &self,
        (model, alias): (&str, &str),
        last: Option<(Option<Digest>, &String, &String, DateTime<Utc>)>,
        expected: Option<Digest>,
    ) -> Fault {
        let expectation = match expected {
            Some(expected) => format!("`{}` was expected", self.name(model, &expected)),
            None => "it was expected to be unset".to_owned(),
        };
        let happened = match last {
            None => format!("{alias} is not set"),
            Some((to, actor, reason, at)) => {
                let change = match to {
                    Some(to) => format!("moved it to `{}`", self.name(model, &to)),
                    None => "removed it".to_owned(),
                };
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                format!(
                    "{alias} is not where it was: `{actor}` {change} at {}{reason}",
                    at.format("%Y-%m-%d %H:%M:%S UTC")
                )
            }
        };
        Fault::conflict("BOT-5014", format!("{happened}; {expectation}"))
            .hint(format!("see what happened: `botops registry log {model}`"))
            .hint("nothing was changed: decide again")
    }
}

impl Fold<Event> for State {
    const SCHEMA: &'static str = "botops.model_log/1";

    fn apply(&mut self, entry: &Entry<Event>) {
        Self::apply(self, &entry.payload);
    }
}

/// Returns the path of the log of `model`.
pub(super) fn path_of(model: &str) -> String {
    format!("models/{model}/log")
}
