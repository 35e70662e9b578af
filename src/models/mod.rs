//! Classifiers, and [`IntentModel`]: the deployable whole, in one file.

use crate::{
    dialogue::DialogueSpec, digest::Digest, features::TfidfSpec, findings::Result, labels::Labels,
};
use serde::{Deserialize, Serialize};

/// What to train, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSpec {
    /// Text to numbers.
    pub features: TfidfSpec,
    /// Numbers to intents.
    pub head: HeadSpec,
    /// When the bot says that it did not understand.
    pub fallback: FallbackSpec,
    /// Seed of everything random.
    pub seed: u64,
    /// How many golden utterances to keep for the self-test.
    pub goldens: usize,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            features: TfidfSpec::default(),
            head: HeadSpec::default(),
            fallback: FallbackSpec::default(),
            seed: 17,
            goldens: 32,
        }
    }
}

/// The classifier, by the one key `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadSpec {
    /// Which classifier.
    pub kind: HeadKind,
    /// Inverse strength of regularisation, > 0; default 1 for the SVM, 30 for logistic regression.
    pub c: Option<f64>,
    /// The most passes over the data.
    pub max_iterations: Option<usize>,
    /// When to stop.
    pub tolerance: Option<f64>,
    /// Trees of a forest; default 100.
    pub n_trees: Option<usize>,
    /// Deepest tree of a forest.
    pub max_depth: Option<u16>,
    /// Features a forest sees (the strongest by chi-square); default 1,000.
    pub n_features: Option<usize>,
}

impl Default for HeadSpec {
    fn default() -> Self {
        Self {
            kind: HeadKind::LinearSvm,
            c: None,
            max_iterations: None,
            tolerance: None,
            n_trees: None,
            max_depth: None,
            n_features: None,
        }
    }
}

/// The classifiers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One-vs-rest L2-loss linear SVM by dual coordinate descent.
    LinearSvm,
    /// Multinomial logistic regression.
    LogisticRegression,
    /// Bagged decision trees on reduced features.
    RandomForest,
}

/// When the bot falls back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackSpec {
    /// Below this confidence, in [0, 1].
    pub threshold: f64,
}

impl Default for FallbackSpec {
    fn default() -> Self {
        Self { threshold: 0.35 }
    }
}

/// One utterance to learn from; `intent` [`crate::labels::OOS`] rows train no class.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The utterance.
    pub text: &'a str,
    /// Its intent.
    pub intent: &'a str,
}

/// How far training is.
pub trait Progress: Sync {
    /// Says that a phase of `total` steps begins.
    fn begin(&self, phase: &'static str, total: u64);
    /// Says that `done` more steps are done.
    fn advance(&self, done: u64);
    /// Says that the phase is over.
    fn finish(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}

/// What is recorded of where a model came from; part of the file, so nothing of the moment (no time, no host).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Digest of the data it was trained on.
    pub data: Option<Digest>,
    /// Number of utterances it was trained on.
    pub n_samples: u64,
    /// The spec it was trained from.
    pub spec: ModelSpec,
    /// Version of botops.
    pub botops: String,
}

/// A classified utterance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Index of the winning intent; ties go to the lowest index (names are sorted).
    pub intent: usize,
    /// Its calibrated probability, in [0, 1].
    pub confidence: f64,
    /// The largest raw score (margin or log-odds): what ranks out-of-scope utterances best.
    pub score: f64,
    /// Whether confidence is below the model's threshold.
    pub fallback: bool,
}

/// Working memory of a thread that predicts; reused, so that a prediction allocates next to nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    _private: (),
}

/// The deployable whole: features, head, calibration, out-of-scope rule, dialogue, goldens.
#[derive(Debug)]
pub struct IntentModel {
    _private: (),
}

/// What the golden self-test found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Goldens run.
    pub n: usize,
    /// Those whose intent or confidence (beyond 1e-6) differs, as `text: wanted, got`.
    pub failures: Vec<String>,
}

/// Trains a model. Same samples, spec and seed: the same bytes, whatever the number of threads.
///
/// Out-of-scope rows train no class and no term; they may inform the fallback rule.
///
/// # Errors
/// `BOT-2110` fewer than two intents (exit 3); `BOT-7011` fewer than 2 records of an intent or 10 in all (exit 4);
/// `BOT-7010` a spec out of range (exit 2).
pub fn train(
    samples: &[Sample<'_>],
    spec: &ModelSpec,
    dialogue: DialogueSpec,
    lineage: Lineage,
    progress: &dyn Progress,
) -> Result<IntentModel> {
    let _ = (samples, spec, dialogue, lineage, progress);
    todo!()
}

impl IntentModel {
    /// Returns the intents.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        todo!()
    }
    /// Returns what the bot answers with.
    #[must_use]
    pub fn dialogue(&self) -> &DialogueSpec {
        todo!()
    }
    /// Returns where the model came from.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        todo!()
    }
    /// Returns the temperature by which scores are divided.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        todo!()
    }
    /// Returns the share of words of `text` (in [0, 1]; 0 without words) that training never saw.
    #[must_use]
    pub fn unseen_word_rate(&self, text: &str) -> f64 {
        todo!("{text}")
    }
    /// Classifies `text`; afterwards `scratch.proba()` holds the probabilities of all intents.
    pub fn predict_with(&self, text: &str, scratch: &mut Scratch) -> Prediction {
        let _ = (text, scratch);
        todo!()
    }
    /// Classifies `text`.
    #[must_use]
    pub fn predict(&self, text: &str) -> Prediction {
        self.predict_with(text, &mut Scratch::default())
    }
    /// Classifies many, on all threads; returns predictions and `proba` [n_samples, n_classes] row by row.
    #[must_use]
    pub fn predict_many(&self, texts: &[&str]) -> (Vec<Prediction>, Vec<Vec<f64>>) {
        let _ = texts;
        todo!()
    }
    /// Runs the goldens.
    #[must_use]
    pub fn self_test(&self) -> SelfTest {
        todo!()
    }
    /// Returns the `.botops` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads a `.botops` file; every length is checked before it is trusted, then the digest.
    ///
    /// # Errors
    /// `BOT-7001` not a model file (exit 3), `BOT-7002` truncated or altered (exit 3), `BOT-7003` contradicts itself (exit 3),
    /// `BOT-7004` of a newer format (exit 6).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let _ = bytes;
        todo!()
    }
    /// Reads the model file at `path`; as [`Self::from_bytes`], naming the file.
    ///
    /// # Errors
    /// `BOT-1001`, and those of [`Self::from_bytes`].
    pub fn read(path: &std::path::Path) -> Result<(Self, Digest)> {
        let _ = path;
        todo!()
    }
}

impl Scratch {
    /// Returns the probabilities of the last prediction, [n_classes], summing to 1.
    #[must_use]
    pub fn proba(&self) -> &[f64] {
        todo!()
    }
}
