//! The self-test of models with extreme weights, and of models without goldens.

use super::*;
use crate::heads::{head::Head, linear::LinearHead};

/// Returns a model of `corpus` whose weights are `weight(feature, class)`.
fn with_weights(weight: impl Fn(usize, usize) -> f32) -> IntentModel {
    let mut model = fit(HeadKind::LinearSvm, &corpus());
    let n_classes = model.labels().len();
    let head = LinearHead::new(model.n_features(), n_classes, weight, |_| 0.0);
    model.set_head(Box::new(head) as Box<dyn Head>);
    model
}

#[test]
fn a_model_without_goldens_is_tested_on_generated_texts() {
    for model in MODELS.iter() {
        let mut model = IntentModel::from_bytes(&model.to_bytes()).unwrap();
        model.set_goldens(Vec::new());
        let test = model.self_test();
        assert_eq!((test.n, test.failures), (0, Vec::<String>::new()));
        assert!(test.n_generated > 20, "{}", test.n_generated);
    }
}

#[test]
fn scores_that_are_not_finite_decline_and_fail_the_self_test() {
    let signs = |row: usize, class: usize| if (row + class).is_multiple_of(2) { 1.0 } else { -1.0 };
    for scale in [1e38_f32, f32::MAX] {
        let all = with_weights(|_, _| scale);
        let alternating = with_weights(|row, class| scale * signs(row, class));
        for mut model in [all, alternating] {
            for text in ["invoice payment", "where is my parcel", "please reset the password", ""] {
                let mut scratch = Scratch::default();
                let prediction = model.predict_with(text, &mut scratch);
                let sound = [prediction.confidence, prediction.score, prediction.logit];
                assert!(sound.iter().all(|value| value.is_finite()), "{text}: {prediction:?}");
                assert!(scratch.proba().iter().all(|value| value.is_finite()), "{text}");
            }
            assert!(!model.self_test().failures.is_empty());
            // The goldens are those of the model before; without them, the generated texts fail.
            model.set_goldens(Vec::new());
            let failures = model.self_test().failures;
            assert!(!failures.is_empty() && failures[0].len() < 400, "{failures:?}");
        }
    }
    let overflowing = with_weights(|_, _| f32::MAX);
    let prediction = overflowing.predict("where is my late parcel, please");
    assert!(prediction.fallback, "{prediction:?}");
    assert_eq!(prediction.confidence, 0.25);
    let (many, proba) = overflowing.predict_many(&["where is my late parcel, please"]);
    assert_eq!((many[0].clone(), proba[0].as_slice()), (prediction, &[0.25; 4][..]));
    let shown = overflowing.self_test().failures.join("\n");
    assert!(shown.contains("not finite") && shown.contains("overflow"), "{shown}");
}

#[test]
fn extreme_weights_that_cannot_overflow_pass() {
    let mut model = with_weights(|row, class| ((row + class) % 7) as f32 * 1e6);
    model.set_goldens(Vec::new());
    assert_eq!(model.self_test().failures, [""; 0]);
}
