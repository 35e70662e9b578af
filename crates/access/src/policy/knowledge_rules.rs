//! Rules on the knowledge of a version, as a policy requires them.

use super::required_bound::RequiredBound;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules on knowledge: each bound for every knowledge base of the version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KnowledgeRules {
    /// Bounds on the share of questions whose first passage answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_1: Option<RequiredBound>,
    /// Bounds on that share among the first 3 passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_3: Option<RequiredBound>,
    /// Bounds on that share among the first 5 passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_5: Option<RequiredBound>,
    /// Bounds on that share among the first 10 passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_at_10: Option<RequiredBound>,
    /// Bounds on the mean reciprocal rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrr: Option<RequiredBound>,
    /// Bounds on the normalized discounted cumulative gain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ndcg: Option<RequiredBound>,
    /// Bounds on the share of exact answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_match: Option<RequiredBound>,
    /// Bounds on the token F1 of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_f1: Option<RequiredBound>,
    /// Bounds on the share of questions that get an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_share: Option<RequiredBound>,
    /// Bounds on the share of unanswerable questions that get none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswerable_accuracy: Option<RequiredBound>,
    /// Bounds on the share of answers that are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_answers: Option<RequiredBound>,
    /// Bounds on the area under the risk-coverage curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aurc: Option<RequiredBound>,
    /// The most that each metric may be worse than with the knowledge of the champion in force.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_drop: BTreeMap<String, f64>,
}

impl KnowledgeRules {
    /// Returns the bounds, by the name of the metric.
    pub(super) fn bounds(&self) -> BTreeMap<String, RequiredBound> {
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
