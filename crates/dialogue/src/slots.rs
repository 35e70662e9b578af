//! Compiled slots: they take values from entities, buttons and messages, and forget them in time.

use crate::{
    entities::Entity,
    entity_spec::EntitySpec,
    faults::{part, unknown},
    reference::{Known, one_line},
    slot_spec::{SlotSpec, SourceSpec},
    state::{MAX_SLOTS, MAX_VALUE, SlotValue},
    texts::{Texts, compile},
};
use botops_findings::Result;
use chrono::{DateTime, TimeDelta, Utc};
use regex::{Regex, RegexBuilder};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The questions for a slot in a row, by default.
const TRIES: u32 = 3;
/// The most questions for a slot in a row.
const MOST_TRIES: u32 = 10;
/// The longest expiry.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// The largest compiled pattern, in bytes.
const PATTERN_BYTES: usize = 256 << 10;
/// The most matches of a pattern that are looked at in a message.
const MAX_MATCHES: usize = 64;

/// A slot.
#[derive(Debug)]
pub(crate) struct Slot {
    from: Vec<SourceSpec>,
    /// Whether a whole message is the value when it was asked for.
    pub(crate) text: bool,
    pattern: Option<Form>,
    expires: Option<TimeDelta>,
    pub(crate) ask: Texts,
    pub(crate) invalid: Texts,
    pub(crate) tries: u32,
    pub(crate) give_up: Texts,
    pub(crate) handoff: bool,
}

/// A pattern of values.
#[derive(Debug)]
struct Form {
    whole: Regex,
    inside: Regex,
}

/// Compiles the slots of `spec`.
///
/// # Errors
/// `BOT-1112` for a value that cannot be used, `BOT-1113` for an unknown entity, `BOT-1030` for a template.
pub(crate) fn slots(
    spec: &BTreeMap<String, SlotSpec>,
    known: &Known<'_>,
    intents: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Slot>> {
    if spec.len() > MAX_SLOTS {
        let message = format!("{} slots are more than {MAX_SLOTS}", spec.len());
        return Err(
            part("slots", message).hint("a slot is remembered for every conversation: remove some")
        );
    }
    spec.iter()
        .map(|(name, slot)| Ok((name.clone(), Slot::compile(name, slot, known, intents)?)))
        .collect()
}

impl Slot {
    fn compile(
        name: &str,
        spec: &SlotSpec,
        known: &Known<'_>,
        intents: &BTreeSet<&str>,
    ) -> Result<Self> {
        let key = format!("slots.{name}");
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name == "action" || !name.chars().all(is_name) {
            return Err(part(
                &key,
                format!("`{}` cannot be a slot name", botops_text::display(name, 40)),
            )
            .hint(
                "use letters, digits, `_` and `-`, such as `order_number`; `action` is reserved",
            ));
        }
        let from = sources(name, &key, spec, known.entities)?;
        let expires = spec
            .expires
            .as_deref()
            .map(|text| duration(&format!("{key}.expires"), text, LONGEST))
            .transpose()?
            .map(|expires| TimeDelta::from_std(expires).unwrap_or(TimeDelta::MAX));
        let pattern = spec
            .pattern
            .as_deref()
            .map(|p| Form::compile(&format!("{key}.pattern"), p))
            .transpose()?;
        let tries = spec.tries.unwrap_or(TRIES);
        if !(1..=MOST_TRIES).contains(&tries) {
            let message = format!("`{key}.tries` is {tries}: expected 1 to {MOST_TRIES}");
            return Err(
                part(&format!("{key}.tries"), message).hint("people leave after a few questions")
            );
        }
        let texts = |part: &str, texts| compile(&format!("{key}.{part}"), texts, known, intents);
        Ok(Self {
            from,
            text: spec.text,
            pattern,
            expires,
            ask: texts("ask", &spec.ask)?,
            invalid: texts("invalid", &spec.invalid)?,
            tries,
            give_up: texts("give_up", &spec.give_up)?,
            handoff: spec.handoff,
        })
    }

    /// Returns whether a value that was said at `at` is forgotten at `now`.
    pub(crate) fn is_expired(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|expires| now.signed_duration_since(at) >= expires)
    }

    /// Returns the value that `entities` give it: of the first source with an entity, the first that fits. `Err` if there are
    /// such entities, and none fits.
    pub(crate) fn taken(
        &self,
        entities: &[Entity],
        now: DateTime<Utc>,
    ) -> Option<Result<SlotValue, ()>> {
        let mut found = false;
        for source in &self.from {
            let matching = entities.iter().filter(|entity| {
                entity.entity == source.entity
                    && (source.role.is_none() || source.role == entity.role)
            });
            for entity in matching {
                found = true;
                if let Some(value) = self.fitting(&entity.value) {
                    let normalised = entity.normalised.clone().filter(is_small);
                    return Some(Ok(SlotValue { value, normalised, at: now }));
                }
            }
        }
        found.then_some(Err(()))
    }

    /// Returns whether an entity without role may fill both slots.
    pub(crate) fn shares_a_source(&self, other: &Self) -> bool {
        self.from.iter().any(|source| {
            other.from.iter().any(|same| same.entity == source.entity && same.role.is_none())
        })
    }

    /// Returns `text` as a value of the slot; `None` if it is empty, too long, or does not match the pattern.
    pub(crate) fn fitting(&self, text: &str) -> Option<String> {
        if text.len() > 16 * MAX_VALUE {
            return None;
        }
        let value = one_line(text, MAX_VALUE + 1);
        let fits = !value.is_empty()
            && value.chars().count() <= MAX_VALUE
            && self.pattern.as_ref().is_none_or(|pattern| pattern.whole.is_match(&value));
        fits.then_some(value)
    }

    /// Returns the value in the answer `text` to the question for the slot: the whole text, or the first match of the pattern
    /// that is no part of a longer word. `Err` if a whole text does not fit.
    pub(crate) fn answered(&self, text: &str) -> Option<Result<String, ()>> {
        if self.text {
            return (!text.trim().is_empty()).then(|| self.fitting(text).ok_or(()));
        }
        let pattern = self.pattern.as_ref()?;
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        pattern
            .inside
            .find_iter(text)
            .take(MAX_MATCHES)
            .filter(|found| {
                !is_word(text[..found.start()].chars().next_back())
                    && !is_word(text[found.end()..].chars().next())
            })
            .find_map(|found| self.fitting(found.as_str()))
            .map(Ok)
    }
}

