//! The rate limits in Redis, as the admission of requests asks them.

use crate::{ServerSettings, metrics::Metrics, rate_limit::RateLimiting};
use botops_access::{Asked, RequestLimits, SharedLimits, Taken};
use botops_conversations::{CountedRequest, RedisLimits};
use botops_findings::Result;
use botops_observation::UnitKey;
use futures::future::BoxFuture;
use std::sync::Arc;

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

/// Makes the rate limits of a server.
///
/// # Errors
/// `BOT-1098` (exit 2) the location of the shared limits cannot be used.
pub(super) fn rate_limits(
    settings: &ServerSettings,
    metrics: &Metrics,
    names: &UnitKey,
) -> Result<RateLimiting> {
    let public = &settings.public;
    let limits = RequestLimits::new(&public.rates);
    let (proxies, metrics) = (public.trusted_proxies.clone(), Arc::clone(&metrics.limits));
    let limiting = RateLimiting::new(limits, proxies, metrics);
    let Some(shared) = &public.shared else { return Ok(limiting) };
    let store = LimitsInRedis::open(shared.location.expose())?;
    let named = (names.clone(), settings.environment.as_str());
    Ok(limiting.shared((Arc::new(store), shared.on_failure), named))
}
