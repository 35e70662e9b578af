//! The options of a validation and its result.

use crate::baseline::Baseline;
use botops_datasets::{Dataset, Rejected};
use botops_digest::Digest;
use botops_files::Output;
use botops_findings::{Finding, Severity};
use botops_profile::ProfileChange;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// The result of a validation.
///
/// `records_in == records_accepted + records_rejected`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Validation {
    /// The accepted records, if [`Keep`] asks for them: those that a model may be trained on.
    #[serde(skip)]
    pub accepted: Option<Dataset>,
    /// The rejected records, if [`Keep`] asks for them.
    #[serde(skip)]
    pub rejected: Vec<Rejected>,
    /// The findings, by record, then by code; at most [`ValidateOptions::samples`] of each kind.
    pub findings: Vec<Finding>,
    /// The mark of each of `findings`, in the same order; empty in results of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// Every check that was made, with the number of its findings.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// All findings as a baseline, if [`ValidateOptions::notes_baseline`] asks for it.
    #[serde(skip)]
    pub baseline: Option<Baseline>,
    /// The number of findings that are in the baseline; they are not among the others.
    #[serde(default)]
    pub known: u64,
    /// Records read.
    pub records_in: u64,
    /// Records accepted.
    pub records_accepted: u64,
    /// Records rejected.
    pub records_rejected: u64,
    /// Findings of severity error.
    pub errors: u64,
    /// Findings of severity warning.
    pub warnings: u64,
    /// The largest share of the records that errors may reject, from the expectations.
    #[serde(default)]
    pub max_rejected_share: f64,
    /// Accepted records by intent.
    pub intents: BTreeMap<String, u64>,
    /// Accepted records by language.
    pub languages: BTreeMap<String, u64>,
    /// The profiles of the records read and of those accepted, if [`ValidateOptions::profiles`] asks for them.
    #[serde(skip)]
    pub profiles: Option<Box<ProfileChange>>,
}

impl Validation {
    /// Returns whether the data may be used: without an error, or if the errors reject at most
    /// [`Validation::max_rejected_share`] of the records and none is about the file as a whole.
    #[must_use]
    pub fn passes(&self) -> bool {
        let is_whole = |finding: &Finding| {
            finding.severity == Severity::Error && finding.place.record.is_none()
        };
        self.errors == 0
            || (self.records_rejected > 0
                && self.rejected_share() <= self.max_rejected_share
                && !self.findings.iter().any(is_whole))
    }

    /// Returns the share of the records that errors reject, in [0, 1].
    #[must_use]
    pub fn rejected_share(&self) -> f64 {
        self.records_rejected as f64 / self.records_in.max(1) as f64
    }

    /// Describes the rejected share beside the largest allowed one; `None` if nothing is rejected or any error fails.
    #[must_use]
    pub fn share_text(&self) -> Option<String> {
        (self.records_rejected > 0 && self.max_rejected_share > 0.0).then(|| {
            format!(
                "{} of the records rejected, `max_rejected_share` allows {}",
                percent(self.rejected_share()),
                percent(self.max_rejected_share)
            )
        })
    }
}

/// Writes a share as a percentage with up to four digits.
fn percent(share: f64) -> String {
    let digits = format!("{:.4}", share * 100.0);
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The code of its findings.
    pub code: String,
    /// The name of the rule, or its column; `None` for a check that every data set gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The severity of its findings, all of them together.
    pub severity: Severity,
    /// The number of findings that are not in the baseline.
    pub findings: u64,
    /// The number of findings that are in the baseline.
    pub known: u64,
}

/// The identity of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The digest of its code, its rule and the content it is about; it does not depend on the line.
    pub id: Digest,
    /// The rule that found it, as in [`Check::rule`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// The options of a validation.
#[derive(Debug, Clone, Copy)]
pub struct ValidateOptions<'a> {
    /// The name of the file in findings; `None`: its path.
    pub name: Option<&'a str>,
    /// Test data: records of it that are also in the data are reported.
    pub test: Option<&'a Dataset>,
    /// The current time, for rules on freshness.
    pub now: DateTime<Utc>,
    /// The most findings of each kind that are kept; all are counted.
    pub samples: usize,
    /// Known findings: they are counted, and do not reject records.
    pub baseline: Option<&'a Baseline>,
    /// Whether to return all findings as [`Validation::baseline`].
    pub notes_baseline: bool,
    /// Whether to return [`Validation::profiles`].
    pub profiles: bool,
    /// The folder for data to be sorted or counted that does not fit into some 30 MB of memory; `None`: all is held in
    /// memory.
    pub spill: Option<&'a Path>,
}

impl Default for ValidateOptions<'_> {
    fn default() -> Self {
        Self {
            name: None,
            test: None,
            now: DateTime::UNIX_EPOCH,
            samples: usize::MAX,
            baseline: None,
            notes_baseline: false,
            profiles: false,
            spill: None,
        }
    }
}

/// The disposition of the records.
#[derive(Debug, Clone, Copy)]
pub enum Keep<'a> {
    /// All are only counted.
    Counts,
    /// The rejected ones are written to this quarantine, with the reasons.
    Quarantine(Output<'a>),
    /// The rejected ones are returned, with the reasons, without their entities.
    Rejected,
    /// All are returned: the accepted ones and, with the reasons, the rejected ones. The data set holds the records of
    /// the same rows.
    Records(&'a Dataset),
    /// The accepted ones are returned; the rejected ones are written to a quarantine, with the reasons.
    Accepted {
        /// The records of the same rows.
        data: &'a Dataset,
        /// The quarantine.
        quarantine: &'a Path,
    },
}
