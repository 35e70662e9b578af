//! Excerpts of a file for messages.

/// Returns at most 80 characters of `text`, on one line and safe to show.
pub(super) fn clip(text: &str) -> String {
    botops_text::display(text, 80)
}

/// Returns `names` in backticks, separated by commas.
pub(super) fn quoted_list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
