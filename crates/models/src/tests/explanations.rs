//! Explanations of predictions, and nearest utterances.

use super::*;

#[test]
fn contributions_add_up_to_the_scores() {
    let rows = corpus();
    for kind in [HeadKind::LinearSvm, HeadKind::LogisticRegression] {
        let model = fit(kind, &rows);
        for (text, _) in rows.iter().take(40) {
            let explanation = model.explain(text).unwrap();
            let prediction = model.predict(text);
            assert_eq!(explanation.intents[0], prediction.intent);
            assert!((explanation.scores[0] - prediction.logit).abs() < 1e-12);
            assert!(explanation.scores[0] >= explanation.scores[1]);
            for side in 0..2 {
                let sum: f64 = explanation.terms.iter().map(|one| one.adds[side]).sum();
                let got = sum + explanation.intercepts[side];
                assert!((got - explanation.scores[side]).abs() < 1e-4, "{kind:?} {text}");
            }
            let differences: Vec<f64> =
                explanation.terms.iter().map(|one| (one.adds[0] - one.adds[1]).abs()).collect();
            assert!(differences.is_sorted_by(|a, b| *a >= *b - 1e-8), "{differences:?}");
        }
    }
}

#[test]
fn a_word_of_an_intent_contributes_to_it() {
    let model = fit(HeadKind::LinearSvm, &corpus());
    let explanation = model.explain("invoice").unwrap();
    assert_eq!(model.labels().name(explanation.intents[0]), "billing");
    let word = explanation.terms.iter().find(|one| one.term == "invoice").unwrap();
    assert!(word.adds[0] > 0.0 && word.adds[0] > word.adds[1], "{word:?}");
    assert!(explanation.embedding.is_none());
    let unknown = model.explain("你好").unwrap();
    assert!(unknown.terms.is_empty());
    assert_eq!(unknown.scores, unknown.intercepts);
}

#[test]
fn a_forest_cannot_be_explained() {
    let fault = fit(HeadKind::RandomForest, &corpus()).explain("invoice").unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7070", FaultKind::Usage));
}

#[test]
fn the_nearest_utterance_is_the_one_with_the_same_words() {
    let model = fit(HeadKind::LinearSvm, &corpus());
    let candidates = ["reset my password", "where is my parcel", "你好", "parcel where"];
    let near = model.nearest("Where is my  PARCEL", &candidates, 3);
    assert_eq!(near[0].0, 1);
    assert!((near[0].1 - 1.0).abs() < 1e-6, "{near:?}");
    assert_eq!(near[1].0, 3);
    assert!(near.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    assert!(
        near.iter().all(|(i, _)| *i != 2),
        "a candidate without known features is near: {near:?}"
    );
    assert!(model.nearest("你好", &candidates, 3).is_empty());
}
