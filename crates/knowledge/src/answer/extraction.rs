//! The choice of the quote, and the decision to give it.

use super::{
    candidate::Candidate,
    passages::Passages,
    question::Question,
    span::{Reading, Span, features, spans},
    weights::WEIGHTS,
    words::stemmer,
};
use crate::{
    abstention::{Abstention, Signals},
    source::Source,
};
use std::ops::Range;

/// The sentences whose spans are ranked: those that repeat most of the question.
pub(crate) const SENTENCES: usize = 4;
/// The most bytes of a quote. A longer sentence, such as a table without points, is quoted around its answer.
const MOST_QUOTED: usize = 1_000;

/// The rules of one answer.
#[derive(Debug, Clone, Copy)]
pub struct AnswerSpec<'a> {
    /// The decision not to answer, of the index.
    pub abstention: &'a Abstention,
    /// The least confidence that replaces the threshold of the index.
    pub min_confidence: Option<f64>,
}

/// The answer to a question, or none.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// A quote answers.
    Extract(Extract),
    /// No passage answers with enough confidence.
    Abstained {
        /// The quote that came nearest, for a person who reviews it.
        best: Option<Source>,
        /// The probability that it is right.
        confidence: f64,
        /// The evidence.
        signals: Signals,
    },
}

/// A quote that answers.
///
/// - `quote` is a part of the text of one passage, and `sources[0].quote` is the same
/// - `answer` is a part of `quote`, on the bounds of words
#[derive(Debug, Clone, PartialEq)]
pub struct Extract {
    /// The sentence, as it stands in the document.
    pub quote: String,
    /// The place in `quote` of the words that are the answer itself, in bytes.
    pub answer: Range<usize>,
    /// The source of the quote, and then the other passages that say the same, best first.
    pub sources: Vec<Source>,
    /// The probability that the answer is right, in [0, 1].
    pub confidence: f64,
    /// The evidence.
    pub signals: Signals,
}

impl Extract {
    /// Returns the words that are the answer itself.
    #[must_use]
    pub fn short_answer(&self) -> &str {
        &self.quote[self.answer.clone()]
    }
}

impl Answered {
    /// Returns the probability that the quote is right, also of one that is not given.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        match self {
            Self::Extract(extract) => extract.confidence,
            Self::Abstained { confidence, .. } => *confidence,
        }
    }

    /// Returns the evidence for the quote, with which [`Abstention::fit`] calibrates.
    #[must_use]
    pub fn signals(&self) -> Signals {
        match self {
            Self::Extract(extract) => extract.signals,
            Self::Abstained { signals, .. } => *signals,
        }
    }

    /// Returns the source of the quote, also of one that is not given.
    #[must_use]
    pub fn best(&self) -> Option<&Source> {
        match self {
            Self::Extract(extract) => extract.sources.first(),
            Self::Abstained { best, .. } => best.as_ref(),
        }
    }
}

/// The best span of a sentence, with its score.
#[derive(Debug)]
struct Ranked {
    sentence: usize,
    /// The place of the span in the text of the candidate.
    place: Range<usize>,
    score: f64,
}

