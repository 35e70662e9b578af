//! The models that answer: the slot that requests read and rollouts swap, and the choice of an arm.

use crate::{
    canary::Freshness,
    served_knowledge::{KnowledgeFile, ServedKnowledge},
    speed::{Panicked, Speed},
};
use axum::http::HeaderValue;
use botops_dialogue::{Dialogue, Entity};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_models::{IntentModel, Prediction, Scratch};
use botops_registry::Version;
use botops_rollout::{Arm, assign};
use botops_text::{GuessedLanguage, LanguageGuesser};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

/// A model ready to answer.
pub(super) struct Served {
    model: Arc<IntentModel>,
    speed: Speed,
    /// The knowledge of the version.
    pub(super) knowledge: ServedKnowledge,
    /// Entities and responses, compiled.
    pub(super) dialogue: Dialogue,
    /// Guesses the language of a message among those of the responses; `None` if there are fewer than two.
    guesser: Option<LanguageGuesser>,
    /// Its name in answers, such as `support@2`.
    pub(super) reference: Arc<str>,
    /// Digest of the model file.
    pub(super) digest: Digest,
    /// [`Self::digest`] as text.
    pub(super) digest_text: String,
    /// Digest of the manifest; `None` for a bare file.
    pub(super) manifest: Option<Digest>,
    /// Its version in the registry; `None` if it did not come from one.
    pub(super) version: Option<Version>,
    /// The intents by index.
    pub(super) intents: Vec<Arc<str>>,
    /// [`Self::reference`] as a header.
    pub(super) reference_header: HeaderValue,
    /// [`Self::digest`] as a header.
    pub(super) digest_header: HeaderValue,
    /// How much longer a prediction takes in a test.
    #[cfg(test)]
    pause: std::time::Duration,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

impl Served {
    /// Returns the intents that the dialogue cannot answer.
    pub(super) fn unanswered_intents(&self) -> Vec<String> {
        self.model.unanswered_intents()
    }

    /// Makes `model` ready to answer: compiles its dialogue and runs its self-test, which also warms it up.
    ///
    /// # Errors
    /// `BOT-6011` if a golden gets another answer than in training, or a generated text a score that is not finite; those of
    /// the dialogue.
    pub(super) fn prepare(
        model: Arc<IntentModel>,
        digest: Digest,
        reference: String,
        manifest: Option<Digest>,
        version: Option<Version>,
    ) -> Result<Self> {
        let dialogue = Dialogue::compile(model.dialogue())?;
        let test = model.self_test();
        if let Some(first) = test.failures.first() {
            return Err(Fault::data(
                "BOT-6011",
                format!(
                    "`{reference}` failed its self-test: {} of {} utterances failed, the first is `{first}`",
                    test.failures.len(),
                    test.n + test.n_generated,
                ),
            )
            .hint("train it again with this version of botops, or serve another version"));
        }
        let languages = dialogue.languages();
        let guesser = (languages.len() > 1).then(|| LanguageGuesser::among(languages));
        let intents = model.labels().iter().map(Arc::from).collect();
        let visible: String =
            reference.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        let digest_text = digest.to_string();
        let speed = if model.encoder().is_some() { Speed::Slow } else { Speed::Fast };
        Ok(Self {
            speed,
            guesser,
            knowledge: ServedKnowledge::default(),
            dialogue,
            intents,
            manifest,
            version,
            digest,
            reference_header: HeaderValue::from_str(&visible).expect("visible ASCII is a header"),
            digest_header: HeaderValue::from_str(&digest_text).expect("hex is a header"),
            digest_text,
            reference: reference.into(),
            model,
            #[cfg(test)]
            pause: std::time::Duration::ZERO,
        })
    }

    /// Adds the knowledge in `files`. A version whose knowledge cannot be read does not serve.
    ///
    /// # Errors
    /// Those of [`ServedKnowledge::read`].
    pub(super) fn with_knowledge(self, files: &[KnowledgeFile]) -> Result<Self> {
        let knowledge = ServedKnowledge::read(files, &self.model)?;
        Ok(Self { knowledge, ..self })
    }

    /// Returns the model.
    pub(super) fn model(&self) -> &IntentModel {
        &self.model
    }

    /// Returns the model, to be kept.
    pub(super) fn shared_model(&self) -> Arc<IntentModel> {
        Arc::clone(&self.model)
    }

    /// Returns the address that its dialogue notifies of a hand-off, if there is one.
    pub(super) fn hand_off_webhook(&self) -> Option<String> {
        self.model.dialogue().handoff.as_ref()?.webhook.clone()
    }

