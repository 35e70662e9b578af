//! The confidence of trained models: scores, thresholds, prediction sets and their storage.

use super::{
    super::{
        confidence::{FallbackRule, OosScore, ScoreChoice},
        *,
    },
    KINDS, corpus, dense, tuned,
};
use botops_features::FeatureKind;
use botops_findings::{FaultKind, Severity};
use botops_labels::OOS;
use botops_spec::Spec as _;
use botops_stats::random::Random;

/// Returns the corpus, and 60 out-of-scope utterances with the same filler words.
fn with_oos() -> Vec<(String, &'static str)> {
    const OTHER: [&str; 6] = ["weather", "pizza", "football", "joke", "song", "president"];
    const FILLER: [&str; 6] = ["my", "the", "is", "please", "for", "still"];
    let mut rows = corpus();
    let mut random = Random::new(8);
    for i in 0..60 {
        let word = |random: &mut Random| FILLER[random.below(6)];
        let (first, last) = (word(&mut random), word(&mut random));
        rows.push((format!("{first} {} {last} {}", OTHER[i % 6], i / 6), OOS));
    }
    rows
}

fn trained(
    kind: HeadKind,
    fallback: FallbackSpec,
    rows: &[(String, &str)],
) -> botops_findings::Result<IntentModel> {
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec {
        head: HeadSpec { kind, n_trees: Some(12), ..HeadSpec::default() },
        fallback,
        conformal: Some(ConformalSpec::default()),
        ..ModelSpec::default()
    };
    train(TrainingInput::new(&samples, &spec.check()?), &Silent)
}

/// Returns the fallback spec with `score`.
fn with_score(score: ScoreChoice) -> FallbackSpec {
    FallbackSpec { score, ..FallbackSpec::default() }
}

#[test]
fn every_score_is_used_and_stored_in_the_file() {
    let rows = with_oos();
    for (kind, choice, score) in [
        (HeadKind::LinearSvm, ScoreChoice::MaxProbability, OosScore::MaxProbability),
        (HeadKind::LinearSvm, ScoreChoice::MaxLogit, OosScore::MaxLogit),
        (HeadKind::LogisticRegression, ScoreChoice::Energy, OosScore::Energy),
        (HeadKind::LinearSvm, ScoreChoice::Centroid, OosScore::Centroid),
        (HeadKind::RandomForest, ScoreChoice::Centroid, OosScore::Centroid),
        (HeadKind::LinearSvm, ScoreChoice::OosClass, OosScore::OosClass),
        (HeadKind::LogisticRegression, ScoreChoice::OosClass, OosScore::OosClass),
        (HeadKind::RandomForest, ScoreChoice::OosClass, OosScore::OosClass),
    ] {
        let model = trained(kind, with_score(choice), &rows).unwrap();
        let FallbackRule { score: rule_score, threshold, guarantee, .. } = model.fallback();
        assert_eq!((rule_score, guarantee), (score, None));
        assert_eq!(model.labels().len(), 4);
        let mut scratch = Scratch::default();
        let (mut declined, mut predictions) = (0, Vec::new());
        for (text, _) in &rows {
            let one = model.predict_with(text, &mut scratch);
            assert_eq!(one.fallback, one.score < threshold, "{kind:?} {score:?} {text}");
            assert!(one.intent < 4 && scratch.proba().len() == 4);
            assert!((scratch.proba().iter().sum::<f64>() - 1.0).abs() < 1e-12);
            match score {
                OosScore::MaxProbability => assert_eq!(one.score, one.confidence),
                OosScore::MaxLogit => assert_eq!(one.score, one.logit),
                OosScore::Energy => assert!(one.score >= one.logit),
                OosScore::Centroid => assert!((-1.0..=1.0 + 1e-6).contains(&one.score)),
                OosScore::OosClass => assert!(one.score < one.confidence),
            }
            declined += u32::from(one.fallback);
            predictions.push(one);
        }
        assert!(declined < 150, "{kind:?} {score:?}: {declined}");
        let bytes = model.to_bytes();
        let back = IntentModel::from_bytes(&bytes).unwrap();
        assert!(back.to_bytes() == bytes);
        assert_eq!(back.fallback(), model.fallback());
        assert_eq!(back.self_test().failures, [""; 0]);
        for ((text, _), prediction) in rows.iter().zip(&predictions) {
            assert_eq!(back.predict(text), *prediction);
        }
        let unknown = model.predict("你好 🙂");
        assert!(unknown.fallback, "{kind:?} {score:?}");
    }
}

