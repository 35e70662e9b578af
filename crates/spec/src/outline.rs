//! The outline of a YAML text: the place of each key.

use serde_yaml::granit_parser::{Event, Parser, ScanError};
use std::ops::Range;

/// The dotted keys of a YAML text with their places, in the order of the text.
///
/// - a key of a mapping is `parent.key`, an item of a sequence is `parent[index]` (from 0), and the root is empty
/// - lines and columns start at 1
/// - the outline of malformed text ends at the error
#[derive(Debug)]
pub struct Outline {
    marks: Vec<Mark>,
    error: Option<ScanError>,
}

#[derive(Debug)]
struct Mark {
    path: String,
    line: u64,
    column: u64,
    kind: MarkKind,
    /// The value of a scalar; empty for other kinds.
    text: String,
    /// The range of characters in the YAML text.
    chars: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkKind {
    Key,
    Scalar,
    Alias,
    Sequence,
    Mapping,
}

impl MarkKind {
    fn is_container(self) -> bool {
        matches!(self, Self::Sequence | Self::Mapping)
    }
}

/// A value written at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written<'a> {
    /// A scalar, and its range of characters in the YAML text.
    Scalar(&'a str, Range<usize>),
    /// A list.
    Sequence,
    /// A block of keys.
    Mapping,
}

/// A container that is still open.
enum Open {
    Sequence { path: String, items: usize },
    Mapping { path: String, key: Option<String> },
}

impl Outline {
    /// Scans `yaml`.
    #[must_use]
    pub fn of(yaml: &str) -> Self {
        let mut outline = Self { marks: Vec::new(), error: None };
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(yaml) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    outline.error = Some(error);
                    break;
                }
            };
            let (line, column) = (span.start.line() as u64, span.start.col() as u64 + 1);
            let chars = span.start.index()..span.end.index();
            let mut mark = |path: &str, kind, text: &str| {
                let (path, text, chars) = (path.to_owned(), text.to_owned(), chars.clone());
                outline.marks.push(Mark { path, line, column, kind, text, chars });
            };
            match event {
                Event::Scalar(text, ..) => {
                    if let Some(Open::Mapping { path, key: key @ None }) = open.last_mut() {
                        let dotted = join(path, &text);
                        mark(&dotted, MarkKind::Key, "");
                        *key = Some(dotted);
                    } else {
                        mark(&node(&mut open), MarkKind::Scalar, &text);
                    }
                }
                Event::Alias(_) | Event::UnresolvedAlias(_) => {
                    // Its value is written at the anchor.
                    mark(&node(&mut open), MarkKind::Alias, "");
                }
                Event::SequenceStart(..) => {
                    let path = node(&mut open);
                    mark(&path, MarkKind::Sequence, "");
                    open.push(Open::Sequence { path, items: 0 });
                }
                Event::MappingStart(..) => {
                    let path = node(&mut open);
                    mark(&path, MarkKind::Mapping, "");
                    open.push(Open::Mapping { path, key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                }
                // A file is one document; the parser reports further documents.
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        outline
    }

    /// Returns the line on which `key` (dotted) is written.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<u64> {
        self.place(key).map(|(line, _)| line)
    }

    /// Returns the line and column at which `key` (dotted) is written.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<(u64, u64)> {
        self.marks
            .iter()
            .find(|mark| mark.path == key && mark.kind == MarkKind::Key)
            .or_else(|| self.marks.iter().find(|mark| mark.path == key))
            .map(|mark| (mark.line, mark.column))
    }

    /// Returns the dotted key of the node at `line` and `column`, or else of the last node that starts before.
    pub(super) fn key_at(&self, line: u64, column: u64) -> Option<&str> {
        let exact = |is: fn(MarkKind) -> bool| {
            self.marks.iter().find(move |m| (m.line, m.column) == (line, column) && is(m.kind))
        };
        // A block mapping starts at its first key, and the key is more specific.
        exact(|kind| kind == MarkKind::Key)
            .or_else(|| exact(|kind| matches!(kind, MarkKind::Scalar | MarkKind::Alias)))
            .or_else(|| exact(MarkKind::is_container))
            .or_else(|| self.marks.iter().rfind(|m| (m.line, m.column) <= (line, column)))
            .map(|mark| mark.path.as_str())
    }

    /// Returns the value written at `line` and `column`; of nested lists and mappings, the outermost one that starts there.
    pub(super) fn written_at(&self, line: u64, column: u64) -> Option<Written<'_>> {
        self.marks.iter().filter(|mark| (mark.line, mark.column) == (line, column)).find_map(
            |mark| match mark.kind {
                MarkKind::Scalar => Some(Written::Scalar(&mark.text, mark.chars.clone())),
                MarkKind::Sequence => Some(Written::Sequence),
                MarkKind::Mapping => Some(Written::Mapping),
                MarkKind::Key | MarkKind::Alias => None,
            },
        )
    }

    /// Returns the dotted key of the innermost mapping or sequence that starts at `line` and `column`.
    pub(super) fn container_at(&self, line: u64, column: u64) -> Option<&str> {
        self.marks
            .iter()
            .rfind(|m| (m.line, m.column) == (line, column) && m.kind.is_container())
            .map(|mark| mark.path.as_str())
    }

    /// Returns the first key under `parent` that ends in `name`, with its line and column.
    pub(super) fn find_under(&self, parent: &str, name: &str) -> Option<(&str, u64, u64)> {
        let direct = join(parent, name);
        self.marks
            .iter()
            .find(|m| m.kind == MarkKind::Key && m.path == direct)
            .or_else(|| {
                self.marks.iter().find(|m| {
                    m.kind == MarkKind::Key
                        && m.path.starts_with(parent)
                        && m.path.rsplit('.').next() == Some(name)
                })
            })
            .map(|mark| (mark.path.as_str(), mark.line, mark.column))
    }

    /// Returns the error at which scanning stopped, if any.
    pub(super) fn error(&self) -> Option<&ScanError> {
        self.error.as_ref()
    }
}

/// Returns the dotted key of the node that starts now, and consumes the pending key of its mapping.
fn node(open: &mut [Open]) -> String {
    match open.last_mut() {
        None => String::new(),
        Some(Open::Sequence { path, items }) => {
            *items += 1;
            format!("{path}[{}]", *items - 1)
        }
        // A key that is itself a collection has no dotted name, so its mapping's is used.
        Some(Open::Mapping { path, key }) => key.take().unwrap_or_else(|| path.clone()),
    }
}

/// Returns the dotted key of `key` in the block `parent`.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// Returns the last part of a dotted key.
pub(super) fn last_key(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
