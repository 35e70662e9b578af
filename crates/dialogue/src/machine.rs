//! The turns of a conversation: each takes the state and a message, and decides one step.

use crate::{
    dialogue::Dialogue,
    state::{Awaited, DialogueState},
    step::{ActionCall, ActionOutcome, Found, Lookup, Reply, Step, Understood},
    texts::LAST_LANGUAGE,
    turn::Turn,
};
use chrono::{DateTime, Utc};

impl Dialogue {
    /// Returns whether every answer depends on its message alone: the dialogue has no slots, steps of intents,
    /// clarification, hand-off, variants or buttons.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plan.plain
    }

    /// Decides the answer to one message, and the state after it.
    ///
    /// `now` is the time of the message. `seed` is the same for all turns of a conversation, such as its id; it chooses
    /// among the variants of a response. The same arguments give the same step. A plain dialogue leaves the state as it is.
    ///
    /// While the bot awaits an answer:
    ///
    /// - a word such as `cancel` drops the question
    /// - a button of another intent, or another intent with a confidence of at least `interrupt` (0.9), drops the question
    ///   and goes on there; slots are kept
    /// - a message with a value for the slot is the answer, whatever its intent
    /// - a value that a confirmation showed and the message changes is confirmed again
    /// - after the last try, the slot is given up, or nothing is done
    ///
    /// A payload that names no intent of the dialogue is skipped: the text counts.
    #[must_use]
    pub fn turn(
        &self,
        state: &DialogueState,
        message: &Understood<'_>,
        now: DateTime<Utc>,
        seed: &str,
    ) -> Step {
        self.turn_with(state, message, (now, seed), None)
    }

    /// Decides the answer to one message as [`Self::turn`] does, with the answer that was `found` where the step of the same
    /// arguments asked for it. Without such a question, it is not used.
    ///
    /// - a message that no intent claims gets the answer instead of the fallback, and counts as understood
    /// - an intent with `answer_from` gets it instead of its response
    /// - while a slot or a confirmation is awaited, a message that does not fit and that no intent claims gets it before the
    ///   same question, which does not count as asked again
    #[must_use]
    pub fn turn_with(
        &self,
        state: &DialogueState,
        message: &Understood<'_>,
        (now, seed): (DateTime<Utc>, &str),
        found: Option<&Found<'_>>,
    ) -> Step {
        if self.is_plain() {
            return self.alone(state, message, found);
        }
        let turn = Turn::begin((self, found), state, message, now, seed);
        if turn.state.handed_off.is_some() {
            let said = turn.say(&self.plan.sentences.waiting);
            return turn.finish(said, message.intent, true, None, "handed_off".to_owned());
        }
        turn.decide()
    }

    /// Decides the answer after the call of an action, from the state that was stored before the call.
    ///
    /// A state that awaits no action is left as it is, without an answer.
    #[must_use]
    pub fn after_call(
        &self,
        state: &DialogueState,
        outcome: &ActionOutcome,
        now: DateTime<Utc>,
    ) -> Step {
        let awaited = state.awaited.as_ref().filter(|awaited| self.is_declared(awaited));
        let Some(Awaited::Action { intent, pick, .. }) = awaited else {
            let branch = "no_action".to_owned();
            let (state, reply) = (state.clone(), Reply::default());
            return Step { state, reply, effect: None, lookup: None, branch };
        };
        let message = Understood {
            text: "",
            intent: None,
            confidence: 0.0,
            ranking: &[],
            entities: &[],
            language: None,
            guessed: false,
            button: None,
        };
        let mut state = state.clone();
        state.awaited = None;
        let mut turn = Turn {
            dialogue: self,
            message: &message,
            state,
            now,
            pick: *pick,
            action: None,
            found: None,
            lookup: None,
        };
        match outcome {
            ActionOutcome::Answered(json) => {
                turn.action = Some(json);
                turn.respond(intent)
            }
            ActionOutcome::Refused { .. } => turn.refused(intent),
            ActionOutcome::Failed => turn.failed(intent),
            ActionOutcome::Unknown => turn.unknown(intent),
        }
    }

    /// Returns the call that `state` awaits the outcome of, as it was made; `None` if it awaits none.
    ///
    /// A server that stopped between the call and its outcome repeats an idempotent call under the same key, and passes
    /// [`ActionOutcome::Unknown`] for any other.
    #[must_use]
    pub fn pending_call(&self, state: &DialogueState) -> Option<ActionCall> {
        let Some(Awaited::Action { intent, .. }) = &state.awaited else { return None };
        let action = self.plan.intents.get(intent)?.action.as_ref()?;
        action.call(intent, &state.slots)
    }

    /// Returns whether the intent, the slot and the action of `awaited` are declared: the dialogue may have changed since
    /// it was stored.
    pub(crate) fn is_declared(&self, awaited: &Awaited) -> bool {
        let steps = |intent: &str| self.plan.intents.get(intent);
        match awaited {
            Awaited::Slot { intent, slot, .. } => {
                let needed = |need: &String| need == slot && self.plan.slots.contains_key(need);
                steps(intent).is_some_and(|steps| steps.needs.iter().any(needed))
            }
            Awaited::Confirmation { intent, .. } => {
                steps(intent).is_some_and(|steps| !steps.confirm.is_empty())
            }
            Awaited::Clarification { first, second } => {
                [first, second].iter().all(|&intent| self.plan.declared.contains(intent))
            }
            Awaited::Action { intent, .. } => {
                steps(intent).is_some_and(|steps| steps.action.is_some())
            }
        }
    }

    /// Answers a message by itself.
    fn alone(
        &self,
        state: &DialogueState,
        message: &Understood<'_>,
        found: Option<&Found<'_>>,
    ) -> Step {
        let is_unclaimed = message.intent.is_none();
        let (answer, branch) = match (message.intent, found) {
            (None, Some(found)) => {
                let language = found.language.or(message.language).unwrap_or(LAST_LANGUAGE);
                (Some((found.text.to_owned(), language.to_owned())), "knowledge".to_owned())
            }
            (intent, _) => {
                let branch = match intent {
                    None => "fallback".to_owned(),
                    Some(intent) if self.plan.declared.contains(intent) => {
                        format!("{intent}/respond")
                    }
                    Some(_) => "no_response".to_owned(),
                };
                (self.respond(intent, message.language, message.entities), branch)
            }
        };
        let (text, language) = answer.unzip();
        let reply = Reply {
            text,
            language,
            buttons: Vec::new(),
            intent: message.intent.map(str::to_owned),
            understood: !is_unclaimed || found.is_some(),
        };
        let lookup = is_unclaimed.then_some(Lookup::Any);
        Step { state: state.clone(), reply, effect: None, lookup, branch }
    }
}
