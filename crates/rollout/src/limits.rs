//! Absolute limits: conversations that began while the challenger had all of them, and their failures.

use crate::failure::FailureKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts by kind. It holds whole numbers, from which e-values are computed, and the largest log e-values, to nine
/// decimals. JSON keeps it bit for bit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LimitState(BTreeMap<FailureKind, LimitCount>);

/// Conversations measured against one limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct LimitCount {
    /// Conversations on which the kind was measured.
    units: u64,
    /// Failed conversations.
    failures: u64,
    /// The largest log e-value for "above the limit" so far; at least 0, because an e-process starts at 1.
    max_log_e_above: f64,
}

impl LimitState {
    /// Returns whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
