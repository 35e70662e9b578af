//! The counts of the names of one category.

use crate::quantity::Counts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most different names that are counted.
pub const MOST_NAMES: usize = 10_000;
/// The most characters of a name that are kept.
const MOST_CHARACTERS: usize = 200;

/// The count of each name of one category.
///
/// At most [`MOST_NAMES`] names are counted, each cut after 200 characters. Of more, no count is kept but the total: so the
/// result does not depend on the order of rows or of merges, which it would if the first names were kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<BTreeMap<String, u64>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { n: 0, counts: Some(BTreeMap::new()) }
    }
}

impl Names {
    /// Adds `name` `n` times.
    pub(crate) fn add(&mut self, name: &str, n: u64) {
        if n == 0 {
            return;
        }
        self.n = self.n.saturating_add(n);
        let name = name.char_indices().nth(MOST_CHARACTERS).map_or(name, |(end, _)| &name[..end]);
        let Some(counts) = &mut self.counts else { return };
        if let Some(count) = counts.get_mut(name) {
            *count = count.saturating_add(n);
        } else if counts.len() == MOST_NAMES {
            self.counts = None;
        } else {
            counts.insert(name.to_owned(), n);
        }
    }

    /// Adds the names of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        match &other.counts {
            Some(counts) => counts.iter().for_each(|(name, n)| self.add(name, *n)),
            None => {
                self.n = self.n.saturating_add(other.n);
                self.counts = None;
            }
        }
    }

    /// Returns the number of rows with a name.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Returns the count of each name; `None` if there are more than [`MOST_NAMES`].
    #[must_use]
    pub fn counts(&self) -> Option<&BTreeMap<String, u64>> {
        self.counts.as_ref()
    }

    /// Returns the counts as those of rows.
    pub(crate) fn of_rows(&self) -> Option<Counts<'_>> {
        self.counts.as_ref().map(|counts| counts.iter().map(|(name, n)| (&**name, *n)).collect())
    }

    pub(crate) fn is_consistent(&self) -> bool {
        self.counts.as_ref().is_none_or(|counts| {
            let total = counts.values().try_fold(0_u64, |total, n| total.checked_add(*n));
            total == Some(self.n) && counts.len() <= MOST_NAMES && !counts.values().any(|n| *n == 0)
        })
    }
}
