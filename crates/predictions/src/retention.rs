//! Hours past the retention, and hours that a wrong clock wrote.

use crate::{
    hour::{Hour, keys},
    layout::{self, HourKey},
};
use botops_findings::{Finding, Place, Result, Severity};
use botops_store::{Appended, Log, Store, Stored, newer_payload};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The most hours that a pass of [`expire`] removes for a server, which makes one each hour. A clock that jumps ahead by years
/// does not remove the log before anybody sees it.
pub const MOST_HOURS: usize = 48;
/// Botops is younger than this day, so a record before it was written under a wrong clock.
const OLDEST_DATE: &str = "date=2020-01-01";
/// How far the clocks of servers may be apart.
const SKEW: TimeDelta = TimeDelta::hours(2);
/// The schema of a removal.
const RETENTION_SCHEMA: &str = "botops.retention/1";

/// The part of the log that was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// The number of hours.
    pub hours: u64,
    /// Their records, as far as that is known without reading them: those of compacted files.
    pub records: u64,
    /// The number of days whose verdicts were removed: those on records that are past the retention.
    pub days_of_verdicts: u64,
}

/// An entry of the log of the retention: a part of the prediction log that a pass removed.
///
/// It is written before the objects are removed, so a pass that was killed has its entry; the next one, which removes the rest,
/// writes another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// `botops.retention/1`.
    #[serde(deserialize_with = "known_schema")]
    pub schema: String,
    /// The time.
    pub at: DateTime<Utc>,
    /// The server or the person that removed it.
    pub by: String,
    /// The first hour that the retention keeps, such as `date=2026-11-30/hour=07`.
    pub before: String,
    /// The first and the last of the hours that were removed; none if only verdicts were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<[String; 2]>,
    /// The counts.
    #[serde(flatten)]
    pub expired: Expired,
}

fn known_schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let schema = String::deserialize(deserializer)?;
    match schema == RETENTION_SCHEMA {
        true => Ok(schema),
        false => Err(D::Error::custom(newer_payload(&schema))),
    }
}

/// Reads what the retention has removed from the log of `environment`, the oldest first.
///
/// # Errors
/// `BOT-5006` (exit 3) the log is damaged, `BOT-5007` (exit 6) a newer botops wrote it; those of the store.
pub async fn removals(store: &Store, environment: &str) -> Result<Vec<Removal>> {
    let entries = removal_log(store, environment).entries().await?;
    Ok(entries.into_iter().map(|entry| entry.payload).collect())
}

fn removal_log(store: &Store, environment: &str) -> Log<Removal> {
    store.log(&format!("{}/retention", layout::environment(environment)))
}

/// When the retention is applied, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The time.
    pub at: DateTime<Utc>,
    /// The server or the person.
    pub by: &'a str,
    /// The most hours.
    pub most: usize,
    /// Whether nothing is removed.
    pub dry_run: bool,
}

