//! Compares two indexes question by question.

use super::{
    measure::{measure_knowledge, reciprocal_rank},
    outcome::QuestionOutcome,
    question::QuestionSet,
};
use crate::metrics::Metric;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    paired::mcnemar_exact,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The comparison of two indexes on the same questions: the champion's knowledge and the challenger's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnowledgeComparison {
    /// `botops.knowledge-comparison/1`.
    pub schema: String,
    /// The digest of the champion's knowledge file.
    pub champion: Digest,
    /// The digest of the challenger's knowledge file.
    pub challenger: Digest,
    /// The digest of the question file.
    pub data_digest: Digest,
    /// The number of questions.
    pub n: u64,
    /// The metrics of the champion on these questions.
    pub champion_metrics: BTreeMap<String, Metric>,
    /// The ids of questions whose first passage is right for the champion and not for the challenger.
    pub newly_wrong: Vec<String>,
    /// The ids of questions whose first passage is right for the challenger and not for the champion.
    pub newly_right: Vec<String>,
    /// The exact two-sided McNemar p-value of recall at 1.
    pub mcnemar_p: f64,
    /// The difference of the mean reciprocal ranks, challenger less champion, with its paired bootstrap interval; `None` if no
    /// question has a known place.
    pub mrr_difference: Option<Metric>,
    /// The difference of the token F1, challenger less champion, with its paired bootstrap interval; `None` if no question has
    /// an accepted answer.
    pub token_f1_difference: Option<Metric>,
}

/// Compares the outcomes of two indexes on the questions of `set`.
///
/// # Errors
/// `BOT-7264` (exit 2) the outcomes are of other questions.
pub fn compare_knowledge(
    set: &QuestionSet,
    champion: (Digest, &[QuestionOutcome]),
    challenger: (Digest, &[QuestionOutcome]),
) -> Result<KnowledgeComparison> {
    let n = set.questions.len();
    let is_of_set = |outcomes: &[QuestionOutcome]| {
        outcomes.len() == n && outcomes.iter().enumerate().all(|(at, it)| it.question == at)
    };
    if !is_of_set(champion.1) || !is_of_set(challenger.1) {
        return Err(Fault::usage("BOT-7264", "the two indexes were asked other questions").hint(
            "ask both the same file: `botops knowledge evaluate NAME QUESTIONS --against NAME@1`",
        ));
    }
    let (mut newly_wrong, mut newly_right) = (Vec::new(), Vec::new());
    let (mut ranks, mut f1) = (Vec::new(), Vec::new());
    for ((before, now), question) in champion.1.iter().zip(challenger.1).zip(&set.questions) {
        if question.has_place() {
            match (before.is_found(1), now.is_found(1)) {
                (true, false) => newly_wrong.push(question.id.clone()),
                (false, true) => newly_right.push(question.id.clone()),
                _ => {}
            }
            ranks.push(reciprocal_rank(now) - reciprocal_rank(before));
        }
        if !question.answers.is_empty() {
            f1.push(now.f1 - before.f1);
        }
    }
    Ok(KnowledgeComparison {
        schema: "botops.knowledge-comparison/1".to_owned(),
        champion: champion.0,
        challenger: challenger.0,
        data_digest: set.digest,
        n: n as u64,
        champion_metrics: measure_knowledge(set, champion.1),
        mcnemar_p: mcnemar_exact(newly_wrong.len() as u64, newly_right.len() as u64),
        newly_wrong,
        newly_right,
        mrr_difference: difference(&ranks),
        token_f1_difference: difference(&f1),
    })
}

/// Returns the mean of paired differences with its percentile bootstrap interval over questions.
fn difference(values: &[f64]) -> Option<Metric> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let [ci95] = percentile_intervals(
        &[n],
        &Resampling::default(),
        || (),
        |(), counts| {
            let sum: f64 =
                counts.iter().zip(values).map(|(count, value)| f64::from(*count) * value).sum();
            [sum / n as f64]
        },
    );
    Some(Metric { value: values.iter().sum::<f64>() / n as f64, ci95, n: n as u64 })
}
