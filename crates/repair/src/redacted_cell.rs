//! Cells as reviewers see them: personal data are replaced by marks such as `[email]`, which are put back when the cell is
//! read again.

use botops_text::{for_people, from_people, spreadsheet_safe};

/// The problem and the hint for an edited cell with only some of the marks of its original.
pub(crate) const SOME_MARKS: (&str, &str) = (
    "keeps some of the marks such as `[email]` for its personal data, or keeps them in another order",
    "keep all marks in their order, or replace all of them with other words",
);

/// Returns `value`, which replaces `original`, as reviewers see it, so that it can be restored with the help of `original`;
/// `None` if it cannot.
pub(crate) fn redacted(value: &str, original: &str) -> Option<String> {
    let is_restored = |shown: &String| from_people(shown, original).as_deref() == Some(value);
    Some(for_people(value))
        .filter(is_restored)
        .or_else(|| Some(spreadsheet_safe(value).into_owned()).filter(is_restored))
}
