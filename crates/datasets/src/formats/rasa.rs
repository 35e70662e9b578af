//! Training data of Rasa (NLU, in YAML): intents with annotated examples, synonyms, lookups and regular expressions.
//!
//! In: a file. Out: [`Training`]: records with their lines, [`Term`]s, and a finding for each part that is not read.

pub(crate) mod writing;

mod annotation;

use super::encoding::{Start, decode, not_utf8};
use crate::{
    opening::{Opened, unread},
    record::Record,
};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_spec::{self as spec, Node, Value, nearest};
use botops_text::{display, utterance};
use serde::Serialize;
use std::{collections::HashSet, io::Read};

/// The kind of a [`Term`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TermKind {
    /// Other texts for one value.
    Synonym,
    /// Texts that are the entity.
    Lookup,
    /// Regular expressions of an entity or an intent.
    Regex,
}

impl TermKind {
    const ALL: [Self; 3] = [Self::Synonym, Self::Lookup, Self::Regex];

    /// Returns its key in the YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Synonym => "synonym",
            Self::Lookup => "lookup",
            Self::Regex => "regex",
        }
    }
}

/// A synonym, a lookup or a regular expression, which belongs to no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// Its kind.
    pub kind: TermKind,
    /// The value, the entity or the intent that it describes.
    pub name: String,
    /// The texts or the patterns.
    pub examples: Vec<String>,
    /// Its place in the file.
    pub place: Place,
}

/// The parts of the files that are not records.
#[derive(Debug, Default)]
pub struct NonRecords {
    /// Synonyms, lookups and regular expressions of Rasa training data.
    pub terms: Vec<Term>,
    /// Findings about the parts of the files that are not read.
    pub findings: Vec<Finding>,
}

impl NonRecords {
    /// Adds those of another file.
    pub(crate) fn append(&mut self, other: Self) {
        self.terms.extend(other.terms);
        self.findings.extend(other.findings);
    }
}

/// The contents of a file.
#[derive(Debug, Default)]
pub(crate) struct Training {
    pub(crate) records: Vec<Record>,
    pub(crate) non_records: NonRecords,
}

/// The keys that Rasa knows at the top of a file of its training data, its domain or its tests.
const KEYS: [&str; 12] = [
    "version",
    "nlu",
    "stories",
    "rules",
    "responses",
    "intents",
    "entities",
    "slots",
    "forms",
    "actions",
    "session_config",
    "e2e_actions",
];

/// Returns whether Rasa knows `key` at the top of a file, as of some version.
fn is_rasa_key(key: &str) -> bool {
    let families = ["lookup", "regex", "synonym", "entity_synonym", "e2e"];
    KEYS.contains(&key) || families.iter().any(|family| key.starts_with(family))
}

/// The largest file of training data, in bytes. Every node of its YAML is held in memory.
const LARGEST: u64 = 256 << 20;

/// Reads a whole file of training data.
///
/// # Errors
/// `BOT-2164` when it has more than 256 MiB; those of [`parse`].
pub(crate) fn read<R: Read>(mut opened: Opened<R>) -> Result<Training> {
    let name = &opened.name;
    let mut bytes = Vec::new();
    let read = opened.reader.by_ref().take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| unread(error, name))?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("training data in YAML has at most {} MiB", LARGEST >> 20);
        return Err(Fault::data("BOT-2164", message)
            .at(Place { file: Some(name.clone()), ..Place::default() })
            .hint("split the file, and name the parts by a pattern"));
    }
    match decode(&bytes, true) {
        (text, false) => parse(text, name),
        (valid, true) => Err(not_utf8(&bytes, valid, name, Start::at(opened.mark), None)),
    }
}

/// One example, with its line and column.
struct Example {
    text: String,
    line: u64,
    column: u64,
}

