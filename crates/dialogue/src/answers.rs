//! The decision of a turn: a new intent, or the answer to the question that the bot asked.

use crate::{
    intent_spec::Meaning,
    press::Press,
    state::{Awaited, HandOffReason, SlotValue},
    step::{Lookup, Step},
    turn::Turn,
    words::chosen,
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// The most questions for the same confirmation. Then nothing is done.
const CONFIRM_TRIES: u32 = 2;

/// The slots that a message filled.
#[derive(Debug, Default)]
struct Filled {
    /// Those with a value in this message.
    given: BTreeSet<String>,
    /// Those of them whose value differs from the one before.
    changed: BTreeSet<String>,
    /// Those with values that do not fit.
    rejected: BTreeSet<String>,
}

impl<'a> Turn<'a> {
    /// Decides the turn, in a conversation that is not handed off.
    pub(crate) fn decide(mut self) -> Step {
        let awaited = self.state.awaited.take();
        if let Some(Awaited::Action { intent, until, pick }) = awaited {
            return self.unfinished(&intent, until, pick);
        }
        let plan = &self.dialogue.plan;
        let press = self.message.button.and_then(|payload| Press::read(payload, plan));
        if press.is_none() && plan.words.asks_for_a_person(self.message.text) {
            let texts = &plan.sentences.handed_off;
            return self.hand_off(HandOffReason::Asked, None, texts, "hand_off".to_owned());
        }
        let filled = self.fill(press.as_ref(), awaited.as_ref());
        match awaited {
            Some(Awaited::Slot { intent, slot, tries }) => {
                self.slot_answer((&intent, &slot, tries), press, &filled)
            }
            Some(Awaited::Confirmation { intent, tries }) => {
                self.confirmation(&intent, tries, press, &filled)
            }
            Some(Awaited::Clarification { first, second }) => {
                self.clarification([&first, &second], press)
            }
            // An awaited action was handled above.
            Some(Awaited::Action { .. }) | None => self.fresh(press),
        }
    }

    /// Fills slots from the pressed button, else from the entities of the message. While a slot is asked for, an entity
    /// that fills it does not fill another slot as well, unless its role says so.
    fn fill(&mut self, press: Option<&Press<'_>>, awaited: Option<&Awaited>) -> Filled {
        let plan = &self.dialogue.plan;
        let mut filled = Filled::default();
        match press {
            Some(Press::Answer(_)) => return filled,
            Some(Press::Intent { slots, .. }) => {
                for (name, value) in slots {
                    let fitting = plan.slots.get(name).and_then(|slot| slot.fitting(value));
                    self.put(name, fitting.map(|value| self.said(value)), &mut filled);
                }
                return filled;
            }
            None => {}
        }
        let asked = match awaited {
            Some(Awaited::Slot { slot, .. }) => plan.slots.get_key_value(slot.as_str()),
            _ => None,
        };
        let others =
            plan.slots.iter().filter(|(name, _)| asked.is_none_or(|(asked, _)| asked != *name));
        for (name, slot) in asked.into_iter().chain(others) {
            let taken_by_asked = asked.is_some_and(|(asked, compiled)| {
                asked != name && filled.given.contains(asked) && compiled.shares_a_source(slot)
            });
            if !taken_by_asked && let Some(value) = slot.taken(self.message.entities, self.now) {
                self.put(name, value.ok(), &mut filled);
            }
        }
        filled
    }

    /// Returns `value` as said now.
    fn said(&self, value: String) -> SlotValue {
        SlotValue { value, normalised: None, at: self.now }
    }

    /// Puts `value` into the slot `name`; `None` is a value that does not fit.
    fn put(&mut self, name: &str, value: Option<SlotValue>, filled: &mut Filled) {
        let Some(value) = value else {
            filled.rejected.insert(name.to_owned());
            return;
        };
        let content = |of: &SlotValue| (of.value.clone(), of.normalised.clone());
        if self.state.slots.get(name).map(content) != Some(content(&value)) {
            filled.changed.insert(name.to_owned());
        }
        filled.given.insert(name.to_owned());
        self.state.slots.insert(name.to_owned(), value);
    }

    /// Decides a message that answers no question.
    fn fresh(self, press: Option<Press<'_>>) -> Step {
        if let Some(Press::Intent { intent, .. }) = press {
            return self.start(intent);
        }
        if let Some([first, second]) = self.unclear() {
            return self.clarify(first, second);
        }
        self.by_intent()
    }

    /// Starts the intent of the message, or answers that it was not understood.
    fn by_intent(self) -> Step {
        match self.message.intent {
            Some(intent) => self.start(intent),
            None => self.fallback(),
        }
    }

    /// Returns the two likeliest intents, if neither is clearly meant and both have a title.
    fn unclear(&self) -> Option<[&'a str; 2]> {
        let rule = self.dialogue.plan.clarify?;
        let [(first, p), (second, q), ..] = *self.message.ranking else { return None };
        let titled = |intent| self.intent(intent).is_some_and(|steps| !steps.title.is_empty());
        let unclear = p - q < rule.margin && p + q >= rule.least;
        (unclear && first != second && titled(first) && titled(second)).then_some([first, second])
    }

    /// Returns the answer to a question that the message gives: by a button, a word, or an intent that has this meaning.
    fn meaning(&self, press: Option<&Press<'_>>) -> Option<Meaning> {
        if let Some(press) = press {
            return match press {
                Press::Answer(meaning) => Some(*meaning),
                Press::Intent { intent, .. } => self.intent(intent)?.means,
            };
        }
        let words = &self.dialogue.plan.words;
        if words.cancels(self.message.text) {
            return Some(Meaning::Cancel);
        }
        let classified = || {
            let intent = self.message.intent.filter(|_| self.is_clear())?;
            self.intent(intent)?.means
        };
        words.verdict(self.message.text).or_else(classified)
    }

    /// Returns whether the intent of the message may interrupt a question.
    fn is_clear(&self) -> bool {
        self.message.confidence >= self.dialogue.plan.interrupt
    }

    /// Returns the other intent than `current` that the message clearly has.
    fn other(&self, current: &str) -> Option<&'a str> {
        let intent = self.message.intent.filter(|&intent| intent != current && self.is_clear())?;
        let answers = self.intent(intent).is_some_and(|steps| steps.means.is_some());
        (self.dialogue.plan.declared.contains(intent) && !answers).then_some(intent)
    }

    fn cancelled(self, intent: Option<&str>) -> Step {
        let texts = &self.dialogue.plan.sentences.cancelled;
        self.sentence(texts, intent, "cancel".to_owned())
    }

    /// Decides the answer to the question for a slot.
    fn slot_answer(
        mut self,
        (intent, slot, tries): (&str, &str, u32),
        press: Option<Press<'_>>,
        filled: &Filled,
    ) -> Step {
        if self.meaning(press.as_ref()) == Some(Meaning::Cancel) {
            return self.cancelled(Some(intent));
        }
        if let Some(Press::Intent { intent, .. }) = press {
            return self.start(intent);
        }
        let Some(compiled) = self.dialogue.plan.slots.get(slot) else { return self.by_intent() };
        if filled.given.contains(slot) {
            return self.carry_on(intent, false);
        }
        let mut rejected = filled.rejected.contains(slot);
        match compiled.answered(self.message.text) {
            Some(Ok(value)) => {
                let value = self.said(value);
                self.state.slots.insert(slot.to_owned(), value);
                return self.carry_on(intent, false);
            }
            Some(Err(())) => rejected = true,
            None => {}
        }
        if !rejected && let Some(other) = self.other(intent) {
            return self.start(other);
        }
        if !rejected && self.may_digress() {
            if let Some(found) = self.found {
                let mut step = self.ask(intent, slot, tries, false);
                step.branch = format!("knowledge/{slot}");
                return Self::before_question(step, found);
            }
            self.lookup = Some(Lookup::Any);
        }
        if tries < compiled.tries {
            return self.ask(intent, slot, tries.saturating_add(1), rejected);
        }
        let sentences = &self.dialogue.plan.sentences;
        let own = Some(&compiled.give_up).filter(|texts| !texts.is_empty());
        let branch = format!("{intent}/give_up/{slot}");
        if compiled.handoff {
            let texts = own.unwrap_or(&sentences.handed_off);
            return self.hand_off(HandOffReason::SlotNotGiven, Some(intent), texts, branch);
        }
        self.sentence(own.unwrap_or(&sentences.given_up), Some(intent), branch)
    }

    /// Decides the answer to a question for yes or no.
    fn confirmation(
        mut self,
        intent: &str,
        tries: u32,
        press: Option<Press<'_>>,
        filled: &Filled,
    ) -> Step {
        let meaning = self.meaning(press.as_ref());
        if meaning == Some(Meaning::Cancel) {
            return self.cancelled(Some(intent));
        }
        let Some(steps) = self.intent(intent) else { return self.by_intent() };
        if meaning.is_none()
            && let Some(Press::Intent { intent, .. }) = press
        {
            return self.start(intent);
        }
        if steps.needs.iter().any(|need| filled.changed.contains(need)) {
            return self.carry_on(intent, false);
        }
        match meaning {
            Some(Meaning::Yes) => return self.carry_on(intent, true),
            Some(Meaning::No) => return self.declined(intent),
            Some(Meaning::Cancel) | None => {}
        }
        if let Some(other) = self.other(intent) {
            return self.start(other);
        }
        if self.may_digress() {
            if let Some(found) = self.found {
                let mut step = self.confirm(intent, &steps.confirm, tries);
                step.branch = format!("knowledge/{intent}");
                return Self::before_question(step, found);
            }
            self.lookup = Some(Lookup::Any);
        }
        if tries < CONFIRM_TRIES {
            return self.confirm(intent, &steps.confirm, tries.saturating_add(1));
        }
        self.declined(intent)
    }

    fn declined(self, intent: &str) -> Step {
        let own =
            self.intent(intent).map(|steps| &steps.declined).filter(|texts| !texts.is_empty());
        let texts = own.unwrap_or(&self.dialogue.plan.sentences.declined);
        self.sentence(texts, Some(intent), format!("{intent}/declined"))
    }

    /// Decides the answer to the question which of two intents was meant. It is asked once.
    fn clarification(self, both: [&str; 2], press: Option<Press<'_>>) -> Step {
        if let Some(Press::Intent { intent, .. }) = press {
            return self.start(intent);
        }
        if self.dialogue.plan.words.cancels(self.message.text) {
            return self.cancelled(None);
        }
        let titles = both.map(|intent| {
            let titles = self.intent(intent).map(|steps| steps.title.values());
            titles.into_iter().flatten().map(String::as_str)
        });
        if let Some(at) = chosen(self.message.text, titles) {
            return self.start(both[at]);
        }
        match self.message.intent {
            Some(intent) if both.contains(&intent) || self.is_clear() => self.start(intent),
            _ => self.fallback(),
        }
    }

    /// Decides a message while the outcome of an action was not recorded.
    ///
    /// Until its time is over, the action is under way. Then an idempotent one is called again, unless the message clearly has
    /// another intent; the outcome of any other is unknown.
    fn unfinished(mut self, intent: &str, until: DateTime<Utc>, pick: u64) -> Step {
        if self.now < until {
            self.state.awaited = Some(Awaited::Action { intent: intent.to_owned(), until, pick });
            let said = self.say(&self.dialogue.plan.sentences.under_way);
            return self.finish(said, Some(intent), true, None, format!("{intent}/under_way"));
        }
        let action = self.intent(intent).and_then(|steps| steps.action.as_ref());
        if !action.is_some_and(|action| action.idempotent) {
            return self.unknown(intent);
        }
        match self.other(intent) {
            Some(other) => {
                self.fill(None, None);
                self.start(other)
            }
            None => self.call(intent),
        }
    }
}
