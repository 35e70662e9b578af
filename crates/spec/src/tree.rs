//! YAML as a tree of nodes with their places, for files whose keys are data.

use crate::syntax_errors::malformed;
use botops_findings::{Fault, Place, Result};
use serde_yaml::granit_parser::{ErrorKind, Event, Parser, ScalarStyle};
use std::borrow::Cow;

/// The maximum nesting of lists and mappings.
const MAX_DEPTH: usize = 64;
/// The maximum number of lines that continue a quoted text too far to the left.
const MAX_OUTDENTED: usize = 2_000;
/// The maximum number of bytes that are parsed again because of such lines.
const MAX_PARSED: usize = 1 << 30;

/// A node of a YAML text.
///
/// - lines and columns start at 1; a literal block (`|`) begins on the line after its `|`
/// - an empty document is null
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
    /// No value, `~` or `null`, without quotes.
    Null,
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
    /// Returns the text of a scalar; `None` for null, a list or a mapping.
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

/// Reads the documents of `yaml`; faults name `file`.
///
/// A quoted text may continue on any column, as `PyYAML` and `ruamel.yaml` read it.
///
/// # Errors
/// `BOT-1010` (exit 2) with line and column for text that is malformed, is nested more than 64 levels deep, or contains
/// an alias (`*name`), because aliases can expand a few bytes to more than the memory holds.
pub fn documents(yaml: &str, file: &str) -> Result<Vec<Node>> {
    let mut text = Cow::Borrowed(yaml);
    let mut parsed = 0;
    for _ in 0..MAX_OUTDENTED {
        match read_documents(&text, file)? {
            Read::Documents(documents) => return Ok(documents),
            Read::Outdented(line, fault) => {
                parsed += text.len();
                if parsed > MAX_PARSED {
                    return Err(fault);
                }
                text = Cow::Owned(indented(&text, line));
            }
        }
    }
    match read_documents(&text, file)? {
        Read::Documents(documents) => Ok(documents),
        Read::Outdented(_, fault) => Err(fault),
    }
}

/// Returns `yaml` with more indentation of the line at `index`, than that of any line. The text that it continues ignores it.
fn indented(yaml: &str, index: usize) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let deepest = yaml.lines().map(indent).max().unwrap_or(0).min(256);
    let mut text = String::with_capacity(yaml.len() + deepest + 2);
    for (at, line) in yaml.split_inclusive('\n').enumerate() {
        if at == index {
            text.extend(std::iter::repeat_n(' ', deepest + 2 - indent(line).min(deepest)));
        }
        text.push_str(line);
    }
    text
}

/// The result of reading a text.
enum Read {
    Documents(Vec<Node>),
    /// A quoted text continues too far to the left on the line at this index.
    Outdented(usize, Fault),
}

fn read_documents(yaml: &str, file: &str) -> Result<Read> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(yaml) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let fault = malformed(&error, yaml, file);
                return match error.kind() {
                    ErrorKind::InvalidQuotedScalarIndent => {
                        Ok(Read::Outdented(error.marker().line().saturating_sub(1), fault))
                    }
                    _ => Err(fault),
                };
            }
        };
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
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => node(Value::Null),
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
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(done),
            Some(Open::Sequence(_, items)) => items.push(done),
            Some(Open::Mapping(_, entries, key)) => match key.take() {
                None => *key = Some(done),
                Some(key) => entries.push((key, done)),
            },
        }
    }
    Ok(Read::Documents(documents))
}

fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(yaml: &str) -> Option<Node> {
        documents(yaml, "f").unwrap().into_iter().next()
    }

    #[test]
    fn every_node_has_its_place() {
        let node = first("a:\n- b: |\n    one\n    two\n  c: [x, 'y']\n").unwrap();
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
        assert_eq!(documents("", "f").unwrap(), []);
        let null = first("# nothing\n---\n").unwrap();
        assert_eq!(null.value, Value::Null);
        // Leading blank lines belong to the block, and a comment before it counts as a line of the file.
        let node = first("# one\na: |\n\n\n   b\n").unwrap();
        let (_, block) = node.entries().next().unwrap();
        assert_eq!((block.text(), block.line), (Some("\n\nb\n"), 3));
    }

    #[test]
    fn malformed_text_deep_nesting_and_aliases_are_refused_with_their_place() {
        for (yaml, line) in
            [("a: [1", 1), ("a: &x 1\nb: *x\n", 2), ("a:\n\tb: 1\n", 2), (&"[".repeat(100_000), 1)]
        {
            let fault = documents(yaml, "f").unwrap_err();
            assert_eq!((fault.code(), fault.place().line), ("BOT-1010", Some(line)), "{fault}");
        }
    }

    #[test]
    fn every_document_is_read_and_nothing_is_null() {
        let all = documents("a: 1\n---\n- ~\n- 'null'\n- null\n-\n--- b\n...\n", "f").unwrap();
        assert_eq!(all.len(), 3);
        let Value::Sequence(items) = &all[1].value else { panic!() };
        let texts: Vec<_> = items.iter().map(Node::text).collect();
        assert_eq!(texts, [None, Some("null"), None, None]);
        assert_eq!((items[1].line, all[2].text()), (4, Some("b")));
    }

    #[test]
    fn a_quoted_text_may_continue_on_any_column() {
        let yaml = "a:\n  - t: \"one\n    two\n\n  three \\\n    four\"\n    u: 'five\nsix'\n  - \"seven\n  eight\"\nb: 9\n";
        let node = first(yaml).unwrap();
        let entries: Vec<_> = node.entries().collect();
        let Value::Sequence(items) = &entries[0].1.value else { panic!() };
        let texts: Vec<_> = items[0].entries().map(|(_, text)| text.text().unwrap()).collect();
        assert_eq!(texts, ["one two\nthree four", "five six"]);
        assert_eq!((items[1].text(), items[1].line), (Some("seven eight"), 9));
        assert_eq!((entries[1].0, entries[1].1.line), ("b", 11));
        // A quote that is never closed is reported as before.
        let fault = documents("a: \"one\nb: two\n", "f").unwrap_err();
        assert_eq!(fault.code(), "BOT-1010");
    }
}
