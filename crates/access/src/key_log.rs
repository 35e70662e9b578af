//! The access log of an environment in a store: read, followed and written.

use crate::{
    Identity, Scope,
    key_text::NewKey,
    keys::{Key, KeyAction, KeyEvent, Keys, SCHEMA},
};
use botops_findings::{Fault, Result};
use botops_store::{Appended, Entry, Log, Store};
use chrono::{DateTime, TimeDelta, Utc};

/// Names that stand for someone else in the audit trail: the shared token, the administrator on the socket, a server that
/// decides by itself.
const RESERVED_NAMES: [&str; 3] = ["admin", "root", Identity::AUTOMATIC];

/// The most tries to append while others append, too.
const TRIES: usize = 10;

/// The access log of an environment, `access/<environment>/log`, with what was read of it.
pub struct KeyLog {
    log: Log<KeyEvent>,
    last: Option<Entry<KeyEvent>>,
    keys: Keys,
}

/// The author, the reason and the time of a change of a key.
#[derive(Debug, Clone)]
pub struct KeyAct {
    /// The author.
    pub by: Identity,
    /// The reason; may be empty.
    pub reason: String,
    /// The time.
    pub at: DateTime<Utc>,
}

/// Whether a change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// It is checked and written.
    Real,
    /// It is checked only.
    Dry,
}

/// The settings of a new key.
#[derive(Debug, Clone)]
pub struct KeySpec {
    /// The name.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<Scope>,
    /// The time that it lives; `None` for ever.
    pub lifetime: Option<TimeDelta>,
}

/// The lifetime of the secret that a rotation makes.
#[derive(Debug, Clone, Copy)]
pub enum Lifetime {
    /// That of the secret before.
    AsBefore,
    /// This one.
    Of(TimeDelta),
}

impl KeyLog {
    /// Opens the log of `environment`, and reads nothing.
    ///
    /// # Errors
    /// `BOT-1041` (exit 2) if `environment` cannot be the name of a folder.
    pub fn open(store: &Store, environment: &str) -> Result<Self> {
        check_environment(environment)?;
        let log = store.log(&format!("access/{environment}/log"));
        Ok(Self { log, last: None, keys: Keys::default() })
    }

    /// Reads the entries that were appended since the last call, and returns whether there were any. It lists nothing: if
    /// nothing was appended, also to an empty log, that is one request.
    ///
    /// After a fault, [`Self::keys`] are those before it.
    ///
    /// # Errors
    /// Those of [`Log::poll`]; `BOT-1045` (exit 6) a newer botops wrote an entry; `BOT-1044` (exit 3) an entry does not
    /// follow from those before it.
    pub async fn refresh(&mut self) -> Result<bool> {
        let entries = self.log.poll(self.last.as_ref()).await?;
        let mut keys = self.keys.clone();
        for entry in &entries {
            keys.apply(&entry.payload).map_err(|fault| match fault.code() {
                "BOT-1045" => fault,
                _ => {
                    let message = format!("entry {} of the access log: {fault}", entry.seq);
                    Fault::data("BOT-1044", message)
                        .hint("another program wrote to this log: find out which one")
                }
            })?;
        }
        let is_newer = !entries.is_empty();
        if let Some(newest) = entries.into_iter().next_back() {
            (self.last, self.keys) = (Some(newest), keys);
        }
        Ok(is_newer)
    }

    /// Returns the keys as of the last read.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    #[cfg(test)]
    pub(super) fn last(&self) -> Option<&Entry<KeyEvent>> {
        self.last.as_ref()
    }

    /// Makes a key. Returns it with its secret, which cannot be read again; without the secret in a dry run.
    ///
    /// A log may already have a key with a name that is refused here; it is still read.
    ///
    /// # Errors
    /// `BOT-1041` (exit 2) the name is `admin`, `root` or `botops`, in any case of letters; those of [`Keys::apply`], of
    /// [`Self::refresh`] and of the store; `BOT-1060`.
    pub async fn create(
        &mut self,
        spec: &KeySpec,
        act: &KeyAct,
        writing: Writing,
    ) -> Result<(Key, Option<NewKey>)> {
        refuse_reserved(&spec.name)?;
        let secret = NewKey::random()?;
        let scopes = spec.scopes.iter().map(|scope| scope.name().to_owned()).collect();
        let expires_at = expiry(act.at, spec.lifetime)?;
        let action =
            KeyAction::Created { id: secret.id.clone(), hash: secret.hash, scopes, expires_at };
        let key = self.change(&spec.name, act, writing, |_| Ok(action.clone())).await?;
        Ok((key, (writing == Writing::Real).then_some(secret)))
    }

