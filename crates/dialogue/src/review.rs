//! Warnings about a dialogue that compiles: texts that are missing, and parts that are never used.

use crate::{
    response_spec::{Condition, ResponseSpec, TextsSpec, VariantSpec},
    spec::DialogueSpec,
    texts::normal_language,
};
use botops_findings::{Finding, Severity};
use botops_text::{base_language, display};
use std::collections::{BTreeMap, BTreeSet};

impl DialogueSpec {
    /// Returns the intents that a knowledge base answers, with the name of that base.
    pub fn answered_from(&self) -> impl Iterator<Item = (&str, &str)> {
        self.intents
            .iter()
            .filter_map(|(name, intent)| Some((&**name, &**intent.answer_from.as_ref()?)))
    }

    /// Returns those of `intents` without a response, in their order: all of them if there is no response at all. An intent that
    /// a knowledge base answers has one.
    #[must_use]
    pub fn unanswered<'a>(&self, intents: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let is_looked_up =
            |intent: &str| self.intents.get(intent).is_some_and(|it| it.answer_from.is_some());
        let has_none = |intent: &&str| {
            self.responses.get(*intent).is_none_or(BTreeMap::is_empty) && !is_looked_up(intent)
        };
        intents.into_iter().filter(has_none).collect()
    }

    /// Returns warnings about `intents` without a response (`BOT-1050`), and about responses to other intents
    /// (`BOT-1051`); about steps and variants that are never taken (`BOT-1116`), slots that nothing uses (`BOT-1117`), and
    /// responses that lack a language of others (`BOT-1115`). None if there is no response at all, because such a model only
    /// classifies.
    #[must_use]
    pub fn findings(&self, intents: &[&str]) -> Vec<Finding> {
        if self.responses.is_empty() {
            return Vec::new();
        }
        let silent = self.unanswered(intents.iter().copied());
        let pressed = self.pressed();
        let unused: Vec<&str> = self
            .responses
            .keys()
            .map(String::as_str)
            .filter(|name| !intents.contains(name) && !pressed.contains(name))
            .collect();
        let mut findings = Vec::new();
        let mut warn = |code: &'static str, names: &[&str], message: String, help: &'static str| {
            if !names.is_empty() {
                findings.push(Finding::new(code, Severity::Warning, message, help));
            }
        };
        warn(
            "BOT-1050",
            &silent,
            format!("the dialogue has no response to {}: `response` is null then", listed(&silent)),
            "add them under `responses`, or let the caller of the API answer",
        );
        warn(
            "BOT-1051",
            &unused,
            format!("the dialogue has responses to {}, no intent of the model", listed(&unused)),
            "correct the name, add training records, or remove the response",
        );
        let idle: Vec<&str> = self
            .intents
            .keys()
            .map(String::as_str)
            .filter(|name| !intents.contains(name) && !pressed.contains(name))
            .filter(|name| !self.responses.contains_key(*name))
            .collect();
        warn(
            "BOT-1116",
            &idle,
            format!(
                "the steps of {} are never taken: no intent of the model, and no button leads there",
                listed(&idle)
            ),
            "correct the name, add training records, or remove the steps",
        );
        let dead = self.dead_variants();
        let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
        warn(
            "BOT-1116",
            &dead,
            format!("variants are never used: {}", listed(&dead)),
            "remove them, or correct their `when:`; a slot that the intent needs is always present",
        );
        let unread = self.unread_slots();
        warn(
            "BOT-1117",
            &unread,
            format!("the slots {} are filled, and nothing uses them", listed(&unread)),
            "use them in `needs`, a response or a condition, or remove them",
        );
        findings.extend(self.missing_languages());
        findings
    }

    /// Returns the intents that a button leads to.
    fn pressed(&self) -> BTreeSet<&str> {
        let variants = self.texts().into_iter().flat_map(|(_, texts)| texts.values());
        let buttons = variants.flat_map(ResponseSpec::buttons);
        let mut pressed: BTreeSet<&str> = buttons.map(|button| button.payload.as_str()).collect();
        if self.clarify.is_some() {
            let titled = self.intents.iter().filter(|(_, intent)| !intent.title.is_empty());
            pressed.extend(titled.map(|(name, _)| name.as_str()));
        }
        pressed
    }

    /// Returns all texts of the dialogue that people read, with their keys.
    fn texts(&self) -> Vec<(String, &TextsSpec)> {
        let mut all = vec![("fallback".to_owned(), &self.fallback)];
        for (intent, texts) in &self.responses {
            all.push((format!("responses.{intent}"), texts));
        }
        for (name, slot) in &self.slots {
            for (key, texts) in
                [("ask", &slot.ask), ("invalid", &slot.invalid), ("give_up", &slot.give_up)]
            {
                all.push((format!("slots.{name}.{key}"), texts));
            }
        }
        for (name, intent) in &self.intents {
            all.push((format!("intents.{name}.confirm"), &intent.confirm));
            all.push((format!("intents.{name}.declined"), &intent.declined));
            if let Some(action) = &intent.action {
                all.push((format!("intents.{name}.action.refused"), &action.refused));
                all.push((format!("intents.{name}.action.failed"), &action.failed));
            }
        }
        for (name, texts) in self.sentences.all() {
            all.push((format!("sentences.{name}"), texts));
        }
        all.retain(|(_, texts)| !texts.is_empty());
        all
    }

    /// Returns the keys of the variants that are never used: the condition contradicts the needs of the intent, or an earlier
    /// variant has the same text and conditions.
    fn dead_variants(&self) -> Vec<String> {
        let mut dead = Vec::new();
        for (intent, texts) in &self.responses {
            let needs = self.intents.get(intent).map_or(&[][..], |steps| &steps.needs);
            for (language, response) in texts {
                let variants = response.variants();
                for (at, variant) in variants.iter().enumerate() {
                    let absent = |need: &String| variant.when.get(need) == Some(&Condition::Absent);
                    if needs.iter().any(absent) || variants[..at].contains(variant) {
                        dead.push(format!("responses.{intent}.{language}[{at}]"));
                    }
                }
            }
        }
        dead
    }

    /// Returns the slots that no need, template or condition names; none if an action sends all slots.
    fn unread_slots(&self) -> Vec<&str> {
        if self.intents.values().any(|intent| intent.action.is_some()) {
            return Vec::new();
        }
        let texts = self.texts();
        let variants: Vec<VariantSpec> = texts
            .iter()
            .flat_map(|(_, texts)| texts.values())
            .flat_map(ResponseSpec::variants)
            .collect();
        let is_read = |slot: &str| {
            let start = format!("{{{slot}");
            let in_text = |text: &str| {
                text.match_indices(&start)
                    .any(|(at, _)| text[at + start.len()..].starts_with(['}', '|', '.', ' ']))
            };
            self.intents.values().any(|intent| intent.needs.iter().any(|need| need == slot))
                || variants.iter().any(|variant| {
                    let named =
                        variant.when.keys().any(|name| name.split('.').next() == Some(slot));
                    let buttons = variant.buttons.iter();
                    named
                        || in_text(&variant.text)
                        || buttons
                            .flat_map(|b| b.slots.values().chain([&b.title]))
                            .any(|text| in_text(text))
                })
        };
        self.slots.keys().map(String::as_str).filter(|slot| !is_read(slot)).collect()
    }

    /// Returns a warning for each language that some texts have and others lack.
    fn missing_languages(&self) -> Vec<Finding> {
        let texts = self.texts();
        let base = |language: &String| base_language(&normal_language(language)).to_owned();
        let all: BTreeSet<String> =
            texts.iter().flat_map(|(_, texts)| texts.keys()).map(base).collect();
        let titles = self.intents.iter().filter(|(_, intent)| !intent.title.is_empty()).map(
            |(name, intent)| {
                (
                    format!("intents.{name}.title"),
                    intent.title.keys().map(base).collect::<BTreeSet<_>>(),
                )
            },
        );
        let have: Vec<(String, BTreeSet<String>)> = texts
            .iter()
            .map(|(key, texts)| (key.clone(), texts.keys().map(base).collect()))
            .chain(titles)
            .collect();
        all.iter()
            .filter_map(|language| {
                let lacking: Vec<&str> = have
                    .iter()
                    .filter(|(_, languages)| !languages.contains(language))
                    .map(|(key, _)| key.as_str())
                    .collect();
                let message = format!(
                    "`{language}` is missing in {}, and other texts have it",
                    listed(&lacking)
                );
                (!lacking.is_empty()).then(|| {
                    let help =
                        "add the language there: people who write in it read another one now";
                    Finding::new("BOT-1115", Severity::Warning, message, help)
                })
            })
            .collect()
    }
}

/// Returns the first names in backticks, and the number of the others.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> =
        names.iter().take(SHOWN).map(|name| format!("`{}`", display(name, 60))).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
