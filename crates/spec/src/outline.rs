//! Where each key of a YAML text is written.

use serde_yaml::granit_parser::{Event, Parser, ScanError};
use std::ops::Range;

/// The dotted keys of a YAML text with their places, in the order of the text.
///
/// - a key of a mapping is `parent.key`, an item of a sequence `parent[index]` (from 0); the root is empty
/// - lines and columns start at 1
/// - a text that is malformed has the keys before the place where it is
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
    what: What,
    /// What a scalar says.
    text: String,
    /// The characters of the text from which to which it is written.
    chars: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Key,
    Scalar,
    Alias,
    Sequence,
    Mapping,
}

impl What {
    fn is_container(self) -> bool {
        matches!(self, Self::Sequence | Self::Mapping)
    }
}

/// What is written at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written<'a> {
    /// A text, and the characters of the file from which to which it stands.
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
            let mut mark = |path: &str, what, text: &str| {
                let (path, text, chars) = (path.to_owned(), text.to_owned(), chars.clone());
                outline.marks.push(Mark { path, line, column, what, text, chars });
            };
            match event {
                Event::Scalar(text, ..) => {
                    if let Some(Open::Mapping { path, key: key @ None }) = open.last_mut() {
                        let dotted = join(path, &text);
                        mark(&dotted, What::Key, "");
                        *key = Some(dotted);
                    } else {
                        mark(&node(&mut open), What::Scalar, &text);
                    }
                }
                Event::Alias(_) | Event::UnresolvedAlias(_) => {
                    // What it stands for is written elsewhere.
                    mark(&node(&mut open), What::Alias, "");
                }
                Event::SequenceStart(..) => {
                    let path = node(&mut open);
                    mark(&path, What::Sequence, "");
                    open.push(Open::Sequence { path, items: 0 });
                }
                Event::MappingStart(..) => {
                    let path = node(&mut open);
                    mark(&path, What::Mapping, "");
                    open.push(Open::Mapping { path, key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                }
                // One document is one spec; what follows is reported as too much elsewhere.
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
            .find(|mark| mark.path == key && mark.what == What::Key)
            .or_else(|| self.marks.iter().find(|mark| mark.path == key))
            .map(|mark| (mark.line, mark.column))
    }

    /// Returns the dotted key of what is written at `line` and `column`, or of the last thing that starts before it.
    pub(super) fn key_at(&self, line: u64, column: u64) -> Option<&str> {
        let exact = |is: fn(What) -> bool| {
            self.marks.iter().find(move |m| (m.line, m.column) == (line, column) && is(m.what))
        };
        // A block mapping starts where its first key does: the key is the nearer meaning.
        exact(|what| what == What::Key)
            .or_else(|| exact(|what| matches!(what, What::Scalar | What::Alias)))
            .or_else(|| exact(What::is_container))
            .or_else(|| self.marks.iter().rfind(|m| (m.line, m.column) <= (line, column)))
            .map(|mark| mark.path.as_str())
    }

    /// Returns what is written at `line` and `column` as a value; of a list or mapping, the outermost that starts there.
    pub(super) fn written_at(&self, line: u64, column: u64) -> Option<Written<'_>> {
        self.marks.iter().filter(|mark| (mark.line, mark.column) == (line, column)).find_map(
            |mark| match mark.what {
                What::Scalar => Some(Written::Scalar(&mark.text, mark.chars.clone())),
                What::Sequence => Some(Written::Sequence),
                What::Mapping => Some(Written::Mapping),
                What::Key | What::Alias => None,
            },
        )
    }

    /// Returns the dotted key of the mapping or sequence that starts at `line` and `column`; the innermost one.
    pub(super) fn container_at(&self, line: u64, column: u64) -> Option<&str> {
        self.marks
            .iter()
            .rfind(|m| (m.line, m.column) == (line, column) && m.what.is_container())
            .map(|mark| mark.path.as_str())
    }

    /// Returns the first key under `parent` that ends in `name`, with its line and column.
    pub(super) fn find_under(&self, parent: &str, name: &str) -> Option<(&str, u64, u64)> {
        let direct = join(parent, name);
        self.marks
            .iter()
            .find(|m| m.what == What::Key && m.path == direct)
            .or_else(|| {
                self.marks.iter().find(|m| {
                    m.what == What::Key
                        && m.path.starts_with(parent)
                        && m.path.rsplit('.').next() == Some(name)
                })
            })
            .map(|mark| (mark.path.as_str(), mark.line, mark.column))
    }

    /// Returns why scanning stopped early.
    pub(super) fn error(&self) -> Option<&ScanError> {
        self.error.as_ref()
    }
}

/// Returns the dotted key of the node that starts now, and closes the key that announced it.
fn node(open: &mut [Open]) -> String {
    match open.last_mut() {
        None => String::new(),
        Some(Open::Sequence { path, items }) => {
            *items += 1;
            format!("{path}[{}]", *items - 1)
        }
        // A key that is itself a collection has no dotted name; it counts as its mapping.
        Some(Open::Mapping { path, key }) => key.take().unwrap_or_else(|| path.clone()),
    }
}

pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}
