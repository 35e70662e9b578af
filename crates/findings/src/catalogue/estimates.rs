//! 229x: accuracy in production, and its estimate.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-2290",
        kind: Some(FaultKind::Usage),
        title: "a setting of the estimated accuracy is out of range",
        explanation: "The level of its intervals is between 0 and 1 (0.95 by default), and the bootstrap has at least 100 draws (1,000 by default).",
    },
    Entry {
        code: "BOT-2291",
        kind: Some(FaultKind::Gate),
        title: "the window and the reference are of different models",
        explanation: "Accuracy is estimated from the confidence of a model, calibrated on predictions that the same model made for its training data. The window has predictions of an intent that the reference does not list, or the reference lists a prediction that cannot be one. Records name the digest of the model that made them: compare each model with its own reference.",
    },
    Entry {
        code: "BOT-2292",
        kind: Some(FaultKind::Insufficient),
        title: "there is too little to estimate an accuracy from",
        explanation: "The window has no record, or the model has no reference: models that older versions of botops trained have none. Train the model again, or wait for verdicts, from which the accuracy is counted.",
    },
];
