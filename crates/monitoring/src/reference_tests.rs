use super::*;
use botops_digest::Digest;
use botops_drift::{Category, DriftSpec, DriftVerdict, Quantity, compare_profiles};
use botops_findings::FaultKind;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train_and_judge};
use botops_predictions::Record;
use botops_spec::Spec as _;
use botops_stats::random::Random;
use std::sync::LazyLock;

const INTENTS: [(&str, [&str; 4]); 3] = [
    ("billing", ["charged twice", "wrong invoice", "refund my card", "the bill is too high"]),
    ("delivery", ["where is my parcel", "track my order", "late package", "it never arrived"]),
    ("login", ["reset my password", "cannot sign in", "account is locked", "no login code"]),
];
const OPENINGS: [&str; 8] =
    ["hello", "please help", "hi there", "good day", "i need help", "listen", "well", "excuse me"];

/// Returns texts with intents; each has a word of its own.
pub(crate) fn data(n: usize, seed: u64) -> Vec<(String, &'static str)> {
    let mut random = Random::new(seed);
    (0..n)
        .map(|i| {
            let (intent, texts) = INTENTS[random.below(3)];
            let opening = OPENINGS[random.below(8)];
            (format!("{opening} {} own{seed}x{i}", texts[random.below(4)]), intent)
        })
        .collect()
}

