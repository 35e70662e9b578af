//! Entities with a type or a list of names: their checks, the search for them, and their normalised values.
//!
//! A text is split into tokens once. Each parser then tries every token as the first one of a value and reads a limited
//! number of tokens from there, so that all searches take time linear in the text.

mod addresses;
mod amounts;
mod calendar_words;
mod context;
mod date_hit;
mod dates;
mod datetimes;
mod lookup;
mod numerals;
mod phones;
mod quantities;
mod relative_dates;
mod times;
mod tokens;

pub(crate) use context::Context;

use crate::entity_spec::{EntityRule, EntityType};
use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use chrono_tz::Tz;
use context::in_range;
use date_hit::{DateHit, Grain};
use dates::DateRules;
use lookup::{LONGEST_NAME, Letters, Lookup, MOST_EDITS, MOST_NAMES};
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::Range};
use tokens::Tokens;

/// The most values of one entity in an utterance.
const MAX_VALUES: usize = 64;
/// The number of tokens between two questions whether there is time.
const TOKENS_PER_QUESTION: usize = 64;

/// A checked entity with a type, a list of names, or both.
#[derive(Debug)]
pub(crate) struct TypedEntity {
    pub(crate) name: String,
    kind: Option<EntityType>,
    region: Option<String>,
    dates: DateRules,
    lookup: Option<Lookup>,
}

/// A value in a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// Its bytes.
    pub(crate) range: Range<usize>,
    pub(crate) normalised: Value,
}

/// A text prepared for all entities.
pub(crate) struct Prepared<'a> {
    tokens: Tokens<'a>,
    letters: Option<Letters>,
}

impl<'a> Prepared<'a> {
    /// Splits `text`; letters are needed only for lists of names.
    pub(crate) fn of(text: &'a str, with_letters: bool) -> Self {
        Self { tokens: Tokens::of(text), letters: with_letters.then(|| Letters::of(text)) }
    }
}

/// Returns a fault of the entity `name`.
fn fault(name: &str, key: &str, message: String) -> Fault {
    let dot = if key.is_empty() { "" } else { "." };
    let key = format!("entities.{name}{dot}{key}");
    Fault::usage("BOT-1100", message).at(Place { key: Some(key), ..Place::default() })
}

/// Returns the time zone of `name`; UTC without one.
///
/// # Errors
/// `BOT-1101`.
pub(crate) fn zone_of(name: Option<&str>) -> Result<Tz> {
    let Some(name) = name else { return Ok(Tz::UTC) };
    name.parse().map_err(|_| {
        let place = Place { key: Some("timezone".to_owned()), ..Place::default() };
        let shown = botops_text::display(name, 60);
        let fault = Fault::usage("BOT-1101", format!("`{shown}` is no time zone")).at(place);
        match nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint("write a name of the IANA database, such as `Europe/Paris`"),
        }
    })
}

impl TypedEntity {
    /// Checks `rule`, the entity `name`; `None` if only the learned tagger finds it. `n_names` counts the names of all lists.
    ///
    /// # Errors
    /// `BOT-1100` with the key of the mistake.
    pub(crate) fn compile(
        name: &str,
        rule: &EntityRule,
        n_names: &mut usize,
    ) -> Result<Option<Self>> {
        check(name, rule)?;
        if rule.kind.is_none() && rule.lookup.is_none() {
            return Ok(None);
        }
        let lookup = match &rule.lookup {
            Some(names) => Some(compile_lookup(name, names, rule.distance, n_names)?),
            None => None,
        };
        Ok(Some(Self {
            name: name.to_owned(),
            kind: rule.kind,
            region: rule.region.as_deref().map(str::to_ascii_uppercase),
            dates: DateRules {
                order: rule.date_order,
                prefer: rule.prefer.unwrap_or_default(),
                absolute: rule.relative == Some(false),
            },
            lookup,
        }))
    }

    /// Returns whether it has a list of names.
    pub(crate) fn has_lookup(&self) -> bool {
        self.lookup.is_some()
    }

    /// Adds the values in `text` to `found`. Returns whether it stopped before the end of the text.
    pub(crate) fn find(
        &self,
        text: &Prepared<'_>,
        c: &Context,
        has_time: &mut impl FnMut() -> bool,
        found: &mut Vec<Found>,
    ) -> bool {
        let mut cut = false;
        if let (Some(lookup), Some(letters)) = (&self.lookup, &text.letters) {
            cut |= find_names(lookup, letters, has_time, found);
        }
        if self.kind.is_some_and(|kind| kind != EntityType::OrderNumber) {
            cut |= self.find_typed(&text.tokens, c, has_time, found);
        }
        cut
    }

    fn find_typed(
        &self,
        tokens: &Tokens<'_>,
        c: &Context,
        has_time: &mut impl FnMut() -> bool,
        found: &mut Vec<Found>,
    ) -> bool {
        let regions = phones::regions(c, self.region.as_deref());
        let (mut at, mut steps, mut n, mut taken) = (0, 0, 0, 0);
        while at < tokens.len() {
            if steps % TOKENS_PER_QUESTION == 0 && !has_time() {
                return true;
            }
            steps += 1;
            let hit =
                self.value_at(tokens, at, c, &regions).filter(|(hit, _)| hit.range.start >= taken);
            let Some((hit, next)) = hit else {
                at += 1;
                continue;
            };
            if n == MAX_VALUES {
                return true;
            }
            n += 1;
            taken = hit.range.end;
            at = next.max(at + 1);
            found.push(hit);
        }
        false
    }

