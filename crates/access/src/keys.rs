//! The keys of an environment: the events of its access log, their fold, and the check of a presented key.
//!
//! Pure: the time is passed in.

use crate::{
    Authenticated, Identity, IdentityKind, Refused, Scope, Scopes,
    key_text::{PresentedKey, is_equal},
    scope::check_together,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The format of the entries of an access log.
pub(super) const SCHEMA: &str = "botops.access/1";
/// The most characters in the name of a key.
const MOST_NAME_CHARS: usize = 64;

/// One entry of `access/<environment>/log`: a change of a key. It holds digests of secrets, and never a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyEvent {
    /// `botops.access/1`.
    pub schema: String,
    /// The time.
    pub at: DateTime<Utc>,
    /// The author. Whoever can write to the store can claim any name, so the bucket decides who may make keys.
    pub by: Identity,
    /// The name of the key.
    pub name: String,
    /// The reason; empty if none was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The change.
    pub action: KeyAction,
}

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum KeyAction {
    /// The key was made.
    Created {
        /// The public id of its secret.
        id: String,
        /// Digest of the secret.
        hash: Digest,
        /// The names of its scopes. A server ignores a name that it does not know.
        scopes: BTreeSet<String>,
        /// The time from which the key is refused; `None` for never.
        expires_at: Option<DateTime<Utc>>,
    },
    /// The key got a new secret.
    Rotated {
        /// The public id of the new secret.
        id: String,
        /// Digest of the new secret.
        hash: Digest,
        /// The time from which the new secret is refused; `None` for never.
        expires_at: Option<DateTime<Utc>>,
        /// The time from which the secrets before are refused.
        old_until: DateTime<Utc>,
    },
    /// The key was revoked.
    Revoked,
    /// A change that a newer botops wrote.
    #[serde(other)]
    Unknown,
}

/// A secret of a key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeySecret {
    /// The public id.
    pub id: String,
    /// Digest of the secret.
    #[serde(skip)]
    hash: Digest,
    /// The time when it was made.
    pub created_at: DateTime<Utc>,
    /// The time from which it is refused; `None` for never.
    pub expires_at: Option<DateTime<Utc>>,
    /// The end of its grace period, if a newer secret replaced it.
    pub replaced_until: Option<DateTime<Utc>>,
}

/// The end of a key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Revocation {
    /// The time.
    pub at: DateTime<Utc>,
    /// The author.
    pub by: Identity,
    /// The reason.
    pub reason: String,
}

/// A key, with all its secrets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Key {
    /// The name, unique in its environment for ever.
    pub name: String,
    /// The names of its scopes.
    pub scopes: BTreeSet<String>,
    /// The author of the key.
    pub created_by: Identity,
    /// Its secrets, the newest last.
    pub secrets: Vec<KeySecret>,
    /// Its end, if it was revoked.
    pub revoked: Option<Revocation>,
}

/// The state of a key at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Its newest secret is accepted.
    Active,
    /// All its secrets are refused, because their time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// The keys of an environment: the fold of its access log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keys {
    keys: BTreeMap<String, Key>,
    /// The name of the key of each id.
    names: BTreeMap<String, String>,
}

impl Key {
    /// Returns the secret that the last creation or rotation made.
    #[must_use]
    pub fn newest(&self) -> &KeySecret {
        self.secrets.last().expect("a key is created with a secret")
    }

