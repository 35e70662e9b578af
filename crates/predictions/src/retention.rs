//! Hours past the retention, and hours that a wrong clock wrote.

use crate::{
    hour::{Hour, keys},
    layout::{self, HourKey},
};
use botops_findings::{Finding, Place, Result, Severity};
use botops_store::{Store, Stored};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// The most hours that a pass of [`expire`] removes for a server, which makes one each hour. A clock that jumps ahead by years
/// does not remove the log before anybody sees it.
pub const MOST_HOURS: usize = 48;
/// Botops is younger than this day, so a record before it was written under a wrong clock.
const OLDEST_DATE: &str = "date=2020-01-01";
/// How far the clocks of servers may be apart.
const SKEW: TimeDelta = TimeDelta::hours(2);

/// The part of the log that was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// The number of hours.
    pub hours: u64,
    /// Their records, as far as that is known without reading them: those of compacted files.
    pub records: u64,
    /// The number of days whose verdicts were removed: those on records that are past the retention.
    pub days_of_verdicts: u64,
}

/// Removes the hours of `environment` that end at `before` or earlier, whole, the oldest first and at most `most` of them; and the
/// verdicts that were given on earlier days, whose records are gone.
///
/// Any number of servers may call it at the same time: removing an object that is gone changes nothing. Hours are removed though
/// their files cannot be read. An hour before 2020 is one of a wrong clock: it is removed once its files, by the clock of the
/// store, were written before `before`. With `dry_run`, nothing is removed.
///
/// # Errors
/// Those of the store.
pub async fn expire(
    store: &Store,
    environment: &str,
    before: HourKey,
    most: usize,
    dry_run: bool,
) -> Result<Expired> {
    let mut expired = Expired::default();
    for key in keys(store, environment, |date| *date <= *date_of(before)).await? {
        if key >= before || expired.hours >= most as u64 {
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
        if !dry_run {
            remove(store, listed).await?;
        }
    }
    let verdicts = format!("{}/verdicts", layout::environment(environment));
    for date in store.folders(&verdicts).await? {
        if date.starts_with("date=") && *date < *date_of(before) {
            let listed = store.list(&format!("{verdicts}/{date}")).await?;
            expired.days_of_verdicts += u64::from(!listed.is_empty());
            if !dry_run {
                remove(store, listed).await?;
            }
        }
    }
    Ok(expired)
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
        record::tests::record, record_verdicts,
    };

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
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
        let dry = expire(&store, "e", before, 2, true).await.unwrap();
        let done = expire(&store, "e", before, 2, false).await.unwrap();
        assert_eq!((dry, dry.hours, dry.days_of_verdicts), (done, 2, 1));
        store.remove("predictions/e/date=x/hour=y/z").await.unwrap();
        assert_eq!(left(&store).await, ["date=2026-11-30/hour=03", "date=2026-11-30/hour=04"]);
        let rest = expire(&store, "e", before, MOST_HOURS, false).await.unwrap();
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
        assert_eq!(expire(&store, "e", before, MOST_HOURS, false).await.unwrap().hours, 1);
        assert_eq!(left(&store).await.len(), 3);
        let later = HourKey::of(Utc::now() + TimeDelta::days(2));
        assert!(expire(&store, "e", later, MOST_HOURS, true).await.unwrap().hours >= 2);
    }
}
