//! Gates on knowledge: bounds on its metrics and on drops against the champion's, and their outcomes.

use crate::{
    bound::Bound,
    gate_report::{BoundResult, GateResult, QuestionBasis},
    knowledge::{KNOWLEDGE_METRICS, KnowledgeComparison, KnowledgeReport},
    metrics::Better,
};
use botops_digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The observation of a rule when no knowledge was evaluated.
const NO_KNOWLEDGE: &str = "not measured: no knowledge was evaluated";

/// The amount by which a drop may exceed its bound, because differences of decimal fractions are not exact.
const SLACK: f64 = 1e-9;

/// Rules on knowledge. A bound holds for every knowledge base of the version; those under `bases` for one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KnowledgeGate {
    /// Bounds on the share of questions whose first passage answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_1: Option<Bound>,
    /// Bounds on that share among the first 3 passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_3: Option<Bound>,
    /// Bounds on that share among the first 5 passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_5: Option<Bound>,
    /// Bounds on that share among the first 10 passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_10: Option<Bound>,
    /// Bounds on the mean reciprocal rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrr: Option<Bound>,
    /// Bounds on the normalized discounted cumulative gain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ndcg: Option<Bound>,
    /// Bounds on the share of exact answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_match: Option<Bound>,
    /// Bounds on the token F1 of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_f1: Option<Bound>,
    /// Bounds on the share of questions that get an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_share: Option<Bound>,
    /// Bounds on the share of unanswerable questions that get none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswerable_accuracy: Option<Bound>,
    /// Bounds on the share of answers that are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_answers: Option<Bound>,
    /// Bounds on the area under the risk-coverage curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aurc: Option<Bound>,
    /// The most that each metric may be worse than with the champion's knowledge of the same name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_drop: BTreeMap<String, f64>,
    /// Bounds on the metrics of one knowledge base, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bases: BTreeMap<String, BTreeMap<String, Bound>>,
}

impl KnowledgeGate {
    /// Returns the bounds that hold for every knowledge base, by the name of the metric.
    #[must_use]
    pub fn bounds(&self) -> BTreeMap<String, Bound> {
        let bounds = [
            ("recall_at_1", self.recall_at_1),
            ("recall_at_3", self.recall_at_3),
            ("recall_at_5", self.recall_at_5),
            ("recall_at_10", self.recall_at_10),
            ("mrr", self.mrr),
            ("ndcg", self.ndcg),
            ("exact_match", self.exact_match),
            ("token_f1", self.token_f1),
            ("answered_share", self.answered_share),
            ("unanswerable_accuracy", self.unanswerable_accuracy),
            ("false_answers", self.false_answers),
            ("aurc", self.aurc),
        ];
        bounds.into_iter().filter_map(|(name, bound)| Some((name.to_owned(), bound?))).collect()
    }
}

/// The evaluation of one knowledge base of a version, and its comparison with that of the champion.
#[derive(Debug, Clone, Copy)]
pub struct JudgedKnowledge<'a> {
    /// The evaluation.
    pub report: &'a KnowledgeReport,
    /// The comparison; `None` if the champion has no knowledge of this name.
    pub comparison: Option<&'a KnowledgeComparison>,
}

impl JudgedKnowledge<'_> {
    /// Returns the digests of the judged knowledge files, by name.
    #[must_use]
    pub fn digests(judged: &[JudgedKnowledge<'_>]) -> BTreeMap<String, Digest> {
        let digest = |it: &JudgedKnowledge<'_>| {
            (it.report.knowledge.name.clone(), it.report.knowledge.digest)
        };
        judged.iter().map(digest).collect()
    }

    /// Returns the questions behind the judgement, by the name of the knowledge.
    pub(crate) fn questions(judged: &[JudgedKnowledge<'_>]) -> BTreeMap<String, QuestionBasis> {
        let basis = |it: &JudgedKnowledge<'_>| QuestionBasis {
            data: it.report.data.clone(),
            data_digest: it.report.data_digest,
            n: it.report.n,
            champion: it.comparison.map(|comparison| comparison.champion),
        };
        judged.iter().map(|it| (it.report.knowledge.name.clone(), basis(it))).collect()
    }
}

