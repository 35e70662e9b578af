//! The deployable whole: features, head, temperature, fallback rule, dialogue, goldens.

use super::{
    HeadKind, Lineage, ModelSpec, Prediction,
    confidence::{Centroids, Confidence, Evidence, FallbackRule, OosScore},
    file,
};
use crate::{
    heads::{
        forest::Forest,
        head::{Head, HeadScratch, Safetensors, Tensor, malformed},
        linear::LinearHead,
        stacked::{self, StackedHead},
    },
    training::train::largest,
};
use botops_dialogue::DialogueSpec;
use botops_digest::{Digest, canonical_json};
use botops_features::{
    Encoder, EncoderParts, EncoderScratch, FeatureKind, Term, Tfidf, TfidfScratch, Vocabulary,
};
use botops_findings::{Fault, Finding, Result};
use botops_labels::Labels;
use botops_stats::calibration::softmax;
use botops_text as text;
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

/// How far a golden's confidence may be from what it was.
const GOLDEN_TOLERANCE: f64 = 1e-6;
/// The same where an encoder is asked: its millions of sums round otherwise on a processor with other instructions.
const DENSE_GOLDEN_TOLERANCE: f64 = 1e-4;

/// Working memory of a thread that predicts; reused, so that a prediction allocates next to nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Holds the row of the last text: its terms, and its embedding beside them.
    tfidf: TfidfScratch,
    encoder: EncoderScratch,
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

/// A text as a model sees it: (column, value) of known terms, and of the embedding's dimensions behind them.
pub(super) struct Row<'a> {
    pub(super) sparse: &'a [(u32, f32)],
    pub(super) dense: &'a [(u32, f32)],
}

/// The deployable whole: features, head, calibration, out-of-scope rule, dialogue, goldens.
#[derive(Debug)]
pub struct IntentModel(Parts);

