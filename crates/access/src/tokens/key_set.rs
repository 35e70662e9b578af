//! The keys of an issuer over time: read when they are needed, kept for a while, and bounded.
//!
//! - only the configured place is read: a token cannot name another one, and redirects are not followed
//! - keys are read again after [`FRESH`], and at an unknown key id at most every [`PAUSE`], whatever is sent
//! - while the place cannot be read, the keys of the last read are kept for [`KEPT`]

use super::{
    algorithm::TokenAlgorithm,
    jwks::{self, VerifyingKey},
};
use crate::token_problem::TokenProblem;
use botops_findings::Result;
use botops_http::{Client, ClientSpec, Proxy, Redirects, Url, why_unreachable};
use std::{
    io::Read as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The age from which keys are read again.
pub(super) const FRESH: Duration = Duration::from_secs(600);
/// The least time between two reads.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// The age from which keys are not used any more, although they could not be read again.
pub(super) const KEPT: Duration = Duration::from_secs(3_600);
/// The most bytes of a set.
const MOST_BYTES: usize = 256 << 10;
/// The longest time that a read may take.
const ANSWER: Duration = Duration::from_secs(5);

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct KeySet {
    place: Place,
    known: Mutex<Known>,
    /// Held while the keys are read, so that many requests read them once.
    reading: futures::lock::Mutex<()>,
}

#[derive(Debug)]
enum Place {
    Url(Client, Url),
    File(PathBuf),
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<Vec<VerifyingKey>>,
    /// The last read that succeeded.
    read_at: Option<Instant>,
    /// The last read.
    tried_at: Option<Instant>,
}

impl KeySet {
    /// Makes a set of the keys at `url`.
    ///
    /// # Errors
    /// `BOT-1018` if there can be no HTTP client.
    pub(super) fn at_url(url: Url) -> Result<Self> {
        let spec = ClientSpec {
            answer: Some(ANSWER),
            silence: None,
            redirects: Redirects::Refused,
            proxy: Proxy::Environment,
        };
        Ok(Self::of(Place::Url(botops_http::client(&spec)?, url)))
    }

    /// Makes a set of the keys in the file at `path`.
    pub(super) fn in_file(path: PathBuf) -> Self {
        Self::of(Place::File(path))
    }

    fn of(place: Place) -> Self {
        Self { place, known: Mutex::default(), reading: futures::lock::Mutex::new(()) }
    }

    /// Returns the key `kid` for `algorithm`; without an id, the only key for `algorithm`.
    ///
    /// # Errors
    /// [`TokenProblem::UnknownKey`]; [`TokenProblem::NoKeys`] if the keys cannot be read.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: TokenAlgorithm,
        now: Instant,
    ) -> Result<VerifyingKey, TokenProblem> {
        let (found, is_fresh) = self.look(kid, algorithm, now);
        if let (Ok(key), true) = (&found, is_fresh) {
            return Ok(key.clone());
        }
        if self.may_read(now) {
            // A failure shows in the second look.
            let _ = self.refresh(now).await;
        }
        self.look(kid, algorithm, now).0
    }

    /// Looks for a key, and returns whether the keys are fresh.
    fn look(
        &self,
        kid: Option<&str>,
        algorithm: TokenAlgorithm,
        now: Instant,
    ) -> (Result<VerifyingKey, TokenProblem>, bool) {
        let known = self.known();
        let age = known.read_at.map(|at| now.saturating_duration_since(at));
        if age.is_none_or(|age| age >= KEPT) {
            return (Err(TokenProblem::NoKeys), false);
        }
        let mut fitting = known.keys.iter().filter(|key| {
            key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid)
        });
        let found = match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key.clone()),
            _ => Err(TokenProblem::UnknownKey),
        };
        (found, age.is_some_and(|age| age < FRESH))
    }

    /// Returns whether the last read is long ago, or waits for the read under way.
    fn may_read(&self, now: Instant) -> bool {
        let tried_at = self.known().tried_at;
        tried_at.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE)
            || self.reading.try_lock().is_none()
    }

    /// Reads the keys, or waits for the read under way. Returns the problems of single keys, which are not used.
    ///
    /// # Errors
    /// The problem as a clause.
    pub(super) async fn refresh(&self, now: Instant) -> Result<Vec<String>, String> {
        let _reading = self.reading.lock().await;
        {
            let mut known = self.known();
            if known.tried_at.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
                return Ok(Vec::new());
            }
            known.tried_at = Some(now);
        }
        let (keys, problems) = jwks::read(&self.place.read().await?)?;
        let mut known = self.known();
        (known.keys, known.read_at) = (Arc::new(keys), Some(now));
        Ok(problems)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Reads at most 256 KiB.
    async fn read(&self) -> Result<Vec<u8>, String> {
        let too_long = || format!("they have more than {} KiB", MOST_BYTES >> 10);
        match self {
            Self::File(path) => {
                let read = || {
                    let mut bytes = Vec::new();
                    let file = std::fs::File::open(path)?;
                    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
                    Ok(bytes)
                };
                let bytes = read().map_err(|error: std::io::Error| {
                    format!("`{}` cannot be read: {error}", path.display())
                })?;
                if bytes.len() > MOST_BYTES { Err(too_long()) } else { Ok(bytes) }
            }
            Self::Url(client, url) => {
                let broke = |error| format!("`{url}` cannot be read: {}", why_unreachable(&error));
                let mut answer = client.get(url.clone()).send().await.map_err(broke)?;
                if !answer.status().is_success() {
                    return Err(format!("`{url}` answered {}", answer.status().as_u16()));
                }
                let mut bytes = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(broke)? {
                    if bytes.len() + chunk.len() > MOST_BYTES {
                        return Err(too_long());
                    }
                    bytes.extend_from_slice(&chunk);
                }
                Ok(bytes)
            }
        }
    }
}
