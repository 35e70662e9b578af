//! The turns of processes that monitor one environment: of each span of time, one evaluates.

use crate::folder::folder;
use botops_findings::Result;
use botops_store::Store;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The claims that are kept.
const KEPT: usize = 4;

/// A claim that this process has.
#[derive(Debug)]
pub(crate) struct Claim {
    path: String,
}

impl Claim {
    /// Claims the span of `every` around `now`. Returns `None` if another process has it.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn take(
        store: &Store,
        environment: &str,
        every: Duration,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>> {
        let folder = format!("{}/claims", folder(environment));
        let seconds = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
        let span = now.timestamp().div_euclid(seconds).max(0) * seconds;
        let path = format!("{folder}/{span:012}-{seconds:08}");
        let is_ours = store.create(&path, now.to_rfc3339().into_bytes().into()).await?;
        if is_ours {
            let paths = store.objects(&folder, None).await?;
            for old in paths.iter().rev().skip(KEPT) {
                let _ = store.remove(old).await;
            }
        }
        Ok(is_ours.then_some(Self { path }))
    }

    /// Gives the claim back, because the evaluation failed: this process or another tries again.
    pub(crate) async fn release(self, store: &Store) {
        let _ = store.remove(&self.path).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_process_has_each_span_and_a_released_one_is_free() {
        let store = Store::in_memory();
        let hour = Duration::from_secs(3_600);
        let at = |minutes: i64| DateTime::from_timestamp(1_796_000_400 + minutes * 60, 0).unwrap();
        let take = |minutes: i64| Claim::take(&store, "e", hour, at(minutes));
        let first = take(0).await.unwrap().unwrap();
        assert!(take(5).await.unwrap().is_none());
        first.release(&store).await;
        assert!(take(6).await.unwrap().is_some());
        for hours in 1..10 {
            assert!(take(hours * 60).await.unwrap().is_some());
        }
        assert_eq!(store.objects("monitoring/e/claims", None).await.unwrap().len(), KEPT);
    }
}
