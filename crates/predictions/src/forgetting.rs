//! The records of a conversation, removed on request.

use crate::{
    columns::Column,
    compaction::rewrite,
    hour::{Hour, hour_keys},
    layout::HourKey,
};
use botops_findings::Result;
use botops_store::Store;
use serde::Serialize;
use std::collections::BTreeSet;

/// The records that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// The number of records.
    pub records: u64,
    /// The number of hours that had some.
    pub hours: u64,
}

/// Removes every record of `conversations` (their HMACs) from the log of `environment`, in compacted files and segments.
///
/// Each hour that has one is compacted without them, so a crash leaves whole hours, and a second call does the rest. Records
/// that servers still hold in their local folders are not reached: call it again once they are shipped. With `dry_run`,
/// records are counted and nothing is written. An hour that cannot be read does not keep the records of the others.
///
/// # Errors
/// Those of [`crate::compact`], of the first hour that has one, once all others are done.
pub async fn forget(
    store: &Store,
    environment: &str,
    conversations: &BTreeSet<String>,
    dry_run: bool,
) -> Result<Forgotten> {
    let mut forgotten = Forgotten::default();
    let mut failed = None;
    for key in hour_keys(store, environment).await? {
        match forget_in(store, (environment, key), conversations, dry_run).await {
            Ok(0) => {}
            Ok(n) => {
                forgotten.records += n;
                forgotten.hours += 1;
            }
            Err(fault) => failed = failed.or(Some(fault)),
        }
    }
    failed.map_or(Ok(forgotten), Err)
}