/// Answers `question` from `candidates`, best first, which are the passages that retrieval found.
///
/// The same question and candidates give the same answer. Without candidates, or for a question without content words, there
/// is no answer.
#[must_use]
pub fn extract(question: &str, candidates: &[Candidate<'_>], spec: &AnswerSpec<'_>) -> Answered {
    extract_with(question, candidates, spec, &WEIGHTS)
}

/// As [`extract`], with other weights of the features of spans.
pub(crate) fn extract_with(
    question: &str,
    candidates: &[Candidate<'_>],
    spec: &AnswerSpec<'_>,
    weights: &[f64],
) -> Answered {
    let language = candidates.first().and_then(|candidate| candidate.language);
    let stemmer = stemmer(language);
    let question = Question::of(question, stemmer.as_ref());
    let none = Answered::Abstained { best: None, confidence: 0.0, signals: Signals::default() };
    if question.stems.is_empty() {
        return none;
    }
    let passages = Passages::of(&question, candidates);
    let ranked = rank(&question, &passages, candidates, weights);
    let Some(best) = ranked.first() else { return none };
    let sentence = &passages.sentences[best.sentence];
    let all: f64 = ranked.iter().map(|other| (other.score - best.score).exp()).sum();
    let signals = Signals {
        sentence: sentence.evidence.sentence,
        around: sentence.evidence.around,
        passage: sentence.evidence.passage,
        share: 1.0 / all,
        pairs: sentence.evidence.pairs,
    };
    let confidence = spec.abstention.probability(&signals);
    let candidate = &candidates[sentence.candidate];
    let answer = best.place.clone();
    let quoted = around(candidate.text, &sentence.range, &answer);
    let quote = &candidate.text[quoted.clone()];
    let least = spec.min_confidence.unwrap_or_else(|| spec.abstention.threshold());
    if confidence < least {
        let best = Some(candidate.source(quote));
        return Answered::Abstained { best, confidence, signals };
    }
    let mut sources = vec![candidate.source(quote)];
    let short = candidate.text[answer.clone()].to_lowercase();
    for other in &ranked[1..] {
        let sentence = &passages.sentences[other.sentence];
        let candidate = &candidates[sentence.candidate];
        let span = other.place.clone();
        let is_same = candidate.text[span.clone()].to_lowercase() == short;
        if is_same && sources.iter().all(|source| source.chunk != candidate.chunk) {
            let quoted = around(candidate.text, &sentence.range, &span);
            sources.push(candidate.source(&candidate.text[quoted]));
        }
    }
    Answered::Extract(Extract {
        quote: quote.to_owned(),
        answer: answer.start - quoted.start..answer.end - quoted.start,
        sources,
        confidence,
        signals,
    })
}

/// Returns the sentences whose spans are ranked, best first.
pub(crate) fn shortlist(passages: &Passages) -> Vec<usize> {
    let has_statement = passages.sentences.iter().any(|it| !it.evidence.is_question);
    let value = |at: usize| {
        let it = &passages.sentences[at].evidence;
        // Most of the weight is on the sentence; the others break ties between sentences that repeat as much.
        it.sentence + 0.5 * it.around + 0.25 * it.passage + 0.25 * it.pairs + 0.2 * it.rank
    };
    let mut order: Vec<usize> = (0..passages.sentences.len())
        // A question in a document is no answer to another one; the sentence behind it may be.
        .filter(|&at| !has_statement || !passages.sentences[at].evidence.is_question)
        .collect();
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
    order.truncate(SENTENCES);
    order
}

/// Ranks the best span of each sentence of the shortlist, best first.
fn rank(
    question: &Question,
    passages: &Passages,
    candidates: &[Candidate<'_>],
    weights: &[f64],
) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = shortlist(passages)
        .into_iter()
        .map(|at| {
            let reading = Reading::of(&passages.sentences[at], candidates);
            let score = |span: Span| -> f64 {
                let mut score = 0.0;
                features(question, passages, &reading, span, |at, value| {
                    score += weights[at] * value;
                });
                score
            };
            // A sentence of words without content is one span.
            let whole = Span { first: 0, last: reading.words.len() - 1 };
            let mut scored: Vec<(Span, f64)> =
                spans(&reading.words).map(|span| (span, score(span))).collect();
            if scored.is_empty() {
                scored.push((whole, score(whole)));
            }
            let (span, top) = scored[1..]
                .iter()
                .fold(scored[0], |best, next| if next.1 > best.1 { *next } else { best });
            // The probability of a sentence is the sum of those of its spans.
            let all: f64 = scored.iter().map(|(_, score)| (score - top).exp()).sum();
            let score = top + all.ln();
            let place = reading.words[span.first].range.start..reading.words[span.last].range.end;
            Ranked { sentence: at, place, score }
        })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

/// Returns the place of the quote: the sentence, or [`MOST_QUOTED`] bytes of it around the answer.
fn around(text: &str, sentence: &Range<usize>, answer: &Range<usize>) -> Range<usize> {
    if sentence.len() <= MOST_QUOTED {
        return sentence.clone();
    }
    let room = MOST_QUOTED.saturating_sub(answer.len()) / 2;
    let (from, to) = (answer.start.saturating_sub(room), answer.end + room);
    let is_bound = |at: &usize| text.is_char_boundary(*at);
    let start = (from.max(sentence.start)..answer.start).find(is_bound).unwrap_or(answer.start);
    let end = (answer.end..=to.min(sentence.end)).rev().find(is_bound).unwrap_or(answer.end);
    start..end
}
