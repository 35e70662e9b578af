//! Confidence in a trained model: which score decides, where the line is, what is stored and served.

use super::{
    super::{
        confidence::{FallbackRule, OosScore, ScoreChoice},
        *,
    },
    KINDS, corpus, dense, tuned,
};
use botops_dialogue::DialogueSpec;
use botops_features::FeatureKind;
use botops_findings::{FaultKind, Severity};
use botops_labels::OOS;
use botops_stats::random::Random;

/// The corpus, and 60 utterances about other things in the same filler words.
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
    let (resources, lineage) = (Resources::default(), Lineage::default());
    train(&samples, &spec, resources, DialogueSpec::default(), lineage, &Silent)
}

fn by(score: ScoreChoice) -> FallbackSpec {
    FallbackSpec { score, ..FallbackSpec::default() }
}

#[test]
fn each_score_decides_and_survives_the_file() {
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
        let model = trained(kind, by(choice), &rows).unwrap();
        let FallbackRule { score: decides, threshold, guarantee } = model.fallback();
        assert_eq!((decides, guarantee), (score, None));
        assert_eq!(model.labels().len(), 4);
        let mut scratch = Scratch::default();
        let (mut declined, mut said) = (0, Vec::new());
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
            said.push(one);
        }
        assert!(declined < 150, "{kind:?} {score:?}: {declined}");
        let bytes = model.to_bytes();
        let back = IntentModel::from_bytes(&bytes).unwrap();
        assert!(back.to_bytes() == bytes);
        assert_eq!(back.fallback(), model.fallback());
        assert_eq!(back.self_test().failures, [""; 0]);
        for ((text, _), said) in rows.iter().zip(&said) {
            assert_eq!(back.predict(text), *said);
        }
        let unknown = model.predict("你好 🙂");
        assert!(unknown.fallback, "{kind:?} {score:?}");
    }
}

#[test]
fn a_class_of_its_own_tells_what_lies_outside_better() {
    let mut rows = with_oos();
    // Learned without the last of each word's utterances, which then are told apart.
    let held: Vec<(String, &str)> = rows.split_off(rows.len() - 12);
    let declined = |score| {
        let model = trained(HeadKind::LinearSvm, by(score), &rows).unwrap();
        held.iter().filter(|(text, _)| model.predict(text).fallback).count()
    };
    let (plain, class) = (declined(ScoreChoice::MaxProbability), declined(ScoreChoice::OosClass));
    assert!(class > plain && class >= 10, "{plain} {class}");
}

#[test]
fn the_best_score_is_found_the_same_on_any_number_of_threads() {
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
        // Half of 240 records and of 61 out of scope, the forest's being those that some tree did not see.
        assert!((120..=160).contains(&guarantee.n_samples), "{kind:?} {guarantee:?}");
        assert!(model.self_test().failures.is_empty());
    }
}

