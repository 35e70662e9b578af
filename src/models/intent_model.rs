//! The deployable whole: features, head, temperature, fallback rule, dialogue, goldens.

use super::{
    HeadKind, Lineage, Prediction,
    confidence::{Centroids, Confidence, Evidence, FallbackRule, OosScore},
    file,
    forest::Forest,
    head::{Head, HeadScratch, Tensor, malformed},
    linear::LinearHead,
    train::largest,
};
use crate::{
    dialogue::DialogueSpec,
    digest::Digest,
    features::{Tfidf, TfidfScratch, Vocabulary},
    findings::{Fault, Finding, Result},
    labels::Labels,
    stats::calibration::softmax,
    text,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// How far a golden's confidence may be from what it was.
const GOLDEN_TOLERANCE: f64 = 1e-6;

/// Working memory of a thread that predicts; reused, so that a prediction allocates next to nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    tfidf: TfidfScratch,
    head: HeadScratch,
    proba: Vec<f64>,
}

impl Scratch {
    /// Returns the probabilities of the last prediction, `[n_classes]`, summing to 1.
    #[must_use]
    pub fn proba(&self) -> &[f64] {
        &self.proba
    }
}

/// The deployable whole: features, head, calibration, out-of-scope rule, dialogue, goldens.
#[derive(Debug)]
pub struct IntentModel(Parts);

/// What a model is put together from; checked by whoever makes it.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) labels: Labels,
    pub(super) tfidf: Tfidf,
    pub(super) head: Box<dyn Head>,
    pub(super) confidence: Confidence,
    /// The means of the intents, where the nearest decides.
    pub(super) centroids: Option<Centroids>,
    pub(super) dialogue: DialogueSpec,
    /// Holds the spec, too.
    pub(super) lineage: Lineage,
    pub(super) goldens: Vec<Golden>,
}

/// An utterance of training, and what the model said of it when it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    pub(super) text: String,
    pub(super) intent: String,
    pub(super) confidence: f64,
}

/// What the golden self-test found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Goldens run.
    pub n: usize,
    /// Those whose intent or confidence (beyond 1e-6) differs, as `text: wanted, got`.
    pub failures: Vec<String>,
}

impl IntentModel {
    pub(super) fn new(parts: Parts) -> Self {
        Self(parts)
    }

    pub(super) fn set_goldens(&mut self, goldens: Vec<Golden>) {
        self.0.goldens = goldens;
    }

    #[cfg(test)]
    pub(super) fn goldens(&self) -> &[Golden] {
        &self.0.goldens
    }

