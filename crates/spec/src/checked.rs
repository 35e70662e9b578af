//! Settings that were checked, as a type of their own.

use botops_findings::Result;
use std::ops::Deref;

/// Settings as a user writes them: well-formed, but perhaps out of range.
///
/// Functions that act on settings take a [`Checked`] spec, so that a mistake is found before anything is read or done.
pub trait Spec: Sized {
    /// Checks the range of each setting, and the settings against each other.
    ///
    /// # Errors
    /// A fault (exit 2) that names the key and its range.
    fn check_ranges(&self) -> Result<()>;

    /// Returns the settings as checked ones.
    ///
    /// # Errors
    /// As [`check_ranges`](Self::check_ranges).
    fn check(self) -> Result<Checked<Self>> {
        self.check_ranges()?;
        Ok(Checked(self))
    }
}

/// Settings that are in range. Only [`Spec::check`] makes them, and they cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked<T>(T);

impl<T> Checked<T> {
    /// Returns the settings, which may be changed, and must then be checked again.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Checked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