    /// Returns the value that starts at the token `at` (whose `@` it is, for an e-mail address), and the token after it.
    fn value_at(
        &self,
        t: &Tokens<'_>,
        at: usize,
        c: &Context,
        regions: &[&phones::Region],
    ) -> Option<(Found, usize)> {
        let of = |start: usize, end: usize, normalised: Value| {
            Some((Found { range: t.bytes(start..end), normalised }, end))
        };
        match self.kind? {
            EntityType::Date => {
                let hit = dates::date_at(t, at, c, self.dates)?;
                of(hit.start, hit.end, date_value(&hit)?)
            }
            EntityType::Time => {
                let hit = times::time_at(t, at, c)?;
                of(at, hit.end, json!({"time": time_text(hit.time)}))
            }
            EntityType::Datetime => {
                let hit = datetimes::moment_at(t, at, c, self.dates)?;
                of(
                    hit.start,
                    hit.end,
                    json!({"datetime": hit.moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, false)}),
                )
            }
            EntityType::Amount => {
                let hit = amounts::amount_at(t, at, c, self.region.as_deref())?;
                of(at, hit.end, json!({"amount": hit.amount, "currency": hit.currency}))
            }
            EntityType::Phone => {
                let hit = phones::phone_at(t, at, regions)?;
                of(at, hit.end, Value::String(hit.number))
            }
            EntityType::Quantity => {
                let hit = quantities::quantity_at(t, at, c)?;
                let quantity = number(hit.quantity);
                let value = match hit.unit {
                    Some(unit) => json!({"quantity": quantity, "unit": unit}),
                    None => json!({"quantity": quantity}),
                };
                of(at, hit.end, value)
            }
            EntityType::Email => {
                let hit = addresses::email_at(t, at)?;
                Some((Found { range: hit.range, normalised: Value::String(hit.address) }, at + 1))
            }
            EntityType::Url => {
                let hit = addresses::url_at(t, at)?;
                let end = hit.range.end;
                let next = (at + 1..t.len()).find(|i| t.bytes(*i..*i + 1).start >= end);
                let found = Found { range: hit.range, normalised: Value::String(hit.address) };
                Some((found, next.unwrap_or(t.len())))
            }
            EntityType::OrderNumber => None,
        }
    }

    /// Returns the normalised form of `value`, which something else found in a text; `None` if it has none.
    pub(crate) fn normalise(&self, value: &str, c: &Context) -> Option<Value> {
        let value = value.trim();
        if self.kind == Some(EntityType::OrderNumber) {
            let visible = value.chars().filter(|c| !c.is_whitespace() && !c.is_control());
            return Some(Value::String(visible.flat_map(char::to_uppercase).collect()));
        }
        let text = Prepared::of(value, self.has_lookup());
        let mut found = Vec::new();
        self.find(&text, c, &mut || true, &mut found);
        found.into_iter().find(|hit| hit.range == (0..value.len())).map(|hit| hit.normalised)
    }
}

/// Refuses a rule whose parts do not fit.
fn check(name: &str, rule: &EntityRule) -> Result<()> {
    if rule.kind.is_none() && rule.lookup.is_none() && !rule.learned {
        return Err(fault(name, "", format!("nothing finds `{name}`"))
            .hint("write `type: date`, `lookup: {Paris: [paname]}` or `learned: true`, or a regular expression"));
    }
    if rule.kind == Some(EntityType::OrderNumber) && rule.pattern.is_none() {
        return Err(fault(
            name,
            "pattern",
            format!("`{name}` needs a pattern: every shop has its own order numbers"),
        )
        .hint("write one, such as `pattern: '#\\d{4,10}\\b'`"));
    }
    let misplaced = [
        (
            "pattern",
            rule.pattern.is_some() && rule.kind.is_none(),
            "without `type`: write the pattern alone, as a string",
        ),
        ("distance", rule.distance.is_some() && rule.lookup.is_none(), "without `lookup`"),
        (
            "region",
            rule.region.is_some()
                && !matches!(rule.kind, Some(EntityType::Phone | EntityType::Amount)),
            "without `type: phone` or `type: amount`",
        ),
        (
            "date_order",
            rule.date_order.is_some()
                && !matches!(rule.kind, Some(EntityType::Date | EntityType::Datetime)),
            "without `type: date` or `type: datetime`",
        ),
        (
            "relative",
            rule.relative.is_some() && rule.kind != Some(EntityType::Date),
            "without `type: date`",
        ),
        (
            "prefer",
            rule.prefer.is_some()
                && !matches!(rule.kind, Some(EntityType::Date | EntityType::Datetime)),
            "without `type: date` or `type: datetime`",
        ),
    ];
    if let Some((key, _, reason)) = misplaced.iter().find(|(_, misplaced, _)| *misplaced) {
        return Err(fault(name, key, format!("`{key}` of `{name}` has no effect {reason}"))
            .hint(format!("remove `{key}`, or add the part that it belongs to")));
    }
    if let Some(distance) = rule.distance.filter(|distance| *distance > MOST_EDITS) {
        return Err(fault(
            name,
            "distance",
            format!("a distance of {distance} is more than {MOST_EDITS}"),
        )
        .hint("with more errors, words are found that mean something else"));
    }
    check_region(name, rule)
}

