//! Models with a fine-tuned encoder.

use super::{super::*, corpus, dense};
use botops_digest::Digest;
use botops_features::FeatureKind;
use botops_spec::Spec as _;
use std::path::Path;

pub(super) fn spec(features: FeatureKind) -> ModelSpec {
    let mut spec = dense::spec(features, HeadKind::FineTuned);
    spec.head.fine_tuning = Some(FineTuningSpec {
        epochs: 10,
        batch_size: 8,
        learning_rate: 5e-3,
        head_learning_rate: 2e-2,
        validation_share: 0.2,
        checkpoint_steps: 10,
        ..FineTuningSpec::default()
    });
    spec
}

/// Records notes.
#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

fn train_with(
    spec: &ModelSpec,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> IntentModel {
    let rows = corpus();
    let samples: Vec<Sample<'_>> =
        rows[..120].iter().map(|(text, intent)| Sample { text, intent }).collect();
    let encoder = Some(&*dense::ENCODER);
    let resources = Resources { encoder, checkpoints, ..Resources::default() };
    let spec = spec.clone().check().unwrap();
    train(TrainingInput { resources, ..TrainingInput::new(&samples, &spec) }, progress).unwrap()
}

#[test]
fn a_fine_tuned_encoder_becomes_a_model_with_and_without_terms() {
    let rows = corpus();
    let texts: Vec<&str> = rows[..120].iter().map(|(text, _)| text.as_str()).collect();
    for features in [FeatureKind::Encoder, FeatureKind::Stacked] {
        let model = train_with(&spec(features), None, &Silent);
        // The encoder of the model is the fine-tuned one.
        assert_ne!(model.encoder().unwrap().digest(), dense::ENCODER.digest());
        let (predictions, _) = model.predict_many(&texts);
        let right = predictions
            .iter()
            .zip(&rows)
            .filter(|(prediction, (_, intent))| model.labels().name(prediction.intent) == *intent)
            .count();
        assert!(right > 75, "{features:?}: {right}");
        let bytes = model.to_bytes();
        let back = IntentModel::from_bytes(&bytes).unwrap();
        assert!(back.to_bytes() == bytes);
        assert_eq!(back.predict_many(&texts), model.predict_many(&texts));
        assert!(back.self_test().failures.is_empty());
    }
}

#[test]
fn an_interrupted_fine_tuning_resumes_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(FeatureKind::Encoder);
    let whole = train_with(&spec, None, &Silent);
    let first = Notes::default();
    train_with(&spec, Some(folder.path()), &first);
    assert!(first.0.lock().unwrap().is_empty());
    // The checkpoints of the first run remain, as if it had been killed after the last of them.
    let again = Notes::default();
    let resumed = train_with(&spec, Some(folder.path()), &again);
    let notes = again.0.into_inner().unwrap();
    assert!(notes.iter().any(|note| note.contains("resumed from the checkpoint")), "{notes:?}");
    assert_eq!(Digest::of(&resumed.to_bytes()), Digest::of(&whole.to_bytes()));
}

#[test]
fn settings_of_fine_tuning_are_checked() {
    let mut alone = dense::spec(FeatureKind::Encoder, HeadKind::LinearSvm);
    alone.head.fine_tuning = Some(FineTuningSpec::default());
    let mut none_held_out = spec(FeatureKind::Encoder);
    none_held_out.head.fine_tuning =
        Some(FineTuningSpec { validation_share: 0.0, ..FineTuningSpec::default() });
    let mut wrong = spec(FeatureKind::Stacked);
    wrong.head.fine_tuning = Some(FineTuningSpec { epochs: 0, ..FineTuningSpec::default() });
    for (spec, key) in [
        (alone, "head.fine_tuning"),
        (none_held_out, "fine_tuning.validation_share"),
        (wrong, "fine_tuning.epochs"),
    ] {
        let fault = spec.check().unwrap_err();
        assert_eq!(fault.code(), "BOT-7010");
        assert!(fault.message().contains(key), "{fault}");
    }
}
