//! Codes of the learned tagger.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

/// 1xxx: the settings of the tagger, and the annotations it learns from.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-1140",
        kind: Some(FaultKind::Insufficient),
        title: "too few annotated entities to learn from",
        explanation: "With `entities: { learn: true }` in the settings of a model, training must learn entities from the annotated spans of its data. No kind has as many spans as `min_examples` says (default 5). Annotate more utterances, lower `min_examples`, or write `learn: auto`, which learns entities only if there are enough.",
    },
    Entry {
        code: "BOT-1141",
        kind: Some(FaultKind::Gate),
        title: "too many combinations of kind, role and group",
        explanation: "The tagger learns each combination of kind, role and group as a label of its own, and supports 256. More usually means that roles or groups number single entities. Remove them, or write `entities: { learn: false }` in the settings of the model.",
    },
    Entry {
        code: "BOT-1142",
        kind: None,
        title: "the tagger did not learn an entity that the dialogue expects from it",
        explanation: "The dialogue says `learned: true` for an entity, and the training data has no annotated spans of it, or fewer than `min_examples` (default 5), or the model was trained with `entities: { learn: false }`. Annotate spans of the kind, or remove `learned: true` and write a `type`, a `lookup` or a pattern.",
    },
];
