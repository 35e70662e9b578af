//! The last use of each secret of a key: objects beside the access log, one an hour at most.
//!
//! `access/<environment>/used/<id>/2026-11-30T09.json` says that the secret `<id>` was accepted in the hour from 09:00 UTC on.
//! The first server that accepts it in an hour creates the object; for the others it exists. A request writes nothing: servers
//! collect the ids, and write them from time to time.

use crate::key_log::check_environment;
use botops_findings::Result;
use botops_store::Store;
use chrono::{DateTime, DurationRound as _, NaiveDateTime, TimeDelta, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// The format of an object.
const SCHEMA: &str = "botops.key-use/1";
/// The name of an object, without its ending.
const NAME: &str = "%Y-%m-%dT%H";

/// The uses of the keys of an environment.
#[derive(Clone)]
pub struct KeyUses {
    store: Store,
    folder: String,
}

/// One object. Its name says the same; it is there for whoever opens it.
#[derive(Serialize)]
struct KeyUse<'a> {
    schema: &'static str,
    id: &'a str,
    hour: DateTime<Utc>,
}

/// Returns the hour of `at`: its begin.
#[must_use]
pub fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    // Hours of UTC can be counted from the epoch for 262,000 years.
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

impl KeyUses {
    /// Opens the uses in `environment`, and reads nothing.
    ///
    /// # Errors
    /// `BOT-1041` (exit 2) if `environment` cannot be the name of a folder.
    pub fn open(store: &Store, environment: &str) -> Result<Self> {
        check_environment(environment)?;
        Ok(Self { store: store.clone(), folder: format!("access/{environment}/used") })
    }

    /// Records that the secret `id` was accepted at `at`; it costs one request if it is recorded for that hour. The objects of
    /// earlier hours are removed then; a store that does not let a server remove objects keeps them.
    ///
    /// # Errors
    /// Those of [`Store::create`].
    pub async fn record(&self, id: &str, at: DateTime<Utc>) -> Result<()> {
        let hour = hour_of(at);
        let folder = format!("{}/{id}", self.folder);
        let path = format!("{folder}/{}.json", hour.format(NAME));
        let object = serde_json::to_vec(&KeyUse { schema: SCHEMA, id, hour })
            .expect("a use of a key can be written as JSON");
        if !self.store.create(&path, object.into()).await? {
            return Ok(());
        }
        // The newest object alone counts, so one that stays does no harm.
        for earlier in self.store.objects(&folder, None).await.unwrap_or_default() {
            if read_path(&earlier).is_some_and(|(_, at)| at < hour) {
                let _ = self.store.remove(&earlier).await;
            }
        }
        Ok(())
    }

    /// Returns the hour of the last recorded use of each secret, by id.
    ///
    /// # Errors
    /// Those of [`Store::objects`].
    pub async fn last(&self) -> Result<BTreeMap<String, DateTime<Utc>>> {
        let mut last: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
        for path in self.store.objects(&self.folder, None).await? {
            // What another program put there says nothing.
            let Some((id, hour)) = read_path(&path) else { continue };
            let known = last.entry(id.to_owned()).or_insert(hour);
            *known = hour.max(*known);
        }
        Ok(last)
    }
}

/// Returns the id and the hour that the path of an object names.
fn read_path(path: &str) -> Option<(&str, DateTime<Utc>)> {
    let (folder, name) = path.strip_suffix(".json")?.rsplit_once('/')?;
    let (_, id) = folder.rsplit_once('/')?;
    let hour = NaiveDateTime::parse_from_str(&format!("{name}:00"), &format!("{NAME}:%M")).ok()?;
    Some((id, hour.and_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn the_last_hour_of_each_secret_is_kept_and_earlier_ones_are_removed() {
        let store = Store::in_memory();
        let uses = KeyUses::open(&store, "test").unwrap();
        assert!(uses.last().await.unwrap().is_empty());
        for (id, text) in [
            ("0a", "2026-11-29T23:59:59Z"),
            ("0a", "2026-11-30T00:00:00Z"),
            ("0b", "2026-11-30T09:30:00Z"),
            ("0a", "2026-11-30T00:40:00Z"),
        ] {
            uses.record(id, at(text)).await.unwrap();
        }
        let expected = [("0a", "2026-11-30T00:00:00Z"), ("0b", "2026-11-30T09:00:00Z")];
        let expected = expected.map(|(id, text)| (id.to_owned(), at(text)));
        assert_eq!(uses.last().await.unwrap(), BTreeMap::from(expected));
        let objects = store.objects("access/test/used", None).await.unwrap();
        assert_eq!(objects.len(), 2, "{objects:?}");
        // A server whose clock is behind does not take back what is known.
        uses.record("0b", at("2026-11-30T07:00:00Z")).await.unwrap();
        store.create("access/test/used/0b/notes.txt", "mine".into()).await.unwrap();
        assert_eq!(uses.last().await.unwrap()["0b"], at("2026-11-30T09:00:00Z"));
    }

    #[test]
    fn an_environment_that_is_no_folder_is_refused() {
        let fault = KeyUses::open(&Store::in_memory(), "../x").err().unwrap();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1041", 2));
    }
}
