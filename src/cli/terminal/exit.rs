//! The exit codes, as a documented type.

use botops_findings::{Fault, FaultKind};

/// The exit code of the process.
///
/// | code | meaning | in CI |
/// |---|---|---|
/// | 0 | done, gates passed | green |
/// | 1 | the work failed: I/O, a full store, a bug | look at the machine |
/// | 2 | usage or configuration | fix the call |
/// | 3 | a gate failed: validation, evaluation, drift, canary; or the data or model file is not usable | look at the data |
/// | 4 | insufficient evidence: too few rows, no traffic, inconclusive | wait, or collect more |
/// | 5 | conflict: someone else wrote first | read again, retry |
/// | 6 | refused by policy, or a format newer than this program | needs a person |
/// | 7 | a store or server cannot be reached | retry |
/// | 130, 143 | interrupted (SIGINT, SIGTERM), state saved | run again to continue |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, gates passed.
    Done = 0,
    /// An I/O error, a full store or a bug.
    Internal = 1,
    /// An error of usage or configuration.
    Usage = 2,
    /// A gate failed.
    Gate = 3,
    /// Insufficient evidence.
    Insufficient = 4,
    /// A conflict: someone else wrote first.
    Conflict = 5,
    /// Refused by policy.
    Policy = 6,
    /// A store or server cannot be reached.
    Unreachable = 7,
    /// Interrupted by SIGINT.
    Interrupted = 130,
    /// Interrupted by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Returns the exit code as a number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<FaultKind> for Exit {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Internal => Self::Internal,
            FaultKind::Usage => Self::Usage,
            FaultKind::Gate => Self::Gate,
            FaultKind::Insufficient => Self::Insufficient,
            FaultKind::Conflict => Self::Conflict,
            FaultKind::Policy => Self::Policy,
            FaultKind::Unreachable => Self::Unreachable,
            FaultKind::Interrupted => Self::Interrupted,
            FaultKind::Terminated => Self::Terminated,
        }
    }
}

impl From<&Fault> for Exit {
    fn from(fault: &Fault) -> Self {
        fault.kind().into()
    }
}

/// Every exit code and its meaning, for help and documentation.
pub const EXIT_CODES: [(&str, &str); 9] = [
    ("0", "done, gates passed"),
    ("1", "could not do the job: I/O, a full or read-only store, a port in use"),
    ("2", "usage or configuration"),
    (
        "3",
        "a gate failed (validation, evaluation, drift, canary), or the data or model file is not fit",
    ),
    ("4", "insufficient evidence: too few rows, no traffic, inconclusive"),
    ("5", "conflict: another process wrote first"),
    ("6", "refused by policy, or a format newer than this program"),
    ("7", "a store or server cannot be reached; safe to retry"),
    ("130, 143", "interrupted; finished work is kept, run again to continue"),
];
