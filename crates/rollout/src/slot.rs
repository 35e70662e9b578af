//! The share of traffic and the arm under which units are counted.

use crate::assignment::Arm;
use serde::{Deserialize, Serialize};

/// A weight of 100 %.
const BILLION: u32 = 1_000_000_000;

/// The share of traffic under which a unit was first seen at a replica, and its arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The index of the step, from 0.
    pub step: u16,
    /// The challenger's share in billionths, above 0.
    pub weight: u32,
    /// The arm that answered.
    pub arm: Arm,
}

impl Slot {
    /// Returns the slot of a unit of `arm`, first seen in `step` at `weight`, a share in (0, 1].
    #[must_use]
    pub fn new(step: u16, weight: f64, arm: Arm) -> Self {
        Self { step, weight: (weight * f64::from(BILLION)).round() as u32, arm }
    }

    /// Returns whether the weight is in (0, 1].
    #[must_use]
    pub fn is_valid(self) -> bool {
        (1..=BILLION).contains(&self.weight)
    }
}
