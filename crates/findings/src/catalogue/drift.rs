//! 4xxx: drift.

use super::Entry;
use crate::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    code: "BOT-4001",
    kind: Some(FaultKind::Usage),
    title: "a drift setting is out of range",
    explanation: "`alpha` is the false discovery rate and lies between 0 and 1; `min_psi` and `min_ks` are the least effects that count as drift, beside significance; `min_rows` is the number of rows either side needs before anything is judged. Leave a setting out to get its default: 0.05, 0.1, 0.1, 100.",
}];
