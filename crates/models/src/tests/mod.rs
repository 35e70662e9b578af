//! Tests of whole models: training, prediction, files.

mod confidence;
mod dense;
mod explanations;
mod files;
mod heads;
mod self_test;
mod tuned;
mod unseen_records;

use super::*;
use botops_digest::Digest;
use botops_features::FeatureSpec;
use botops_findings::FaultKind;
use botops_spec::Spec as _;
use botops_stats::random::Random;
use proptest::prelude::*;
use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

const KINDS: [HeadKind; 4] = [
    HeadKind::LinearSvm,
    HeadKind::LogisticRegression,
    HeadKind::RandomForest,
    HeadKind::ComplementNaiveBayes,
];

/// Returns utterances of four intents and one out-of-scope utterance, with overlapping words and one in ten mislabeled.
fn corpus() -> Vec<(String, &'static str)> {
    const INTENTS: [(&str, [&str; 5]); 4] = [
        ("billing", ["invoice", "charged", "payment", "bill", "twice"]),
        ("delivery", ["parcel", "late", "where", "tracking", "arrive"]),
        ("login", ["password", "account", "locked", "sign", "reset"]),
        ("return", ["refund", "send", "back", "wrong", "size"]),
    ];
    const FILLER: [&str; 8] = ["my", "the", "is", "please", "i", "for", "order", "still"];
    let mut random = Random::new(5);
    let mut rows = Vec::new();
    for i in 0..240 {
        let (intent, words) = INTENTS[i % 4];
        let mut text = Vec::new();
        for _ in 0..3 + random.below(4) {
            let own = random.below(5) < 2;
            text.push(if own { words[random.below(5)] } else { FILLER[random.below(8)] });
        }
        let intent = if random.below(10) == 0 { INTENTS[random.below(4)].0 } else { intent };
        rows.push((text.join(" "), intent));
    }
    rows.push(("what is the weather like".to_owned(), botops_labels::OOS));
    rows
}

#[test]
fn the_predicted_intent_comes_first_and_ties_go_to_the_lowest_index() {
    let prediction =
        |intent| Prediction { intent, confidence: 0.4, logit: 0.0, score: 0.4, fallback: false };
    assert_eq!(prediction(1).likeliest(&[0.2, 0.4, 0.2, 0.2], 3), [1, 0, 2]);
    assert_eq!(prediction(0).likeliest(&[0.6, 0.4], 5), [0, 1]);
    assert!(prediction(0).likeliest(&[0.6, 0.4], 0).is_empty());

    // If nothing is known, the most frequent intent is predicted, and it is not the first by name.
    let mut rows = corpus();
    let mut n = 0;
    rows.retain(|(_, intent)| {
        n += 1;
        *intent == "return" || n % 3 == 0
    });
    let model = fit(HeadKind::LogisticRegression, &rows);
    let mut scratch = Scratch::default();
    let one = model.predict_with("zzz qqq", &mut scratch);
    assert!(one.fallback && one.intent > 0, "{one:?}");
    assert_eq!(one.likeliest(scratch.proba(), 1), [one.intent]);
}

fn fit(kind: HeadKind, rows: &[(String, &str)]) -> IntentModel {
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec {
        head: HeadSpec { kind, n_trees: Some(12), ..HeadSpec::default() },
        ..ModelSpec::default()
    };
    train(TrainingInput::new(&samples, &spec.clone().check().unwrap()), &Silent).unwrap()
}

static MODELS: LazyLock<[IntentModel; 4]> =
    LazyLock::new(|| KINDS.map(|kind| fit(kind, &corpus())));

fn fault(rows: &[(&str, &str)], spec: &ModelSpec) -> botops_findings::Fault {
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|&(text, intent)| Sample { text, intent }).collect();
    let spec = spec.clone();
    spec.check().and_then(|spec| train(TrainingInput::new(&samples, &spec), &Silent)).unwrap_err()
}

