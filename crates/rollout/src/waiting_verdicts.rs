//! Verdicts that were merged and not given out: one for each message.
//!
//! - of several verdicts on one message, that of the most trusted source counts; of two of one source, the one that finds
//!   the answer right. So the order in which objects are merged does not matter
//! - a verdict waits until its conversation is known, and never makes one known: a replica that only forwards verdicts
//!   does not change the traffic split
//! - once it is given out, or its conversation is not judged under that share, later verdicts on the message have no effect
//!
//! Memory is bounded: at most [`MOST_WAITING`] verdicts wait, and the messages judged last are remembered, as units are.

use crate::{
    slot::Slot,
    verdict::{Judged, VerdictSource},
};
use std::collections::{BTreeMap, HashSet};

/// The most verdicts that wait for their conversations. Further ones are dropped.
pub(crate) const MOST_WAITING: usize = 100_000;

/// A verdict. The order of fields decides which one counts: the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaitingVerdict {
    pub(crate) source: VerdictSource,
    pub(crate) wrong: bool,
    pub(crate) slot: Slot,
    pub(crate) unit: u64,
}

/// Verdicts by message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WaitingVerdicts {
    pub(crate) waiting: BTreeMap<u64, WaitingVerdict>,
    /// The messages that are done with: the younger and the older generation.
    pub(crate) young: HashSet<u64>,
    pub(crate) old: HashSet<u64>,
}

/// The fate of a verdict that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its conversation is not known yet.
    Waits,
    /// It counts, or never will.
    Done,
}

impl WaitingVerdicts {
    /// Joins a list of verdicts.
    pub(crate) fn join(&mut self, list: &Judged) {
        for (message, unit) in list.verdicts.iter() {
            if self.young.contains(&message) || self.old.contains(&message) {
                continue;
            }
            let (source, wrong, slot) = (list.source, list.wrong, list.slot);
            let verdict = WaitingVerdict { source, wrong, slot, unit };
            let is_full = self.waiting.len() >= MOST_WAITING;
            match self.waiting.get_mut(&message) {
                Some(known) => *known = verdict.min(*known),
                None if is_full => {}
                None => {
                    self.waiting.insert(message, verdict);
                }
            }
        }
    }

    /// Asks for the fate of each verdict, and remembers the messages of those that are done, `capacity` at least.
    pub(crate) fn settle(
        &mut self,
        capacity: usize,
        mut fate: impl FnMut(&WaitingVerdict) -> Fate,
    ) {
        let Self { waiting, young, old } = self;
        waiting.retain(|&message, verdict| {
            let waits = fate(verdict) == Fate::Waits;
            if !waits {
                if young.len() >= capacity {
                    *old = std::mem::take(young);
                }
                young.insert(message);
            }
            waits
        });
    }

    /// Returns the verdicts that wait, in lists.
    pub(crate) fn lists(&self) -> Vec<Judged> {
        let mut lists: BTreeMap<(VerdictSource, bool, Slot), Vec<(u64, u64)>> = BTreeMap::new();
        for (&message, it) in &self.waiting {
            lists.entry((it.source, it.wrong, it.slot)).or_default().push((message, it.unit));
        }
        let list = |((source, wrong, slot), verdicts): (_, Vec<(u64, u64)>)| Judged {
            slot,
            source,
            wrong,
            verdicts: verdicts.into_iter().collect(),
        };
        lists.into_iter().map(list).collect()
    }
}

/// Returns the bit of a unit that `source` judged; the next higher one says that it found it wrong.
pub(crate) fn source_bit(source: VerdictSource) -> u8 {
    1 << (2 * source as u8)
}

/// Returns the bits that `verdict` sets.
pub(crate) fn source_bits(source: VerdictSource, wrong: bool) -> u8 {
    let judged = source_bit(source);
    if wrong { judged | judged << 1 } else { judged }
}
