//! Compiled responses: a language is chosen, then a variant whose conditions hold.

use crate::{
    faults::{part, unknown},
    reference::{Known, Reference, Values, one_line},
    response_spec::{ButtonSpec, Condition, TextsSpec, VariantSpec},
    step::Button,
    template::Template,
};
use botops_findings::Result;
use botops_text::{base_language, fold};
use std::collections::{BTreeMap, BTreeSet};

/// The language that is tried after the requested and the default one.
pub(crate) const LAST_LANGUAGE: &str = "en";
/// The most variants of a response in one language.
const MAX_VARIANTS: usize = 64;
/// The most buttons of a variant.
const MAX_BUTTONS: usize = 10;
/// The longest text of a button, in code points.
const MAX_TITLE: usize = 80;

/// Language to variants; there is at least one in each language.
pub(crate) type Texts = BTreeMap<String, Vec<Variant>>;

/// One variant of a response.
#[derive(Debug)]
pub(crate) struct Variant {
    template: Template,
    when: Vec<(Reference, Condition)>,
    /// The conditions as written, such as `order_number=present`; empty without any.
    pub(crate) label: String,
    buttons: Vec<CompiledButton>,
}

#[derive(Debug)]
struct CompiledButton {
    title: Template,
    intent: String,
    slots: Vec<(String, Template)>,
}

/// Compiles the responses of `spec`; `key` is their key, and `intents` those that a button may name.
///
/// # Errors
/// `BOT-1030` for a template or a condition, `BOT-1113` for a button of an unknown intent or slot, `BOT-1112` for a
/// response without a variant, with too many variants or buttons, or that may have no variant to use.
pub(crate) fn compile(
    key: &str,
    spec: &TextsSpec,
    known: &Known<'_>,
    intents: &BTreeSet<&str>,
) -> Result<Texts> {
    spec.iter()
        .map(|(language, response)| {
            let key = format!("{key}.{language}");
            let specs = response.variants();
            if specs.is_empty() || specs.len() > MAX_VARIANTS {
                let message =
                    format!("`{key}` has {} variants: expected 1 to {MAX_VARIANTS}", specs.len());
                return Err(part(&key, message).hint("write a text, or a list of texts"));
            }
            let variants = specs
                .iter()
                .map(|spec| Variant::compile(&key, spec, known, intents))
                .collect::<Result<Vec<_>>>()?;
            if !is_exhaustive(&specs) {
                let message = format!("no variant of `{key}` may hold");
                return Err(
                    part(&key, message).hint("add a variant without `when:`, for all other cases")
                );
            }
            Ok((normal_language(language), variants))
        })
        .collect()
}

/// Returns whether one of `variants` holds in any case: one has no condition, or two differ by `present` and `absent`.
fn is_exhaustive(variants: &[VariantSpec]) -> bool {
    let only = |variant: &VariantSpec, condition: &Condition| {
        let (name, is) = variant.when.first_key_value()?;
        (variant.when.len() == 1 && is == condition).then(|| name.clone())
    };
    variants.iter().any(|variant| variant.when.is_empty())
        || variants.iter().filter_map(|variant| only(variant, &Condition::Present)).any(|name| {
            variants.iter().any(|other| only(other, &Condition::Absent).as_ref() == Some(&name))
        })
}

impl Variant {
    fn compile(
        key: &str,
        spec: &VariantSpec,
        known: &Known<'_>,
        intents: &BTreeSet<&str>,
    ) -> Result<Self> {
        if spec.buttons.len() > MAX_BUTTONS {
            return Err(part(key, format!("`{key}` has more than {MAX_BUTTONS} buttons"))
                .hint("offer the most frequent choices, and describe the others in the text"));
        }
        let when = spec
            .when
            .iter()
            .map(|(name, is)| Ok((Reference::compile(name, key, known)?, is.clone())))
            .collect::<Result<_>>()?;
        let label: Vec<String> =
            spec.when.iter().map(|(name, is)| format!("{name}={}", is.as_str())).collect();
        let buttons = spec
            .buttons
            .iter()
            .map(|button| CompiledButton::compile(key, button, known, intents))
            .collect::<Result<_>>()?;
        let template = Template::compile(&spec.text, key, known)?;
        Ok(Self { template, when, label: label.join(","), buttons })
    }

