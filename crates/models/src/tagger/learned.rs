//! A fitted tagger.

use super::{
    attributes::N_PLACES,
    gazetteer::Gazetteer,
    labels::{Tag, n_labels},
    weights::Weights,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A fitted tagger: part of an [`crate::IntentModel`] that was trained on annotated spans.
#[derive(Debug, PartialEq)]
pub struct Tagger {
    /// In rising order.
    pub(super) tags: Vec<Tag>,
    /// The kinds with the number of spans that they were learned from.
    pub(super) kinds: Vec<TaggedKind>,
    /// The weight of each label, of a token of any text `[n_labels]`.
    pub(super) bias: Vec<f32>,
    /// The weight of each label of a first token `[n_labels]`.
    pub(super) first: Vec<f32>,
    /// The weight of a label after another `[n_labels, n_labels]`, the later label first.
    pub(super) transitions: Vec<f32>,
    pub(super) weights: Weights,
    /// The names of the lookup lists; their places are those in `gazetteer`.
    pub(super) lists: Vec<String>,
    pub(super) gazetteer: Gazetteer,
    /// Kind -> normal form of the text -> canonical value.
    pub(super) synonyms: BTreeMap<String, BTreeMap<String, String>>,
}

/// A kind of entity that a tagger finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggedKind {
    /// The kind, such as `order_number`.
    pub entity: String,
    /// The number of spans that it was learned from.
    pub n_spans: u64,
}

impl Tagger {
    /// Returns the kinds that it finds, by name.
    #[must_use]
    pub fn kinds(&self) -> &[TaggedKind] {
        &self.kinds
    }

    /// Returns whether it finds entities of the kind `entity`.
    #[must_use]
    pub fn finds(&self, entity: &str) -> bool {
        self.kinds.binary_search_by(|kind| kind.entity.as_str().cmp(entity)).is_ok()
    }

    /// Returns the names of the lookup lists that it learned from, in order.
    #[must_use]
    pub fn lists(&self) -> &[String] {
        &self.lists
    }

    /// Returns the number of weights of attributes.
    #[must_use]
    pub fn n_weights(&self) -> usize {
        self.weights.parts().3.len()
    }

    pub(super) fn n_labels(&self) -> usize {
        n_labels(self.tags.len())
    }

    /// Returns the number of scores that an attribute can change.
    pub(super) fn window(&self) -> usize {
        N_PLACES * self.n_labels()
    }
}
