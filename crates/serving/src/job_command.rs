//! The commands for a background job.

/// A command for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobCommand {
    /// Do not do it.
    Cancel,
    /// Try it again.
    Retry,
}
