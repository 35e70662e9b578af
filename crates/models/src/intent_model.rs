//! [`IntentModel`]: features, head, confidence, dialogue and goldens as one deployable model.

use crate::{
    HeadKind, Lineage, ModelSpec, Prediction,
    confidence::{Centroids, Confidence, Facts, FallbackRule, OosScore},
    file::{self, FileParts, PartContent},
    heads::{
        forest::Forest,
        head::{Head, HeadScratch, Safetensors, Tensor, malformed},
        linear::LinearHead,
        stacked::{self, StackedHead},
    },
    tagger::{self, TAGGER_PARTS, TagScratch, Tagger},
};
use botops_dialogue::{DialogueSpec, Entity};
use botops_digest::{Digest, canonical_json};
use botops_features::{
    Encoder, EncoderParts, EncoderScratch, FeatureKind, Term, Tfidf, TfidfScratch, Vocabulary,
};
use botops_findings::{Fault, Finding, Result};
use botops_labels::Labels;
use botops_spec::Spec as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

/// Working memory of a thread that predicts; reusing it avoids almost all allocations.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The row of the last text: its terms, then its embedding.
    tfidf: TfidfScratch,
    encoder: EncoderScratch,
    head: HeadScratch,
    proba: Vec<f64>,
    tagger: TagScratch,
}

impl Scratch {
    /// Returns the probabilities of the last prediction, `[n_classes]`, summing to 1.
    #[must_use]
    pub fn proba(&self) -> &[f64] {
        &self.proba
    }
}

/// The row of a text: (column, value) of its known terms, and of the dimensions of its embedding.
pub(super) struct Row<'a> {
    pub(super) sparse: &'a [(u32, f32)],
    pub(super) dense: &'a [(u32, f32)],
}

/// A deployable model: features, head, calibration, fallback rule, dialogue and goldens.
#[derive(Debug)]
pub struct IntentModel(ModelParts);

/// The components of a model; the code that makes them checks that they are consistent.
#[derive(Debug)]
pub(super) struct ModelParts {
    pub(super) labels: Labels,
    pub(super) tfidf: Tfidf,
    /// The encoder, if the features use one.
    pub(super) encoder: Option<Arc<Encoder>>,
    pub(super) head: Box<dyn Head>,
    pub(super) confidence: Confidence,
    /// The means of the intents, if the fallback score is the cosine to the nearest mean.
    pub(super) centroids: Option<Centroids>,
    pub(super) dialogue: DialogueSpec,
    /// Includes the spec.
    pub(super) lineage: Lineage,
    pub(super) goldens: Vec<Golden>,
    /// The tagger, if the model was trained on annotated spans.
    pub(super) tagger: Option<Tagger>,
    /// The reference profile as JSON; files of older versions have none.
    pub(super) reference: Option<Vec<u8>>,
}

/// A training utterance, with its prediction at the end of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    pub(super) text: String,
    pub(super) intent: String,
    pub(super) confidence: f64,
}

impl IntentModel {
    /// Makes a model of consistent components.
    pub(super) fn new(parts: ModelParts) -> Self {
        Self(parts)
    }

    /// Replaces the goldens.
    pub(super) fn set_goldens(&mut self, goldens: Vec<Golden>) {
        self.0.goldens = goldens;
    }

    /// Puts the reference profile `bytes` into the file of the model; predictions do not depend on it.
    ///
    /// # Panics
    /// If it has more than [`MOST_REFERENCE_BYTES`], which the caller checks.
    pub fn set_reference(&mut self, bytes: Vec<u8>) {
        assert!(bytes.len() <= MOST_REFERENCE_BYTES, "the size of a profile is checked");
        self.0.reference = Some(bytes);
    }

    /// Returns the reference profile as JSON, as it stands in the file: what the training data looked like to the model.
    ///
    /// `None` for a file that an older version wrote.
    #[must_use]
    pub fn reference(&self) -> Option<&[u8]> {
        self.0.reference.as_deref()
    }

    /// Replaces the classifier.
    #[cfg(test)]
    pub(super) fn set_head(&mut self, head: Box<dyn Head>) {
        self.0.head = head;
    }

    /// Returns the goldens.
    pub(super) fn goldens(&self) -> &[Golden] {
        &self.0.goldens
    }