/// What a model is put together from; checked by whoever makes it.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) labels: Labels,
    pub(super) tfidf: Tfidf,
    /// What embeds, where the features ask for it.
    pub(super) encoder: Option<Arc<Encoder>>,
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
    /// Those whose intent or confidence (beyond 1e-6, with an encoder 1e-4) differs, as `text: wanted, got`.
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
        let Parts { confidence, labels, lineage, .. } = &self.0;
        let mut findings = confidence.findings(&lineage.spec.fallback);
        findings.extend(confidence.sets().and_then(|sets| sets.finding(labels)));
        findings
    }

    /// Returns the intents that a message with probabilities `proba` `[n_classes]` may have, by index, the likeliest
    /// first; `None` for a model that makes no such sets.
    ///
    /// With the probability stated in training the set holds the intent of an in-scope message; see
    /// [`super::confidence::PredictionSets::of`].
    #[must_use]
    pub fn prediction_set(&self, proba: &[f64]) -> Option<Vec<usize>> {
        self.0.confidence.sets().map(|sets| sets.of(proba))
    }

    /// Returns the encoder, where the features ask for one.
    #[must_use]
    pub fn encoder(&self) -> Option<&Arc<Encoder>> {
        self.0.encoder.as_ref()
    }

    /// Returns the number of features: terms, and dimensions of the embedding.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.0.tfidf.vocabulary().len() + self.0.encoder.as_ref().map_or(0, |e| e.dim())
    }

    /// Returns the share of words of `text` (in [0, 1]; 0 without words) that training never saw.
    #[must_use]
    pub fn unseen_word_rate(&self, text: &str) -> f64 {
        match self.0.tfidf.vocabulary().unseen_words(text) {
            (0, _) => 0.0,
            (n, unseen) => unseen as f64 / n as f64,
        }
    }

    /// Writes the row of `text` into `scratch`, and returns whether anything of it is known.
    ///
    /// `embedding` is that of the text, where it was made before.
    fn read_text(&self, text: &str, embedding: Option<&[f32]>, scratch: &mut Scratch) -> bool {
        let model = &self.0;
        model.tfidf.transform_with(text, &mut scratch.tfidf);
        let has_terms = !scratch.tfidf.row().is_empty();
        let Some(encoder) = &model.encoder else { return has_terms };
        let embedding = match embedding {
            Some(known) => known,
            None => encoder.embed_one(text, &mut scratch.encoder),
        };
        let weight = model.lineage.spec.features.dense_weight();
        let first = model.tfidf.vocabulary().len() as u32;
        scratch.tfidf.put_beside(first, embedding.iter().map(|value| weight * value));
        has_terms || encoder.knows(text)
    }

    /// Writes the row of `text` into `scratch`, and returns the raw scores of all intents.
    pub(super) fn raw_scores(&self, text: &str, scratch: &mut Scratch) -> Vec<f64> {
        let model = &self.0;
        self.read_text(text, None, scratch);
        let mut scores = vec![0.0; model.head.n_classes()];
        model.head.scores(scratch.tfidf.row(), &mut scratch.head, &mut scores);
        scores.truncate(model.labels.len());
        scores
    }

    /// Returns the row that [`Self::raw_scores`] wrote, the terms' part and the embedding's.
    pub(super) fn row_of<'a>(&self, scratch: &'a Scratch) -> Row<'a> {
        let row = scratch.tfidf.row();
        let n_terms = self.0.tfidf.vocabulary().len();
        let (sparse, dense) =
            row.split_at(row.partition_point(|&(column, _)| (column as usize) < n_terms));
        Row { sparse, dense }
    }

    /// Returns the terms by column.
    pub(super) fn terms(&self) -> &[Term] {
        self.0.tfidf.vocabulary().terms()
    }

    /// See [`Head::contribution`].
    pub(super) fn contribution(&self, column: u32, value: f32, class: usize) -> Option<f64> {
        self.0.head.contribution(column, value, class)
    }

    /// See [`Head::intercept`].
    pub(super) fn intercept(&self, class: usize) -> Option<f64> {
        self.0.head.intercept(class)
    }

    /// Returns what the head is called in YAML.
    pub(super) fn head_name(&self) -> &'static str {
        self.0.lineage.spec.head.kind.name()
    }

    /// Classifies `text`; afterwards `scratch.proba()` holds the probabilities of all intents.
    ///
    /// Of a text without any known term, and without a token but the special ones where the model has an encoder,
    /// nothing was understood: all intents get the same probability, the intent is the one that leads without
    /// evidence, and it always falls back. `scratch` may have served another model before.
    pub fn predict_with(&self, text: &str, scratch: &mut Scratch) -> Prediction {
        let understood = self.read_text(text, None, scratch);
        self.decide(understood, scratch)
    }

    /// Classifies the row in `scratch`.
    fn decide(&self, understood: bool, scratch: &mut Scratch) -> Prediction {
        let model = &self.0;
        let Scratch { tfidf, head, proba, .. } = scratch;
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
        // The encoder is fastest with many texts at once; what it makes of a text is the same.
        let embedded = self.0.encoder.as_ref().map(|e| (e.embed(texts, &|_| ()), e.dim()));
        texts
            .par_iter()
            .enumerate()
            .with_min_len(64)
            .map_init(Scratch::default, |scratch, (i, text)| {
                let embedding = embedded.as_ref().map(|(all, dim)| &all[i * dim..][..*dim]);
                let understood = self.read_text(text, embedding, scratch);
                let prediction = self.decide(understood, scratch);
                (prediction, scratch.proba.clone())
            })
            .unzip()
    }

    /// Runs the goldens.
    #[must_use]
    pub fn self_test(&self) -> SelfTest {
        let mut scratch = Scratch::default();
        let tolerance = match self.0.encoder {
            Some(_) => DENSE_GOLDEN_TOLERANCE,
            None => GOLDEN_TOLERANCE,
        };
        let failures = self
            .0
            .goldens
            .iter()
            .filter_map(|golden| {
                let got = self.predict_with(&golden.text, &mut scratch);
                let name = self.0.labels.name(got.intent);
                let near = |proba: f64| (proba - golden.confidence).abs() <= tolerance;
                // Of two intents as sure as each other, rounding decides.
                let tied = || {
                    self.0.labels.index_of(&golden.intent).is_some_and(|i| near(scratch.proba[i]))
                };
                let same = near(got.confidence) && (name == golden.intent || tied());
                (!same).then(|| {
                    format!(
                        "{}: {} {:.6}, {} {:.6}",
                        text::utterance(&golden.text, 80),
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
        tensors.extend(model.tfidf.selected().map(|ids| Tensor::of_integers("selected", ids)));
        tensors.extend(model.centroids.iter().flat_map(Centroids::tensors));
        let bytes = file::Piece::Bytes;
        let mut parts = vec![
            ("labels", bytes(canonical_json(&model.labels))),
            ("lineage", bytes(canonical_json(&model.lineage))),
            ("calibration", bytes(canonical_json(&model.confidence))),
            ("dialogue", bytes(canonical_json(&model.dialogue))),
            ("goldens", bytes(canonical_json(&model.goldens))),
            ("vocabulary", bytes(model.tfidf.vocabulary().to_bytes())),
            ("weights", file::Piece::Tensors(Safetensors::new(tensors))),
        ];
        if let Some(encoder) = &model.encoder {
            let EncoderParts { metadata, tokenizer, weights } = encoder.parts();
            let pieces = [metadata, tokenizer, weights].map(|part| bytes(part.into_owned()));
            parts.extend(ENCODER_PARTS.into_iter().zip(pieces));
        }
        file::write(model.lineage.spec.file_version(), &parts)
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
        let ((vocabulary, tensors), encoder) = {
            let (terms, weights) = (parts.get("vocabulary")?, parts.get("weights")?);
            rayon::join(
                || {
                    rayon::join(
                        || Vocabulary::from_bytes(terms, &tfidf_spec),
                        || Tensor::from_bytes(weights),
                    )
                },
                || encoder_of(&parts, spec),
            )
        };
        let (vocabulary, tensors, encoder) = (vocabulary?, tensors?, encoder?);
        let n_terms = vocabulary.len();
        let dim = encoder.as_ref().map_or(0, |encoder| encoder.dim());
        let idf = Tensor::floats(&tensors, "idf", &[n_terms])?.to_vec();
        let beside = tfidf_spec.compat.is_some() && tfidf_spec.select.is_some();
        let selected = if beside { Some(Tensor::integers(&tensors, "selected")?) } else { None };
        let tfidf = Tfidf::from_parts(tfidf_spec, vocabulary, idf, selected)?;
        let score = confidence.rule(spec.fallback.threshold).score;
        let n_classes = labels.len() + usize::from(score == OosScore::OosClass);
        let head: Box<dyn Head> = match spec.features.kind {
            FeatureKind::Stacked => {
                let [sparse, dense] = stacked::parts(spec);
                Box::new(StackedHead::from_tensors(
                    &tensors,
                    n_terms,
                    |tensors| head_of(&sparse, tensors, n_terms, n_classes),
                    |tensors| head_of(&dense, tensors, dim, n_classes),
                )?)
            }
            _ => head_of(spec, &tensors, n_terms + dim, n_classes)?,
        };
        let centroids = (score == OosScore::Centroid)
            .then(|| Centroids::from_tensors(&tensors, n_terms + dim, labels.len()))
            .transpose()?;
        let parts = Parts {
            labels,
            tfidf,
            encoder,
            head,
            confidence,
            centroids,
            dialogue,
            lineage,
            goldens,
        };
        Ok((Self(parts), digest))
    }

    /// Reads the model file at `path`; as [`Self::from_bytes`], naming the file. The digest is that of the file's bytes.
    ///
    /// # Errors
    /// `BOT-1001`, and those of [`Self::from_bytes`].
    pub fn read(path: &Path) -> Result<(Self, Digest)> {
        Self::read_with_bytes(path).map(|(model, digest, _)| (model, digest))
    }

    /// Reads the model file at `path` once; as [`Self::read`], with the bytes that the model was read from.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn read_with_bytes(path: &Path) -> Result<(Self, Digest, Vec<u8>)> {
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
        let (model, digest) = Self::from_checked(&bytes).map_err(|fault| fault.file(path))?;
        Ok((model, digest, bytes))
    }
}

/// What the parts of an encoder are called in a model file.
const ENCODER_PARTS: [&str; 3] = ["encoder.json", "tokenizer", "encoder"];

/// Reads the encoder, where the features ask for one; a file that has one nobody asks for contradicts itself.
fn encoder_of(parts: &file::PartsOf<'_>, spec: &ModelSpec) -> Result<Option<Arc<Encoder>>> {
    if !spec.features.kind.is_dense() {
        return match ENCODER_PARTS.iter().any(|name| parts.find(name).is_some()) {
            true => Err(malformed("has an encoder that its features do not ask for")),
            false => Ok(None),
        };
    }
    let [metadata, tokenizer, weights] = ENCODER_PARTS.map(|name| parts.get(name));
    let parts = EncoderParts {
        metadata: metadata?.into(),
        tokenizer: tokenizer?.into(),
        weights: weights?.into(),
    };
    Encoder::from_parts(&parts).map(|encoder| Some(Arc::new(encoder)))
}

/// Reads the head that `spec` asks for, over `n_features` columns.
fn head_of(
    spec: &ModelSpec,
    tensors: &[Tensor],
    n_features: usize,
    n_classes: usize,
) -> Result<Box<dyn Head>> {
    Ok(match spec.head.kind {
        HeadKind::LinearSvm
        | HeadKind::LogisticRegression
        | HeadKind::ComplementNaiveBayes
        | HeadKind::FineTuned => {
            Box::new(LinearHead::from_tensors(tensors, n_features, n_classes)?)
        }
        HeadKind::RandomForest => Box::new(Forest::from_tensors(tensors, n_features, n_classes)?),
    })
}

fn parse<T: DeserializeOwned>(parts: &file::PartsOf<'_>, name: &str) -> Result<T> {
    serde_json::from_slice(parts.get(name)?)
        .map_err(|error| malformed(&format!("has a malformed part `{name}`")).caused_by(error))
}
