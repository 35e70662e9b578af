//! The turns of a conversation: each takes the state and a message, and decides one step.

use crate::{
    dialogue::Dialogue,
    state::DialogueState,
    step::{ActionOutcome, Reply, Step, Understood},
};
use chrono::{DateTime, Utc};

impl Dialogue {
    /// Returns whether every answer depends on its message alone: the dialogue has no slots, questions, actions, buttons,
    /// variants or hand-off.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        true
    }

    /// Decides the answer to one message, and the state after it.
    ///
    /// `now` is the time of the message. `seed` is the same for all turns of a conversation, such as its id; it chooses
    /// among the variants of a response. The same arguments give the same step.
    #[must_use]
    pub fn turn(
        &self,
        state: &DialogueState,
        message: &Understood<'_>,
        _now: DateTime<Utc>,
        _seed: &str,
    ) -> Step {
        let answer = self.respond(message.intent, message.language, message.entities);
        let (text, language) = answer.unzip();
        let branch =
            message.intent.map_or_else(|| "fallback".to_owned(), |i| format!("{i}/respond"));
        let reply = Reply {
            text,
            language,
            buttons: Vec::new(),
            intent: message.intent.map(str::to_owned),
            understood: message.intent.is_some(),
        };
        Step { state: state.clone(), reply, effect: None, branch }
    }

    /// Decides the answer after the call of an action, from the state that was stored before the call.
    ///
    /// A state that awaits no action is left as it is, without an answer.
    #[must_use]
    pub fn after_call(
        &self,
        state: &DialogueState,
        _outcome: &ActionOutcome,
        _now: DateTime<Utc>,
    ) -> Step {
        let branch = "no_action".to_owned();
        Step { state: state.clone(), reply: Reply::default(), effect: None, branch }
    }
}
