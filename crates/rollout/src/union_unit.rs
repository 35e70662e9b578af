//! One unit of a union: where it was seen first, and what is known of it.

use crate::{
    assignment::Arm,
    failure::FailureKind,
    slot::Slot,
    waiting_verdicts::{Fate, WaitingVerdict, source_bits},
};

/// One unit. The order of fields gives groups of equal units in a stored union their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unit {
    /// The earliest share of traffic, as (step, billionths); [`UNSEEN`] before one is known.
    pub(crate) share: (u16, u32),
    /// The arms it was seen on under that share: bit 0 the primary, bit 1 the canary.
    pub(crate) arms: u8,
    /// Of the replicas that saw it under that share, the one with the smallest id.
    pub(crate) replica: u16,
    /// [`VOID`] and others.
    pub(crate) flags: u8,
    /// The kinds that failed, by bit.
    pub(crate) failed: u16,
    pub(crate) failed_given: u16,
    /// The kinds that were measured on it and that not every unit measures, by bit.
    pub(crate) measured: u16,
    pub(crate) measured_given: u16,
    /// The sources that judged it, and those that found it wrong; see [`source_bits`].
    pub(crate) sources: u8,
    pub(crate) sources_given: u8,
}

/// The share of a unit that no replica has seen on an arm.
pub(crate) const UNSEEN: (u16, u32) = (u16::MAX, u32::MAX);
/// Seen while the weight changed.
pub(crate) const VOID: u8 = 1;
/// Given out as a unit of its arm.
pub(crate) const GIVEN: u8 = 2;
/// Mirrored to the challenger.
pub(crate) const SHADOW: u8 = 4;
pub(crate) const SHADOW_GIVEN: u8 = 8;
/// The challenger predicted another intent.
pub(crate) const DISAGREEMENT: u8 = 16;
pub(crate) const DISAGREEMENT_GIVEN: u8 = 32;
/// Listed as changed in the union.
pub(crate) const CHANGED: u8 = 64;
/// Counted as sent to both arms under one share.
pub(crate) const CONFLICT: u8 = 128;

impl Default for Unit {
    fn default() -> Self {
        Self {
            share: UNSEEN,
            arms: 0,
            replica: u16::MAX,
            flags: 0,
            failed: 0,
            failed_given: 0,
            measured: 0,
            measured_given: 0,
            sources: 0,
            sources_given: 0,
        }
    }
}

/// A report on one unit: where it was seen, and what happened there.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    pub(crate) slot: Slot,
    pub(crate) replica: u16,
    pub(crate) failed: u16,
    pub(crate) measured: u16,
    /// See [`source_bits`].
    pub(crate) sources: u8,
}

impl Unit {
    /// Joins a report; `first` says whether the first replica's id is below that of the second.
    pub(crate) fn join(&mut self, report: Report, first: impl Fn(u16, u16) -> bool) {
        let Report { slot, replica, failed, measured, sources } = report;
        let (share, arm) = ((slot.step, slot.weight), arm_bit(slot.arm));
        if self.flags & GIVEN != 0 {
            if self.share == share && self.arms == arm {
                self.failed |= failed;
                self.measured |= measured;
                self.sources |= sources;
            }
            return;
        }
        if share < self.share {
            // Nothing has been given out, so what was reported under the later share is dropped.
            (self.share, self.arms, self.replica) = (share, arm, replica);
            (self.failed, self.measured, self.sources) = (failed, measured, sources);
        } else if share == self.share {
            self.arms |= arm;
            self.failed |= failed;
            self.measured |= measured;
            self.sources |= sources;
            if first(replica, self.replica) {
                self.replica = replica;
            }
        }
    }

    /// Applies a verdict, if it is about the share under which the unit is judged.
    pub(crate) fn judge(&mut self, verdict: &WaitingVerdict) -> Fate {
        let WaitingVerdict { source, wrong, slot, .. } = *verdict;
        let share = (slot.step, slot.weight);
        if self.share > share {
            // The replica that answered has not published the unit yet. Once it is given out, that would come too late.
            return if self.flags & GIVEN == 0 { Fate::Waits } else { Fate::Done };
        }
        if self.share == share && self.arms == arm_bit(slot.arm) {
            self.measured |= bit(FailureKind::Wrong);
            if wrong {
                self.failed |= bit(FailureKind::Wrong);
            }
            self.sources |= source_bits(source, wrong);
        }
        Fate::Done
    }

    /// Returns the index of the arm in `[primary, canary]`; `None` if it has none, or both.
    pub(crate) fn side(&self) -> Option<usize> {
        match self.arms {
            1 => Some(0),
            2 => Some(1),
            _ => None,
        }
    }
}

fn arm_bit(arm: Arm) -> u8 {
    match arm {
        Arm::Primary => 1,
        Arm::Canary => 2,
    }
}

/// Returns the bit of `kind`.
pub(crate) fn bit(kind: FailureKind) -> u16 {
    1 << kind as u16
}

/// Returns the kinds of `bits`.
pub(crate) fn kinds(bits: u16) -> impl Iterator<Item = FailureKind> {
    FailureKind::ALL.into_iter().filter(move |kind| bits & bit(*kind) != 0)
}

/// Returns the bits of `kinds`.
pub(crate) fn bits(kinds: &[FailureKind]) -> u16 {
    kinds.iter().fold(0, |bits, kind| bits | bit(*kind))
}