    /// Returns the state at `now`.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        if self.revoked.is_some() {
            KeyState::Revoked
        } else if self.secrets.iter().all(|secret| secret.refusal(&self.name, now).is_some()) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Returns the time that the newest secret lives, from its creation on; `None` for ever.
    #[must_use]
    pub fn lifetime(&self) -> Option<TimeDelta> {
        let newest = self.newest();
        newest.expires_at.map(|at| at - newest.created_at)
    }

    /// Checks that a request presents the secret `secret` of this key, and that it is accepted at `now`.
    ///
    /// The comparison takes the same time wherever the secrets differ.
    pub(super) fn check(
        &self,
        secret: &KeySecret,
        presented: &PresentedKey<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        if !is_equal(&secret.hash, &presented.hash) {
            return Err(Refused::WrongToken);
        }
        if let Some(Revocation { at, .. }) = self.revoked {
            return Err(Refused::Revoked { name: self.name.clone(), at });
        }
        secret.refusal(&self.name, now).map_or(Ok(()), Err)
    }

    /// Returns the scopes that this botops knows.
    pub(super) fn known_scopes(&self) -> Scopes {
        known(&self.scopes)
    }

    /// Returns whether it has a scope of the admin API.
    #[must_use]
    pub fn is_of_administrator(&self) -> bool {
        self.known_scopes().iter().any(|scope| !scope.is_of_clients())
    }
}

/// Returns the scopes among `names` that this botops knows.
fn known(names: &BTreeSet<String>) -> Scopes {
    names.iter().filter_map(|name| name.parse::<Scope>().ok()).collect()
}

impl KeySecret {
    /// Returns why the secret, of the key `name`, is refused at `now`, if it is.
    fn refusal(&self, name: &str, now: DateTime<Utc>) -> Option<Refused> {
        let name = || name.to_owned();
        match (self.expires_at, self.replaced_until) {
            (Some(at), _) if at <= now => Some(Refused::Expired { name: name(), at }),
            (_, Some(at)) if at <= now => Some(Refused::Replaced { name: name(), at }),
            _ => None,
        }
    }
}