#[test]
fn every_head_learns_with_a_confidence() {
    for model in MODELS.iter() {
        let mut scratch = Scratch::default();
        for (text, intent) in [
            ("the invoice payment", "billing"),
            ("Where is my parcel?", "delivery"),
            ("reset my password", "login"),
            ("refund for the wrong size", "return"),
        ] {
            let prediction = model.predict_with(text, &mut scratch);
            assert_eq!(model.labels().name(prediction.intent), intent, "{text}");
            assert!(prediction.confidence > 0.5 && !prediction.fallback, "{prediction:?}");
            let proba = scratch.proba();
            assert!((proba.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!((proba[prediction.intent] - prediction.confidence).abs() < 1e-15);
        }
        let unknown = model.predict_with("你好 🙂", &mut scratch);
        assert!(unknown.fallback && unknown.confidence == 0.25, "{unknown:?}");
        assert_eq!(unknown, model.predict_with("", &mut scratch));
        assert_eq!(model.labels().index_of(botops_labels::OOS), None);
    }
}

#[test]
fn confidence_is_calibrated_on_rows_never_seen() {
    // One label in ten is wrong: the mean confidence must reflect that; calibrated in sample, it would be near 1.
    for model in MODELS.iter() {
        let rows = corpus();
        let mean = rows.iter().map(|(text, _)| model.predict(text).confidence).sum::<f64>()
            / rows.len() as f64;
        assert!((0.5..0.93).contains(&mean), "{mean}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_thread_and_two() {
    for (kind, model) in KINDS.into_iter().zip(MODELS.iter()) {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(kind, &corpus()).to_bytes())
        };
        let digest = Digest::of(&model.to_bytes());
        assert_eq!(Digest::of(&on(1)), digest, "{kind:?}");
        assert_eq!(Digest::of(&on(2)), digest, "{kind:?}");
    }
}

#[test]
fn a_model_round_trips_through_its_file() {
    for model in MODELS.iter() {
        let bytes = model.to_bytes();
        let back = IntentModel::from_bytes(&bytes).unwrap();
        assert!(back.to_bytes() == bytes);
        assert_eq!(back.lineage(), model.lineage());
        let texts: Vec<String> = corpus().into_iter().map(|(text, _)| text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(back.predict_many(&texts), model.predict_many(&texts));
        let test = back.self_test();
        assert_eq!((test.n, test.failures.len()), (32, 0));
    }
}

#[test]
fn goldens_catch_a_model_that_changed() {
    let rows = corpus();
    let mut other = fit(HeadKind::LinearSvm, &rows[..160]);
    other.set_goldens(MODELS[0].goldens().to_vec());
    let test = other.self_test();
    assert!(test.failures.len() > 20, "{test:?}");
    assert!(test.failures[0].contains(": ") && test.failures[0].contains(", "));
    // Goldens are spread over the intents.
    for intent in MODELS[0].labels().iter() {
        let n = MODELS[0].goldens().iter().filter(|golden| golden.intent == intent).count();
        assert!((5..=11).contains(&n), "{intent}: {n}");
    }
}

proptest! {
    #[test]
    fn any_text_is_classified(text in "\\PC{0,40}|.{0,10}|[a-z ]{0,200}") {
        for model in MODELS.iter() {
            let prediction = model.predict(&text);
            prop_assert!(prediction.confidence > 0.0 && prediction.confidence <= 1.0);
            prop_assert!(prediction.score.is_finite());
        }
    }
}

#[test]
fn a_huge_utterance_is_classified() {
    let text = "where is my parcel ".repeat(10 * 1_024 * 1_024 / 19);
    let prediction = MODELS[0].predict(&text);
    assert_eq!(MODELS[0].labels().name(prediction.intent), "delivery");
}

#[test]
fn scratch_can_be_shared_between_models() {
    let small = fit(HeadKind::RandomForest, &corpus()[..60]);
    let mut scratch = Scratch::default();
    for text in ["refund my order please", "where is the invoice"] {
        for model in [&MODELS[0], &small, &MODELS[1], &MODELS[2], &small] {
            assert_eq!(model.predict_with(text, &mut scratch), model.predict(text));
        }
    }
}

#[test]
fn ties_go_to_the_lowest_index() {
    // The same text occurs equally often with both intents.
    let rows: Vec<(&str, &str)> =
        (0..12).map(|i| ("same words", if i % 2 == 0 { "b" } else { "a" })).collect();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|&(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec {
        head: HeadSpec { kind: HeadKind::ComplementNaiveBayes, ..HeadSpec::default() },
        ..ModelSpec::default()
    };
    let model =
        train(TrainingInput::new(&samples, &spec.clone().check().unwrap()), &Silent).unwrap();
    let prediction = model.predict("same words");
    assert_eq!(prediction.intent, 0);
    assert!((prediction.confidence - 0.5).abs() < 1e-9);
}

#[test]
fn too_few_records_are_refused() {
    let spec = ModelSpec::default();
    let three = [("a b", "x"), ("c d", "y"), ("e f", "y")];
    let few = fault(&three, &spec);
    assert_eq!((few.code(), few.kind()), ("BOT-7011", FaultKind::Insufficient));
    let one: Vec<(&str, &str)> = (0..20).map(|_| ("a b", "x")).collect();
    let single = fault(&one, &spec);
    assert_eq!((single.code(), single.kind()), ("BOT-2110", FaultKind::Gate));
    let mut rare: Vec<(&str, &str)> =
        (0..20).map(|i| ("a b", if i % 2 == 0 { "x" } else { "y" })).collect();
    rare.push(("c", "rare"));
    assert!(fault(&rare, &spec).message().contains("`rare`"));
    let mut wordless = rare.clone();
    wordless.pop();
    for row in &mut wordless {
        row.0 = "?!";
    }
    let words = ModelSpec {
        features: FeatureSpec { char_ngrams: [0, 0], ..FeatureSpec::default() },
        ..ModelSpec::default()
    };
    assert_eq!(fault(&wordless, &words).code(), "BOT-7012");
}

#[test]
fn a_spec_out_of_range_is_refused_with_its_key() {
    let head = |head: HeadSpec| ModelSpec { head, ..ModelSpec::default() };
    for (spec, key) in [
        (head(HeadSpec { c: Some(0.0), ..HeadSpec::default() }), "head.c"),
        (head(HeadSpec { c: Some(f64::NAN), ..HeadSpec::default() }), "head.c"),
        (head(HeadSpec { tolerance: Some(-1.0), ..HeadSpec::default() }), "head.tolerance"),
        (head(HeadSpec { n_trees: Some(0), ..HeadSpec::default() }), "head.n_trees"),
        (head(HeadSpec { max_depth: Some(0), ..HeadSpec::default() }), "head.max_depth"),
        (
            ModelSpec {
                fallback: FallbackSpec { threshold: 1.5, ..FallbackSpec::default() },
                ..ModelSpec::default()
            },
            "fallback.threshold",
        ),
    ] {
        let fault = fault(&[], &spec);
        assert_eq!((fault.code(), fault.kind()), ("BOT-7010", FaultKind::Usage));
        assert!(fault.message().contains(key), "{fault}");
    }
}

#[test]
fn progress_names_its_phases_and_never_exceeds_them() {
    #[derive(Default)]
    struct Phases(std::sync::Mutex<Vec<(&'static str, u64)>>, AtomicU64);
    impl Progress for Phases {
        fn begin(&self, phase: &'static str, total: u64) {
            self.0.lock().unwrap().push((phase, total));
            self.1.store(0, Ordering::Relaxed);
        }
        fn advance(&self, done: u64) {
            self.1.fetch_add(done, Ordering::Relaxed);
        }
        fn finish(&self) {
            let done = self.1.load(Ordering::Relaxed);
            assert!(done <= self.0.lock().unwrap().last().unwrap().1);
        }
    }
    let rows = corpus();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let phases = Phases::default();
    train(TrainingInput::new(&samples, &ModelSpec::default().clone().check().unwrap()), &phases)
        .unwrap();
    assert_eq!(*phases.0.lock().unwrap(), [("features", 241), ("calibrate", 20), ("fit", 4)]);
}

#[test]
fn banking77_reaches_the_expected_accuracy() {
    let Some(folder) = std::env::var_os("BOTOPS_BANKING77_DIR").map(std::path::PathBuf::from)
    else {
        assert!(
            std::env::var_os("BOTOPS_REQUIRE_ALL").is_none_or(|v| v != "1"),
            "BOTOPS_BANKING77_DIR is not set"
        );
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: BOTOPS_BANKING77_DIR is not set");
        return;
    };
    let read = |name: &str| -> Vec<(String, String)> {
        csv::Reader::from_path(folder.join(name))
            .unwrap()
            .records()
            .map(|record| record.map(|r| (r[0].to_owned(), r[1].to_owned())).unwrap())
            .collect()
    };
    let (rows, test) = (read("train.csv"), read("test.csv"));
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let model = train(
        TrainingInput::new(&samples, &ModelSpec::default().clone().check().unwrap()),
        &Silent,
    )
    .unwrap();
    let texts: Vec<&str> = test.iter().map(|(text, _)| text.as_str()).collect();
    let (predictions, proba) = model.predict_many(&texts);
    let right = predictions
        .iter()
        .zip(&test)
        .filter(|(prediction, (_, truth))| model.labels().name(prediction.intent) == truth)
        .count() as f64;
    let n = test.len() as f64;
    assert!(right / n >= 0.915, "{}", right / n);
    // Calibrated: the mean confidence is close to the accuracy, and the log loss is low.
    let confidence = predictions.iter().map(|prediction| prediction.confidence).sum::<f64>() / n;
    assert!((confidence - right / n).abs() < 0.03, "{confidence}");
    let log_loss = proba
        .iter()
        .zip(&test)
        .map(|(p, (_, truth))| -p[model.labels().index_of(truth).unwrap()].ln())
        .sum::<f64>()
        / n;
    assert!(log_loss < 0.36, "{log_loss}");
    assert!(model.to_bytes().len() < 20 << 20);
    let guesser = botops_text::LanguageGuesser::any();
    let guesses: Vec<_> = texts.iter().filter_map(|text| guesser.guess(text)).collect();
    let n_of = |code: &str| guesses.iter().filter(|guess| guess.code() == code).count();
    let (english, french) = (n_of("en"), n_of("fr"));
    assert!(english as f64 / n > 0.99 && french as f64 / n < 0.003, "{english} {french}");
}

/// Returns the reference values that tests compare with.
pub(crate) fn reference() -> serde_json::Value {
    let text = include_str!("../../../../tests/fixtures/reference_values.json");
    serde_json::from_str(text).expect("the fixture is valid JSON")
}
