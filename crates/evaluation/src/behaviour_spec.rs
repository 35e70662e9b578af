//! Behavioural tests as written in YAML: what a model must be able to do, whatever its accuracy.

use botops_findings::{Fault, Place, Result};
use botops_spec::Spec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The most utterances of a file, so that its variants are classified in seconds.
const MOST_UTTERANCES: usize = 20_000;
/// The most variants of each kind for an utterance.
const MOST_VARIANTS: u32 = 20;
/// The most characters of an utterance, as a server accepts them.
const MOST_CHARS: usize = 5_000;

/// Behavioural tests of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviourSpec {
    /// The version of the format: 1.
    pub version: u32,
    /// The seed of the generated variants.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Minimum functionality: utterances with their intents.
    #[serde(default)]
    pub minimum: Vec<MinimumGroup>,
    /// Invariance: variants of the utterances of `minimum` that must get the same answer.
    #[serde(default)]
    pub invariance: InvarianceSpec,
    /// Direction: changes of an utterance that must raise or lower the probability of an intent.
    #[serde(default)]
    pub direction: Vec<DirectionGroup>,
}

/// Utterances of one intent that test one capability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinimumGroup {
    /// The name of the capability, such as `a lost parcel`.
    pub capability: String,
    /// The intent of each utterance; `oos` if the model must decline them.
    pub intent: String,
    /// The language, which decides the words of politeness; default: guessed from each utterance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Utterances that a model must get right to pass the gate `behaviour: {must_pass: true}`.
    #[serde(default)]
    pub must_pass: Vec<String>,
    /// Other utterances.
    #[serde(default)]
    pub utterances: Vec<String>,
}

/// The generated variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InvarianceSpec {
    /// The kinds of variants; default: all.
    pub kinds: BTreeSet<VariantKind>,
    /// The number of variants of each kind for an utterance, from 1 to 20. Those that are equal are left out.
    pub per_utterance: u32,
    /// Words of politeness by language, with `{}` for the utterance, such as `{de: ["Guten Tag, {}"]}`. English and French
    /// have some; a language that is named here has these instead.
    pub phrases: BTreeMap<String, Vec<String>>,
}

/// A kind of variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariantKind {
    /// One letter of a word swapped, left out, doubled, or replaced by its neighbour on the keyboard.
    Typos,
    /// Upper case, lower case, or each word with a capital.
    Case,
    /// Without accents.
    Accents,
    /// With words of politeness.
    Politeness,
    /// With other order numbers of the same form.
    OrderNumbers,
}

/// Changes that move the probability of one intent in one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectionGroup {
    /// The name of the capability, such as `an angry tone`.
    pub capability: String,
    /// The intent whose probability moves.
    pub intent: String,
    /// The direction.
    pub expect: Direction,
    /// The least change of the probability, from 0 up to, but not including, 1.
    #[serde(default)]
    pub by: f64,
    /// The pairs of utterances.
    pub pairs: Vec<DirectionPair>,
}

/// The direction in which a probability must move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It rises.
    Rises,
    /// It falls.
    Falls,
}

/// An utterance before and after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectionPair {
    /// The utterance before.
    pub from: String,
    /// The utterance after.
    pub to: String,
}

fn default_seed() -> u64 {
    17
}

impl Default for InvarianceSpec {
    fn default() -> Self {
        Self {
            kinds: VariantKind::ALL.into_iter().collect(),
            per_utterance: 1,
            phrases: BTreeMap::new(),
        }
    }
}

impl VariantKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 5] =
        [Self::Typos, Self::Case, Self::Accents, Self::Politeness, Self::OrderNumbers];

    /// Returns the name of the kind, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Typos => "typos",
            Self::Case => "case",
            Self::Accents => "accents",
            Self::Politeness => "politeness",
            Self::OrderNumbers => "order numbers",
        }
    }
}

impl Direction {
    /// Returns the word, such as `rises`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rises => "rises",
            Self::Falls => "falls",
        }
    }
}

impl MinimumGroup {
    /// Returns each utterance, and whether it must pass.
    pub fn each(&self) -> impl Iterator<Item = (&str, bool)> {
        let must = self.must_pass.iter().map(|text| (text.as_str(), true));
        must.chain(self.utterances.iter().map(|text| (text.as_str(), false)))
    }
}

impl BehaviourSpec {
    /// Reads the tests at `path`. They are not checked: see [`Spec::check`].
    ///
    /// # Errors
    /// Those of [`botops_spec::read_versioned`].
    pub fn read(path: &Path) -> Result<Self> {
        botops_spec::read_versioned(path, 1)
    }
}

fn fault(key: String, message: String) -> Fault {
    Fault::usage("BOT-7080", message).at(Place { key: Some(key), ..Place::default() })
}