/// Returns the entities that fill the slot `name`.
fn sources(
    name: &str,
    key: &str,
    spec: &SlotSpec,
    entities: &BTreeMap<String, EntitySpec>,
) -> Result<Vec<SourceSpec>> {
    for source in &spec.from {
        if !entities.contains_key(&source.entity) {
            let key = format!("{key}.from");
            return Err(unknown(
                &key,
                "entity",
                &source.entity,
                entities.keys().map(String::as_str),
            ));
        }
    }
    if !spec.from.is_empty() {
        return Ok(spec.from.clone());
    }
    if entities.contains_key(name) {
        return Ok(vec![name.into()]);
    }
    if spec.text || spec.pattern.is_some() {
        return Ok(Vec::new());
    }
    Err(part(key, format!("nothing fills the slot `{name}`")).hint(
        "name entities under `from:`, or write `text: true` or a `pattern:` for answers to its question",
    ))
}

/// Returns whether a normal form is short enough to be remembered.
fn is_small(value: &serde_json::Value) -> bool {
    value.to_string().len() <= 4 * MAX_VALUE
}

impl Form {
    fn compile(key: &str, pattern: &str) -> Result<Self> {
        let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
        let faulty = |error: regex::Error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            part(key, format!("the pattern cannot be used: {reason}"))
                .hint("look-around and back-references are not supported")
        };
        let inside = build(pattern).map_err(faulty)?;
        if inside.is_match("") {
            return Err(part(key, "the pattern matches an empty value")
                .hint("require at least one character: `+` instead of `*`"));
        }
        let whole = build(&format!("^(?:{pattern})$")).map_err(faulty)?;
        Ok(Self { whole, inside })
    }
}

/// Reads a duration above zero and up to `longest`.
///
/// # Errors
/// `BOT-1112`.
pub(crate) fn duration(key: &str, text: &str, longest: Duration) -> Result<Duration> {
    let shown = botops_text::display(text, 40);
    let invalid = |reason: String| {
        part(key, format!("`{shown}` is not a duration for `{key}`: {reason}"))
            .hint("write a duration such as `90s`, `30m` or `12h`")
    };
    let duration =
        humantime::parse_duration(text.trim()).map_err(|error| invalid(error.to_string()))?;
    if duration.is_zero() {
        return Err(invalid("it is zero".to_owned()));
    }
    if duration > longest {
        return Err(invalid(format!("it is longer than {}", humantime::format_duration(longest))));
    }
    Ok(duration)
}