/// Reads the YAML text `yaml` of `file`.
///
/// # Errors
/// Exit 3, with the line: `BOT-2164` malformed YAML, or YAML of another form; `BOT-2165` malformed annotations, each of
/// which is a finding of the fault.
pub(crate) fn parse(yaml: &str, file: &str) -> Result<Training> {
    check_nul(yaml, file)?;
    let documents = spec::documents(yaml, file).map_err(|fault| {
        let message = fault.message().trim_start_matches("malformed YAML: ");
        Fault::data("BOT-2164", format!("the YAML is malformed: {message}"))
            .at(fault.place().clone())
            .hint(match fault.hints().first() {
                Some(hint) => hint.clone(),
                None => "look at that line and the one above it: quotes, brackets and indentation"
                    .to_owned(),
            })
    })?;
    let mut reader = Reader {
        file: file.to_owned(),
        training: Training::default(),
        empty: Vec::new(),
        malformed: Vec::new(),
    };
    let mut is_rasa = false;
    for root in &documents {
        if !matches!(root.value, Value::Mapping(_) | Value::Null) {
            let hint = "training data of Rasa begins with `nlu:`";
            return Err(reader.refused(root, "a document of the file is not a mapping", hint));
        }
        for (key, value) in root.entries() {
            match key {
                "version" => {}
                "nlu" => {
                    is_rasa = true;
                    reader.items(value)?;
                }
                _ if is_rasa_key(key) => {
                    reader.not_read(value, format!("`{}` is not training data", display(key, 40)));
                }
                _ => reader.unknown(value, key, "the file", &KEYS),
            }
        }
    }
    if !is_rasa {
        return Err(Fault::data("BOT-2164", "the file has no list `nlu`")
            .at(Place { file: Some(file.to_owned()), ..Place::default() })
            .hint(
                "training data of Rasa begins with `nlu:`, and an item of it with `- intent: NAME`",
            ));
    }
    reader.report_empty();
    let Reader { training, malformed, .. } = reader;
    let [first, rest @ ..] = malformed.as_slice() else { return Ok(training) };
    let others = match rest.len() {
        0 => String::new(),
        n => format!(", and {n} more such examples"),
    };
    Err(Fault::data("BOT-2165", format!("{}{others}", first.message))
        .at(first.place.clone())
        .hint(first.help.clone())
        .with_findings(malformed))
}

/// Refuses a NUL, which no YAML may contain, by its place.
fn check_nul(yaml: &str, file: &str) -> Result<()> {
    let Some(at) = yaml.find('\0') else { return Ok(()) };
    let before = &yaml[..at];
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
    let file = Some(file.to_owned());
    Err(Fault::data("BOT-2164", "the YAML contains a NUL byte")
        .at(Place { file, line: Some(line), column: Some(column), ..Place::default() })
        .hint("remove it: it is invisible, and no text needs it"))
}

struct Reader {
    file: String,
    training: Training,
    /// The names and places of the items of intents that have no examples.
    empty: Vec<(String, Place)>,
    malformed: Vec<Finding>,
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

    /// Reports a part that is not read.
    fn not_read(&mut self, node: &Node, message: String) {
        let place = self.place(node.line, node.column);
        self.training.non_records.findings.push(
            Finding::new(
                "BOT-2166",
                Severity::Warning,
                format!("{message}: it is not carried over"),
                "keep the file it stands in",
            )
            .at(place),
        );
    }