    /// Returns the language of `text`, one of those of the responses; `None` if there is no choice, the text does not
    /// tell, or is in another language.
    pub(super) fn guess_language(&self, text: &str) -> Option<GuessedLanguage> {
        self.guesser.as_ref()?.guess(text)
    }

    /// Returns how long one prediction takes.
    pub(super) fn speed(&self) -> Speed {
        self.speed
    }

    /// Makes its searches take turns, as those with an encoder do.
    #[cfg(test)]
    pub(super) fn with_slow_knowledge(self) -> Self {
        Self { knowledge: self.knowledge.slowed(), ..self }
    }

    /// Makes it take turns, as a model with an encoder does.
    #[cfg(test)]
    pub(super) fn slowed(self) -> Self {
        Self { speed: Speed::Slow, ..self }
    }

    /// Makes a prediction take `pause` longer, and turns.
    #[cfg(test)]
    pub(super) fn slowed_by(self, pause: std::time::Duration) -> Self {
        Self { pause, ..self.slowed() }
    }

    /// Classifies many texts, on all threads if the model is slow. `read` gets the prediction and the
    /// probabilities of each text.
    ///
    /// # Errors
    /// [`Panicked`], because of a bug. Only this request fails.
    pub(super) fn classify_many<T>(
        &self,
        texts: &[&str],
        mut read: impl FnMut(&Prediction, &[f64]) -> T,
    ) -> Result<Vec<(Prediction, T)>, Panicked> {
        if self.speed == Speed::Fast || texts.len() < 2 {
            return texts.iter().map(|text| self.classify(text, &mut read)).collect();
        }
        let (predictions, proba) =
            catch_unwind(AssertUnwindSafe(|| self.model.predict_many(texts)))
                .map_err(|_| Panicked)?;
        let results = predictions.into_iter().zip(&proba).map(|(prediction, proba)| {
            let read = read(&prediction, proba);
            (prediction, read)
        });
        Ok(results.collect())
    }

    /// Returns the entities that the tagger of the model finds in `text`; none without a tagger.
    ///
    /// # Errors
    /// [`Panicked`], because of a bug. Only this request fails.
    pub(super) fn tag(&self, text: &str) -> Result<Vec<Entity>, Panicked> {
        SCRATCH.with(|scratch| {
            let tagged = catch_unwind(AssertUnwindSafe(|| {
                self.model.tag_with(text, &mut scratch.borrow_mut())
            }));
            tagged.map_err(|_| {
                scratch.replace(Scratch::default());
                Panicked
            })
        })
    }

    /// Classifies `text` in memory that this thread reuses. `read` gets the prediction and the probabilities.
    ///
    /// # Errors
    /// [`Panicked`], because of a bug. Only this request fails.
    pub(super) fn classify<T>(
        &self,
        text: &str,
        read: impl FnOnce(&Prediction, &[f64]) -> T,
    ) -> Result<(Prediction, T), Panicked> {
        #[cfg(test)]
        std::thread::sleep(self.pause);
        SCRATCH.with(|scratch| {
            let answer = catch_unwind(AssertUnwindSafe(|| {
                let mut scratch = scratch.borrow_mut();
                let prediction = self.model.predict_with(text, &mut scratch);
                let read = read(&prediction, scratch.proba());
                (prediction, read)
            }));
            answer.map_err(|_| {
                // The next request must not read half-written memory.
                scratch.replace(Scratch::default());
                Panicked
            })
        })
    }
}

/// The challenger of a rollout and its share of the traffic.
pub(super) struct Split {
    /// The challenger.
    pub(super) canary: Arc<Served>,
    /// Its share of conversations, in [0, 1].
    pub(super) weight: f64,
    /// The share of conversations whose messages it also classifies after the primary has answered them, in [0, 1].
    pub(super) mirrors: f64,
    /// Salt of the assignment.
    pub(super) salt: String,
    /// The rollout it belongs to, by the observer's epoch.
    pub(super) epoch: u64,
    /// The index of the step, from 0.
    pub(super) step: u16,
    /// Whether the share is changing: the conversations that begin are not judged.
    pub(super) changing: bool,
    /// Whether the log was read recently enough for the split to hold.
    pub(super) fresh: Arc<Freshness>,
    /// Whether the plan names a kind of failure that is known when the window of a conversation is over.
    pub(super) has_windows: bool,
}

impl Split {
    /// Returns whether the challenger classifies the messages of a conversation, too.
    ///
    /// The draw is another one than that of the assignment, so these are not the conversations that it answers first.
    fn mirrors(&self, conversation_id: Option<&str>) -> bool {
        match conversation_id {
            None => false,
            Some(_) if self.mirrors >= 1.0 => true,
            Some(_) if self.mirrors <= 0.0 => false,
            Some(id) => assign(&format!("mirror {}", self.salt), id, self.mirrors) == Arm::Canary,
        }
    }

