//! A compiled dialogue: utterance to entities, intent to response.

use crate::{
    entities::{self, Entities, Entity, MAX_PATTERNS, Pattern},
    entity_spec::EntitySpec,
    merging,
    moment::Moment,
    spec::{DialogueSpec, invalid},
    template::Template,
};
use botops_findings::Result;
use botops_spec::nearest;
use botops_text::base_language;
use std::collections::{BTreeMap, BTreeSet};

/// The response when the bot did not understand and the spec declares no fallback.
pub(crate) const BUILT_IN_FALLBACK: &str =
    "Sorry, I did not understand. Could you say it in other words?";
/// The language of [`BUILT_IN_FALLBACK`].
const BUILT_IN_LANGUAGE: &str = "en";

/// A checked, compiled [`DialogueSpec`].
///
/// - there are at most 64 patterns, and every one compiled within its size limit
/// - every placeholder of every template names an entity
#[derive(Debug)]
pub struct Dialogue {
    patterns: Vec<Pattern>,
    responses: BTreeMap<String, BTreeMap<String, Template>>,
    fallback: BTreeMap<String, Template>,
    default_language: Option<String>,
}

impl Dialogue {
    /// Returns the number of patterns that every text is searched with.
    #[must_use]
    pub fn n_patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Compiles `spec`.
    ///
    /// # Errors
    /// `BOT-1030` (exit 2) with the key: too many patterns, one that does not compile or is too large, a template with an
    /// unknown placeholder or unbalanced braces, or a default language without any response.
    pub fn compile(spec: &DialogueSpec) -> Result<Self> {
        if spec.entities.len() > MAX_PATTERNS {
            let message = format!("{} entities are more than {MAX_PATTERNS}", spec.entities.len());
            return Err(invalid("entities", message)
                .hint("every pattern is searched for in every message: join some with `|`"));
        }
        let mut patterns = Vec::new();
        for (name, entity) in &spec.entities {
            match entity {
                EntitySpec::Pattern(pattern) => patterns.push(Pattern::compile(name, pattern)?),
                EntitySpec::Rule(rule) if rule.kind.is_some() || rule.lookup.is_some() => {
                    let key = format!("entities.{name}");
                    return Err(invalid(
                        &key,
                        "typed entities and lookups are not supported".to_owned(),
                    )
                    .hint("write a regular expression, or `{learned: true}`"));
                }
                EntitySpec::Rule(_) => {}
            }
        }
        let templates = |key: &str, texts: &BTreeMap<String, String>| {
            texts
                .iter()
                .map(|(language, text)| {
                    let key = format!("{key}.{language}");
                    Ok((normal_language(language), Template::compile(text, &key, &spec.entities)?))
                })
                .collect::<Result<BTreeMap<_, _>>>()
        };
        let responses: BTreeMap<String, BTreeMap<String, Template>> = spec
            .responses
            .iter()
            .map(|(intent, texts)| {
                Ok((intent.clone(), templates(&format!("responses.{intent}"), texts)?))
            })
            .collect::<Result<_>>()?;
        let fallback = templates("fallback", &spec.fallback)?;
        let default_language = spec.default_language.as_deref().map(normal_language);
        if let Some(language) = &default_language {
            let mut known: Vec<&str> = fallback
                .keys()
                .chain(responses.values().flatten().map(|(l, _)| l))
                .map(String::as_str)
                .collect();
            known.sort_unstable();
            known.dedup();
            let base = base_language(language);
            if !known.is_empty() && !known.iter().any(|other| base_language(other) == base) {
                let fault = invalid(
                    "default_language",
                    format!("no response is in the default language `{language}`"),
                );
                return Err(match nearest(language, known.iter().copied()) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => {
                        fault.hint(format!("the languages of the responses: {}", known.join(", ")))
                    }
                });
            }
        }
        Ok(Self { patterns, responses, fallback, default_language })
    }

    /// Finds the entities of `text`, a message of `moment`, by position; they never overlap. `tagged` are those that the
    /// learned tagger of the model found in it.
    ///
    /// Entities found by a pattern, a parser or a list of names win over learned ones where they overlap, and take
    /// the role and the group of a learned one of the same name. When other entities overlap, the one that starts first is kept. Among those that start together, the order
    /// is: the longest value, then the longest match around the value (`order 12345` before `12345`), then
    /// the first name. Of each pattern, at most the first 64 matches are found.
    #[must_use]
    pub fn entities(&self, text: &str, moment: &Moment<'_>, tagged: Vec<Entity>) -> Vec<Entity> {
        self.entities_while(text, moment, tagged, || true).found
    }

    /// Finds the entities of `text` as [`Self::entities`] does, while `has_time` returns true.
    ///
    /// It is called before each match is searched for, and each search takes time linear in the text.
    #[must_use]
    pub fn entities_while(
        &self,
        text: &str,
        _moment: &Moment<'_>,
        tagged: Vec<Entity>,
        has_time: impl FnMut() -> bool,
    ) -> Entities {
        let Entities { found, cut } = entities::find(&self.patterns, text, has_time);
        Entities { found: merging::merge(text, found, tagged), cut }
    }

    /// Returns the response to `intent` (`None` if not understood), and the language of the response; `None` if the
    /// intent was understood and has no response.
    ///
    /// A message that was not understood gets the fallback, or a built-in English sentence if there is none. The
    /// language is the requested one, else its base (`fr` of `fr-CA`), else a variant of its base (`fr-CA` for `fr`),
    /// else the default language in the same order, else English, else the first language. If an entity has several
    /// values, the first is used.
    #[must_use]
    pub fn respond(
        &self,
        intent: Option<&str>,
        language: Option<&str>,
        entities: &[Entity],
    ) -> Option<(String, String)> {
        let templates = match intent {
            Some(intent) => self.responses.get(intent)?,
            None => &self.fallback,
        };
        match (self.in_language(templates, language), intent) {
            (Some((language, template)), _) => Some((template.fill(entities), language.to_owned())),
            (None, Some(_)) => None,
            (None, None) => Some((BUILT_IN_FALLBACK.to_owned(), BUILT_IN_LANGUAGE.to_owned())),
        }
    }

    /// Returns the languages of the templates, in order.
    #[must_use]
    pub fn languages(&self) -> BTreeSet<&str> {
        let templates = self.responses.values().chain([&self.fallback]);
        templates.flat_map(BTreeMap::keys).map(String::as_str).collect()
    }

    /// Returns the template for `language`, with the language it is in.
    fn in_language<'a>(
        &self,
        templates: &'a BTreeMap<String, Template>,
        language: Option<&str>,
    ) -> Option<(&'a str, &'a Template)> {
        let requested = language.map(normal_language);
        [requested.as_deref(), self.default_language.as_deref(), Some(BUILT_IN_LANGUAGE)]
            .into_iter()
            .flatten()
            .find_map(|language| nearest_variant(templates, language))
            .or_else(|| templates.first_key_value())
            .map(|(language, template)| (language.as_str(), template))
    }
}

/// Returns the template in `language`, else in its base, else in the first variant of its base.
fn nearest_variant<'a>(
    templates: &'a BTreeMap<String, Template>,
    language: &str,
) -> Option<(&'a String, &'a Template)> {
    let base = base_language(language);
    templates
        .get_key_value(language)
        .or_else(|| templates.get_key_value(base))
        .or_else(|| templates.iter().find(|(variant, _)| base_language(variant) == base))
}

/// Returns a language in its normal form: `fr-ca` for `fr_CA`.
fn normal_language(language: &str) -> String {
    language.trim().to_lowercase().replace('_', "-")
}
