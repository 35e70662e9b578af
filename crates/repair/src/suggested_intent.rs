//! Intents that were suggested for records.

use serde::Deserialize;

/// An intent that `botops data label-issues` suggests for a record.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SuggestedIntent {
    /// The record, from 1.
    pub record: u64,
    /// The present intent.
    pub intent: String,
    /// The suggested intent.
    pub suggested: String,
    /// The probability that the present intent is wrong, in [0, 1].
    pub score: f64,
}
