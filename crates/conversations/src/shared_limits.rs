//! Rate limits that several servers count together, in Redis.

use botops_findings::{Fault, Result};
use redis::{AsyncConnectionConfig, Client, RedisError, Script, aio::MultiplexedConnection};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::timeout};

/// The longest time for one question. A request waits for it.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest time to connect. Requests do not wait for all of it.
const CONNECTING: Duration = Duration::from_secs(2);

/// GCRA over several keys, all or none, by the clock of Redis, in microseconds.
///
/// A key holds the time at which its burst is whole again, and expires at that time. A time further ahead than a burst
/// takes comes from a clock that was set back, and counts as a burst that is used up. For each key, the answer has the
/// rest of its burst and the time to wait: 0 if the request may pass.
const GCRA: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local whole, answers, passes = {}, {}, true
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local at = tonumber(redis.call('GET', key)) or now
  whole[i] = math.min(math.max(at, now), now + interval * burst)
  local wait = math.ceil(whole[i] - interval * (burst - 1) - now)
  passes = passes and wait <= 0
  answers[2 * i] = math.max(wait, 0)
end
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if passes then
    whole[i] = whole[i] + interval
    local alive = math.ceil((whole[i] - now) / 1000)
    redis.call('SET', key, string.format('%.3f', whole[i]), 'PX', math.max(alive, 1))
  end
  answers[2 * i - 1] = math.max(math.floor((now + interval * burst - whole[i]) / interval + 0.001), 0)
end
return answers
";

/// A request that is counted under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedRequest {
    /// The key in Redis.
    pub key: String,
    /// The time after which one more request may come; at least a microsecond.
    pub interval: Duration,
    /// The number of requests that may come at once; at least 1.
    pub burst: u32,
}

/// The answer for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How many more requests may come at once.
    pub remaining: u32,
    /// The time until the request may come, if it is refused.
    pub retry_after: Option<Duration>,
}

/// Rate limits in Redis.
///
/// - one question is one round trip, of one script
/// - a server that is gone is noticed within 100 ms, and asked again over a new connection
pub struct RedisLimits {
    client: Client,
    script: Script,
    connection: Arc<Mutex<Option<MultiplexedConnection>>>,
}

/// The location is left out: it may hold a password.
impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisLimits")
    }
}

impl RedisLimits {
    /// Makes the limits at `location`, such as `redis://127.0.0.1:6379/0`. It connects when it is asked.
    ///
    /// # Errors
    /// `BOT-1098` (exit 2) if this is no location of a Redis. The fault has no part of it.
    pub fn open(location: &str) -> Result<Self> {
        let fault = |why: &str| {
            Fault::usage("BOT-1098", format!("`limits.shared` {why}"))
                .hint("write it as `redis://127.0.0.1:6379/0`, or `rediss://` for TLS")
        };
        if !location.starts_with("redis://") && !location.starts_with("rediss://") {
            return Err(fault("begins with neither `redis://` nor `rediss://`"));
        }
        let client = Client::open(location).map_err(|_| fault("is not the location of a Redis"))?;
        let script = Script::new(GCRA);
        Ok(Self { client, script, connection: Arc::default() })
    }

    /// Counts a request under each key of `asked`, or under none of them if one refuses it. Answers in their order, within
    /// 100 ms.
    ///
    /// # Errors
    /// In words, if Redis does not answer in time, cannot be reached, or refuses. The request may have been counted.
    pub async fn take(
        &self,
        asked: &[CountedRequest],
    ) -> std::result::Result<Vec<Counted>, String> {
        let answer = match timeout(PATIENCE, self.ask(asked)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.disconnect();
                return Err(words(&error));
            }
            Err(_) => {
                self.disconnect();
                return Err(format!("no answer within {} ms", PATIENCE.as_millis()));
            }
        };
        if answer.len() != 2 * asked.len() {
            return Err("an answer of another form".to_owned());
        }
        let counted = |pair: &[u64]| Counted {
            remaining: u32::try_from(pair[0]).unwrap_or(u32::MAX),
            retry_after: (pair[1] > 0).then(|| Duration::from_micros(pair[1])),
        };
        Ok(answer.chunks_exact(2).map(counted).collect())
    }

    async fn ask(&self, asked: &[CountedRequest]) -> std::result::Result<Vec<u64>, RedisError> {
        let mut connection = self.connected().await?;
        let mut invocation = self.script.prepare_invoke();
        for one in asked {
            let interval = one.interval.as_secs_f64() * 1e6;
            invocation.key(&one.key).arg(interval).arg(one.burst);
        }
        invocation.invoke_async(&mut connection).await
    }

    /// Returns the connection, and makes one if there is none. A request that gives up does not end the attempt.
    async fn connected(&self) -> std::result::Result<MultiplexedConnection, RedisError> {
        let mut slot = Arc::clone(&self.connection).lock_owned().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let client = self.client.clone();
        let connecting = tokio::spawn(async move {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(CONNECTING)
                .set_response_timeout(CONNECTING);
            let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            *slot = Some(connection.clone());
            Ok(connection)
        });
        connecting.await.unwrap_or_else(|_| {
            Err(RedisError::from((redis::ErrorKind::ClientError, "connecting failed")))
        })
    }

    /// Drops the connection, unless a new one is being made.
    fn disconnect(&self) {
        if let Ok(mut slot) = self.connection.try_lock() {
            *slot = None;
        }
    }
}

/// Returns an error in one line.
fn words(error: &RedisError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_of_a_redis_and_a_fault_does_not_show_it() {
        assert!(RedisLimits::open("redis://127.0.0.1:6379/0").is_ok());
        assert!(RedisLimits::open("rediss://user:secret@redis.example").is_ok());
        for location in
            ["", "127.0.0.1:6379", "http://secret@a", "redis://secret@:x/", "unix:///secret"]
        {
            let fault = RedisLimits::open(location).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1098", 2), "{location}");
            assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
        }
    }
}
