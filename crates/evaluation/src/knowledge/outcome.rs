//! The outcome of one question: the ranks of its passages, and its answer.

use super::{
    answer_text::{exact_match, normalized, token_f1},
    question::{Question, QuestionSet},
};

/// The passages that count: a later one is as good as none.
pub(super) const DEPTH: usize = 10;

/// The least token F1 of a right answer whose quote does not hold an accepted answer.
const RIGHT_F1: f64 = 0.5;

/// A passage that retrieval found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The id of its document.
    pub document: String,
    /// The id of the passage.
    pub chunk: String,
    /// Its text.
    pub text: String,
}

/// The passages and the answer of one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The passages, best first.
    pub found: Vec<Found>,
    /// The words that are the answer, also of an answer that is not given; empty if there is none.
    pub answer: String,
    /// The sentence around the answer, as it stands in the document.
    pub quote: String,
    /// The id of the passage of the quote.
    pub chunk: Option<String>,
    /// The probability that the answer is right.
    pub confidence: f64,
    /// Whether the answer is given.
    pub is_answered: bool,
}

/// Finds the passages of a question and answers it: a loaded index.
pub trait Answerer {
    /// Answers `question`. The same question gets the same answer.
    fn ask(&mut self, question: &Question) -> Asked;
}

/// The outcome of one question.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionOutcome {
    /// The number of the question in its set, from 0.
    pub question: usize,
    /// The ranks, from 0, of the first passage of each place that answers the question, rising; those within the first 10.
    pub ranks: Vec<usize>,
    /// The number of places that answer the question; 0 if they are not known.
    pub n_places: usize,
    /// Whether the answer given is an accepted one; an abstention is the empty answer.
    pub exact: bool,
    /// The token F1 of the answer given.
    pub f1: f64,
    /// Whether an answer is given.
    pub is_answered: bool,
    /// Whether the answer, given or not, is wrong: the question has none, or its quote holds no accepted answer and its F1 is
    /// below 0.5; without accepted answers, its passage is not of a place that answers.
    pub is_wrong: bool,
    /// The probability that the answer is right.
    pub confidence: f64,
    /// The answer, also of one that is not given.
    pub answer: String,
    /// The document of the first passage.
    pub first: Option<String>,
}

impl QuestionOutcome {
    /// Returns whether a passage that answers is among the first `k`.
    #[must_use]
    pub fn is_found(&self, k: usize) -> bool {
        self.ranks.first().is_some_and(|rank| *rank < k)
    }
}

/// Asks every question of the set, in its order.
pub fn ask_all(set: &QuestionSet, answerer: &mut impl Answerer) -> Vec<QuestionOutcome> {
    let ask = |(at, question): (usize, &Question)| judge(at, question, &answerer.ask(question));
    set.questions.iter().enumerate().map(ask).collect()
}

/// Judges the answer of one question.
pub(super) fn judge(at: usize, question: &Question, asked: &Asked) -> QuestionOutcome {
    let language = question.language.as_deref();
    let places = places(question);
    let mut ranks = Vec::new();
    if question.has_place() {
        let context = question.context.as_deref().map(squeezed);
        let shown = &asked.found[..asked.found.len().min(DEPTH)];
        for place in &places {
            ranks.extend(shown.iter().position(|found| is_at(*place, found, context.as_deref())));
        }
        ranks.sort_unstable();
        // A passage that is in several places counts for one of them.
        ranks.dedup();
    }
    let given = if asked.is_answered { asked.answer.as_str() } else { "" };
    QuestionOutcome {
        question: at,
        ranks,
        n_places: if question.has_place() { places.len() } else { 0 },
        exact: exact_match(given, &question.answers, language),
        f1: token_f1(given, &question.answers, language),
        is_answered: asked.is_answered,
        is_wrong: !is_right(question, asked, &places),
        confidence: asked.confidence,
        answer: asked.answer.clone(),
        first: asked.found.first().map(|found| found.document.clone()),
    }
}

/// A place that answers a question.
#[derive(Clone, Copy)]
enum At<'a> {
    Document(&'a str),
    Chunk(&'a str),
    Context,
}

/// Returns the places of a question, each once: its chunks, else its documents, else its context.
fn places(question: &Question) -> Vec<At<'_>> {
    let each = |values: &'_ [String]| -> Vec<usize> {
        (0..values.len()).filter(|at| !values[..*at].contains(&values[*at])).collect()
    };
    if !question.chunks.is_empty() {
        return each(&question.chunks).iter().map(|&at| At::Chunk(&question.chunks[at])).collect();
    }
    if !question.documents.is_empty() {
        let documents = each(&question.documents);
        return documents.iter().map(|&at| At::Document(&question.documents[at])).collect();
    }
    question.context.iter().map(|_| At::Context).collect()
}

fn is_at(place: At<'_>, found: &Found, context: Option<&str>) -> bool {
    match (place, context) {
        (At::Document(document), _) => found.document == document,
        (At::Chunk(chunk), _) => found.chunk == chunk,
        (At::Context, Some(context)) => {
            let text = squeezed(&found.text);
            !text.is_empty() && (context.contains(&text) || text.contains(context))
        }
        (At::Context, None) => false,
    }
}

/// Returns `text` without white space, so that line breaks of a format do not matter.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn is_right(question: &Question, asked: &Asked, places: &[At<'_>]) -> bool {
    if question.is_unanswerable || asked.answer.is_empty() {
        return false;
    }
    if question.answers.is_empty() {
        let context = question.context.as_deref().map(squeezed);
        let quoted = asked.found.iter().find(|found| Some(&found.chunk) == asked.chunk.as_ref());
        return quoted.is_some_and(|found| {
            places.iter().any(|place| is_at(*place, found, context.as_deref()))
        });
    }
    let language = question.language.as_deref();
    let quote = format!(" {} ", normalized(&asked.quote, language));
    let holds = question.answers.iter().any(|accepted| {
        let accepted = normalized(accepted, language);
        !accepted.is_empty() && quote.contains(&format!(" {accepted} "))
    });
    holds || token_f1(&asked.answer, &question.answers, language) >= RIGHT_F1
}
