//! Findings: problems in the user's data, metrics or traffic, with their place.

use crate::catalogue;
use serde::{Deserialize, Serialize};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information only.
    Info,
    /// Should be reviewed, but does not fail the check.
    Warning,
    /// Fails the check.
    Error,
}

/// The place of a finding or fault. `record` and `line` differ, because a CSV field may contain newlines.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file, spelled as by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The record, from 1; a header does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// The line on which the record starts, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column within the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The dotted key in a configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One problem in the user's data, metrics or traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A code of [`catalogue`], such as `BOT-2107`.
    pub code: String,
    /// The severity.
    pub severity: Severity,
    /// The place; in JSON, its fields `file`, `record`, `line`, `column`, `key` are members of the finding.
    #[serde(flatten)]
    pub place: Place,
    /// The message: lowercase, no final period, values in backticks.
    pub message: String,
    /// The remedy; may be empty.
    pub help: String,
}

/// Returns the help that all `findings` have in common; `None` if they differ or if there are no findings.
#[must_use]
pub fn shared_help<'a>(findings: &[&'a Finding]) -> Option<&'a str> {
    let (first, rest) = findings.split_first()?;
    rest.iter().all(|finding| finding.help == first.help).then_some(first.help.as_str())
}

impl Finding {
    /// Creates a finding without a place; add one with [`Finding::at`].
    #[must_use]
    pub fn new(
        code: &'static str,
        severity: Severity,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        debug_assert!(catalogue::find(code).is_some(), "{code} is not in the catalogue");
        Self {
            code: code.to_owned(),
            severity,
            place: Place::default(),
            message: message.into(),
            help: help.into(),
        }
    }

    /// Sets the place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}