impl Keys {
    /// Returns the keys, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.values()
    }

    /// Returns the key `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }

    /// Returns whether a key of an administrator is accepted at `now`.
    #[must_use]
    pub fn has_administrator(&self, now: DateTime<Utc>) -> bool {
        self.iter().any(|key| key.state(now) == KeyState::Active && key.is_of_administrator())
    }

    /// Checks a key that a request presents, at `now`.
    ///
    /// Only a request that has the secret of a key learns its state.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn verify(&self, presented: &str, now: DateTime<Utc>) -> Result<Authenticated, Refused> {
        let presented = PresentedKey::parse(presented).ok_or(Refused::WrongToken)?;
        let key = self.names.get(presented.id).and_then(|name| self.keys.get(name));
        let secret = key.and_then(|key| key.secrets.iter().find(|it| it.id == presented.id));
        let (Some(key), Some(secret)) = (key, secret) else { return Err(Refused::WrongToken) };
        key.check(secret, &presented, now)?;
        let identity = Identity::new(IdentityKind::Key, key.name.clone());
        Ok(Authenticated { identity, scopes: key.known_scopes() })
    }

    /// Applies the next event of the log.
    ///
    /// The same checks decide whether a command may append the event, and whether a reader accepts it.
    ///
    /// # Errors
    /// `BOT-1045` (exit 6) a newer botops wrote the event; `BOT-1041` (exit 2) the name or the expiry is not valid;
    /// `BOT-1080` (exit 2) its scopes do not go together; `BOT-1042` (exit 5) a key has this name, or had it; `BOT-1043` (exit 2) there is no such key, or it is revoked.
    pub fn apply(&mut self, event: &KeyEvent) -> Result<()> {
        let KeyEvent { at, by, name, reason, .. } = event;
        if event.schema != SCHEMA || event.action == KeyAction::Unknown {
            let schema = botops_text::display(&event.schema, 40);
            let message =
                format!("the access log has an entry (`{schema}`) that this botops does not know");
            return Err(Fault::policy("BOT-1045", message).hint("install a newer botops"));
        }
        match &event.action {
            KeyAction::Created { id, hash, scopes, expires_at } => {
                check_name(name)?;
                check_expiry(*at, *expires_at)?;
                if scopes.is_empty() {
                    return Err(Fault::usage("BOT-1041", format!("the key `{name}` has no scope"))
                        .hint("give it a role, such as `--role viewer`, or scopes"));
                }
                check_together(&known(scopes))?;
                if let Some(known) = self.keys.get(name) {
                    return Err(taken(known));
                }
                let secret = self.secret(id, *hash, *at, *expires_at)?;
                let key = Key {
                    name: name.clone(),
                    scopes: scopes.clone(),
                    created_by: by.clone(),
                    secrets: vec![secret],
                    revoked: None,
                };
                self.names.insert(id.clone(), name.clone());
                self.keys.insert(name.clone(), key);
            }
            KeyAction::Rotated { id, hash, expires_at, old_until } => {
                check_expiry(*at, *expires_at)?;
                self.usable(name)?;
                let secret = self.secret(id, *hash, *at, *expires_at)?;
                let key = self.keys.get_mut(name).expect("the key was found");
                for old in &mut key.secrets {
                    let until = old.replaced_until.map_or(*old_until, |at| at.min(*old_until));
                    old.replaced_until = Some(until);
                }
                key.secrets.push(secret);
                self.names.insert(id.clone(), name.clone());
            }
            KeyAction::Revoked => {
                self.usable(name)?;
                let revoked = Revocation { at: *at, by: by.clone(), reason: reason.clone() };
                let key = self.keys.get_mut(name).expect("the key was found");
                key.revoked = Some(revoked);
            }
            KeyAction::Unknown => {}
        }
        Ok(())
    }

    fn secret(
        &self,
        id: &str,
        hash: Digest,
        created_at: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<KeySecret> {
        if self.names.contains_key(id) {
            return Err(Fault::conflict("BOT-1042", format!("a key has the id `{id}`"))
                .hint("run the command again: an id is random"));
        }
        Ok(KeySecret { id: id.to_owned(), hash, created_at, expires_at, replaced_until: None })
    }

    /// Returns the key `name`, which is not revoked.
    ///
    /// # Errors
    /// `BOT-1043` (exit 2).
    pub fn usable(&self, name: &str) -> Result<&Key> {
        let shown = botops_text::display(name, MOST_NAME_CHARS);
        let fault = |message: String| {
            Fault::usage("BOT-1043", message).hint("see the keys: `botops keys list`")
        };
        let key = self.keys.get(name);
        let key = key.ok_or_else(|| fault(format!("there is no key `{shown}`")))?;
        match &key.revoked {
            None => Ok(key),
            Some(revoked) => Err(fault(format!(
                "the key `{shown}` was revoked at {} by `{}`",
                revoked.at.format("%Y-%m-%d %H:%M:%S UTC"),
                revoked.by.label()
            ))),
        }
    }
}

/// The fault of a name that a key has, or had.
fn taken(known: &Key) -> Fault {
    let name = &known.name;
    match &known.revoked {
        None => Fault::conflict("BOT-1042", format!("a key `{name}` exists"))
            .hint(format!("give it a new secret: `botops keys rotate {name}`")),
        Some(_) => Fault::conflict("BOT-1042", format!("a key `{name}` existed, and was revoked"))
            .hint("choose another name: in the audit trail, a name stands for one key"),
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_fit = !name.is_empty()
        && name.len() <= MOST_NAME_CHARS
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_@".contains(&b));
    if is_fit {
        return Ok(());
    }
    let shown = botops_text::display(name, MOST_NAME_CHARS);
    Err(Fault::usage("BOT-1041", format!("`{shown}` cannot be the name of a key")).hint(format!(
        "use at most {MOST_NAME_CHARS} ASCII letters, digits and `.`, `-`, `_`, `@`, beginning with a letter or digit"
    )))
}

fn check_expiry(at: DateTime<Utc>, expires_at: Option<DateTime<Utc>>) -> Result<()> {
    if expires_at.is_none_or(|expires_at| expires_at > at) {
        return Ok(());
    }
    Err(Fault::usage("BOT-1041", "the key would expire at once")
        .hint("give it a time to live, such as `--expires 90d`"))
}

#[cfg(test)]
mod tests;
