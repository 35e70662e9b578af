//! The documents that one question may see: decided before anything is ranked.

use std::collections::{BTreeMap, BTreeSet};

/// The documents that one question may see. The default sees every document without access tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// The metadata that a document must have, by key: each with one of the values. `language` and `document` are keys, too.
    pub metadata: BTreeMap<String, BTreeSet<String>>,
    /// The access tags of the caller, from its credentials and never from its request.
    pub access: BTreeSet<String>,
}
