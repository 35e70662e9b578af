//! Writing of Rasa training data.

use super::{Term, TermKind, annotation::compose};
use crate::record::Record;
use botops_findings::{Finding, Place, Severity};
use botops_text::utterance;
use std::{
    collections::HashMap,
    io::{self, Write},
};

/// Collects records by intent, in the order of the first record of each intent.
///
/// All records are held in memory, because the file lists the records of an intent together.
#[derive(Debug, Default)]
pub(crate) struct RasaWriter {
    intents: Vec<(String, Vec<String>)>,
    at: HashMap<String, usize>,
    /// The place of the first record with a language, which is not written, and the number of such records.
    languages: Option<(Place, u64)>,
}

impl RasaWriter {
    /// Adds `record`, which stands at `place`.
    ///
    /// # Errors
    /// `BOT-2167`, as a finding: the record has no intent, its text is blank, or Rasa would read another text.
    pub(crate) fn add(&mut self, record: &Record, place: Place) -> Result<(), Box<Finding>> {
        let refused = |message: String, help: &str| {
            let finding = Finding::new("BOT-2167", Severity::Error, message, help);
            Err(Box::new(finding.at(place.clone())))
        };
        let text = utterance(&record.text, 60);
        let Some(intent) = &record.intent else {
            return refused(
                format!("the text `{text}` has no intent"),
                "label it: every example of Rasa has an intent",
            );
        };
        if record.text.trim().is_empty() {
            return refused("the text is empty".to_owned(), "remove the record, or correct it");
        }
        let Some(marked) = compose(&record.text, &record.entities) else {
            return refused(
                format!(
                    "the text `{text}` with its entities cannot be written in a form that Rasa reads back"
                ),
                "look for entities that overlap or have the wrong offsets, and for brackets in the text",
            );
        };
        if record.lang.is_some() {
            self.languages.get_or_insert((place, 0)).1 += 1;
        }
        let intents = &mut self.intents;
        let at = *self.at.entry(intent.clone()).or_insert_with(|| {
            intents.push((intent.clone(), Vec::new()));
            intents.len() - 1
        });
        intents[at].1.push(marked);
        Ok(())
    }

    /// Returns a finding of the languages that are not written.
    pub(crate) fn omitted(&self) -> Option<Finding> {
        let (place, n) = self.languages.as_ref()?;
        let message =
            format!("the language of {n} records is not carried over: Rasa has one a model");
        Some(
            Finding::new("BOT-2166", Severity::Warning, message, "keep the file it stands in")
                .at(place.clone()),
        )
    }

    /// Writes the file: the intents, followed by `terms`.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn write(&self, terms: &[Term], out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"version: \"3.1\"\nnlu:\n")?;
        for (intent, examples) in &self.intents {
            item("intent", intent, examples, out)?;
        }
        for kind in TermKind::ALL {
            for term in terms.iter().filter(|term| term.kind == kind) {
                item(kind.name(), &term.name, &term.examples, out)?;
            }
        }
        if self.intents.is_empty() && terms.is_empty() {
            out.write_all(b"  []\n")?;
        }
        Ok(())
    }
}

/// Writes one item: its examples line by line, or as a list if one of them does not fit on a line.
fn item(kind: &str, name: &str, examples: &[String], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "- {kind}: {}", scalar(name))?;
    if examples.is_empty() {
        return Ok(());
    }
    if examples.iter().all(|example| fits(example)) {
        out.write_all(b"  examples: |\n")?;
        return examples.iter().try_for_each(|example| writeln!(out, "    - {example}"));
    }
    out.write_all(b"  examples:\n")?;
    examples.iter().try_for_each(|example| writeln!(out, "  - text: {}", quoted(example)))
}

/// Returns whether `example` can follow a dash unchanged: it is one line of characters that YAML keeps.
fn fits(example: &str) -> bool {
    !example.is_empty() && example.trim() == example && !example.chars().any(is_escaped)
}

/// Returns whether YAML breaks lines at the character, drops it, or forbids it.
fn is_escaped(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns a name as YAML: unquoted if YAML reads it as a string.
fn scalar(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-/.".contains(c);
    let is_word = !matches!(
        name.to_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && is_word && name.chars().all(plain) { name.to_owned() } else { quoted(name) }
}

/// Returns a text in double quotes, in which every character has an escape.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_escaped(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
