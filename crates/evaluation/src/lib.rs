//! Evaluates a model on labeled data: metrics with intervals, entities, errors, paired comparison, gates.
//!
//! In: a model and labeled records. Out: an [`EvaluationReport`], a [`Comparison`] with the champion, a [`GateReport`],
//! and, when every gate held, the [`PassedGates`] that moving `champion` requires. Out-of-scope records count only in the
//! out-of-scope metrics.
//!
//! Each step has a pure half that takes plain numbers ([`measure`], [`measure_entities`], [`pair`], [`judge_self_test`]), and a half that runs
//! the model first ([`evaluate`], [`compare`], [`gate_by_self_test`]). Cross-validation, learning curves, seeds and
//! searches compare configurations instead of fitted models.

mod behaviour;
mod behaviour_report;
mod behaviour_spec;
mod behaviour_variants;
mod bound;
mod comparison;
mod confidence;
mod cross_validation;
mod data_warnings;
mod entities;
mod entity_report;
mod evaluation_report;
mod folds;
mod gate_report;
mod gate_spec;
mod gates;
mod importance;
pub mod knowledge;
mod knowledge_gate;
mod learning_curve;
mod measurement;
mod metrics;
mod outcome;
mod proof;
mod search_report;
mod seeds;
mod uncertainty;
mod version_set;

pub use behaviour::{behaviour_warnings, test_behaviour};
pub use behaviour_report::{BehaviourFailure, BehaviourKind, BehaviourReport, CapabilityResult};
pub use behaviour_spec::{
    BehaviourSpec, Direction, DirectionGroup, DirectionPair, InvarianceSpec, MinimumGroup,
    VariantKind,
};
pub use bound::Bound;
pub use comparison::{Comparison, Flip, FlipRates, Pair, compare, pair};
pub use cross_validation::{
    Candidate, CrossValidation, FoldScore, SpecComparison, compare_with_first, cross_validate,
    judge_folds,
};
pub use data_warnings::data_warnings;
pub use entities::{RecordSpans, Span, measure_entities};
pub use entity_report::{EntityError, EntityReport, EntityScores, SpanScores};
pub use evaluation_report::{
    ClassMetrics, EvaluationReport, Misclassified, OosReport, OosScoreReport, ReliabilityBin,
    ScoreHistogram, SelectiveReport, SetReport, SetsSummary, UNKNOWN_LANGUAGE,
};
pub use folds::{FoldComparison, FoldOutcome, MetricName, pooled, score};
pub use gate_report::{BoundResult, GateBasis, GateReport, GateResult, QuestionBasis};
pub use gate_spec::{BehaviourGate, FlipGate, GateSpec, RelativeGate};
pub use gates::{gate, gate_set};
pub use importance::{Importance, SettingGroup, SettingKind};
pub use knowledge_gate::{JudgedKnowledge, KnowledgeGate, judge_knowledge};
pub use learning_curve::{CurvePoint, LearningCurve, Outlook, learning_curve};
pub use measurement::{evaluate, measure};
pub use metrics::{Better, METRICS, Metric};
pub use outcome::{Outcome, Subject, intents_of};
pub use proof::{PassedGates, gate_by_self_test, judge_self_test, passed};
pub use search_report::{
    JudgedTrial, Rival, Rung, SearchReport, SearchSetting, SearchTrial, ranked, summarise,
};
pub use seeds::{SeedSpread, Spread, seed_spread};
pub use version_set::VersionSet;

#[cfg(test)]
mod tests;

/// Returns the reference values that the tests compare with.
#[cfg(test)]
fn reference() -> serde_json::Value {
    let text = include_str!("../../../tests/fixtures/reference_values.json");
    serde_json::from_str(text).expect("the fixture is valid JSON")
}
