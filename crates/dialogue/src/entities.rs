//! Entities by pattern.

use super::{Entity, wrong};
use botops_findings::Result;
use regex::{Regex, RegexBuilder};
use std::cmp::Reverse;

/// The most memory one compiled pattern may take, in bytes; a Unicode-aware date takes about a tenth of it.
const PATTERN_BYTES: usize = 1 << 20;
/// The deepest nesting of groups.
const NESTING: u32 = 50;

/// A compiled pattern with the name of its entity.
#[derive(Debug)]
pub(super) struct Pattern {
    name: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// `BOT-1030`.
    pub(super) fn compile(name: &str, pattern: &str) -> Result<Self> {
        let key = format!("entities.{name}");
        if name.is_empty() || name.contains(|c: char| "{}|".contains(c) || c.is_whitespace()) {
            return Err(wrong(&key, format!("`{name}` cannot be the name of an entity"))
                .hint("use letters, digits and `_`, such as `order_number`"));
        }
        let regex = RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES)
            .nest_limit(NESTING)
            .build()
            .map_err(|error| {
                let why = match &error {
                    regex::Error::CompiledTooBig(_) => "is too large".to_owned(),
                    // The last line says why; those above draw an arrow under the pattern.
                    other => {
                        let text = other.to_string();
                        let last = text.lines().last().unwrap_or_default().trim();
                        let last = last.strip_prefix("error: ").unwrap_or(last);
                        format!("does not compile: {last}")
                    }
                };
                let hint = match &error {
                    regex::Error::CompiledTooBig(_) => {
                        "bound its repetitions more tightly, such as `{1,20}`"
                    }
                    _ => "look-around and back-references do not exist here; `\\b` is the edge of a word",
                };
                wrong(&key, format!("the pattern of `{name}` {why}")).hint(hint).caused_by(error)
            })?;
        if regex.is_match("") {
            return Err(wrong(&key, format!("the pattern of `{name}` matches an empty text"))
                .hint("ask for at least one character: `+` instead of `*`"));
        }
        Ok(Self { name: name.to_owned(), regex })
    }
}

/// A match, in bytes.
struct Found<'a> {
    name: &'a str,
    start: usize,
    end: usize,
    matched: usize,
}

/// See [`super::Dialogue::entities`].
pub(super) fn find(patterns: &[Pattern], text: &str) -> Vec<Entity> {
    let mut found: Vec<Found<'_>> = Vec::new();
    for Pattern { name, regex } in patterns {
        for captures in regex.captures_iter(text) {
            let whole = captures.get_match();
            let value = captures.get(1).unwrap_or(whole);
            if !value.is_empty() {
                found.push(Found {
                    name,
                    start: value.start(),
                    end: value.end(),
                    matched: whole.len(),
                });
            }
        }
    }
    found.sort_by_key(|f| (f.start, Reverse(f.end), Reverse(f.matched), f.name));

    let mut entities = Vec::new();
    // Code points are counted on from the last entity, so that many of them stay linear.
    let (mut taken, mut chars) = (0, 0);
    for Found { name, start, end, .. } in found {
        if start < taken {
            continue;
        }
        let first = chars + text[taken..start].chars().count();
        let value = &text[start..end];
        chars = first + value.chars().count();
        taken = end;
        entities.push(Entity {
            entity: name.to_owned(),
            value: value.to_owned(),
            start: first,
            end: chars,
        });
    }
    entities
}