#[test]
fn what_cannot_be_had_is_refused_and_what_was_not_done_is_said() {
    let target = FallbackSpec { target_accuracy: Some(0.999), ..FallbackSpec::default() };
    let fault = trained(HeadKind::LinearSvm, target, &corpus()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7060", FaultKind::Insufficient));
    // One record out of scope.
    let fault = trained(HeadKind::LinearSvm, by(ScoreChoice::OosClass), &corpus()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7061", FaultKind::Insufficient));
    assert!(fault.message().contains("the data has 1:"), "{fault}");
    let model = trained(HeadKind::LinearSvm, by(ScoreChoice::Auto), &corpus()).unwrap();
    assert_eq!(model.fallback().score, OosScore::MaxProbability);
    let back = IntentModel::from_bytes(&model.to_bytes()).unwrap();
    let [finding] = back.findings().try_into().unwrap();
    assert_eq!(finding.code, "BOT-7062");
    for (fallback, conformal, key) in [
        (
            FallbackSpec { target_accuracy: Some(1.0), ..by(ScoreChoice::Auto) },
            0.1,
            "fallback.target_accuracy",
        ),
        (
            FallbackSpec { target_accuracy: Some(0.0), ..by(ScoreChoice::Auto) },
            0.1,
            "fallback.target_accuracy",
        ),
        (
            FallbackSpec { target_accuracy: Some(f64::NAN), ..by(ScoreChoice::Auto) },
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

/// Returns the format of a model file, and what stands in its part of calibration.
fn format_and_calibration(bytes: &[u8]) -> (u8, String) {
    let (parts, _) = file::read(bytes).unwrap();
    (bytes[8], String::from_utf8(parts.get("calibration").unwrap().to_vec()).unwrap())
}

#[test]
fn a_model_that_asks_for_nothing_of_confidence_is_written_as_ever() {
    let rows = with_oos();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    for kind in KINDS {
        let head = HeadSpec { kind, n_trees: Some(12), ..HeadSpec::default() };
        let spec = ModelSpec { head, ..ModelSpec::default() };
        let train = |spec: &ModelSpec| {
            let (resources, lineage) = (Resources::default(), Lineage::default());
            train(&samples, spec, resources, DialogueSpec::default(), lineage, &Silent).unwrap()
        };
        let model = train(&spec);
        let bytes = model.to_bytes();
        // What readers of versions 1 and 2 know: the temperature, and nothing beside it.
        let known = format!("{{\"temperature\":{}}}", model.temperature());
        let version = if kind == HeadKind::ComplementNaiveBayes { 2 } else { 1 };
        assert_eq!(format_and_calibration(&bytes), (version, known), "{kind:?}");
        let back = IntentModel::from_bytes(&bytes).unwrap();
        let rule = back.fallback();
        assert_eq!((rule.score, rule.threshold), (OosScore::MaxProbability, 0.35));
        assert_eq!(back.prediction_set(&[0.7, 0.1, 0.1, 0.1]), None);
        // Whoever asks says so in the version.
        let sets = ModelSpec { conformal: Some(ConformalSpec::default()), ..spec.clone() };
        let score = ModelSpec { fallback: by(ScoreChoice::MaxLogit), ..spec.clone() };
        let target = FallbackSpec { target_accuracy: Some(0.7), ..FallbackSpec::default() };
        let target = ModelSpec { fallback: target, ..spec };
        for spec in [sets, score, target] {
            let other = train(&spec);
            let (version, calibration) = format_and_calibration(&other.to_bytes());
            assert_eq!(version, 3, "{calibration}");
            // It has learned nothing else.
            for (text, _) in rows.iter().step_by(7) {
                let (one, two) = (model.predict(text), other.predict(text));
                assert_eq!((one.intent, one.confidence), (two.intent, two.confidence));
            }
        }
    }
}

#[test]
fn sets_hold_the_intents_that_may_be_meant() {
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
fn sets_that_can_leave_nothing_out_are_told_with_what_they_need() {
    let rows = corpus();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let finding = |alpha, class_conditional, samples: &[Sample<'_>]| {
        let conformal = ConformalSpec { alpha, class_conditional, ..ConformalSpec::default() };
        let spec = ModelSpec { conformal: Some(conformal), ..ModelSpec::default() };
        let (resources, lineage) = (Resources::default(), Lineage::default());
        train(samples, &spec, resources, DialogueSpec::default(), lineage, &Silent)
            .unwrap()
            .findings()
            .pop()
    };
    assert_eq!(finding(0.1, false, &samples), None);
    assert_eq!(finding(0.1, true, &samples), None);
    let few = finding(0.0001, false, &samples).unwrap();
    assert_eq!((few.code.as_str(), few.severity), ("BOT-7065", Severity::Warning));
    assert!(few.message.ends_with("from 9,999 in-scope records on, and there are 240"), "{few:?}");
    // Eight records of one intent, where nine are needed.
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
    assert!(few.message.starts_with("1 of 4 intents are in every set"), "{few:?}");
    assert!(few.message.ends_with("from 9 records of its own on: `login`"), "{few:?}");
}

/// Half of [`with_oos`]: an encoder in a build that is not optimised takes its time.
fn few_with_oos() -> Vec<(String, &'static str)> {
    let half = with_oos().into_iter().enumerate().filter(|(i, _)| i % 8 < 4);
    half.map(|(_, row)| row).collect()
}

fn resources() -> Resources<'static> {
    Resources { encoder: Some(&dense::ENCODER), ..Resources::default() }
}

#[test]
fn models_with_an_encoder_have_every_score() {
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
        let spec = ModelSpec { fallback: by(choice), ..dense::spec(features, kind) };
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
    let auto = ModelSpec { fallback: by(ScoreChoice::Auto), ..auto };
    let model = dense::train_on(&auto, &rows, resources()).unwrap();
    assert_eq!(model.confidence().comparison().len(), 5);
    assert_eq!(model.findings(), []);
}

#[test]
fn the_nearest_mean_is_that_of_the_rows_that_are_served() {
    // Of a model whose intents are told apart by its embedding, records that it learned from are near a mean.
    let rows = few_with_oos();
    let spec = dense::spec(FeatureKind::Encoder, HeadKind::LinearSvm);
    let spec = ModelSpec { fallback: by(ScoreChoice::Centroid), ..spec };
    let model = dense::train_on(&spec, &rows, resources()).unwrap();
    let inside: Vec<f64> = rows
        .iter()
        .filter(|(_, intent)| *intent != OOS)
        .map(|(text, _)| model.predict(text).score)
        .collect();
    let mean = inside.iter().sum::<f64>() / inside.len() as f64;
    assert!(mean > 0.2 && inside.iter().all(|cosine| *cosine <= 1.0 + 1e-6), "{mean}");
}

#[test]
fn a_fine_tuned_model_has_the_scores_of_its_own_and_says_so() {
    let rows = few_with_oos();
    let with = |features, fallback| ModelSpec { fallback, ..tuned::spec(features) };
    let auto = with(FeatureKind::Encoder, by(ScoreChoice::Auto));
    let model = dense::train_on(&auto, &rows, resources()).unwrap();
    let scores: Vec<OosScore> =
        model.confidence().comparison().iter().map(|row| row.score).collect();
    assert_eq!(scores, [OosScore::MaxProbability, OosScore::MaxLogit, OosScore::Energy]);
    // All that is out of scope is told apart, though a fifth of the rest is kept aside.
    let n_oos = rows.iter().filter(|(_, intent)| *intent == OOS).count() as u64;
    assert!(model.confidence().comparison().iter().all(|row| row.n_oos == n_oos));
    let [finding] = model.findings().try_into().unwrap();
    assert_eq!(finding.code, "BOT-7063");
    assert!(finding.message.contains("`centroid` and `oos_class`"), "{finding:?}");

    let target = FallbackSpec { target_accuracy: Some(0.01), ..FallbackSpec::default() };
    let model = dense::train_on(&with(FeatureKind::Encoder, target), &rows, resources()).unwrap();
    // Of 120 records a fifth is kept aside, of these half tests, and of 32 out of scope as large a share: 12 and 3.
    let n = model.fallback().guarantee.unwrap().n_samples;
    assert!((11..=20).contains(&n), "{n}");

    let class = with(FeatureKind::Stacked, by(ScoreChoice::OosClass));
    let model = dense::train_on(&class, &rows, resources()).unwrap();
    assert_eq!(model.fallback().score, OosScore::OosClass);
    let back = IntentModel::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(back.predict(&rows[0].0), model.predict(&rows[0].0));

    let fault = with(FeatureKind::Encoder, by(ScoreChoice::Centroid)).check().unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7063", FaultKind::Usage));
}
