//! One attempt to answer a request: the model that was chosen, and where the outcome is counted.

use crate::{
    exchange::Exchange,
    observe::{Outcome, Place},
    problem::{Problem, internal},
    routing::{Choice, Routing, Split},
    shadow::{Mirrored, MirroredMessage},
};
use botops_models::Prediction;
use botops_rollout::Arm;
use std::{sync::Arc, time::Duration};

/// A request and the model that was chosen for it.
pub(super) struct Attempt<'a> {
    /// The request.
    pub(super) exchange: &'a Exchange<'a>,
    /// The model that answers.
    pub(super) choice: Choice<'a>,
    /// The rollout under way.
    split: Option<&'a Split>,
    conversation_id: Option<&'a str>,
}

/// A problem, and the arm that was chosen before it happened.
pub(super) struct Refusal(pub(super) Problem, pub(super) Option<Arm>);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem, None)
    }
}

impl<'a> Attempt<'a> {
    /// Chooses the model that answers `exchange`.
    pub(super) fn new(
        exchange: &'a Exchange<'a>,
        routing: &'a Routing,
        conversation_id: Option<&'a str>,
    ) -> Self {
        let choice = routing.choose(conversation_id, exchange.id.draw());
        // A split that no longer holds when the model is chosen is not observed either.
        let split = choice.split;
        Self { exchange, choice, split, conversation_id }
    }

    /// Counts a prediction: in the metrics, and for the judge during a rollout. `duration` is that of the request so far.
    pub(super) fn predicted(&self, prediction: &Prediction, duration: Duration) {
        let app = self.exchange.app;
        let metrics = app.metrics.arm(self.choice.arm);
        metrics.confidence.observe(prediction.confidence);
        if prediction.fallback {
            metrics.fallback.inc();
        }
        self.observe(|request| Outcome {
            request,
            predicted: Some(Arc::clone(&self.choice.served.intents[prediction.intent])),
            fallback: prediction.fallback,
            slow: app.is_slow(duration),
        });
    }

    /// Counts a prediction that panicked. Returns the problem to answer with.
    pub(super) fn failed(&self) -> Refusal {
        self.observe(|request| Outcome { request, predicted: None, fallback: false, slow: false });
        Refusal(internal().into(), Some(self.choice.arm))
    }

    /// Queues the messages for the challenger, if the rollout mirrors them. Called once the answer is made.
    pub(super) fn mirror<'t>(&self, messages: impl IntoIterator<Item = (&'t str, &'t Prediction)>) {
        let (Some(split), Some(conversation_id)) = (self.choice.mirror, self.conversation_id)
        else {
            return;
        };
        let messages = messages.into_iter().map(|(text, prediction)| MirroredMessage {
            text: text.to_owned(),
            predicted: Arc::clone(&self.choice.served.intents[prediction.intent]),
            confidence: prediction.confidence,
            fallback: prediction.fallback,
        });
        let app = self.exchange.app;
        app.shadow.push(Mirrored {
            epoch: split.epoch,
            // The salt of a rollout is its id.
            rollout: split.salt.clone(),
            at: app.clock.now(),
            conversation_id: conversation_id.to_owned(),
            challenger: Arc::downgrade(&split.canary),
            messages: messages.collect(),
        });
    }

    /// Passes the outcome of a message to the observer, if a rollout is under way and the request names a conversation.
    fn observe(&self, outcome: impl FnOnce(u64) -> Outcome) {
        if let (Some(split), Some(id)) = (self.split, self.conversation_id) {
            let app = self.exchange.app;
            let place = Place {
                arm: self.choice.arm,
                step: split.step,
                weight: split.weight,
                changing: split.changing,
                bounded: app.has_slow_bound(),
            };
            app.observer.message(id, place, outcome(self.exchange.id.number));
        }
    }
}
