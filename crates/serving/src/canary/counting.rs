//! The evidence of the open rollout as the server that ticks counts it.

use botops_rollout::{Merged, Observation};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// The numbers of the last observation of each server.
pub(super) type Marks = BTreeMap<String, u64>;

/// The evidence of the open rollout, on the server that ticks.
pub(super) struct Ticking {
    /// The rollout.
    pub(super) rollout: String,
    /// The union of the observations.
    pub(super) merged: Merged,
    /// The observations that no entry has counted, each with the marks after it.
    pub(super) pending: Vec<(Marks, Observation)>,
    /// The numbers of the observations that were looked at, by server.
    pub(super) seen: BTreeMap<String, Numbers>,
    /// When a new observation of each server was last read, by this server's clock; `None` once the server has left.
    pub(super) heard: BTreeMap<String, Option<Instant>>,
    /// The servers whose clock differs from the clock of this one, as reported.
    pub(super) clocks: BTreeSet<String>,
    /// When the observations of the other servers were last read.
    pub(super) gathered: Option<Instant>,
    /// When the union was last kept.
    pub(super) kept: Instant,
    /// When this server ticked last, by its own monotonic clock; `None` before its first tick.
    pub(super) ticked: Option<Instant>,
}

impl Ticking {
    /// Returns the marks of everything that was merged.
    pub(super) fn marks(&self) -> Marks {
        self.merged.marks()
    }

    /// Drops the observations that an entry with the marks `counted` has counted.
    ///
    /// An append may have its effect although its answer was lost: the marks tell which observations are in the entry.
    pub(super) fn counted(&mut self, counted: &Marks) {
        let is_counted = |marks: &Marks| {
            marks.iter().all(|(server, number)| counted.get(server).is_some_and(|n| n >= number))
        };
        self.pending.retain(|(marks, _)| !is_counted(marks));
    }

    /// Returns the observations that no entry has counted, as one.
    pub(super) fn uncounted(&self, now: DateTime<Utc>, held: Option<String>) -> Observation {
        let mut sum = Observation { observed_at: Some(now), held, ..Observation::default() };
        for (_, seen) in &self.pending {
            let held = sum.held.take();
            sum.add(seen.clone());
            sum.held = held;
        }
        // The servers that observed have clocks of their own.
        sum.observed_at = Some(now);
        sum
    }
}

/// Returns whether `seen` holds no traffic.
pub(super) fn is_nothing(seen: &Observation) -> bool {
    let without = Observation {
        observed_at: seen.observed_at,
        held: seen.held.clone(),
        ..Observation::default()
    };
    *seen == without
}

/// The numbers of the observations of one server that were looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    /// All numbers up to this one.
    below: u64,
    /// Those beyond it.
    beyond: BTreeSet<u64>,
}

impl Numbers {
    pub(super) fn contains(&self, number: u64) -> bool {
        number <= self.below || self.beyond.contains(&number)
    }

    pub(super) fn up_to(&mut self, number: u64) {
        self.below = self.below.max(number);
        self.fold();
    }

    pub(super) fn insert(&mut self, number: u64) {
        self.beyond.insert(number);
        self.fold();
    }

    fn fold(&mut self) {
        let below = self.below;
        self.beyond.retain(|number| *number > below);
        while self.beyond.remove(&(self.below + 1)) {
            self.below += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_were_looked_at_are_known_with_their_gaps() {
        let mut numbers = Numbers::default();
        for number in [1, 2, 5] {
            numbers.insert(number);
        }
        assert_eq!([1, 2, 3, 5].map(|number| numbers.contains(number)), [true, true, false, true]);
        numbers.insert(3);
        numbers.insert(4);
        assert_eq!((numbers.below, numbers.beyond.len()), (5, 0));
        numbers.up_to(9);
        assert!(numbers.contains(8) && !numbers.contains(10));
    }
}
