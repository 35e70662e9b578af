//! Annotations of entities in a text: `[Paris](city)`, `[NYC]{"entity": "city", "value": "New York"}`.

use crate::record::EntitySpan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A malformed annotation.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed {
    /// The annotation as written.
    pub(crate) annotation: String,
    /// The end of a sentence that begins with the annotation: `cannot be read: ...`.
    pub(crate) reason: String,
}

/// The JSON object of an annotation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Braces {
    entity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

/// Returns `marked` without its annotations, and the entities in it.
///
/// The rules are those of Rasa: the text of an entity extends from a `[` to the next `]`. Brackets that no parenthesis or
/// brace follows are part of the text. One parenthesis may hold a name and a value (`(city:New York)`). A list of JSON
/// objects holds several entities of one text.
///
/// # Errors
/// A JSON object without the string `entity`, or with other members than `value`, `role` and `group`.
pub(crate) fn parse(marked: &str) -> Result<(String, Vec<EntitySpan>), Malformed> {
    let (mut text, mut entities) = (String::with_capacity(marked.len()), Vec::new());
    let mut chars = 0;
    let mut rest = marked;
    let ends = Ends::of(marked);
    while let Some(at) = rest.find('[') {
        let (before, bracket) = rest.split_at(at);
        text.push_str(before);
        chars += before.chars().count();
        match annotation(bracket, ends)? {
            Part::Annotation(value, found, length) => {
                let end = chars + value.chars().count();
                entities.extend(found.into_iter().map(|braces| EntitySpan {
                    entity: braces.entity,
                    value: value.to_owned(),
                    start: chars,
                    end,
                    synonym_of: braces.value.map(plain),
                    role: braces.role,
                    group: braces.group,
                }));
                text.push_str(value);
                chars = end;
                rest = &bracket[length..];
            }
            Part::Text(length) => {
                text.push_str(&bracket[..length]);
                chars += bracket[..length].chars().count();
                rest = &bracket[length..];
            }
        }
    }
    text.push_str(rest);
    Ok((text, entities))
}

/// The lengths of what follows the last `)` and the last `}` of a text; all of it without one.
///
/// They tell whether one follows a place without a search: a text may have a `[` at every place.
#[derive(Clone, Copy)]
struct Ends {
    parenthesis: usize,
    brace: usize,
}

impl Ends {
    fn of(marked: &str) -> Self {
        let after = |sign| marked.rfind(sign).map_or(marked.len(), |at| marked.len() - at - 1);
        Self { parenthesis: after(')'), brace: after('}') }
    }
}

/// A part of a text that begins with `[`.
enum Part<'a> {
    /// The text of an annotation, its entities, and the length of the annotation in bytes.
    Annotation(&'a str, Vec<Braces>, usize),
    /// The length in bytes of a text in which no annotation begins.
    Text(usize),
}

/// Reads the annotation at the start of `bracket`.
///
/// Whether there is one depends only on what follows the next `]`. So if there is none, none begins before that `]`, and
/// the time is linear in the length of a text.
fn annotation(bracket: &str, ends: Ends) -> Result<Part<'_>, Malformed> {
    let close = match bracket.find(']') {
        Some(1) => return Ok(Part::Text(1)),
        Some(close) => close,
        None => return Ok(Part::Text(bracket.len())),
    };
    let (value, after) = (&bracket[1..close], &bracket[close + 1..]);
    let none = Ok(Part::Text(close));
    let until = |sign: char| after.find(sign).filter(|&end| end > 1);
    let (found, end) = match after.as_bytes().first() {
        Some(b'(') if ends.parenthesis < after.len() => {
            let Some(end) = until(')') else { return none };
            let inside = &after[1..end];
            let (entity, value) = match inside.split_once(':') {
                Some((entity, value)) => (entity, Some(Value::from(value))),
                None => (inside, None),
            };
            if entity.is_empty() || value.as_ref().is_some_and(|value| *value == "") {
                return none;
            }
            (vec![Braces { entity: entity.to_owned(), value, role: None, group: None }], end)
        }
        Some(b'{') if ends.brace < after.len() => {
            let Some(end) = until('}') else { return none };
            let braces = json(&after[..=end], &bracket[..close + end + 2])?;
            (vec![braces], end)
        }
        Some(b'[') if after[1..].starts_with('{') => {
            let Some(end) = until(']') else { return none };
            (json(&after[..=end], &bracket[..close + end + 2])?, end)
        }
        _ => return none,
    };
    Ok(Part::Annotation(value, found, close + 1 + end + 1))
}

fn json<'de, T: Deserialize<'de>>(text: &'de str, annotation: &str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let reason = match message.split_once(" at line ") {
            Some((problem, _)) => format!("cannot be read: {problem}"),
            None => "cannot be read".to_owned(),
        };
        Malformed { annotation: annotation.to_owned(), reason }
    })
}

/// Returns a value as a text.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Returns `text` with annotations of `entities`; `None` if reading it would yield other entities or another text.
pub(crate) fn compose(text: &str, entities: &[EntitySpan]) -> Option<String> {
    let mut spans: Vec<&EntitySpan> = entities.iter().collect();
    spans.sort_by_key(|span| (span.start, span.end));
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let (mut marked, mut written) = (String::with_capacity(text.len()), 0);
    for same in spans.chunk_by(|a, b| (a.start, a.end) == (b.start, b.end)) {
        let first = same.first()?;
        let (start, end) = (*offsets.get(first.start)?, *offsets.get(first.end)?);
        marked.push_str(text.get(written..start)?);
        marked.push('[');
        marked.push_str(text.get(start..end)?);
        marked.push(']');
        marked.push_str(&suffix(same)?);
        written = end;
    }
    marked.push_str(text.get(written..)?);
    let spans: Vec<EntitySpan> = spans.into_iter().cloned().collect();
    (parse(&marked) == Ok((text.to_owned(), spans))).then_some(marked)
}

/// Returns the part of an annotation after the text. `same` are entities of one span.
fn suffix(same: &[&EntitySpan]) -> Option<String> {
    let braces = |span: &EntitySpan| Braces {
        entity: span.entity.clone(),
        value: span.synonym_of.clone().map(Value::from),
        role: span.role.clone(),
        group: span.group.clone(),
    };
    match same {
        [only] if only.synonym_of.is_none() && only.role.is_none() && only.group.is_none() => {
            match only.entity.contains([':', ')']) {
                false => Some(format!("({})", only.entity)),
                true => serde_json::to_string(&braces(only)).ok(),
            }
        }
        [only] => serde_json::to_string(&braces(only)).ok(),
        several => {
            serde_json::to_string(&several.iter().map(|span| braces(span)).collect::<Vec<_>>()).ok()
        }
    }
}
