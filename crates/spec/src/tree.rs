//! YAML as it is written, with the place of every node: for files whose keys are data.

use crate::yaml_errors;
use botops_findings::{Fault, Place, Result};
use serde_yaml::granit_parser::{Event, Parser, ScalarStyle};

/// How deep lists and mappings may lie in each other.
const DEEPEST: usize = 64;

/// A node of a YAML text.
///
/// - lines and columns start at 1; a block text (`|`) begins on the line below its sign
/// - a document without anything in it is an empty text
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line on which it begins.
    pub line: u64,
    /// The column at which it begins.
    pub column: u64,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, whatever a schema would make of it.
    Scalar {
        /// The text.
        text: String,
        /// Whether it is written line by line (`|`), so that its lines are those of the file.
        literal: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in the order of the text; a key may be there twice.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Returns its text; `None` for a list or a mapping.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns its keys that are texts, with their values; none for what is no mapping.
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

/// Reads the first document of `yaml`, naming `file` in what it reports.
///
/// # Errors
/// `BOT-1010` (exit 2) with line and column: malformed, nested more than 64 deep, or with an alias (`*name`), which
/// can make a few bytes mean more than a memory holds.
pub fn tree(yaml: &str, file: &str) -> Result<Node> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(yaml) {
        let (event, span) = event.map_err(|error| yaml_errors::malformed(&error, yaml, file))?;
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
                // The parser places a block at its first line with anything on it.
                let blank = text.bytes().take_while(|&byte| byte == b'\n').count();
                let above = if literal && blank < text.len() { blank as u64 } else { 0 };
                let line = line.saturating_sub(above);
                let value = Value::Scalar { text: text.into_owned(), literal };
                Node { line, column, value }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return Err(refused("an alias is not read here", "write what it stands for"));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEEPEST => {
                return Err(refused(
                    "lists and mappings lie more than 64 deep in each other",
                    "see what wrote this file",
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
        // What is blank at its start belongs to a block, as do the lines of a comment before it to the file.
        let node = tree("# one\na: |\n\n\n   b\n", "f").unwrap();
        let (_, block) = node.entries().next().unwrap();
        assert_eq!((block.text(), block.line), (Some("\n\nb\n"), 3));
    }

    #[test]
    fn what_is_malformed_too_deep_or_an_alias_is_refused_with_its_place() {
        for (yaml, line) in
            [("a: [1", 1), ("a: &x 1\nb: *x\n", 2), ("a:\n\tb: 1\n", 2), (&"[".repeat(100_000), 1)]
        {
            let fault = tree(yaml, "f").unwrap_err();
            assert_eq!((fault.code(), fault.place().line), ("BOT-1010", Some(line)), "{fault}");
        }
    }
}