/// Removes the hours of `environment` that end at `before` or earlier, whole, the oldest first and at most `most` of them; and the
/// verdicts that were given on earlier days, whose records are gone. An entry of [`removals`] says so.
///
/// Any number of servers may call it at the same time: removing an object that is gone changes nothing. Hours are removed though
/// their files cannot be read. An hour before 2020 is one of a wrong clock: it is removed once its files, by the clock of the
/// store, were written before `before`.
///
/// # Errors
/// `BOT-5007`, `BOT-5006` of the log of removals; those of the store. Nothing is removed without an entry.
pub async fn expire(
    store: &Store,
    environment: &str,
    before: HourKey,
    pass: Pass<'_>,
) -> Result<Expired> {
    let mut expired = Expired::default();
    let (mut objects, mut removed) = (Vec::new(), None::<[String; 2]>);
    for key in keys(store, environment, |date| *date <= *date_of(before)).await? {
        if key >= before || expired.hours >= pass.most as u64 {
            continue;
        }
        let folder = layout::hour(environment, key);
        let listed = store.list(&folder).await?;
        let is_late = |stored: &Stored| stored.written_at >= before.start();
        if listed.is_empty() || *date_of(key) < *OLDEST_DATE && listed.iter().any(is_late) {
            continue;
        }
        let known = Hour::list(store, environment, key).await;
        expired.records += known.map_or(0, |hour| hour.compacted);
        expired.hours += 1;
        let first = removed.map_or_else(|| key.to_string(), |[first, _]| first);
        removed = Some([first, key.to_string()]);
        objects.push(listed);
    }
    let verdicts = format!("{}/verdicts", layout::environment(environment));
    for date in store.folders(&verdicts).await? {
        if date.starts_with("date=") && *date < *date_of(before) {
            let listed = store.list(&format!("{verdicts}/{date}")).await?;
            expired.days_of_verdicts += u64::from(!listed.is_empty());
            objects.push(listed);
        }
    }
    if pass.dry_run || expired == Expired::default() {
        return Ok(expired);
    }
    let removal = Removal {
        schema: RETENTION_SCHEMA.to_owned(),
        at: pass.at,
        by: pass.by.to_owned(),
        before: before.to_string(),
        removed,
        expired,
    };
    note(store, environment, removal).await?;
    for listed in objects {
        remove(store, listed).await?;
    }
    Ok(expired)
}

/// Appends an entry to the log of removals, however many servers do.
async fn note(store: &Store, environment: &str, removal: Removal) -> Result<()> {
    let log = removal_log(store, environment);
    let mut entries = log.entries().await?;
    loop {
        match log.append(entries.last(), removal.clone()).await? {
            Appended::Written(_) => return Ok(()),
            Appended::Conflict => {
                let newer = log.poll(entries.last()).await?;
                entries.extend(newer);
            }
        }
    }
}

/// Reports hours that no right clock can have written by `now`: those before 2020, and those that begin more than two hours later.
///
/// Their records are kept and read like all others; a filter by time finds them at the time that the server believed.
///
/// # Errors
/// Those of the store.
pub async fn wrong_clocks(
    store: &Store,
    environment: &str,
    now: DateTime<Utc>,
) -> Result<Option<Finding>> {
    let last = HourKey::of(now.checked_add_signed(SKEW).unwrap_or(now));
    let last_date = date_of(last);
    let suspects = keys(store, environment, |date| *date < *OLDEST_DATE || *date >= *last_date);
    let wrong = |key: &HourKey| *key > last || *date_of(*key) < *OLDEST_DATE;
    let keys: Vec<HourKey> = suspects.await?.into_iter().filter(wrong).collect();
    let Some(first) = keys.first() else { return Ok(None) };
    let (are, hours) = if keys.len() == 1 { ("is", "hour") } else { ("are", "hours") };
    let message = format!(
        "there {are} {} {hours} of records that no right clock has written, such as `{first}`",
        keys.len()
    );
    let help =
        "set the clock of the server right; its records are kept, at the time that it believed";
    let place = Place { file: Some(layout::hour(environment, *first)), ..Place::default() };
    Ok(Some(Finding::new("BOT-6216", Severity::Warning, message, help).at(place)))
}

/// Returns the folder of the date of an hour.
fn date_of(key: HourKey) -> String {
    key.to_string().split('/').next().unwrap_or_default().to_owned()
}

