//! Response templates with placeholders for entities.

use crate::{entities::Entity, entity_spec::EntitySpec, spec::invalid};
use botops_findings::Result;
use botops_spec::nearest;
use std::collections::BTreeMap;

/// A compiled template.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A piece of a template: text, or a placeholder.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Value { entity: String, otherwise: Option<String> },
}

impl Template {
    /// Compiles `text`, whose placeholders name `entities`; `key` is its key in the spec.
    ///
    /// # Errors
    /// `BOT-1030`.
    pub(crate) fn compile(
        text: &str,
        key: &str,
        entities: &BTreeMap<String, EntitySpec>,
    ) -> Result<Self> {
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
            if !entities.contains_key(name) {
                let name_shown = botops_text::display(name, 40);
                let fault = invalid(key, format!("`{{{name_shown}}}` does not name an entity"));
                let known: Vec<&str> = entities.keys().map(String::as_str).collect();
                return Err(match nearest(name, known.iter().copied()) {
                    Some(near) => fault.hint(format!("did you mean `{{{near}}}`?")),
                    None if known.is_empty() => fault.hint("declare its pattern under `entities:`"),
                    None => fault.hint(format!("the entities: {}", known.join(", "))),
                });
            }
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Value { entity: name.to_owned(), otherwise });
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// Returns the text with the values of `entities` in place; the first value of each name is used.
    pub(crate) fn fill(&self, entities: &[Entity]) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { entity, otherwise } => {
                    let found = entities.iter().find(|found| found.entity == *entity);
                    match (found, otherwise) {
                        (Some(found), _) => out.push_str(&found.value),
                        (None, Some(otherwise)) => out.push_str(otherwise),
                        (None, None) => out.truncate(out.trim_end_matches(' ').len()),
                    }
                }
            }
        }
        out.trim().to_owned()
    }
}
