//! Labels of tokens: outside, or the begin or the inside of a tag.

use serde::{Deserialize, Serialize};

/// The most tags of a tagger. The time of a token grows with their square.
pub(super) const MOST_TAGS: usize = 256;
/// The label of a token outside of any entity.
pub(super) const OUTSIDE: usize = 0;

/// The kind, role and group of an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    pub(super) entity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
}

/// Returns the number of labels for `n_tags` tags.
pub(super) const fn n_labels(n_tags: usize) -> usize {
    1 + 2 * n_tags
}

/// Returns the label of the first token of an entity with the tag `tag`.
pub(super) const fn begin(tag: usize) -> usize {
    1 + 2 * tag
}

/// Returns the label of a further token of an entity with the tag `tag`.
pub(super) const fn inside(tag: usize) -> usize {
    2 + 2 * tag
}

/// Returns the tag of `label`; `None` outside.
pub(super) const fn tag_of(label: usize) -> Option<usize> {
    if label == OUTSIDE { None } else { Some((label - 1) / 2) }
}

/// Returns whether `label` is that of a further token.
pub(super) const fn is_inside(label: usize) -> bool {
    label != OUTSIDE && label.is_multiple_of(2)
}

/// Returns the labels that may come before `label`: all, or for a further token the two labels of its tag.
pub(super) fn before(label: usize, n_labels: usize) -> std::ops::Range<usize> {
    if is_inside(label) { label - 1..label + 1 } else { 0..n_labels }
}
