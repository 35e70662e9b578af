//! Models with an encoder: every kind of features, in memory and in files.

use super::{super::*, corpus};
use botops_digest::Digest;
use botops_features::{Encoder, EncoderFiles, EncoderSpec, FeatureKind, FeatureSpec};
use botops_findings::{Fault, FaultKind, Result};
use botops_spec::Spec as _;
use botops_tiny_encoder::Tiny;
use std::sync::{Arc, LazyLock};

const LEARNERS: [(FeatureKind, HeadKind); 6] = [
    (FeatureKind::Encoder, HeadKind::LogisticRegression),
    (FeatureKind::Encoder, HeadKind::LinearSvm),
    (FeatureKind::Concatenated, HeadKind::LinearSvm),
    (FeatureKind::Concatenated, HeadKind::LogisticRegression),
    (FeatureKind::Stacked, HeadKind::LinearSvm),
    (FeatureKind::Stacked, HeadKind::LogisticRegression),
];

fn encoder(tiny: &Tiny) -> Arc<Encoder> {
    let files = tiny.files();
    let of = |name: &str| files[name].clone();
    let files = EncoderFiles {
        config: of("config.json"),
        tokenizer: of("tokenizer.json"),
        weights: of("model.safetensors"),
        pooling: Some(of("1_Pooling/config.json")),
    };
    Arc::new(Encoder::new(&files, &EncoderSpec::new("tiny")).unwrap())
}

/// Number of training records: few, because test builds are not optimised.
const N_RECORDS: usize = 120;

pub(super) static ENCODER: LazyLock<Arc<Encoder>> = LazyLock::new(|| encoder(&Tiny::bert()));

pub(super) fn spec(features: FeatureKind, head: HeadKind) -> ModelSpec {
    ModelSpec {
        features: FeatureSpec {
            kind: features,
            encoder: Some(EncoderSpec::new("tiny")),
            ..FeatureSpec::default()
        },
        head: HeadSpec { kind: head, max_iterations: Some(30), ..HeadSpec::default() },
        ..ModelSpec::default()
    }
}

pub(super) fn train_on(
    spec: &ModelSpec,
    rows: &[(String, &str)],
    resources: Resources<'_>,
) -> Result<IntentModel> {
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = spec.clone().check()?;
    train(TrainingInput { resources, ..TrainingInput::new(&samples, &spec) }, &Silent)
}

fn fit((features, head): (FeatureKind, HeadKind)) -> IntentModel {
    let resources = Resources { encoder: Some(&ENCODER), ..Resources::default() };
    train_on(&spec(features, head), &corpus()[..N_RECORDS], resources).unwrap()
}

static MODELS: LazyLock<[IntentModel; 6]> = LazyLock::new(|| LEARNERS.map(fit));

#[test]
fn every_kind_of_features_is_supported() {
    for (learner, model) in LEARNERS.iter().zip(MODELS.iter()) {
        let rows = corpus();
        let rows = &rows[..N_RECORDS];
        let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
        let (predictions, _) = model.predict_many(&texts);
        let right = predictions
            .iter()
            .zip(rows)
            .filter(|(prediction, (_, intent))| model.labels().name(prediction.intent) == *intent)
            .count();
        // One label in ten is wrong, and the encoder has random weights; chance is 30.
        assert!(right > 75, "{learner:?}: {right}");
        let n_terms = if learner.0.is_sparse() { 300..2_000 } else { 32..33 };
        assert!(n_terms.contains(&model.n_features()), "{learner:?} {}", model.n_features());
        // A word of the training data is known even without terms.
        assert_eq!(model.unseen_word_rate("invoice zebra"), 0.5);
    }
}

#[test]
fn a_text_with_only_special_tokens_falls_back() {
    for model in MODELS.iter() {
        // Runes, which are not in the vocabulary of the tiny tokenizer.
        for text in ["", "  ", "ᚠᛇᚻ"] {
            let prediction = model.predict(text);
            assert!(prediction.fallback && prediction.confidence == 0.25, "{prediction:?}");
        }
    }
    // Not a known term, but the tokenizer spells it with known pieces.
    let prediction = MODELS[0].predict("zzz");
    assert!(prediction.confidence != 0.25, "{prediction:?}");
}

#[test]
fn one_text_and_many_give_the_same_predictions() {
    let rows = corpus();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).chain([""]).collect();
    for model in MODELS.iter() {
        let (many, proba) = model.predict_many(&texts);
        let mut scratch = Scratch::default();
        for (text, (prediction, proba)) in texts.iter().zip(many.iter().zip(&proba)) {
            assert_eq!(model.predict_with(text, &mut scratch), *prediction, "{text}");
            assert_eq!(scratch.proba(), proba);
        }
        let (few, _) = model.predict_many(&texts[100..103]);
        assert_eq!(few, many[100..103]);
    }
}

#[test]
fn a_model_is_one_file_with_its_encoder() {
    let rows = corpus();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    for model in MODELS.iter() {
        let bytes = model.to_bytes();
        assert_eq!(bytes[8..12], 2_u32.to_le_bytes());
        let back = IntentModel::from_bytes(&bytes).unwrap();
        assert!(back.to_bytes() == bytes);
        assert_eq!(back.predict_many(&texts), model.predict_many(&texts));
        let test = back.self_test();
        assert_eq!((test.n, test.failures.len()), (32, 0));
    }
    assert_eq!(super::MODELS[0].to_bytes()[8..12], 1_u32.to_le_bytes());
}

