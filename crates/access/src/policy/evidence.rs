//! The evidence of a version, as a policy sees it.

use botops_digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The gate report of a version: the room that owns reports fills it in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The digest of the report.
    pub digest: Digest,
    /// The kind: `evaluation` or `golden-self-test`.
    pub kind: String,
    /// The data, the rules and the numbers; `None` for a golden self-test, and for a report of an older botops.
    pub basis: Option<EvidenceBasis>,
}

/// The data, the rules and the numbers behind a gate report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceBasis {
    /// The name of the data set, as given.
    pub data: String,
    /// The digest of the data file.
    pub data_digest: Digest,
    /// The number of records.
    pub n: u64,
    /// The model file of the champion that the version was compared with.
    pub champion: Option<Digest>,
    /// Every bound of the rules.
    pub bounds: Vec<MeasuredBound>,
    /// The digest of the behavioural tests, if rules are about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Digest>,
    /// The knowledge files of the champion that the knowledge was compared with, by the name of each judged one; `None` for one
    /// that was compared with none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub champion_knowledge: BTreeMap<String, Option<Digest>>,
}

/// One end of a bound of the rules behind a gate report, and the measured number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredBound {
    /// The dotted key in the gate rules, such as `metrics.accuracy.min`.
    pub key: String,
    /// The bound.
    pub bound: f64,
    /// The measured number; `None` if it was not measured.
    pub value: Option<f64>,
}
