//! Names in templates and conditions, and the values that they stand for.

use crate::{
    entities::Entity, entity_spec::EntitySpec, slot_spec::SlotSpec, spec::invalid, state::SlotValue,
};
use botops_findings::Result;
use botops_spec::nearest;
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap};

/// The longest value of an action in a response, in code points. `…` marks a cut.
const MAX_ACTION_VALUE: usize = 500;

/// The names that a template may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The entities of the dialogue.
    pub(crate) entities: &'a BTreeMap<String, EntitySpec>,
    /// The slots of the dialogue.
    pub(crate) slots: &'a BTreeMap<String, SlotSpec>,
    /// Whether there is the answer of an action: `{action.status}`.
    pub(crate) action: bool,
}

/// The values that fill a template.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// The entities of the message.
    pub(crate) entities: &'a [Entity],
    /// The slots of the conversation.
    pub(crate) slots: &'a BTreeMap<String, SlotValue>,
    /// The answer of the action.
    pub(crate) action: Option<&'a Value>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Slot,
    Entity,
    Action,
}

/// A name in a template: a slot, else an entity, else the answer of the action; then the path inside its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    root: Root,
    name: String,
    path: Vec<String>,
}

impl Reference {
    /// Reads `written`, such as `order_number`, `delivery.date` or `action.status`; `key` is its key in the spec.
    ///
    /// # Errors
    /// `BOT-1030`.
    pub(crate) fn compile(written: &str, key: &str, known: &Known<'_>) -> Result<Self> {
        let root_of = |name: &str| {
            if known.slots.contains_key(name) {
                Some(Root::Slot)
            } else if known.entities.contains_key(name) {
                Some(Root::Entity)
            } else {
                (known.action && name == "action").then_some(Root::Action)
            }
        };
        let mut parts = written.split('.');
        let first = parts.next().unwrap_or_default();
        if let Some(root) = root_of(written) {
            return Ok(Self { root, name: written.to_owned(), path: Vec::new() });
        }
        if let Some(root) = root_of(first).filter(|_| written != first) {
            return Ok(Self {
                root,
                name: first.to_owned(),
                path: parts.map(str::to_owned).collect(),
            });
        }
        let shown = botops_text::display(written, 40);
        let slots = if known.slots.is_empty() { "" } else { " or a slot" };
        let fault = invalid(key, format!("`{{{shown}}}` does not name an entity{slots}"));
        if first == "action" {
            return Err(fault.hint(
                "`action` is the answer of an action: only a response to an intent with `action:` has it",
            ));
        }
        let mut names: Vec<&str> =
            known.slots.keys().chain(known.entities.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        Err(match nearest(written, names.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean `{{{near}}}`?")),
            None if names.is_empty() => fault.hint("declare its pattern under `entities:`"),
            None if known.slots.is_empty() => {
                fault.hint(format!("the entities: {}", names.join(", ")))
            }
            None => fault.hint(format!("the entities and slots: {}", names.join(", "))),
        })
    }

    /// Returns the name of the slot, if it is one.
    pub(crate) fn slot(&self) -> Option<&str> {
        (self.root == Root::Slot).then_some(self.name.as_str())
    }

    /// Returns the value; `None` if there is none, or if it is a list, an object or null.
    pub(crate) fn value<'a>(&self, values: &Values<'a>) -> Option<Cow<'a, str>> {
        let (text, json) = match self.root {
            Root::Slot => {
                let slot = values.slots.get(&self.name)?;
                (Some(slot.value.as_str()), slot.normalised.as_ref())
            }
            Root::Entity => {
                let found = values.entities.iter().find(|found| found.entity == self.name)?;
                (Some(found.value.as_str()), found.normalised.as_ref())
            }
            Root::Action => (None, values.action),
        };
        if self.path.is_empty()
            && let Some(text) = text
        {
            return Some(Cow::Borrowed(text));
        }
        let mut value = json?;
        for step in &self.path {
            value = match value {
                Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                other => other.get(step.as_str())?,
            };
        }
        scalar(value)
    }
}

/// Returns a string, number or truth value of JSON as text in one line, cut to its longest length.
fn scalar(value: &Value) -> Option<Cow<'static, str>> {
    let text = match value {
        Value::String(text) => one_line(text, MAX_ACTION_VALUE),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(Cow::Owned(text))
}

/// Returns `text` in one line: runs of white space and control characters become one space, and characters that are
/// invisible or change the direction of writing are removed, because they could disguise the sentence around the value. At
/// most `most` code points are kept; `…` marks a cut.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let (mut out, mut n, mut gap) = (String::new(), 0, false);
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = n > 0;
            continue;
        }
        if hides(c) {
            continue;
        }
        if n + usize::from(gap) >= most {
            // One code point makes place for the mark of the cut.
            out.pop();
            out.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
            n += 1;
        }
        out.push(c);
        n += 1;
    }
    out
}

/// Returns whether `c` is invisible without a meaning of its own, or changes the direction of the text around it.
fn hides(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_value_is_one_visible_line_of_limited_length() {
        for (text, most, expected) in [
            ("  a \n\t b\0c  ", 10, "a b c"),
            ("a\u{202e}b\u{200b}c\u{2066}", 10, "abc"),
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("abcde fg", 6, "abcd…"),
            ("{x} }}", 10, "{x} }}"),
            ("", 3, ""),
        ] {
            assert_eq!(one_line(text, most), expected, "{text:?}");
        }
    }
}
