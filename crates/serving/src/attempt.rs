//! One attempt to answer a request: the model that was chosen, and where the outcome is counted.

use crate::{
    exchange::Exchange,
    metrics::arm_name,
    prediction_log::Details,
    problem::{Problem, internal},
    routing::{Choice, Routing, Split},
    shadow::{Mirrored, MirroredMessage},
};
use botops_access::JudgedAnswer;
use botops_models::Prediction;
use botops_observation::{JudgedUnit, Outcome, Place};
use botops_predictions::{RawRecord, Record, six_digits};
use botops_rollout::Arm;
use botops_telemetry::link;
use chrono::{DateTime, Utc};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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

    /// Puts the text number `index` of the request, which `endpoint` answered, into the prediction log, if there is one.
    pub(super) fn log(
        &self,
        (endpoint, index, text): (&str, usize, &str),
        (prediction, details): (&Prediction, Details),
        duration: Duration,
    ) {
        let Some(predictions) = &self.exchange.app.predictions else { return };
        let served = self.choice.served;
        let mut entities = details.entities;
        entities.sort_unstable();
        entities.dedup();
        let record = Record {
            at: self.exchange.app.clock.now().timestamp_millis(),
            request_id: self.exchange.id.to_string(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            endpoint: endpoint.to_owned(),
            conversation: self.conversation_id.map(str::to_owned),
            language: details.declared,
            guessed: details.guessed,
            digest: served.digest_text.clone(),
            arm: arm_name(self.choice.arm).to_owned(),
            intent: served.intents[prediction.intent].to_string(),
            confidence: six_digits(prediction.confidence),
            others: details.others,
            oos: details.score.is_finite().then(|| six_digits(details.score)),
            fallback: prediction.fallback,
            latency_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            entities,
            handed_off: details.handed_off,
            unresolved: details.unresolved,
            answered_from: details.knowledge.answered_from,
            chunks: details.knowledge.chunks,
            answer_confidence: details.knowledge.confidence.map(six_digits),
            tokens: details.knowledge.tokens,
            cost: details.knowledge.cost,
            manifest: served.manifest.map(|manifest| manifest.to_string()),
            ..Record::default()
        };
        predictions.add(RawRecord { record, text: text.to_owned() });
    }

    /// Counts a prediction: in the metrics, and for the judge during a rollout. `duration` is that of the request so far.
    ///
    /// Returns the conversation, if the judge counts verdicts on the answer.
    pub(super) fn predicted(
        &self,
        prediction: &Prediction,
        duration: Duration,
    ) -> Option<JudgedUnit> {
        let app = self.exchange.app;
        let metrics = app.metrics.arm(self.choice.arm);
        metrics.confidence.observe(prediction.confidence);
        if prediction.fallback {
            metrics.fallback.inc();
        }
        let (fallback, slow) = (prediction.fallback, app.is_slow(duration));
        let judged = self.observe(&Outcome { failed: false, fallback, slow });
        if fallback {
            self.trouble(false);
        }
        judged
    }

    /// Counts that the conversation is unresolved, because the bot did not understand, or the user said the same again; or
    /// that it is `handed_off`. A plan that does not ask for it does not count it.
    pub(super) fn trouble(&self, handed_off: bool) {
        if let (Some(split), Some(id)) = (self.split, self.conversation_id)
            && split.has_windows
        {
            let app = self.exchange.app;
            app.observer.trouble(id, app.clock.now(), handed_off);
        }
    }

    /// Counts a prediction that panicked. Returns the problem to answer with.
    pub(super) fn failed(&self) -> Refusal {
        self.observe(&Outcome { failed: true, fallback: false, slow: false });
        Refusal(internal().into(), Some(self.choice.arm))
    }

    /// Returns the token with which feedback on an answer comes back: on its `intent`, and whether it was the fallback.
    /// [`Self::predicted`] said `judged`. `None` if the name of the intent is longer than 256 bytes.
    pub(super) fn feedback_token(
        &self,
        (intent, fallback): (&str, bool),
        judged: Option<JudgedUnit>,
    ) -> Option<String> {
        let app = self.exchange.app;
        let unit = || self.conversation_id.map(|id| app.unit_key.of(id));
        app.tokens.make(&JudgedAnswer {
            request: self.exchange.id.bytes(),
            conversation: judged.map(|(unit, ..)| unit).or_else(unit),
            place: judged.map(|(_, rollout, slot)| (rollout, slot)),
            intent: intent.into(),
            fallback,
            expires: app
                .clock
                .now()
                .checked_add_signed(app.token_lifetime)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        })
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
            trace: link(),
        });
    }

    /// Counts the outcome of a message in the traffic and, if a rollout is under way, for the judge. A request that names no
    /// conversation is not counted.
    fn observe(&self, outcome: &Outcome) -> Option<JudgedUnit> {
        let (app, id) = (self.exchange.app, self.conversation_id?);
        app.traffic.message(app.unit_key.of(id), self.choice.arm, outcome, Instant::now());
        let split = self.split?;
        let place = Place {
            arm: self.choice.arm,
            step: split.step,
            weight: split.weight,
            changing: split.changing,
            bounded: app.has_slow_bound(),
            at: split.has_windows.then(|| app.clock.now()),
        };
        app.observer.message(id, (place, split.epoch), outcome)
    }
}
