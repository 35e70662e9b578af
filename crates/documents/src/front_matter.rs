//! The metadata at the beginning of a Markdown file: lines of `key: value` between two lines of `---`.

use botops_findings::{Finding, Place, Severity};
use std::collections::BTreeMap;

/// The metadata of a file, and the text after it.
pub(crate) struct FrontMatter<'a> {
    /// Key to values; a value in brackets is a list, and so are lines `- value` after a key without one.
    pub(crate) values: BTreeMap<String, Vec<String>>,
    /// The text after the metadata.
    pub(crate) rest: &'a str,
    /// Lines that are not `key: value`, which are left out.
    pub(crate) findings: Vec<Finding>,
}

/// The most lines of metadata.
const MOST_LINES: usize = 200;

/// Reads the metadata of `text`, if it begins with a line `---` that another one closes.
pub(crate) fn read<'a>(name: &str, text: &'a str) -> FrontMatter<'a> {
    let none = FrontMatter { values: BTreeMap::new(), rest: text, findings: Vec::new() };
    let Some((first, after)) = text.split_once('\n') else { return none };
    if first.trim_end() != "---" {
        return none;
    }
    let mut found = FrontMatter { values: BTreeMap::new(), rest: text, findings: Vec::new() };
    let mut at = 0;
    // The key without a value before: items of a list may follow it.
    let mut open: Option<String> = None;
    for (n, line) in after.split_inclusive('\n').take(MOST_LINES).enumerate() {
        at += line.len();
        let line = line.trim();
        if line == "---" || line == "..." {
            found.rest = &after[at..];
            return found;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let (Some(key), Some(item)) = (&open, line.strip_prefix("- ")) {
            let list = found.values.entry(key.clone()).or_default();
            list.extend(Some(clean(item)).filter(|item| !item.is_empty()));
            continue;
        }
        match line.split_once(':').map(|(key, value)| (clean(key), value.trim())) {
            Some((key, value)) if is_key(&key) => {
                open = value.is_empty().then(|| key.clone());
                found.values.insert(key, values(value));
            }
            _ => {
                let place = Place {
                    file: Some(name.to_owned()),
                    line: Some(n as u64 + 2),
                    ..Place::default()
                };
                let message = "a line of the metadata is not `key: value`, and is left out";
                let help = "write it as `key: value` or `key: [value, value]`";
                found
                    .findings
                    .push(Finding::new("BOT-7108", Severity::Warning, message, help).at(place));
            }
        }
    }
    // Without an end it is a rule of dashes, and text.
    none
}

fn is_key(key: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    !key.is_empty() && key.len() <= 64 && key.chars().all(is_plain)
}

/// Returns `text` without white space and quotes around it.
fn clean(text: &str) -> String {
    let text = text.trim();
    let quoted =
        ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.unwrap_or(text).to_owned()
}

fn values(text: &str) -> Vec<String> {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(list) => list.split(',').map(clean).filter(|value| !value.is_empty()).collect(),
        None if text.is_empty() => Vec::new(),
        None => vec![clean(text)],
    }
}
