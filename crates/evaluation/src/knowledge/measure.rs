//! The metrics of retrieval, answers and abstention, each with its interval.

use super::{
    outcome::{DEPTH, QuestionOutcome},
    question::{Question, QuestionSet},
};
use crate::metrics::{Better, Metric, estimate, proportion};
use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    selective::RiskCoverage,
};
use std::collections::BTreeMap;

/// The names of the metrics of knowledge, and the direction in which each is better.
pub const KNOWLEDGE_METRICS: [(&str, Better); 12] = [
    ("recall_at_1", Better::Higher),
    ("recall_at_3", Better::Higher),
    ("recall_at_5", Better::Higher),
    ("recall_at_10", Better::Higher),
    ("mrr", Better::Higher),
    ("ndcg", Better::Higher),
    ("exact_match", Better::Higher),
    ("token_f1", Better::Higher),
    ("answered_share", Better::Higher),
    ("unanswerable_accuracy", Better::Higher),
    ("false_answers", Better::Lower),
    ("aurc", Better::Lower),
];

/// Returns the reciprocal rank of the first passage that answers, 0 if none is among the first 10.
pub(super) fn reciprocal_rank(outcome: &QuestionOutcome) -> f64 {
    outcome.ranks.first().map_or(0.0, |rank| 1.0 / (*rank as f64 + 1.0))
}

/// Returns the normalized discounted cumulative gain of the first 10 passages, in [0, 1]; 0 without a known place.
///
/// DCG = sum of 1 / log2(rank + 1) over the first passage of each place that answers, with ranks from 1; it is divided by that of
/// the places at the first ranks.
/// Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 2002, with gains of 0 and 1.
fn ndcg(outcome: &QuestionOutcome) -> f64 {
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let ideal: f64 = (0..outcome.n_places.min(DEPTH)).map(gain).sum();
    match outcome.n_places {
        0 => 0.0,
        _ => outcome.ranks.iter().map(|rank| gain(*rank)).sum::<f64>() / ideal,
    }
}

/// Returns the metrics of `outcomes`, by name; one that nothing measures is left out.
///
/// - `recall_at_k`: the share of questions with a known place of which a passage is among the first k; `mrr` and `ndcg` of the
///   first 10 passages
/// - `exact_match`, `token_f1`: of questions with accepted answers; an abstention is the empty answer
/// - `answered_share`: of all questions
/// - `unanswerable_accuracy`: the share of unanswerable questions that got no answer
/// - `false_answers`: the share of the answers given that are wrong
/// - `aurc`: the area under the risk-coverage curve, over all questions by confidence
#[must_use]
pub fn measure_knowledge(
    set: &QuestionSet,
    outcomes: &[QuestionOutcome],
) -> BTreeMap<String, Metric> {
    let all: Vec<&QuestionOutcome> = outcomes.iter().collect();
    measure(set, &all)
}

/// Returns the metrics of the outcomes of some questions of `set`.
pub(super) fn measure(
    set: &QuestionSet,
    outcomes: &[&QuestionOutcome],
) -> BTreeMap<String, Metric> {
    let question = |outcome: &QuestionOutcome| -> &Question { &set.questions[outcome.question] };
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, metric: Metric| {
        if metric.n > 0 {
            metrics.insert(name.to_owned(), metric);
        }
    };
    let share = |of: &[&QuestionOutcome], holds: &dyn Fn(&QuestionOutcome) -> bool| {
        proportion(of.iter().filter(|outcome| holds(outcome)).count() as u64, of.len() as u64)
    };
    let placed: Vec<_> = outcomes.iter().copied().filter(|it| it.n_places > 0).collect();
    for k in [1, 3, 5, 10] {
        put(&format!("recall_at_{k}"), share(&placed, &|outcome| outcome.is_found(k)));
    }
    put("mrr", mean(&placed.iter().map(|it| reciprocal_rank(it)).collect::<Vec<_>>()));
    put("ndcg", mean(&placed.iter().map(|it| ndcg(it)).collect::<Vec<_>>()));
    let with_answers: Vec<_> =
        outcomes.iter().copied().filter(|it| !question(it).answers.is_empty()).collect();
    put("exact_match", share(&with_answers, &|outcome| outcome.exact));
    put("token_f1", mean(&with_answers.iter().map(|it| it.f1).collect::<Vec<_>>()));
    put("answered_share", share(outcomes, &|outcome| outcome.is_answered));
    let without: Vec<_> =
        outcomes.iter().copied().filter(|it| question(it).is_unanswerable).collect();
    put("unanswerable_accuracy", share(&without, &|outcome| !outcome.is_answered));
    let given: Vec<_> = outcomes.iter().copied().filter(|it| it.is_answered).collect();
    // Without any answer no answer is false: a bound on false answers holds then.
    let false_answers = match given.is_empty() {
        true => Metric { value: 0.0, ci95: [0.0, 1.0], n: outcomes.len() as u64 },
        false => share(&given, &|outcome| outcome.is_wrong),
    };
    put("false_answers", false_answers);
    put("aurc", area(outcomes));
    metrics
}

/// Returns the mean with its percentile bootstrap interval; `n` = 0 for no values.
fn mean(values: &[f64]) -> Metric {
    let n = values.len();
    if n == 0 {
        return Metric { value: 0.0, ci95: [0.0, 1.0], n: 0 };
    }
    let [interval] = percentile_intervals(
        &[n],
        &Resampling::default(),
        || (),
        |(), counts| {
            let sum: f64 =
                counts.iter().zip(values).map(|(count, value)| f64::from(*count) * value).sum();
            [sum / n as f64]
        },
    );
    estimate(values.iter().sum::<f64>() / n as f64, interval, n as u64)
}

fn area(outcomes: &[&QuestionOutcome]) -> Metric {
    let n = outcomes.len();
    if n == 0 {
        return Metric { value: 0.0, ci95: [0.0, 1.0], n: 0 };
    }
    let samples: Vec<(f64, bool)> =
        outcomes.iter().map(|outcome| (outcome.confidence, outcome.is_wrong)).collect();
    let curve = RiskCoverage::of(&samples);
    let [interval] = percentile_intervals(
        &[n],
        &Resampling::default(),
        || (),
        |(), counts| [curve.area(counts)],
    );
    estimate(curve.area(&vec![1; n]), interval, n as u64)
}
