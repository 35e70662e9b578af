//! The part of knowledge in one turn: the question is completed, looked up, and perhaps answered by a language model.

use crate::{
    app::App,
    attempt::Attempt,
    exchange::SHORT_BYTES,
    knowledge_answer::{AnsweredBy, KnowledgeRecord, Said},
    knowledge_filter::KnowledgeUse,
    knowledge_history::History,
    problem::{Problem, internal},
    served_knowledge::{KnowledgeAnswer, LookedUp, Question},
    speed::Speed,
    written_answer::Written,
};
use botops_dialogue::Lookup;
use botops_generation::Usage;
use botops_knowledge::{Filters, Mode, PastQuestion, Source, complete};
use botops_telemetry::timed;
use std::time::{Duration, Instant};

/// The part of knowledge in one turn.
#[derive(Default)]
pub(super) struct TurnKnowledge<'m> {
    uses: KnowledgeUse<'m>,
    search: Search,
    /// The question that waits for its search.
    noted: Option<Asked>,
    /// The question that a language model completed, and its full form.
    completed: Option<(Asked, String)>,
    /// The end of the conversation, once it was read.
    pub(super) history: Option<History>,
    /// The last question, where it was looked up, and the outcome.
    asked: Option<(String, Lookup, LookedUp)>,
    /// The answer of a language model to that question.
    pub(super) written: Option<(String, Written)>,
    /// The tokens and the cost of every answer that was asked for, given or not.
    spent: Option<(Usage, f64)>,
    /// The time that a language model took before the search.
    pub(super) waited: Duration,
}

/// When a question is searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Search {
    /// At once: the search is cheap.
    #[default]
    Now,
    /// When there is a turn for it. Until then, the question is noted.
    InTurn,
    /// At once if no language model may complete the question first.
    UnlessFollowUp,
}

/// A question, as the person asked it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    text: String,
    /// The last question that was answered.
    before: Option<String>,
}

impl<'m> TurnKnowledge<'m> {
    /// Begins with what the message allows. A search that costs more than a short message waits for its turn, so that only
    /// messages that reach the documents do.
    pub(super) fn new(attempt: &Attempt<'_>, uses: KnowledgeUse<'m>) -> Self {
        let (served, app) = (attempt.choice.served, attempt.exchange.app);
        let search = match served.knowledge.speed() {
            Speed::Fast if served.knowledge.cost_in_bytes() > SHORT_BYTES => Search::InTurn,
            Speed::Fast if app.answers.generator.is_some() => Search::UnlessFollowUp,
            Speed::Fast => Search::Now,
            Speed::Slow => Search::InTurn,
        };
        Self { uses, search, ..Self::default() }
    }

    /// Returns whether a question waits for its search.
    pub(super) fn is_waiting(&self) -> bool {
        self.noted.is_some()
    }

    /// Returns the question that waits, if a language model may complete it from the conversation.
    pub(super) fn to_complete(&self, app: &App) -> Option<&str> {
        app.answers.generator.as_ref()?;
        let asked = self.noted.as_ref().filter(|asked| asked.before.is_some())?;
        Some(&asked.text)
    }

    /// Lets the question that waits be searched, in its full form if a language model wrote it.
    pub(super) fn release(&mut self, completed: Option<String>) {
        self.search = Search::Now;
        self.completed = self.noted.take().zip(completed);
    }

    /// Adds what a language model cost.
    pub(super) fn spend(&mut self, (usage, cost): (Usage, f64)) {
        let (before, cost_before) = self.spent.unwrap_or_default();
        let usage = Usage {
            tokens_in: before.tokens_in.saturating_add(usage.tokens_in),
            tokens_out: before.tokens_out.saturating_add(usage.tokens_out),
            is_reported: usage.is_reported,
        };
        self.spent = Some((usage, cost_before + cost));
    }

