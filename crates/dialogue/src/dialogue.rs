//! A compiled dialogue: utterance to entities, intent to response.

use crate::{
    entities::{Entities, Entity, MAX_PATTERNS, Searches},
    merging,
    moment::Moment,
    plan::{Plan, declared},
    reference::{Known, Values},
    spec::{DialogueSpec, invalid},
    texts::{LAST_LANGUAGE, Texts, choose, compile, in_language, normal_language},
};
use botops_findings::Result;
use botops_spec::nearest;
use botops_text::base_language;
use std::collections::{BTreeMap, BTreeSet};

/// The response when the bot did not understand and the spec declares no fallback.
pub(crate) const BUILT_IN_FALLBACK: &str =
    "Sorry, I did not understand. Could you say it in other words?";

/// A checked, compiled [`DialogueSpec`].
///
/// - there are at most 64 patterns, and every one compiled within its size limit
/// - every placeholder of every template names an entity, a slot, or the answer of an action
/// - every slot and intent that a part names is declared
#[derive(Debug)]
pub struct Dialogue {
    searches: Searches,
    pub(crate) responses: BTreeMap<String, Texts>,
    pub(crate) fallback: Texts,
    pub(crate) default_language: Option<String>,
    pub(crate) plan: Plan,
}

impl Dialogue {
    /// Returns the number of patterns, parsers and lists that every text is searched with.
    #[must_use]
    pub fn n_patterns(&self) -> usize {
        self.searches.len()
    }

    /// Compiles `spec`.
    ///
    /// # Errors
    /// `BOT-1100` (exit 2) for an entity whose mapping does not fit, `BOT-1101` for an unknown time zone.
    /// `BOT-1030` (exit 2) with the key: too many patterns, one that does not compile or is too large, a template with an
    /// unknown placeholder or unbalanced braces, or a default language without any response. `BOT-1112` (exit 2) for a
    /// slot, step, action or rule that cannot be used, and `BOT-1113` (exit 2) for a name that is not declared.
    pub fn compile(spec: &DialogueSpec) -> Result<Self> {
        if spec.entities.len() > MAX_PATTERNS {
            let message = format!("{} entities are more than {MAX_PATTERNS}", spec.entities.len());
            return Err(invalid("entities", message)
                .hint("every pattern is searched for in every message: join some with `|`"));
        }
        let searches = Searches::compile(spec)?;
        let intents = declared(spec);
        let responses: BTreeMap<String, Texts> = spec
            .responses
            .iter()
            .map(|(intent, texts)| {
                let action = spec.intents.get(intent).is_some_and(|intent| intent.action.is_some());
                let known = Known { entities: &spec.entities, slots: &spec.slots, action };
                let key = format!("responses.{intent}");
                Ok((intent.clone(), compile(&key, texts, &known, &intents)?))
            })
            .collect::<Result<_>>()?;
        let known = Known { entities: &spec.entities, slots: &spec.slots, action: false };
        let fallback = compile("fallback", &spec.fallback, &known, &intents)?;
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
        let plan = Plan::compile(spec)?;
        Ok(Self { searches, responses, fallback, default_language, plan })
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
        moment: &Moment<'_>,
        mut tagged: Vec<Entity>,
        has_time: impl FnMut() -> bool,
    ) -> Entities {
        let Entities { found, cut } = self.searches.find(text, moment, has_time);
        for entity in &mut tagged {
            if entity.normalised.is_none() {
                entity.normalised = self.normalise(&entity.entity, &entity.value, moment);
            }
        }
        Entities { found: merging::merge(text, found, tagged), cut }
    }

    /// Returns the normalised form of `value`, a whole value of `entity` in a message of `moment`; `None` if the entity has
    /// no type and no list, or the value is none of its.
    #[must_use]
    pub fn normalise(
        &self,
        entity: &str,
        value: &str,
        moment: &Moment<'_>,
    ) -> Option<serde_json::Value> {
        self.searches.normalise(entity, value, moment)
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
        let (no_slots, action) = (BTreeMap::new(), None);
        let values = Values { entities, slots: &no_slots, action };
        let variant = in_language(templates, language, self.default_language.as_deref())
            .and_then(|(language, variants)| Some((language, choose(variants, &values, 0)?)));
        match (variant, intent) {
            (Some((language, variant)), _) => Some((variant.fill(&values), language.to_owned())),
            (None, Some(_)) => None,
            (None, None) => Some((BUILT_IN_FALLBACK.to_owned(), LAST_LANGUAGE.to_owned())),
        }
    }

    /// Returns the languages of the templates, in order.
    #[must_use]
    pub fn languages(&self) -> BTreeSet<&str> {
        let templates = self.responses.values().chain([&self.fallback]);
        templates.flat_map(BTreeMap::keys).map(String::as_str).collect()
    }
}
