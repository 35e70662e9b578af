//! YAML as a tree of nodes with their places, for files whose keys are data.

use crate::syntax_errors::malformed;
use botops_findings::{Fault, Place, Result};
use serde_yaml::granit_parser::{Event, Parser, ScalarStyle};

/// The maximum nesting of lists and mappings.
const MAX_DEPTH: usize = 64;

/// A node of a YAML text.
///
/// - lines and columns start at 1; a literal block (`|`) begins on the line after its `|`
/// - an empty document is an empty scalar
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line on which the node begins.
    pub line: u64,
    /// The column at which the node begins.
    pub column: u64,
    /// The value.
    pub value: Value,
}

/// The value of a [`Node`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A scalar as text, regardless of its type in a schema.
    Scalar {
        /// The text.
        text: String,
        /// Whether it is a literal block (`|`), so that its lines are those of the file.
        literal: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with their values, in the order of the text; keys may repeat.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Returns the text of a scalar; `None` for a list or a mapping.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Iterates over the scalar keys of a mapping, with their values; empty for other nodes.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = match &self.value {
            Value::Mapping(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter_map(|(key, value)| Some((key.text()?, value)))
    }
}

/// A list or mapping that is still open.
enum Open {
    Sequence(Node, Vec<Node>),
    Mapping(Node, Vec<(Node, Node)>, Option<Node>),
}

/// Reads the first document of `yaml`; faults name `file`.
///
/// # Errors
/// `BOT-1010` (exit 2) with line and column for text that is malformed, is nested more than 64 levels deep, or contains
/// an alias (`*name`), because aliases can expand a few bytes to more than the memory holds.
pub fn tree(yaml: &str, file: &str) -> Result<Node> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(yaml) {
        let (event, span) = event.map_err(|error| malformed(&error, yaml, file))?;
        let (line, column) = (span.start.line() as u64, span.start.col() as u64 + 1);
        let refused = |message: &str, hint: &str| {
            let place = Place {
                file: Some(file.to_owned()),
                line: Some(line),
                column: Some(column),
                ..Place::default()
            };
            Fault::usage("BOT-1010", message).at(place).hint(hint)
        };
        let node = |value| Node { line, column, value };
        let done = match event {
            Event::Scalar(text, style, ..) => {
                let literal = style == ScalarStyle::Literal;
                // The parser reports the first line of a block that is not blank.
                let blank = text.bytes().take_while(|&byte| byte == b'\n').count();
                let above = if literal && blank < text.len() { blank as u64 } else { 0 };
                let line = line.saturating_sub(above);
                let value = Value::Scalar { text: text.into_owned(), literal };
                Node { line, column, value }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return Err(refused("aliases are not supported here", "write out its value"));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == MAX_DEPTH => {
                return Err(refused(
                    "lists and mappings are nested more than 64 levels deep",
                    "check the program that wrote this file",
                ));
            }
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(node(Value::Sequence(Vec::new())), Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(node(Value::Mapping(Vec::new())), Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(at, items)) => Node { value: Value::Sequence(items), ..at },
                Some(Open::Mapping(at, entries, _)) => {
                    Node { value: Value::Mapping(entries), ..at }
                }
                None => continue,
            },
            Event::DocumentEnd => break,
            _ => continue,
        };
        match open.last_mut() {
            None => return Ok(done),
            Some(Open::Sequence(_, items)) => items.push(done),
            Some(Open::Mapping(_, entries, key)) => match key.take() {
                None => *key = Some(done),
                Some(key) => entries.push((key, done)),
            },
        }
    }
    Ok(Node { line: 1, column: 1, value: Value::Scalar { text: String::new(), literal: false } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_its_place() {
        let node = tree("a:\n- b: |\n    one\n    two\n  c: [x, 'y']\n", "f").unwrap();
        let (_, list) = node.entries().next().unwrap();
        let Value::Sequence(items) = &list.value else { panic!("{list:?}") };
        let entries: Vec<_> = items[0].entries().collect();
        assert_eq!((entries[0].0, entries[0].1.line), ("b", 3));
        assert_eq!(entries[0].1.value, Value::Scalar { text: "one\ntwo\n".into(), literal: true });
        let Value::Sequence(letters) = &entries[1].1.value else { panic!() };
        assert_eq!(
            letters.iter().map(|l| (l.text().unwrap(), l.line, l.column)).collect::<Vec<_>>(),
            [("x", 5, 7), ("y", 5, 10)]
        );
        assert_eq!(tree("", "f").unwrap().text(), Some(""));
        // Leading blank lines belong to the block, and a comment before it counts as a line of the file.
        let node = tree("# one\na: |\n\n\n   b\n", "f").unwrap();
        let (_, block) = node.entries().next().unwrap();
        assert_eq!((block.text(), block.line), (Some("\n\nb\n"), 3));
    }

    #[test]
    fn malformed_text_deep_nesting_and_aliases_are_refused_with_their_place() {
        for (yaml, line) in
            [("a: [1", 1), ("a: &x 1\nb: *x\n", 2), ("a:\n\tb: 1\n", 2), (&"[".repeat(100_000), 1)]
        {
            let fault = tree(yaml, "f").unwrap_err();
            assert_eq!((fault.code(), fault.place().line), ("BOT-1010", Some(line)), "{fault}");
        }
    }
}