fn check_region(name: &str, rule: &EntityRule) -> Result<()> {
    let Some(region) = &rule.region else { return Ok(()) };
    let is_country = region.len() == 2 && region.bytes().all(|b| b.is_ascii_alphabetic());
    let is_known =
        rule.kind != Some(EntityType::Phone) || phones::regions_of(region).next().is_some();
    if is_country && is_known {
        return Ok(());
    }
    let mut known: Vec<&str> = phones::REGIONS.iter().map(|region| region.code).collect();
    known.dedup();
    let shown = botops_text::display(region, 20);
    Err(fault(name, "region", format!("`{shown}` is no country that `{name}` can use"))
        .hint(format!(
            "national telephone numbers of these countries are read: {}",
            known.join(", ")
        ))
        .hint("numbers with `+` and a country code are read for every country"))
}

fn compile_lookup(
    name: &str,
    names: &BTreeMap<String, Vec<String>>,
    distance: Option<u8>,
    n_names: &mut usize,
) -> Result<Lookup> {
    if names.is_empty() {
        return Err(fault(name, "lookup", format!("the list of `{name}` is empty"))
            .hint("write at least one name, such as `lookup: {Paris: [paname]}`"));
    }
    let mut forms: BTreeMap<String, Vec<Vec<char>>> = BTreeMap::new();
    let mut owners: BTreeMap<Vec<char>, &str> = BTreeMap::new();
    for (canonical, synonyms) in names {
        for form in std::iter::once(canonical).chain(synonyms) {
            let letters = lookup::letters_of(form);
            let shown = botops_text::display(form, 60);
            if letters.is_empty() {
                return Err(fault(
                    name,
                    "lookup",
                    format!("the name `{shown}` has no letter or digit"),
                )
                .hint("remove it"));
            }
            if letters.len() > LONGEST_NAME {
                let message = format!("the name `{shown}` has more than {LONGEST_NAME} characters");
                return Err(
                    fault(name, "lookup", message).hint("shorten it, or find it by a pattern")
                );
            }
            let owner = *owners.entry(letters.clone()).or_insert(canonical);
            if owner != canonical {
                let message = format!(
                    "`{shown}` stands for both `{}` and `{}`",
                    botops_text::display(owner, 60),
                    botops_text::display(canonical, 60)
                );
                return Err(fault(name, "lookup", message)
                    .hint("case and accents are not compared: keep it in one of the two"));
            }
            *n_names += 1;
            forms.entry(canonical.clone()).or_default().push(letters);
        }
    }
    if *n_names > MOST_NAMES {
        return Err(fault(name, "lookup", format!("the lists have more than {MOST_NAMES} names"))
            .hint("keep the names that people write; the learned tagger can find the others"));
    }
    Ok(Lookup::of(&forms, distance.unwrap_or(0)))
}

/// Adds the names in a text to `found`. Returns whether it stopped before the end of the text, or left names out.
fn find_names(
    lookup: &Lookup,
    letters: &Letters,
    has_time: &mut impl FnMut() -> bool,
    found: &mut Vec<Found>,
) -> bool {
    let (mut at, mut words, mut n, mut cut) = (0, 0, 0, false);
    while at < letters.len() {
        if !letters.starts_word(at) {
            at += 1;
            continue;
        }
        if words % TOKENS_PER_QUESTION == 0 && !has_time() {
            return true;
        }
        words += 1;
        let (hit, was_cut) = lookup.name_at(letters, at);
        cut |= was_cut;
        let Some(hit) = hit else {
            at += 1;
            continue;
        };
        if n == MAX_VALUES {
            return true;
        }
        n += 1;
        let normalised = Value::String(hit.canonical.to_owned());
        found.push(Found { range: letters.bytes(at, hit.end), normalised });
        at = hit.end;
    }
    cut
}

fn date_value(hit: &DateHit) -> Option<Value> {
    let date = in_range(hit.date)?.format("%Y-%m-%d").to_string();
    Some(match hit.grain {
        Grain::Day => json!({"date": date}),
        Grain::Week => json!({"date": date, "grain": "week"}),
        Grain::Month => json!({"date": date, "grain": "month"}),
        Grain::Year => json!({"date": date, "grain": "year"}),
    })
}

fn time_text(time: chrono::NaiveTime) -> String {
    let has_seconds = chrono::Timelike::second(&time) > 0;
    time.format(if has_seconds { "%H:%M:%S" } else { "%H:%M" }).to_string()
}

/// Returns a whole number without its decimal point.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests;