    /// Reports a key of `owner` that Rasa does not know.
    fn unknown(&mut self, node: &Node, key: &str, owner: &str, known: &[&str]) {
        let message = format!("`{}` of {owner} is unknown: it is not read", display(key, 40));
        let help = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys are `{}`", known.join("`, `")),
        };
        let place = self.place(node.line, node.column);
        let finding = Finding::new("BOT-2233", Severity::Warning, message, help);
        self.training.non_records.findings.push(finding.at(place));
    }

    /// Reports the intents that have no examples in any item of the file.
    fn report_empty(&mut self) {
        let known: HashSet<&str> =
            self.training.records.iter().filter_map(|record| record.intent.as_deref()).collect();
        let empty = std::mem::take(&mut self.empty);
        let findings = &mut self.training.non_records.findings;
        for (name, place) in empty.into_iter().filter(|(name, _)| !known.contains(name.as_str())) {
            let message = format!("the intent `{}` has no examples", display(&name, 40));
            let help = "write examples below `examples`, or remove the intent";
            findings.push(Finding::new("BOT-2234", Severity::Warning, message, help).at(place));
        }
        findings.sort_by_key(|finding| finding.place.line);
    }

    fn items(&mut self, list: &Node) -> Result<()> {
        let items = match &list.value {
            Value::Sequence(items) => items,
            // An empty `nlu:`.
            Value::Null => return Ok(()),
            _ => {
                return Err(self.refused(
                    list,
                    "`nlu` is not a list",
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
        let own = kind.map_or("intent", TermKind::name);
        let name_text = match (name.text().map(str::trim), &name.value) {
            (Some(""), _) | (_, Value::Null) => {
                let hint = format!("write it after the colon: `- {own}: NAME`");
                return Err(self.refused(item, format!("`{own}` has no name"), &hint));
            }
            (Some(name), _) => name.to_owned(),
            (None, _) => {
                return Err(self.refused(name, "the name is not a string", "write it as a string"));
            }
        };
        let shown = format!("the {own} `{}`", display(&name_text, 40));
        let known = [own, "examples", "metadata"];
        let mut is_misspelt = false;
        for (key, value) in item.entries().filter(|(key, _)| *key != own && *key != "examples") {
            if key == "metadata" || TermKind::ALL.iter().any(|kind| kind.name() == key) {
                self.not_read(value, format!("`{}` of {shown}", display(key, 40)));
            } else {
                is_misspelt |= nearest(key, ["examples"]).is_some();
                self.unknown(value, key, &shown, &known);
            }
        }
        if keys.iter().filter(|key| **key == "examples").count() > 1 {
            return Err(self.refused(item, "`examples` occurs twice", "merge the two lists"));
        }
        let examples = match named("examples") {
            Some((_, node)) => self.examples(node)?,
            None => Vec::new(),
        };
        if kind.is_none() && examples.is_empty() && !is_misspelt {
            self.empty.push((name_text.clone(), self.place(item.line, item.column)));
        }
        match kind {
            Some(kind) => self.training.non_records.terms.push(Term {
                kind,
                name: name_text,
                examples: examples.into_iter().map(|example| example.text).collect(),
                place: self.place(item.line, item.column),
            }),
            None => examples.into_iter().for_each(|example| self.record(example, &name_text)),
        }
        Ok(())
    }

    /// Reads the examples of one item: a text with one example after each `- `, or a list.
    fn examples(&mut self, node: &Node) -> Result<Vec<Example>> {
        const DASH: &str = "write each example on a line of its own, after `- `";
        match &node.value {
            Value::Null => Ok(Vec::new()),
            Value::Scalar { text, literal } => {
                let mut examples = Vec::new();
                for (i, line) in text.lines().enumerate() {
                    let number = if *literal { node.line + i as u64 } else { node.line };
                    let bare = line.trim();
                    if bare.is_empty() {
                        continue;
                    }
                    let Some(example) = bare.strip_prefix('-') else {
                        let bare = utterance(bare, 40);
                        return Err(Fault::data("BOT-2164", format!("`{bare}` is not an example"))
                            .at(Place { column: None, ..self.place(number, 1) })
                            .hint(DASH));
                    };
                    // The indentation of the block is not known here, and with it the column.
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
                        match key {
                            "metadata" => {
                                self.not_read(value, "`metadata` of an example".to_owned());
                            }
                            _ => self.unknown(value, key, "an example", &["text", "metadata"]),
                        }
                    }
                    let Some(Value::Scalar { text: words, literal }) = text.map(|node| &node.value)
                    else {
                        return Err(self.refused(
                            item,
                            "an example has no `text`",
                            "write `- text: …`",
                        ));
                    };
                    // The line break at its end belongs to the block, not to the text.
                    let words = if *literal { words.trim().to_owned() } else { words.clone() };
                    examples.push(Example { text: words, line: item.line, column: item.column });
                }
                Ok(examples)
            }
            Value::Mapping(_) => Err(self.refused(node, "`examples` is not a list", DASH)),
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
            Err(malformed) => {
                let place = Place { column: None, ..self.place(example.line, example.column) };
                let annotation = utterance(&malformed.annotation, 60);
                self.malformed.push(
                    Finding::new(
                        "BOT-2165",
                        Severity::Error,
                        format!("the annotation `{annotation}` {}", malformed.reason),
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