async fn forget_in(
    store: &Store,
    (environment, key): (&str, HourKey),
    conversations: &BTreeSet<String>,
    dry_run: bool,
) -> Result<u64> {
    let named = |it: &Option<String>| it.as_ref().is_some_and(|it| conversations.contains(it));
    let hour = Hour::list(store, environment, key).await?;
    let mut n = 0;
    hour.each(store, &[Column::Conversation], |it| n += u64::from(named(&it.conversation))).await?;
    if n > 0 && !dry_run {
        rewrite(store, &hour, false, true, |it| !named(&it.conversation)).await?;
    }
    Ok(n)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        compaction::compact,
        hour::hours,
        record::{Record, tests::record},
        retention::{MOST_HOURS, Pass, expire},
    };

    /// Stores the records as one segment of their hour.
    pub(crate) async fn put(store: &Store, name: &str, ids: impl IntoIterator<Item = u32>) {
        let (mut lines, mut hour) = (Vec::new(), None);
        for i in ids {
            hour = Some(HourKey::of_millis(record(i).at));
            assert!(record(i).write_line(&mut lines));
        }
        let bytes = zstd::bulk::compress(&lines, 1).unwrap();
        let path = format!("predictions/e/{}/{name}.jsonl.zst", hour.unwrap());
        assert!(store.create(&path, bytes.into()).await.unwrap());
    }

    async fn read(store: &Store) -> Vec<Record> {
        let mut records = Vec::new();
        for hour in hours(store, "e", None, None).await.unwrap() {
            hour.each(store, &crate::columns::COLUMNS, |it| records.push(it)).await.unwrap();
        }
        records
    }

    #[tokio::test]
    async fn segments_become_one_file_without_duplicates_and_the_records_stay() {
        let store = Store::in_memory();
        put(&store, "a", 0..20).await;
        put(&store, "b", 10..30).await;
        put(&store, "c", 4_000..4_005).await;
        let before = read(&store).await;
        assert_eq!(before.len(), 35, "a duplicate is read once");
        for hour in hours(&store, "e", None, None).await.unwrap() {
            let dry = compact(&store, &hour, true).await.unwrap();
            let done = compact(&store, &hour, false).await.unwrap();
            assert_eq!((dry.records, dry.duplicates), (done.records, done.duplicates));
            assert_eq!(dry.removed, 0);
            assert!(done.removed >= done.segments);
        }
        assert_eq!(read(&store).await, before);
        let listed = hours(&store, "e", None, None).await.unwrap();
        assert!(listed.iter().all(|hour| hour.segments.is_empty() && hour.obsolete.is_empty()));
        assert_eq!(listed.iter().map(|hour| hour.compacted).sum::<u64>(), 35);
        // Late segments, one with records that are there already.
        put(&store, "d", 25..35).await;
        assert_eq!(read(&store).await.len(), 40);
        let hour = &hours(&store, "e", None, None).await.unwrap()[0];
        let done = compact(&store, hour, false).await.unwrap();
        assert_eq!((done.records, done.duplicates, done.segments), (35, 5, 1));
        assert_eq!(read(&store).await.len(), 40);
        let again = &hours(&store, "e", None, None).await.unwrap()[0];
        let nothing = compact(&store, again, false).await.unwrap();
        assert_eq!((nothing.segments, nothing.removed, nothing.records), (0, 0, 35));
    }

    #[tokio::test]
    async fn of_two_compactions_one_counts_and_a_crash_between_its_steps_loses_nothing() {
        let store = Store::in_memory();
        put(&store, "a", 0..20).await;
        let listed = hours(&store, "e", None, None).await.unwrap();
        compact(&store, &listed[0], false).await.unwrap();
        // A slow one that had listed the hour before.
        let late = compact(&store, &listed[0], false).await.unwrap_err();
        assert_eq!((late.code(), late.kind().exit_code()), ("BOT-6209", 5));
        assert_eq!(read(&store).await.len(), 20);
        // A crash after the record of a compaction, before the segments are removed: they do not come back.
        put(&store, "a", 0..20).await;
        put(&store, "b", 20..25).await;
        let hour = Hour::list(&store, "e", listed[0].key).await.unwrap();
        assert_eq!((hour.segments.len(), hour.obsolete.len()), (1, 1));
        compact(&store, &hour, false).await.unwrap();
        assert_eq!(read(&store).await.len(), 25);
    }

    #[tokio::test]
    async fn a_conversation_is_forgotten_everywhere_and_old_hours_are_removed() {
        let store = Store::in_memory();
        put(&store, "a", 0..30).await;
        let hour = &hours(&store, "e", None, None).await.unwrap()[0];
        compact(&store, hour, false).await.unwrap();
        put(&store, "b", 30..36).await;
        put(&store, "c", 4_000..4_003).await;
        let gone: BTreeSet<String> = [record(3), record(31), record(4_000)]
            .into_iter()
            .filter_map(|it| it.conversation)
            .collect();
        let left = read(&store)
            .await
            .iter()
            .filter(|it| !gone.contains(it.conversation.as_ref().unwrap()))
            .count();
        let dry = forget(&store, "e", &gone, true).await.unwrap();
        assert_eq!(read(&store).await.len(), 39);
        let done = forget(&store, "e", &gone, false).await.unwrap();
        assert_eq!((done, done.hours), (dry, 2));
        let records = read(&store).await;
        assert_eq!((records.len(), done.records as usize), (left, 39 - left));
        assert!(records.iter().all(|it| !gone.contains(it.conversation.as_ref().unwrap())));
        for stored in store.list("predictions").await.unwrap() {
            assert!(
                !stored.path.ends_with(".zst") || !stored.path.contains("/b."),
                "{}",
                stored.path
            );
        }
        let second = HourKey::of_millis(record(4_000).at);
        let at = record(4_000).time();
        let pass = |dry_run| Pass { at, by: "ops", most: MOST_HOURS, dry_run };
        assert_eq!(expire(&store, "e", second, pass(true)).await.unwrap().hours, 1);
        assert_eq!(expire(&store, "e", second, pass(false)).await.unwrap().hours, 1);
        let left = hours(&store, "e", None, None).await.unwrap();
        assert_eq!(left.iter().map(|it| it.key).collect::<Vec<_>>(), [second]);
    }
}
