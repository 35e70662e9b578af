//! The compiled parts of a dialogue that decide its turns.

use crate::{
    action::{Action, check_address},
    faults::{part, unknown},
    intent_spec::{IntentSpec, Meaning},
    reference::Known,
    rules_spec::{ClarifySpec, HandOffSpec},
    sentences::Sentences,
    slots::{Slot, duration, slots},
    spec::DialogueSpec,
    texts::{Texts, compile, normal_language},
    words::Words,
};
use botops_findings::Result;
use chrono::TimeDelta;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The least confidence of another intent that interrupts a question, by default. Models are often sure of short answers that
/// they have not seen, such as `I do not know`.
const INTERRUPT: f64 = 0.9;
/// The least sum of the probabilities of two intents to choose between, by default.
const LEAST: f64 = 0.5;
/// The time until the bot answers again after a hand-off, by default.
const RESUME: Duration = Duration::from_secs(24 * 3600);
/// The longest such time.
const LONGEST_RESUME: Duration = Duration::from_secs(366 * 24 * 3600);
/// The most messages in a row that are not understood before a hand-off.
const MOST_FALLBACKS: u32 = 100;
/// The longest name of a knowledge base, in bytes.
const MOST_NAME: usize = 64;
/// The most slots that an intent needs.
const MOST_NEEDS: usize = 16;

/// The parts of a dialogue that decide its turns.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Whether every answer depends on its message alone.
    pub(crate) plain: bool,
    pub(crate) slots: BTreeMap<String, Slot>,
    pub(crate) intents: BTreeMap<String, Intent>,
    /// The intents with a response or steps.
    pub(crate) declared: BTreeSet<String>,
    pub(crate) clarify: Option<Clarify>,
    pub(crate) handoff: HandOff,
    pub(crate) words: Words,
    pub(crate) sentences: Sentences,
    pub(crate) interrupt: f64,
}

/// The steps of an intent.
#[derive(Debug, Default)]
pub(crate) struct Intent {
    pub(crate) needs: Vec<String>,
    pub(crate) confirm: Texts,
    pub(crate) declined: Texts,
    pub(crate) action: Option<Action>,
    pub(crate) handoff: bool,
    pub(crate) means: Option<Meaning>,
    /// The knowledge base that answers.
    pub(crate) answer_from: Option<String>,
    /// Language to title.
    pub(crate) title: BTreeMap<String, String>,
}

/// The rule of clarification.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clarify {
    pub(crate) margin: f64,
    pub(crate) least: f64,
}

/// The rule of hand-off.
#[derive(Debug)]
pub(crate) struct HandOff {
    pub(crate) webhook: Option<String>,
    pub(crate) after_fallbacks: Option<u32>,
    pub(crate) resume_after: TimeDelta,
}

