//! The error type of every crate, with its exit code.

use crate::{
    catalogue,
    fault_kind::FaultKind,
    finding::{Finding, Place, Severity},
};
use std::{error::Error, fmt, path::Path};

/// The result of an operation that can fail with a [`Fault`].
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// An error that ends a command.
///
/// - the message is lowercase, without a final period, with values in backticks
/// - the place names the file, record, line, column and key, as far as they are known
/// - each hint is one remedy, with a command to paste where possible
pub struct Fault(Box<Body>);

struct Body {
    code: &'static str,
    kind: FaultKind,
    message: String,
    place: Place,
    hints: Vec<String>,
    findings: Vec<Finding>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// Creates a fault; prefer the shorthands below.
    ///
    /// The catalogue decides the kind of a code, so that a code always has the same exit code. `kind` is the kind the
    /// caller expects; debug builds panic if it differs.
    #[must_use]
    pub fn new(kind: FaultKind, code: &'static str, message: impl Into<String>) -> Self {
        let fault = Self::of_code(code, message);
        debug_assert_eq!(fault.kind(), kind, "the kind of {code} in the catalogue");
        fault
    }

    /// Creates a fault of the kind that the catalogue gives to `code`; [`FaultKind::Internal`] if it gives none.
    #[must_use]
    pub fn of_code(code: &'static str, message: impl Into<String>) -> Self {
        let kind = catalogue::find(code).and_then(|entry| entry.kind);
        Self(Box::new(Body {
            code,
            kind: kind.unwrap_or(FaultKind::Internal),
            message: message.into(),
            place: Place::default(),
            hints: Vec::new(),
            findings: Vec::new(),
            source: None,
        }))
    }

    /// Creates a fault of kind [`FaultKind::Internal`] (exit 1).
    #[must_use]
    pub fn internal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Internal, code, message)
    }

    /// Creates a fault of kind [`FaultKind::Usage`] (exit 2).
    #[must_use]
    pub fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Usage, code, message)
    }

    /// Creates a fault of kind [`FaultKind::Gate`], for unfit data or model files (exit 3).
    #[must_use]
    pub fn data(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Gate, code, message)
    }

    /// Creates a fault of kind [`FaultKind::Insufficient`] (exit 4).
    #[must_use]
    pub fn insufficient(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Insufficient, code, message)
    }

    /// Creates a fault of kind [`FaultKind::Conflict`] (exit 5).
    #[must_use]
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Conflict, code, message)
    }

    /// Creates a fault of kind [`FaultKind::Policy`] (exit 6).
    #[must_use]
    pub fn policy(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Policy, code, message)
    }

    /// Creates a fault of kind [`FaultKind::Unreachable`] (exit 7).
    #[must_use]
    pub fn unreachable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Unreachable, code, message)
    }

    /// Sets the file of the place.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.0.place.file = Some(path.as_ref().display().to_string());
        self
    }

    /// Sets the whole place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = place;
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Sets the findings that caused this fault.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.0.findings = findings;
        self
    }

    /// Sets the underlying error; printed only with `-v`.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns this fault as a finding, for checks that report all problems before they end; its help is the last hint.
    #[must_use]
    pub fn as_finding(&self) -> Finding {
        let help = self.hints().last().cloned().unwrap_or_default();
        Finding::new(self.code(), Severity::Error, self.message(), help).at(self.place().clone())
    }

    /// Separates a problem of one inspected object, returned as the inner result, from an unreachable store, which ends
    /// the inspection.
    ///
    /// # Errors
    /// The fault in `result`, if its kind is [`FaultKind::Unreachable`].
    pub fn unless_unreachable<T>(result: Result<T>) -> Result<Result<T>> {
        match result {
            Err(fault) if fault.kind() == FaultKind::Unreachable => Err(fault),
            other => Ok(other),
        }
    }

    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Returns the kind, which decides the exit code.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.0.kind
    }

    /// Returns the message, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the place.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns the hints.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// Returns the findings that caused this fault.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Body { code, kind, message, place, .. } = &*self.0;
        write!(f, "{code} {kind:?}: {message} at {place:?}")
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
