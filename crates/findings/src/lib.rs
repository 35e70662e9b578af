//! What a check, a gate or a reader found, and what went wrong: one vocabulary for both.
//!
//! A [`Finding`] is a fact about the user's material (data, metrics, traffic) that a report lists.
//! A [`Fault`] ends the work: it says what happened, where, and what to do next, and its
//! [`FaultKind`] decides the exit code. Both carry a stable code that `botops explain` describes.

pub mod catalogue;
mod fault;

pub use fault::{Fault, FaultKind, Result};

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; changes nothing.
    Info,
    /// Should be looked at; fails nothing.
    Warning,
    /// Fails the check that found it.
    Error,
}

/// Where something was found. `record` and `line` differ: a CSV field may hold newlines.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the user named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The record, from 1; a header is not a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// The line on which the record starts, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column within the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The key of a configuration file, dotted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One fact about the user's material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A code of [`catalogue`], such as `BOT-2107`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// Where; flattened by [`Finding`]'s JSON form into `file`, `record`, `line`, `column`, `key`.
    #[serde(flatten)]
    pub place: Place,
    /// What was found: lowercase, no final period, values in backticks.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Returns the help that all of `findings` have; `None` where they differ, and where there are none.
#[must_use]
pub fn shared_help<'a>(findings: &[&'a Finding]) -> Option<&'a str> {
    let (first, rest) = findings.split_first()?;
    rest.iter().all(|finding| finding.help == first.help).then_some(first.help.as_str())
}

impl Finding {
    /// Makes a finding without a place; add one with [`Finding::at`].
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
