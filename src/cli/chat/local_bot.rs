//! A model in this process: the same turns as on a server, without calls to other systems.

use super::{
    arguments::Args,
    message::Message,
    turn::{Ranked, Turn},
};
use crate::cli::{arguments::model_arg::Found, session::provenance};
use botops_dialogue::{ActionOutcome, Dialogue, DialogueState, Effect, Moment, Step, Understood};
use botops_findings::Result;
use botops_text::{Language, LanguageGuesser};
use chrono::{DateTime, Utc};

/// The id of a conversation without `--conversation`.
const UNNAMED: &str = "terminal";
/// The intents that an explanation names.
const RANKED: usize = 5;

/// A model and the state of its conversation.
pub(super) struct LocalBot {
    found: Found,
    dialogue: Dialogue,
    guesser: Option<LanguageGuesser>,
    language: Option<String>,
    conversation: String,
    state: DialogueState,
}

impl LocalBot {
    /// Begins a conversation with a model.
    ///
    /// # Errors
    /// Those of its dialogue.
    pub(super) fn new(args: &Args, found: Found) -> Result<Self> {
        let dialogue = Dialogue::compile(found.model.dialogue())?;
        let languages = dialogue.languages();
        let guesser = (languages.len() > 1).then(|| LanguageGuesser::among(languages));
        Ok(Self {
            guesser,
            dialogue,
            language: args.language.clone(),
            conversation: args.conversation.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            state: DialogueState::default(),
            found,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.found.name
    }

    pub(super) fn conversation(&self) -> &str {
        &self.conversation
    }

    pub(super) fn restart(&mut self) {
        self.state = DialogueState::default();
    }

    /// Answers a message.
    ///
    /// # Errors
    /// `BOT-1004` (exit 2) the time cannot be read.
    pub(super) fn answer(&mut self, message: &Message<'_>) -> Result<Turn> {
        let (text, now) = (message.text, provenance::now()?);
        let model = &self.found.model;
        let labels = model.labels();
        let (predictions, proba) = model.predict_many(&[text]);
        let (prediction, proba) = (&predictions[0], &proba[0]);
        let ranking: Vec<(&str, f64)> = prediction
            .likeliest(proba, labels.len())
            .into_iter()
            .map(|index| (labels.name(index), proba[index]))
            .collect();
        let intent = labels.name(prediction.intent);
        let language = match &self.language {
            Some(language) => Some(Language::Declared(language)),
            None => self.guesser.as_ref().and_then(|it| it.guess(text)).map(Language::Guessed),
        };
        let tag = language.map(Language::tag);
        let entities = self.dialogue.entities(text, &Moment::new(now, tag), model.tag(text));
        let understood = Understood {
            text,
            intent: (!prediction.fallback).then_some(intent),
            confidence: prediction.confidence,
            ranking: &ranking,
            entities: &entities,
            language: tag,
            guessed: self.language.is_none(),
            button: message.button,
        };
        let step = self.dialogue.turn(&self.state, &understood, now, &self.conversation);
        let (step, notes) = self.without_calls(step, now);
        let ranked = ranking
            .iter()
            .take(RANKED)
            .map(|&(intent, probability)| Ranked { intent: intent.to_owned(), probability });
        let turn = Turn {
            text: text.to_owned(),
            button: message.button.map(str::to_owned),
            intent: intent.to_owned(),
            confidence: prediction.confidence,
            fallback: !step.reply.understood,
            ranking: ranked.collect(),
            response: step.reply.text,
            language: step.reply.language,
            buttons: step.reply.buttons,
            slots: (step.state.slot_values().into_iter())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            state: step.state.name().map(str::to_owned),
            branch: Some(step.branch),
            entities,
            notes,
            ..Turn::default()
        };
        self.state = step.state;
        Ok(turn)
    }

    /// Goes on after a step that calls another system, as if the call had failed: nothing leaves this machine. Returns the
    /// last step, and a note on each call.
    fn without_calls(&self, mut step: Step, now: DateTime<Utc>) -> (Step, Vec<String>) {
        let mut notes = Vec::new();
        // A call is followed by its answer, and that by a hand-off at most.
        for _ in 0..2 {
            match step.effect.take() {
                None => break,
                Some(Effect::Call(call)) => {
                    notes.push(format!(
                        "a server would call {} {} for `{}`; it is not called from here, so the action counts as failed",
                        call.method.as_str(),
                        call.url,
                        call.action,
                    ));
                    step = self.dialogue.after_call(&step.state, &ActionOutcome::Failed, now);
                }
                Some(Effect::HandOff(call)) => {
                    let to = call.webhook.as_deref().unwrap_or("nobody: no webhook is set");
                    let reason = call.reason.as_str();
                    notes.push(format!("a server would hand this conversation to a person ({reason}), and tell {to}"));
                }
            }
        }
        (step, notes)
    }
}
