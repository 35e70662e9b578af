//! The metrics of answers from documents.

use crate::histogram::Histogram;
use botops_generation::{FailureKind, Generator, Usage};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabels {
    direction: &'static str,
}

/// The outcome of an answer whose reader left.
const CANCELLED: &str = "cancelled";

/// The metrics of answers from documents.
pub(super) struct KnowledgeMetrics {
    /// Questions that a quote answered.
    pub(super) answered: Counter,
    /// Questions that no quote answered with enough confidence.
    pub(super) abstained: Counter,
    /// Requests of `POST /v1/search`.
    pub(super) searched: Counter,
    /// The time of retrieval and of the choice of a quote.
    pub(super) seconds: Histogram,
    generated: Family<OutcomeLabels, Counter>,
    completed: Family<OutcomeLabels, Counter>,
    /// The time until a language model answered or failed.
    pub(super) generation_seconds: Histogram,
    tokens: Family<DirectionLabels, Counter>,
    cost: Counter<f64, AtomicU64>,
    paused: Gauge,
}

impl KnowledgeMetrics {
    /// Makes the metrics, and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = Family::<OutcomeLabels, Counter>::default();
        registry.register(
            "knowledge_requests",
            "Questions to knowledge, by outcome: answered, abstained or searched",
            requests.clone(),
        );
        let seconds = Histogram::seconds();
        let help = "Time to find passages and to choose a quote";
        registry.register("knowledge_seconds", help, seconds.clone());
        let generated = Family::<OutcomeLabels, Counter>::default();
        registry.register(
            "generation_requests",
            "Answers asked of a language model, by outcome: answered, declined, unsupported, cancelled by the client, or the class of a failure",
            generated.clone(),
        );
        let completed = Family::<OutcomeLabels, Counter>::default();
        registry.register(
            "question_completions",
            "Follow-up questions that a language model was asked to complete, by outcome: completed, unfit, or the class of a failure; the rules completed all but the first",
            completed.clone(),
        );
        let generation_seconds = Histogram::seconds();
        let help = "Time until a language model answered or failed";
        registry.register("generation_seconds", help, generation_seconds.clone());
        let tokens = Family::<DirectionLabels, Counter>::default();
        let help = "Tokens that a language model read (in) and wrote (out)";
        registry.register("generation_tokens", help, tokens.clone());
        let cost = Counter::<f64, AtomicU64>::default();
        let help = "Cost of the tokens, in the currency of `knowledge.generation.price`";
        registry.register("generation_cost", help, cost.clone());
        let paused = Gauge::default();
        let help = "1 while the language model is not asked because it failed repeatedly";
        registry.register("generation_paused", help, paused.clone());
        let outcome = |outcome| requests.get_or_create_owned(&OutcomeLabels { outcome });
        // A counter that begins at 1 has no increase: an alert would not see the first one.
        let failures = || FailureKind::ALL.iter().map(|kind| kind.name());
        let written = ["answered", "declined", "unsupported", CANCELLED];
        for outcome in ["completed", "unfit"].into_iter().chain(failures()) {
            let _ = completed.get_or_create_owned(&OutcomeLabels { outcome });
        }
        for outcome in written.into_iter().chain(failures()) {
            let _ = generated.get_or_create_owned(&OutcomeLabels { outcome });
        }
        for direction in ["in", "out"] {
            let _ = tokens.get_or_create_owned(&DirectionLabels { direction });
        }
        Self {
            answered: outcome("answered"),
            abstained: outcome("abstained"),
            searched: outcome("searched"),
            seconds,
            generated,
            completed,
            generation_seconds,
            tokens,
            cost,
            paused,
        }
    }

    /// Counts an answer that was asked of a language model, and what it cost.
    pub(super) fn generation(
        &self,
        outcome: &'static str,
        (usage, cost): (Usage, f64),
        generator: &Generator,
    ) {
        self.generated.get_or_create(&OutcomeLabels { outcome }).inc();
        self.spent((usage, cost), generator);
    }

    /// Counts a question that a language model was asked to complete, and what that cost.
    pub(super) fn completion(
        &self,
        outcome: &'static str,
        spent: (Usage, f64),
        generator: &Generator,
    ) {
        self.completed.get_or_create(&OutcomeLabels { outcome }).inc();
        self.spent(spent, generator);
    }

    fn spent(&self, (usage, cost): (Usage, f64), generator: &Generator) {
        for (direction, n) in [("in", usage.tokens_in), ("out", usage.tokens_out)] {
            self.tokens.get_or_create(&DirectionLabels { direction }).inc_by(n);
        }
        self.cost.inc_by(cost.max(0.0));
        self.paused.set(i64::from(generator.is_paused()));
    }
}

/// Counts an answer as cancelled if it is dropped before its end.
pub(super) struct Unfinished<'a>(Option<&'a KnowledgeMetrics>);

impl<'a> Unfinished<'a> {
    /// Begins an answer.
    pub(super) fn new(metrics: &'a KnowledgeMetrics) -> Self {
        Self(Some(metrics))
    }

    /// Ends the answer.
    pub(super) fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(metrics) = self.0 {
            metrics.generated.get_or_create(&OutcomeLabels { outcome: CANCELLED }).inc();
        }
    }
}
