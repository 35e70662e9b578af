//! Training data of Rasa (NLU, in YAML): intents with annotated examples, synonyms, lookups and regular expressions.
//!
//! In: the text of a file. Out: [`Training`], whose records know their lines; what has no place in a record is a
//! [`Term`], and what has none in either is a finding.

pub(crate) mod writing;

mod annotation;

pub(crate) use writing::Rasa;

use crate::Record;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_spec::{self as spec, Node, Value};
use botops_text::{display, utterance};
use serde::Serialize;

/// What a [`Term`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TermKind {
    /// Other words for one value.
    Synonym,
    /// Words of which each is the entity.
    Lookup,
    /// Patterns that mark the entity, or an intent.
    Regex,
}

impl TermKind {
    const ALL: [Self; 3] = [Self::Synonym, Self::Lookup, Self::Regex];

    /// Returns its key in a file of Rasa.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Synonym => "synonym",
            Self::Lookup => "lookup",
            Self::Regex => "regex",
        }
    }
}

/// What a file of Rasa knows besides its examples: it belongs to no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// What it is.
    pub kind: TermKind,
    /// What it is for.
    pub name: String,
    /// The words, or the patterns.
    pub examples: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Training {
    pub(crate) records: Vec<Record>,
    pub(crate) terms: Vec<Term>,
    /// What is neither.
    pub(crate) findings: Vec<Finding>,
}

/// One example, with its place.
struct Example {
    text: String,
    line: u64,
    column: u64,
}

/// Reads the YAML text `yaml` of `file`.
///
/// # Errors
/// Exit 3, with the line: `BOT-2164` malformed, or not of this form; `BOT-2165` annotations that cannot be read, each of
/// which is a finding of the fault.
pub(crate) fn read(yaml: &str, file: &str) -> Result<Training> {
    let root = spec::tree(yaml, file).map_err(|fault| {
        let message = fault.message().trim_start_matches("malformed YAML: ");
        Fault::data("BOT-2164", format!("the YAML is malformed: {message}"))
            .at(fault.place().clone())
            .hint(match fault.hints().first() {
                Some(hint) => hint.clone(),
                None => "look at that line and the one above it: quotes, brackets and how far it is indented".to_owned(),
            })
    })?;
    let mut reader =
        Reader { file: file.to_owned(), training: Training::default(), wrong: Vec::new() };
    let mut is_rasa = false;
    for (key, value) in root.entries() {
        match key {
            "version" => {}
            "nlu" => {
                is_rasa = true;
                reader.items(value)?;
            }
            _ => reader.lost(value, format!("`{}` is no training data", display(key, 40))),
        }
    }
    if !is_rasa {
        return Err(Fault::data("BOT-2164", "the file has no list `nlu`")
            .at(Place { file: Some(file.to_owned()), ..Place::default() })
            .hint(
                "training data of Rasa begins with `nlu:`, and an item of it with `- intent: NAME`",
            ));
    }
    let Reader { training, wrong, .. } = reader;
    let [first, rest @ ..] = wrong.as_slice() else { return Ok(training) };
    let others = match rest.len() {
        0 => String::new(),
        n => format!(", and {n} more such examples"),
    };
    Err(Fault::data("BOT-2165", format!("{}{others}", first.message))
        .at(first.place.clone())
        .hint(first.help.clone())
        .with_findings(wrong))
}

struct Reader {
    file: String,
    training: Training,
    wrong: Vec<Finding>,
}

impl Reader {
    fn place(&self, line: u64, column: u64) -> Place {
        Place {
            file: Some(self.file.clone()),
            line: Some(line),
            column: Some(column),
            ..Place::default()
        }
    }

    fn refused(&self, node: &Node, message: impl Into<String>, hint: &str) -> Fault {
        Fault::data("BOT-2164", message).at(self.place(node.line, node.column)).hint(hint)
    }

    /// Tells of something that is not read.
    fn lost(&mut self, node: &Node, message: String) {
        let place = self.place(node.line, node.column);
        self.training.findings.push(
            Finding::new(
                "BOT-2166",
                Severity::Warning,
                format!("{message}: it is not carried over"),
                "keep the file it stands in",
            )
            .at(place),
        );
    }

    fn items(&mut self, list: &Node) -> Result<()> {
        let items = match &list.value {
            Value::Sequence(items) => items,
            // `nlu:` with nothing behind it.
            Value::Scalar { text, .. } if text.is_empty() => return Ok(()),
            _ => {
                return Err(self.refused(
                    list,
                    "`nlu` is no list",
                    "write `- intent: NAME` below it",
                ));
            }
        };
        items.iter().try_for_each(|item| self.item(item))
    }

