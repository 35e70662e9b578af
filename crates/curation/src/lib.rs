//! Curation of data sets: label issues, duplicates, differences, suggestions, merging.
//!
//! In: one or more [`botops_datasets::Dataset`]s, and a model or a cross-validation for label issues and suggestions. Out:
//! results with findings. Texts are compared and listed, never changed.

mod difference;
mod duplicates;
mod label_issues;
mod merging;
mod suggestion;

pub use difference::{Change, IntentChange, Review, ReviewedFile, ReviewedRecord, Side, review};
pub use duplicates::{DuplicateGroup, DuplicateMember, Duplicates, Likeness, duplicates};
pub use label_issues::{
    LabelIssue, LabelIssueSpec, LabelIssues, NearRecord, OVERLAP, Oddities, Oddity, OddityKind,
    Overlap, OverlapExample, label_issues,
};
pub use merging::{Merging, NewIntents, merge, utterance_id};
pub use suggestion::{Suggestion, SuggestionReason, Suggestions, suggest};
