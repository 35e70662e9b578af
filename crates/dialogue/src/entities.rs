//! Entities found by regular expressions.

use crate::spec::invalid;
use botops_findings::Result;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// The most patterns of a dialogue.
pub(crate) const MAX_PATTERNS: usize = 64;
/// The longest pattern as written, in bytes.
const WRITTEN_BYTES: usize = 8 << 10;
/// The largest compiled pattern: 512 KiB. A Unicode-aware date takes about a fifth of it.
const PATTERN_BYTES: usize = 512 << 10;
/// The deepest nesting of groups.
const NESTING: u32 = 50;
/// The most matches of one pattern in an utterance.
///
/// A search takes time linear in the rest of the text, even if its match is short: `.*[^A-Z]|[A-Z]` reads all of `AAAA`
/// to find one `A`. All matches together would take quadratic time.
const MAX_MATCHES: usize = 64;

/// An entity found in an utterance; offsets in code points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The name of the entity.
    pub entity: String,
    /// The text of the value.
    pub value: String,
    /// The first code point of the value.
    pub start: usize,
    /// One past the last code point of the value.
    pub end: usize,
    /// The value in its normal form, such as `{"date": "2026-11-30"}`; for entities with a type or a lookup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised: Option<serde_json::Value>,
    /// The part that the entity plays, such as `destination`; from the learned tagger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The group of entities that it belongs to, such as `1`; from the learned tagger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Entity {
    /// Returns an entity without normalised value, role and group.
    #[must_use]
    pub fn new(
        entity: impl Into<String>,
        value: impl Into<String>,
        start: usize,
        end: usize,
    ) -> Self {
        Self {
            entity: entity.into(),
            value: value.into(),
            start,
            end,
            normalised: None,
            role: None,
            group: None,
        }
    }
}

/// A compiled pattern with the name of its entity.
#[derive(Debug)]
pub(crate) struct Pattern {
    name: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// `BOT-1030`.
    pub(crate) fn compile(name: &str, pattern: &str) -> Result<Self> {
        let key = format!("entities.{name}");
        if name.is_empty() || name.contains(|c: char| "{}|".contains(c) || c.is_whitespace()) {
            return Err(invalid(&key, format!("`{name}` cannot be an entity name"))
                .hint("use letters, digits and `_`, such as `order_number`"));
        }
        if pattern.len() > WRITTEN_BYTES {
            let message = format!("the pattern of `{name}` has more than {WRITTEN_BYTES} bytes");
            return Err(invalid(&key, message).hint("split it into several entities"));
        }
        let regex = RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES)
            .nest_limit(NESTING)
            .build()
            .map_err(|error| {
                let reason = match &error {
                    regex::Error::CompiledTooBig(_) => "is too large".to_owned(),
                    // The last line has the reason; the lines above point an arrow at the pattern.
                    other => {
                        let text = other.to_string();
                        let last = text.lines().last().unwrap_or_default().trim();
                        let last = last.strip_prefix("error: ").unwrap_or(last);
                        format!("does not compile: {last}")
                    }
                };
                let hint = match &error {
                    regex::Error::CompiledTooBig(_) => {
                        "limit its repetitions, such as `{1,20}`"
                    }
                    _ => "look-around and back-references are not supported; `\\b` matches the edge of a word",
                };
                invalid(&key, format!("the pattern of `{name}` {reason}")).hint(hint).caused_by(error)
            })?;
        if regex.is_match("") {
            return Err(invalid(&key, format!("the pattern of `{name}` matches an empty string"))
                .hint("require at least one character: `+` instead of `*`"));
        }
        Ok(Self { name: name.to_owned(), regex })
    }
}

/// The entities of an utterance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entities {
    /// The entities by position; they never overlap.
    pub found: Vec<Entity>,
    /// Whether the search ended before the end of the text: a pattern matched 64 times, or there was no more time.
    pub cut: bool,
}

/// A match of a pattern; offsets in bytes.
struct Match<'a> {
    name: &'a str,
    start: usize,
    end: usize,
    /// The length of the whole match, around the value.
    matched: usize,
}

/// Finds the entities of `text`, as [`crate::Dialogue::entities_while`] describes.
pub(crate) fn find(
    patterns: &[Pattern],
    text: &str,
    mut has_time: impl FnMut() -> bool,
) -> Entities {
    let mut found: Vec<Match<'_>> = Vec::new();
    let mut cut = false;
    for pattern in patterns {
        cut |= pattern.find(text, &mut has_time, &mut found);
    }
    Entities { found: disjoint(text, found), cut }
}

impl Pattern {
    /// Adds the matches in `text` to `found`. Returns whether it stopped before the end of the text.
    fn find<'a>(
        &'a self,
        text: &str,
        has_time: &mut impl FnMut() -> bool,
        found: &mut Vec<Match<'a>>,
    ) -> bool {
        let mut matches = self.regex.captures_iter(text);
        for _ in 0..MAX_MATCHES {
            if !has_time() {
                return true;
            }
            let Some(captures) = matches.next() else { return false };
            let whole = captures.get_match();
            let value = captures.get(1).unwrap_or(whole);
            if !value.is_empty() {
                found.push(Match {
                    name: &self.name,
                    start: value.start(),
                    end: value.end(),
                    matched: whole.len(),
                });
            }
        }
        matches.next().is_some()
    }
}

/// Returns the matches that are kept when they overlap, as entities.
fn disjoint(text: &str, mut found: Vec<Match<'_>>) -> Vec<Entity> {
    found.sort_by_key(|f| (f.start, Reverse(f.end), Reverse(f.matched), f.name));

    let mut entities = Vec::new();
    // Code points are counted from the previous entity, so the time stays linear in the text.
    let (mut taken, mut chars) = (0, 0);
    for Match { name, start, end, .. } in found {
        if start < taken {
            continue;
        }
        let first = chars + text[taken..start].chars().count();
        let value = &text[start..end];
        chars = first + value.chars().count();
        taken = end;
        entities.push(Entity::new(name, value, first, chars));
    }
    entities
}
