//! The keys in force, by the id that a request presents.

use crate::{
    CallerKind, PublicCaller, Refused, ScopeSet,
    key_text::PresentedKey,
    keys::{Key, Keys},
};
use chrono::{DateTime, Utc};
use std::{collections::HashMap, sync::Arc};

/// The keys in force, made once for each change of the access log and read by every request.
#[derive(Debug, Default)]
pub(super) struct KeyTable(HashMap<String, Row>);

#[derive(Debug)]
struct Row {
    key: Arc<Key>,
    /// The index of the secret with this id.
    secret: usize,
    caller: PublicCaller,
}

impl KeyTable {
    /// Makes the table of `keys`.
    pub(super) fn of(keys: &Keys) -> Self {
        let mut rows = HashMap::new();
        for key in keys.iter() {
            let caller = PublicCaller {
                id: Arc::from(key.name.as_str()),
                kind: CallerKind::Key,
                scopes: ScopeSet::from(&key.known_scopes()),
                by_old_key: false,
            };
            let key = Arc::new(key.clone());
            for (index, secret) in key.secrets.iter().enumerate() {
                let row = Row { key: Arc::clone(&key), secret: index, caller: caller.clone() };
                rows.insert(secret.id.clone(), row);
            }
        }
        Self(rows)
    }

    /// Checks a key that a request presents, at `now`: the same check as [`Keys::verify`].
    pub(super) fn verify(
        &self,
        presented: &str,
        now: DateTime<Utc>,
    ) -> Result<&PublicCaller, Refused> {
        let presented = PresentedKey::parse(presented).ok_or(Refused::WrongToken)?;
        let Row { key, secret, caller } = self.0.get(presented.id).ok_or(Refused::WrongToken)?;
        key.check(&key.secrets[*secret], &presented, now)?;
        Ok(caller)
    }
}
