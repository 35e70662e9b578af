//! The report of an evaluation of knowledge.

use super::{
    gaps::{Gap, gaps},
    measure::measure,
    outcome::QuestionOutcome,
    question::QuestionSet,
};
use crate::{evaluation_report::UNKNOWN_LANGUAGE, metrics::Metric};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_knowledge::Abstention;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The fewest questions that are evaluated: fewer prove nothing.
const FEWEST: usize = 10;
/// The most questions that a report lists.
const MOST_LISTED: usize = 1_000;
/// The points of the risk-coverage curve.
const POINTS: usize = 20;

/// The index that was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeSubject {
    /// The name of the knowledge.
    pub name: String,
    /// The digest of the knowledge file.
    pub digest: Digest,
    /// The number of documents.
    pub n_documents: u64,
    /// The number of chunks.
    pub n_chunks: u64,
    /// The ranking that was in effect: `lexical`, `dense` or `hybrid`.
    pub mode: String,
}

/// One point of the risk-coverage curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CoveragePoint {
    /// The share of questions that are answered, those with the highest confidence.
    pub coverage: f64,
    /// The share of wrong answers among them.
    pub risk: f64,
    /// The least confidence of an answer.
    pub threshold: f64,
}

/// A question whose passage was not found, or whose answer is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissedQuestion {
    /// Its id.
    pub id: String,
    /// Its text.
    pub question: String,
    /// The rank of the first passage that answers, from 1; `None` if it is not among the first 10.
    pub rank: Option<u64>,
    /// The document of the first passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// The answer; empty if none was given.
    pub answer: String,
    /// The accepted answers; empty for an unanswerable question.
    pub accepted: Vec<String>,
    /// Whether the question has no answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswerable: bool,
}

/// The evaluation of one knowledge base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnowledgeReport {
    /// `botops.knowledge-evaluation/1`.
    pub schema: String,
    /// The index.
    pub knowledge: KnowledgeSubject,
    /// The name of the question file, as given.
    pub data: String,
    /// The digest of the question file.
    pub data_digest: Digest,
    /// The number of questions.
    pub n: u64,
    /// The number of questions that the documents do not answer.
    pub n_unanswerable: u64,
    /// The metrics by name, see [`super::KNOWLEDGE_METRICS`].
    pub metrics: BTreeMap<String, Metric>,
    /// The metrics of each language.
    pub per_language: BTreeMap<String, BTreeMap<String, Metric>>,
    /// The risk-coverage curve, at 20 coverages.
    pub risk_coverage: Vec<CoveragePoint>,
    /// The least confidence at which these questions prove that at most a quarter of the answers given is wrong: a
    /// `min_confidence` for the settings; `None` if they prove it for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_confidence: Option<f64>,
    /// The questions whose first passage does not answer, or whose answer is wrong; at most 1,000.
    pub missed: Vec<MissedQuestion>,
    /// The subjects that the documents lack.
    pub gaps: Vec<Gap>,
}

impl KnowledgeReport {
    /// Makes the report of `outcomes`, those of all questions of `set` in their order.
    ///
    /// # Errors
    /// `BOT-7261` (exit 4) fewer than 10 questions.
    pub fn of(
        knowledge: KnowledgeSubject,
        set: &QuestionSet,
        outcomes: &[QuestionOutcome],
    ) -> Result<Self> {
        let n = outcomes.len();
        if n < FEWEST {
            let message = format!("{n} questions are too few to evaluate `{}`", knowledge.name);
            return Err(Fault::insufficient("BOT-7261", message).file(&set.name).hint(format!(
                "give at least {FEWEST} questions; 100 or more give useful intervals"
            )));
        }
        let mut languages: BTreeMap<&str, Vec<&QuestionOutcome>> = BTreeMap::new();
        for outcome in outcomes {
            let language = set.questions[outcome.question].language.as_deref();
            languages.entry(language.unwrap_or(UNKNOWN_LANGUAGE)).or_default().push(outcome);
        }
        let per_language = languages
            .into_iter()
            .map(|(language, of_it)| (language.to_owned(), measure(set, &of_it)))
            .collect();
        Ok(Self {
            schema: "botops.knowledge-evaluation/1".to_owned(),
            knowledge,
            data: set.name.clone(),
            data_digest: set.digest,
            n: n as u64,
            n_unanswerable: set.questions.iter().filter(|it| it.is_unanswerable).count() as u64,
            metrics: super::measure_knowledge(set, outcomes),
            per_language,
            risk_coverage: curve(outcomes),
            least_confidence: Abstention::least_confidence(&confidences(outcomes)),
            missed: missed(set, outcomes),
            gaps: gaps(set, outcomes),
        })
    }
}

/// Returns the confidence of each answer, given or not, and whether it is wrong.
fn confidences(outcomes: &[QuestionOutcome]) -> Vec<(f64, bool)> {
    outcomes.iter().map(|outcome| (outcome.confidence, outcome.is_wrong)).collect()
}

/// Returns the curve at [`POINTS`] coverages; answers with equal confidence are given together.
fn curve(outcomes: &[QuestionOutcome]) -> Vec<CoveragePoint> {
    let mut sorted = confidences(outcomes);
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let n = sorted.len();
    let mut points: Vec<CoveragePoint> = Vec::new();
    for step in 1..=POINTS {
        let threshold = sorted[(n * step).div_ceil(POINTS) - 1].0;
        let given = sorted.partition_point(|(confidence, _)| *confidence >= threshold);
        let wrong = sorted[..given].iter().filter(|(_, wrong)| *wrong).count();
        let (coverage, risk) = (given as f64 / n as f64, wrong as f64 / given as f64);
        if points.last().is_none_or(|last| last.coverage < coverage) {
            points.push(CoveragePoint { coverage, risk, threshold });
        }
    }
    points
}

fn missed(set: &QuestionSet, outcomes: &[QuestionOutcome]) -> Vec<MissedQuestion> {
    let is_missed =
        |it: &&QuestionOutcome| it.n_places > 0 && !it.is_found(1) || it.is_answered && it.is_wrong;
    let shown = outcomes.iter().filter(is_missed).take(MOST_LISTED);
    shown
        .map(|outcome| {
            let question = &set.questions[outcome.question];
            let given = if outcome.is_answered { outcome.answer.clone() } else { String::new() };
            MissedQuestion {
                id: question.id.clone(),
                question: question.text.clone(),
                rank: outcome.ranks.first().map(|rank| *rank as u64 + 1),
                first: outcome.first.clone(),
                answer: given,
                accepted: question.answers.clone(),
                unanswerable: question.is_unanswerable,
            }
        })
        .collect()
}