fn records<'a>(data: &'a [(String, &'static str)]) -> Vec<TrainingRecord<'a>> {
    let record = |(text, intent): &'a (String, &'static str)| TrainingRecord {
        text,
        intent,
        lang: Some("en"),
    };
    data.iter().map(record).collect()
}

/// Trains on `data`, and puts the profile into the model.
fn trained(data: &[(String, &'static str)]) -> (IntentModel, ReferenceProfile) {
    let samples: Vec<Sample<'_>> =
        data.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec::default().check().unwrap();
    let (mut model, unseen) =
        train_and_judge(TrainingInput::new(&samples, &spec), &Silent).unwrap();
    let profile = ReferenceProfile::of_training(&model, &unseen, &records(data)).unwrap();
    model.set_reference(profile.to_bytes().unwrap());
    (model, profile)
}

pub(crate) static TRAINED: LazyLock<(IntentModel, ReferenceProfile)> =
    LazyLock::new(|| trained(&data(600, 1)));

/// Returns the records of a log in which `model` answered these texts, two in each conversation.
pub(crate) fn log(model: &IntentModel, texts: &[(String, &str)], digest: Digest) -> Vec<Record> {
    let record = |(i, (text, _)): (usize, &(String, &str))| {
        let prediction = model.predict(text);
        Record {
            request_id: format!("r{i}"),
            conversation: Some(format!("c{}", i / 2)),
            text: Some(text.clone()),
            n_chars: text.chars().count() as u32,
            language: Some("en-GB".to_owned()),
            digest: digest.to_string(),
            intent: model.labels().name(prediction.intent).to_owned(),
            confidence: prediction.confidence,
            oos: Some(prediction.score),
            fallback: prediction.fallback,
            latency_us: 400 + i as u64 % 100,
            ..Record::default()
        }
    };
    texts.iter().enumerate().map(record).collect()
}

#[test]
fn a_training_has_a_profile_of_records_that_no_model_knew() {
    let (model, profile) = &*TRAINED;
    let columns = &profile.columns;
    assert_eq!((columns.n_rows(), profile.source), (600, ReferenceSource::Training));
    assert_eq!(profile.labels, ["billing", "delivery", "login"]);
    assert_eq!(columns.names(Category::Intent).unwrap().n(), 600);
    assert_eq!(columns.names(Category::IntentDeclared).unwrap().n(), 600);
    // The own word of each text is unseen, although the final model knows it.
    assert!(columns.quantile(Quantity::UnseenWordRate, 0.0).unwrap() > 0.1);
    assert_eq!(model.unseen_word_rate(&data(600, 1)[0].0), 0.0);
    assert_eq!(columns.names(Category::Entities).unwrap().counts().unwrap()["none"], 600);
    // Words that a single text has stay out, and so do their counts.
    let words = profile.words.counts();
    assert!(words.contains_key("parcel") && !words.keys().any(|word| word.starts_with("own")));
    assert!(profile.words.n() > words.values().sum());
    assert_eq!((profile.judged.len(), &profile.not_judged), (600, &None));
    let right = profile.judged.iter().filter(|judged| judged.truth == judged.predicted).count();
    assert!(right > 570, "{right}");
    let mean = profile.judged.iter().map(|judged| f64::from(judged.p)).sum::<f64>() / 600.0;
    assert!((0.9..=1.0).contains(&mean), "{mean}");
}

#[test]
fn the_same_training_has_the_same_profile_in_its_file() {
    let (model, profile) = &*TRAINED;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = pool.install(|| trained(&data(600, 1)));
    assert_eq!(again.0.to_bytes(), model.to_bytes());
    let bytes = model.to_bytes();
    let digest = Digest::of(&bytes);
    let read = IntentModel::from_bytes(&bytes).unwrap();
    let own = ReferenceProfile::of_model(&read, digest).unwrap().unwrap();
    assert_eq!(own.models.first(), Some(&digest));
    assert_eq!(ReferenceProfile { models: profile.models.clone(), ..own }, *profile);
    assert!(profile.to_bytes().unwrap().len() < 40_000, "{}", profile.to_bytes().unwrap().len());
}

#[test]
fn a_log_like_the_training_has_not_drifted_and_another_has() {
    let (model, _) = &*TRAINED;
    let digest = Digest::of(&model.to_bytes());
    let reference = ReferenceProfile::of_model(model, digest).unwrap().unwrap();
    let compare = |texts: &[(String, &str)]| {
        let mut current = ReferenceProfile::of_records(&log(model, texts, digest), Some(model));
        current.finish();
        reference.check_comparable(&current).unwrap();
        let spec = DriftSpec::default().check().unwrap();
        compare_profiles(("a", &reference.columns), ("b", &current.columns), &spec).unwrap()
    };
    let same = compare(&data(500, 2));
    assert_eq!(same.verdict, DriftVerdict::NoDrift, "{:#?}", same.checks);
    let mut shifted = data(500, 3);
    shifted.retain(|(_, intent)| *intent != "login");
    let report = compare(&shifted);
    let drifted: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.verdict == DriftVerdict::Drift)
        .map(|check| check.name.as_str())
        .collect();
    assert!(drifted.contains(&"intent"), "{drifted:?}");
    assert!(report.not_judged.iter().any(|item| item.name == "latency_ms"));
}

#[test]
fn parts_of_a_log_merge_to_the_bytes_of_one_pass() {
    let (model, _) = &*TRAINED;
    let records = log(model, &data(400, 4), Digest::of(b"a"));
    let part = |records: &[Record]| ReferenceProfile::of_records(records, Some(model));
    let mut whole = part(&records);
    let mut parts: Vec<ReferenceProfile> = records.chunks(61).map(part).collect();
    Random::new(5).shuffle(&mut parts);
    let mut merged = parts.pop().unwrap();
    for part in &parts {
        // A part is written and read on another machine.
        let read = ReferenceProfile::from_bytes(&part.to_bytes().unwrap()).unwrap();
        merged.merge(&read).unwrap();
    }
    assert_eq!(merged.to_bytes().unwrap(), whole.to_bytes().unwrap());
    merged.finish();
    whole.finish();
    assert_eq!(merged.to_bytes().unwrap(), whole.to_bytes().unwrap());
    assert!(whole.words.counts().contains_key("parcel"));
    assert!(!String::from_utf8(whole.to_bytes().unwrap()).unwrap().contains("own4x"));
    assert_eq!(whole.merge(&part(&records)).unwrap_err().code(), "BOT-2265");
}

#[test]
fn words_of_few_conversations_and_personal_data_stay_out() {
    let (model, _) = &*TRAINED;
    let record = |i: usize, text: &str, conversation: usize| Record {
        request_id: i.to_string(),
        text: Some(text.to_owned()),
        n_chars: 30,
        conversation: Some(conversation.to_string()),
        digest: Digest::of(b"a").to_string(),
        ..Record::default()
    };
    // Forty messages of four conversations, and five of five.
    let mut records: Vec<Record> = (0..40).map(|i| record(i, "mrs rosenthal", i % 4)).collect();
    records.extend((0..5).map(|i| record(100 + i, "broken toaster ann@example.com", 10 + i)));
    let mut profile = ReferenceProfile::of_records(&records, Some(model));
    profile.finish();
    let words: Vec<&String> = profile.words.counts().keys().collect();
    assert_eq!(words, ["broken", "email", "toaster"]);
    let text = String::from_utf8(profile.to_bytes().unwrap()).unwrap();
    assert!(!text.contains("rosenthal") && !text.contains("ann@"), "{text}");
}

#[test]
fn damaged_newer_foreign_and_huge_profiles_are_refused() {
    let (model, profile) = &*TRAINED;
    let good = String::from_utf8(profile.to_bytes().unwrap()).unwrap();
    let code = |text: &str| {
        let fault = ReferenceProfile::from_bytes(text.as_bytes()).unwrap_err();
        (fault.code(), fault.kind())
    };
    assert_eq!(code(&good.replace("reference/1", "reference/2")), ("BOT-2263", FaultKind::Policy));
    for bad in [
        "".to_owned(),
        "{}".to_owned(),
        r#"{"schema":"botops.run/1"}"#.to_owned(),
        good[..good.len() - 9].to_owned(),
        good.replacen("\"n_rows\":600", "\"n_rows\":6", 1),
        good.replacen("[\"billing\"", "[\"login\"", 1),
        good.replacen("\"judged\":[[", "\"judged\":[[9,0,0.5],[", 1),
        good.replacen("\"judged\":[[", "\"judged\":[[0,0,1.5],[", 1),
        format!("{good}{}", " ".repeat(MOST_PARTIAL_BYTES)),
    ] {
        assert_ne!(bad, good);
        assert_eq!(code(&bad), ("BOT-2260", FaultKind::Gate), "{}", &bad[..bad.len().min(200)]);
    }
    // The same through the file of a model, whose digests are right.
    let mut damaged = IntentModel::from_bytes(&model.to_bytes()).unwrap();
    damaged.set_reference(b"{\"schema\":\"botops.reference/1\"}".to_vec());
    let fault = ReferenceProfile::of_model(&damaged, Digest::of(b"x")).unwrap_err();
    assert_eq!(fault.code(), "BOT-2260");
}

#[test]
fn profiles_of_other_models_are_refused() {
    let (model, profile) = &*TRAINED;
    let digest = Digest::of(&model.to_bytes());
    assert!(profile.check_model(model, digest).is_ok(), "the profile in the file has no digest");
    let own = ReferenceProfile::of_model(model, digest).unwrap().unwrap();
    let fault = own.check_model(model, Digest::of(b"other")).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-2262", FaultKind::Gate));
    let labels = vec!["billing".to_owned(), "delivery".to_owned(), "returns".to_owned()];
    let other = ReferenceProfile { labels, ..own.clone() };
    let fault = other.check_model(model, digest).unwrap_err();
    assert_eq!(fault.code(), "BOT-2261");
    assert!(
        fault.message().contains("`login`") || fault.message().contains("`returns`"),
        "{fault}"
    );
    assert_eq!(own.check_comparable(&other).unwrap_err().code(), "BOT-2261");
    let plain = ReferenceProfile::of_data(&[], None).unwrap();
    assert!(own.check_comparable(&plain).is_ok(), "a profile without predictions has no model");
    let mut mixed = own.clone();
    mixed.add_model(Digest::of(b"canary"));
    assert_eq!(own.check_comparable(&mixed).unwrap_err().code(), "BOT-2262");
}

#[test]
fn moments_add_up_to_the_same_in_every_order() {
    let mut random = Random::new(8);
    let rows: Vec<[f32; 3]> =
        (0..500).map(|_| std::array::from_fn(|_| random.unit() as f32 - 0.3)).collect();
    let of = |rows: &mut dyn Iterator<Item = &[f32; 3]>| {
        let mut moments = Moments::new(3);
        rows.for_each(|row| moments.add(row));
        moments
    };
    let whole = of(&mut rows.iter());
    let mut merged = of(&mut rows[300..].iter().rev());
    merged.merge(&of(&mut rows[..300].iter()));
    assert_eq!(merged, whole);
    let mean = rows.iter().map(|row| f64::from(row[0])).sum::<f64>() / 500.0;
    let square = rows.iter().map(|row| (f64::from(row[0]) - mean).powi(2)).sum::<f64>() / 500.0;
    assert!((whole.mean()[0] - mean).abs() < 1e-5);
    assert!((whole.variance()[0] - square).abs() < 1e-5);
    let mut odd = Moments::new(3);
    odd.add(&[f32::NAN, 1e9, 0.0]);
    odd.add(&[1.0]);
    assert_eq!((odd.n(), odd.mean()), (1, vec![0.0, 8.0, 0.0]));
}