impl Plan {
    /// Compiles the parts of `spec` that decide its turns.
    ///
    /// # Errors
    /// `BOT-1112` for a value that cannot be used, `BOT-1113` for a name that is not declared, `BOT-1030` for a template.
    pub(crate) fn compile(spec: &DialogueSpec) -> Result<Self> {
        let intents = declared(spec);
        let known = Known { entities: &spec.entities, slots: &spec.slots, action: false };
        let slots = slots(&spec.slots, &known, &intents)?;
        let compiled = spec
            .intents
            .iter()
            .map(|(name, intent)| {
                Ok((name.clone(), Intent::compile(name, intent, spec, &intents)?))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        let interrupt = spec.interrupt.unwrap_or(INTERRUPT);
        check_share("interrupt", interrupt)?;
        let clarify = spec
            .clarify
            .as_ref()
            .map(|clarify| Clarify::compile(clarify, &compiled))
            .transpose()?;
        let default = HandOffSpec::default();
        let handoff = HandOff::compile(spec.handoff.as_ref().unwrap_or(&default))?;
        let person = spec.handoff.as_ref().map_or(&[][..], |handoff| &handoff.words);
        Ok(Self {
            plain: is_plain(spec),
            slots,
            declared: intents.iter().map(|&name| name.to_owned()).collect(),
            intents: compiled,
            clarify,
            handoff,
            words: Words::new(&spec.words, person),
            sentences: Sentences::compile(&spec.sentences, &known, &intents)?,
            interrupt,
        })
    }
}

/// Returns the intents that `spec` has a response or steps for.
pub(crate) fn declared(spec: &DialogueSpec) -> BTreeSet<&str> {
    spec.responses.keys().chain(spec.intents.keys()).map(String::as_str).collect()
}

/// Returns whether no answer of `spec` depends on the messages before.
fn is_plain(spec: &DialogueSpec) -> bool {
    spec.slots.is_empty()
        && spec.intents.is_empty()
        && spec.clarify.is_none()
        && spec.handoff.is_none()
        && spec
            .responses
            .values()
            .chain([&spec.fallback])
            .all(|texts| texts.values().all(|text| text.is_text()))
}

fn check_share(key: &str, share: f64) -> Result<()> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(part(key, format!("`{key}` is {share}: expected a probability from 0 to 1"))
        .hint("write a share such as `0.7`"))
}

impl Intent {
    fn compile(
        name: &str,
        spec: &IntentSpec,
        dialogue: &DialogueSpec,
        intents: &BTreeSet<&str>,
    ) -> Result<Self> {
        let key = format!("intents.{name}");
        let known = Known { entities: &dialogue.entities, slots: &dialogue.slots, action: false };
        if spec.needs.len() > MOST_NEEDS {
            let message = format!("`{name}` needs more than {MOST_NEEDS} slots");
            return Err(
                part(&format!("{key}.needs"), message).hint("ask for the others in another step")
            );
        }
        for (at, need) in spec.needs.iter().enumerate() {
            let key = format!("{key}.needs");
            let Some(slot) = dialogue.slots.get(need) else {
                return Err(unknown(&key, "slot", need, dialogue.slots.keys().map(String::as_str)));
            };
            if slot.ask.is_empty() {
                let message = format!("`{name}` needs `{need}`, which has no question");
                return Err(part(&key, message).hint(format!(
                    "write the question in each language under `slots.{need}.ask`"
                )));
            }
            if spec.needs[..at].contains(need) {
                return Err(
                    part(&key, format!("`{need}` is needed twice")).hint("remove one of them")
                );
            }
        }
        let steps = !spec.needs.is_empty() || !spec.confirm.is_empty() || spec.action.is_some();
        if (spec.handoff || spec.means.is_some()) && steps {
            let what = if spec.handoff { "handoff" } else { "means" };
            return Err(part(&format!("{key}.{what}"), format!("`{name}` has `{what}` together with other steps"))
                .hint("an intent that hands over or answers a question has no `needs`, `confirm` and `action`"));
        }
        if let Some(base) = &spec.answer_from {
            check_answer_from(&key, (name, base), spec)?;
        }
        if !spec.declined.is_empty() && spec.confirm.is_empty() {
            return Err(part(
                &format!("{key}.declined"),
                format!("`{name}` is declined, but never confirmed"),
            )
            .hint("add `confirm:`, or remove `declined:`"));
        }
        let texts = |part: &str, texts| compile(&format!("{key}.{part}"), texts, &known, intents);
        let action = spec
            .action
            .as_ref()
            .map(|action| {
                Action::compile(&format!("{key}.action"), action, &spec.needs, &known, intents)
            })
            .transpose()?;
        let title =
            spec.title.iter().map(|(l, title)| (normal_language(l), title.clone())).collect();
        Ok(Self {
            needs: spec.needs.clone(),
            confirm: texts("confirm", &spec.confirm)?,
            declined: texts("declined", &spec.declined)?,
            action,
            handoff: spec.handoff,
            means: spec.means,
            answer_from: spec.answer_from.clone(),
            title,
        })
    }
}

/// Checks that `base` may be the name of a knowledge base, and that the intent `name` does not answer in another way.
///
/// Whether there is such a base is known only to a server, which has the bases of its version.
fn check_answer_from(key: &str, (name, base): (&str, &str), spec: &IntentSpec) -> Result<()> {
    let key = format!("{key}.answer_from");
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if base.is_empty() || base.len() > MOST_NAME || !base.chars().all(is_name) {
        let shown = botops_text::display(base, 60);
        let message = format!("`{shown}` is no name of a knowledge base");
        return Err(part(&key, message)
            .hint("write the name that `botops knowledge import` was given with `--into`"));
    }
    if spec.action.is_some() || spec.handoff || spec.means.is_some() {
        let message =
            format!("`{name}` has `answer_from` together with `action`, `handoff` or `means`");
        return Err(part(&key, message).hint("move one of them to an intent of its own"));
    }
    Ok(())
}

impl Clarify {
    fn compile(spec: &ClarifySpec, intents: &BTreeMap<String, Intent>) -> Result<Self> {
        let least = spec.least.unwrap_or(LEAST);
        check_share("clarify.margin", spec.margin)?;
        check_share("clarify.least", least)?;
        if intents.values().filter(|intent| !intent.title.is_empty()).count() < 2 {
            return Err(part("clarify", "fewer than two intents have a title to choose by")
                .hint("write `title: {en: Return an item}` under `intents.NAME` of those to choose between"));
        }
        Ok(Self { margin: spec.margin, least })
    }
}

impl HandOff {
    fn compile(spec: &HandOffSpec) -> Result<Self> {
        if let Some(webhook) = &spec.webhook {
            check_address("handoff.webhook", webhook)?;
        }
        if let Some(n) = spec.after_fallbacks
            && !(1..=MOST_FALLBACKS).contains(&n)
        {
            let message = format!("`after_fallbacks` is {n}: expected 1 to {MOST_FALLBACKS}");
            return Err(part("handoff.after_fallbacks", message)
                .hint("leave it out to hand over only when asked"));
        }
        let resume = spec
            .resume_after
            .as_deref()
            .map(|text| duration("handoff.resume_after", text, LONGEST_RESUME))
            .transpose()?
            .unwrap_or(RESUME);
        Ok(Self {
            webhook: spec.webhook.clone(),
            after_fallbacks: spec.after_fallbacks,
            resume_after: TimeDelta::from_std(resume).unwrap_or(TimeDelta::MAX),
        })
    }
}