#[test]
fn an_out_of_scope_class_detects_more_out_of_scope_messages() {
    let mut rows = with_oos();
    // The last utterances of each word are held out of training, then classified.
    let held: Vec<(String, &str)> = rows.split_off(rows.len() - 12);
    let declined = |score| {
        let model = trained(HeadKind::LinearSvm, with_score(score), &rows).unwrap();
        held.iter().filter(|(text, _)| model.predict(text).fallback).count()
    };
    let (plain, class) = (declined(ScoreChoice::MaxProbability), declined(ScoreChoice::OosClass));
    assert!(class > plain && class >= 10, "{plain} {class}");
}

#[test]
fn the_number_of_threads_does_not_change_the_best_score() {
    let rows = with_oos();
    let fallback = FallbackSpec {
        score: ScoreChoice::Auto,
        target_accuracy: Some(0.7),
        ..FallbackSpec::default()
    };
    for kind in KINDS {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| trained(kind, fallback, &rows).unwrap().to_bytes())
        };
        let bytes = on(1);
        assert!(bytes == on(2), "{kind:?}");
        let model = IntentModel::from_bytes(&bytes).unwrap();
        assert_eq!(model.confidence().comparison().len(), 5);
        assert_eq!(model.findings(), []);
        let guarantee = model.fallback().guarantee.unwrap();
        assert_eq!(guarantee.target_accuracy, 0.7);
        assert!(guarantee.accuracy_bound >= 0.7);
        // Half of 240 in-scope and 61 out-of-scope records; for the forest, those that are out of some bag.
        assert!((120..=160).contains(&guarantee.n_samples), "{kind:?} {guarantee:?}");
        assert!(model.self_test().failures.is_empty());
    }
}

