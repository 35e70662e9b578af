//! Curation: label issues, duplicates, differences, suggestions, merging.

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
