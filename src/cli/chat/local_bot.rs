//! A model in this process: the same turns as on a server, without calls to other systems.

use super::{
    arguments::Args,
    message::Message,
    turn::{Ranked, Turn},
};
use crate::cli::{
    arguments::model_arg::Found,
    session::{context::Context, knowledge_files, provenance},
};
use botops_dialogue::{
    ActionOutcome, Dialogue, DialogueState, Effect, Lookup, Moment, Step, Understood,
};
use botops_findings::Result;
use botops_serving::{self as serving, LocalAnswer, LocalKnowledge};
use botops_text::{Language, LanguageGuesser};
use botops_workspace::AnswerMode;
use chrono::{DateTime, Utc};

/// The id of a conversation without `--conversation`.
const UNNAMED: &str = "terminal";
/// The intents that an explanation names.
const RANKED: usize = 5;

/// A model and the state of its conversation.
pub(super) struct LocalBot {
    found: Found,
    dialogue: Dialogue,
    knowledge: LocalKnowledge,
    /// Whether a language model would write the answers of a server.
    is_rewritten: bool,
    guesser: Option<LanguageGuesser>,
    language: Option<String>,
    conversation: String,
    state: DialogueState,
}

impl LocalBot {
    /// Begins a conversation with a model, and reads its knowledge.
    ///
    /// # Errors
    /// Those of its dialogue, of the registry and of the knowledge; `BOT-1003` (exit 2) `--knowledge` stands beside a version.
    pub(super) fn open(args: &Args, found: Found, context: &Context) -> Result<Self> {
        let files = match &found.version {
            None => knowledge_files::read(&args.knowledge)?,
            Some(_) if !args.knowledge.is_empty() => {
                return Err(knowledge_files::beside_a_version(&found.name));
            }
            Some(version) => {
                let registry = context.registry()?;
                context.wait(serving::knowledge_files(&registry, version))??
            }
        };
        let rules = &context.workspace()?.knowledge.value;
        let knowledge = LocalKnowledge::read(rules, &files, &found.model)?;
        let dialogue = Dialogue::compile(found.model.dialogue())?;
        let languages = dialogue.languages();
        let guesser = (languages.len() > 1).then(|| LanguageGuesser::among(languages));
        Ok(Self {
            guesser,
            dialogue,
            knowledge,
            is_rewritten: matches!(rules.answer, AnswerMode::Generated),
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
        let (step, said) = self.decide(&understood, now)?;
        let (step, mut notes) = self.without_calls(step, now);
        if said.is_some() && self.is_rewritten {
            notes.push(
                "a server would let a language model write this answer from its sources".to_owned(),
            );
        }
        let answered_by = said.is_some().then(|| "knowledge".to_owned());
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
            sources: said.map(|said| said.sources).unwrap_or_default(),
            answered_by,
            ..Turn::default()
        };
        self.state = step.state;
        Ok(turn)
    }

    /// Decides the answer to a message, from knowledge where the dialogue asks for it.
    ///
    /// # Errors
    /// `BOT-6018` (exit 1) the search panicked.
    fn decide(
        &self,
        understood: &Understood<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Step, Option<LocalAnswer>)> {
        let turn = |found: Option<&botops_dialogue::Found<'_>>| {
            self.dialogue.turn_with(&self.state, understood, (now, &self.conversation), found)
        };
        let step = turn(None);
        let said = match &step.lookup {
            Some(lookup) if understood.button.is_none() || !matches!(lookup, Lookup::Any) => {
                let before = self.state.question.as_deref();
                self.knowledge.answer(lookup, understood.text, before)?
            }
            _ => None,
        };
        let Some(said) = said else { return Ok((step, None)) };
        let LocalAnswer { text, language, question, .. } = &said;
        let found = botops_dialogue::Found { text, language: language.as_deref(), question };
        Ok((turn(Some(&found)), Some(said)))
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
