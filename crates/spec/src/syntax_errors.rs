//! Faults for text that is not valid YAML.

use super::text_clip::clip;
use botops_findings::{Fault, Place};
use serde_yaml::granit_parser::{ErrorKind, ScanError};

/// Returns the fault for the scanner error `scan` in `yaml`, with its place in `file`.
pub(super) fn malformed(scan: &ScanError, yaml: &str, file: &str) -> Fault {
    let mut line = scan.marker().line() as u64;
    let mut column = scan.marker().col() as u64 + 1;
    // The scanner reports the start of the interrupted value, which is often a line above the tab.
    if is_tab(scan.kind())
        && let Some(tab) = first_indenting_tab(yaml, scan.marker().line().saturating_sub(1))
    {
        (line, column) = tab;
    }
    let (message, hint) = describe(scan.kind());
    let fault = Fault::usage("BOT-1010", message).at(Place {
        file: Some(file.to_owned()),
        line: Some(line),
        column: Some(column),
        ..Place::default()
    });
    if hint.is_empty() { fault } else { fault.hint(hint) }
}

/// Returns the message for a scanner error, and a hint, which may be empty.
fn describe(kind: &ErrorKind) -> (String, &'static str) {
    let (message, hint) = match kind {
        ErrorKind::UnclosedFlowCollection { open } => {
            return (
                format!("`{open}` is never closed"),
                "close it, or quote a string that starts with it",
            );
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("`{open}` is closed by `{close}`"), "");
        }
        ErrorKind::UnexpectedCharacter { character } => {
            let character = clip(&character.to_string());
            return (format!("a value cannot start with `{character}`"), "quote it");
        }
        ErrorKind::UnexpectedEofFlowSequence => ("`[` is never closed", "close it with `]`"),
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("`{` is never closed", "close it with `}`")
        }
        ErrorKind::MisplacedFlowCollectionEnd => {
            ("a closing bracket has no opening bracket", "quote a string that contains it")
        }
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent => {
            ("a quote is never closed", "close it on the line where it opens")
        }
        kind if is_tab(kind) => ("a tab is used for indentation", "indent with spaces"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            "a colon is not allowed here",
            "quote a string that contains `: `, and check the indentation",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("a key has no colon", "write `key: value`, with a space after the colon")
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed => (
            "the indentation does not match the lines above",
            "indent all keys of a block by the same number of spaces",
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            "a backslash in double quotes starts an unknown escape",
            "use single quotes, or write `\\\\`",
        ),
        ErrorKind::UnknownAnchor => (UNKNOWN_ANCHOR, UNKNOWN_ANCHOR_HINT),
        ErrorKind::RecursionLimitExceeded => ("the file is nested too deeply", ""),
        other => return (format!("malformed YAML: {}", clip(&other.to_string())), ""),
    };
    (message.to_owned(), hint)
}

/// The message for an alias without an anchor.
pub(super) const UNKNOWN_ANCHOR: &str = "an alias (`*name`) refers to an unknown anchor";
/// The hint for an alias without an anchor.
pub(super) const UNKNOWN_ANCHOR_HINT: &str =
    "define it with `&name`, or quote a string that starts with `*`";

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    )
}

/// Returns the line and column of the first tab in the indentation of a line, from line index `from` on.
fn first_indenting_tab(yaml: &str, from: usize) -> Option<(u64, u64)> {
    (from..).zip(yaml.lines().skip(from)).find_map(|(above, text)| {
        let indent = text.len() - text.trim_start().len();
        let before = text[..indent].find('\t')?;
        Some((above as u64 + 1, before as u64 + 1))
    })
}
