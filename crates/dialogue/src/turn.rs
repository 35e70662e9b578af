//! One turn under way: the state that it changes, and the steps that it can take.

use crate::{
    dialogue::{BUILT_IN_FALLBACK, Dialogue},
    plan::Intent,
    press::yes_and_no,
    reference::Values,
    state::{Awaited, DialogueState, HandOffReason, HandedOff},
    step::{Button, Effect, Found, HandOffCall, Lookup, Reply, Step, Understood},
    texts::{LAST_LANGUAGE, Texts, choose, in_language, normal_language},
    words::n_words,
};
use botops_digest::Digest;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

/// The longest name of a language that is remembered, in bytes; BCP 47 tags are shorter.
const MAX_LANGUAGE: usize = 35;
/// The most words of an answer to a question that does not change the language of the conversation.
const SHORT_ANSWER: usize = 3;
/// The time that an action has beyond its own, until its outcome counts as unknown: it covers the store and a slow server.
const GRACE: TimeDelta = TimeDelta::seconds(30);

/// A turn under way.
pub(crate) struct Turn<'a> {
    pub(crate) dialogue: &'a Dialogue,
    pub(crate) message: &'a Understood<'a>,
    pub(crate) state: DialogueState,
    pub(crate) now: DateTime<Utc>,
    /// Chooses among variants.
    pub(crate) pick: u64,
    /// The answer of the action.
    pub(crate) action: Option<&'a Value>,
    /// The answer that was found in knowledge.
    pub(crate) found: Option<&'a Found<'a>>,
    /// The knowledge that may answer.
    pub(crate) lookup: Option<Lookup>,
}

/// A filled response.
pub(crate) struct Said<'a> {
    text: String,
    language: &'a str,
    buttons: Vec<Button>,
    label: &'a str,
}