#[test]
fn impossible_settings_are_refused_and_a_skipped_comparison_is_reported() {
    let target = FallbackSpec { target_accuracy: Some(0.999), ..FallbackSpec::default() };
    let fault = trained(HeadKind::LinearSvm, target, &corpus()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7060", FaultKind::Insufficient));
    // The corpus has one out-of-scope record.
    let fault =
        trained(HeadKind::LinearSvm, with_score(ScoreChoice::OosClass), &corpus()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7061", FaultKind::Insufficient));
    assert!(fault.message().contains("the data has 1:"), "{fault}");
    let model = trained(HeadKind::LinearSvm, with_score(ScoreChoice::Auto), &corpus()).unwrap();
    assert_eq!(model.fallback().score, OosScore::MaxProbability);
    let back = IntentModel::from_bytes(&model.to_bytes()).unwrap();
    let [finding] = back.findings().try_into().unwrap();
    assert_eq!(finding.code, "BOT-7062");
    for (fallback, conformal, key) in [
        (
            FallbackSpec { target_accuracy: Some(1.0), ..with_score(ScoreChoice::Auto) },
            0.1,
            "fallback.target_accuracy",
        ),
        (
            FallbackSpec { target_accuracy: Some(0.0), ..with_score(ScoreChoice::Auto) },
            0.1,
            "fallback.target_accuracy",
        ),
        (
            FallbackSpec { target_accuracy: Some(f64::NAN), ..with_score(ScoreChoice::Auto) },
            0.1,
            "fallback.target_accuracy",
        ),
        (FallbackSpec::default(), 0.0, "conformal.alpha"),
        (FallbackSpec::default(), 1.0, "conformal.alpha"),
    ] {
        let conformal = ConformalSpec { alpha: conformal, ..ConformalSpec::default() };
        let spec = ModelSpec { fallback, conformal: Some(conformal), ..ModelSpec::default() };
        let fault = spec.check().unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7010", FaultKind::Usage));
        assert!(fault.message().contains(key), "{fault}");
    }
}

/// Returns the format version of a model file, and its part `calibration`.
fn format_and_calibration(bytes: &[u8]) -> (u8, String) {
    let (parts, _) = file::read(bytes).unwrap();
    (bytes[8], String::from_utf8(parts.get("calibration").unwrap().to_vec()).unwrap())
}

#[test]
fn a_model_with_default_confidence_is_written_in_an_older_format() {
    let rows = with_oos();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    for kind in KINDS {
        let head = HeadSpec { kind, n_trees: Some(12), ..HeadSpec::default() };
        let spec = ModelSpec { head, ..ModelSpec::default() };
        let train = |spec: &ModelSpec| {
            train(TrainingInput::new(&samples, &spec.clone().check().unwrap()), &Silent).unwrap()
        };
        let model = train(&spec);
        let bytes = model.to_bytes();
        // Readers of versions 1 and 2 know the temperature only.
        let expected = format!("{{\"temperature\":{}}}", model.temperature());
        let version = if kind == HeadKind::ComplementNaiveBayes { 2 } else { 1 };
        assert_eq!(format_and_calibration(&bytes), (version, expected), "{kind:?}");
        let back = IntentModel::from_bytes(&bytes).unwrap();
        let rule = back.fallback();
        assert_eq!((rule.score, rule.threshold), (OosScore::MaxProbability, 0.35));
        assert_eq!(back.prediction_set(&[0.7, 0.1, 0.1, 0.1]), None);
        // Other settings need version 3.
        let sets = ModelSpec { conformal: Some(ConformalSpec::default()), ..spec.clone() };
        let score = ModelSpec { fallback: with_score(ScoreChoice::MaxLogit), ..spec.clone() };
        let target = FallbackSpec { target_accuracy: Some(0.7), ..FallbackSpec::default() };
        let target = ModelSpec { fallback: target, ..spec };
        for spec in [sets, score, target] {
            let other = train(&spec);
            let (version, calibration) = format_and_calibration(&other.to_bytes());
            assert_eq!(version, 3, "{calibration}");
            // The predictions do not change.
            for (text, _) in rows.iter().step_by(7) {
                let (one, two) = (model.predict(text), other.predict(text));
                assert_eq!((one.intent, one.confidence), (two.intent, two.confidence));
            }
        }
    }
}

#[test]
fn prediction_sets_are_ordered_by_probability() {
    let model = trained(HeadKind::LinearSvm, FallbackSpec::default(), &corpus()).unwrap();
    let mut scratch = Scratch::default();
    let mut sizes = std::collections::BTreeSet::new();
    for (text, _) in corpus() {
        let one = model.predict_with(&text, &mut scratch);
        let set = model.prediction_set(scratch.proba()).unwrap();
        if let Some(first) = set.first() {
            assert_eq!(*first, one.intent, "{text}");
        }
        assert!(set.is_sorted_by(|&a, &b| scratch.proba()[a] >= scratch.proba()[b]));
        sizes.insert(set.len());
    }
    assert!(sizes.len() > 1, "{sizes:?}");
}

#[test]
fn too_few_records_for_prediction_sets_are_reported() {
    let rows = corpus();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let finding = |alpha, class_conditional, samples: &[Sample<'_>]| {
        let conformal = ConformalSpec { alpha, class_conditional, ..ConformalSpec::default() };
        let spec = ModelSpec { conformal: Some(conformal), ..ModelSpec::default() };
        train(TrainingInput::new(samples, &spec.check().unwrap()), &Silent)
            .unwrap()
            .findings()
            .pop()
    };
    assert_eq!(finding(0.1, false, &samples), None);
    assert_eq!(finding(0.1, true, &samples), None);
    let few = finding(0.0001, false, &samples).unwrap();
    assert_eq!((few.code.as_str(), few.severity), ("BOT-7065", Severity::Warning));
    assert!(few.message.ends_with("takes 9,999 in-scope records, and there are 240"), "{few:?}");
    // Eight records of one intent; nine are needed.
    let mut n = 0;
    let rare: Vec<Sample<'_>> = samples
        .iter()
        .filter(|sample| {
            n += usize::from(sample.intent == "login");
            sample.intent != "login" || n <= 8
        })
        .copied()
        .collect();
    let few = finding(0.1, true, &rare).unwrap();
    assert!(few.message.starts_with("1 of 4 intents are in every prediction set"), "{few:?}");
    assert!(few.message.ends_with("takes 9 records of it: `login`"), "{few:?}");
}

/// Returns half of [`with_oos`], because an encoder is slow in a test build.
fn few_with_oos() -> Vec<(String, &'static str)> {
    let half = with_oos().into_iter().enumerate().filter(|(i, _)| i % 8 < 4);
    half.map(|(_, row)| row).collect()
}

fn resources() -> Resources<'static> {
    Resources { encoder: Some(&dense::ENCODER), ..Resources::default() }
}

#[test]
fn models_with_an_encoder_support_every_score() {
    let rows = few_with_oos();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    for (features, kind, choice, score) in [
        (
            FeatureKind::Encoder,
            HeadKind::LogisticRegression,
            ScoreChoice::Centroid,
            OosScore::Centroid,
        ),
        (FeatureKind::Concatenated, HeadKind::LinearSvm, ScoreChoice::OosClass, OosScore::OosClass),
        (FeatureKind::Stacked, HeadKind::LinearSvm, ScoreChoice::Centroid, OosScore::Centroid),
        (FeatureKind::Stacked, HeadKind::LinearSvm, ScoreChoice::OosClass, OosScore::OosClass),
    ] {
        let spec = ModelSpec { fallback: with_score(choice), ..dense::spec(features, kind) };
        let model = dense::train_on(&spec, &rows, resources()).unwrap();
        let rule = model.fallback();
        assert_eq!((rule.score, rule.guarantee), (score, None));
        let back = IntentModel::from_bytes(&model.to_bytes()).unwrap();
        let (all, proba) = back.predict_many(&texts);
        let mut declined = 0;
        for ((text, one), proba) in texts.iter().zip(all).zip(proba) {
            assert_eq!(model.predict(text), one, "{features:?} {score:?} {text}");
            assert_eq!(one.fallback, one.score < rule.threshold);
            assert!(one.intent < 4 && proba.len() == 4);
            declined += u32::from(one.fallback);
        }
        assert!((1..140).contains(&declined), "{features:?} {score:?}: {declined}");
        assert_eq!(back.self_test().failures, [""; 0]);
    }
    let auto = dense::spec(FeatureKind::Concatenated, HeadKind::LinearSvm);
    let auto = ModelSpec { fallback: with_score(ScoreChoice::Auto), ..auto };
    let model = dense::train_on(&auto, &rows, resources()).unwrap();
    assert_eq!(model.confidence().comparison().len(), 5);
    assert_eq!(model.findings(), []);
}

#[test]
fn training_records_are_near_the_mean_of_an_intent() {
    let rows = few_with_oos();
    let spec = dense::spec(FeatureKind::Encoder, HeadKind::LinearSvm);
    let spec = ModelSpec { fallback: with_score(ScoreChoice::Centroid), ..spec };
    let model = dense::train_on(&spec, &rows, resources()).unwrap();
    let cosines: Vec<f64> = rows
        .iter()
        .filter(|(_, intent)| *intent != OOS)
        .map(|(text, _)| model.predict(text).score)
        .collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    assert!(mean > 0.2 && cosines.iter().all(|cosine| *cosine <= 1.0 + 1e-6), "{mean}");
}

#[test]
fn a_fine_tuned_model_reports_the_scores_it_skipped() {
    let rows = few_with_oos();
    let with = |features, fallback| ModelSpec { fallback, ..tuned::spec(features) };
    let auto = with(FeatureKind::Encoder, with_score(ScoreChoice::Auto));
    let model = dense::train_on(&auto, &rows, resources()).unwrap();
    let scores: Vec<OosScore> =
        model.confidence().comparison().iter().map(|row| row.score).collect();
    assert_eq!(scores, [OosScore::MaxProbability, OosScore::MaxLogit, OosScore::Energy]);
    // All out-of-scope records are compared, although only a fifth of the in-scope records is held out.
    let n_oos = rows.iter().filter(|(_, intent)| *intent == OOS).count() as u64;
    assert!(model.confidence().comparison().iter().all(|row| row.n_oos == n_oos));
    let [finding] = model.findings().try_into().unwrap();
    assert_eq!(finding.code, "BOT-7063");
    assert!(finding.message.contains("`centroid` and `oos_class`"), "{finding:?}");

    let target = FallbackSpec { target_accuracy: Some(0.01), ..FallbackSpec::default() };
    let model = dense::train_on(&with(FeatureKind::Encoder, target), &rows, resources()).unwrap();
    // A fifth of 120 records is held out, and half of these test, with the same share of 32 out-of-scope records: 12
    // and 3.
    let n = model.fallback().guarantee.unwrap().n_samples;
    assert!((11..=20).contains(&n), "{n}");

    let class = with(FeatureKind::Stacked, with_score(ScoreChoice::OosClass));
    let model = dense::train_on(&class, &rows, resources()).unwrap();
    assert_eq!(model.fallback().score, OosScore::OosClass);
    let back = IntentModel::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(back.predict(&rows[0].0), model.predict(&rows[0].0));

    let fault = with(FeatureKind::Encoder, with_score(ScoreChoice::Centroid)).check().unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7063", FaultKind::Usage));
}