/// Judges `judged` by `rules`. A rule on a metric that was not measured fails, and so does a rule on a knowledge base that the
/// version does not have. A drop does not apply without knowledge of the champion.
pub(crate) fn judge(
    rules: &KnowledgeGate,
    judged: &[JudgedKnowledge<'_>],
) -> Vec<(BoundResult, GateResult)> {
    let mut outcomes = Vec::new();
    let all: Vec<&JudgedKnowledge<'_>> = judged.iter().collect();
    for (name, bound) in rules.bounds() {
        on_bound(("knowledge", &name, bound), &all, &mut outcomes);
    }
    for (base, bounds) in &rules.bases {
        let of_base: Vec<_> =
            judged.iter().filter(|it| it.report.knowledge.name == *base).collect();
        for (name, bound) in bounds {
            let section = format!("knowledge.bases.{base}");
            on_bound((&section, name, *bound), &of_base, &mut outcomes);
        }
    }
    for (name, most) in &rules.max_drop {
        outcomes.push(on_drop(name, *most, judged));
    }
    outcomes
}

/// Judges both ends of a bound, each on the base that is nearest to breaking it.
fn on_bound(
    (section, name, bound): (&str, &str, Bound),
    judged: &[&JudgedKnowledge<'_>],
    outcomes: &mut Vec<(BoundResult, GateResult)>,
) {
    let ends = [("min", ">=", bound.min), ("max", "<=", bound.max)];
    for (end, sign, bound) in ends {
        let Some(bound) = bound else { continue };
        let rule = match section.strip_prefix("knowledge.bases.") {
            Some(base) => format!("{name} of `{base}` {sign} {bound:.3}"),
            None => format!("{name} of every knowledge base {sign} {bound:.3}"),
        };
        let measured: Option<Vec<(f64, &str)>> = judged
            .iter()
            .map(|it| {
                let value = it.report.metrics.get(name)?.value;
                Some((value, it.report.knowledge.name.as_str()))
            })
            .collect();
        let worst = measured.and_then(|values| {
            let of_all = values.into_iter();
            match end {
                "min" => of_all.min_by(|a, b| a.0.total_cmp(&b.0)),
                _ => of_all.max_by(|a, b| a.0.total_cmp(&b.0)),
            }
        });
        let observed = match worst {
            Some((value, base)) => format!("{value:.3} (`{base}`)"),
            None if judged.is_empty() => NO_KNOWLEDGE.to_owned(),
            None => "not measured: the questions do not measure it".to_owned(),
        };
        let passed = worst.is_some_and(|(value, _)| match end {
            "min" => value >= bound,
            _ => value <= bound,
        });
        let key = format!("{section}.{name}.{end}");
        let value = worst.map(|(value, _)| value).filter(|value| value.is_finite());
        outcomes.push((BoundResult { key, bound, value }, GateResult { rule, observed, passed }));
    }
}

/// Judges the largest drop of a metric among the knowledge bases that the champion has, too.
fn on_drop(name: &str, most: f64, judged: &[JudgedKnowledge<'_>]) -> (BoundResult, GateResult) {
    let better = KNOWLEDGE_METRICS.iter().find(|(metric, _)| *metric == name);
    let mut drops: Vec<(f64, &str)> = Vec::new();
    let mut unmeasured = false;
    for it in judged {
        let Some(comparison) = it.comparison else { continue };
        let values = (comparison.champion_metrics.get(name), it.report.metrics.get(name));
        let (Some(before), Some(now)) = values else {
            unmeasured = true;
            continue;
        };
        let drop = match better {
            Some((_, Better::Lower)) => now.value - before.value,
            _ => before.value - now.value,
        };
        drops.push((drop, &it.report.knowledge.name));
    }
    let worst = drops.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).filter(|_| !unmeasured);
    let (observed, passed) = match worst {
        Some((drop, base)) => (format!("{drop:+.3} worse (`{base}`)"), drop <= most + SLACK),
        None if judged.is_empty() => (NO_KNOWLEDGE.to_owned(), false),
        None if unmeasured => ("not measured: the questions do not measure it".to_owned(), false),
        None => ("not applicable: the champion has no such knowledge".to_owned(), true),
    };
    let key = format!("knowledge.max_drop.{name}");
    let rule = format!("{name} of knowledge at most {most} worse than the champion's");
    let value = worst.map(|(drop, _)| drop);
    (BoundResult { key, bound: most, value }, GateResult { rule, observed, passed })
}

/// Judges knowledge alone by `rules`.
#[must_use]
pub fn judge_knowledge(rules: &KnowledgeGate, judged: &[JudgedKnowledge<'_>]) -> Vec<GateResult> {
    judge(rules, judged).into_iter().map(|(_, result)| result).collect()
}
