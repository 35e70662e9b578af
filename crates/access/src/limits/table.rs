//! The states of a rate limit, by key, in bounded memory.
//!
//! A state is the time at which the burst of its key is whole again. Once that has passed, the state says no more than no
//! state, so it is swept: when a shard has doubled since its last sweep. When a shard is full of states that still count, as
//! in a flood of new addresses, those go that are the nearest to whole: their keys gain at most what they had used, and the
//! keys that are at their limit stay there.

use governor::{
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Mutex, PoisonError},
};

const N_SHARDS: usize = 64;
/// The states of a shard before its first sweep.
const FIRST_SWEEP: usize = 64;

/// The states of a rate limit.
///
/// - a key is a keyed hash, so nobody can choose keys that share a shard
/// - no shard holds more than `capacity` states
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    /// The most states of a shard.
    capacity: usize,
    /// The interval of the rate, in nanoseconds.
    interval: u64,
}

#[derive(Debug)]
struct Shard {
    /// The time at which the burst of each key is whole again, in nanoseconds since the start.
    whole_at: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    sweep_at: usize,
}

/// The hasher of keys that are hashes.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` is hashed; this keeps the promise of the trait for all others.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Table {
    /// Makes a table of at most `capacity` states, rounded up to a multiple of the shards; `interval` is that of the rate.
    pub(super) fn new(capacity: usize, interval: std::time::Duration) -> Self {
        let capacity = capacity.div_ceil(N_SHARDS).max(1);
        let shard = || Shard { whole_at: HashMap::default(), sweep_at: FIRST_SWEEP.min(capacity) };
        Self {
            shards: (0..N_SHARDS).map(|_| Mutex::new(shard())).collect(),
            capacity,
            interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

impl ShrinkableKeyedStateStore<u64> for Table {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.whole_at.retain(|_, whole_at| *whole_at > drop_below.as_u64());
        }
    }

    fn len(&self) -> usize {
        let len = |shard: &Mutex<Shard>| {
            shard.lock().unwrap_or_else(PoisonError::into_inner).whole_at.len()
        };
        self.shards.iter().map(len).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl StateStore for Table {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // The map uses the lowest and the highest bits.
        let shard = &self.shards[(*key >> 32) as usize % N_SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole_at) = shard.whole_at.get_mut(key) {
            let (found, next) = f(Some(Nanos::new(*whole_at)))?;
            *whole_at = next.as_u64();
            return Ok(found);
        }
        let (found, next) = f(None)?;
        let next = next.as_u64();
        if shard.whole_at.len() >= shard.sweep_at {
            // The state of a new key is one interval from now.
            shard.sweep(next.saturating_sub(self.interval), self.capacity);
        }
        shard.whole_at.insert(*key, next);
        Ok(found)
    }
}

impl Shard {
    /// Removes the states that are whole at `now`, and leaves room for one more.
    fn sweep(&mut self, now: u64, capacity: usize) {
        self.whole_at.retain(|_, whole_at| *whole_at > now);
        if self.whole_at.len() >= capacity {
            // An eighth at once, so that a flood does not pay for a scan with each request.
            let mut n_evicted = (capacity / 8).max(1);
            let mut times: Vec<u64> = self.whole_at.values().copied().collect();
            let (_, pivot, _) = times.select_nth_unstable(n_evicted - 1);
            let pivot = *pivot;
            self.whole_at.retain(|_, whole_at| {
                let evicted = *whole_at <= pivot && n_evicted > 0;
                n_evicted -= usize::from(evicted);
                !evicted
            });
        }
        self.sweep_at = (2 * self.whole_at.len()).clamp(FIRST_SWEEP.min(capacity), capacity);
        if self.whole_at.capacity() > 4 * self.sweep_at {
            self.whole_at.shrink_to(self.sweep_at);
        }
    }
}