impl<'a> Turn<'a> {
    /// Begins the turn after `state`: forgets what expired or is not declared, counts the turn, and chooses the language.
    pub(crate) fn begin(
        (dialogue, found): (&'a Dialogue, Option<&'a Found<'a>>),
        state: &DialogueState,
        message: &'a Understood<'a>,
        now: DateTime<Utc>,
        seed: &str,
    ) -> Self {
        let mut state = state.clone();
        let plan = &dialogue.plan;
        state.slots.retain(|name, value| {
            plan.slots.get(name).is_some_and(|slot| !slot.is_expired(value.at, now))
        });
        state.awaited = state.awaited.filter(|awaited| dialogue.is_declared(awaited));
        let resumes = |of: HandedOff| now.signed_duration_since(of.at) >= plan.handoff.resume_after;
        state.handed_off = state.handed_off.filter(|&of| !resumes(of));
        state.turns = state.turns.saturating_add(1);
        let chosen = language(&state, message);
        state.language = chosen.or(state.language);
        let digest = Digest::of(format!("{seed}\0{}", state.turns).as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        let pick = u64::from_be_bytes(first);
        Self { dialogue, message, state, now, pick, action: None, found, lookup: None }
    }

    /// Returns the steps of `intent`, if it has any.
    pub(crate) fn intent(&self, intent: &str) -> Option<&'a Intent> {
        self.dialogue.plan.intents.get(intent)
    }

    /// Starts `intent`: asks for the slots that it needs, confirms, calls its action, and responds.
    pub(crate) fn start(mut self, intent: &str) -> Step {
        self.state.fallbacks = 0;
        self.state.awaited = None;
        if !self.dialogue.plan.declared.contains(intent) {
            return self.finish(None, Some(intent), true, None, "no_response".to_owned());
        }
        if self.intent(intent).is_some_and(|steps| steps.handoff) {
            let texts = self.dialogue.responses.get(intent).filter(|texts| !texts.is_empty());
            let texts = texts.unwrap_or(&self.dialogue.plan.sentences.handed_off);
            let branch = format!("{intent}/hand_off");
            return self.hand_off(HandOffReason::Asked, Some(intent), texts, branch);
        }
        self.carry_on(intent, false)
    }

    /// Goes on with `intent`: asks for the first slot that is missing, then for a confirmation unless it is `confirmed`, then
    /// carries it out.
    pub(crate) fn carry_on(mut self, intent: &str, confirmed: bool) -> Step {
        self.state.fallbacks = 0;
        self.state.awaited = None;
        let Some(steps) = self.intent(intent) else { return self.respond(intent) };
        if let Some(slot) = steps.needs.iter().find(|slot| !self.state.slots.contains_key(*slot)) {
            return self.ask(intent, slot, 1, false);
        }
        if !confirmed && !steps.confirm.is_empty() {
            return self.confirm(intent, &steps.confirm, 1);
        }
        match &steps.action {
            Some(_) => self.call(intent),
            None => self.respond(intent),
        }
    }

    /// Asks for `slot`, for the `tries`th time; first says that the value was `invalid`, if it was.
    pub(crate) fn ask(mut self, intent: &str, slot: &str, tries: u32, invalid: bool) -> Step {
        let plan = &self.dialogue.plan;
        let Some(compiled) = plan.slots.get(slot) else { return self.respond(intent) };
        self.state.awaited =
            Some(Awaited::Slot { intent: intent.to_owned(), slot: slot.to_owned(), tries });
        let mut question = self.say(&compiled.ask);
        if invalid && let Some(question) = &mut question {
            let texts = if compiled.invalid.is_empty() {
                &plan.sentences.invalid
            } else {
                &compiled.invalid
            };
            if let Some(said) = self.say(texts) {
                question.text = format!("{} {}", said.text, question.text);
            }
        }
        let again = if tries > 1 { "ask_again" } else { "ask" };
        let branch = format!("{intent}/{again}/{slot}");
        self.finish(question, Some(intent), tries == 1, None, branch)
    }

    /// Asks for yes or no, for the `tries`th time.
    pub(crate) fn confirm(mut self, intent: &str, texts: &'a Texts, tries: u32) -> Step {
        self.state.awaited = Some(Awaited::Confirmation { intent: intent.to_owned(), tries });
        let sentences = &self.dialogue.plan.sentences;
        let mut question = self.say(texts);
        if let Some(question) = &mut question {
            let title = |texts| self.say(texts).map_or_else(String::new, |said| said.text);
            question.buttons.splice(0..0, yes_and_no(title(&sentences.yes), title(&sentences.no)));
        }
        let again = if tries > 1 { "confirm_again" } else { "confirm" };
        self.finish(question, Some(intent), tries == 1, None, format!("{intent}/{again}"))
    }

    /// Calls the action of `intent`, which has one. An address that cannot be made from the slots counts as a call that
    /// failed.
    pub(crate) fn call(mut self, intent: &str) -> Step {
        let Some(action) = self.intent(intent).and_then(|steps| steps.action.as_ref()) else {
            return self.respond(intent);
        };
        let Some(call) = action.call(intent, &self.state.slots) else { return self.failed(intent) };
        let time = TimeDelta::from_std(action.timeout).unwrap_or(GRACE);
        let until = self.now.checked_add_signed(time + GRACE).unwrap_or(self.now);
        self.state.awaited =
            Some(Awaited::Action { intent: intent.to_owned(), until, pick: self.pick });
        self.finish(None, Some(intent), true, Some(Effect::Call(call)), format!("{intent}/call"))
    }

    /// Responds that the action of `intent` could not be called.
    pub(crate) fn failed(self, intent: &str) -> Step {
        let action = self.intent(intent).and_then(|steps| steps.action.as_ref());
        let own = action.map(|action| &action.failed).filter(|texts| !texts.is_empty());
        let texts = own.unwrap_or(&self.dialogue.plan.sentences.failed);
        self.unsuccessful(intent, texts, "failed")
    }

    /// Responds that the other side refused the action of `intent`.
    pub(crate) fn refused(self, intent: &str) -> Step {
        let action = self.intent(intent).and_then(|steps| steps.action.as_ref());
        let own = action.map(|action| &action.refused).filter(|texts| !texts.is_empty());
        let texts = own.unwrap_or(&self.dialogue.plan.sentences.refused);
        self.unsuccessful(intent, texts, "refused")
    }

    fn unsuccessful(mut self, intent: &str, texts: &'a Texts, branch: &str) -> Step {
        self.state.awaited = None;
        let branch = format!("{intent}/{branch}");
        let action = self.intent(intent).and_then(|steps| steps.action.as_ref());
        if action.is_some_and(|action| action.handoff) {
            return self.hand_off(HandOffReason::ActionFailed, Some(intent), texts, branch);
        }
        let said = self.say(texts);
        self.finish(said, Some(intent), true, None, branch)
    }

    /// Hands over, because the outcome of the action of `intent` is not known.
    pub(crate) fn unknown(self, intent: &str) -> Step {
        let texts = &self.dialogue.plan.sentences.unknown;
        self.hand_off(
            HandOffReason::ActionUnknown,
            Some(intent),
            texts,
            format!("{intent}/unknown"),
        )
    }

    /// Gives the response to `intent`: the answer of the knowledge base that it names, else its own one. Without both, the
    /// message was not understood.
    pub(crate) fn respond(mut self, intent: &str) -> Step {
        if let Some(base) = self.intent(intent).and_then(|steps| steps.answer_from.as_ref()) {
            if let Some(found) = self.found {
                return self.answered(found, Some(intent), format!("{intent}/knowledge"));
            }
            let lookup = Some(Lookup::Base(base.clone()));
            if !self.dialogue.responses.contains_key(intent) {
                return Step { lookup, ..self.fallback() };
            }
            self.lookup = lookup;
        }
        let said = self.dialogue.responses.get(intent).and_then(|texts| self.say(texts));
        let branch = match said.as_ref().map(|said| said.label) {
            None | Some("") => format!("{intent}/respond"),
            Some(label) => format!("{intent}/respond[{label}]"),
        };
        self.finish(said, Some(intent), true, None, branch)
    }

    /// Says one of the sentences of the bot, and awaits nothing.
    pub(crate) fn sentence(
        mut self,
        texts: &'a Texts,
        intent: Option<&str>,
        branch: String,
    ) -> Step {
        self.state.awaited = None;
        self.state.fallbacks = 0;
        let said = self.say(texts);
        self.finish(said, intent, true, None, branch)
    }

    /// Gives the answer that was found in knowledge. `intent` asked for it, or no intent claims the message.
    pub(crate) fn answered(
        mut self,
        found: &Found<'_>,
        intent: Option<&str>,
        branch: String,
    ) -> Step {
        self.state.fallbacks = 0;
        self.state.remember(found.question);
        let language = found.language.or(self.state.language.as_deref()).unwrap_or(LAST_LANGUAGE);
        let (text, language) = (found.text.to_owned(), language.to_owned());
        let said = Said { text, language: &language, buttons: Vec::new(), label: "" };
        self.finish(Some(said), intent, true, None, branch)
    }

    /// Puts the answer that was found in front of a question that is asked again.
    pub(crate) fn before_question(mut step: Step, found: &Found<'_>) -> Step {
        let question = step.reply.text.take().unwrap_or_default();
        step.reply.text = Some(format!("{}\n\n{question}", found.text).trim_end().to_owned());
        step.reply.understood = true;
        step.state.remember(found.question);
        step
    }

    /// Returns whether knowledge may answer a message that does not fit the question of the bot: no intent claims it, and it
    /// is no button.
    pub(crate) fn may_digress(&self) -> bool {
        self.message.intent.is_none() && self.message.button.is_none()
    }

    /// Answers a message that was not understood, or hands over after too many of them.
    pub(crate) fn fallback(mut self) -> Step {
        if let Some(found) = self.found {
            self.state.awaited = None;
            return self.answered(found, None, "knowledge".to_owned());
        }
        self.lookup = Some(Lookup::Any);
        self.state.awaited = None;
        self.state.fallbacks = self.state.fallbacks.saturating_add(1);
        let plan = &self.dialogue.plan;
        if plan.handoff.after_fallbacks.is_some_and(|most| self.state.fallbacks >= most) {
            let branch = "fallback/hand_off".to_owned();
            let mut step =
                self.hand_off(HandOffReason::Fallbacks, None, &plan.sentences.handed_off, branch);
            step.reply.understood = false;
            return step;
        }
        let said = self.say(&self.dialogue.fallback).unwrap_or_else(|| Said {
            text: BUILT_IN_FALLBACK.to_owned(),
            language: LAST_LANGUAGE,
            buttons: Vec::new(),
            label: "",
        });
        self.finish(Some(said), None, false, None, "fallback".to_owned())
    }

    /// Hands the conversation to a person.
    pub(crate) fn hand_off(
        mut self,
        reason: HandOffReason,
        intent: Option<&str>,
        texts: &'a Texts,
        branch: String,
    ) -> Step {
        self.state.awaited = None;
        self.state.fallbacks = 0;
        self.state.handed_off = Some(HandedOff { at: self.now, reason });
        let slots = self.state.slots.iter();
        let call = HandOffCall {
            webhook: self.dialogue.plan.handoff.webhook.clone(),
            reason,
            intent: intent.map(str::to_owned),
            slots: slots.map(|(name, slot)| (name.clone(), slot.value.clone())).collect(),
        };
        let said = self.say(texts);
        self.finish(said, intent, true, Some(Effect::HandOff(call)), branch)
    }

    /// Returns `texts` in the language of the conversation, filled.
    pub(crate) fn say(&self, texts: &'a Texts) -> Option<Said<'a>> {
        let values = Values {
            entities: self.message.entities,
            slots: &self.state.slots,
            action: self.action,
        };
        let default = self.dialogue.default_language.as_deref();
        let (language, variants) = in_language(texts, self.state.language.as_deref(), default)?;
        let variant = choose(variants, &values, self.pick)?;
        Some(Said {
            text: variant.fill(&values),
            language,
            buttons: variant.buttons(&values),
            label: &variant.label,
        })
    }

    /// Ends the turn with `said`.
    pub(crate) fn finish(
        self,
        said: Option<Said<'_>>,
        intent: Option<&str>,
        understood: bool,
        effect: Option<Effect>,
        branch: String,
    ) -> Step {
        let mut reply = Reply { intent: intent.map(str::to_owned), understood, ..Reply::default() };
        if let Some(Said { text, language, buttons, .. }) = said {
            reply.text = Some(text);
            reply.language = Some(language.to_owned());
            reply.buttons = buttons;
        }
        Step { state: self.state, reply, effect, lookup: self.lookup, branch }
    }

    /// Asks which of two intents was meant.
    pub(crate) fn clarify(mut self, first: &str, second: &str) -> Step {
        self.state.awaited =
            Some(Awaited::Clarification { first: first.to_owned(), second: second.to_owned() });
        let buttons = [first, second].map(|intent| Button {
            title: self.title(intent).to_owned(),
            payload: intent.to_owned(),
        });
        let mut said = self.say(&self.dialogue.plan.sentences.clarify);
        if let Some(said) = &mut said {
            said.buttons.splice(0..0, buttons);
        }
        let understood = self.message.intent.is_some();
        self.finish(said, None, understood, None, "clarify".to_owned())
    }

    /// Returns the title of `intent` in the language of the conversation.
    fn title(&self, intent: &str) -> &'a str {
        let default = self.dialogue.default_language.as_deref();
        self.intent(intent)
            .and_then(|steps| in_language(&steps.title, self.state.language.as_deref(), default))
            .map_or("", |(_, title)| title.as_str())
    }
}

/// Returns the language to answer `message` in; `None` if the message does not tell.
fn language(state: &DialogueState, message: &Understood<'_>) -> Option<String> {
    let language = message.language.map(normal_language)?;
    let short = message.button.is_some()
        || (state.awaited.is_some() && n_words(message.text) <= SHORT_ANSWER);
    let kept = message.guessed && short && state.language.is_some();
    (!kept && !language.is_empty() && language.len() <= MAX_LANGUAGE).then_some(language)
}
