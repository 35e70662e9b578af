//! The part of knowledge in one turn: the question is completed, looked up, and perhaps answered by a language model.

use crate::{
    app::App,
    attempt::Attempt,
    knowledge_answer::{AnsweredBy, KnowledgeRecord, Said},
    knowledge_filter::KnowledgeUse,
    problem::{Problem, internal},
    served_knowledge::{FoundPassage, KnowledgeAnswer, LookedUp, Question},
};
use botops_dialogue::Lookup;
use botops_generation::{Finish, GenerationFailure, NO_ANSWER, Passage, Request, Usage};
use botops_knowledge::{
    Filters, Mode, PastQuestion, Source,
    citations::{Checker, Cited, Ending},
    complete,
};
use botops_telemetry::{timed, timed_wait};
use std::time::Instant;

/// The longest quote of a passage that a generated answer cites, in bytes.
const QUOTE_BYTES: usize = 300;

/// The part of knowledge in one turn.
#[derive(Default)]
pub(super) struct TurnKnowledge<'m> {
    uses: KnowledgeUse<'m>,
    /// The last question, where it was looked up, and the outcome.
    asked: Option<(String, Lookup, LookedUp)>,
    /// The answer of a language model to that question.
    written: Option<(String, Written)>,
    /// The tokens and the cost of every answer that was asked for, given or not.
    spent: Option<(Usage, f64)>,
}

/// An answer that a language model wrote, checked.
#[derive(Debug, Clone)]
struct Written {
    text: String,
    sources: Vec<Source>,
}

impl<'m> TurnKnowledge<'m> {
    /// Begins with what the message allows.
    pub(super) fn new(uses: KnowledgeUse<'m>) -> Self {
        Self { uses, ..Self::default() }
    }

    /// Returns the answer of the bases of `lookup` to `text`, which follows the question `before`; `None` if there is none. The
    /// same question is looked up once.
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
        let past = before.map(|text| PastQuestion { text, is_answered: true });
        let question = complete(text, past.as_slice()).question;
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

    /// Returns the answer that a language model may write in other words, if the settings ask for it.
    pub(super) fn to_write<'a>(&'a self, app: &App) -> Option<(&'a str, &'a KnowledgeAnswer)> {
        app.answers.generator.as_ref()?;
        match &self.asked {
            Some((question, _, LookedUp::Answered(answer))) => Some((question, answer)),
            _ => None,
        }
    }

    /// Asks the language model. Where it fails, declines, or writes nothing that the passages support, the quote stands.
    pub(super) async fn write(&mut self, app: &App) {
        let Some(generator) = &app.answers.generator else { return };
        let Some((question, answer)) = self.to_write(app) else { return };
        let question = question.to_owned();
        let passages: Vec<Passage<'_>> = answer.passages.iter().map(given).collect();
        let request = Request {
            question: &question,
            history: &[],
            passages: &passages,
            rules: "",
            language: answer.language.as_deref(),
            now: app.clock.now().into(),
        };
        let begun = Instant::now();
        // A piece is not checked yet, so nobody sees it.
        let mut unseen = |_: &str| {};
        let asked = generator.generate(&request, &mut unseen);
        let outcome = timed_wait("generate", asked).await;
        let metrics = &app.metrics.knowledge;
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
                    match checked(&generated.text, generated.finish, answer) {
                        Some(written) => ("answered", spent, Some(written)),
                        None => ("unsupported", spent, None),
                    }
                }
            }
        };
        metrics.generation(outcome, spent, generator);
        self.spent = Some(spent);
        self.written = written.map(|written| (question, written));
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

fn given(passage: &FoundPassage) -> Passage<'_> {
    let FoundPassage { source, text, .. } = passage;
    Passage { title: &source.title, section: &source.section, text }
}

/// Returns the sentences of `text` that the passages support, with the sources that they cite; `None` if there is none.
///
/// Citations are numbered again: `[1]` is the first of the sources.
fn checked(text: &str, finish: Finish, answer: &KnowledgeAnswer) -> Option<Written> {
    let headings: Vec<String> = answer
        .passages
        .iter()
        .map(|passage| format!("{} {}", passage.source.title, passage.source.section))
        .collect();
    let cited: Vec<Cited<'_>> = answer
        .passages
        .iter()
        .zip(&headings)
        .map(|(passage, heading)| Cited { heading, text: &passage.text })
        .collect();
    let mut checker = Checker::new(&cited, answer.language.as_deref());
    let mut sentences = checker.push(text);
    let ending = match finish {
        Finish::Stop => Ending::Complete,
        Finish::Length => Ending::Cut,
    };
    sentences.extend(checker.finish(ending).sentences);
    let mut numbers: Vec<u32> = Vec::new();
    for number in sentences.iter().flat_map(|sentence| &sentence.passages) {
        if !numbers.contains(number) {
            numbers.push(*number);
        }
    }
    let sources: Vec<Source> = numbers
        .iter()
        .filter_map(|number| answer.passages.get((*number as usize).checked_sub(1)?))
        .map(|passage| source_of(passage, answer))
        .collect();
    let texts: Vec<String> =
        sentences.iter().map(|sentence| renumbered(sentence.text.trim(), &numbers)).collect();
    (!texts.is_empty()).then(|| Written { text: texts.join(" "), sources })
}

/// Returns the source of a cited passage, with the quote that was chosen in it, else its beginning.
fn source_of(passage: &FoundPassage, answer: &KnowledgeAnswer) -> Source {
    let chosen = answer.sources.iter().find(|source| source.chunk == passage.source.chunk);
    let quote = match chosen {
        Some(source) => source.quote.clone(),
        None => beginning(&passage.text).to_owned(),
    };
    Source { quote, ..passage.source.clone() }
}

/// Returns `sentence` with each number of its citations, such as `[3]` or `[1, 3]`, replaced by its place in `numbers`, from 1.
fn renumbered(sentence: &str, numbers: &[u32]) -> String {
    let mut out = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some(begin) = rest.find('[') {
        let (before, from) = rest.split_at(begin);
        out.push_str(before);
        let inside = from[1..].split_once(']');
        let places = inside.and_then(|(inside, _)| {
            let place = |number: &str| {
                let number: u32 = number.trim().parse().ok()?;
                numbers.iter().position(|it| *it == number).map(|at| (at + 1).to_string())
            };
            inside.split(',').map(place).collect::<Option<Vec<_>>>()
        });
        match (places, inside) {
            (Some(places), Some((_, after))) => {
                out.push_str(&format!("[{}]", places.join(", ")));
                rest = after;
            }
            _ => {
                out.push('[');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

#[test]
fn citations_are_numbered_by_the_sources_that_are_shown() {
    assert_eq!(renumbered("It is so. [3] [1, 3]", &[3, 1]), "It is so. [1] [2, 1]");
    assert_eq!(renumbered("See [above] and [", &[3]), "See [above] and [");
    assert_eq!(renumbered("A [7].", &[3]), "A [7].");
}
/// Returns the beginning of a text, of at most [`QUOTE_BYTES`].
fn beginning(text: &str) -> &str {
    let fits = |(at, c): (usize, char)| Some(at + c.len_utf8()).filter(|end| *end <= QUOTE_BYTES);
    let end = text.char_indices().map_while(fits).last();
    &text[..end.unwrap_or(0)]
}
