//! The kinds of faults, and the exit code of each.

/// The kinds of faults; each has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The job could not be done: I/O, a full or read-only store, a bug (exit 1).
    Internal,
    /// Wrong usage or configuration (exit 2).
    Usage,
    /// Unfit data or model file, or a failed gate (exit 3).
    Gate,
    /// Too little evidence to decide (exit 4).
    Insufficient,
    /// Someone else wrote first (exit 5).
    Conflict,
    /// Refused by policy, or a newer format than this botops supports (exit 6).
    Policy,
    /// An unreachable store or server; safe to retry (exit 7).
    Unreachable,
    /// Interrupted by SIGINT, with the state saved (exit 130).
    Interrupted,
    /// Terminated by SIGTERM, with the state saved (exit 143).
    Terminated,
}

/// Serialized as the exit code.
impl serde::Serialize for FaultKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.exit_code())
    }
}

impl FaultKind {
    /// Returns the exit code of a command that ends with a fault of this kind.
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
}