    /// Returns the intents.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.0.labels
    }

    /// Returns the responses of the bot.
    #[must_use]
    pub fn dialogue(&self) -> &DialogueSpec {
        &self.0.dialogue
    }

    /// Returns the intents that the dialogue cannot answer: all of them if the model has no dialogue.
    #[must_use]
    pub fn unanswered_intents(&self) -> Vec<String> {
        let intents = self.labels().iter();
        self.dialogue().unanswered(intents).into_iter().map(str::to_owned).collect()
    }

    /// Returns the origin of the model.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.0.lineage
    }

    /// Returns the temperature, the divisor of raw scores.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.0.confidence.temperature()
    }

    /// Returns the calibration and how it was fitted.
    #[must_use]
    pub fn confidence(&self) -> &Confidence {
        &self.0.confidence
    }

    /// Returns the fallback rule.
    #[must_use]
    pub fn fallback(&self) -> FallbackRule {
        self.0.confidence.rule(self.0.lineage.spec.fallback.threshold)
    }

    /// Returns warnings about the training, such as too few records for a prediction set.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let ModelParts { confidence, labels, lineage, .. } = &self.0;
        let mut findings = confidence.findings(&lineage.spec.fallback);
        findings.extend(confidence.sets().and_then(|sets| sets.finding(labels)));
        findings.extend(self.dialogue().findings(&labels.iter().collect::<Vec<_>>()));
        findings
    }

    /// Returns the prediction set of a message with probabilities `proba` `[n_classes]`: indices of intents, the likeliest
    /// first; `None` for a model without prediction sets.
    ///
    /// The set contains the intent of an in-scope message with the probability stated in training; see
    /// [`crate::confidence::PredictionSets::of`].
    #[must_use]
    pub fn prediction_set(&self, proba: &[f64]) -> Option<Vec<usize>> {
        self.0.confidence.sets().map(|sets| sets.of(proba))
    }

    /// Returns the encoder, if the features use one.
    #[must_use]
    pub fn encoder(&self) -> Option<&Arc<Encoder>> {
        self.0.encoder.as_ref()
    }

    /// Returns the tagger, if the model was trained on annotated spans.
    #[must_use]
    pub fn tagger(&self) -> Option<&Tagger> {
        self.0.tagger.as_ref()
    }

    /// Returns the entities that the tagger finds in `text`, by position; none without a tagger.
    ///
    /// Entities never overlap; offsets are in code points. Patterns of the dialogue are not searched: see
    /// [`botops_dialogue::Dialogue`]. The time is linear in the text.
    #[must_use]
    pub fn tag(&self, text: &str) -> Vec<Entity> {
        self.tag_with(text, &mut Scratch::default())
    }

    /// As [`Self::tag`], with working memory that is reused between texts and shared between models.
    pub fn tag_with(&self, text: &str, scratch: &mut Scratch) -> Vec<Entity> {
        self.tagger().map_or_else(Vec::new, |tagger| tagger.tag(text, &mut scratch.tagger))
    }

    /// Returns the number of features: terms plus dimensions of the embedding.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.0.tfidf.vocabulary().len() + self.0.encoder.as_ref().map_or(0, |e| e.dim())
    }

    /// Returns the share of words of `text` that are not in the training data, in [0, 1]; 0 without words.
    #[must_use]
    pub fn unseen_word_rate(&self, text: &str) -> f64 {
        match self.0.tfidf.vocabulary().unseen_words(text) {
            (0, _) => 0.0,
            (n, unseen) => unseen as f64 / n as f64,
        }
    }

    /// Writes the row of `text` to `scratch`, and returns whether anything in it is known.
    ///
    /// `embedding` is the embedding of the text, if it was computed before.
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

    /// Writes the row of `text` to `scratch`, and returns the raw scores of all intents.
    pub(super) fn raw_scores(&self, text: &str, scratch: &mut Scratch) -> Vec<f64> {
        let model = &self.0;
        self.read_text(text, None, scratch);
        let mut scores = vec![0.0; model.head.n_classes()];
        model.head.scores(scratch.tfidf.row(), &mut scratch.head, &mut scores);
        scores.truncate(model.labels.len());
        scores
    }

    /// Returns the row that [`Self::raw_scores`] wrote: the terms and the embedding.
    pub(super) fn row_of<'a>(&self, scratch: &'a Scratch) -> Row<'a> {
        let row = scratch.tfidf.row();
        let n_terms = self.0.tfidf.vocabulary().len();
        let (sparse, dense) =
            row.split_at(row.partition_point(|&(column, _)| (column as usize) < n_terms));
        Row { sparse, dense }
    }

    /// Returns the term of each column.
    pub(super) fn terms(&self) -> &[Term] {
        self.0.tfidf.vocabulary().terms()
    }

    /// Returns [`Head::contribution`].
    pub(super) fn contribution(&self, column: u32, value: f32, class: usize) -> Option<f64> {
        self.0.head.contribution(column, value, class)
    }

    /// Returns [`Head::intercept`].
    pub(super) fn intercept(&self, class: usize) -> Option<f64> {
        self.0.head.intercept(class)
    }

    /// Returns the name of the head in YAML.
    pub(super) fn head_name(&self) -> &'static str {
        self.0.lineage.spec.head.kind.name()
    }

    /// Classifies `text`; afterwards [`Scratch::proba`] returns the probabilities of all intents.
    ///
    /// Nothing in a text is known if it has no known term and, for a model with an encoder, only special tokens. All
    /// intents then have the same probability, the predicted intent is the one with the largest score of an empty row, and
    /// the model falls back. So it does if a score is infinite or not a number, which a model with extreme weights can
    /// compute. `scratch` can be shared between models.
    pub fn predict_with(&self, text: &str, scratch: &mut Scratch) -> Prediction {
        self.predict_checked(text, scratch).0
    }

    /// Classifies `text`, and returns whether its scores are finite.
    pub(super) fn predict_checked(&self, text: &str, scratch: &mut Scratch) -> (Prediction, bool) {
        let understood = self.read_text(text, None, scratch);
        self.decide(understood, scratch)
    }

    /// Classifies the row in `scratch`, and returns whether its scores are finite.
    fn decide(&self, understood: bool, scratch: &mut Scratch) -> (Prediction, bool) {
        let model = &self.0;
        let Scratch { tfidf, head, proba, .. } = scratch;
        proba.clear();
        proba.resize(model.head.n_classes(), 0.0);
        model.head.scores(tfidf.row(), head, proba);
        // The out-of-scope class, if there is one, comes after the intents; it is never an answer.
        let oos_logit = match proba.len() > model.labels.len() {
            true => proba.pop(),
            false => None,
        };
        let cosine = model
            .centroids
            .as_ref()
            .map(|centroids| centroids.nearest(tfidf.row().iter().copied(), &mut head.sums));
        let facts = Facts { oos_logit, cosine, understood };
        model.confidence.decide(proba, facts, self.fallback())
    }

    /// Returns whether no text can overflow the scores, as far as the head can tell.
    pub(super) fn is_bounded(&self) -> bool {
        self.0.head.is_bounded()
    }

    /// Classifies `text`.
    #[must_use]
    pub fn predict(&self, text: &str) -> Prediction {
        self.predict_with(text, &mut Scratch::default())
    }

    /// Classifies `texts` on all threads; returns the predictions and `proba` `[n_samples, n_classes]`, row by row.
    #[must_use]
    pub fn predict_many(&self, texts: &[&str]) -> (Vec<Prediction>, Vec<Vec<f64>>) {
        // The encoder is fastest with many texts at once; the embedding of a text does not depend on the others.
        let embedded = self.0.encoder.as_ref().map(|e| (e.embed(texts, &|_| ()), e.dim()));
        texts
            .par_iter()
            .enumerate()
            .with_min_len(64)
            .map_init(Scratch::default, |scratch, (i, text)| {
                let embedding = embedded.as_ref().map(|(all, dim)| &all[i * dim..][..*dim]);
                let understood = self.read_text(text, embedding, scratch);
                let (prediction, _) = self.decide(understood, scratch);
                (prediction, scratch.proba.clone())
            })
            .unzip()
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
        let bytes = PartContent::Bytes;
        let mut parts = vec![
            ("labels", bytes(canonical_json(&model.labels))),
            ("lineage", bytes(canonical_json(&model.lineage))),
            ("calibration", bytes(canonical_json(&model.confidence))),
            ("dialogue", bytes(canonical_json(&model.dialogue))),
            ("goldens", bytes(canonical_json(&model.goldens))),
            ("vocabulary", bytes(model.tfidf.vocabulary().to_bytes())),
            ("weights", PartContent::Tensors(Safetensors::new(tensors))),
        ];
        if let Some(encoder) = &model.encoder {
            let EncoderParts { metadata, tokenizer, weights } = encoder.parts();
            let contents = [metadata, tokenizer, weights].map(|part| bytes(part.into_owned()));
            parts.extend(ENCODER_PARTS.into_iter().zip(contents));
        }
        let mut version = model.lineage.spec.file_version();
        if let Some(tagger) = &model.tagger {
            let (names, tensors) = tagger::write(tagger);
            let contents = [bytes(names), PartContent::Tensors(Safetensors::new(tensors))];
            parts.extend(TAGGER_PARTS.into_iter().zip(contents));
            version = version.max(TAGGER_VERSION);
        }
        // Older readers skip a part that they do not know, and predict the same without it.
        parts.extend(model.reference.iter().map(|json| (REFERENCE_PART, bytes(json.clone()))));
        file::write(version, &parts)
    }

    /// Reads a `.botops` file; every length is checked before it is used, and every digest is verified.
    ///
    /// # Errors
    /// `BOT-7001` not a model file (exit 3), `BOT-7002` truncated or altered (exit 3), `BOT-7003` inconsistent (exit 3),
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
        spec.check_ranges()
            .map_err(|fault| malformed("has a spec out of range").caused_by(fault))?;
        confidence.check(labels.len())?;
        if goldens.iter().any(|golden| labels.index_of(&golden.intent).is_none()) {
            return Err(malformed("has a golden with an unknown intent"));
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
        let has_selection = tfidf_spec.compat.is_some() && tfidf_spec.select.is_some();
        let selected =
            if has_selection { Some(Tensor::integers(&tensors, "selected")?) } else { None };
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
        let tagger = match TAGGER_PARTS.map(|name| parts.find(name)) {
            [None, None] => None,
            [Some(names), Some(weights)] => Some(tagger::read(names, weights)?),
            _ => return Err(malformed("has one of the two parts of a tagger")),
        };
        let reference = parts.find(REFERENCE_PART).map(<[u8]>::to_vec);
        if reference.as_ref().is_some_and(|bytes| bytes.len() > MOST_REFERENCE_BYTES) {
            return Err(malformed("has a reference profile of more than 4 MiB"));
        }
        let parts = ModelParts {
            labels,
            tfidf,
            encoder,
            head,
            confidence,
            centroids,
            dialogue,
            lineage,
            goldens,
            tagger,
            reference,
        };
        Ok((Self(parts), digest))
    }

    /// Reads the model file at `path`, and returns the model and the digest of the file; errors name the file.
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
            // A file that is not a model is not read completely: it could be a disk image.
            file.by_ref().take(file::MAGIC.len() as u64).read_to_end(&mut bytes)?;
            if bytes == file::MAGIC {
                // The size of a sparse file can be larger than any memory.
                bytes.try_reserve(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
                file.read_to_end(&mut bytes)?;
            }
            Ok(bytes)
        };
        let bytes = read().map_err(|error| {
            let problem = match error.kind() {
                io::ErrorKind::NotFound => "does not exist".to_owned(),
                io::ErrorKind::IsADirectory => "is a directory, not a model file".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            Fault::usage("BOT-1001", format!("`{}` {problem}", path.display()))
                .hint("train one: `botops train train.csv --out model.botops`")
                .file(path)
                .caused_by(error)
        })?;
        let (model, digest) = Self::from_checked(&bytes).map_err(|fault| fault.file(path))?;
        Ok((model, digest, bytes))
    }
}

/// The first version of model files whose readers know taggers.
const TAGGER_VERSION: u32 = 4;

/// The most bytes of a reference profile in a model file.
pub const MOST_REFERENCE_BYTES: usize = 4 << 20;
/// The name of the part that holds the reference profile. It is the last one of a file.
const REFERENCE_PART: &str = "reference";

/// Names of the parts of an encoder in a model file.
const ENCODER_PARTS: [&str; 3] = ["encoder.json", "tokenizer", "encoder"];

/// Reads the encoder, if the features use one; an encoder that they do not use is an error.
fn encoder_of(parts: &FileParts<'_>, spec: &ModelSpec) -> Result<Option<Arc<Encoder>>> {
    if !spec.features.kind.is_dense() {
        return match ENCODER_PARTS.iter().any(|name| parts.find(name).is_some()) {
            true => Err(malformed("has an encoder that its features do not use")),
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

/// Reads the head of `spec`, which has `n_features` columns.
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

/// Parses the part `name` as JSON.
fn parse<T: DeserializeOwned>(parts: &FileParts<'_>, name: &str) -> Result<T> {
    serde_json::from_slice(parts.get(name)?)
        .map_err(|error| malformed(&format!("has a malformed part `{name}`")).caused_by(error))
}
