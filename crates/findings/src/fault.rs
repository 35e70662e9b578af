//! The error of every module: what happened, where, what to do next, and which exit code.

use super::{Finding, Place, Severity, catalogue};
use std::{error::Error, fmt, path::Path};

/// The result of everything that can fail on account of the user's world.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// The families of failure; each is one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Could not do the job: I/O, a full or read-only store, a bug (exit 1).
    Internal,
    /// Usage or configuration (exit 2).
    Usage,
    /// The data or the model file is not fit, or a gate failed (exit 3).
    Gate,
    /// Too little evidence to say (exit 4).
    Insufficient,
    /// Someone else wrote first (exit 5).
    Conflict,
    /// Refused by policy, or a format newer than this program (exit 6).
    Policy,
    /// A store or server cannot be reached; safe to retry (exit 7).
    Unreachable,
    /// Interrupted by SIGINT, state saved (exit 130).
    Interrupted,
    /// Interrupted by SIGTERM, state saved (exit 143).
    Terminated,
}

/// Something that ended the work.
///
/// - `message` says what happened: lowercase, no final period, values in backticks
/// - `place` says where
/// - each of `hints` is something to do next, pasteable where it can be
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

/// Serialized as the exit code.
impl serde::Serialize for FaultKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.exit_code())
    }
}

impl FaultKind {
    /// Returns the exit code of a command that ends with this family.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Gate => 3,
            Self::Insufficient => 4,
            Self::Conflict => 5,
            Self::Policy => 6,
            Self::Unreachable => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Returns the family of an exit code; anything unknown is [`Self::Internal`].
    #[must_use]
    pub fn of_exit_code(code: u8) -> Self {
        match code {
            2 => Self::Usage,
            3 => Self::Gate,
            4 => Self::Insufficient,
            5 => Self::Conflict,
            6 => Self::Policy,
            7 => Self::Unreachable,
            130 => Self::Interrupted,
            143 => Self::Terminated,
            _ => Self::Internal,
        }
    }
}

impl Fault {
    /// Makes a fault; the shorthands below read better.
    ///
    /// The catalogue decides the family of a code, so that one code always ends in one exit code. `kind` is what the
    /// caller expects, and tests fail where the two differ.
    #[must_use]
    pub fn new(kind: FaultKind, code: &'static str, message: impl Into<String>) -> Self {
        let fault = Self::of_code(code, message);
        debug_assert_eq!(fault.kind(), kind, "the family of {code} in the catalogue");
        fault
    }

    /// Makes a fault of the family that the catalogue gives to `code`; [`FaultKind::Internal`] for a code without one.
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

    /// Could not do the job (exit 1).
    #[must_use]
    pub fn internal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Internal, code, message)
    }

    /// Usage or configuration (exit 2).
    #[must_use]
    pub fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Usage, code, message)
    }

    /// The data or model file is not fit (exit 3).
    #[must_use]
    pub fn data(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Gate, code, message)
    }

    /// Too little evidence (exit 4).
    #[must_use]
    pub fn insufficient(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Insufficient, code, message)
    }

    /// Someone else wrote first (exit 5).
    #[must_use]
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Conflict, code, message)
    }

    /// Refused by policy or a newer format (exit 6).
    #[must_use]
    pub fn policy(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Policy, code, message)
    }

    /// A store or server cannot be reached (exit 7).
    #[must_use]
    pub fn unreachable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Unreachable, code, message)
    }

    /// Names the file.
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

    /// Adds something to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Adds the findings that led to it.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.0.findings = findings;
        self
    }

    /// Keeps the error underneath; printed only with `-v`.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns it as a finding among others, by whoever looks at everything before ending; of its hints, the last.
    #[must_use]
    pub fn as_finding(&self) -> Finding {
        let help = self.hints().last().cloned().unwrap_or_default();
        Finding::new(self.code(), Severity::Error, self.message(), help).at(self.place().clone())
    }

    /// Parts what is wrong with a thing that was looked at from a store that does not answer, which ends the looking.
    ///
    /// # Errors
    /// The fault of kind [`FaultKind::Unreachable`] that `result` is.
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

    /// Returns the family, which decides the exit code.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.0.kind
    }

    /// Returns what happened, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns where it happened.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns what to do next.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// Returns the findings that led to it.
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
