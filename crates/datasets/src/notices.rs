//! The findings of reading files that belong to no record: a column, a key or an intent that is not read.
//!
//! Every reader of the process leaves them here, so that a verb does not have to carry them through its rooms.

use botops_findings::Finding;
use std::sync::{Mutex, PoisonError};

/// The codes of the findings that are kept.
pub const NOTICES: [&str; 3] = ["BOT-2232", "BOT-2233", "BOT-2234"];

/// The most findings that are kept: a server reads files for as long as it runs.
const MOST: usize = 1_000;

static KEPT: Mutex<Vec<Finding>> = Mutex::new(Vec::new());

/// Keeps the `findings` of reading a file. A file that is read again adds none.
pub(crate) fn keep(findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    for finding in findings.iter().filter(|finding| NOTICES.contains(&&*finding.code)) {
        if kept.len() < MOST && !kept.contains(finding) {
            kept.push(finding.clone());
        }
    }
}

/// Takes the findings about parts of files that were not read since the last call, by place.
#[must_use]
pub fn take_notices() -> Vec<Finding> {
    let mut kept = std::mem::take(&mut *KEPT.lock().unwrap_or_else(PoisonError::into_inner));
    // Files may be read in several threads.
    kept.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.place.clone(), finding.code.clone());
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
    kept
}
