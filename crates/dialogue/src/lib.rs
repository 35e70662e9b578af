//! What a bot does once the intent is known: entities by pattern, a response by template.
//!
//! In: a [`DialogueSpec`] as written, then utterances. Out: the entities in them, and what to say.
//! Pure, and safe on any text: the patterns run in time linear in it.

mod entities;
mod template;

use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use entities::Pattern;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use template::Template;

/// What is said when nothing else is declared.
const BUILT_IN_FALLBACK: &str = "Sorry, I did not understand. Could you say it in other words?";
/// The language of [`BUILT_IN_FALLBACK`].
const BUILT_IN_LANGUAGE: &str = "en";

/// Entities and responses, as written in YAML (`dialogue:` of a train stage, or a file) and kept in the model file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialogueSpec {
    /// Entity name to regular expression; group 1, if any, is the value.
    pub entities: BTreeMap<String, String>,
    /// Intent to language to template; `{order_number}` is replaced by an entity's value.
    /// Where a placeholder has no value, the alternative after `|` is used: `{order_number|your order}`;
    /// without an alternative nothing is, and the space before it goes too. `{{` and `}}` are braces.
    pub responses: BTreeMap<String, BTreeMap<String, String>>,
    /// Language to what is said when the bot did not understand.
    pub fallback: BTreeMap<String, String>,
    /// The language when the user's is not known.
    pub default_language: Option<String>,
}

/// An entity found in an utterance; offsets in code points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Its name.
    pub entity: String,
    /// Its text.
    pub value: String,
    /// First code point.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

/// A checked, compiled [`DialogueSpec`].
///
/// - every pattern compiled within its size limit
/// - every placeholder of every template names an entity
#[derive(Debug)]
pub struct Dialogue {
    patterns: Vec<Pattern>,
    responses: BTreeMap<String, BTreeMap<String, Template>>,
    fallback: BTreeMap<String, Template>,
    default_language: Option<String>,
}

impl Dialogue {
    /// Compiles `spec`.
    ///
    /// # Errors
    /// `BOT-1030` (exit 2) for a pattern that does not compile or is too large, a template with an unknown placeholder
    /// or a brace never closed, and a default language that nothing is written in; the key is named.
    pub fn compile(spec: &DialogueSpec) -> Result<Self> {
        let patterns = spec
            .entities
            .iter()
            .map(|(name, pattern)| Pattern::compile(name, pattern))
            .collect::<Result<_>>()?;
        let templates = |key: &str, written: &BTreeMap<String, String>| {
            written
                .iter()
                .map(|(language, text)| {
                    let key = format!("{key}.{language}");
                    Ok((plain_language(language), Template::compile(text, &key, &spec.entities)?))
                })
                .collect::<Result<BTreeMap<_, _>>>()
        };
        let responses: BTreeMap<String, BTreeMap<String, Template>> = spec
            .responses
            .iter()
            .map(|(intent, written)| {
                Ok((intent.clone(), templates(&format!("responses.{intent}"), written)?))
            })
            .collect::<Result<_>>()?;
        let fallback = templates("fallback", &spec.fallback)?;
        let default_language = spec.default_language.as_deref().map(plain_language);
        if let Some(language) = &default_language {
            let mut known: Vec<&str> = fallback
                .keys()
                .chain(responses.values().flatten().map(|(l, _)| l))
                .map(String::as_str)
                .collect();
            known.sort_unstable();
            known.dedup();
            if !known.is_empty() && !known.contains(&language.as_str()) {
                let fault = wrong(
                    "default_language",
                    format!("nothing is written in the default language `{language}`"),
                );
                return Err(match nearest(language, known.iter().copied()) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint(format!("languages there: {}", known.join(", "))),
                });
            }
        }
        Ok(Self { patterns, responses, fallback, default_language })
    }

    /// Finds the entities of `text`, by position; they never overlap.
    ///
    /// Of entities that overlap, the one that starts first stays; of those that start together, the
    /// longest value; then the one whose pattern matched the most around it (`order 12345` says
    /// more than `12345`); then the first name.
    #[must_use]
    pub fn entities(&self, text: &str) -> Vec<Entity> {
        entities::find(&self.patterns, text)
    }

    /// Returns the response to `intent` (`None`: not understood) in `language`, and the language it is in.
    /// Without a template for the intent: the fallback; without any: a built-in English sentence.
    ///
    /// The language is the one asked for, else its base (`fr` of `fr-CA`), else the default
    /// language, else English, else the first there is. Of several values of an entity, the first counts.
    #[must_use]
    pub fn respond(
        &self,
        intent: Option<&str>,
        language: Option<&str>,
        entities: &[Entity],
    ) -> (String, String) {
        let response = intent.and_then(|intent| self.responses.get(intent));
        [response, Some(&self.fallback)]
            .into_iter()
            .flatten()
            .find_map(|templates| self.in_language(templates, language))
            .map_or_else(
                || (BUILT_IN_FALLBACK.to_owned(), BUILT_IN_LANGUAGE.to_owned()),
                |(language, template)| (template.fill(entities), language.to_owned()),
            )
    }

    fn in_language<'a>(
        &self,
        templates: &'a BTreeMap<String, Template>,
        language: Option<&str>,
    ) -> Option<(&'a str, &'a Template)> {
        let asked = language.map(plain_language);
        let base = asked.as_deref().and_then(|asked| asked.split('-').next());
        [asked.as_deref(), base, self.default_language.as_deref(), Some(BUILT_IN_LANGUAGE)]
            .into_iter()
            .flatten()
            .find_map(|language| templates.get_key_value(language))
            .or_else(|| templates.first_key_value())
            .map(|(language, template)| (language.as_str(), template))
    }
}

/// Returns `fr-ca` for `fr_CA`.
fn plain_language(language: &str) -> String {
    language.trim().to_lowercase().replace('_', "-")
}

fn wrong(key: &str, message: String) -> Fault {
    Fault::usage("BOT-1030", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}

#[cfg(test)]
mod tests;