    /// Returns the intents.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.0.labels
    }

    /// Returns what the bot answers with.
    #[must_use]
    pub fn dialogue(&self) -> &DialogueSpec {
        &self.0.dialogue
    }

    /// Returns where the model came from.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.0.lineage
    }

    /// Returns the temperature by which scores are divided.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.0.confidence.temperature()
    }

    /// Returns how sure the model is, and how that was found.
    #[must_use]
    pub fn confidence(&self) -> &Confidence {
        &self.0.confidence
    }

    /// Returns when the model declines.
    #[must_use]
    pub fn fallback(&self) -> FallbackRule {
        self.0.confidence.rule(self.0.lineage.spec.fallback.threshold)
    }

    /// Returns what whoever trained the model should know of it.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.0.confidence.findings(&self.0.lineage.spec.fallback)
    }

    /// Returns the intents that a message with probabilities `proba` `[n_classes]` may have, by index, the likeliest
    /// first; `None` for a model of before there were such sets.
    ///
    /// With the probability stated in training the set holds the intent of an in-scope message; see
    /// [`super::confidence::PredictionSets::of`].
    #[must_use]
    pub fn prediction_set(&self, proba: &[f64]) -> Option<Vec<usize>> {
        self.0.confidence.sets().map(|sets| sets.of(proba))
    }

    /// Returns the number of features.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.0.tfidf.vocabulary().len()
    }

    /// Returns the share of words of `text` (in [0, 1]; 0 without words) that training never saw.
    #[must_use]
    pub fn unseen_word_rate(&self, text: &str) -> f64 {
        match self.0.tfidf.vocabulary().unseen_words(text) {
            (0, _) => 0.0,
            (n, unseen) => unseen as f64 / n as f64,
        }
    }

    /// Classifies `text`; afterwards `scratch.proba()` holds the probabilities of all intents.
    ///
    /// Of a text without any known term nothing was understood: all intents get the same probability,
    /// the intent is the one that leads without evidence, and it always falls back. `scratch` may
    /// have served another model before.
    pub fn predict_with(&self, text: &str, scratch: &mut Scratch) -> Prediction {
        let model = &self.0;
        let Scratch { tfidf, head, proba } = scratch;
        model.tfidf.transform_with(text, tfidf);
        proba.clear();
        proba.resize(model.head.n_classes(), 0.0);
        model.head.scores(tfidf.row(), head, proba);
        // What is out of scope may be a class of its own, after the intents; it is never an answer.
        let oos_logit = match proba.len() > model.labels.len() {
            true => proba.pop(),
            false => None,
        };
        let intent = largest(proba);
        let logit = proba[intent];
        let understood = !tfidf.row().is_empty();
        let temperature = model.confidence.temperature();
        if understood {
            softmax(proba, temperature);
        } else {
            let n_classes = proba.len() as f64;
            proba.fill(1.0 / n_classes);
        }
        let confidence = proba[intent];
        let cosine = model
            .centroids
            .as_ref()
            .map(|centroids| centroids.nearest(tfidf.row().iter().copied(), &mut head.sums));
        let evidence = Evidence { confidence, logit, oos_logit, cosine };
        let FallbackRule { score, threshold, .. } = self.fallback();
        let score =
            evidence.score(score, temperature).expect("a model has what its score is made of");
        Prediction { intent, confidence, logit, score, fallback: !understood || score < threshold }
    }

    /// Classifies `text`.
    #[must_use]
    pub fn predict(&self, text: &str) -> Prediction {
        self.predict_with(text, &mut Scratch::default())
    }

    /// Classifies many, on all threads; returns predictions and `proba` `[n_samples, n_classes]` row by row.
    #[must_use]
    pub fn predict_many(&self, texts: &[&str]) -> (Vec<Prediction>, Vec<Vec<f64>>) {
        texts
            .par_iter()
            .with_min_len(64)
            .map_init(Scratch::default, |scratch, text| {
                let prediction = self.predict_with(text, scratch);
                (prediction, scratch.proba.clone())
            })
            .unzip()
    }

    /// Runs the goldens.
    #[must_use]
    pub fn self_test(&self) -> SelfTest {
        let mut scratch = Scratch::default();
        let failures = self
            .0
            .goldens
            .iter()
            .filter_map(|golden| {
                let got = self.predict_with(&golden.text, &mut scratch);
                let name = self.0.labels.name(got.intent);
                let same = name == golden.intent
                    && (got.confidence - golden.confidence).abs() <= GOLDEN_TOLERANCE;
                (!same).then(|| {
                    format!(
                        "{}: {} {:.6}, {} {:.6}",
                        text::display(&golden.text, 80),
                        golden.intent,
                        golden.confidence,
                        name,
                        got.confidence
                    )
                })
            })
            .collect();
        SelfTest { n: self.0.goldens.len(), failures }
    }

    /// Returns the `.botops` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let model = &self.0;
        let mut tensors = model.head.tensors();
        let idf = model.tfidf.idf().to_vec();
        tensors.push(Tensor::of_floats("idf", vec![idf.len()], idf));
        tensors.extend(model.centroids.iter().flat_map(Centroids::tensors));
        file::write(&[
            ("labels", json(&model.labels)),
            ("lineage", json(&model.lineage)),
            ("calibration", json(&model.confidence)),
            ("dialogue", json(&model.dialogue)),
            ("goldens", json(&model.goldens)),
            ("vocabulary", model.tfidf.vocabulary().to_bytes()),
            ("weights", Tensor::to_bytes(&tensors)),
        ])
    }

    /// Reads a `.botops` file; every length is checked before it is trusted, then the digest.
    ///
    /// # Errors
    /// `BOT-7001` not a model file (exit 3), `BOT-7002` truncated or altered (exit 3), `BOT-7003` contradicts itself (exit 3),
    /// `BOT-7004` of a newer format (exit 6).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_checked(bytes).map(|(model, _)| model)
    }

    fn from_checked(bytes: &[u8]) -> Result<(Self, Digest)> {
        let (parts, digest) = file::read(bytes)?;
        let labels: Labels = parse(&parts, "labels")?;
        let lineage: Lineage = parse(&parts, "lineage")?;
        let confidence: Confidence = parse(&parts, "calibration")?;
        let goldens: Vec<Golden> = parse(&parts, "goldens")?;
        let dialogue = parse(&parts, "dialogue")?;
        let spec = &lineage.spec;
        spec.check().map_err(|fault| malformed("has a spec out of range").caused_by(fault))?;
        confidence.check(labels.len())?;
        if goldens.iter().any(|golden| labels.index_of(&golden.intent).is_none()) {
            return Err(malformed("has a golden of an intent it does not know"));
        }
        let tfidf_spec = spec.features.tfidf();
        let (vocabulary, tensors) = {
            let (terms, weights) = (parts.get("vocabulary")?, parts.get("weights")?);
            rayon::join(
                || Vocabulary::from_bytes(terms, &tfidf_spec),
                || Tensor::from_bytes(weights),
            )
        };
        let (vocabulary, tensors) = (vocabulary?, tensors?);
        let n_features = vocabulary.len();
        let idf = Tensor::floats(&tensors, "idf", &[n_features])?.to_vec();
        let tfidf = Tfidf::from_parts(tfidf_spec, vocabulary, idf)?;
        let score = confidence.rule(spec.fallback.threshold).score;
        let n_classes = labels.len() + usize::from(score == OosScore::OosClass);
        let head: Box<dyn Head> = match spec.head.kind {
            HeadKind::LinearSvm
            | HeadKind::LogisticRegression
            | HeadKind::ComplementNaiveBayes
            | HeadKind::FineTuned => {
                Box::new(LinearHead::from_tensors(&tensors, n_features, n_classes)?)
            }
            HeadKind::RandomForest => {
                Box::new(Forest::from_tensors(&tensors, n_features, n_classes)?)
            }
        };
        let centroids = (score == OosScore::Centroid)
            .then(|| Centroids::from_tensors(&tensors, n_features, labels.len()))
            .transpose()?;
        let parts =
            Parts { labels, tfidf, head, confidence, centroids, dialogue, lineage, goldens };
        Ok((Self(parts), digest))
    }

    /// Reads the model file at `path`; as [`Self::from_bytes`], naming the file. The digest is that of the file's bytes.
    ///
    /// # Errors
    /// `BOT-1001`, and those of [`Self::from_bytes`].
    pub fn read(path: &Path) -> Result<(Self, Digest)> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(path)?;
            let mut bytes = Vec::new();
            // What is not a model is not read whole: it may be a disk image.
            file.by_ref().take(file::MAGIC.len() as u64).read_to_end(&mut bytes)?;
            if bytes == file::MAGIC {
                bytes.reserve(file.metadata()?.len() as usize);
                file.read_to_end(&mut bytes)?;
            }
            Ok(bytes)
        };
        let bytes = read().map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::NotFound => "does not exist".to_owned(),
                io::ErrorKind::IsADirectory => "is a directory, not a model file".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            Fault::usage("BOT-1001", format!("`{}` {what}", path.display()))
                .hint("train one: `botops train train.csv --out model.botops`")
                .file(path)
                .caused_by(error)
        })?;
        Self::from_checked(&bytes).map_err(|fault| fault.file(path))
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    crate::digest::canonical_json(value)
}

fn parse<T: DeserializeOwned>(parts: &file::PartsOf<'_>, name: &str) -> Result<T> {
    serde_json::from_slice(parts.get(name)?)
        .map_err(|error| malformed(&format!("has a malformed part `{name}`")).caused_by(error))
}
