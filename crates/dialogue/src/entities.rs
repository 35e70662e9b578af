//! Entities found by regular expressions and by the parsers of types and lists.

use crate::{
    entity_spec::EntitySpec,
    moment::Moment,
    spec::{DialogueSpec, invalid},
    typed::{Context, Prepared, TypedEntity, zone_of},
};
use botops_findings::Result;
use chrono_tz::Tz;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// The index of the typed entity that normalises its values.
    typed: Option<usize>,
}

/// Refuses a name that no placeholder can hold.
///
/// # Errors
/// `BOT-1030`.
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains(|c: char| "{}|".contains(c) || c.is_whitespace()) {
        let message = format!("`{name}` cannot be an entity name");
        return Err(invalid(&format!("entities.{name}"), message)
            .hint("use letters, digits and `_`, such as `order_number`"));
    }
    Ok(())
}

impl Pattern {
    /// Compiles `pattern`; the typed entity of the index `typed` normalises its values.
    ///
    /// # Errors
    /// `BOT-1030`.
    pub(crate) fn compile(name: &str, pattern: &str, typed: Option<usize>) -> Result<Self> {
        let key = format!("entities.{name}");
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
        Ok(Self { name: name.to_owned(), regex, typed })
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
    normalised: Option<Value>,
}

/// The searches of a dialogue.
#[derive(Debug)]
pub(crate) struct Searches {
    patterns: Vec<Pattern>,
    typed: Vec<TypedEntity>,
    zone: Tz,
}

impl Searches {
    /// Compiles the entities of `spec`.
    ///
    /// # Errors
    /// `BOT-1030`, `BOT-1100` and `BOT-1101`.
    pub(crate) fn compile(spec: &DialogueSpec) -> Result<Self> {
        let zone = zone_of(spec.timezone.as_deref())?;
        let (mut patterns, mut typed, mut n_names) = (Vec::new(), Vec::new(), 0);
        for (name, entity) in &spec.entities {
            check_name(name)?;
            match entity {
                EntitySpec::Pattern(pattern) => {
                    patterns.push(Pattern::compile(name, pattern, None)?);
                }
                EntitySpec::Rule(rule) => {
                    let Some(entity) = TypedEntity::compile(name, rule, &mut n_names)? else {
                        continue;
                    };
                    if let Some(pattern) = &rule.pattern {
                        patterns.push(Pattern::compile(name, pattern, Some(typed.len()))?);
                    }
                    typed.push(entity);
                }
            }
        }
        Ok(Self { patterns, typed, zone })
    }

    /// Returns the number of patterns, parsers and lists.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len() + self.typed.len()
    }

    /// Finds the entities of `text`, as [`crate::Dialogue::entities_while`] describes.
    pub(crate) fn find(
        &self,
        text: &str,
        moment: &Moment<'_>,
        mut has_time: impl FnMut() -> bool,
    ) -> Entities {
        let context = (!self.typed.is_empty()).then(|| Context::of(moment, self.zone));
        let mut found: Vec<Match<'_>> = Vec::new();
        let mut cut = false;
        for pattern in &self.patterns {
            let first = found.len();
            cut |= pattern.find(text, &mut has_time, &mut found);
            let Some((typed, context)) = pattern.typed.zip(context.as_ref()) else { continue };
            for hit in &mut found[first..] {
                hit.normalised = self.typed[typed].normalise(&text[hit.start..hit.end], context);
            }
        }
        if let Some(context) = context {
            let with_letters = self.typed.iter().any(TypedEntity::has_lookup);
            let prepared = Prepared::of(text, with_letters);
            for typed in &self.typed {
                let mut values = Vec::new();
                cut |= typed.find(&prepared, &context, &mut has_time, &mut values);
                found.extend(values.into_iter().map(|value| Match {
                    name: &typed.name,
                    start: value.range.start,
                    end: value.range.end,
                    matched: value.range.len(),
                    normalised: Some(value.normalised),
                }));
            }
        }
        Entities { found: disjoint(text, found), cut }
    }

    /// Returns the normalised form of `value`, a value of the entity `name`; `None` if it has none.
    pub(crate) fn normalise(&self, name: &str, value: &str, moment: &Moment<'_>) -> Option<Value> {
        let typed = self.typed.iter().find(|typed| typed.name == name)?;
        typed.normalise(value, &Context::of(moment, self.zone))
    }
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
                    normalised: None,
                });
            }
        }
        matches.next().is_some()
    }
}

/// Returns the matches that are kept when they overlap, as entities.
fn disjoint(text: &str, mut found: Vec<Match<'_>>) -> Vec<Entity> {
    found.sort_by_key(|f| {
        (f.start, Reverse(f.end), Reverse(f.matched), f.name, f.normalised.is_none())
    });

    let mut entities = Vec::new();
    // Code points are counted from the previous entity, so the time stays linear in the text.
    let (mut taken, mut chars) = (0, 0);
    for Match { name, start, end, normalised, .. } in found {
        if start < taken {
            continue;
        }
        let first = chars + text[taken..start].chars().count();
        let value = &text[start..end];
        chars = first + value.chars().count();
        taken = end;
        entities.push(Entity { normalised, ..Entity::new(name, value, first, chars) });
    }
    entities
}
