//! Progress of training, reported to whoever displays it.

/// A listener to the progress of training.
pub trait Progress: Sync {
    /// Reports that a phase of `total` steps begins.
    fn begin(&self, phase: &'static str, total: u64);
    /// Reports that `done` more steps are complete.
    fn advance(&self, done: u64);
    /// Reports that the phase is complete.
    fn finish(&self);
    /// Reports a message for the user, such as that an interrupted training resumes.
    fn note(&self, _message: &str) {}
}

/// A listener that ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}
