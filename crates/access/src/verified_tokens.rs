//! Tokens that were verified shortly before: their signatures are not checked again.

use crate::PublicCaller;
use botops_digest::Digest;
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

/// The parts of the cache: threads that write rarely meet.
const SHARDS: usize = 16;
/// The most tokens of a part.
const MOST: usize = 1_024;
/// The longest time that a token is remembered: a key that its issuer withdrew is used for that much longer.
const REMEMBERED: TimeDelta = TimeDelta::seconds(60);

/// Tokens that were verified, by digest: at most 16,384, each for at most a minute and not beyond its expiry.
#[derive(Debug)]
pub(super) struct VerifiedTokens(Vec<RwLock<HashMap<Digest, Verified>>>);

#[derive(Debug)]
struct Verified {
    caller: PublicCaller,
    until: DateTime<Utc>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| RwLock::default()).collect())
    }
}

impl VerifiedTokens {
    /// Returns the caller of the token with this digest, if it was verified shortly before `now`.
    pub(super) fn get(&self, token: &Digest, now: DateTime<Utc>) -> Option<PublicCaller> {
        let tokens = self.shard(token).read().unwrap_or_else(PoisonError::into_inner);
        let found = tokens.get(token).filter(|found| now < found.until)?;
        Some(found.caller.clone())
    }

    /// Remembers that the token with this digest is of `caller`, and refused from `until` on.
    pub(super) fn insert(
        &self,
        token: Digest,
        caller: PublicCaller,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) {
        let mut tokens = self.shard(&token).write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST {
            tokens.retain(|_, found| now < found.until);
        }
        // Only tokens that an issuer signed get here, so strangers cannot fill it.
        if tokens.len() >= MOST {
            tokens.clear();
        }
        tokens.insert(token, Verified { caller, until: until.min(now + REMEMBERED) });
    }

    fn shard(&self, token: &Digest) -> &RwLock<HashMap<Digest, Verified>> {
        &self.0[usize::from(token.as_bytes()[0]) % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScopeSet;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_token_is_remembered_for_a_minute_and_not_beyond_its_expiry() {
        let cache = VerifiedTokens::default();
        let caller = PublicCaller::anonymous(ScopeSet::NONE);
        let (short, long) = (Digest::of(b"short"), Digest::of(b"long"));
        cache.insert(short, caller.clone(), at(0), at(10));
        cache.insert(long, caller.clone(), at(0), at(1_000));
        assert_eq!(cache.get(&short, at(9)), Some(caller.clone()));
        assert_eq!((cache.get(&short, at(10)), cache.get(&long, at(59))), (None, Some(caller)));
        assert_eq!(cache.get(&long, at(60)), None);
    }

    #[test]
    fn a_bounded_number_of_tokens_is_remembered() {
        let cache = VerifiedTokens::default();
        for n in 0..3 * (SHARDS * MOST) as u64 {
            let token = Digest::of(&n.to_be_bytes());
            cache.insert(token, PublicCaller::anonymous(ScopeSet::NONE), at(0), at(100));
            assert!(cache.get(&token, at(1)).is_some());
        }
        let n: usize = cache.0.iter().map(|tokens| tokens.read().unwrap().len()).sum();
        assert!(n <= SHARDS * MOST, "{n}");
    }
}
