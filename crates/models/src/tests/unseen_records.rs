//! Training records as calibration judged them.

use super::super::*;
use botops_labels::OOS;
use botops_spec::Spec as _;
use botops_stats::random::Random;

/// Returns texts whose words do not depend on the intents, so only a model that memorised a text predicts it.
fn noise() -> Vec<(String, &'static str)> {
    let mut random = Random::new(7);
    let mut rows: Vec<(String, &str)> = (0..300)
        .map(|i| (format!("w{i} {}", random.below(30)), ["a", "b"][random.below(2)]))
        .collect();
    rows.insert(50, ("somewhere else".to_owned(), OOS));
    rows.insert(120, ("w1 and beyond".to_owned(), OOS));
    rows
}

fn judged(rows: &[(String, &str)], kind: HeadKind) -> (IntentModel, UnseenRecords) {
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let head = HeadSpec { kind, n_trees: Some(10), ..HeadSpec::default() };
    let spec = ModelSpec { head, ..ModelSpec::default() }.check().unwrap();
    train_and_judge(TrainingInput::new(&samples, &spec), &Silent).unwrap()
}

#[test]
fn calibration_returns_the_records_that_it_judged() {
    let rows = noise();
    for kind in [HeadKind::LinearSvm, HeadKind::LogisticRegression, HeadKind::RandomForest] {
        let (model, unseen) = judged(&rows, kind);
        let at: Vec<usize> = unseen.records.iter().map(|record| record.sample).collect();
        assert!(at.is_sorted_by(|a, b| a < b) && at.len() > 250, "{kind:?}: {}", at.len());
        let index = |record: &UnseenRecord| model.labels().index_of(rows[record.sample].1);
        assert!(unseen.records.iter().all(|record| record.truth == index(record)), "{kind:?}");
        assert!(unseen.records.iter().any(|record| record.truth.is_none()), "{kind:?}");
        let right = |predicted: &dyn Fn(&UnseenRecord) -> usize| {
            let in_scope = || unseen.records.iter().filter(|record| record.truth.is_some());
            let right = in_scope().filter(|record| Some(predicted(record)) == record.truth);
            right.count() as f64 / in_scope().count() as f64
        };
        // The final model knows each text by heart; the models of the folds guess.
        let known = right(&|record| model.predict(&rows[record.sample].0).intent);
        let guessed = right(&|record| record.prediction.intent);
        assert!(known > 0.9 && (0.35..0.65).contains(&guessed), "{kind:?}: {known} {guessed}");
        let mean = unseen.records.iter().map(|record| record.prediction.confidence).sum::<f64>()
            / unseen.records.len() as f64;
        assert!((0.5..0.75).contains(&mean), "{kind:?}: calibrated, so near a half: {mean}");
        assert!(unseen.embeddings.is_empty() && unseen.dim == 0);
    }
}

#[test]
fn the_model_does_not_depend_on_the_records_being_returned() {
    let rows = noise();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec::default().check().unwrap();
    let plain = train(TrainingInput::new(&samples, &spec), &Silent).unwrap();
    let (model, unseen) = train_and_judge(TrainingInput::new(&samples, &spec), &Silent).unwrap();
    assert_eq!(plain.to_bytes(), model.to_bytes());
    // The decision is that of the model: a fallback exactly below its threshold.
    let threshold = model.fallback().threshold;
    let declined = |record: &UnseenRecord| record.prediction.score < threshold;
    let understood = |record: &UnseenRecord| record.prediction.confidence > 0.5;
    let known = unseen.records.iter().filter(|record| understood(record));
    assert!(known.clone().count() > 100);
    assert!(known.clone().all(|record| record.prediction.fallback == declined(record)));
}