/// Checks one utterance.
fn check_text(key: String, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(
            fault(key, "an utterance is empty".to_owned()).hint("write a text, or remove it")
        );
    }
    match text.chars().count() {
        n if n > MOST_CHARS => Err(fault(
            key,
            format!("an utterance has {n} characters: expected at most {MOST_CHARS}"),
        )),
        _ => Ok(()),
    }
}

/// Checks the names of a group.
fn check_names(key: &str, capability: &str, intent: &str) -> Result<()> {
    for (name, value) in [("capability", capability), ("intent", intent)] {
        if value.trim().is_empty() {
            return Err(fault(format!("{key}.{name}"), format!("`{name}` is empty"))
                .hint("name the capability, and the intent that its utterances have"));
        }
    }
    Ok(())
}

impl Spec for BehaviourSpec {
    /// Checks the tests, so that a mistake is found before a model is read.
    ///
    /// # Errors
    /// `BOT-7080` (exit 2), with the key: no test, an empty text or name, a text that is listed twice, a setting out of range.
    fn check_ranges(&self) -> Result<()> {
        let n: usize = self.minimum.iter().map(|group| group.each().count()).sum();
        let n_pairs: usize = self.direction.iter().map(|group| group.pairs.len()).sum();
        if n + n_pairs == 0 {
            return Err(fault("minimum".to_owned(), "there is no behavioural test".to_owned()).hint(
                "write one: `minimum: [{capability: a lost parcel, intent: order_status, utterances: [where is my parcel]}]`",
            ));
        }
        if n + 2 * n_pairs > MOST_UTTERANCES {
            let found = n + 2 * n_pairs;
            let message = format!("{found} utterances: expected at most {MOST_UTTERANCES}");
            return Err(fault("minimum".to_owned(), message));
        }
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (i, group) in self.minimum.iter().enumerate() {
            let key = format!("minimum[{i}]");
            check_names(&key, &group.capability, &group.intent)?;
            if group.each().next().is_none() {
                let message = format!("the capability `{}` has no utterance", group.capability);
                return Err(
                    fault(key, message).hint("add some under `utterances:` or `must_pass:`")
                );
            }
            for (text, _) in group.each() {
                check_text(key.clone(), text)?;
                if let Some(other) = seen.insert(text, &group.capability) {
                    let shown = botops_text::utterance(text, 60);
                    let message = format!("`{shown}` is listed twice, first under `{other}`");
                    return Err(fault(key, message).hint("remove one of them"));
                }
            }
        }
        self.invariance.check()?;
        for (i, group) in self.direction.iter().enumerate() {
            let key = format!("direction[{i}]");
            check_names(&key, &group.capability, &group.intent)?;
            if group.intent == botops_labels::OOS {
                let message = "`oos` is no intent, so that it has no probability".to_owned();
                return Err(fault(format!("{key}.intent"), message)
                    .hint("name an intent whose probability falls"));
            }
            if !(0.0..1.0).contains(&group.by) {
                let message = format!("`by` is {}: expected a number from 0 to below 1", group.by);
                return Err(fault(format!("{key}.by"), message));
            }
            if group.pairs.is_empty() {
                let message = format!("the capability `{}` has no pair", group.capability);
                return Err(fault(format!("{key}.pairs"), message)
                    .hint("add one: `{from: where is it, to: where is it, this is a shame}`"));
            }
            for pair in &group.pairs {
                check_text(format!("{key}.pairs"), &pair.from)?;
                check_text(format!("{key}.pairs"), &pair.to)?;
                if pair.from == pair.to {
                    let shown = botops_text::utterance(&pair.from, 60);
                    let message = format!("`{shown}` is changed into itself");
                    return Err(fault(format!("{key}.pairs"), message));
                }
            }
        }
        Ok(())
    }
}

impl InvarianceSpec {
    fn check(&self) -> Result<()> {
        if !(1..=MOST_VARIANTS).contains(&self.per_utterance) {
            let found = self.per_utterance;
            let message = format!("`per_utterance` is {found}: expected 1 to {MOST_VARIANTS}");
            return Err(fault("invariance.per_utterance".to_owned(), message));
        }
        for (lang, phrases) in &self.phrases {
            let key = format!("invariance.phrases.{lang}");
            if let Some(phrase) = phrases.iter().find(|phrase| phrase.matches("{}").count() != 1) {
                let message = format!("`{phrase}` must have one `{{}}`, for the utterance");
                return Err(fault(key, message).hint("write it as `\"Hello, {}\"`"));
            }
            if phrases.is_empty() {
                return Err(fault(key, format!("`{lang}` has no phrase")));
            }
        }
        Ok(())
    }
}
