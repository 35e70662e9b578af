//! The rate limits in Redis, as the admission of requests asks them.

use botops_access::{Asked, SharedLimits, Taken};
use botops_conversations::{CountedRequest, RedisLimits};
use botops_findings::Result;
use futures::future::BoxFuture;

/// Rate limits in Redis.
#[derive(Debug)]
pub(super) struct LimitsInRedis(RedisLimits);

impl LimitsInRedis {
    /// Makes the limits at `location`. It connects when it is asked.
    ///
    /// # Errors
    /// `BOT-1098` (exit 2) the location cannot be used.
    pub(super) fn open(location: &str) -> Result<Self> {
        RedisLimits::open(location).map(Self)
    }
}

impl SharedLimits for LimitsInRedis {
    fn take<'a>(
        &'a self,
        asked: &'a [Asked],
    ) -> BoxFuture<'a, std::result::Result<Vec<Taken>, String>> {
        let counted = |asked: &Asked| CountedRequest {
            key: asked.key.clone(),
            interval: asked.rate.interval(),
            burst: asked.rate.at_once(),
        };
        Box::pin(async move {
            let requests: Vec<_> = asked.iter().map(counted).collect();
            let answers = self.0.take(&requests).await?;
            let taken = answers.into_iter().map(|answer| Taken {
                remaining: answer.remaining,
                retry_after: answer.retry_after,
            });
            Ok(taken.collect())
        })
    }
}
