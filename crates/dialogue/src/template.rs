//! Response templates with placeholders for entities.

use crate::{
    reference::{Known, Reference, Values},
    spec::invalid,
};
use botops_findings::Result;

/// A compiled template.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A piece of a template: text, or a placeholder.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Value { name: Reference, otherwise: Option<String> },
}

impl Template {
    /// Compiles `text`, whose placeholders are `known`; `key` is its key in the spec.
    ///
    /// # Errors
    /// `BOT-1030`.
    pub(crate) fn compile(text: &str, key: &str, known: &Known<'_>) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(invalid(key, "a response is empty".to_owned())
                .hint("write the text of the response"));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let shown = botops_text::display(text, 60);
            if brace == "}" {
                return Err(invalid(key, format!("unmatched `}}` in `{shown}`"))
                    .hint("write `}}` for a literal brace"));
            }
            let end = rest.find(['{', '}']).filter(|&end| rest.as_bytes()[end] == b'}');
            let Some(end) = end else {
                return Err(invalid(key, format!("unclosed `{{` in `{shown}`"))
                    .hint("write `{order_number}` for a value, `{{` for a literal brace"));
            };
            let (name, otherwise) = match rest[..end].split_once('|') {
                Some((name, otherwise)) => (name.trim(), Some(otherwise.to_owned())),
                None => (rest[..end].trim(), None),
            };
            let name = Reference::compile(name, key, known)?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Value { name, otherwise });
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// Returns the text with `values` in place. Values are never read as templates.
    pub(crate) fn fill(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { name, otherwise } => match (name.value(values), otherwise) {
                    (Some(value), _) => out.push_str(&value),
                    (None, Some(otherwise)) => out.push_str(otherwise),
                    (None, None) => out.truncate(out.trim_end_matches(' ').len()),
                },
            }
        }
        out.trim().to_owned()
    }

    /// Returns the names in the template.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value { name, .. } => Some(name),
        })
    }
}
