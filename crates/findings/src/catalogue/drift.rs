//! 4xxx: drift.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    code: "BOT-4001",
    kind: Some(FaultKind::Usage),
    title: "a drift setting is out of range",
    explanation: "`alpha` is the false discovery rate, between 0 and 1. `min_psi` and `min_ks` are the smallest effects that count as drift if they are also significant. `min_rows` is the number of rows that each side needs before it is compared. `columns` names the columns and checks to compare. The defaults are 0.05, 0.1, 0.1, 100, and all columns.",
}];