    /// Returns the answer of the bases of `lookup` to `text`, which follows the question `before`; `None` if there is none. The
    /// same question is looked up once. While it waits for its turn, it is noted and there is none.
    ///
    /// # Errors
    /// `BOT-6018` (500) the search panicked.
    pub(super) fn find(
        &mut self,
        attempt: &Attempt<'_>,
        lookup: &Lookup,
        (text, before): (&str, Option<&str>),
    ) -> Result<Option<Said>, Problem> {
        let knowledge = &attempt.choice.served.knowledge;
        if knowledge.is_empty() || matches!(self.uses, KnowledgeUse::Never) {
            return Ok(None);
        }
        let waits = match self.search {
            Search::Now => false,
            Search::InTurn => true,
            Search::UnlessFollowUp => before.is_some(),
        };
        if waits {
            let before = before.map(str::to_owned);
            self.noted = Some(Asked { text: text.to_owned(), before });
            return Ok(None);
        }
        let question = match &self.completed {
            Some((of, full)) if of.text == text && of.before.as_deref() == before => full.clone(),
            _ => {
                let past = before.map(|text| PastQuestion { text, is_answered: true });
                complete(text, past.as_slice()).question
            }
        };
        let is_known =
            self.asked.as_ref().is_some_and(|(asked, at, _)| *asked == question && at == lookup);
        if !is_known {
            let found = self.look_up(attempt, lookup, &question)?;
            self.asked = Some((question, lookup.clone(), found));
        }
        let Some((question, _, LookedUp::Answered(answer))) = &self.asked else { return Ok(None) };
        let (text, sources, by) = match &self.written {
            Some((of, written)) if of == question => {
                (&written.text, &written.sources, AnsweredBy::Generated)
            }
            _ => (&answer.text, &answer.sources, AnsweredBy::Knowledge),
        };
        Ok(Some(Said {
            text: text.clone(),
            language: answer.language.clone(),
            question: question.clone(),
            sources: sources.clone(),
            by,
        }))
    }

    fn look_up(
        &self,
        attempt: &Attempt<'_>,
        lookup: &Lookup,
        question: &str,
    ) -> Result<LookedUp, Problem> {
        let (exchange, app) = (attempt.exchange, attempt.exchange.app);
        let filters = Filters {
            metadata: self.uses.metadata().clone(),
            access: app.answers.access_of(exchange.caller),
        };
        let question = Question {
            text: question,
            filters: &filters,
            k: app.answers.top_k,
            mode: Mode::Hybrid,
        };
        let begun = Instant::now();
        let search = || {
            let knowledge = &attempt.choice.served.knowledge;
            knowledge.answer(lookup, &question, app.answers.min_confidence)
        };
        let found = timed("knowledge", search).map_err(|_| Problem::from(internal()))?;
        let metrics = &app.metrics.knowledge;
        metrics.seconds.observe(begun.elapsed().as_secs_f64());
        match &found {
            LookedUp::Answered(_) => metrics.answered.inc(),
            LookedUp::Abstained(_) => metrics.abstained.inc(),
        };
        Ok(found)
    }

    /// Returns the question and the answer that a language model may write in other words, if the settings ask for it.
    pub(super) fn to_write<'a>(&'a self, app: &App) -> Option<(&'a str, &'a KnowledgeAnswer)> {
        app.answers.generator.as_ref()?;
        match &self.asked {
            Some((question, _, LookedUp::Answered(answer))) => Some((question, answer)),
            _ => None,
        }
    }

    /// Returns the facts for the prediction log; `sources` are those of the answer that was given.
    pub(super) fn record(&self, sources: &[Source]) -> KnowledgeRecord {
        let (base, confidence) = match &self.asked {
            None => (None, None),
            Some((_, _, LookedUp::Abstained(confidence))) => (None, Some(*confidence)),
            Some((_, _, LookedUp::Answered(answer))) => {
                (Some(answer.base.clone()), Some(answer.confidence))
            }
        };
        KnowledgeRecord {
            answered_from: base.filter(|_| !sources.is_empty()),
            chunks: sources.iter().map(|source| source.chunk.clone()).collect(),
            confidence,
            tokens: self.spent.map(|(usage, _)| usage.tokens()),
            cost: self.spent.map(|(_, cost)| cost),
        }
    }
}
