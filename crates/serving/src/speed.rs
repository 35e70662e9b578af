//! The time that a prediction takes, and one that panicked.

/// How long one prediction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    /// Microseconds: sparse features only.
    Fast,
    /// Milliseconds: the model runs an encoder, so predictions take turns.
    Slow,
}

/// A prediction panicked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panicked;
