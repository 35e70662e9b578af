//! Scopes as bits, for the check of every request.

use crate::{Scope, Scopes};
use std::fmt;

/// A set of scopes in a machine word. [`Scope::Admin`] is stored with every scope that it stands for.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSet(u16);

impl ScopeSet {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// Returns the set of `scopes`.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        scopes.iter().fold(Self::NONE, |set, scope| set.with(Self::implied(*scope)))
    }

    /// Returns whether `scope` is in the set.
    #[inline]
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    /// Returns whether the sets have a scope in common.
    #[inline]
    #[must_use]
    pub fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the scopes of both sets.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    fn bit(scope: Scope) -> u16 {
        1 << (scope as u16)
    }

    fn implied(scope: Scope) -> Self {
        match scope {
            Scope::Admin => Self(
                Scope::ALL
                    .into_iter()
                    .filter(|scope| !scope.is_of_clients())
                    .fold(0, |bits, scope| bits | Self::bit(scope)),
            ),
            scope => Self(Self::bit(scope)),
        }
    }
}

impl From<&Scopes> for ScopeSet {
    fn from(scopes: &Scopes) -> Self {
        scopes.iter().fold(Self::NONE, |set, scope| set.with(Self::implied(*scope)))
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_bits_holds_what_the_set_of_scopes_holds() {
        for scope in Scope::ALL {
            let scopes = Scopes::from([scope]);
            let set = ScopeSet::from(&scopes);
            assert_eq!(set, ScopeSet::of(&[scope]));
            for other in Scope::ALL {
                assert_eq!(set.has(other), other.is_in(&scopes), "{other} in {scope}");
                assert_eq!(
                    set.has_any(ScopeSet::of(&[other])),
                    set.iter().any(|it| ScopeSet::of(&[other]).has(it))
                );
            }
        }
        assert!(!ScopeSet::NONE.has_any(ScopeSet::of(&Scope::ALL)));
        assert_eq!(ScopeSet::of(&[Scope::Chat, Scope::Read]).iter().count(), 2);
    }
}