    /// Returns whether `other` routes in the same way.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.canary, &other.canary)
            && self.weight == other.weight
            && self.mirrors == other.mirrors
            && self.salt == other.salt
            && self.step == other.step
            && self.changing == other.changing
            && self.epoch == other.epoch
    }
}

/// The models that answer at one moment. A routing never changes: a rollout swaps it for another.
pub(super) struct Routing {
    /// The champion.
    pub(super) primary: Arc<Served>,
    /// The canary, while a rollout has one.
    pub(super) split: Option<Split>,
}

/// The model that answers one request.
pub(super) struct Choice<'a> {
    /// The model.
    pub(super) served: &'a Arc<Served>,
    /// Its arm.
    pub(super) arm: Arm,
    /// Whether the conversation decided on the arm; `false` if a draw of the request did.
    pub(super) sticky: bool,
    /// The challenger that classifies its messages after the answer, if the rollout mirrors them.
    pub(super) mirror: Option<&'a Split>,
    /// The split that chose; `None` without a rollout, or if the log was not read recently enough.
    pub(super) split: Option<&'a Split>,
}

impl Routing {
    /// Returns the split, if the log was read recently enough for it to hold.
    pub(super) fn split(&self) -> Option<&Split> {
        self.split.as_ref().filter(|split| split.fresh.is_recent())
    }

    /// Returns the speed of its slower model.
    pub(super) fn speed(&self) -> Speed {
        let canary = self.split.as_ref().map(|split| split.canary.speed());
        if [Some(self.primary.speed()), canary].contains(&Some(Speed::Slow)) {
            Speed::Slow
        } else {
            Speed::Fast
        }
    }

    /// Chooses the model that answers; `draw` in [0, 1) decides for a request without a conversation.
    pub(super) fn choose(&self, conversation_id: Option<&str>, draw: f64) -> Choice<'_> {
        let Some(split) = self.split() else {
            let (served, arm) = (&self.primary, Arm::Primary);
            return Choice { served, arm, sticky: true, mirror: None, split: None };
        };
        let arm = match conversation_id {
            Some(id) => assign(&split.salt, id, split.weight),
            None if draw < split.weight => Arm::Canary,
            None => Arm::Primary,
        };
        let served = match arm {
            Arm::Primary => &self.primary,
            Arm::Canary => &split.canary,
        };
        Choice {
            served,
            arm,
            sticky: conversation_id.is_some(),
            mirror: (arm == Arm::Primary && split.mirrors(conversation_id)).then_some(split),
            split: Some(split),
        }
    }
}

/// The current [`Routing`].
///
/// A request keeps the routing that it loaded until it is answered, so a swap does not change a
/// request in flight, and an old model is dropped with its last request.
#[derive(Default)]
pub(super) struct Slot {
    routing: RwLock<Option<Arc<Routing>>>,
    /// The number of calls of [`Self::load`].
    #[cfg(test)]
    pub(super) loads: std::sync::atomic::AtomicU64,
}

impl Slot {
    /// Returns the current routing; `None` before the first model is ready.
    ///
    /// A request calls this once: a second call may return another routing.
    pub(super) fn load(&self) -> Option<Arc<Routing>> {
        #[cfg(test)]
        self.loads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.routing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Swaps the models. Requests that load the routing from now on use the new ones.
    pub(super) fn set(&self, primary: Arc<Served>, split: Option<Split>) {
        let routing = Arc::new(Routing { primary, split });
        let old = self.routing.write().unwrap_or_else(PoisonError::into_inner).replace(routing);
        // This may drop a model, so it happens outside the lock.
        drop(old);
    }

    /// Removes the canary: its weight is zero at once.
    pub(super) fn withdraw(&self) {
        let mut slot = self.routing.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(routing) = slot.as_ref().filter(|routing| routing.split.is_some()) {
            let primary = Arc::clone(&routing.primary);
            *slot = Some(Arc::new(Routing { primary, split: None }));
        }
    }
}