    /// Gives the key `name` a new secret; the old ones are accepted for `grace` more.
    ///
    /// # Errors
    /// Those of [`Keys::apply`], of [`Self::refresh`] and of the store; `BOT-1060`.
    pub async fn rotate(
        &mut self,
        name: &str,
        (lifetime, grace): (Lifetime, TimeDelta),
        act: &KeyAct,
        writing: Writing,
    ) -> Result<(Key, Option<NewKey>)> {
        let secret = NewKey::random()?;
        let old_until = expiry(act.at, Some(grace))?.unwrap_or(act.at);
        let action = |keys: &Keys| {
            let lifetime = match lifetime {
                Lifetime::AsBefore => keys.usable(name)?.lifetime(),
                Lifetime::Of(lifetime) => Some(lifetime),
            };
            let expires_at = expiry(act.at, lifetime)?;
            let (id, hash) = (secret.id.clone(), secret.hash);
            Ok(KeyAction::Rotated { id, hash, expires_at, old_until })
        };
        let key = self.change(name, act, writing, action).await?;
        Ok((key, (writing == Writing::Real).then_some(secret)))
    }

    /// Revokes the key `name`, with all its secrets.
    ///
    /// # Errors
    /// `BOT-1034` (exit 2) no reason is given; those of [`Keys::apply`], of [`Self::refresh`] and of the store.
    pub async fn revoke(&mut self, name: &str, act: &KeyAct, writing: Writing) -> Result<Key> {
        if act.reason.trim().is_empty() {
            return Err(Fault::usage("BOT-1034", "a revocation needs a reason")
                .hint("say why, for the audit trail: `--reason \"ada left\"`"));
        }
        self.change(name, act, writing, |_| Ok(KeyAction::Revoked)).await
    }

    /// Checks a change against the newest state, and appends it.
    async fn change(
        &mut self,
        name: &str,
        act: &KeyAct,
        writing: Writing,
        action: impl Fn(&Keys) -> Result<KeyAction>,
    ) -> Result<Key> {
        for _ in 0..TRIES {
            self.refresh().await?;
            let event = KeyEvent {
                schema: SCHEMA.to_owned(),
                at: act.at,
                by: act.by.clone(),
                name: name.to_owned(),
                reason: act.reason.clone(),
                action: action(&self.keys)?,
            };
            let mut keys = self.keys.clone();
            keys.apply(&event)?;
            if writing == Writing::Real {
                match self.log.append(self.last.as_ref(), event).await? {
                    Appended::Written(entry) => {
                        (self.last, self.keys) = (Some(entry), keys.clone())
                    }
                    Appended::Conflict => continue,
                }
            }
            return Ok(keys.get(name).expect("the key was changed").clone());
        }
        Err(Fault::conflict("BOT-1042", "others changed keys at the same time, again and again")
            .hint("nothing was changed: run the command again"))
    }
}

/// Checks that `environment` can be the name of a folder.
///
/// # Errors
/// `BOT-1041` (exit 2).
pub(super) fn check_environment(environment: &str) -> Result<()> {
    let is_name = !environment.is_empty()
        && !environment.contains(['/', '\\'])
        && !environment.starts_with('.')
        && !environment.contains(char::is_control);
    if is_name {
        return Ok(());
    }
    let shown = botops_text::display(environment, 80);
    Err(Fault::usage("BOT-1041", format!("`{shown}` is not an environment"))
        .hint("name it as `botops serve --environment` does, such as `production`"))
}

/// Refuses a name that the audit trail and the approvals know as that of somebody else.
fn refuse_reserved(name: &str) -> Result<()> {
    if !RESERVED_NAMES.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Ok(());
    }
    Err(Fault::usage("BOT-1041", format!("`{name}` cannot be the name of a key")).hint(format!(
        "name the person or the job that uses it: {} stand for the shared token, the socket and the server itself",
        RESERVED_NAMES.map(|reserved| format!("`{reserved}`")).join(", ")
    )))
}

/// Returns the time `lifetime` after `at`.
fn expiry(at: DateTime<Utc>, lifetime: Option<TimeDelta>) -> Result<Option<DateTime<Utc>>> {
    let Some(lifetime) = lifetime else { return Ok(None) };
    let expires_at = at.checked_add_signed(lifetime).ok_or_else(|| {
        Fault::usage("BOT-1041", "the time is too far away").hint("such as `90d`, or leave it out")
    })?;
    Ok(Some(expires_at))
}