    /// Returns whether all conditions hold.
    fn holds(&self, values: &Values<'_>) -> bool {
        self.when.iter().all(|(name, condition)| match (name.value(values), condition) {
            (Some(_), Condition::Present) | (None, Condition::Absent) => true,
            (Some(value), Condition::Is(expected)) => fold(&value) == fold(expected),
            _ => false,
        })
    }

    /// Returns the text with `values` in place.
    pub(crate) fn fill(&self, values: &Values<'_>) -> String {
        self.template.fill(values)
    }

    /// Returns the buttons with `values` in place; slots without a value are left out of the payload.
    pub(crate) fn buttons(&self, values: &Values<'_>) -> Vec<Button> {
        self.buttons
            .iter()
            .map(|button| {
                let slots: BTreeMap<&str, String> = button
                    .slots
                    .iter()
                    .map(|(slot, template)| (slot.as_str(), template.fill(values)))
                    .filter(|(_, value)| !value.is_empty())
                    .collect();
                let mut payload = button.intent.clone();
                if !slots.is_empty() {
                    payload +=
                        &serde_json::to_string(&slots).expect("strings can be written as JSON");
                }
                Button { title: one_line(&button.title.fill(values), MAX_TITLE), payload }
            })
            .collect()
    }
}

impl CompiledButton {
    fn compile(
        key: &str,
        spec: &ButtonSpec,
        known: &Known<'_>,
        intents: &BTreeSet<&str>,
    ) -> Result<Self> {
        if !intents.contains(spec.payload.as_str()) {
            let key = format!("{key}.buttons");
            return Err(unknown(&key, "intent", &spec.payload, intents.iter().copied()));
        }
        let slots = spec
            .slots
            .iter()
            .map(|(slot, template)| {
                if !known.slots.contains_key(slot) {
                    let key = format!("{key}.buttons");
                    return Err(unknown(
                        &key,
                        "slot",
                        slot,
                        known.slots.keys().map(String::as_str),
                    ));
                }
                Ok((slot.clone(), Template::compile(template, key, known)?))
            })
            .collect::<Result<_>>()?;
        let title = Template::compile(&spec.title, key, known)?;
        Ok(Self { title, intent: spec.payload.clone(), slots })
    }
}

/// Returns the variant to use: of those whose conditions hold, those with the most conditions, and of these the one that
/// `pick` chooses.
pub(crate) fn choose<'a>(
    variants: &'a [Variant],
    values: &Values<'_>,
    pick: u64,
) -> Option<&'a Variant> {
    if let [only] = variants
        && only.when.is_empty()
    {
        return Some(only);
    }
    let holding: Vec<&Variant> = variants.iter().filter(|variant| variant.holds(values)).collect();
    let most = holding.iter().map(|variant| variant.when.len()).max()?;
    let best: Vec<&Variant> =
        holding.into_iter().filter(|variant| variant.when.len() == most).collect();
    let n = u64::try_from(best.len()).ok()?;
    best.get(usize::try_from(pick % n).ok()?).copied()
}

/// Returns the entry of `texts` in the language `requested`, else in its base (`fr` of `fr-CA`), else in a variant of its
/// base, else in the default language in the same order, else in English, else in the first language.
pub(crate) fn in_language<'a, T>(
    texts: &'a BTreeMap<String, T>,
    requested: Option<&str>,
    default: Option<&str>,
) -> Option<(&'a str, &'a T)> {
    let requested = requested.map(normal_language);
    [requested.as_deref(), default, Some(LAST_LANGUAGE)]
        .into_iter()
        .flatten()
        .find_map(|language| nearest_variant(texts, language))
        .or_else(|| texts.first_key_value())
        .map(|(language, entry)| (language.as_str(), entry))
}

/// Returns the entry in `language`, else in its base, else in the first variant of its base.
fn nearest_variant<'a, T>(
    texts: &'a BTreeMap<String, T>,
    language: &str,
) -> Option<(&'a String, &'a T)> {
    let base = base_language(language);
    texts
        .get_key_value(language)
        .or_else(|| texts.get_key_value(base))
        .or_else(|| texts.iter().find(|(variant, _)| base_language(variant) == base))
}

/// Returns a language in its normal form: `fr-ca` for `fr_CA`.
pub(crate) fn normal_language(language: &str) -> String {
    language.trim().to_lowercase().replace('_', "-")
}