/// Removes the objects: the data first, so that what is left after a crash is still listed.
async fn remove(store: &Store, mut listed: Vec<Stored>) -> Result<()> {
    listed.sort_by_key(|stored| stored.path.ends_with(".json"));
    for stored in listed {
        store.remove(&stored.path).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SourceClass, Verdict, forgetting::tests::put, hour::hours, read_verdicts,
        record::tests::record, record_verdicts, stray_folders,
    };

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn pass(most: usize, dry_run: bool) -> Pass<'static> {
        Pass { at: at("2026-12-01T00:00:00Z"), by: "ops", most, dry_run }
    }

    async fn left(store: &Store) -> Vec<String> {
        let left = hours(store, "e", None, None).await.unwrap();
        left.iter().map(|hour| hour.key.to_string()).collect()
    }

    #[tokio::test]
    async fn hours_that_cannot_be_read_expire_and_a_pass_has_a_most() {
        let store = Store::in_memory();
        for i in [0, 4_000, 8_000, 12_000] {
            put(&store, "a", i..i + 2).await;
        }
        let damaged = "predictions/e/date=2026-11-30/hour=01/compaction-00000000.json";
        store.create(damaged, "{".into()).await.unwrap();
        store.create("predictions/e/date=x/hour=y/z", "".into()).await.unwrap();
        let verdict = Verdict {
            at: 1,
            request_id: "r-0".to_owned(),
            index: 0,
            intent: Some("a".to_owned()),
            source: SourceClass::Agent,
            satisfaction: None,
        };
        for now in ["2026-11-29T23:00:00Z", "2026-11-30T23:00:00Z"] {
            record_verdicts(&store, "e", std::slice::from_ref(&verdict), at(now)).await.unwrap();
        }
        let before = HourKey::of_millis(record(12_000).at);
        let dry = expire(&store, "e", before, pass(2, true)).await.unwrap();
        assert!(removals(&store, "e").await.unwrap().is_empty(), "a dry run leaves no entry");
        let done = expire(&store, "e", before, pass(2, false)).await.unwrap();
        assert_eq!((dry, dry.hours, dry.days_of_verdicts), (done, 2, 1));
        let stray = stray_folders(&store, "e").await.unwrap().unwrap();
        assert!(stray.code == "BOT-6202" && stray.message.contains("`date=x/hour=y`"), "{stray:?}");
        assert_eq!(left(&store).await, ["date=2026-11-30/hour=03", "date=2026-11-30/hour=04"]);
        let rest = expire(&store, "e", before, pass(MOST_HOURS, false)).await.unwrap();
        let nothing = expire(&store, "e", before, pass(MOST_HOURS, false)).await.unwrap();
        assert_eq!(nothing, Expired::default());
        let log = removals(&store, "e").await.unwrap();
        assert_eq!(log.iter().map(|it| it.expired).collect::<Vec<_>>(), [done, rest]);
        let hours = ["date=2026-11-30/hour=01", "date=2026-11-30/hour=02"].map(str::to_owned);
        assert_eq!((log[0].removed.clone(), log[0].by.as_str()), (Some(hours), "ops"));
        assert_eq!((rest.hours, rest.days_of_verdicts), (1, 0));
        assert_eq!(left(&store).await, ["date=2026-11-30/hour=04"]);
        assert_eq!(read_verdicts(&store, "e").await.unwrap().by_message.len(), 1);
    }

    #[tokio::test]
    async fn records_of_1970_and_of_the_future_are_kept_and_reported() {
        let store = Store::in_memory();
        let now = at("2026-11-30T03:30:00Z");
        for hour in ["date=2026-11-30/hour=02", "date=2026-11-30/hour=05"] {
            store.create(&format!("predictions/e/{hour}/a.jsonl.zst"), "".into()).await.unwrap();
        }
        assert_eq!(wrong_clocks(&store, "e", now).await.unwrap(), None);
        for hour in ["date=1970-01-01/hour=00", "date=2044-02-01/hour=07"] {
            store.create(&format!("predictions/e/{hour}/a.jsonl.zst"), "".into()).await.unwrap();
        }
        let finding = wrong_clocks(&store, "e", now).await.unwrap().unwrap();
        assert_eq!(finding.code, "BOT-6216");
        assert!(
            finding.message.contains("are 2 hours") && finding.message.contains("=1970-01-01/")
        );
        // Written just now: the retention is not over for them, whatever their server believed.
        let before = HourKey::of(at("2026-11-30T03:00:00Z"));
        assert_eq!(expire(&store, "e", before, pass(MOST_HOURS, false)).await.unwrap().hours, 1);
        assert_eq!(left(&store).await.len(), 3);
        let later = HourKey::of(Utc::now() + TimeDelta::days(2));
        assert!(expire(&store, "e", later, pass(MOST_HOURS, true)).await.unwrap().hours >= 2);
    }
}