#[test]
fn the_number_of_threads_does_not_change_the_bytes() {
    for (learner, model) in LEARNERS.into_iter().zip(MODELS.iter()).step_by(2) {
        let digest = Digest::of(&model.to_bytes());
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let bytes = pool.install(|| fit(learner).to_bytes());
            assert_eq!(Digest::of(&bytes), digest, "{learner:?} on {threads}");
        }
    }
}

#[test]
fn the_scores_of_a_stacked_model_are_sums() {
    for model in &MODELS[2..] {
        let explained = model.explain("where is my parcel please").unwrap();
        let embedding = explained.embedding.unwrap();
        for (side, from_embedding) in embedding.into_iter().enumerate() {
            let terms: f64 = explained.terms.iter().map(|term| term.adds[side]).sum();
            let sum = explained.intercepts[side] + terms + from_embedding;
            assert!((sum - explained.scores[side]).abs() < 1e-4, "{sum} {explained:?}");
        }
    }
}

#[test]
fn a_missing_encoder_is_a_usage_error() {
    let spec = spec(FeatureKind::Stacked, HeadKind::LinearSvm);
    let fault = train_on(&spec, &corpus(), Resources::default()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7050", FaultKind::Usage));
}

/// All parts of a file with an encoder.
const NAMES: [&str; 10] = [
    "labels",
    "lineage",
    "calibration",
    "dialogue",
    "goldens",
    "vocabulary",
    "weights",
    "encoder.json",
    "tokenizer",
    "encoder",
];

/// Returns the fault of reading the file of `model` with part `name` changed, or removed if `changed` is `None`.
fn with(model: &IntentModel, name: &str, changed: Option<&[u8]>) -> Fault {
    let bytes = model.to_bytes();
    let (parts, _) = file::read(&bytes).unwrap();
    let parts: Vec<(&str, Vec<u8>)> = NAMES
        .iter()
        .filter_map(|part| match (*part == name, changed) {
            (false, _) => Some((*part, parts.get(part).unwrap().to_vec())),
            (true, Some(changed)) => Some((*part, changed.to_vec())),
            (true, None) => None,
        })
        .collect();
    IntentModel::from_bytes(&file::write(2, &parts)).unwrap_err()
}

#[test]
fn a_truncated_missing_or_foreign_encoder_is_refused() {
    let model = &MODELS[4];
    let own = ENCODER.parts();
    for name in &NAMES[7..] {
        assert_eq!(with(model, name, None).code(), "BOT-7003", "{name} removed");
    }
    let half = &own.weights[..own.weights.len() / 2];
    assert_eq!(with(model, "encoder", Some(half)).code(), "BOT-7022");
    assert_eq!(with(model, "encoder.json", Some(b"{")).code(), "BOT-7021");
    assert_eq!(with(model, "tokenizer", Some(b"{}")).code(), "BOT-7024");
    // Weights of another width do not match the config; with all three parts changed, the head does not match.
    let other = encoder(&Tiny { hidden_size: 16, ..Tiny::bert() });
    let other = other.parts();
    assert_eq!(with(model, "encoder", Some(&other.weights)).code(), "BOT-7022");
    let bytes = model.to_bytes();
    let (parts, _) = file::read(&bytes).unwrap();
    let swapped: Vec<(&str, Vec<u8>)> = NAMES
        .iter()
        .map(|name| {
            let bytes = match *name {
                "encoder.json" => other.metadata.to_vec(),
                "encoder" => other.weights.to_vec(),
                _ => parts.get(name).unwrap().to_vec(),
            };
            (*name, bytes)
        })
        .collect();
    let fault = IntentModel::from_bytes(&file::write(2, &swapped)).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7003", FaultKind::Gate));
    // An encoder in a model that does not use one.
    let sparse = super::MODELS[0].to_bytes();
    let (parts, _) = file::read(&sparse).unwrap();
    let mut parts: Vec<(&str, Vec<u8>)> =
        NAMES[..7].iter().map(|name| (*name, parts.get(name).unwrap().to_vec())).collect();
    assert!(IntentModel::from_bytes(&file::write(1, &parts)).is_ok());
    parts.push(("encoder", own.weights.to_vec()));
    assert_eq!(IntentModel::from_bytes(&file::write(1, &parts)).unwrap_err().code(), "BOT-7003");
}

#[test]
fn settings_without_effect_are_refused_with_their_key() {
    let stacked = spec(FeatureKind::Stacked, HeadKind::LinearSvm);
    let mut dense_c = spec(FeatureKind::Encoder, HeadKind::LogisticRegression);
    dense_c.head.dense_c = Some(1.0);
    let mut weight = stacked.clone();
    weight.features.dense_weight = Some(1.0);
    let mut negative = stacked.clone();
    negative.head.dense_c = Some(-1.0);
    for (spec, key) in
        [(dense_c, "head.dense_c"), (weight, "features.dense_weight"), (negative, "head.dense_c")]
    {
        let fault = spec.check().unwrap_err();
        assert_eq!(fault.code(), "BOT-7010");
        assert!(fault.message().contains(key), "{fault}");
    }
    stacked.check().unwrap();
}