    fn item(&mut self, item: &Node) -> Result<()> {
        let keys: Vec<&str> = item.entries().map(|(key, _)| key).collect();
        let named = |key: &str| item.entries().find(|(there, _)| *there == key);
        let of = TermKind::ALL.iter().find_map(|kind| Some((*kind, named(kind.name())?.1)));
        let (kind, name) = match (named("intent"), of) {
            (Some((_, name)), _) => (None, name),
            (None, Some((kind, name))) => (Some(kind), name),
            (None, None) => {
                return Err(self.refused(
                    item,
                    "an item of `nlu` has none of `intent`, `synonym`, `lookup` and `regex`",
                    "begin it with one of them, such as `- intent: NAME`",
                ));
            }
        };
        let Some(name_text) = name.text().map(str::trim).filter(|name| !name.is_empty()) else {
            return Err(self.refused(name, "the name is no text", "write it as a text"));
        };
        let name_text = name_text.to_owned();
        let own = kind.map_or("intent", TermKind::name);
        for (key, value) in item.entries() {
            if key != own && key != "examples" {
                let key = display(key, 40);
                self.lost(value, format!("`{key}` of the {own} `{}`", display(&name_text, 40)));
            }
        }
        if keys.iter().filter(|key| **key == "examples").count() > 1 {
            return Err(self.refused(item, "`examples` is there twice", "write them as one"));
        }
        let examples = match named("examples") {
            Some((_, node)) => self.examples(node)?,
            None => Vec::new(),
        };
        match kind {
            Some(kind) => self.training.terms.push(Term {
                kind,
                name: name_text,
                examples: examples.into_iter().map(|example| example.text).collect(),
                place: self.place(item.line, item.column),
            }),
            None => examples.into_iter().for_each(|example| self.record(example, &name_text)),
        }
        Ok(())
    }

    /// Takes the examples of one item: a text with one behind each `- `, or a list.
    fn examples(&mut self, node: &Node) -> Result<Vec<Example>> {
        const DASH: &str = "write each example on a line of its own, behind `- `";
        match &node.value {
            Value::Scalar { text, literal } => {
                let mut examples = Vec::new();
                for (i, line) in text.lines().enumerate() {
                    let number = if *literal { node.line + i as u64 } else { node.line };
                    let bare = line.trim();
                    if bare.is_empty() {
                        continue;
                    }
                    let Some(example) = bare.strip_prefix('-') else {
                        let shown = utterance(bare, 40);
                        return Err(Fault::data("BOT-2164", format!("`{shown}` is no example"))
                            .at(Place { column: None, ..self.place(number, 1) })
                            .hint(DASH));
                    };
                    // The column is that of the text as far as its line tells; the block's indent is not known here.
                    let text = example.trim().to_owned();
                    examples.push(Example { text, line: number, column: 1 });
                }
                Ok(examples)
            }
            Value::Sequence(items) => {
                let mut examples = Vec::new();
                for item in items {
                    let text = match &item.value {
                        Value::Scalar { .. } => Some(item),
                        _ => item.entries().find(|(key, _)| *key == "text").map(|(_, text)| text),
                    };
                    for (key, value) in item.entries().filter(|(key, _)| *key != "text") {
                        self.lost(value, format!("`{}` of an example", display(key, 40)));
                    }
                    let Some(Value::Scalar { text: words, literal }) = text.map(|node| &node.value)
                    else {
                        return Err(self.refused(
                            item,
                            "an example has no `text`",
                            "write `- text: …`",
                        ));
                    };
                    // The break at the end of a block is of the block.
                    let words = if *literal { words.trim().to_owned() } else { words.clone() };
                    examples.push(Example { text: words, line: item.line, column: item.column });
                }
                Ok(examples)
            }
            Value::Mapping(_) => Err(self.refused(node, "`examples` is no list", DASH)),
        }
    }

    fn record(&mut self, example: Example, intent: &str) {
        let record = self.training.records.len() as u64 + 1;
        match annotation::parse(&example.text) {
            Ok((text, entities)) => self.training.records.push(Record {
                text,
                intent: Some(intent.to_owned()),
                lang: None,
                entities,
                record,
                line: example.line,
                file: None,
            }),
            Err(wrong) => {
                let place = Place { column: None, ..self.place(example.line, example.column) };
                let shown = utterance(&wrong.annotation, 60);
                self.wrong.push(
                    Finding::new(
                        "BOT-2165",
                        Severity::Error,
                        format!("the annotation `{shown}` {}", wrong.why),
                        r#"write `[text](entity)` or `[text]{"entity": "name", "value": "…"}`"#,
                    )
                    .at(place),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
