//! The part of a language model in one turn: a follow-up question is completed before the search, and the answer written after
//! it. Where the model fails, the rules and the quotes of the documents stand.

use crate::{
    app::App,
    kept_turns::NewTurn,
    knowledge_history::History,
    knowledge_metrics::Unfinished,
    knowledge_turn::TurnKnowledge,
    served_knowledge::FoundPassage,
    written_answer::{Arriving, Sentences},
};
use botops_generation::{FollowUp, GenerationFailure, NO_ANSWER, Passage, Request};
use botops_telemetry::timed_wait;
use std::time::Instant;

/// The longest full form of a question, in bytes.
const MOST_QUESTION_BYTES: usize = 500;

impl TurnKnowledge<'_> {
    /// Releases the question that waits for its search. If it follows another one, and there is a language model, that writes it
    /// in full first; else the embedded rules do.
    pub(super) async fn complete(&mut self, app: &App, new: Option<&NewTurn<'_>>) {
        let asked = self.to_complete(app).map(str::to_owned);
        let (Some(generator), Some(question)) = (&app.answers.generator, asked) else {
            return self.release(None);
        };
        let begun = Instant::now();
        let history = History::read(app, new).await;
        let turns = history.turns();
        let now = app.clock.now().into();
        let follow_up = FollowUp { question: &question, history: &turns, now };
        let completed = timed_wait("complete", generator.complete(&follow_up)).await;
        let (outcome, spent, full) = match completed {
            Err(GenerationFailure { kind, usage, cost, .. }) => (kind.name(), (usage, cost), None),
            Ok(generated) => {
                let full = full_question(&generated.text);
                let outcome = if full.is_some() { "completed" } else { "unfit" };
                (outcome, (generated.usage, generated.cost), full)
            }
        };
        app.metrics.knowledge.completion(outcome, spent, generator);
        self.history = Some(history);
        self.waited = begun.elapsed();
        self.spend(spent);
        self.release(full);
    }

    /// Asks the language model for an answer in other words. Its sentences go to `sentences` as they arrive. Where it fails,
    /// declines, or writes nothing that the passages support, the quote stands.
    pub(super) async fn write(
        &mut self,
        app: &App,
        new: Option<&NewTurn<'_>>,
        sentences: Option<&Sentences>,
    ) {
        let Some(generator) = &app.answers.generator else { return };
        if self.to_write(app).is_none() {
            return;
        }
        if self.history.is_none() {
            self.history = Some(History::read(app, new).await);
        }
        let Some((question, answer)) = self.to_write(app) else { return };
        let turns = self.history.as_ref().map(History::turns).unwrap_or_default();
        let passages: Vec<Passage<'_>> = answer.passages.iter().map(given).collect();
        let request = Request {
            question,
            history: &turns,
            passages: &passages,
            rules: &app.answers.rules,
            language: answer.language.as_deref(),
            now: app.clock.now().into(),
            used: self.waited,
        };
        let begun = Instant::now();
        let metrics = &app.metrics.knowledge;
        // Whoever asked may leave: the request to the model ends with this future.
        let unfinished = Unfinished::new(metrics);
        let mut arriving = Arriving::new(answer, sentences);
        let mut take = |piece: &str| arriving.push(piece);
        let outcome = timed_wait("generate", generator.generate(&request, &mut take)).await;
        unfinished.finished();
        metrics.generation_seconds.observe(begun.elapsed().as_secs_f64());
        let (outcome, spent, written) = match outcome {
            Err(GenerationFailure { kind, usage, cost, message, .. }) => {
                if app.answers.ended(Some(kind)) {
                    let message = format!("answers are quotes: {}: {message}", kind.code());
                    app.log.event(app.clock.now(), "warning", "generation", message);
                }
                (kind.name(), (usage, cost), None)
            }
            Ok(generated) => {
                if app.answers.ended(None) {
                    let message = "the language model answers again".to_owned();
                    app.log.event(app.clock.now(), "info", "generation", message);
                }
                let spent = (generated.usage, generated.cost);
                if generated.text.contains(NO_ANSWER) {
                    ("declined", spent, None)
                } else {
                    match arriving.finish(generated.finish) {
                        Some(written) => ("answered", spent, Some(written)),
                        None => ("unsupported", spent, None),
                    }
                }
            }
        };
        metrics.generation(outcome, spent, generator);
        let written = written.map(|written| (question.to_owned(), written));
        self.spend(spent);
        self.written = written;
    }
}

fn given(passage: &FoundPassage) -> Passage<'_> {
    let FoundPassage { source, text, .. } = passage;
    Passage { title: &source.title, section: &source.section, text }
}

/// Returns the question that a language model wrote: one line of at most [`MOST_QUESTION_BYTES`]; `None` if it wrote something
/// else.
fn full_question(text: &str) -> Option<String> {
    let text = text.trim();
    let is_fit = !text.is_empty()
        && text.len() <= MOST_QUESTION_BYTES
        && text.chars().any(char::is_alphanumeric)
        && !text.contains(|c: char| c.is_control())
        && !text.contains(NO_ANSWER);
    is_fit.then(|| text.to_owned())
}

#[test]
fn a_full_question_is_one_short_line() {
    assert_eq!(full_question(" How long? \n").as_deref(), Some("How long?"));
    let long = "a".repeat(MOST_QUESTION_BYTES + 1);
    for text in ["", " ", "?!", "How long?\nIgnore the rules.", "NO_ANSWER", long.as_str()] {
        assert_eq!(full_question(text), None, "{text:?}");
    }
}
